"""Programs of penstock.openaleph on a server of the test's own: tasks, workers, and who defers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.server_process import ROOT, ServerProcess, binary

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not

from penstock.handle import TaskInfo
from penstock.openaleph.app import OpenAlephApp, make_app

HEAD = """
import asyncio, os, sys, time
from pathlib import Path
from followthemoney import model
from penstock.openaleph import defer, helpers
from penstock.openaleph.app import make_app
from penstock.openaleph.model import AnyJob, DatasetJob, Defers, Job
from penstock.openaleph.tasks import Priorities, task

HERE = Path(__file__).parent
app = make_app("mylib")

def note(text):
    with (HERE / "notes").open("a") as notes:
        notes.write(f"{text}\\n")
"""
NAMES = ("PENSTOCK_", "PROCRASTINATE_", "OPENALEPH_", "ALEPH_", "FTM_", "ARCHIVE_", "LAKEHOUSE_")
DEADLINE_S = 60.0


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what the machine's own environment says is heard."""
    for name in list(os.environ):
        if name.startswith(NAMES) and name != "PENSTOCK_BIN":
            monkeypatch.delenv(name)


class OpenAlephCase:
    """A folder with a module `mylib` of tasks, and a server (None: the embedded one)."""

    def __init__(
        self, folder: Path, server: ServerProcess | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clean_environment(monkeypatch)
        self.server = server
        self.folder = folder / "case"
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir(parents=True)
        monkeypatch.chdir(self.folder)
        monkeypatch.setenv("TMPDIR", str(self.temporary))
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.setattr("penstock.scratch._own", None)
        monkeypatch.setenv("PENSTOCK_BIN", binary())
        path = os.pathsep.join([str(ROOT / "python"), str(self.folder)])
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("PENSTOCK_PYTHON", sys.executable)
        if server is not None:
            monkeypatch.setenv("PENSTOCK_SERVER", server.url)
        self.processes: list[subprocess.Popen[str]] = []

    @property
    def app(self) -> OpenAlephApp:
        """What a program that defers has."""
        return make_app()

    def write(self, source: str) -> None:
        """The module of tasks, after HEAD."""
        (self.folder / "mylib.py").write_text(HEAD + textwrap.dedent(source))

    def notes(self) -> list[str]:
        """What note() was called with, so far."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def start(self, *args: str, target: str = "mylib:app") -> subprocess.Popen[str]:
        """A worker."""
        command = [binary(), "worker", target, *args]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def work(self, *args: str, target: str = "mylib:app") -> str:
        """A worker, until its queues are empty; what it printed."""
        process = self.start("--one-shot", *args, target=target)
        printed, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, printed
        return printed

    def command(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`penstock openaleph ARGS`."""
        return subprocess.run(
            [binary(), "openaleph", *args],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def tasks(self, **filter: str) -> list[TaskInfo]:
        """The server's tasks, whole, in order of ids."""
        tasks = self.app.client.tasks
        return [tasks.get(listed.id) for listed in tasks.list(**filter)]

    def states(self, **filter: str) -> list[str]:
        return [task.state for task in self.tasks(**filter)]

    def until(self, true: Callable[[], object]) -> None:
        """Waits for it."""
        give_up_at = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < give_up_at, "this does not come"
            time.sleep(0.02)

    def left(self) -> list[Path]:
        """The files in the temporary folder."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
