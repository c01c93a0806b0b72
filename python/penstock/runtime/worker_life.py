"""What workers of records and of tasks have in common: how they wait, measure, and end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from ..outage import Outage
from .channel import Channel, Message
from .supply import Supply

# What was cancelled gets so long to end.
CANCEL_WAIT_S = 5.0


class WorkerLife:
    """Claims until something stops it, then lets what runs end. Subclasses say what is claimed."""

    #: How often it looks at its memory at most.
    _memory_look_s: float
    _supply: Supply
    _desk: Any
    _runner: Any

    def __init__(self, channel: Channel, go: Message) -> None:
        self._channel = channel
        #: Of its server, as its connections see it.
        self._outage = Outage(self._say_away)
        self._max_memory_bytes = int(go.get("max_memory_bytes") or 0)
        self._changed = asyncio.Event()
        #: What _until waits for.
        self._awaited: Callable[[], bool] | None = None
        self._stopping = asyncio.Event()
        self._grace_ends_s = float("inf")
        #: Why it ends: "finished", "stopped", "recycle".
        self._reason = "finished"
        self._forced = False
        self._rate = 0.0
        self._rate_from = (time.monotonic(), 0)
        self._memory_looked_s = 0.0

    @property
    def stuck(self) -> bool:
        """Something goes on that cannot be stopped: only the end of the process ends it."""
        return bool(self._runner.stuck) or self._forced

    def _say_away(self, text: str, away: bool) -> None:
        """The supervisor tells the person, once for all its processes."""
        self._channel.say(log={"level": "warning" if away else "info", "text": text, "away": away})

    async def _claim_all(self) -> None:
        raise NotImplementedError

    async def _work(self) -> None:
        """Claims until there is nothing more to claim, or something stops it."""
        claiming = asyncio.get_running_loop().create_task(self._claim_all())
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        await asyncio.wait({claiming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (claiming, stopping):
            task.cancel()
        await asyncio.wait({claiming, stopping})
        if not claiming.cancelled():
            claiming.result()

    def _measure(self) -> None:
        """How many end in a second, of late."""
        now = time.monotonic()
        then, before = self._rate_from
        ended = self._desk.settled + self._desk.waiting
        if now - then >= 0.005:
            rate = (ended - before) / (now - then)
            self._rate = rate if rate > self._rate else (self._rate * 3 + rate) / 4
            self._rate_from = (now, ended)

    # ---- ending

    def _on_message(self, message: Message) -> None:
        stop = message.get("stop")
        if stop is None:
            return
        grace_s = float(stop.get("grace_s") or 0)
        text = f"stopping: {self._supply.live} are running and have {grace_s:g} s"
        self._channel.say(log={"level": "info", "text": text})
        self._end("stopped", grace_s)

    def _on_end(self) -> None:
        """The supervisor is gone."""
        self._end("stopped", 0)

    def _end(self, reason: str, grace_s: float, keep: bool = False) -> None:
        """`keep`: what is here still runs."""
        self._reason = reason
        self._grace_ends_s = min(self._grace_ends_s, time.monotonic() + grace_s)
        self._stopping.set()
        if not keep:
            # At once: what ends now must not be followed by what waits.
            self._supply.drop()
        self._changed.set()

    def _grown(self) -> bool:
        now = time.monotonic()
        if not self._max_memory_bytes or now - self._memory_looked_s < self._memory_look_s:
            return False
        self._memory_looked_s = now
        return resident_bytes() > self._max_memory_bytes

    async def _let_end(self) -> None:
        """Waits for what runs and is to be settled, as long as the grace lasts; then cancels it."""
        while not self._quiet():
            left_s = self._grace_ends_s - time.monotonic()
            if left_s <= 0:
                break
            await self._until(lambda: self._quiet() or self._grace_over(), left_s)
        if not self._quiet():
            self._forced = True
            self._runner.cancel_all("stop")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._until(self._quiet), CANCEL_WAIT_S)

    def _grace_over(self) -> bool:
        return time.monotonic() >= self._grace_ends_s

    def _quiet(self) -> bool:
        """Nothing is held, nothing runs, all is settled."""
        return not self._supply.pending and self._supply.live == 0 and self._desk.waiting == 0

    # ---- waking up

    def _kick(self) -> None:
        self._runner.kick()

    def _change(self) -> None:
        """Something has ended. Also the moment to see whether a fresh process should go on."""
        # Asked here, since this comes for every few of them: a task that wakes to ask costs more.
        if self._awaited is None or self._awaited():
            self._changed.set()
        if not self._stopping.is_set() and (self._runner.stuck or self._grown()):
            self._end("recycle", float("inf"))

    async def _until(self, true: Callable[[], bool], within_s: float = float("inf")) -> None:
        """Waits until something has made it true, or so long."""
        while not true():
            self._awaited = true
            self._changed.clear()
            if within_s == float("inf"):
                await self._changed.wait()
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), within_s)
            return


def resident_bytes() -> int:
    """The memory that this process has in use."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
