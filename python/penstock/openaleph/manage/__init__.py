"""Jobs in bulk: how they stand, cancelled, put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import InvalidError
from ...handle import TaskInfo
from ..app import app_of
from ..job_status import BatchStatus, DatasetStatus, QueueStatus, StatusCounts, TaskStatus
from ..model import AnyJob, job_of
from .status import SYSTEM, get_dataset_status, get_status, status_of

__all__ = [
    "BatchStatus",
    "DatasetStatus",
    "QueueStatus",
    "StatusCounts",
    "TaskStatus",
    "cancel_jobs",
    "get_dataset_status",
    "get_status",
    "iterate_jobs",
    "requeue_failed",
    "requeue_stalled",
]


def cancel_jobs(
    dataset: str | None = None,
    batch: str | None = None,
    queue: str | None = None,
    task: str | None = None,
    app: Any = None,
) -> int:
    """Cancels what has not ended: all of it that the filters leave; how many.

    Jobs that run are asked to stop: the server's REST interface says which these are.
    """
    filter = _filter(dataset, batch, queue, task)
    return app_of(app).client.tasks.cancel(**(filter or {"all": True})).changed


def requeue_failed(
    dataset: str | None = None,
    queue: str | None = None,
    task: str | None = None,
    batch: str | None = None,
    app: Any = None,
) -> int:
    """Failed jobs wait again, with all their attempts; how many."""
    filter = _filter(dataset, batch, queue, task)
    return app_of(app).client.tasks.retry(state="failed", **filter).changed


def requeue_stalled(
    dataset: str | None = None,
    queue: str | None = None,
    task: str | None = None,
    batch: str | None = None,
    app: Any = None,
) -> int:
    """0: the server itself puts back what a dead worker held, as soon as its lease is over."""
    return 0


def iterate_jobs(
    dataset: str | None = None,
    batch: str | None = None,
    queue: str | None = None,
    task: str | None = None,
    state: str | None = None,
    app: Any = None,
) -> Iterator[AnyJob]:
    """Jobs as they were deferred, with id and status, in order of ids.

    `state` is the server's word for it: pending, running, completed, ...
    """
    asked = app_of(app)
    tasks = asked.client.tasks
    filter = {**_filter(dataset, batch, queue, task), **({"state": state} if state else {})}
    for listed in tasks.list(**filter):
        yield _job_of(tasks.get(listed.id), asked)


def _job_of(told: TaskInfo, app: Any) -> AnyJob:
    arguments = told.arguments if isinstance(told.arguments, dict) else {}
    # Tasks that are no jobs of ours are shown as well as they can be.
    job = job_of({"queue": told.queue, "task": told.function, **arguments}, app)
    job.id, job.status = told.id, status_of(told.state)
    return job


def _filter(
    dataset: str | None, batch: str | None, queue: str | None, task: str | None
) -> dict[str, Any]:
    named = {"key": dataset, "batch": batch, "queue": queue, "function": task}
    if dataset == SYSTEM:
        raise InvalidError(f"{SYSTEM} stands for jobs without a dataset: name their queue or task")
    return {name: value for name, value in named.items() if value is not None}
