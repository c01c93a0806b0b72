"""The worker of an app's tasks: claims, keeps the runner supplied, stops when told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from typing import Any

from ..context import TaskContext
from ..errors import LeaseEndedError, NoSpaceError, NotFoundError, PenstockError
from . import jsonlbatch
from .channel import Channel, Message
from .supply import Supply
from .target import AppTarget
from .task_desk import TaskDesk
from .task_runner import TaskRunner
from .task_session import CLAIM_WAIT_S, Abort, Beat, TaskSession, Told
from .worker_life import CANCEL_WAIT_S, WorkerLife

# Tasks are claimed ahead for so long, as fast as they end; slow ones are not claimed ahead at all.
AHEAD_S = 0.02
CLAIM_MAX = 2000
# What waits here longer than that has better chances elsewhere.
HELD_MAX_S = 0.5
CONCURRENCY_DEFAULT = 10
EMPTY_PAUSE_S = 0.01
FULL_PAUSE_S = 1.0
PROGRESS_S = 0.25


class TaskWorker(WorkerLife):
    """Runs the tasks of one app, from `go` to `bye`."""

    _memory_look_s = 0.5

    def __init__(self, channel: Channel, target: AppTarget, name: str, go: Message) -> None:
        super().__init__(channel, go)
        self._app = target.app
        # What tasks defer goes where they came from.
        self._app.move(go.get("server") or self._app.url, go.get("key"), go.get("ca"))
        server, key, tls = self._app.url, self._app.key, self._app.tls
        queues = go.get("queues") or None
        # Who is told its queues answers for all that is in them.
        all_of_them = queues is not None and self._app.owns_queues
        functions = None if all_of_them else sorted(self._app.tasks)
        self._queues_told = queues is not None
        worker = go.get("worker") or "python"
        self._session = TaskSession(server, key, tls, worker, queues, functions, self._outage)
        loop = asyncio.get_running_loop()
        self._beat = Beat(server, key, tls, loop, self._abort, self._lost)
        self._supply = Supply(0, self._kick, _nothing)
        self._supply.slots = int(go.get("concurrency") or CONCURRENCY_DEFAULT)
        self._desk = TaskDesk(
            self._session, channel, self._wanted_now, self._take, self._sent, self._lost
        )
        self._runner = TaskRunner(
            self._app, name, self._supply, self._desk, self._change, self._on_progress
        )
        self._one_shot = bool(go.get("one_shot"))
        self._max_tasks = int(go.get("max_records") or 0)
        self._failed = False
        self._said_full = False
        self._said_lease: str | None = None
        self._claimed = 0
        self._last_claim = 1
        self._arrived_s = 0.0
        self._reported: dict[int, TaskContext] = {}
        self._loop = loop
        #: There is progress to be told, or something waits here.
        self._house = asyncio.Event()

    async def run(self) -> int:
        """All of it; the process's exit status."""
        await self._channel.attach(self._on_message, self._on_end)
        jsonlbatch.log_to(
            lambda told: self._channel.say(log=told),
            self._channel.room,
            self._runner.current_record,
        )
        # What is there now stays: the collector need not look at it again and again.
        gc.freeze()
        self._channel.say(ready={})
        self._beat.start()
        keeper = asyncio.get_running_loop().create_task(self._keep_house())
        scheduler = asyncio.get_running_loop().create_task(self._make_schedules())
        try:
            await self._begin()
            await self._work()
            await self._drain()
        except PenstockError as error:
            self._failed = True
            self._channel.say(error={"text": f"{error.code}: {error}", "traceback": ""})
        finally:
            keeper.cancel()
            scheduler.cancel()
            self._beat.end()
            with contextlib.suppress(PenstockError, asyncio.TimeoutError):
                await asyncio.wait_for(self._session.release(), CANCEL_WAIT_S)
            self._runner.close()
            self._app.end_work()
            self._session.close()
        if not self._failed:
            self._channel.say(bye={"ran": self._desk.settled, "reason": self._reason})
        await self._channel.close()
        return 1 if self._failed else 0

    async def _begin(self) -> None:
        """What the app does first; it ends with the worker that is told to stop meanwhile."""
        opening = asyncio.get_running_loop().create_task(self._app.begin_work(self._outage))
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                queues = opening.result()
                if queues is not None and not self._queues_told:
                    self._session.take_from(queues)
        finally:
            opening.cancel()
            stopping.cancel()

    # ---- claiming

    async def _claim_all(self) -> None:
        while True:
            await self._until(self._hungry)
            asked_s = time.monotonic()
            lease = self._session.lease
            was_quiet, ended = self._quiet(), self._desk.settled
            held_s = self._session.again_s or 0.0
            wait_s = min(held_s, CLAIM_WAIT_S) if self._one_shot else CLAIM_WAIT_S
            try:
                tasks = await self._session.claim(self._wanted(), wait_s, self._holds)
            except (LeaseEndedError, NotFoundError):
                self._lost(lease)
                continue
            except NoSpaceError as full:
                await self._until_there_is_room(full)
                continue
            self._said_full = False
            self._take(tasks)
            self._abort(self._session.aborts)
            if not tasks and self._one_shot and self._session.again_s is not None:
                continue
            if not tasks and self._one_shot:
                # What ran meanwhile, or runs, may enqueue more.
                if was_quiet:
                    return
                await self._until_settled(ended)
            elif not tasks and time.monotonic() - asked_s < EMPTY_PAUSE_S:
                await asyncio.sleep(EMPTY_PAUSE_S)

    async def _until_there_is_room(self, full: NoSpaceError) -> None:
        """The server's disk is full: it hands nothing out before somebody makes room."""
        if not self._said_full:
            self._said_full = True
            text = f"nothing can be claimed until there is room: {full}"
            self._channel.say(log={"level": "warning", "text": text})
        await asyncio.sleep(FULL_PAUSE_S)

    async def _until_settled(self, before: int) -> None:
        """More than that was settled, or nothing is left to be."""
        await self._until(lambda: self._desk.settled > before or self._quiet())

    def _take(self, tasks: list[Told]) -> None:
        """Tasks were handed out to us."""
        self._keep(self._session.lease)
        if not tasks:
            return
        self._claimed += len(tasks)
        self._last_claim = len(tasks)
        if not self._supply.pending:
            self._arrived_s = time.monotonic()
        if self._stopping.is_set():
            return  # given back with the rest
        self._supply.pending.extend(tasks)
        self._kick()
        self._house.set()
        if self._max_tasks and self._claimed >= self._max_tasks:
            self._end("recycle", float("inf"), keep=True)

    def _keep(self, lease: str | None) -> None:
        if lease != self._said_lease:
            self._said_lease = lease
            self._channel.say(lease=lease)
            self._beat.keep(lease)

    def _hungry(self) -> bool:
        """Whether to claim; while outcomes are waiting, their settlement does so."""
        desk = self._desk
        return not self._session.claiming and not desk.waiting and self._wanted() > 0

    def _wanted_now(self) -> int:
        """How many tasks a settlement is to claim."""
        return 0 if self._stopping.is_set() else self._wanted()

    def _wanted(self) -> int:
        """How many tasks to claim; 0: there are enough."""
        supply = self._supply
        self._measure()
        ahead = min(int(self._rate * AHEAD_S), 4 * self._last_claim)
        target = min(supply.slots - supply.live + ahead, CLAIM_MAX)
        if self._max_tasks:
            target = min(target, len(supply.pending) + self._max_tasks - self._claimed)
        held = len(supply.pending)
        return 0 if held > target // 2 else target - held

    def _holds(self) -> list[int]:
        """The ids of all tasks that are here."""
        waiting = [told["id"] for told in self._supply.pending]
        return [*waiting, *self._runner.numbers(), *self._desk.numbers()]

    def _lost(self, lease: str | None) -> None:
        """That lease is gone: all that it held is in other hands."""
        if lease is None or self._session.lease != lease:
            return  # known, and there may be a new one
        self._session.lease = None
        self._said_lease = None
        self._beat.keep(None)
        text = "the lease has ended: what was being worked on runs elsewhere"
        self._channel.say(log={"level": "warning", "text": text})
        self._supply.drop()
        self._desk.drop()
        self._runner.lose_all()
        self._session.close_claims()
        self._changed.set()

    def _abort(self, aborts: list[Abort]) -> None:
        """The server wants these to end."""
        for id, why in aborts:
            self._runner.abort(id, why)
        dropped = {id for id, _ in aborts}
        if dropped and self._supply.pending:
            for told in list(self._supply.pending):
                if told["id"] in dropped:
                    self._supply.pending.remove(told)
                    self._desk.abort_unstarted(told["id"])
            self._desk.ripen()
        if aborts is self._session.aborts:
            aborts.clear()

    # ---- what goes on beside

    def _on_progress(self, context: TaskContext) -> None:
        """From any thread."""
        first = not self._reported
        self._reported[context.task.id] = context
        if first:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._house.set)

    async def _keep_house(self) -> None:
        """Tells progress, and gives back what waits here too long, when there is any of it."""
        while True:
            await self._house.wait()
            await asyncio.sleep(PROGRESS_S)
            self._house.clear()
            lease = self._session.lease
            with contextlib.suppress(PenstockError):
                try:
                    await self._tell_progress()
                    await self._give_back()
                except (LeaseEndedError, NotFoundError):
                    self._lost(lease)
                self._abort(self._session.aborts)
            if self._supply.pending:
                self._house.set()

    async def _make_schedules(self) -> None:
        """The app's schedules that the server does not have. Those that it has may be changed."""
        for schedule in self._app.schedules.values():
            schedules = self._app.async_client.schedules
            try:
                try:
                    await schedules.get(schedule.name)
                except NotFoundError:
                    await schedules.put(schedule.name, **schedule.told())
            except PenstockError as error:
                text = f"schedule {schedule.name} cannot be made: {error}"
                self._channel.say(log={"level": "warning", "text": text})

    async def _tell_progress(self) -> None:
        if not self._reported:
            return
        contexts, self._reported = self._reported, {}
        here = set(self._runner.numbers())
        told = [[id, *(one.reported or (0.0, None))] for id, one in contexts.items() if id in here]
        if told:
            await self._session.extend(progress=told)

    async def _give_back(self) -> None:
        """Something blocks: what was claimed ahead is for others."""
        supply = self._supply
        free = supply.slots - supply.live
        late = time.monotonic() - self._arrived_s > HELD_MAX_S
        if not late or len(supply.pending) <= max(free, 0) or self._session.claiming:
            return
        if self._desk.waiting:
            return  # a settlement may bring more at any moment
        self._rate = 0.0
        for _ in range(len(supply.pending) - max(free, 0)):
            supply.pending.pop()
        self._session.claiming = True
        try:
            await self._session.extend(holds=self._holds())
        finally:
            self._session.claiming = False

    # ---- ending

    async def _drain(self) -> None:
        """Lets what runs end, as long as the grace lasts, and settles it."""
        if self._stopping.is_set():
            self._session.close_claims()
            with contextlib.suppress(PenstockError):
                # What waits here, and what a claim may just have brought, is for others.
                await self._session.extend(holds=self._holds())
        await self._let_end()
        # All have let go: then the end is an end like any other.
        self._forced = not self._quiet()

    # ---- waking up

    def _sent(self) -> None:
        self._abort(self._session.aborts)
        self._change()


def _nothing(*_: Any) -> None:
    return
