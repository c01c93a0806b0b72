"""Runs plain functions over records, each call in a thread, as many at once as there are slots.

Threads take records from one queue and put outcomes into another; the loop is woken once for all
that has ended since it last looked.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import queue
import threading
import time
from collections import deque
from contextvars import copy_context
from typing import Any

from .runner import Hand, Runner, batch_results
from .supply import Pair

Outcome = tuple[Hand, list[Pair], list[Any]]


class PlainRunner(Runner):
    """Starts calls in threads. `size` 0: one record a call, else a list of up to so many."""

    def __init__(self, size: int, *args: Any) -> None:
        super().__init__(*args)
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._todo: queue.SimpleQueue[list[Pair]] = queue.SimpleQueue()
        self._ended_calls: deque[Outcome] = deque()
        self._woken = False
        self._running: dict[int, list[Pair]] = {}
        self._here = threading.local()

    def kick(self) -> None:
        supply = self._supply
        while supply.startable() > 0:
            pairs = supply.take()
            if not pairs:
                break
            supply.live += 1
            self._running[id(pairs)] = pairs
            # A thread for each call that runs at once: none waits for a thread.
            if len(self._hands) < supply.live:
                self._start_thread()
            self._todo.put(pairs)
        self._arm_watch()

    def cancel_all(self, why: str) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._running.pop(id(self._todo.get_nowait()), None)
                self._supply.live -= 1
        super().cancel_all(why)

    def numbers(self) -> list[int]:
        # Of calls that wait for a thread, and of those that are over and not on the desk yet, too.
        return [pair[0] for pairs in self._running.values() for pair in pairs]

    def current_record(self) -> int | None:
        hand = getattr(self._here, "hand", None)
        return hand.pair[0] if hand and hand.pair else super().current_record()

    def _start_thread(self) -> None:
        hand = Hand()
        self._hands.add(hand)
        hand.began_s = time.monotonic()
        # A daemon: one that never ends must not hold up the end of the process.
        threading.Thread(target=self._serve, args=(hand,), daemon=True).start()

    def _serve(self, hand: Hand) -> None:
        """One thread's life."""
        self._here.hand = hand
        clean = copy_context()
        while hand.why != "given up":
            pairs = self._todo.get()
            hand.pairs, hand.began_s = pairs, time.monotonic()
            hand.pair = pairs[0]
            results = clean.copy().run(self._call, pairs)
            hand.pair = None
            self._ended_calls.append((hand, pairs, results))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:
                    return  # the loop has ended

    def _call(self, pairs: list[Pair]) -> list[Any]:
        """The results of these records; an exception for one that failed."""
        try:
            records = [pair[1] for pair in pairs] if self._size else pairs[0][1]
            result: Any = self._function(records, self.context)
            if inspect.isawaitable(result):
                # A plain function around a coroutine: the loop is where that belongs.
                result = asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result()
        except BaseException as error:
            return [error] * len(pairs)
        return batch_results(result, len(pairs)) if self._size else [result]

    def _collect(self) -> None:
        self._woken = False
        ended = self._ended_calls
        while ended:
            hand, pairs, results = ended.popleft()
            self._running.pop(id(pairs), None)
            if hand.why == "given up":
                continue
            self._supply.live -= 1
            if hand.why not in ("stop", "lost"):
                self._spread(hand, pairs, results)
            hand.why = ""
        self._close_turn()

    def _interrupt(self, hand: Hand) -> None:
        """No thread can be stopped from outside."""
        self._running.pop(id(hand.pairs), None)
        if hand.why == "timeout":
            self._give_up(hand)
        else:
            self._abandon(hand)


async def _awaited(result: Any) -> Any:
    return await result
