"""Penstock: claims records of files, settles results, each exactly once."""

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

__all__ = [
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
