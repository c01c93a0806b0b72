"""What can go wrong: one exception per error code of the server, and one for the connection."""

from __future__ import annotations

import json
from typing import Any, ClassVar


class PenstockError(Exception):
    """The server refused. `code` is for programs, the text for people."""

    code: ClassVar[str] = ""

    def __init__(self, detail: str, status: int = 0, problem: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.problem = problem or {}
        #: The call was sent more than once, and an answer to an earlier sending may be lost.
        self.repeated = False


class InvalidError(PenstockError):
    """The request cannot be right."""

    code = "invalid"


class UnauthorizedError(PenstockError):
    """No key, or an unknown one."""

    code = "unauthorized"


class ForbiddenError(PenstockError):
    """The key lacks the scope, or the path is outside the server's data folders."""

    code = "forbidden"


class NotFoundError(PenstockError):
    """No such job, key or file."""

    code = "not-found"


class MethodNotAllowedError(PenstockError):
    """The path knows other methods: the server is not the one this client was made for."""

    code = "method-not-allowed"


class ConflictError(PenstockError):
    """The state of things does not allow it."""

    code = "conflict"


class NameTakenError(ConflictError):
    """There is a job of that name already."""

    code = "name-taken"


class OutputTakenError(ConflictError):
    """The output belongs to another job."""

    code = "output-taken"


class LeaseEndedError(ConflictError):
    """The lease is not held any more: its time was over, or the job was stopped."""

    code = "lease-ended"


class OutputGoneError(ConflictError):
    """The output was removed, moved away, cut short or exchanged: results cannot be written."""

    code = "output-gone"


class LimitError(PenstockError):
    """Larger than the server takes."""

    code = "limit"


class BusyError(PenstockError):
    """Try again later."""

    code = "busy"


class NoSpaceError(PenstockError):
    """The server's disk is full. Nothing was taken."""

    code = "no-space"


class FileError(PenstockError):
    """The server could not read or write a file."""

    code = "io"


class StoreError(PenstockError):
    """The server's store refused or is damaged."""

    code = "store"


class FatalError(PenstockError):
    """The server must restart: whether the call was made durable is not known."""

    code = "fatal"


class InternalError(PenstockError):
    """A mistake in the server."""

    code = "internal"


class ConnectionLostError(PenstockError, ConnectionError):
    """The server cannot be reached, or went away before it answered."""

    code = "connection-lost"


class NoServerError(PenstockError):
    """No server was named, and none could be started. Nothing was asked."""

    code = "no-server"


_BY_CODE: dict[str, type[PenstockError]] = {
    kind.code: kind
    for kind in (
        InvalidError,
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        ConflictError,
        NameTakenError,
        OutputTakenError,
        LeaseEndedError,
        OutputGoneError,
        LimitError,
        BusyError,
        NoSpaceError,
        FileError,
        StoreError,
        FatalError,
        InternalError,
    )
}

# For answers that are no problem documents (a proxy's, say).
_BY_STATUS: dict[int, type[PenstockError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    413: LimitError,
    429: BusyError,
    502: BusyError,
    503: BusyError,
    504: BusyError,
    507: NoSpaceError,
}


def error_of(status: int, body: bytes) -> PenstockError:
    """The exception for an answer of 400 and above."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        text = body[:200].decode("utf-8", "replace")
        return _BY_STATUS.get(status, PenstockError)(f"status {status}: {text}", status)
    code = str(problem.get("type", "")).rpartition(":")[2]
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, PenstockError)
    detail = problem.get("detail") or problem.get("title") or f"status {status}"
    return kind(str(detail), status, problem)
