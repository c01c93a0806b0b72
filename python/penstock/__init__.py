"""Penstock: claims records of files, settles results, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import Client, Jobs, Key, Keys
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
    NoSpaceError,
    NotFoundError,
    OutputGoneError,
    OutputTakenError,
    PenstockError,
    StoreError,
    UnauthorizedError,
)
from .event import Event
from .job import Counts, Job, RecordError
from .lease import Lease, Settled
from .outcome import Fail, RetryAfter, Skip, retry
from .worker import work

if TYPE_CHECKING:
    from .async_client import AsyncClient
    from .async_job import AsyncJob, AsyncLease

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncLease",
    "BusyError",
    "Client",
    "ConflictError",
    "ConnectionLostError",
    "Counts",
    "Event",
    "Fail",
    "FatalError",
    "FileError",
    "ForbiddenError",
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
    "NoSpaceError",
    "NotFoundError",
    "OutputGoneError",
    "OutputTakenError",
    "PenstockError",
    "RecordError",
    "RetryAfter",
    "Settled",
    "Skip",
    "StoreError",
    "UnauthorizedError",
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
