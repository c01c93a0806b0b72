"""What is told of a task that failed: as of a record, and the traceback."""

from __future__ import annotations

import traceback

from ..arguments import ArgumentsError
from ..failure import Failure, clean_text, failure_of
from ..outcome import Retry
from .task_processes import RemoteFailure

TRACEBACK_MAX = 32_768


def task_failure(error: BaseException, took_s: float) -> Failure:
    """The failure for what a task's function raised."""
    if isinstance(error, RemoteFailure):
        return error.failure
    failure = failure_of(error, took_s)
    # Rates are the queue's business.
    failure.pop("throttled", None)
    if isinstance(error, ArgumentsError):
        failure["final"] = True
    if isinstance(error, Retry):
        failure["retry_after_s"] = max(float(error.delay_s), 0.001)
    # What is built upon this may know better what is to follow.
    failure.update(getattr(error, "__penstock_verdict__", {}))
    trace = error.__traceback__
    # What stands above the user's code is ours.
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    failure["traceback"] = clean_text(text[-TRACEBACK_MAX:])
    return failure


_PACKAGE = __file__.rpartition("/runtime/")[0]
_OWN = (f"{_PACKAGE}/runtime/", f"{_PACKAGE}/steps/")
