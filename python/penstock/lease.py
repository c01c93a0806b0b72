"""A lease: records that a worker holds until it has settled them."""

from __future__ import annotations

import contextlib
import datetime
import time
from dataclasses import dataclass, fields
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from .calls import Call, given
from .errors import LeaseEndedError, PenstockError
from .event import instant
from .failure import Failure, clean_text, failure_of
from .outcome import Skip
from .runtime.codec import dumps

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class Settled:
    """What became of what was reported."""

    written: int = 0
    repeats: int = 0
    failed: int = 0
    retried: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, told: dict[str, Any]) -> Settled:
        return cls(**{one.name: told.get(one.name, 0) for one in fields(cls)})

    def __add__(self, other: Settled) -> Settled:
        names = [one.name for one in fields(self)]
        return Settled(**{name: getattr(self, name) + getattr(other, name) for name in names})


class LeaseBook:
    """What a lease holds, and what is to be reported of it. False when it holds nothing."""

    def __init__(self, path: str, told: dict[str, Any], lasts_s: float) -> None:
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
        self._path = path
        self._lasts_s = lasts_s
        self._from_s = time.monotonic()
        self._open = len(self.records)
        self._results: list[bytes] = []
        self._failures: list[bytes] = []
        self._skipped: list[int] = []

    def __bool__(self) -> bool:
        return bool(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Lease of {len(self.records)} records of {self._path}, {self._open} open>"

    def done(self, number: int, result: Any) -> None:
        """Reports a result. It is sent with the next settle. TypeError when it is no JSON."""
        self._results.append(b"[%d,%b]" % (number, dumps(result)))

    def skip(self, number: int) -> None:
        """Reports that a record is done and gave nothing to write."""
        self._skipped.append(number)

    def fail(self, number: int, reason: str | BaseException | None = None) -> None:
        """Reports that a record failed. It is tried again until its attempts are spent.

        An exception says more than a text: Skip is no failure at all, Fail is final, RetryAfter and
        what HTTP libraries raise for 429 and 503 say when to try again.
        """
        if isinstance(reason, Skip):
            self.skip(number)
            return
        told: str | Failure | None
        if isinstance(reason, BaseException):
            told = failure_of(reason, time.monotonic() - self._from_s)
            if told["message"] != told["type"]:
                told["message"] = f"{told['type']}: {told['message']}"
        else:
            told = None if reason is None else clean_text(reason)
        self._failures.append(b"[%d,%b]" % (number, orjson.dumps(told)))

    @property
    def _reported(self) -> int:
        return len(self._results) + len(self._failures) + len(self._skipped)

    @property
    def _due(self) -> bool:
        """Whether half of the lease's time is over."""
        return self._lasts_s > 0 and time.monotonic() - self._from_s > self._lasts_s / 2

    def _settle_call(self) -> Call:
        body = b'{"lease":%b,"results":[%b],"failures":[%b],"skipped":%b}' % (
            orjson.dumps(self.token),
            b",".join(self._results),
            b",".join(self._failures),
            orjson.dumps(self._skipped),
        )
        return Call("POST", f"{self._path}/settle", body)

    def _was_settled(self, told: dict[str, Any]) -> Settled:
        self._open -= self._reported
        self._results.clear()
        self._failures.clear()
        self._skipped.clear()
        settled = Settled.of(told)
        self.settled += settled
        return settled

    def _was_lost(self, ended: LeaseEndedError) -> Settled:
        """The settle was refused: raises that, unless an earlier sending of it may be the reason.

        The first sending may have been taken whole, which ends the lease, and only its answer was
        lost. If it was not, the records are served again: right in both cases.
        """
        if not ended.repeated:
            raise ended
        return self._was_settled({})

    def _extend_call(self, lease_s: float | None) -> Call:
        body = given(lease=self.token, lease_s=lease_s)
        return Call("POST", f"{self._path}/extend", body)

    def _was_extended(self, told: dict[str, Any], asked_at_s: float, lease_s: float | None) -> None:
        self.ends_at = _deadline(told)
        self._from_s = asked_at_s
        if lease_s is not None:
            self._lasts_s = lease_s

    def _release_call(self) -> Call:
        return Call("POST", f"{self._path}/release", given(lease=self.token))


class Lease(LeaseBook):
    """Records claimed and not yet settled.

    As a context manager it settles at the end of the block. When the block raises, what was
    reported until then is settled and the rest is given back. It is false when it holds nothing.
    """

    def __init__(self, client: Client, path: str, told: dict[str, Any], lasts_s: float) -> None:
        super().__init__(path, told, lasts_s)
        self._client = client

    def settle(self) -> Settled:
        """Sends what was reported since the last time; durable on return.

        LeaseEndedError when the lease is not held any more: its records are served to others.
        """
        if not self._reported:
            return Settled()
        try:
            return self._was_settled(self._client.ask(self._settle_call()))
        except LeaseEndedError as ended:
            return self._was_lost(ended)

    def extend(self, lease_s: float | None = None) -> None:
        """Moves the deadline to `lease_s` seconds from now (None: as long as the job says)."""
        asked_at_s = time.monotonic()
        told = self._client.ask(self._extend_call(lease_s))
        self._was_extended(told, asked_at_s, lease_s)

    def extend_when_due(self, lease_s: float | None = None) -> None:
        """Extends when half of the lease's time is over. For loops over slow records."""
        if self._due:
            self.extend(lease_s)

    def release(self) -> None:
        """Gives back what the lease still holds; no attempt is spent. Fine when it has ended."""
        self._open = 0
        if self.token is not None:
            with contextlib.suppress(LeaseEndedError):
                self._client.ask(self._release_call())

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
