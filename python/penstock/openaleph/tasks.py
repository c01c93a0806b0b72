"""Functions that take a job."""

from __future__ import annotations

import random
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..app import App, Task
from ..outcome import RetryPlan
from ..task_call import ATTEMPTS_MAX, RetryPolicy, TaskCall, Unique
from .exceptions import UnexpectedResult
from .model import DatasetJob, Job, job_of
from .retrying import policy_of, retrying
from .tracer import traced

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    Params = ParamSpec("Params")
else:
    Params = TypeVar("Params")
Result = TypeVar("Result")


_RANGES = {
    "ANY": (1, 100),
    "LOW": (1, 50),
    "MEDIUM": (50, 70),
    "HIGH": (70, 90),
    "USER": (90, 99),
    "MAX": (100, 100),
}


class _Drawn(type):
    """Draws an attribute from its range, each time it is asked for."""

    def __getattr__(cls, name: str) -> int:
        if name not in _RANGES:
            raise AttributeError(f"there is no priority {name}; there are {', '.join(_RANGES)}")
        return random.randint(*_RANGES[name])


class Priorities(metaclass=_Drawn):
    """`job.defer(app, Priorities.HIGH)`: ANY, LOW, MEDIUM, HIGH, USER, MAX; higher runs first."""

    def __getattr__(self, name: str) -> int:
        drawn: int = getattr(type(self), name)
        return drawn


@overload
def task(original: Callable[Params, Result], *, app: App) -> Task[Params, Result]: ...
@overload
def task(
    original: None = None, *, app: App, tracer_uri: str | None = None, **options: Any
) -> Callable[[Callable[Params, Result]], Task[Params, Result]]: ...
def task(
    original: Callable[..., Any] | None = None,
    *,
    app: App,
    tracer_uri: str | None = None,
    **options: Any,
) -> Any:
    """Makes a task of a function of a job: plain, coroutine, generator or async generator.

    Jobs that it yields or returns are deferred, None is nothing; anything else is an error. It gets
    a DatasetJob when the job has a dataset, else a Job; with `pass_context=True` the TaskContext
    comes first. `tracer_uri` has what becomes of each entity kept (see Tracer). `options` are those
    of penstock.App.task; of procrastinate's, `retry` (True: without end; a number; or an object
    with its RetryStrategy's members) and `queueing_lock` too.
    """

    def decorate(function: Callable[..., Any]) -> Task[Any, Any]:
        wanted = DatasetJob if _wants_dataset(function, options) else None
        made = function
        if tracer_uri is not None:
            made = traced(function, app, tracer_uri)
        told = _translated(options)
        if "retry" in told and not isinstance(told["retry"], RetryPlan):
            made = retrying(made, policy_of(told["retry"]))
        return app.task(
            model=lambda arguments: job_of(arguments, app, wanted),
            accept=lambda value: _call_of(value, app),
            **told,
        )(made)

    return decorate if original is None else decorate(original)


def _wants_dataset(function: Callable[..., Any], options: dict[str, Any]) -> bool:
    """Whether the function says that it takes a DatasetJob and nothing else."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # a name that is there for type checkers alone
        return False
    hints.pop("return", None)
    taken = list(hints.values())
    return bool(taken) and taken[-1] is DatasetJob


def _call_of(value: Any, app: App) -> TaskCall:
    if isinstance(value, TaskCall):
        return value
    if isinstance(value, Job):
        return value.call(app)
    raise UnexpectedResult(
        f"a task yields or returns jobs, or nothing; not {type(value).__name__} ({value!r:.80})"
    )


def _translated(options: dict[str, Any]) -> dict[str, Any]:
    """Options of procrastinate's in our words."""
    told = dict(options)
    if "retry" in told:
        told["retry"] = _retry_of(told["retry"])
    queueing_lock = told.pop("queueing_lock", None)
    if queueing_lock is not None:
        told["unique"] = Unique(queueing_lock, "pending", "refuse")
    return told


def _retry_of(retry: Any) -> Any:
    for_ever = ATTEMPTS_MAX - 1
    if retry is True:
        return RetryPolicy(retries=for_ever)
    if not hasattr(retry, "exponential_wait"):
        return retry
    if getattr(retry, "retry_exceptions", None):
        raise UnexpectedResult(
            "retry_exceptions: say penstock.RetryPolicy(errors={ValueError: False}) instead,"
            " which names what is not retried"
        )
    given = retry.max_attempts
    retries = for_ever if given is None else given
    if retry.exponential_wait:
        wait = float(retry.exponential_wait)
        return RetryPolicy(retries, "exponential", wait, wait, jitter=0.0)
    if retry.linear_wait:
        return RetryPolicy(retries, "linear", float(retry.linear_wait), jitter=0.0)
    return RetryPolicy(retries, "fixed", float(retry.wait), jitter=0.0)
