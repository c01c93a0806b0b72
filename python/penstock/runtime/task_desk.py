"""The desk of a task worker: outcomes and calls, gathered, sent, joined with the next claim.

One settlement is on its way at a time; what ends meanwhile makes up the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from ..errors import (
    BusyError,
    ConflictError,
    ConnectionLostError,
    InvalidError,
    LeaseEndedError,
    LimitError,
    NotFoundError,
    PenstockError,
)
from ..failure import Failure
from .channel import Channel
from .codec import dump_pairs, dumps
from .desk import FailureLog
from .task_run import TaskRun
from .task_session import TaskSession, Told

SETTLE_MAX = 5000
SETTLE_AFTER_S = 0.003
RETRY_MAX_S = 2.0
# What a generator yields waits for its end no longer than that.
CALLS_AFTER_S = 0.05
# What is wrong with a settlement itself: a result too large, a call that clashes or waits for none.
REFUSALS = (InvalidError, LimitError, NotFoundError, ConflictError)


class Outcome:
    """How a run ended, when more is to be said than a result."""

    __slots__ = ("failure", "result", "run")

    def __init__(self, run: TaskRun, result: Any = None, failure: Failure | None = None) -> None:
        self.run = run
        self.result = result
        self.failure = failure


class TaskDesk:
    """Gathers outcomes. For the loop's thread."""

    def __init__(
        self,
        session: TaskSession,
        channel: Channel,
        wanted: Callable[[], int],
        on_tasks: Callable[[list[Told]], None],
        on_sent: Callable[[], None],
        on_lost: Callable[[str | None], None],
    ) -> None:
        #: Pairs [id, result], and the ids of those whose result is None; runners append.
        self.done: list[list[Any]] = []
        self.empty: list[int] = []
        self._outcomes: list[Outcome] = []
        self._aborted: list[int] = []
        #: Runs that have yielded, and may have to tell before they end.
        self._yielding: set[TaskRun] = set()
        self._tick: asyncio.TimerHandle | None = None
        #: How many outcomes were settled.
        self.settled = 0
        self._session = session
        self._channel = channel
        self.log = FailureLog(channel)
        self._wanted = wanted
        self._on_tasks = on_tasks
        self._on_sent = on_sent
        self._on_lost = on_lost
        self._sending: asyncio.Task[None] | None = None
        self._sent: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Outcomes that are not settled yet."""
        return self._gathered + len(self._sent)

    @property
    def _gathered(self) -> int:
        gathered = len(self.done) + len(self.empty)
        return gathered + len(self._outcomes) + len(self._aborted)

    def finish(self, run: TaskRun, result: Any) -> None:
        """A run has ended well."""
        if run.calls:
            self._outcomes.append(Outcome(run, result))
        elif result is None:
            self.empty.append(run.id)
        else:
            self.done.append([run.id, result])

    def fail(self, run: TaskRun, failure: Failure, error: BaseException | None = None) -> None:
        """A run's attempt has failed. What it has yielded stands."""
        run.seal()
        self._outcomes.append(Outcome(run, None, failure))
        self.log.tell_task(run.id, run.told["function"], failure, error)

    def abort(self, run: TaskRun) -> None:
        """A run has let go, as it was told to."""
        self._aborted.append(run.id)

    def abort_unstarted(self, id: int) -> None:
        """One that had not begun is let go."""
        self._aborted.append(id)

    def watch(self, run: TaskRun) -> None:
        """This one may yield."""
        self._yielding.add(run)
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(CALLS_AFTER_S, self._look)

    def unwatch(self, run: TaskRun) -> None:
        """It has ended: what it has yielded goes with its outcome."""
        self._yielding.discard(run)

    def _look(self) -> None:
        self._tick = None
        for run in list(self._yielding):
            if run.calls and (run.flushing is None or run.flushing.done()):
                run.flushing = asyncio.get_running_loop().create_task(self._flush_quietly(run))
        if self._yielding:
            self._tick = asyncio.get_running_loop().call_later(CALLS_AFTER_S, self._look)

    async def _flush_quietly(self, run: TaskRun) -> None:
        try:
            await self.flush(run)
        except PenstockError as error:
            run.broken = error

    async def flush(self, run: TaskRun) -> None:
        """Enqueues what a run has yielded so far, before it ends.

        Each call gets a key by which it is recognised if the task runs again.
        """
        run.seal()
        calls, run.calls = run.calls, []
        pause_s = 0.05
        while calls:
            try:
                await self._session.enqueue(calls)
                return
            except (BusyError, ConnectionLostError):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_MAX_S)

    def ripen(self) -> None:
        """Something ended: sends if there is enough, else a little later."""
        if self._sending is not None:
            return
        if self._gathered >= SETTLE_MAX or self._wanted() > 0:
            # Who has nothing to do meanwhile gains nothing by waiting.
            self.send()
        elif self._timer is None and self._gathered:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_AFTER_S, self.send)

    def send(self) -> None:
        """Sends what is there, unless something is on its way already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is None and self._gathered:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def numbers(self) -> list[int]:
        """The tasks of all outcomes that are not settled yet."""
        gathered = [pair[0] for pair in self.done]
        rich = [outcome.run.id for outcome in self._outcomes]
        return [*gathered, *self.empty, *rich, *self._aborted, *self._sent]

    def drop(self) -> None:
        """Forgets what is not on its way: the lease is gone."""
        self.done.clear()
        self.empty.clear()
        self._outcomes.clear()
        self._aborted.clear()
        self._yielding.clear()

    async def _send(self) -> None:
        lease = self._session.lease
        try:
            while self._gathered:
                # The lists stay the same objects: runners hold them.
                done, empty = self.done[:], self.empty[:]
                outcomes, aborted = self._outcomes[:], self._aborted[:]
                del self.done[:], self.empty[:], self._outcomes[:], self._aborted[:]
                rich = [outcome.run.id for outcome in outcomes]
                self._sent = [*(pair[0] for pair in done), *empty, *rich, *aborted]
                lease = self._session.lease
                await self._settle(lease, done, empty, outcomes, aborted)
                self.settled += len(self._sent)
                self._sent = []
                self._on_sent()
        except LeaseEndedError:
            self._sent = []
            self._on_lost(lease)
        except PenstockError as refused:
            # Nobody's fault that could be found: they go back, to be run again.
            self._session.unsure = True
            text = f"outcomes of {self._sent} were refused: {refused}"
            self._channel.say(log={"level": "error", "text": text})
        finally:
            self._sent = []
            self._sending = None
            self._on_sent()
            if self._gathered:
                self.ripen()

    async def _settle(
        self,
        lease: str | None,
        done: list[list[Any]],
        empty: list[int],
        outcomes: list[Outcome],
        aborted: list[int],
    ) -> None:
        """Sends until it is known to be taken."""
        try:
            parts = self._parts(done, empty, outcomes, aborted)
            await self._settle_parts(lease, parts)
        except LeaseEndedError:
            raise
        except REFUSALS as refused:
            await self._divide(lease, done, empty, outcomes, aborted, refused)

    async def _settle_parts(self, lease: str | None, parts: list[bytes]) -> None:
        pause_s = 0.05
        while True:
            try:
                told = await self._session.settle(lease, parts, self._wanted())
                if told.get("tasks"):
                    self._on_tasks(told["tasks"])
                return
            except REFUSALS:
                raise
            except (BusyError, ConnectionLostError):
                pass
            except PenstockError as problem:
                # A full disk, for one: what is there stays with us until it is taken.
                text = f"results are not taken: {problem}"
                self._channel.say(log={"level": "error", "text": text})
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)

    def _parts(
        self,
        done: list[list[Any]],
        empty: list[int],
        outcomes: list[Outcome],
        aborted: list[int],
    ) -> list[bytes]:
        """The members of a settlement."""
        failures: list[tuple[int, Failure]] = []
        calls: list[Told] = []
        pairs = done
        for outcome in outcomes:
            if outcome.failure is not None:
                failures.append((outcome.run.id, outcome.failure))
            else:
                pairs = [*pairs, [outcome.run.id, outcome.result]]
            calls += [{"of": outcome.run.id, **call} for call in outcome.run.calls]
        body, bad = dump_pairs(pairs)
        for id, why in bad:
            failures.append((id, {"message": why, "type": "TypeError", "final": True}))
            self.log.tell_task(id, "", failures[-1][1], None)
        if empty:
            rest = b",".join([b"[%d,null]" % id for id in empty])
            body = b"[" + rest + b"]" if body == b"[]" else body[:-1] + b"," + rest + b"]"
        parts = [b'"completed":' + body]
        if failures:
            parts.append(b'"failures":' + orjson.dumps(failures))
        if aborted:
            parts.append(b'"aborted":' + orjson.dumps(aborted))
        if calls:
            parts.append(b'"enqueue":' + dumps(calls))
        return parts

    async def _divide(
        self,
        lease: str | None,
        done: list[list[Any]],
        empty: list[int],
        outcomes: list[Outcome],
        aborted: list[int],
        refused: PenstockError,
    ) -> None:
        """The server does not take them together: finds the one that is the matter."""
        if done and outcomes:
            await self._settle(lease, done, empty, [], aborted)
            await self._settle(lease, [], [], outcomes, [])
        elif len(done) > 1:
            await self._settle(lease, done[: len(done) // 2], empty, [], aborted)
            await self._settle(lease, done[len(done) // 2 :], [], [], [])
        elif len(outcomes) > 1:
            await self._settle(lease, [], empty, outcomes[: len(outcomes) // 2], aborted)
            await self._settle(lease, [], [], outcomes[len(outcomes) // 2 :], [])
        elif done:
            run_id = done[0][0]
            failure = _refusal("its result", refused)
            parts = self._parts([], empty, outcomes, aborted)
            parts.append(b'"failures":' + orjson.dumps([(run_id, failure)]))
            await self._settle_parts(lease, parts)
        elif outcomes and (outcomes[0].run.calls or outcomes[0].result is not None):
            outcomes[0].run.calls = []
            outcomes[0].result = None
            outcomes[0].failure = outcomes[0].failure or _refusal("what it yielded", refused)
            await self._settle(lease, [], empty, outcomes, aborted)
        else:
            raise refused


def _refusal(what: str, refused: PenstockError) -> Failure:
    return {"message": f"{what} was refused: {refused}", "type": "ValueError", "final": True}
