"""What may be started now: records that were claimed, places for them, and their times.

Unpaced, a record may start as soon as a place is free. Paced, each has its time (docs/
worker-protocol.md): it starts then or later, and not sooner after the start before it than 0.996 of
the pace. A start that came a little late, as timers and busy loops make it, does not push all that
follow: up to LATE_S it counts as if it had been on time. The rate still holds over any second,
because the pace that the server gives out leaves more than that.

That is one worker's view. Beside others, a record that is later than TOO_LATE_S is given back: they
have kept to their times meanwhile, and two that catch up together make a second too full.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .session import Claimed

CLOSEST = 0.996
LATE_S = 0.004
TOO_LATE_S = 0.005
# A batch waits so long for what it lacks, and for its times, if there is a pace.
LINGER_S = 0.03

Pair = list[Any]  # [number, record]


class Supply:
    """The records that are held and not started. For the loop's thread."""

    def __init__(
        self, batch_size: int, wake: Callable[[], None], on_late: Callable[[], None]
    ) -> None:
        #: Pairs [number, record] (tasks, as they were claimed), in the order of their starts.
        self.pending: deque[Any] = deque()
        #: How many may run at once, and how many do.
        self.slots = 0
        self.live = 0
        self.paced = False
        #: Up to when it is sure that nobody else works for the job: the server lets those who come
        #: begin a little later than that.
        self.alone_until_s = float("-inf")
        #: Records a call; 0: one, as it is.
        self._batch_size = batch_size
        #: Since when records wait for the rest of their batch.
        self._since_s = 0.0
        self._wake = wake
        self._on_late = on_late
        self._times: deque[float] = deque()
        self._every_s = 0.0
        self._last_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def add(self, claimed: Claimed) -> None:
        """Takes what a claim brought. `slots` is the caller's to set."""
        if claimed.every_s > 0:
            self.alone_until_s = claimed.at_s + claimed.alone_s
        if not self.pending:
            self._since_s = time.monotonic()
        if claimed.every_s > 0 and claimed.records:
            if not self.paced:
                now = time.monotonic()
                self._times = deque([now] * len(self.pending))
                self.paced = True
            self._every_s = claimed.every_s
            first_s = claimed.at_s + claimed.first_s
            count = len(claimed.records)
            self._times.extend(first_s + claimed.every_s * i for i in range(count))
        elif claimed.records and self.paced:
            if self.pending:
                self._times.extend([claimed.at_s] * len(claimed.records))
            else:
                self.paced = False
        self.pending.extend(claimed.records)

    def drop(self) -> None:
        """Forgets what has not been started."""
        self.pending.clear()
        self._times.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def startable(self) -> int:
        """How many records may start now, as far as places and the next one's time allow."""
        if self._batch_size:
            batches = -(-len(self.pending) // self._batch_size)
            count = min(batches, self.slots - self.live)
            return count if count > 0 and self._batch_ready(time.monotonic()) else 0
        count = min(len(self.pending), self.slots - self.live)
        if count > 0 and self.paced and not self._due(time.monotonic()):
            return 0
        return max(count, 0)

    def take(self) -> list[Pair]:
        """The records of one call that may start now; none when there is none."""
        if not self._batch_size:
            if not self.pending or (self.paced and not self.due()):
                return []
            return [self.pending.popleft()]
        now = time.monotonic()
        if not self._batch_ready(now):
            return []
        self._since_s = now
        count = min(self._batch_size, len(self.pending))
        if self.paced:
            for _ in range(count):
                self._times.popleft()
        return [self.pending.popleft() for _ in range(count)]

    def _batch_ready(self, now: float) -> bool:
        """Whether a call's records are here and their times have come.

        Fewer than a whole batch are enough when no more have come in the time in which they should.
        """
        count = min(self._batch_size, len(self.pending))
        if not count:
            return False
        at_s = now
        if count < self._batch_size:
            paced_s = 1.5 * self._batch_size * self._every_s if self.paced else 0.0
            at_s = self._since_s + LINGER_S + paced_s
        if self.paced:
            at_s = max(at_s, self._times[count - 1])
        if at_s > now:
            self._arm(at_s - now)
        return at_s <= now

    def due(self) -> bool:
        """Whether the next record's time has come. It is then taken as started. Only if paced."""
        now = time.monotonic()
        if not self._due(now):
            return False
        self._last_s = max(self._next_s(), now - LATE_S)
        self._times.popleft()
        return True

    def _next_s(self) -> float:
        return max(self._times[0], self._last_s + CLOSEST * self._every_s)

    def _due(self, now: float) -> bool:
        """The same without taking it; when it is not due, wakes its owner at its time."""
        if now > self.alone_until_s and self._times[0] < now - TOO_LATE_S:
            self._give_back(now - TOO_LATE_S)
            if not self.pending:
                return False
        wait_s = self._next_s() - now
        if wait_s <= 0:
            return True
        self._arm(wait_s)
        return False

    def _arm(self, wait_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._fire)

    def _give_back(self, before_s: float) -> None:
        """Lets go of what should have begun before that; its owner tells the server."""
        while self.pending and self._times[0] < before_s:
            self.pending.popleft()
            self._times.popleft()
        self._on_late()

    def _fire(self) -> None:
        self._timer = None
        self._wake()
