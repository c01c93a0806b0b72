"""How jobs stand: dataset, batch, queue, task, each with counts, times and what is left."""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from pydantic import BaseModel, Field, computed_field

from ..app import app_of
from ..model import JobStatus

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


class StatusCounts(BaseModel):
    """Counts of jobs by status, and times."""

    name: str
    todo: int = 0
    doing: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    aborted: int = 0
    aborting: int = 0
    #: When the first was deferred, and when something last happened.
    min_ts: Optional[datetime.datetime] = None
    max_ts: Optional[datetime.datetime] = None
    #: Jobs that end in a second, of late.
    rate: float = 0.0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        return self.active + self.finished

    @computed_field  # type: ignore[prop-decorator]
    @property
    def active(self) -> int:
        """What has not ended."""
        return self.todo + self.doing + self.aborting

    @computed_field  # type: ignore[prop-decorator]
    @property
    def finished(self) -> int:
        """What has ended, in whatever way."""
        return self.succeeded + self.failed + self.cancelled + self.aborted

    @computed_field  # type: ignore[prop-decorator]
    @property
    def took(self) -> datetime.timedelta:
        """From the first to the last."""
        if self.min_ts is None or self.max_ts is None:
            return datetime.timedelta(0)
        return self.max_ts - self.min_ts

    @computed_field  # type: ignore[prop-decorator]
    @property
    def remaining_time(self) -> Optional[datetime.timedelta]:
        """How long what has not ended may take: at the rate of late, else at that so far.

        None: nothing has ended yet.
        """
        if not self.active:
            return datetime.timedelta(0)
        rate = self.rate
        if rate <= 0 and self.took:
            rate = self.finished / self.took.total_seconds()
        return datetime.timedelta(seconds=self.active / rate) if rate > 0 else None

    def is_active(self) -> bool:
        """Whether something has not ended."""
        return self.active > 0

    def is_running(self) -> bool:
        """Whether something is in work."""
        return self.doing > 0

    def add(self, other: "StatusCounts") -> None:
        """Adds what another one counts."""
        for name in ("todo", "doing", "succeeded", "failed", "cancelled", "aborted", "aborting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rate += other.rate
        self.min_ts = min((ts for ts in (self.min_ts, other.min_ts) if ts), default=None)
        self.max_ts = max((ts for ts in (self.max_ts, other.max_ts) if ts), default=None)


class TaskStatus(StatusCounts):
    """Jobs of one task."""


class QueueStatus(StatusCounts):
    """Jobs in one queue."""

    tasks: list[TaskStatus] = Field(default_factory=list)


class BatchStatus(StatusCounts):
    """Jobs of one batch."""

    queues: list[QueueStatus] = Field(default_factory=list)


class DatasetStatus(StatusCounts):
    """Jobs of one dataset."""

    batches: list[BatchStatus] = Field(default_factory=list)


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
