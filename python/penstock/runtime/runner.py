"""Runs coroutines over records, as many at once as there are slots.

A record that ends without waiting must cost no task: making and scheduling one costs several times
what the engine needs for the record. So the tasks are hands: each runs one record after the other.
While a record waits, its hand waits with it, and other hands take the next records. Inside of the
user's code nothing looks different from one task a record: asyncio.current_task() is the hand, to
cancel it cancels this record alone (a hand that was cancelled takes no further record), and context
variables that a record sets are not seen by the next (such a hand takes no further record either).

A turn is what all hands do in one round of the event loop; when it has lasted TURN_S, hands end and
others follow in the next round, so that sockets and timers get their due. A hand whose record has
waited takes one more all the same: as a task of its own would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

from ..failure import failure_of
from ..outcome import Skip
from .desk import Desk
from .supply import Pair, Supply

TURN_S = 0.005
# Cancelled, a record gets so long to end before it is given up.
UNWIND_S = 5.0

Function = Callable[[Any, dict[str, Any]], Awaitable[Any]]


class Hand:
    """What runs one record (or one batch) after the other."""

    __slots__ = ("began_s", "pair", "pairs", "task", "why")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.pair: Pair | None = None
        self.pairs: list[Pair] = []
        self.began_s = 0.0
        #: Why its outcome does not count: "timeout", "stop", "lost" (the lease), "given up".
        self.why = ""


class Runner:
    """Starts hands as records and slots allow. For the loop's thread."""

    def __init__(
        self,
        function: Callable[..., Any],
        supply: Supply,
        desk: Desk,
        timeout_s: float,
        on_change: Callable[[], None],
    ) -> None:
        self.context: dict[str, Any] = {}
        #: A record does not end although its time is over: only a new process is rid of it.
        self.stuck = False
        self._function = function
        self._supply = supply
        self._desk = desk
        self._timeout_s = timeout_s
        self._on_change = on_change
        self._hands: set[Hand] = set()
        self._by_task: dict[Any, Hand] = {}
        self._looking = False
        self._turn_open = False
        self._turn_ends_s = 0.0
        #: Counts turns: a hand whose record waited sees another one afterwards.
        self._round = 0
        self._watch: asyncio.TimerHandle | None = None
        self._clean = copy_context()

    # ---- what the worker asks for

    def kick(self) -> None:
        """Records, slots or time may have come: starts what may be started."""
        if self._looking:
            return
        # As many again as there are: one hand is enough for a function that never waits, and all
        # slots are in use after a few rounds when it does.
        count = min(self._supply.startable(), max(1, self._supply.live))
        if count <= 0:
            return
        loop = asyncio.get_running_loop()
        for _ in range(count):
            self._spawn(loop)
        self._looking = True
        loop.call_soon(self._look)
        self._arm_watch()

    def cancel_all(self, why: str) -> None:
        """Cancels what runs; its records are not settled."""
        for hand in list(self._hands):
            # One that has not begun finds nothing to do.
            if hand.pair is not None and not hand.why:
                hand.why = why
                self._interrupt(hand)

    def lose_all(self) -> None:
        """What runs now is in other hands: its outcome will not count."""
        for hand in self._hands:
            hand.why = hand.why or "lost"

    def numbers(self) -> list[int]:
        """Of the records that are running."""
        running = (hand.pairs or [hand.pair] for hand in self._hands if hand.pair is not None)
        return [pair[0] for pairs in running for pair in pairs if pair is not None]

    def current_record(self) -> int | None:
        """The number of the record whose code calls this; None when it cannot be told."""
        try:
            hand = self._by_task.get(asyncio.current_task())
        except RuntimeError:
            return None
        pair = hand.pair if hand else None
        return pair[0] if pair else None

    # ---- hands

    def _spawn(self, loop: asyncio.AbstractEventLoop) -> None:
        hand = Hand()
        hand.began_s = time.monotonic()
        self._supply.live += 1
        self._hands.add(hand)
        # Whoever calls this may stand in the context of a record that has ended.
        hand.task = self._clean.copy().run(loop.create_task, self._drive(hand))
        self._by_task[hand.task] = hand

    async def _drive(self, hand: Hand) -> None:
        """One hand's life. The loop in it is the hot path: every name is worth its place."""
        supply, desk = self._supply, self._desk
        pending, done = supply.pending, desk.done
        function, context = self._function, self.context
        clean = copy_context()
        task: Any = hand.task
        now = time.monotonic()
        round_ = -1
        try:
            while pending and supply.live <= supply.slots:
                if now > self._turn_ends_s and not self._open_turn(now) and round_ == self._round:
                    break
                round_ = self._round
                if supply.paced and not supply.due():
                    break
                pair = pending.popleft()
                hand.pair = pair
                hand.began_s = now
                try:
                    result = await function(pair[1], context)
                except BaseException as error:
                    if thrown_away(error, hand):
                        raise
                    self._failed(hand, pair, error)
                    if isinstance(error, asyncio.CancelledError):
                        break
                else:
                    if hand.why and hand.why != "timeout":
                        break
                    if result is None:
                        desk.skipped.append(pair[0])
                    else:
                        pair[1] = result
                        done.append(pair)
                if hand.why or task._must_cancel or copy_context() != clean:
                    break
                now = time.monotonic()
        finally:
            self._ended(hand)

    def _failed(self, hand: Hand, pair: Pair, error: BaseException) -> None:
        if hand.why in ("", "timeout"):
            self._report(pair[0], error, hand)

    def _report(self, number: int, error: BaseException, hand: Hand) -> None:
        took_s = time.monotonic() - hand.began_s
        if isinstance(error, Skip):
            self._desk.skipped.append(number)
        elif hand.why == "timeout":
            text = f"took longer than {self._timeout_s:g} s"
            self._desk.fail(number, {"message": text, "type": "TimeoutError"}, error)
        else:
            self._desk.fail(number, failure_of(error, took_s), error)

    def _spread(self, hand: Hand, pairs: list[Pair], results: list[Any]) -> None:
        """Outcomes of several records; an exception is one that failed."""
        for pair, result in zip(pairs, results):
            if isinstance(result, BaseException):
                self._report(pair[0], result, hand)
            elif result is None:
                self._desk.skipped.append(pair[0])
            else:
                pair[1] = result
                self._desk.done.append(pair)

    def _ended(self, hand: Hand) -> None:
        self._by_task.pop(hand.task, None)
        if hand not in self._hands:
            return  # given up
        self._hands.discard(hand)
        self._supply.live -= 1
        self._changed()

    # ---- turns

    def _open_turn(self, now: float) -> bool:
        """Begins a turn unless the present one has lasted long enough."""
        if self._turn_open:
            return False
        self._turn_ends_s = now + TURN_S
        self._changed()
        return True

    def _changed(self) -> None:
        """Something is ending: has a look at everything in the next round."""
        if not self._turn_open:
            self._turn_open = True
            asyncio.get_running_loop().call_soon(self._close_turn)

    def _close_turn(self) -> None:
        self._turn_open = False
        self._turn_ends_s = 0.0
        self._round += 1
        self._desk.ripen()
        self._on_change()
        self.kick()

    def _look(self) -> None:
        """The hands that were started have had their first turn."""
        self._looking = False
        self.kick()

    # ---- records that take too long

    def _arm_watch(self) -> None:
        if self._timeout_s > 0 and self._watch is None and self._supply.live > 0:
            now = time.monotonic()
            began_s = (hand.began_s for hand in self._hands if hand.pair is not None)
            first_s = min(began_s, default=now) + self._timeout_s
            # Not more often than it matters: a look costs as much as there are hands.
            wait_s = max(first_s - now, min(self._timeout_s / 50, 1.0), 0.002)
            self._watch = asyncio.get_running_loop().call_later(wait_s, self._watch_over)

    def _watch_over(self) -> None:
        self._watch = None
        now = time.monotonic()
        for hand in list(self._hands):
            over_s = now - hand.began_s - self._timeout_s
            if over_s >= 0 and hand.pair is not None and not hand.why:
                hand.why = "timeout"
                self._interrupt(hand)
            elif over_s >= UNWIND_S and hand.why == "timeout":
                self._give_up(hand)
        self._arm_watch()

    def _interrupt(self, hand: Hand) -> None:
        if hand.task is not None:
            hand.task.cancel()

    def _give_up(self, hand: Hand) -> None:
        """It does not end: its records fail, and the process is to end soon."""
        for pair in hand.pairs or ([hand.pair] if hand.pair else []):
            self._report(pair[0], asyncio.TimeoutError(), hand)
        self._abandon(hand)

    def _abandon(self, hand: Hand) -> None:
        """What it runs goes on, and nobody listens any more."""
        hand.why = "given up"
        self._hands.discard(hand)
        self._supply.live -= 1
        self.stuck = True
        self._changed()


