"""The PlanchetClient from PyPI, unmodified, in a process of its own (see planchet_host.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = Path(__file__).with_name("planchet_host.py")
PINNED = Path(sys.prefix) / "pinned"
FLAVOURS = ("current", "pinned")


class Raised(Exception):
    """The client raised; the text begins with the name of what it raised."""


@dataclass
class Answer:
    """What the client gives as a requests.Response."""

    status: int
    text: str
    headers: dict[str, str]
    encoding: str | None

    def json(self) -> Any:
        return json.loads(self.text)


class PlanchetPeer:
    """Its methods are the client's: start_job, get, send, mark_errors, ..."""

    def __init__(self, url: str, flavour: str = "current") -> None:
        self.url = url
        env = dict(os.environ)
        if flavour == "pinned":
            env["PYTHONPATH"] = str(PINNED)
        self.process = subprocess.Popen(
            [sys.executable, str(HOST)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
        )
        self.requests_version = str(self._answer())

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise Raised("the client's process ended")
        told = json.loads(line)
        if "raised" in told:
            raise Raised(f"{told['raised']}: {told['text']}")
        return Answer(*told["response"]) if "response" in told else told["value"]

    def post(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Starts a call without waiting for its answer, which `take` gives."""
        assert self.process.stdin
        call = {"url": self.url, "method": method, "args": args, "kwargs": kwargs}
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()

    def take(self) -> Any:
        return self._answer()

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.post(method, *args, **kwargs)
            return self.take()

        return call

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
