"""A stand-in for the node runner: starts the helper of Python nodes and speaks its protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).resolve().parents[2] / "python"
Message = dict[str, Any]


class FlowHelper:
    """The helper with modules of `workers`; logs go below `logs`."""

    def __init__(self, workers: Path, logs: Path, **setup: Any) -> None:
        self.logs = logs
        logs.mkdir(exist_ok=True)
        self._task = 0
        self._said: list[Message] = []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._socket.settimeout(30)
        # Descriptor 3 is the helper's end; a shell puts it there.
        self.process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                f'exec "$0" -m penstock.flow.helper 3<&{theirs.fileno()}',
                sys.executable,
            ],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(PYTHON)},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        told = {"path": [str(workers)], "server": "unix:///nowhere", "key": None, **setup}
        self.say({"setup": {"interactive": False, "no_retry_code": None, **told}})

    def __enter__(self) -> FlowHelper:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.process.wait(timeout=30)

    def say(self, message: Message) -> None:
        self._socket.send(json.dumps(message).encode())

    def hear(self) -> Message | None:
        """The next message; None: the helper is gone."""
        try:
            packet = self._socket.recv(65536)
        except ConnectionResetError:
            return None
        return json.loads(packet) if packet else None

    def until(self, kind: str, task: int) -> Message:
        """What it said of that kind and task; waits for it."""
        while True:
            for message in self._said:
                if kind in message and message[kind].get("task") == task:
                    return dict(message[kind])
            heard = self.hear()
            assert heard is not None, f"the helper is gone; it said {self._said}"
            self._said.append(heard)

    def find(self, kind: str, task: int) -> Message | None:
        """The same of what has been heard already."""
        for message in self._said:
            if kind in message and message[kind].get("task") == task:
                return dict(message[kind])
        return None

    def start(self, worker: str, *argv: str, module: str = "workers", **more: Any) -> int:
        """Starts an attempt; returns its task."""
        self._task += 1
        told = {
            "task": self._task,
            "fence": 1,
            "flow": 1,
            "node": self._task,
            "name": worker,
            "module": module,
            "worker": worker,
            "argv": list(argv),
            "logfile": str(self.logs / f"{self._task}.log"),
            "attempt": 1,
            "max_attempts": 1,
            "variables": {},
            **more,
        }
        self.say({"run": told})
        return self._task

    def run(self, worker: str, *argv: str, **more: Any) -> tuple[int, Message | None]:
        """Runs an attempt; returns its wait status and its outcome, if it told one."""
        task = self.start(worker, *argv, **more)
        status = self.until("exited", task)["status"]
        return status, self.find("outcome", task)

    def refused(self, worker: str, **more: Any) -> Message:
        return self.until("refused", self.start(worker, **more))

    def log(self, task: int | None = None) -> str:
        """The log of a task; of the last one."""
        return (self.logs / f"{task or self._task}.log").read_text()


def wait_for(path: Path, within_s: float = 30) -> str:
    """The text of a file that somebody else is about to write, with its line's end."""
    give_up_at = time.monotonic() + within_s
    while True:
        text = path.read_text() if path.exists() else ""
        if text.endswith("\n"):
            return text
        assert time.monotonic() < give_up_at, f"{path} was not written"
        time.sleep(0.01)
