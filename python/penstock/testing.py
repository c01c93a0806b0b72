"""Tests of programs that defer tasks: no server, time stands still until the test moves it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from .backend import Enqueued
from .handle import TaskInfo

if TYPE_CHECKING:
    from .app import App, TaskDeferrer


class TestQueue:
    """What `app.testing()` gives: tasks in memory, run when the test says so.

    with app.testing() as queue:
        resize.defer(path="a.png")
        queue.assert_enqueued(resize, path="a.png")
        queue.run()
    """

    __test__ = False  # no test class for pytest

    def __init__(self, app: App, now: datetime.datetime | None = None) -> None:
        self.app = app
        self.now = now or datetime.datetime.now(datetime.timezone.utc)

    def tasks(
        self, task: TaskDeferrer | str | None = None, state: str | None = None
    ) -> list[TaskInfo]:
        """All tasks, or those of that function, in that state, in the order they were made."""
        raise NotImplementedError

    def assert_enqueued(
        self, task: TaskDeferrer | str, *, times: int | None = None, **arguments: Any
    ) -> TaskInfo:
        """AssertionError unless there is a task with (at least) these arguments; the last of them.

        `times`: exactly so many.
        """
        raise NotImplementedError

    def run(self, *, most: int = 10_000, catch: bool = False) -> int:
        """Runs here what is due, and what that enqueues, until nothing is; how many ran.

        What a function raises is raised, unless `catch`: then it is the task's error, and its
        retries follow as time goes on.
        """
        raise NotImplementedError

    def travel(self, delta: float | datetime.timedelta) -> int:
        """Lets so much time pass, and runs what becomes due meanwhile, each at its time."""
        raise NotImplementedError

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        raise NotImplementedError

    async def enqueue_async(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        return self.enqueue(tasks)

    def task(self, id: int, wait_s: float) -> TaskInfo:
        raise NotImplementedError

    async def task_async(self, id: int, wait_s: float) -> TaskInfo:
        return self.task(id, wait_s)

    def control(self, verb: str, id: int) -> int:
        raise NotImplementedError

    async def control_async(self, verb: str, id: int) -> int:
        return self.control(verb, id)
