"""Runs tasks: coroutines and async generators on the loop, the rest in threads or processes.

The hands are those of runner.py: each runs one task after the other, so that a coroutine that ends
without waiting costs no task of asyncio's.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..context import TaskContext, enter, leave
from ..outcome import Skip
from ..task_call import TaskCall
from .runner import Hand, Runner, thrown_away
from .supply import Supply
from .task_desk import TaskDesk
from .task_failure import task_failure
from .task_processes import Processes
from .task_run import TaskRun, no_result
from .task_session import Told
from .task_threads import Threads

if TYPE_CHECKING:
    from ..app import App, Task

# A task that was told to end gets so long before it is given up.
UNWIND_S = 10.0
LOST = ("lost", "stop")


class TaskRunner(Runner):
    """Starts tasks as places allow. For the loop's thread."""

    def __init__(
        self,
        app: App,
        target: str,
        supply: Supply,
        desk: TaskDesk,
        on_change: Callable[[], None],
        on_progress: Callable[[TaskContext], None],
    ) -> None:
        super().__init__(_nothing, supply, desk, 0.0, on_change)  # type: ignore[arg-type]
        self._app = app
        self._task_desk = desk
        self._on_progress = on_progress
        self._runs: dict[int, tuple[TaskRun, Hand]] = {}
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(self._loop)
        self._processes = Processes(target)

    # ---- what the worker asks for

    def numbers(self) -> list[int]:
        return list(self._runs)

    def abort(self, id: int, why: str) -> None:
        """The server, or the end of the worker, wants it to end."""
        run, hand = self._runs.get(id, (None, None))
        if run is None or hand is None or hand.why:
            return
        hand.why = why
        self._tell_to_end(run, hand, why)
        self._loop.call_later(UNWIND_S, self._give_up_run, run, hand)

    def cancel_all(self, why: str) -> None:
        for id in list(self._runs):
            self.abort(id, why)

    def lose_all(self) -> None:
        for run, hand in list(self._runs.values()):
            before, hand.why = hand.why, "lost"
            if not before:
                self._tell_to_end(run, hand, "lost")
                self._loop.call_later(UNWIND_S, self._give_up_run, run, hand)

    def close(self) -> None:
        """Ends the processes of tasks."""
        self._processes.close()

    def _tell_to_end(self, run: TaskRun, hand: Hand, why: str) -> None:
        run.context.abort(why)
        if self._waits(run.task):
            self._interrupt(hand)
        elif run.task.executor == "process":
            self._processes.kill(run)

    def _waits(self, task: Task[Any, Any]) -> bool:
        """Whether it runs on the loop, where it can be cancelled."""
        return task.kind in ("coroutine", "async generator")

    def _give_up_run(self, run: TaskRun, hand: Hand) -> None:
        """It does not end. Only a new process is rid of it."""
        if self._runs.get(run.id, (None,))[0] is not run:
            return
        del self._runs[run.id]
        if hand.why not in LOST:
            self._task_desk.abort(run)
        self._abandon(hand)

    # ---- hands

    async def _drive(self, hand: Hand) -> None:
        """One hand's life. The loop in it is the hot path: every name is worth its place."""
        supply, desk, runs = self._supply, self._task_desk, self._runs
        pending, tasks = supply.pending, self._app.tasks
        done, empty = desk.done, desk.empty
        clean = copy_context()
        task: Any = hand.task
        now = time.monotonic()
        round_ = -1
        try:
            while pending and supply.live <= supply.slots:
                if now > self._turn_ends_s and not self._open_turn(now) and round_ == self._round:
                    break
                round_ = self._round
                told: Told = pending.popleft()
                found = tasks.get(told["function"])
                if found is None:
                    self._unknown(told)
                    continue
                context = TaskContext(self._app, told, self._on_progress)
                run = TaskRun(found, told, context)
                hand.began_s = now
                mine = run, hand
                runs[run.id] = mine
                token = enter(context)
                try:
                    args, named = run.arguments()
                    if found.kind == "coroutine":
                        result = await found.function(*args, **named)
                    else:
                        result = await self._other(run, args, named)
                    if found.accept is not None or isinstance(result, TaskCall):
                        result = run.take_result(result)
                except BaseException as error:
                    if thrown_away(error, hand):
                        raise
                    self._ended_badly(hand, run, error)
                    if isinstance(error, asyncio.CancelledError):
                        break
                else:
                    if hand.why not in LOST and not run.calls:
                        if result is None:
                            empty.append(run.id)
                        else:
                            done.append([run.id, result])
                    elif hand.why not in LOST:
                        desk.finish(run, result)
                finally:
                    # It may have been lost, and run here anew beside this one.
                    if runs.get(run.id) is mine:
                        del runs[run.id]
                    with contextlib.suppress(ValueError):  # it ended in another context
                        leave(token)
                if hand.why or task._must_cancel or copy_context() != clean:
                    break
                now = time.monotonic()
        finally:
            self._ended(hand)

    def _unknown(self, told: Told) -> None:
        run = TaskRun(None, told, TaskContext(self._app, told))  # type: ignore[arg-type]
        text = f"no function {told['function']!r} in this worker's app"
        failure = {"message": text, "type": "UnknownFunction", "final": True}
        self._task_desk.fail(run, failure)
        self._changed()

    async def _other(self, run: TaskRun, args: list[Any], named: dict[str, Any]) -> Any:
        """What is no coroutine function. What a wrapper gives is looked at, not guessed."""
        task = run.task
        self._task_desk.watch(run)
        try:
            if task.kind == "async generator":
                await self._iterate_async(run, task.function(*args, **named))
                await self._flushed(run)
                return None
            if task.executor == "process":
                call = self._processes.call(run, self._take_told_in_thread)
            else:
                call = self._in_thread(run, args, named)
            result, error = await self._threads.run(call)
            await self._flushed(run)
            if error is not None:
                raise error
            if inspect.isawaitable(result):
                return await result
            if inspect.isasyncgen(result):
                return await self._iterate_async(run, result)
            return result
        finally:
            self._task_desk.unwatch(run)

    async def _flushed(self, run: TaskRun) -> None:
        """What is on its way of its calls has arrived."""
        if run.flushing is not None:
            await run.flushing
        if run.broken is not None:
            raise run.broken

    def _in_thread(self, run: TaskRun, args: list[Any], named: dict[str, Any]) -> Callable[[], Any]:
        surroundings = copy_context()

        def call() -> Any:
            result = run.task.function(*args, **named)
            return self._iterate(run, result) if inspect.isgenerator(result) else result

        return lambda: surroundings.run(call)

    def _iterate(self, run: TaskRun, items: Any) -> None:
        """A generator, in its thread."""
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration as end:
                    no_result(run, end.value)
                    return
                self._take_in_thread(run, item)
                run.context.check()
        finally:
            items.close()

    def _take_in_thread(self, run: TaskRun, item: Any) -> None:
        self._take_told_in_thread(run, run.call_of(item).told())

    def _take_told_in_thread(self, run: TaskRun, told: Told) -> None:
        if run.take_told(told):
            flushed = asyncio.run_coroutine_threadsafe(self._task_desk.flush(run), self._loop)
            flushed.result()

    async def _iterate_async(self, run: TaskRun, items: Any) -> None:
        try:
            async for item in items:
                if run.take(item):
                    await self._task_desk.flush(run)
        finally:
            await items.aclose()

    def _ended_badly(self, hand: Hand, run: TaskRun, error: BaseException) -> None:
        desk = self._task_desk
        if hand.why in LOST or hand.why == "given up":
            return
        if isinstance(error, Skip):
            desk.finish(run, None)
        elif hand.why:
            # It was told to end, and has, one way or the other.
            desk.abort(run)
        else:
            took_s = time.monotonic() - hand.began_s
            desk.fail(run, task_failure(error, took_s), error)


async def _nothing(*_: Any) -> None:
    raise AssertionError
