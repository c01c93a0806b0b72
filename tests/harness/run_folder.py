"""A folder in which `penstock run` is started: task, settings, input and what comes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.server_process import ROOT, binary

DEADLINE_S = 120.0


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Running:
    """A command under way, in a process group of its own."""

    def __init__(
        self, command: list[str], cwd: Path, env: dict[str, str], out: IO[bytes] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def tell(self, number: signal.Signals) -> None:
        """Signals the command alone; what it started hears of it from the command."""
        self.process.send_signal(number)

    def end(self) -> Done:
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return Done(self.process.returncode, (out or b"").decode(), err.decode("utf-8", "replace"))

    def drop(self) -> None:
        """For tests that fail in the middle."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class RunFolder:
    """Files of one run, all below `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running: list[Running] = []
        path.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def write_records(self, name: str, records: list[Any]) -> Path:
        return self.write(name, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))

    def config(self, **settings: Any) -> Path:
        """config.py with a Settings of exactly these."""
        lines = [f"    {name} = {value!r}" for name, value in settings.items()] or ["    pass"]
        text = "\n".join(["class Settings:", *lines])
        return self.write("config.py", text + "\n\n\nsettings = Settings()\n")

    def text(self, name: str) -> str:
        path = self.path / name
        return path.read_text() if path.exists() else ""

    def records(self, name: str) -> list[Any]:
        """All lines of a JSONL file; no file is no lines. Each must be whole."""
        text = self.text(name)
        assert text == "" or text.endswith("\n"), f"{name} ends in a torn line: {text[-80:]!r}"
        return [json.loads(line) for line in text.splitlines()]

    def start(
        self, *args: str, env: dict[str, str] | None = None, out: IO[bytes] | None = None
    ) -> Running:
        """Starts `penstock run ARGS` here, its standard output into a pipe or into `out`."""
        path = os.pathsep.join(filter(None, [str(ROOT / "python"), os.environ.get("PYTHONPATH")]))
        known = {**os.environ, "PENSTOCK_PYTHON": sys.executable, "PYTHONPATH": path}
        running = Running([binary(), "run", *args], self.path, {**known, **(env or {})}, out)
        self.running.append(running)
        return running

    def go(self, *args: str, env: dict[str, str] | None = None, status: int | None = 0) -> Done:
        """Runs `penstock run ARGS` here to its end; None: any status will do."""
        done = self.start(*args, env=env).end()
        assert status is None or done.status == status, str(done)
        return done

    def drop(self) -> None:
        for one in self.running:
            one.drop()
