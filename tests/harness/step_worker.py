"""`penstock worker` with steps of a test's own, and a client that makes jobs of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from .run_command import environment
from .server_process import ROOT, ServerProcess, binary

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not

import penstock

DEADLINE_S = 60.0

HEAD = """
from __future__ import annotations
import asyncio, os, signal, sys, time
from pathlib import Path
from typing import Any, Literal, Optional
import penstock
from penstock import DataSlot, MediaTypes, StepContext, dataslot
"""


def wait_until(true: Any, what: str) -> Any:
    """Until it gives something true, which is returned."""
    ends_s = time.monotonic() + DEADLINE_S
    while not (found := true()):
        assert time.monotonic() < ends_s, what
        time.sleep(0.01)
    return found


class StepWorker:
    """A folder with steps.py, workers of it, and a client. Temporary files go to `temp`."""

    def __init__(self, folder: Path, server: ServerProcess, key: str | None = None) -> None:
        self.folder = folder
        self.server = server
        self.key = key
        self.temp = folder / "tmp"
        self.temp.mkdir(parents=True, exist_ok=True)
        self.client = penstock.Client(server.url, key)
        self.processes: list[subprocess.Popen[str]] = []

    def write(self, source: str, name: str = "steps.py", head: str = HEAD) -> None:
        """The steps."""
        (self.folder / name).write_text(head + textwrap.dedent(source), encoding="utf-8")

    def env(self) -> dict[str, str]:
        return {
            **environment(),
            "PENSTOCK_BIN": binary(),
            "TMPDIR": str(self.temp),
            "PYTHONPATH": str(ROOT / "python"),
        }

    def command(self, *arguments: str) -> list[str]:
        key = ["--key", self.key] if self.key else []
        return [binary(), "worker", "--server", self.server.url, *key, *arguments]

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """A worker, which goes on; what it prints is in worker-N.log."""
        if "--exec" not in arguments and (not arguments or arguments[0].startswith("--")):
            arguments = ("steps.py", *arguments)
        arguments = (*arguments, "--python", sys.executable)
        with (self.folder / f"worker-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env={**self.env(), **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.processes.append(process)
        return process

    def serve(self, source: str, *arguments: str, steps: int = 1, **env: str) -> None:
        """A worker of these steps; on return they are registered."""
        self.write(source)
        process = self.start(*arguments, **env)

        def registered() -> bool:
            assert process.poll() is None, self.log()
            return len(list(self.client.steps.list())) >= steps

        wait_until(registered, "the steps were never registered")

    def run(self, step: str, **members: Any) -> penstock.StepJob:
        """A job of that step, at its end."""
        return self.client.step_jobs.run(step, **members).wait(DEADLINE_S)

    def result(self, step: str, **members: Any) -> Any:
        """What a job of that step returns."""
        return self.client.step_jobs.run(step, **members).get_result(DEADLINE_S)

    def read(self, job: penstock.StepJob, slot: str) -> list[bytes]:
        """What is in the outputs of a job."""
        return [self.client.artifacts.read(one) for one in job.outputs.get(slot, [])]

    def log(self) -> str:
        """What the workers printed."""
        logs = sorted(self.folder.glob("worker-*.log"))
        return "\n".join(log.read_text(errors="replace") for log in logs)

    def files(self) -> list[Path]:
        """The temporary files and folders of jobs."""
        return [path for path in self.temp.rglob("*") if path.parent != self.temp]

    def stop(self) -> None:
        """Ends the workers as a person would, and waits for it."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(DEADLINE_S)

    def close(self) -> None:
        """Ends all that is left."""
        self.client.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)
