"""How jobs stand: dataset, batch, queue, task, each with counts, times and what is left."""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from ..app import app_of
from ..job_status import (
    BatchStatus,
    DatasetStatus,
    JobStatus,
    QueueStatus,
    StatusCounts,
    TaskStatus,
)

#: What stands for jobs without a dataset, and for those without a batch.
SYSTEM, BATCH = "__system__", "default"

_STATUS: dict[str, JobStatus] = {
    "blocked": "todo",
    "pending": "todo",
    "running": "doing",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}


def status_of(state: str) -> JobStatus:
    """The server's word for a state in a job's words."""
    return _STATUS[state]


def get_status(active_only: bool = True, app: Any = None) -> Iterator[DatasetStatus]:
    """All datasets in order of names, or those in which something has not ended."""
    told = app_of(app).client.tasks.status()
    return _trees(told, active_only)


def get_dataset_status(
    dataset: str, active_only: bool = True, app: Any = None
) -> Optional[DatasetStatus]:
    """One dataset; None when there is nothing of it, or with active_only nothing that goes on."""
    if dataset == SYSTEM:
        return next((one for one in get_status(active_only, app) if one.name == SYSTEM), None)
    told = app_of(app).client.tasks.status(key=dataset)
    return next(_trees(told, active_only), None)


def _trees(told: dict[str, Any], active_only: bool) -> Iterator[DatasetStatus]:
    for tree in sorted(trees_of(told), key=lambda one: one.name):
        if tree.is_active() or not active_only:
            yield tree


def trees_of(told: dict[str, Any]) -> list[DatasetStatus]:
    """The server's tree with the sums of every level."""
    datasets = []
    for key in told["keys"]:
        dataset = DatasetStatus(name=key["key"] or SYSTEM)
        for group in key["batches"]:
            batch = BatchStatus(name=group["batch"] or BATCH)
            for of in group["queues"]:
                queue = QueueStatus(name=of["queue"])
                queue.tasks = [_task_of(leaf) for leaf in of["functions"]]
                _sum(queue, queue.tasks)
                batch.queues.append(queue)
            _sum(batch, batch.queues)
            dataset.batches.append(batch)
        _sum(dataset, dataset.batches)
        datasets.append(dataset)
    return datasets


def _sum(whole: StatusCounts, parts: Iterable[StatusCounts]) -> None:
    for part in parts:
        whole.add(part)


def _task_of(leaf: dict[str, Any]) -> TaskStatus:
    task = TaskStatus(name=leaf["function"], rate=leaf.get("rate_per_s") or 0.0)
    for state, count in leaf["counts"].items():
        name = _STATUS.get(state)
        if name is not None:
            setattr(task, name, getattr(task, name) + count)
    task.min_ts, task.max_ts = _instant(leaf.get("first_at")), _instant(leaf.get("last_at"))
    return task


def _instant(text: Optional[str]) -> Optional[datetime.datetime]:
    # Before Python 3.11 fromisoformat knows no Z.
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
