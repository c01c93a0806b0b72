"""An app of penstock.openaleph whose tasks go nowhere: they are there to be looked at."""

from __future__ import annotations

import sys
from typing import Any

from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not

from penstock.handle import TaskInfo
from penstock.openaleph.app import OpenAlephApp
from penstock.openaleph.settings import Settings


class Recorder:
    """Takes what is enqueued, as the server would be told it."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[tuple[int, bool]]:
        first = len(self.tasks) + 1
        self.tasks += tasks
        return [(first + n, False) for n in range(len(tasks))]

    async def enqueue_async(self, tasks: list[dict[str, Any]]) -> list[tuple[int, bool]]:
        return self.enqueue(tasks)

    def task(self, id: int, wait_s: float) -> TaskInfo:
        raise NotImplementedError

    async def task_async(self, id: int, wait_s: float) -> TaskInfo:
        raise NotImplementedError

    def control(self, verb: str, id: int) -> int:
        raise NotImplementedError

    async def control_async(self, verb: str, id: int) -> int:
        raise NotImplementedError


def recording_app() -> tuple[OpenAlephApp, list[dict[str, Any]]]:
    """The app, and the tasks that it was given."""
    app = OpenAlephApp(Settings())
    recorder = Recorder()
    app.backend = recorder
    return app, recorder.tasks
