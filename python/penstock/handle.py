"""Tasks as the server shows them, and the handle of one that was deferred."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .event import instant

if TYPE_CHECKING:
    from .app import App

ENDED = ("completed", "failed", "cancelled")
# The server answers within a minute; who waits longer asks again.
WAIT_MAX_S = 30.0


@dataclass(frozen=True)
class TaskError:
    """Why an attempt failed."""

    type: str
    message: str
    #: Of the function, in the language it is written in; "" when there is none.
    traceback: str = ""


@dataclass(frozen=True)
class TaskInfo:
    """A task as the server shows it."""

    id: int
    function: str
    queue: str
    #: blocked, pending, running, completed, failed, cancelled
    state: str
    arguments: Any
    #: How often it was started.
    attempts: int
    max_attempts: int
    priority: int
    key: str | None
    batch: str | None
    lock: str | None
    created_at: datetime.datetime | None
    run_at: datetime.datetime | None
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    #: 0.0 to 1.0, and a text, as the function said.
    progress: float | None
    progress_text: str | None
    #: The last attempt's, if it has failed.
    error: TaskError | None
    #: What the function returned, when it has completed.
    result: Any
    #: Why it waits, if it does.
    explain: Any
    #: All that the server said.
    raw: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Completed, failed or cancelled."""
        return self.state in ENDED

    @classmethod
    def of(cls, told: dict[str, Any]) -> TaskInfo:
        return cls(
            id=told["id"],
            function=told["function"],
            queue=told["queue"],
            state=told["state"],
            arguments=told.get("arguments"),
            attempts=told.get("attempts", 0),
            max_attempts=told.get("max_attempts", 0),
            priority=told.get("priority", 0),
            key=told.get("key"),
            batch=told.get("batch"),
            lock=told.get("lock"),
            created_at=_instant(told.get("created_at")),
            run_at=_instant(told.get("run_at")),
            started_at=_instant(told.get("started_at")),
            ended_at=_instant(told.get("ended_at")),
            progress=told.get("progress"),
            progress_text=told.get("progress_text"),
            error=_error(told.get("error")),
            result=told.get("result"),
            explain=told.get("explain"),
            raw=told,
        )


def _error(told: dict[str, Any] | None) -> TaskError | None:
    if not told:
        return None
    parts = (told.get(name) or "" for name in ("type", "message", "traceback"))
    return TaskError(*parts)


def _instant(text: str | None) -> datetime.datetime | None:
    return instant(text) if text else None


class TaskFailed(Exception):  # noqa: N818 - the word of the states
    """The task whose result was asked for has failed for good."""

    def __init__(self, task: TaskInfo) -> None:
        self.task = task
        #: The remote error: type, message, traceback.
        self.error = task.error or TaskError("", "no reason is known")
        text = f"task {task.id} ({task.function}) failed: {self.error.type}: {self.error.message}"
        if self.error.traceback:
            text += f"\n\n{self.error.traceback.rstrip()}"
        super().__init__(text)


class TaskCancelled(Exception):  # noqa: N818
    """The task whose result was asked for was cancelled."""

    def __init__(self, task: TaskInfo) -> None:
        self.task = task
        super().__init__(f"task {task.id} ({task.function}) was cancelled")


class TaskHandle:
    """A task that was deferred. Every method has a twin that is awaited."""

    __slots__ = ("_app", "existing", "id")

    def __init__(self, app: App, id: int, existing: bool = False) -> None:
        self._app = app
        #: The server's number for it.
        self.id = id
        #: It was there already (unique).
        self.existing = existing

    def __repr__(self) -> str:
        return f"<TaskHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskHandle) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def status(self) -> TaskInfo:
        """How it stands. NotFoundError."""
        return self._app.backend.task(self.id, 0.0)

    async def status_async(self) -> TaskInfo:
        """As status."""
        return await self._app.backend.task_async(self.id, 0.0)

    def wait(self, timeout: float | None = None) -> TaskInfo:
        """Waits for its end. TimeoutError when it has not ended within `timeout` seconds."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while True:
            info = self._app.backend.task(self.id, _left_s(give_up_at))
            if info.ended:
                return info
            self._give_up(info, give_up_at, timeout)

    async def wait_async(self, timeout: float | None = None) -> TaskInfo:
        """As wait."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while True:
            info = await self._app.backend.task_async(self.id, _left_s(give_up_at))
            if info.ended:
                return info
            self._give_up(info, give_up_at, timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Waits for its end; what the function returned.

        TaskFailed with the remote error and its traceback, TaskCancelled, TimeoutError.
        """
        return _result_of(self.wait(timeout))

    async def result_async(self, timeout: float | None = None) -> Any:
        """As result."""
        return _result_of(await self.wait_async(timeout))

    def cancel(self) -> bool:
        """Cancels it; one that runs is asked to stop. Whether there was anything to cancel."""
        return self._app.backend.control("cancel", self.id) > 0

    async def cancel_async(self) -> bool:
        """As cancel."""
        return await self._app.backend.control_async("cancel", self.id) > 0

    def retry(self) -> bool:
        """One that has failed or was cancelled runs again, with all its attempts."""
        return self._app.backend.control("retry", self.id) > 0

    async def retry_async(self) -> bool:
        """As retry."""
        return await self._app.backend.control_async("retry", self.id) > 0

    def _give_up(self, info: TaskInfo, give_up_at: float | None, timeout: float | None) -> None:
        if give_up_at is not None and time.monotonic() >= give_up_at:
            raise TimeoutError(f"task {self.id} is {info.state} after {timeout:g} s")


def _left_s(give_up_at: float | None) -> float:
    if give_up_at is None:
        return WAIT_MAX_S
    return min(max(give_up_at - time.monotonic(), 0.0), WAIT_MAX_S)


def _result_of(info: TaskInfo) -> Any:
    if info.state == "failed":
        raise TaskFailed(info)
    if info.state == "cancelled":
        raise TaskCancelled(info)
    return info.result
