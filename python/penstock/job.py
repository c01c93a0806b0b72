"""Jobs as the server shows them, and what can be done with them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from .event import Event, follow, instant
from .lease import Lease

if TYPE_CHECKING:
    from .client import Client


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


@dataclass(frozen=True)
class RecordError:
    """One entry of the error file."""

    record: int | None
    line: int | None
    reason: Any
    told: dict[str, Any]


def job_path(job: int | str | Job) -> str:
    """The path of a job given by id, by name, or as it was shown."""
    if isinstance(job, Job):
        return f"/v1/jobs/{job.id}"
    return f"/v1/jobs/{job}" if isinstance(job, int) else f"/v1/jobs/~{quote(job, safe='')}"


@dataclass(frozen=True)
class Job:
    """A job as it was when it was asked for; `refresh` asks again."""

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
    _client: Client = field(repr=False, compare=False)

    @classmethod
    def of(cls, client: Client, told: dict[str, Any]) -> Job:
        """From the server's JSON. Members this version does not know are left out."""
        counts: dict[str, Any] = {
            name: told["records"].get(name) for name in Counts.__dataclass_fields__
        }
        values: dict[str, Any] = {
            name: told.get(name) for name in cls.__dataclass_fields__ if name != "_client"
        }
        for name in ("created_at", "started_at", "ended_at"):
            values[name] = instant(told[name]) if told.get(name) else None
        values["records"] = Counts(**counts)
        return cls(_client=client, **values)

    @property
    def path(self) -> str:
        return job_path(self)

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.state in ("completed", "failed", "cancelled")

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
        return self._verb("repair", {"failed": failed})

    def clean(self, *, output: bool = True) -> Job:
        """Forgets what is in flight and removes the output file."""
        return self._verb("clean", {"output": output})

    def delete(self) -> None:
        """Forgets the job; the output stays."""
        self._client.jobs.delete(self)

    def claim(self, max: int = 100, wait_s: float = 0.0, lease_s: float | None = None) -> Lease:
        """Takes up to `max` records, waiting up to `wait_s` (60 at most) for the first."""
        body: dict[str, Any] = {"max": max, "wait_s": wait_s}
        if lease_s is not None:
            body["lease_s"] = lease_s
        told = self._client.send("POST", f"{self.path}/claim", orjson.dumps(body), wait_s=wait_s)
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
            told = self._client.send("GET", f"{self.path}/errors?after={after}&limit={page}")
            for entry in told["errors"]:
                reason = entry.get("reason")
                yield RecordError(entry.get("record"), entry.get("line"), reason, entry)
            after = told["next"]

    def events(self, after: int | None = None) -> Iterator[Event]:
        """As Client.events, of this job."""
        return follow(self._client.new_connection(), f"{self.path}/events", after)

    def _verb(self, verb: str, body: dict[str, Any] | None = None) -> Job:
        raw = None if body is None else orjson.dumps(body)
        return Job.of(self._client, self._client.send("POST", f"{self.path}/{verb}", raw))
