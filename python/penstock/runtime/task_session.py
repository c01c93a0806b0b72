"""The worker's side of the queue's protocol: one lease, over three connections.

Claims wait for tasks; reports (settle, progress) must not wait behind them; and the beat, which
keeps the lease and hears of aborts, has a thread of its own: a function that blocks the event loop
for a while must not cost the lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson

from ..async_connection import AsyncConnection
from ..connection import Connection
from ..errors import (
    BusyError,
    ConflictError,
    ConnectionLostError,
    LeaseEndedError,
    NotFoundError,
    PenstockError,
)
from ..outage import Outage
from ..wire import Reach
from .codec import dumps, loads

LEASE_S = 10.0
BEAT_WAIT_S = 3.0
CLAIM_WAIT_S = 30.0
RETRY_MAX_S = 2.0
# A server that is away comes back, or the supervisor ends us.
PATIENCE_S = 86400.0

Told = dict[str, Any]
Abort = tuple[int, str]


class TaskSession:
    """What one worker holds of the queue. For the loop's thread."""

    def __init__(
        self,
        server: str,
        key: str | None,
        tls: ssl.SSLContext | None,
        worker: str,
        queues: list[str] | None,
        functions: list[str] | None,
        outage: Outage | None = None,
    ) -> None:
        reach = Reach(server, key, patience_s=PATIENCE_S, tls=tls)
        self._claims = AsyncConnection(reach, outage)
        self._reports = AsyncConnection(reach, outage)
        self._first: Told = {
            "queues": queues,
            "functions": functions,
            "worker": worker,
            "lease_s": LEASE_S,
        }
        # One report at a time.
        self._reporting = asyncio.Lock()
        self.lease: str | None = None
        #: A claim is on its way or waits.
        self.claiming = False
        #: An answer that had tasks may have been lost: the next claim says what is here.
        self.unsure = False
        self.aborts: list[Abort] = []
        #: The last claim got nothing, but a rate holds something back for so long; else None.
        self.again_s: float | None = None

    def take_from(self, queues: list[str]) -> None:
        """From these queues, from now on."""
        self._first["queues"] = queues

    async def claim(self, most: int, wait_s: float, holds: Callable[[], list[int]]) -> list[Told]:
        """Takes up to `most` tasks, waiting for the first. LeaseEndedError."""
        pause_s = 0.05
        self.claiming = True
        try:
            while True:
                try:
                    return await self._claim(most, wait_s, holds)
                except LeaseEndedError:
                    raise
                except (BusyError, ConflictError, ConnectionLostError):
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, RETRY_MAX_S)
        finally:
            self.claiming = False

    async def _claim(self, most: int, wait_s: float, holds: Callable[[], list[int]]) -> list[Told]:
        body: Told = {"max": most, "wait_s": wait_s}
        if self.lease is None:
            body.update(self._first)
        else:
            body.update(lease=self.lease, queues=self._first["queues"])
            body["functions"] = self._first["functions"]
            if self.unsure:
                body["holds"] = holds()
        lease, self.unsure = self.lease, True
        answer = await self._claims.call(
            "POST", "/v1/work/claim", orjson.dumps(body), repeatable=False, wait_s=wait_s
        )
        told = loads(answer.body)
        if lease is not self.lease:
            # It was lost meanwhile; what came with it is in other hands.
            raise LeaseEndedError("the lease has ended")
        self.unsure = False
        if told.get("lease"):
            self.lease = told["lease"]["token"]
        self._take_aborts(told)
        self.again_s = told.get("again_s")
        tasks: list[Told] = told["tasks"]
        return tasks

    async def settle(self, lease: str | None, parts: list[bytes], claim_max: int) -> Told:
        """Reports outcomes of that lease, and what is to be enqueued; durable on return. Sent once.

        With `claim_max` it claims, too, without waiting. `parts` are members as JSON.
        LeaseEndedError; ConnectionLostError: whether it was taken is not known.
        """
        members = [b'"lease":' + orjson.dumps(lease), *parts]
        async with self._reporting:
            claims = claim_max > 0 and not self.claiming and not self.unsure
            if claims:
                rest = {"max": claim_max, "wait_s": 0}
                rest.update(queues=self._first["queues"], functions=self._first["functions"])
                members.append(b'"claim":' + orjson.dumps(rest))
                self.claiming = self.unsure = True
            body = b"{" + b",".join(members) + b"}"
            try:
                answer = await self._reports.call("POST", "/v1/work/settle", body, repeatable=False)
            except PenstockError as error:
                # Refused: nothing was handed out.
                if claims and not isinstance(error, ConnectionLostError):
                    self.unsure = False
                raise
            finally:
                if claims:
                    self.claiming = False
            if claims:
                self.unsure = False
        told: Told = loads(answer.body)
        self._take_aborts(told)
        return told

    async def enqueue(self, calls: list[Told]) -> None:
        """Stores tasks, which have keys by which they are recognised the second time."""
        body = b'{"tasks":%b}' % dumps(calls)
        async with self._reporting:
            await self._reports.call("POST", "/v1/tasks", body, repeatable=True)

    async def extend(
        self, progress: list[list[Any]] | None = None, holds: list[int] | None = None
    ) -> None:
        """Tells progress, or gives back all but those. LeaseEndedError."""
        if self.lease is None:
            return
        body: Told = {"lease": self.lease, "wait_s": 0}
        if progress:
            body["progress"] = progress
        if holds is not None:
            body["holds"] = holds
        async with self._reporting:
            answer = await self._reports.call(
                "POST", "/v1/work/extend", orjson.dumps(body), repeatable=True
            )
        self._take_aborts(loads(answer.body))

    async def release(self) -> None:
        """Gives back what is held; no attempt is spent. Fine when the lease has ended."""
        if self.lease is None:
            return
        body = orjson.dumps({"lease": self.lease, "died": False})
        self.lease = None
        with contextlib.suppress(LeaseEndedError, NotFoundError):
            async with self._reporting:
                await self._reports.call("POST", "/v1/work/release", body, repeatable=True)

    def _take_aborts(self, told: Told) -> None:
        self.aborts += [(id, why) for id, why in told.get("aborts") or ()]

    def close_claims(self) -> None:
        """Ends a claim that waits."""
        self._claims.close()

    def close(self) -> None:
        self._claims.close()
        self._reports.close()


