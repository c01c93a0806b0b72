"""How jobs stand, as models: counts and times of a dataset, its batches, their queues and tasks."""

import datetime
from typing import Literal, Optional

from pydantic import BaseModel, Field, computed_field

JobStatus = Literal["todo", "doing", "succeeded", "failed", "aborted", "aborting", "cancelled"]


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
