"""A worker process, `python -m penstock.runtime` or another, with a test in the place of the
supervisor."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .server_process import ROOT

DEADLINE_S = 60.0
PYTHON_RUNTIME = (sys.executable, "-m", "penstock.runtime")


def python() -> str:
    """The Python under test: $PENSTOCK_TEST_PYTHON, else the one that runs the tests."""
    return os.environ.get("PENSTOCK_TEST_PYTHON") or sys.executable


class RuntimeProcess:
    """A worker process; what it says is in `said`, in order."""

    def __init__(
        self, folder: Path, *args: str, command: Sequence[str] = PYTHON_RUNTIME, **env: str
    ) -> None:
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.said: list[dict[str, Any]] = []
        self.rest = b""
        self.ended = False
        self.printed = folder / "printed.txt"
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [*command, *args],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT / "python"),
                    "PENSTOCK_CONTROL_FD": str(theirs.fileno()),
                    "PYTHONSAFEPATH": "1",
                    **env,
                },
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()

    def hello(self) -> dict[str, Any]:
        told: dict[str, Any] = self.wait_for("hello")
        return told

    def go(self, server: str, job: str | int = "run", **members: Any) -> RuntimeProcess:
        """Waits for its hello, then lets it work."""
        self.hello()
        self.tell(go={"server": server, "key": None, "job": job, "worker": "test:1", **members})
        return self

    def tell(self, **message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def wait_for(self, name: str, matching: str = "") -> Any:
        """The first message of that name (and with that text in it), now or later."""
        give_up_at = time.monotonic() + DEADLINE_S
        looked = 0
        while True:
            for message in self.said[looked:]:
                looked += 1
                if name in message and matching in json.dumps(message[name], ensure_ascii=False):
                    return message[name]
            if self.ended or time.monotonic() > give_up_at:
                raise AssertionError(f"no {name} {matching}: {self.said} {self.output()}")
            self._receive(give_up_at)

    def end(self) -> int:
        """Its exit status, when it has ended by itself."""
        give_up_at = time.monotonic() + DEADLINE_S
        while not self.ended:
            if time.monotonic() > give_up_at:
                raise AssertionError(f"it does not end: {self.said} {self.output()}")
            self._receive(give_up_at)
        return self.process.wait(DEADLINE_S)

    def logs(self) -> list[str]:
        """What it has logged so far."""
        return [message["log"]["text"] for message in self.said if "log" in message]

    def output(self) -> str:
        return self.printed.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()

    def _receive(self, give_up_at: float) -> None:
        ready, _, _ = select.select([self.socket], [], [], max(0, give_up_at - time.monotonic()))
        if not ready:
            return
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.said += [json.loads(line) for line in lines]
