"""`penstock run` as a process of a test's own, with the fake worker or with real Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.server_process import binary

FAKE = Path(__file__).with_name("fake_worker.py")
DEADLINE_S = 60


def environment(plan: dict[str, Any] | None = None) -> dict[str, str]:
    """Without what this machine's user has set; `plan` is the fake worker's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    kept.pop("VIRTUAL_ENV", None)
    return {**kept, "FAKE_WORKER": json.dumps(plan or {}), "NO_COLOR": "1"}


def wait_for(path: Path) -> None:
    """Until the file is there."""
    ends = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < ends, f"{path} never came"
        time.sleep(0.01)


class RunCommand:
    """Runs in a folder; `fake` takes the place of Python, else the tests' own Python is used."""

    def __init__(self, folder: Path, *, fake: bool = True) -> None:
        self.folder = folder
        self.python = str(FAKE) if fake else sys.executable
        folder.mkdir(exist_ok=True)

    def write(self, name: str, records: Any) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    def task(self, source: str) -> None:
        (self.folder / "task.py").write_text(source)

    def read(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def _arguments(self, args: tuple[str, ...], usual: bool) -> list[str]:
        ends = ["--input", "in.jsonl", "--output", "out.jsonl"] if usual else []
        target = [] if not usual or "--exec" in args else ["task.py"]
        return [binary(), "run", *target, "--python", self.python, *ends, *args]

    def run(
        self, *args: str, plan: dict[str, Any] | None = None, usual: bool = True, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """To its end. `usual`: task.py from in.jsonl to out.jsonl."""
        return subprocess.run(
            self._arguments(args, usual),
            cwd=self.folder,
            env={**environment(plan), **more.pop("env", {})},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            check=False,
            **more,
        )

    def start(
        self, *args: str, plan: dict[str, Any] | None = None, usual: bool = True, **more: Any
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._arguments(args, usual),
            cwd=self.folder,
            env={**environment(plan), **more.pop("env", {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            **more,
        )


def numbers(command: RunCommand) -> list[int]:
    """Of the records whose results the fake worker has written."""
    return sorted(line["n"] for line in command.read("out.jsonl"))
