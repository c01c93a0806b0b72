"""A worker of records and of tasks in one process: two workers side by side on one loop.

To the supervisor they are one: it hears of one beginning, one lease (that of the tasks: the one of
the records ends by itself), one end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .channel import Channel, Message
from .target import AppTarget
from .task_worker import TaskWorker
from .worker import Worker


class _Part:
    """What one of the two has in the place of the channel."""

    def __init__(self, channel: Channel, keeps: frozenset[str]) -> None:
        self._channel = channel
        #: What is not passed on.
        self._keeps = keeps
        self.bye: Message = {"ran": 0, "reason": "finished"}
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_end: Callable[[], None] = lambda: None

    def say(self, **message: Any) -> None:
        if "bye" in message:
            self.bye = message["bye"]
        elif not self._keeps & message.keys():
            self._channel.say(**message)

    async def room(self) -> None:
        await self._channel.room()

    async def attach(
        self, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self.on_message, self.on_end = on_message, on_end

    async def close(self) -> None:
        """The channel is closed when both are done."""


class BothWorker:
    """Runs the tasks of an app, and its function of records over a job, until both have ended."""

    def __init__(self, channel: Channel, target: AppTarget, name: str, go: Message) -> None:
        self._channel = channel
        self._tasks_part = _Part(channel, frozenset())
        self._records_part = _Part(channel, frozenset({"lease", "ready"}))
        job = go["job"]
        if job.startswith("@") and job[1:].isdigit():
            go = {**go, "job": int(job[1:])}
        parts: tuple[Any, Any] = (self._tasks_part, self._records_part)
        self._tasks = TaskWorker(parts[0], target, name, go)
        # So many tasks at once says nothing of records.
        self._records = Worker(parts[1], target.of_records(), {**go, "slots_hint": 0})

    @property
    def stuck(self) -> bool:
        """Something goes on that cannot be stopped: only the end of the process ends it."""
        return self._tasks.stuck or self._records.stuck

    async def run(self) -> int:
        """All of it; the process's exit status."""
        await self._channel.attach(self._on_message, self._on_end)
        loop = asyncio.get_running_loop()
        tasks = loop.create_task(self._tasks.run())
        records = loop.create_task(self._records.run())
        status = max(await asyncio.gather(self._watch(tasks), self._watch(records)))
        byes = (self._tasks_part.bye, self._records_part.bye)
        reasons = [bye["reason"] for bye in byes]
        first = next((one for one in ("recycle", "stopped") if one in reasons), "finished")
        if not status:
            self._channel.say(bye={"ran": sum(bye["ran"] for bye in byes), "reason": first})
        await self._channel.close()
        return status

    async def _watch(self, worker: asyncio.Task[int]) -> int:
        """A part that ends otherwise than because nothing is left ends the other one."""
        status = await worker
        reasons = [part.bye["reason"] for part in (self._tasks_part, self._records_part)]
        if status or "recycle" in reasons:
            for part in (self._tasks_part, self._records_part):
                part.on_message({"stop": {"grace_s": float("inf")}})
        return status

    def _on_message(self, message: Message) -> None:
        for part in (self._tasks_part, self._records_part):
            part.on_message(message)

    def _on_end(self) -> None:
        for part in (self._tasks_part, self._records_part):
            part.on_end()
