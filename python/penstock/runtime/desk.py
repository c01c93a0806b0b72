"""The desk: outcomes of records, gathered and sent.

One settle is on its way at a time; what ends meanwhile makes up the next. So a slow server gets
larger batches, and a record that ends alone is on its way after a few milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import orjson

from ..errors import (
    BusyError,
    ConnectionLostError,
    InvalidError,
    LeaseEndedError,
    LimitError,
    OutputGoneError,
    PenstockError,
)
from ..failure import Failure
from .channel import Channel
from .codec import dump_pairs
from .session import Session
from .supply import Pair

SETTLE_BYTES = 1 << 20
SETTLE_MAX = 20000
SETTLE_AFTER_S = 0.003
RETRY_MAX_S = 5.0
# So many kinds of failures are logged with their tracebacks, so many failures a second at all.
TRACEBACKS_MAX = 50
LOGGED_PER_S = 100


class Desk:
    """Gathers outcomes. For the loop's thread."""

    def __init__(
        self,
        session: Session,
        channel: Channel,
        on_sent: Callable[[], None],
        on_lost: Callable[[str | None], None],
        on_gone: Callable[[str], None],
    ) -> None:
        #: Pairs [number, result]; runners append.
        self.done: list[Pair] = []
        self.skipped: list[int] = []
        self._failures: list[tuple[int, Failure]] = []
        #: How many outcomes were settled.
        self.settled = 0
        self._session = session
        self._log = FailureLog(channel)
        self._channel = channel
        self._on_sent = on_sent
        self._on_lost = on_lost
        self._on_gone = on_gone
        self._sending: asyncio.Task[None] | None = None
        self._being_sent = 0
        self._lease: str | None = None
        # What is on its way, the numbers of what has failed apart, and whether it is known that it
        # was taken although nobody said so.
        self._sent: tuple[list[Pair], list[int], list[tuple[int, Failure]]] = ([], [], [])
        self._sent_failed: set[int] = set()
        self._taken = False
        self._batch = 256
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Outcomes that are not settled yet."""
        return len(self.done) + len(self.skipped) + len(self._failures) + self._being_sent

    def fail(self, number: int, failure: Failure, error: BaseException | None = None) -> None:
        """A record's attempt has failed."""
        self._failures.append((number, failure))
        self._log.tell(number, failure, error)

    def ripen(self) -> None:
        """Something ended: sends if there is enough, else a little later."""
        if self._sending is not None:
            return
        if len(self.done) + len(self.skipped) + len(self._failures) >= self._batch:
            self.send()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SETTLE_AFTER_S, self.send)

    def send(self) -> None:
        """Sends what is there, unless something is on its way already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is None and self.waiting:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def numbers(self) -> list[int]:
        """The records of all outcomes that are not settled yet."""
        waiting = (self.done, self.skipped, self._failures)
        return [*_numbers(*waiting), *_numbers(*self._sent)]

    def served_again(self, pairs: list[Pair]) -> None:
        """These were claimed. One whose failure is on its way: then that settle was taken."""
        if self._sent_failed and not self._sent_failed.isdisjoint(pair[0] for pair in pairs):
            self._taken = True

    def drop(self) -> None:
        """Forgets what is not on its way: the lease is gone."""
        self.done.clear()
        self.skipped.clear()
        self._failures.clear()

    async def _send(self) -> None:
        try:
            while True:
                # The lists stay the same objects: runners hold them.
                results, skipped, failures = self.done[:], self.skipped[:], self._failures[:]
                self.drop()
                count = len(results) + len(skipped) + len(failures)
                if not count:
                    return
                self._being_sent = count
                self._sent = (results, skipped, failures)
                self._lease = self._session.lease
                await self._settle(results, skipped, failures)
                self._being_sent, self._sent = 0, ([], [], [])
                self.settled += count
                self._on_sent()
                if self.waiting < self._batch:
                    break
        except LeaseEndedError:
            self._being_sent = 0
            self._on_lost(self._lease)
        except OutputGoneError as gone:
            # No later attempt succeeds: what the output holds must be looked at anew.
            self._being_sent = 0
            self.drop()
            self._on_gone(str(gone))
        finally:
            self._being_sent, self._sent = 0, ([], [], [])
            self._sending = None
            self._on_sent()
            if self.waiting:
                self.ripen()

    async def _settle(
        self, results: list[Pair], skipped: list[int], failures: list[tuple[int, Failure]]
    ) -> None:
        body, bad = dump_pairs(results)
        for number, why in bad:
            failure: Failure = {"message": why, "type": "TypeError", "final": True}
            self._log.tell(number, failure, None)
            failures.append((number, failure))
        if results:
            # Batches of about SETTLE_BYTES, however large a result is.
            self._batch = max(1, min(SETTLE_MAX, SETTLE_BYTES * len(results) // len(body)))
        self._sent_failed = {number for number, _ in failures}
        self._taken = False
        try:
            await self._settle_once(results, body, skipped, failures)
        finally:
            self._sent_failed = set()

    async def _settle_once(
        self,
        results: list[Pair],
        body: bytes,
        skipped: list[int],
        failures: list[tuple[int, Failure]],
    ) -> None:
        """Sends until it is known to be taken, or refused."""
        pause_s = 0.05
        while not self._taken:
            try:
                await self._session.settle(self._lease, body, skipped, orjson.dumps(failures))
                return
            except (LeaseEndedError, OutputGoneError):
                raise
            except (InvalidError, LimitError) as refused:
                await self._settle_parts(results, skipped, failures, refused)
                return
            except (BusyError, ConnectionLostError):
                pass
            except PenstockError as problem:
                # A full disk, for one: what is there stays with us until it is taken.
                text = f"results are not taken: {problem}"
                self._channel.say(log={"level": "error", "text": text})
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)

    async def _settle_parts(
        self,
        results: list[Pair],
        skipped: list[int],
        failures: list[tuple[int, Failure]],
        refused: PenstockError,
    ) -> None:
        """The server does not take them together: finds the one that is the matter."""
        if len(results) > 1:
            half = len(results) // 2
            await self._settle(results[:half], skipped, failures)
            await self._settle(results[half:], [], [])
        elif results:
            number = results[0][0]
            failure = {"message": f"result was refused: {refused}", "type": "ValueError"}
            await self._settle([], skipped, [*failures, (number, {**failure, "final": True})])
        else:
            raise refused


def _numbers(
    done: list[Pair], skipped: list[int], failures: list[tuple[int, Failure]]
) -> list[int]:
    """The records of these outcomes."""
    return [*(pair[0] for pair in done), *skipped, *(number for number, _ in failures)]


class FailureLog:
    """Tells failures to the supervisor: each kind once with its traceback, none in floods."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seen: set[tuple[str, str]] = set()
        self._second = 0
        self._told = 0
        self._untold = 0

    def tell(self, number: int, failure: Failure, error: BaseException | None) -> None:
        """Of a record."""
        self._tell(failure, error, "", {"record": number})

    def tell_task(
        self, id: int, function: str, failure: Failure, error: BaseException | None
    ) -> None:
        """Of a task."""
        self._tell(failure, error, f"task {id} ({function}): " if function else f"task {id}: ", {})

    def _tell(
        self, failure: Failure, error: BaseException | None, front: str, about: dict[str, int]
    ) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._untold:
                text = f"{self._untold} more failures in a second, not listed"
                self._channel.say(log={"level": "warning", "text": text})
            self._second, self._told, self._untold = second, 0, 0
        if self._told >= LOGGED_PER_S:
            self._untold += 1
            return
        self._told += 1
        where, trace = _trace(error)
        text = f"{front}{failure['type']}: {failure['message']}{where}"
        log: dict[str, Any] = {"level": "warning", "text": text, **about}
        kind = (failure["type"], where)
        if trace and kind not in self._seen and len(self._seen) < TRACEBACKS_MAX:
            self._seen.add(kind)
            log["traceback"] = trace
        self._channel.say(log=log)


def _trace(error: BaseException | None) -> tuple[str, str]:
    """Where an exception was raised, and its traceback without our own frames."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    if error is None or trace is None:
        return "", ""
    lines = traceback.format_exception(type(error), error, trace)
    frames = traceback.extract_tb(trace)
    # Where the user's code was; what it called into is in the traceback.
    users = [frame for frame in frames if not frame.filename.startswith(_LIBRARY)]
    last = (users or frames)[-1]
    return f" ({os.path.basename(last.filename)}:{last.lineno})", "".join(lines)


_OWN = os.path.dirname(os.path.abspath(__file__))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))
