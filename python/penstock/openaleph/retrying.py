"""The function's own word on what follows its failure.

A job is mostly deferred by another service, which does not know how its task is to be retried. So
the worker says it: whether a failure is final, or when the next attempt is to be.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

from ..context import current_context
from ..outcome import Fail, Retry, RetryAfter
from ..task_call import ATTEMPTS_DEFAULT, RetryPolicy
from .wrapping import wrapped


def policy_of(retry: Any) -> RetryPolicy | None:
    """The policy that a task's `retry` means; None: what fails has failed."""
    if isinstance(retry, RetryPolicy):
        return retry
    if retry is True:
        return RetryPolicy()
    return RetryPolicy(retries=retry) if retry else None


def retrying(function: Callable[..., Any], policy: RetryPolicy | None) -> Callable[..., Any]:
    """The function, whose errors say what follows. Of the same kind."""

    @contextlib.contextmanager
    def judged(args: tuple[Any, ...]) -> Iterator[None]:
        try:
            yield
        except (Fail, Retry, RetryAfter):
            raise  # they say so themselves
        except Exception as error:
            context = current_context()
            if context is not None:
                told = verdict(policy, context.attempt, error)
                with contextlib.suppress(AttributeError):
                    error.__penstock_verdict__ = told  # type: ignore[attr-defined]
            raise

    return wrapped(function, judged)


def verdict(policy: RetryPolicy | None, attempt: int, error: Exception) -> dict[str, Any]:
    """Members of the failure of that attempt (from 1 on)."""
    if policy is None:
        return {"final": True}
    retries = ATTEMPTS_DEFAULT - 1 if policy.retries is None else policy.retries
    means = next((means for kind, means in policy.errors.items() if _is(error, kind)), True)
    if means is False or attempt > retries:
        return {"final": True}
    if means is not True:
        return {"retry_after_s": float(means)}
    return {"retry_after_s": pause_s(policy, attempt)}


def _is(error: Exception, kind: type[BaseException] | str) -> bool:
    return type(error).__name__ == kind if isinstance(kind, str) else isinstance(error, kind)


def pause_s(policy: RetryPolicy, attempt: int) -> float:
    """How long after that attempt (from 1 on) the next is to be."""
    pause = policy.delay_s
    if policy.kind == "linear":
        pause *= attempt
    elif policy.kind == "exponential":
        try:
            pause *= policy.factor ** (attempt - 1)
        except OverflowError:
            pause = policy.max_delay_s
    pause = min(pause, policy.max_delay_s)
    return min(pause * random.uniform(1 - policy.jitter, 1 + policy.jitter), policy.max_delay_s)
