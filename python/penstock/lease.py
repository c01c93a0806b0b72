"""A lease: records that a worker holds until it has settled them."""

from __future__ import annotations

import contextlib
import datetime
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from .errors import LeaseEndedError, PenstockError
from .event import instant

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class Settled:
    """What became of what was reported."""

    written: int = 0
    repeats: int = 0
    failed: int = 0
    retried: int = 0

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            self.written + other.written,
            self.repeats + other.repeats,
            self.failed + other.failed,
            self.retried + other.retried,
        )


class Lease:
    """Records claimed and not yet settled.

    As a context manager it settles at the end of the block. When the block raises, what was
    reported until then is settled and the rest is given back. It is false when it holds nothing.
    """

    def __init__(self, client: Client, path: str, told: dict[str, Any], lasts_s: float) -> None:
        lease = told["lease"]
        self.token: str | None = lease["token"] if lease else None
        #: The deadline by the server's clock; None when there is none.
        self.ends_at = _deadline(lease)
        #: Pairs of number and record, in order.
        self.records: list[tuple[int, Any]] = [
            (number, record) for number, record in told["records"]
        ]
        #: The job has ended: nothing will ever come.
        self.finished: bool = told["finished"]
        #: What settle answered, added up.
        self.settled = Settled()
        self._client = client
        self._path = path
        self._lasts_s = lasts_s
        self._from_s = time.monotonic()
        self._open = len(self.records)
        self._results: list[bytes] = []
        self._failures: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Lease of {len(self.records)} records of {self._path}, {self._open} open>"

    def done(self, number: int, result: Any) -> None:
        """Reports a result. It is sent with the next settle. TypeError when it is no JSON."""
        self._results.append(b"[%d,%b]" % (number, orjson.dumps(result)))

    def fail(self, number: int, reason: str | BaseException | None = None) -> None:
        """Reports that a record failed. It is tried again until its attempts are spent."""
        if isinstance(reason, BaseException):
            reason = f"{type(reason).__name__}: {reason}"
        if reason is not None:
            # A text from outside may hold lone surrogates, which are no JSON.
            reason = reason.encode("utf-8", "replace").decode("utf-8")
        self._failures.append(b"[%d,%b]" % (number, orjson.dumps(reason)))

    def settle(self) -> Settled:
        """Sends what was reported since the last time; durable on return.

        LeaseEndedError when the lease is not held any more: its records are served to others.
        """
        if not self._results and not self._failures:
            return Settled()
        body = b'{"lease":%b,"results":[%b],"failures":[%b]}' % (
            orjson.dumps(self.token),
            b",".join(self._results),
            b",".join(self._failures),
        )
        reported = len(self._results) + len(self._failures)
        settled = self._send(body)
        self._open -= reported
        self._results.clear()
        self._failures.clear()
        self.settled += settled
        return settled

    def _send(self, body: bytes) -> Settled:
        try:
            told = self._client.send("POST", f"{self._path}/settle", body)
        except LeaseEndedError as ended:
            # The first sending may have been taken whole, which ends the lease, and only its answer
            # was lost. If it was not, the records are served again: right in both cases.
            if not ended.repeated:
                raise
            return Settled()
        return Settled(told["written"], told["repeats"], told["failed"], told["retried"])

    def extend(self, lease_s: float | None = None) -> None:
        """Moves the deadline to `lease_s` seconds from now (None: as long as the job says)."""
        body: dict[str, Any] = {"lease": self.token}
        if lease_s is not None:
            body["lease_s"] = lease_s
        asked_at_s = time.monotonic()
        told = self._client.send("POST", f"{self._path}/extend", orjson.dumps(body))
        self.ends_at = _deadline(told)
        self._from_s = asked_at_s
        if lease_s is not None:
            self._lasts_s = lease_s

    def extend_when_due(self, lease_s: float | None = None) -> None:
        """Extends when half of the lease's time is over. For loops over slow records."""
        if self._lasts_s > 0 and time.monotonic() - self._from_s > self._lasts_s / 2:
            self.extend(lease_s)

    def release(self) -> None:
        """Gives back what the lease still holds; no attempt is spent. Fine when it has ended."""
        self._open = 0
        if self.token is None:
            return
        body = orjson.dumps({"lease": self.token})
        with contextlib.suppress(LeaseEndedError):
            self._client.send("POST", f"{self._path}/release", body)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self.settle()
            finally:
                if self._open > 0:
                    self.release()
            return
        # The block's own exception is the one to tell. A lease that cannot be given back now ends
        # by itself.
        with contextlib.suppress(PenstockError):
            if not isinstance(error, PenstockError):
                self.settle()
            self.release()


def _deadline(told: dict[str, Any] | None) -> datetime.datetime | None:
    return instant(told["ends_at"]) if told and told["ends_at"] else None
