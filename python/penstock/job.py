"""Jobs as the server shows them, and what can be done with them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from . import calls
from .calls import Call, given
from .event import Event, follow, instant
from .lease import Lease

if TYPE_CHECKING:
    from .client import Client

View = TypeVar("View", bound="JobView")


@dataclass(frozen=True)
class Counts:
    """How many records are where. `total` is None while it cannot even be estimated."""

    known: int
    total: int | None
    unread: int
    served: int
    done: int
    failed: int
    bad: int
    repeats: int
    written: int
    #: Of the done: those that gave nothing to write.
    skipped: int = 0


@dataclass(frozen=True)
class RecordError:
    """One entry of the error file."""

    record: int | None
    line: int | None
    reason: Any
    told: dict[str, Any]

    @classmethod
    def of(cls, told: dict[str, Any]) -> RecordError:
        return cls(told.get("record"), told.get("line"), told.get("reason"), told)


@dataclass(frozen=True)
class JobView:
    """A job as it was when it was asked for."""

    id: int
    name: str
    kind: str
    state: str
    paused: bool
    protected: bool
    mode: str
    source: dict[str, Any] | None
    sink: dict[str, Any] | None
    lease_s: float
    max_attempts: int
    allow_repeats: bool
    limits: dict[str, Any] | None
    retry: dict[str, Any] | None
    identity: dict[str, Any] | None
    records: Counts
    leases: int
    exhausted: bool
    rate_per_s: float
    eta_s: float | None
    failure: str | None
    tail: str | None
    errors_path: str | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    #: All that the server told.
    told: dict[str, Any] = field(repr=False, compare=False)
    _client: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls: type[View], client: Any, told: dict[str, Any]) -> View:
        """From the server's JSON. Members this version does not know are in `told` only."""
        records = told["records"]
        counts = {one.name: records[one.name] for one in fields(Counts) if one.name in records}
        names = [one.name for one in fields(cls) if one.name != "_client"]
        values: dict[str, Any] = {name: told.get(name) for name in names}
        for name in ("created_at", "started_at", "ended_at"):
            values[name] = instant(told[name]) if told.get(name) else None
        values["records"] = Counts(**counts)
        values["told"] = told
        return cls(_client=client, **values)

    @property
    def path(self) -> str:
        return calls.job_path(self.id)

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.state in ("completed", "failed", "cancelled")


def job_path(job: int | str | JobView) -> str:
    """The path of a job given by id, by name, or as it was shown."""
    return calls.job_path(job.id if isinstance(job, JobView) else job)


@dataclass(frozen=True)
class Job(JobView):
    """A job of a Client; `refresh` asks again."""

    if TYPE_CHECKING:
        _client: Client

    def refresh(self) -> Job:
        """The job as it is now."""
        return self._client.jobs.get(self)

    def pause(self) -> Job:
        """Hands out nothing more; results are still taken."""
        return self._verb("pause")

    def resume(self) -> Job:
        """Hands out records again."""
        return self._verb("resume")

    def cancel(self) -> Job:
        """Ends the job for good."""
        return self._verb("cancel")

    def repair(self, *, failed: bool = False) -> Job:
        """Serves again what is neither done nor failed; with `failed` what failed too."""
        return self._verb("repair", given(failed=failed))

    def clean(self, *, output: bool = True) -> Job:
        """Forgets what is in flight and removes the output file."""
        return self._verb("clean", given(output=output))

    def delete(self) -> None:
        """Forgets the job; the output stays."""
        self._client.jobs.delete(self)

    def claim(self, max: int = 100, wait_s: float = 0.0, lease_s: float | None = None) -> Lease:
        """Takes up to `max` records, waiting up to `wait_s` (60 at most) for the first."""
        told = self._client.ask(calls.claim(self.path, max, wait_s, lease_s))
        lasts_s = self.lease_s if lease_s is None else lease_s
        return Lease(self._client, self.path, told, lasts_s)

    def claims(
        self, max: int = 100, wait_s: float = 30.0, lease_s: float | None = None
    ) -> Iterator[Lease]:
        """Leases with records in them until the job has ended. Use each in a `with` block."""
        while True:
            lease = self.claim(max, wait_s, lease_s)
            if lease:
                yield lease
            elif lease.finished:
                return

    def errors(self, page: int = 100) -> Iterator[RecordError]:
        """What failed, oldest first, as far as it is known now."""
        after: int | None = 0
        while after is not None:
            told = self._client.ask(calls.list_errors(self.path, after, page))
            yield from map(RecordError.of, told["errors"])
            after = told["next"]

    def events(self, after: int | None = None) -> Iterator[Event]:
        """As Client.events, of this job."""
        return follow(self._client.new_connection(), f"{self.path}/events", after)

    def _verb(self, verb: str, body: bytes | None = None) -> Job:
        return Job.of(self._client, self._client.ask(Call("POST", f"{self.path}/{verb}", body)))
