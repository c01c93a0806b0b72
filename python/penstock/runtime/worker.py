"""The worker: claims ahead, keeps the runner supplied, calls the hooks, stops when told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import LeaseEndedError, NoSpaceError, PenstockError
from . import jsonlbatch
from .channel import Channel, Message
from .desk import Desk
from .plain_runner import PlainRunner
from .runner import BatchRunner, Runner
from .session import Claimed, Session
from .supply import Supply
from .target import Target
from .worker_life import CANCEL_WAIT_S, WorkerLife

# Records are claimed ahead for so long, but not more than so much or so many.
AHEAD_S = 0.06
AHEAD_BYTES = 2 << 20
CLAIM_MAX = 50000
FIRST_CLAIM = 64
# When the job sets no limit of its own.
SLOTS_DEFAULT = 100
# A claim that brings nothing although it could wait is not repeated at once.
EMPTY_PAUSE_S = 0.01
FULL_PAUSE_S = 1.0
# So many objects are made before the collector looks for garbage among them.
COLLECT_AFTER = 10000


class Worker(WorkerLife):
    """Runs one target over one job, from `go` to `bye`."""

    _memory_look_s = 0.1

    def __init__(self, channel: Channel, target: Target, go: Message) -> None:
        super().__init__(channel, go)
        self._target = target
        self._go = go
        self._session = Session(
            go["server"],
            go.get("key"),
            go.get("token"),
            go["job"],
            go.get("worker") or "python",
            self._outage,
        )
        self._supply = Supply(target.batch_size, self._kick, self._late)
        self._desk = Desk(self._session, channel, self._change, self._lost, self._gone)
        self._runner = self._make_runner(float(go.get("timeout_s") or 0))
        self._default_slots = int(go.get("slots_hint") or SLOTS_DEFAULT)
        self._max_records = int(go.get("max_records") or 0)
        self._context: dict[str, Any] | None = None
        self._http_session: Any = None
        self._failed = False
        self._said_full = False
        #: It could not begin, or not go on: there is no bye.
        self._unfit = False
        self._said_lease: str | None = None
        self._claimed = 0
        self._last_claim = FIRST_CLAIM
        self._record_bytes = 0.0

    async def run(self) -> int:
        """All of it; the process's exit status."""
        await self._channel.attach(self._on_message, self._on_end)
        jsonlbatch.log_to(
            lambda told: self._channel.say(log=told),
            self._channel.room,
            self._runner.current_record,
        )
        keepers: list[asyncio.Task[None]] = []
        try:
            await self._session.open()
            loop = asyncio.get_running_loop()
            keepers.append(loop.create_task(self._keep_lease()))
            keepers.append(loop.create_task(self._say_alive(float(self._go.get("alive_s") or 0))))
            await self._work()
            await self._drain()
        except PenstockError as error:
            self._failed = self._unfit = True
            self._channel.say(error={"text": f"{error.code}: {error}", "traceback": ""})
        finally:
            for keeper in keepers:
                keeper.cancel()
            with contextlib.suppress(PenstockError):
                await asyncio.wait_for(self._session.release(), CANCEL_WAIT_S)
            await self._shut_down()
            self._session.close()
        if not self._unfit:
            self._channel.say(bye={"ran": self._desk.settled, "reason": self._reason})
        await self._channel.close()
        return 1 if self._failed else 0

    def _make_runner(self, timeout_s: float) -> Runner:
        target = self._target
        rest = (target.function, self._supply, self._desk, timeout_s, self._change)
        if not target.waits:
            return PlainRunner(target.batch_size, *rest)
        return BatchRunner(*rest) if target.batch_size else Runner(*rest)

    # ---- claiming

    async def _claim_all(self) -> None:
        most = 0

        def hungry() -> bool:
            nonlocal most
            most = self._wanted()
            return most > 0

        while True:
            await self._until(hungry)
            asked_s = time.monotonic()
            lease = self._session.lease
            try:
                running = self._supply.live * (self._target.batch_size or 1)
                claimed = await self._session.claim(
                    most, running, self._session.wait_s, self._holds
                )
            except LeaseEndedError:
                self._lost(lease)
                continue
            except NoSpaceError as full:
                await self._until_there_is_room(full)
                continue
            self._said_full = False
            await self._take(claimed)
            if claimed.finished and not claimed.records:
                return
            if self._max_records and self._claimed >= self._max_records:
                self._reason = "recycle"
                return
            if not claimed.records and time.monotonic() - asked_s < EMPTY_PAUSE_S:
                await asyncio.sleep(EMPTY_PAUSE_S)

    async def _until_there_is_room(self, full: NoSpaceError) -> None:
        """The server's disk is full: it hands nothing out before somebody makes room."""
        if not self._said_full:
            self._said_full = True
            text = f"nothing can be claimed until there is room: {full}"
            self._channel.say(log={"level": "warning", "text": text})
        await asyncio.sleep(FULL_PAUSE_S)

    async def _take(self, claimed: Claimed) -> None:
        if self._session.lease != self._said_lease:
            self._said_lease = self._session.lease
            self._channel.say(lease=self._said_lease)
        count = len(claimed.records)
        if count:
            self._claimed += count
            self._last_claim = max(count, FIRST_CLAIM)
            self._record_bytes = claimed.size_bytes / count
            if self._context is None:
                await self._start_up()
        self._desk.served_again(claimed.records)
        if claimed.alone:
            # They were in the hands of a worker that died: no other record is to be lost by them.
            await self._until(self._quiet)
        if self._stopping.is_set():
            return
        self._set_slots(claimed.slots)
        self._supply.add(claimed)
        self._kick()
        if claimed.alone:
            await self._until(self._quiet)

    def _set_slots(self, told: int | None) -> None:
        """Of records; the runner counts calls."""
        slots = self._default_slots if told is None else told
        size = self._target.batch_size or 1
        self._supply.slots = max(1, slots // size) if slots > 0 else 0

    def _wanted(self) -> int:
        """How many records to claim now; 0: there are enough."""
        size = self._target.batch_size or 1
        supply = self._supply
        self._measure()
        ahead = min(int(self._rate * AHEAD_S), 4 * self._last_claim)
        free = max(0, supply.slots - supply.live) * size
        if self._claimed == 0:
            free = max(free, min(self._default_slots, FIRST_CLAIM))
        target = min(free + ahead, CLAIM_MAX)
        if self._record_bytes:
            target = min(target, max(size, int(AHEAD_BYTES / self._record_bytes)))
        if self._max_records:
            target = min(target, self._max_records - self._claimed)
        held = len(supply.pending)
        if target == 0 and supply.live == 0:
            target = size  # no place at the moment: to wait for one is to claim
        if (held >= size and held > target // 2) or self._desk.waiting > 4 * max(
            target, self._last_claim
        ):
            return 0
        return max(target - held, 0)

    def _holds(self) -> list[int]:
        """The numbers of all records that are here."""
        waiting = [pair[0] for pair in self._supply.pending]
        return [*waiting, *self._runner.numbers(), *self._desk.numbers()]

    def _late(self) -> None:
        """Records are given back: their times have passed."""
        self._session.claim_again()
        asyncio.get_running_loop().call_soon(self._change)

    def _lost(self, lease: str | None) -> None:
        """That lease is gone: all that it held is in other hands."""
        if self._session.lease != lease:
            return  # known, and there may be a new one
        self._session.lease = None
        text = "the lease has ended: what was being worked on is served again"
        self._channel.say(log={"level": "warning", "text": text})
        self._supply.drop()
        self._desk.drop()
        self._runner.lose_all()

    def _gone(self, why: str) -> None:
        """The output is not there any more: nothing that is done here can be written."""
        if not self._unfit:
            self._failed = self._unfit = True
            self._channel.say(failed={"where": "output", "text": why, "traceback": ""})
        self._end("stopped", 0)

    async def _keep_lease(self) -> None:
        """Moves the lease's deadline on while nothing else does."""
        while True:
            await asyncio.sleep(self._session.extend_every_s / 2)
            lease = self._session.lease
            try:
                await self._session.extend_when_due()
            except LeaseEndedError:
                self._lost(lease)
            except PenstockError as error:
                text = f"the lease cannot be extended: {error}"
                self._channel.say(log={"level": "warning", "text": text})

    async def _say_alive(self, every_s: float) -> None:
        """Tells the supervisor that the loop turns: a function may block it for ever."""
        while every_s > 0:
            self._channel.say(alive={})
            await asyncio.sleep(every_s)

    # ---- ending

    async def _drain(self) -> None:
        """Lets what runs end, as long as the grace lasts, and settles it."""
        if self._stopping.is_set():
            self._session.close_claims()
        await self._let_end()

    # ---- hooks

    async def _start_up(self) -> None:
        context: Any = None
        if self._target.on_startup is not None:
            try:
                context = await _called(self._target.on_startup)
                if context is not None and not isinstance(context, dict):
                    kind = type(context).__name__
                    raise TypeError(f"on_startup must give a dict or None, not {kind}")
            except BaseException as error:
                self._context = {}
                if self._stopping.is_set():
                    raise
                self._tell_failed(error, "on_startup")
                self._unfit = True
                self._end("stopped", 0)
                raise asyncio.CancelledError from error
        self._context = {} if context is None else context
        self._open_http_session(self._context)
        self._runner.context = self._context
        # What is there now stays: the collector need not look at it again and again; nor so often
        # at records, which come by the thousand and are no garbage yet.
        gc.freeze()
        if gc.get_threshold()[0] < COLLECT_AFTER and gc.isenabled():
            gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
        self._channel.say(ready={})

    def _open_http_session(self, context: dict[str, Any]) -> None:
        """context['session'], for tasks that speak of one; nobody else pays for the import."""
        if "aiohttp" not in sys.modules and not self._target.mentions("session"):
            return
        try:
            import aiohttp
        except ImportError:
            return
        limit = max(100, self._default_slots)
        self._http_session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit))
        context["session"] = self._http_session

    async def _shut_down(self) -> None:
        if self._context is not None and self._target.on_shutdown is not None:
            try:
                await _called(self._target.on_shutdown, self._context)
            except BaseException as error:
                self._tell_failed(error, "on_shutdown")
        if self._http_session is not None:
            await self._http_session.close()

    def _tell_failed(self, error: BaseException, where: str) -> None:
        self._failed = True
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        text = f"{type(error).__name__}: {error}"
        self._channel.say(failed={"text": text, "traceback": trace, "where": where})


async def _called(hook: Callable[..., Any], *args: Any) -> Any:
    result = hook(*args)
    return await result if inspect.isawaitable(result) else result
