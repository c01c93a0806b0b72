"""What is told of a record that failed: from an exception to the members of a failure."""

from __future__ import annotations

import contextlib
import email.utils
import time
from typing import Any

from .outcome import Fail, RetryAfter

MESSAGE_MAX = 4000
RETRY_AFTER_MAX_S = 86400.0
THROTTLED = (429, 503)

Failure = dict[str, Any]


def failure_of(error: BaseException, took_s: float) -> Failure:
    """The failure for an exception that a function raised after `took_s` seconds."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception as broken:
        text = f"its text cannot be had: {type(broken).__name__}"
    if not text:
        text = kind
        # By name: asyncio's is a class of its own before Python 3.11.
        if kind == "TimeoutError":
            text = f"timed out after {took_s:.3g} s"
    failure: Failure = {"message": clean_text(text)[:MESSAGE_MAX], "type": kind}
    if isinstance(error, Fail):
        failure["final"] = True
    elif isinstance(error, RetryAfter):
        failure["throttled"] = True
        failure["retry_after_s"] = _bounded(error.seconds)
    else:
        _add_throttling(failure, error)
    return failure


def clean_text(text: str) -> str:
    """The same text without lone surrogates, which are no JSON."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _add_throttling(failure: Failure, error: BaseException | None) -> None:
    """Adds what an HTTP library's error says, its own or one that it was raised from."""
    for _ in range(5):
        if error is None:
            return
        for holder in (error, getattr(error, "response", None)):
            if holder is not None and _status(holder) in THROTTLED:
                failure["throttled"] = True
                after_s = _retry_after_s(getattr(holder, "headers", None))
                if after_s is not None:
                    failure["retry_after_s"] = after_s
                return
        error = error.__cause__


def _status(holder: Any) -> int:
    """The HTTP status that an error or a response of aiohttp, httpx, requests, urllib carries."""
    for name in ("status", "status_code", "code"):
        with contextlib.suppress(Exception):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return int(value)
    return 0


def _retry_after_s(headers: Any) -> float | None:
    """Of the header Retry-After: seconds, or a date."""
    text = None
    with contextlib.suppress(Exception):
        # Not every library's headers ignore case.
        text = headers.get("Retry-After") or headers.get("retry-after")
    if not isinstance(text, str):
        return None
    try:
        return _bounded(float(text))
    except ValueError:
        pass
    with contextlib.suppress(Exception):
        return _bounded(email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _bounded(seconds: float) -> float:
    """Between nothing and a day; what is no number counts as nothing."""
    return min(max(float(seconds), 0.0), RETRY_AFTER_MAX_S) if seconds == seconds else 0.0