class Beat(threading.Thread):
    """Keeps a lease, and hears of aborts: one standing request after the other."""

    def __init__(
        self,
        server: str,
        key: str | None,
        tls: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
        on_aborts: Callable[[list[Abort]], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        super().__init__(daemon=True)
        self._connection = Connection(
            Reach(server, key, timeout_s=LEASE_S, patience_s=LEASE_S, tls=tls)
        )
        self._loop = loop
        self._on_aborts = on_aborts
        self._on_lost = on_lost
        self._lease: str | None = None
        self._changed = threading.Condition()
        self._ended = False

    def keep(self, lease: str | None) -> None:
        """That lease from now on. From any thread."""
        with self._changed:
            self._lease = lease
            self._changed.notify()

    def end(self) -> None:
        """No more. A request that is on its way is left to itself."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def run(self) -> None:
        told: list[Abort] = []
        while True:
            with self._changed:
                while self._lease is None and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                lease = self._lease
            began_s = time.monotonic()
            try:
                aborts = self._ask(lease)
            except (LeaseEndedError, NotFoundError):
                with self._changed:
                    if self._lease == lease:
                        self._lease = None
                self._tell(self._on_lost, lease)
                continue
            except PenstockError:
                # Away, or out of order: the lease may well outlive it.
                self._rest(1.0)
                continue
            if aborts != told:
                self._tell(self._on_aborts, aborts)
                told = aborts
            # What is to be aborted is told in every answer until it is settled.
            if time.monotonic() - began_s < BEAT_WAIT_S / 10:
                self._rest(BEAT_WAIT_S / 10)

    def _ask(self, lease: str | None) -> list[Abort]:
        body = orjson.dumps({"lease": lease, "wait_s": BEAT_WAIT_S})
        answer = self._connection.call(
            "POST", "/v1/work/extend", body, repeatable=True, wait_s=BEAT_WAIT_S
        )
        return [(id, why) for id, why in orjson.loads(answer.body).get("aborts") or ()]

    def _rest(self, seconds: float) -> None:
        with self._changed:
            if not self._ended:
                self._changed.wait(seconds)

    def _tell(self, what: Callable[[Any], None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, *args)
