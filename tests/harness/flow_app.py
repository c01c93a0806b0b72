"""The folder of an application with Worker classes, and `penstock flow` on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.server_process import ROOT, binary

HEAD = """\
import os, signal, sys, threading, time
from pathlib import Path
from pyrunner import ShellWorker, Worker

MARKS = Path(os.environ["APP_ROOT_DIR"], "marks")


def mark(text):
    with MARKS.open("a") as file:
        file.write(f"{text}\\n")


def wait_for(name):
    while not Path(os.environ["APP_ROOT_DIR"], name).exists():
        time.sleep(0.01)


class Quiet(Worker):
    def run(self):
        pass


class Mark(Worker):
    def run(self):
        mark(self.argv[0])


class Fails(Worker):
    def run(self):
        mark("fails")
        return 3


class FailsUnless(Worker):
    '''Fails until there is a file of that name.'''
    def run(self):
        mark(self.argv[0])
        return 0 if Path(os.environ["APP_ROOT_DIR"], self.argv[0]).exists() else 4


class Waits(Worker):
    '''Until there is a file of that name.'''
    def run(self):
        mark(f"waits {os.getpid()}")
        wait_for(self.argv[0])
"""


def clean() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name[:4] != "APP_"}


class FlowApp:
    """An application of PyRunner's form."""

    def __init__(self, folder: Path, name: str = "app") -> None:
        self.folder = folder / name
        self.list = self.folder / "config" / f"{name}.lst"
        self.workers = self.folder / "python"
        self.list.parent.mkdir(parents=True)
        self.workers.mkdir()
        self.write("")

    def write(self, workers: str) -> None:
        """Classes behind those that are always there."""
        (self.workers / "workers.py").write_text(HEAD + workers)

    def rows(self, *rows: str) -> None:
        """Rows as `ID|PARENTS|WORKER|ARGUMENTS`, or as they stand in a list."""
        lines = ["#PYTHON"]
        for row in rows:
            fields = row.split("|")
            if len(fields) > 4:
                lines.append(row)
                continue
            number, parents, worker, arguments = [*fields, "", ""][:4]
            lines.append(
                f"{number}|{parents}|1|0|{worker} {number}|workers|{worker}|{arguments}|"
                f"$ENV{{APP_LOG_DIR}}/{number}.log"
            )
        self.list.write_text("\n".join(lines) + "\n")

    def flow(self, command: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary(), "flow", command, str(self.list), *args],
            cwd=self.folder,
            env={**clean(), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, *args: str, status: int = 0, **env: str) -> str:
        """`penstock flow run`; what it said."""
        done = self.flow("run", *args, **self.python(env))
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def start(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        """The same, not waited for."""
        return subprocess.Popen(
            [binary(), "flow", "run", str(self.list), *args],
            cwd=self.folder,
            env=self.python(clean()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )

    @staticmethod
    def python(env: dict[str, str]) -> dict[str, str]:
        """With this Python, and the package of this tree."""
        return {**env, "PENSTOCK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "python")}

    def log(self, number: int) -> str:
        (path,) = self.folder.glob(f"logs/*/{number}.log")
        return path.read_text()

    def marks(self) -> list[str]:
        path = self.folder / "marks"
        return path.read_text().splitlines() if path.exists() else []

    def states(self) -> dict[int, str]:
        """Of the run that is not complete, as the list of states has them."""
        (path,) = self.folder.glob("temp/*.ctllog")
        rows = [line.split("|") for line in path.read_text().splitlines() if line[:1] != "#"]
        return {int(row[0]): row[4].strip() for row in rows}

    def wait_mark(self, begins: str, within_s: float = 60) -> str:
        """The first mark that begins so, as soon as it is there."""
        give_up_at = time.monotonic() + within_s
        while True:
            for line in self.marks():
                if line.startswith(begins):
                    return line
            assert time.monotonic() < give_up_at, f"no mark {begins}: {self.marks()}"
            time.sleep(0.01)

    def touch(self, name: str) -> None:
        (self.folder / name).touch()
