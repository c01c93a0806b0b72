"""Penstock: carries records and tasks to functions, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .app import App, Task, TaskDeferrer
from .arguments import ArgumentsError
from .client import Client, Jobs, Key, Keys
from .context import RunningTask, TaskContext, current_context
from .errors import (
    BusyError,
    ConflictError,
    ConnectionLostError,
    FatalError,
    FileError,
    ForbiddenError,
    InternalError,
    InvalidError,
    LeaseEndedError,
    LimitError,
    MethodNotAllowedError,
    NameTakenError,
    NoServerError,
    NoSpaceError,
    NotFoundError,
    OutputGoneError,
    OutputTakenError,
    PenstockError,
    StoreError,
    UnauthorizedError,
)
from .event import Event
from .handle import TaskCancelled, TaskError, TaskFailed, TaskHandle, TaskInfo
from .job import Counts, Job, RecordError
from .lease import Lease, Settled
from .outcome import Aborted, Fail, Retry, RetryAfter, Skip, retry
from .queue_calls import Blob, Changed, Fragment
from .task_call import RetryPolicy, TaskCall, TaskSettings, Unique
from .worker import work

if TYPE_CHECKING:
    from .async_client import AsyncClient
    from .async_job import AsyncJob, AsyncLease

__all__ = [
    "Aborted",
    "App",
    "ArgumentsError",
    "AsyncClient",
    "AsyncJob",
    "AsyncLease",
    "Blob",
    "BusyError",
    "Changed",
    "Client",
    "ConflictError",
    "ConnectionLostError",
    "Counts",
    "Event",
    "Fail",
    "FatalError",
    "FileError",
    "ForbiddenError",
    "Fragment",
    "InternalError",
    "InvalidError",
    "Job",
    "Jobs",
    "Key",
    "Keys",
    "Lease",
    "LeaseEndedError",
    "LimitError",
    "MethodNotAllowedError",
    "NameTakenError",
    "NoServerError",
    "NoSpaceError",
    "NotFoundError",
    "OutputGoneError",
    "OutputTakenError",
    "PenstockError",
    "RecordError",
    "Retry",
    "RetryAfter",
    "RetryPolicy",
    "RunningTask",
    "Settled",
    "Skip",
    "StoreError",
    "Task",
    "TaskCall",
    "TaskCancelled",
    "TaskContext",
    "TaskDeferrer",
    "TaskError",
    "TaskFailed",
    "TaskHandle",
    "TaskInfo",
    "TaskSettings",
    "UnauthorizedError",
    "Unique",
    "current_context",
    "retry",
    "work",
]


def __getattr__(name: str) -> Any:
    """The asyncio half when it is asked for: to import asyncio takes longer than all the rest."""
    if name == "AsyncClient":
        from .async_client import AsyncClient

        return AsyncClient
    if name in ("AsyncJob", "AsyncLease"):
        from . import async_job

        return getattr(async_job, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
