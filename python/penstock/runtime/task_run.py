"""One run of one task: what was claimed, its context, and what it has yielded."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from ..arguments import ArgumentsError
from ..context import TaskContext
from ..task_call import TaskCall

if TYPE_CHECKING:
    from ..app import Task
    from .task_session import Told

# A generator that is faster than the server waits when so many of its calls are not enqueued.
CALLS_MAX = 1000


class TaskRun:
    """A task that runs here."""

    __slots__ = ("_count", "broken", "calls", "context", "flushing", "id", "task", "told")

    def __init__(self, task: Task[Any, Any], told: Told, context: TaskContext) -> None:
        self.id: int = told["id"]
        self.task = task
        self.told = told
        self.context = context
        #: What it has yielded and is not enqueued: tasks as the server takes them.
        self.calls: list[Told] = []
        #: Why its calls cannot be enqueued.
        self.broken: Exception | None = None
        #: Some of its calls are on their way.
        self.flushing: asyncio.Task[None] | None = None
        # How many calls it has yielded.
        self._count = 0

    def take(self, item: Any) -> bool:
        """Takes what a generator yielded. TypeError when it is no call. True: it should wait."""
        return self.take_told(self.call_of(item).told())

    def take_told(self, told: Told) -> bool:
        """The same of a call as the server takes it."""
        if self.broken is not None:
            raise self.broken
        self._count += 1
        # The attempt before may have enqueued the same.
        if self.told.get("attempt", 1) > 1:
            self._key(told, self._count)
        self.calls.append(told)
        return len(self.calls) >= CALLS_MAX

    def take_result(self, result: Any) -> Any:
        """The result; calls, of a function that may return some, are taken as if yielded."""
        task = self.task
        if result is None or (task.accept is None and not isinstance(result, TaskCall)):
            return result
        if task.accept is None:
            raise TypeError(f"{task.name} returned a call; it must yield it, or defer it")
        for item in result if isinstance(result, (list, tuple)) else [result]:
            self.take(item)
        return None

    def seal(self) -> None:
        """What is enqueued before the task has completed is known by a key ever after."""
        first = self._count - len(self.calls) + 1
        for place, told in enumerate(self.calls, first):
            self._key(told, place)

    def _key(self, told: Told, place: int) -> None:
        if "unique" in told:
            return
        options = orjson.OPT_SORT_KEYS
        what = orjson.dumps([told["function"], told["arguments"]], default=str, option=options)
        digest = hashlib.blake2b(what, digest_size=9).hexdigest()
        key = f"yield/{self.id}/{place}/{digest}"
        told["unique"] = {"key": key, "while": "stored", "on_clash": "existing"}

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """What the function is to be called with. ArgumentsError."""
        task = self.task
        args: list[Any] = [self.context] if task.pass_context else []
        told = self.told.get("arguments")
        if task.signature is not None:
            return args, task.signature.unpack({} if told is None else told)
        assert task.model is not None
        try:
            args.append(task.model(told or {}))
        except Exception as error:
            raise ArgumentsError(f"{task.name}: {type(error).__name__}: {error}") from error
        return args, {}

    def call_of(self, item: Any) -> TaskCall:
        """The call that a generator yielded. TypeError."""
        if isinstance(item, TaskCall):
            return item
        if self.task.accept is not None:
            return self.task.accept(item)
        kind = type(item).__name__
        raise TypeError(f"{self.task.name} yielded a {kind}, which is no call of a task")


def no_result(run: TaskRun, value: Any) -> None:
    """A generator's own result must be None."""
    if value is not None:
        kind = type(value).__name__
        raise TypeError(f"{run.task.name} yields calls and returned a {kind}: it has no result")
