"""`penstock flow run` on an application folder of a test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness.server_process import binary

DEADLINE_S = 60


def wait_until(what: Callable[[], bool], text: str = "it never came") -> None:
    ends = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < ends, text
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether it runs: who waits to be reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


class FlowApp:
    """A folder with config/ and python/; `rows` writes the list."""

    def __init__(self, folder: Path, name: str = "my") -> None:
        self.folder = folder
        self.name = name
        self.list = folder / "config" / f"{name}.lst"
        (folder / "config").mkdir(parents=True)
        (folder / "python").mkdir()
        (folder / "out").mkdir()

    def shell(self, *rows: str) -> None:
        """Rows of a #SHELL list: `1|-1|1|0|a|true`."""
        self.list.write_text("#SHELL\n" + "".join(row + "\n" for row in rows))

    def command(self, *args: str) -> list[str]:
        return [binary(), "flow", "run", str(self.list), "--python", sys.executable, *args]

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PENSTOCK_", "APP_", "VIRTUAL_ENV"))
        }
        return {**kept, "OUT": str(self.folder / "out"), "NO_COLOR": "1", **(more or {})}

    def run(
        self, *args: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def start(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def out(self, name: str) -> Path:
        return self.folder / "out" / name

    def ran(self, name: str = "ran") -> list[str]:
        """What nodes wrote with `echo X >>$OUT/ran`, in order."""
        path = self.out(name)
        return path.read_text().split() if path.exists() else []

    def log(self, node: int) -> str:
        found = list((self.folder / "logs").glob(f"*/{node}.log"))
        assert len(found) == 1, found
        return found[0].read_text()

    def await_out(self, name: str) -> str:
        """Until a node has made this file, whole."""
        wait_until(lambda: self.out(name).exists() and bool(self.out(name).read_text()), name)
        return self.out(name).read_text()

    @property
    def ctllog(self) -> Path:
        return self.folder / "temp" / f"{self.name}.ctllog"

    def marks(self) -> dict[int, str]:
        """Of the state file."""
        rows = [row.split("|") for row in self.ctllog.read_text().splitlines() if row[0] != "#"]
        return {int(row[0]): row[4] for row in rows}


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    """Signals it and waits: its status, and what it said on standard error."""
    process.send_signal(number)
    _, said = process.communicate(timeout=DEADLINE_S)
    return process.returncode, said
