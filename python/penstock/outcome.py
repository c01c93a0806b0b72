"""What a function of a record may say besides its result: skip, fail for good, retry and when."""

from __future__ import annotations

import functools
import inspect
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])

JITTER = 0.1


class Skip(Exception):  # noqa: N818 - an outcome, not an error
    """Raise it for a record that is done and has nothing to write; the same as to return None."""


class Fail(Exception):  # noqa: N818
    """Raise it for a record that has failed for good: it is not tried again."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryAfter(Exception):  # noqa: N818
    """Raise it when the record is to be tried again, but not before so many seconds.

    It counts as an attempt, and as a sign that the service has had too much: an adaptive run goes
    slower.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"to be tried again after {seconds:g} s")
        self.seconds = seconds


class Retry(Exception):  # noqa: N818
    """Raise it when the task is to be run again, so many seconds later, whatever its policy says.

    It counts as an attempt: a task that has none left has failed.
    """

    def __init__(self, reason: str = "", *, delay_s: float = 1.0) -> None:
        super().__init__(reason or "to be run again")
        self.delay_s = delay_s


class Aborted(BaseException):
    """The task that runs is to end: it was cancelled, or its time is over.

    A plain function gets it when it touches its context. No Exception, so that it is not caught by
    the way; who lets it through ends as it should.
    """

    def __init__(self, reason: str = "cancelled") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryPlan:
    """How often and after which delays a function is to be called again."""

    __slots__ = ("delay_s", "factor", "function", "outer", "retries")

    def __init__(
        self, retries: int, delay_s: float, factor: float, function: Callable[..., Any]
    ) -> None:
        if retries < 0 or delay_s < 0 or factor <= 0:
            raise ValueError("retries and the delay are not negative, the factor is above 0")
        self.retries = retries
        self.delay_s = delay_s
        self.factor = factor
        #: What is called.
        self.function = function
        #: What the decorator made of it. functools.wraps copies the mark of a function onto
        #: whatever is wrapped around it; only the one named here is the decorated one.
        self.outer: Callable[..., Any] | None = None

    def pause_s(self, attempt: int) -> float:
        """How long to wait after the attempt of that number, from 0 on."""
        spread = random.uniform(1 - JITTER, 1 + JITTER)
        return float(self.delay_s * self.factor**attempt * spread)


def retry_plan_of(function: Any) -> RetryPlan | None:
    """The plan of a function that is decorated with `retry` and with nothing outside of it."""
    plan = getattr(function, "__penstock_retry__", None)
    return plan if isinstance(plan, RetryPlan) and plan.outer is function else None


@overload
def retry(
    retries: int = 3, initial_delay: float = 1.0, backoff_factor: float = 2.0
) -> Callable[[Function], Function]: ...
@overload
def retry(retries: Function) -> Function: ...
def retry(
    retries: Any = 3, initial_delay: float = 1.0, backoff_factor: float = 2.0
) -> Callable[[Function], Function] | Any:
    """Calls a function again when it raises, up to `retries` times.

    Between the calls it waits `initial_delay` seconds, give or take a tenth, and `backoff_factor`
    times longer each time. The last error is raised again; Skip and Fail at once; RetryAfter says
    itself how long to wait. Around `process_record` itself the run does the waiting: the record
    gives its place to others meanwhile, and each attempt gets a fresh copy of it.
    """
    if callable(retries):
        return retry()(retries)

    def decorate(function: Function) -> Function:
        plan = RetryPlan(retries, initial_delay, backoff_factor, function)
        wrapper = _retrying(plan) if _is_coroutine(function) else _retrying_plainly(plan)
        plan.outer = wrapper
        wrapper.__penstock_retry__ = plan  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorate


def _is_coroutine(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - its kind is asked for, not whether
    )


def _wait_s(plan: RetryPlan, attempt: int, error: Exception) -> float:
    """How long to wait after that error; raises it again when it was the last."""
    if isinstance(error, (Skip, Fail)) or attempt >= plan.retries:
        raise error
    return error.seconds if isinstance(error, RetryAfter) else plan.pause_s(attempt)


def _retrying(plan: RetryPlan) -> Callable[..., Any]:
    import asyncio  # what waits has it already; who does not need not pay for it

    @functools.wraps(plan.function)
    async def wrapper(*args: Any, **named: Any) -> Any:
        attempt = 0
        while True:
            try:
                return await plan.function(*args, **named)
            except Exception as error:
                pause_s = _wait_s(plan, attempt, error)
            await asyncio.sleep(pause_s)
            attempt += 1

    return wrapper


def _retrying_plainly(plan: RetryPlan) -> Callable[..., Any]:
    @functools.wraps(plan.function)
    def wrapper(*args: Any, **named: Any) -> Any:
        attempt = 0
        while True:
            try:
                return plan.function(*args, **named)
            except Exception as error:
                pause_s = _wait_s(plan, attempt, error)
            time.sleep(pause_s)
            attempt += 1

    return wrapper