class BatchRunner(Runner):
    """The same for a coroutine that takes a list of records and gives as many results."""

    async def _drive(self, hand: Hand) -> None:
        supply = self._supply
        clean = copy_context()
        task: Any = hand.task
        now = time.monotonic()
        round_ = -1
        try:
            while supply.pending and supply.live <= supply.slots:
                if now > self._turn_ends_s and not self._open_turn(now) and round_ == self._round:
                    break
                round_ = self._round
                pairs = supply.take()
                if not pairs:
                    break
                hand.pairs, hand.pair, hand.began_s = pairs, pairs[0], now
                try:
                    results = await self._function([pair[1] for pair in pairs], self.context)
                except BaseException as error:
                    if thrown_away(error, hand):
                        raise
                    for pair in pairs:
                        self._failed(hand, pair, error)
                    if isinstance(error, asyncio.CancelledError):
                        break
                else:
                    if hand.why in ("", "timeout"):
                        self._spread(hand, pairs, batch_results(results, len(pairs)))
                if hand.why or task._must_cancel or copy_context() != clean:
                    break
                now = time.monotonic()
        finally:
            self._ended(hand)


def thrown_away(error: BaseException, hand: Hand) -> bool:
    """Whether the hand itself is closed; a function that raised GeneratorExit has failed."""
    if not isinstance(error, GeneratorExit):
        return False
    try:
        return asyncio.current_task() is not hand.task
    except RuntimeError:  # no loop runs any more
        return True


def batch_results(results: Any, count: int) -> list[Any]:
    """What a batch function gave, one for each record; the mistake for each when it is none."""
    if isinstance(results, (list, tuple)) and len(results) == count:
        return list(results)
    gave = type(results).__name__
    if isinstance(results, (list, tuple)):
        gave = f"{len(results)} results"
    error = TypeError(f"a batch of {count} records must give a list of {count} results, not {gave}")
    return [error] * count
