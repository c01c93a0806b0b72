"""What a task knows of itself while it runs."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .event import instant
from .outcome import Aborted

if TYPE_CHECKING:
    from .app import App

TEXT_MAX = 1000


@dataclass(frozen=True)
class RunningTask:
    """The task that runs, as it was claimed."""

    id: int
    function: str
    queue: str
    #: JSON.
    arguments: Any
    #: From 1 on.
    attempt: int
    max_attempts: int
    #: Grows with every start: what other systems may be shown, to refuse who is late.
    fence: int
    priority: int
    key: str | None
    batch: str | None
    lock: str | None
    timeout_s: float | None
    created_at: datetime.datetime | None

    @classmethod
    def of(cls, told: dict[str, Any]) -> RunningTask:
        created_at = told.get("created_at")
        return cls(
            told["id"],
            told["function"],
            told.get("queue", "default"),
            told.get("arguments"),
            told.get("attempt", 1),
            told.get("max_attempts", 1),
            told.get("fence", 0),
            told.get("priority", 0),
            told.get("key"),
            told.get("batch"),
            told.get("lock"),
            told.get("timeout_s"),
            instant(created_at) if created_at else None,
        )


class TaskContext:
    """Given to functions with pass_context=True; `penstock.current_context()` has it anywhere.

    Any thread of the task's may use it.
    """

    def __init__(
        self,
        app: App,
        told: dict[str, Any],
        on_progress: Callable[[TaskContext], None] = lambda _: None,
    ) -> None:
        self.app = app
        self._told = told
        self._task: RunningTask | None = None
        self._on_progress = on_progress
        self._abort_reason: str | None = None
        # Of few tasks, too.
        self._on_abort: list[Callable[[], None]] | None = None
        # For those who sleep; most tasks never do.
        self._aborted: threading.Event | None = None
        #: What was said last: a fraction and a text.
        self.reported: tuple[float, str | None] | None = None

    @property
    def told(self) -> dict[str, Any]:
        """The task as the server told it. For the runtime."""
        return self._told

    @property
    def task(self) -> RunningTask:
        """The task that runs."""
        if self._task is None:
            self._task = RunningTask.of(self._told)
        return self._task

    @property
    def attempt(self) -> int:
        """Which start of the task this is, from 1 on."""
        return int(self._told.get("attempt", 1))

    def progress(self, fraction: float, text: str | None = None) -> None:
        """Says how far it is, 0.0 to 1.0. In a plain function Aborted, when it is to end."""
        self.check()
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"progress is from 0.0 to 1.0, not {fraction!r}")
        self.reported = (float(fraction), text if text is None else text[:TEXT_MAX])
        self._on_progress(self)

    def should_abort(self) -> bool:
        """Whether it is to end: it was cancelled, its time is over, the worker stops."""
        return self._abort_reason is not None

    @property
    def abort_reason(self) -> str | None:
        """Why: "cancelled", "timeout", "lost" (in other hands), "stop"; None: it is not."""
        return self._abort_reason

    def wait_for_abort(self, timeout: float | None = None) -> bool:
        """Sleeps so long, or until it is to end; whether it is. For plain functions."""
        if self._aborted is None:
            self._aborted = threading.Event()
        # Looked at after the event is there: who aborts does it the other way round.
        if self._abort_reason is not None:
            return True
        return self._aborted.wait(timeout)

    @contextlib.contextmanager
    def on_abort(self, call: Callable[[], None]) -> Iterator[None]:
        """Within it, who tells the task to end calls this, in a thread of its own choice; once."""
        if self._on_abort is None:
            self._on_abort = []
        self._on_abort.append(call)
        try:
            # Looked at after it is there: who aborts does it the other way round.
            if self._abort_reason is not None:
                call()
            yield
        finally:
            self._on_abort.remove(call)

    def check(self) -> None:
        """Aborted when it is to end."""
        if self._abort_reason is not None:
            raise Aborted(self._abort_reason)

    def abort(self, reason: str) -> None:
        """Tells it to end. For the runtime and for tests."""
        if self._abort_reason is None:
            self._abort_reason = reason
            for call in list(self._on_abort or ()):
                call()
        if self._aborted is not None:
            self._aborted.set()


_current: ContextVar[TaskContext | None] = ContextVar("penstock_task", default=None)


def enter(context: TaskContext | None) -> Token[TaskContext | None]:
    """Makes it the current one; the token is for leave. For what runs tasks."""
    return _current.set(context)


def leave(token: Token[TaskContext | None]) -> None:
    """The other way."""
    _current.reset(token)


def current_context() -> TaskContext | None:
    """The context of the task in which this is called; None outside of one."""
    return _current.get()
