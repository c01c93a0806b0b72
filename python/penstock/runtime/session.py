"""The worker's side of the protocol: one lease, claims and settles over two connections.

Claims wait for records, so they have a connection of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from ..async_connection import AsyncConnection
from ..errors import BusyError, ConflictError, ConnectionLostError, LeaseEndedError
from ..outage import Outage
from ..wire import Reach
from .codec import loads

# A server that is away comes back, or the supervisor ends us.
PATIENCE_S = 86400.0
EXTEND_AT_MOST_S = 20.0
RETRY_MAX_S = 2.0
# Of one claim, until it is believed.
CONFLICTS_MAX = 3


class Claimed(NamedTuple):
    """The answer to a claim."""

    #: Pairs [number, record].
    records: list[list[Any]]
    finished: bool
    #: How many may run here at once; None: no limit.
    slots: int | None
    #: Record i starts `first_s + i * every_s` after `at_s`, if every_s is above 0.
    first_s: float
    every_s: float
    #: With a pace: so long after `at_s` nobody else starts.
    alone_s: float
    alone: bool
    at_s: float
    size_bytes: int


class Session:
    """What one worker holds of one job."""

    def __init__(
        self,
        server: str,
        key: str | None,
        token: str | None,
        job: int | str,
        worker: str,
        outage: Outage | None = None,
    ) -> None:
        reach = Reach(server, key, token, patience_s=PATIENCE_S)
        self._claims = AsyncConnection(reach, outage)
        self._reports = AsyncConnection(reach, outage)
        self._path = f"/v1/jobs/{job}" if isinstance(job, int) else f"/v1/jobs/~{quote(job, '')}"
        self._worker = worker
        # One machine has one monotonic clock.
        self._same_clock = server.startswith("unix:")
        # One call at a time: a settle and an extend may meet.
        self._reporting = asyncio.Lock()
        self.lease: str | None = None
        self.lease_s = 30.0
        self._touched_s = time.monotonic()
        # An answer to a claim may have been lost.
        self._unsure = False
        self._again = False
        self._given_back = 0

    async def open(self) -> None:
        """Asks what the job is like. NotFoundError, ForbiddenError, ..."""
        told = orjson.loads(await self._report("GET", ""))
        # By id from now on: the name may be given to another job.
        self._path = f"/v1/jobs/{told['id']}"
        self.lease_s = float(told["lease_s"]) or 30.0

    @property
    def wait_s(self) -> float:
        """How long a claim may wait: the lease must not end meanwhile."""
        return min(30.0, self.lease_s / 3)

    async def claim(
        self, most: int, running: int, wait_s: float, holds: Callable[[], list[int]]
    ) -> Claimed:
        """Takes up to `most` records, waiting for the first. LeaseEndedError; ConflictError: the
        input is no more what it was, and will not be.

        `holds` gives the numbers of all records that are here: it is asked when an answer was lost,
        whose records would else be nobody's.
        """
        pause_s = 0.05
        conflicts = 0
        while True:
            body: dict[str, Any] = {"max": most, "wait_s": wait_s, "running": running}
            if self.lease is None:
                body["keep"] = True
                body["worker"] = self._worker
            else:
                body["lease"] = self.lease
                if self._unsure:
                    body["holds"] = holds()
            given_back = self._given_back
            try:
                # Until it is answered, who cancels this cannot know either what it took.
                self._unsure = True
                answer = await self._claims.call(
                    "POST",
                    f"{self._path}/claim",
                    orjson.dumps(body),
                    repeatable=False,
                    wait_s=wait_s,
                )
                break
            except LeaseEndedError:
                raise
            except (BusyError, ConflictError, ConnectionLostError) as why:
                # A claim that a later one has ended is refused, too: that one says more.
                conflicts += isinstance(why, ConflictError)
                if conflicts > CONFLICTS_MAX or (conflicts and self.lease is None):
                    raise
                if self._again:
                    self._again = False
                    continue
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_MAX_S)
        # What was given back after it was sent is still to be told.
        self._unsure = self._given_back != given_back
        self._again = False
        now = time.monotonic()
        told = loads(answer.body)
        lease = told["lease"]
        if lease:
            self.lease = lease["token"]
        self._touched_s = now
        starts = told.get("starts") or {}
        first_s = starts.get("first_s", 0.0)
        alone_s = starts.get("alone_s", 0.0)
        if self._same_clock and "clock_s" in starts:
            first_s += starts["clock_s"] - now
            alone_s += starts["clock_s"] - now
        return Claimed(
            told["records"],
            told["finished"],
            told.get("slots"),
            first_s,
            starts.get("every_s", 0.0),
            alone_s,
            told.get("alone", False),
            now,
            len(answer.body),
        )

    def claim_again(self) -> None:
        """Some of what is held is not wanted: a claim that waits is sent again, and says so."""
        self._given_back += 1
        self._unsure = self._again = True
        self._claims.close()

    async def settle(
        self, lease: str | None, results: bytes, skipped: list[int], failures: bytes
    ) -> None:
        """Reports outcomes of that lease; durable on return. Sent once.

        LeaseEndedError; ConnectionLostError: whether it was taken is not known.
        """
        # In pieces: the results may be many, and are copied once, into the request.
        head = b'{"lease":%b,"results":' % orjson.dumps(lease)
        tail = b',"skipped":%b,"failures":%b}' % (orjson.dumps(skipped), failures)
        body = [head, results, tail]
        await self._report("POST", "/settle", body, repeatable=False)

    async def extend_when_due(self) -> None:
        """Moves the deadline on, unless a claim or a settle has done so lately."""
        if self.lease is None or time.monotonic() - self._touched_s < self.extend_every_s:
            return
        body = orjson.dumps({"lease": self.lease})
        await self._report("POST", "/extend", body)

    @property
    def extend_every_s(self) -> float:
        """How long the lease is left alone before it is extended."""
        return min(self.lease_s / 3, EXTEND_AT_MOST_S)

    async def release(self) -> None:
        """Gives back what is held. Fine when the lease has ended."""
        if self.lease is None:
            return
        body = orjson.dumps({"lease": self.lease})
        self.lease = None
        await self._report("POST", "/release", body)

    async def _report(
        self,
        method: str,
        verb: str,
        body: bytes | list[bytes] | None = None,
        repeatable: bool = True,
    ) -> bytes:
        path = self._path + verb
        async with self._reporting:
            answer = await self._reports.call(method, path, body, repeatable=repeatable)
        self._touched_s = time.monotonic()
        return answer.body

    def close_claims(self) -> None:
        """Ends a claim that waits."""
        self._claims.close()

    def close(self) -> None:
        self._claims.close()
        self._reports.close()
