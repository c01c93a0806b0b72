"""Penstock: carries records and tasks to functions, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import App, Task, TaskDeferrer
    from .arguments import ArgumentsError
    from .async_client import AsyncClient
    from .async_job import AsyncJob, AsyncLease
    from .async_step_client import AsyncStepJob
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
    from .flow.shell import ShellWorker
    from .flow.worker import Worker
    from .handle import TaskCancelled, TaskError, TaskFailed, TaskHandle, TaskInfo
    from .job import Counts, Job, RecordError
    from .lease import Lease, Settled
    from .outcome import Aborted, Fail, Retry, RetryAfter, Skip, retry
    from .queue_calls import Blob, Changed, Fragment
    from .step_calls import Artifact, StepJobFailed
    from .step_client import Artifacts, StepJob, StepJobs, Steps
    from .steps.context import StepContext, current_step
    from .steps.dataslot import MediaTypes, SlotType, dataslot
    from .steps.declare import step
    from .steps.slot_file import DataSlot, Slot
    from .task_call import RetryPolicy, TaskCall, TaskSettings, Unique
    from .worker import work

__all__ = [
    "Aborted",
    "App",
    "ArgumentsError",
    "Artifact",
    "Artifacts",
    "AsyncClient",
    "AsyncJob",
    "AsyncLease",
    "AsyncStepJob",
    "Blob",
    "BusyError",
    "Changed",
    "Client",
    "ConflictError",
    "ConnectionLostError",
    "Counts",
    "DataSlot",
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
    "MediaTypes",
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
    "ShellWorker",
    "Skip",
    "Slot",
    "SlotType",
    "StepContext",
    "StepJob",
    "StepJobFailed",
    "StepJobs",
    "Steps",
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
    "Worker",
    "current_context",
    "current_step",
    "dataslot",
    "retry",
    "step",
    "work",
]

_MODULES = {
    "app": "App Task TaskDeferrer",
    "arguments": "ArgumentsError",
    "async_client": "AsyncClient",
    "async_job": "AsyncJob AsyncLease",
    "async_step_client": "AsyncStepJob",
    "client": "Client Jobs Key Keys",
    "context": "RunningTask TaskContext current_context",
    "errors": (
        "BusyError ConflictError ConnectionLostError FatalError FileError ForbiddenError "
        "InternalError InvalidError LeaseEndedError LimitError MethodNotAllowedError "
        "NameTakenError NoServerError NoSpaceError NotFoundError OutputGoneError "
        "OutputTakenError PenstockError StoreError UnauthorizedError"
    ),
    "event": "Event",
    "flow.shell": "ShellWorker",
    "flow.worker": "Worker",
    "handle": "TaskCancelled TaskError TaskFailed TaskHandle TaskInfo",
    "job": "Counts Job RecordError",
    "lease": "Lease Settled",
    "outcome": "Aborted Fail Retry RetryAfter Skip retry",
    "queue_calls": "Blob Changed Fragment",
    "step_calls": "Artifact StepJobFailed",
    "step_client": "Artifacts StepJob StepJobs Steps",
    "steps.context": "StepContext current_step",
    "steps.dataslot": "MediaTypes SlotType dataslot",
    "steps.declare": "step",
    "steps.slot_file": "DataSlot Slot",
    "task_call": "RetryPolicy TaskCall TaskSettings Unique",
    "worker": "work",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first asked for: a process that needs few of them, such as
    one that runs the nodes of a flow, is to be there at once."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
