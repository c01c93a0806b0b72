"""Reads the history of tasks from /v1/events and checks it, knowing nothing of the server.

What must hold, whatever was killed and when: a task has one live lease at most, its fence grows
with each start, what ends it ends it once, of a lock one runs at a time and in order, nothing
starts before its parents, no limit is exceeded in any window; and at the end each task has ended.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.wire import Wire

# Events say milliseconds: two that are a window apart may seem so much closer.
ROUNDING_S = 0.002
PRESENT = b": present"
# What a task is after an event that ends a run of it.
ENDS = {
    "task.completed": "completed",
    "task.failed": "waiting",
    "task.lost": "waiting",
    "task.returned": "waiting",
    "task.dead": "failed",
    "task.cancelled": "cancelled",
}


@dataclass
class Event:
    id: int
    at_s: float
    kind: str
    tasks: list[tuple[int, int, int]]  # id, fence, session


def read_events(wire: Wire, after: int = 0) -> list[Event]:
    """All events of tasks so far, in order."""
    return list(_parse(read_lines(wire, after)))


def read_lines(wire: Wire, after: int = 0) -> Iterator[bytes]:
    """The lines of /v1/events, up to the present."""
    connection = wire.connect()
    try:
        connection.request("GET", f"/v1/events?after={after}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for line in answer:
            if line.startswith(PRESENT):
                return
            yield line
    finally:
        connection.close()


def _parse(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        if not line.startswith(b"data: "):
            continue
        told = json.loads(line[len(b"data: ") :])
        if not str(told.get("kind", "")).startswith("task.") or not told.get("detail"):
            continue
        at = datetime.fromisoformat(told["at"].replace("Z", "+00:00")).timestamp()
        tasks = [(t[0], t[1], t[2]) for t in told["detail"]["tasks"]]
        yield Event(told["id"], at, told["kind"], tasks)


@dataclass
class Fact:
    """What was asked for with a task."""

    queue: str = "default"
    function: str = ""
    key: str | None = None
    lock: str | None = None
    priority: int = 0
    after: list[int] = field(default_factory=list)
    after_when: str = "completed"
    timed: bool = False  # it may wait for a time that the history does not tell


@dataclass
class Limit:
    """So many at once, so many starts a minute, of the tasks of which `concerns` is true."""

    name: str
    concerns: Callable[[Fact], bool]
    concurrency: int = 0
    rpm: float = 0.0
    running: set[int] = field(default_factory=set)
    minute: deque[float] = field(default_factory=deque)
    second: deque[float] = field(default_factory=deque)


@dataclass
class Seen:
    state: str = "unknown"  # waiting, running, completed, failed, cancelled
    fence: int = 0
    session: int = 0
    completions: int = 0
    disturbed: bool = False  # it has failed or was lost, and may wait before it runs again


class TaskHistory:
    """Follows events in order; `faults` are the sentences that say what was broken."""

    def __init__(self, facts: dict[int, Fact], limits: Iterable[Limit] = ()) -> None:
        self.facts = facts
        self.limits = list(limits)
        self.seen: dict[int, Seen] = {}
        self.locks: dict[tuple[str, str], set[int]] = {}
        self.faults: list[str] = []
        self.ending: dict[int, str] = {}  # at this moment
        for task, fact in facts.items():
            if fact.lock:
                self.locks.setdefault((fact.queue, fact.lock), set()).add(task)

    def follow(self, events: Iterable[Event]) -> TaskHistory:
        for _, group in itertools.groupby(events, key=lambda event: event.at_s):
            self._follow_group(list(group))
        return self

    def _follow_group(self, events: list[Event]) -> None:
        """What is stored together happens at one moment; only of each task the order is told. What
        ends then makes room for what starts then."""
        self.ending = {
            task: ENDS[event.kind]
            for event in events
            if event.kind in ENDS
            for task, _, _ in event.tasks
        }
        for event in events:
            name = event.kind.removeprefix("task.").replace("-", "_")
            step = getattr(self, f"_on_{name}", None)
            if step is None:
                self.faults.append(f"event {event.id} is of the unknown kind {event.kind}")
                continue
            for task, fence, session in event.tasks:
                self.at = f"event {event.id}, {event.kind} of task {task}"
                step(task, self.seen.setdefault(task, Seen()), fence, session, event.at_s)

    def must_have_ended(self) -> TaskHistory:
        for task in self.facts.keys() | self.seen.keys():
            state = self.seen.get(task, Seen()).state
            if state not in ("completed", "failed", "cancelled"):
                self.faults.append(f"task {task} is {state} at the end")
        return self

    # What happens.

    def _on_enqueued(self, task: int, seen: Seen, *_: Any) -> None:
        self._must(seen.state == "unknown", f"it is {seen.state}")
        seen.state = "waiting"

    def _on_started(self, task: int, seen: Seen, fence: int, session: int, at_s: float) -> None:
        self._must(seen.state == "waiting", f"it is {seen.state}")
        self._must(fence > seen.fence, f"its fence is {fence} after {seen.fence}")
        self._must(session > 0, "no session has it")
        fact = self.facts.get(task, Fact())
        self._check_parents(fact)
        self._check_lock(task, fact)
        seen.state, seen.fence, seen.session = "running", fence, session
        seen.disturbed = False
        for limit in self.limits:
            if limit.concerns(fact):
                self._check_limit(limit, task, at_s)

    def _on_completed(self, task: int, seen: Seen, fence: int, session: int, _: float) -> None:
        self._check_holder(seen, fence, session)
        seen.completions += 1
        self._leave(task, seen, "completed")

    def _on_failed(self, task: int, seen: Seen, fence: int, session: int, _: float) -> None:
        self._check_holder(seen, fence, session)
        seen.disturbed = True
        self._leave(task, seen, "waiting")

    def _on_lost(self, task: int, seen: Seen, fence: int, session: int, _: float) -> None:
        self._check_holder(seen, fence, session)
        seen.disturbed = True
        self._leave(task, seen, "waiting")

    def _on_returned(self, task: int, seen: Seen, fence: int, session: int, _: float) -> None:
        self._check_holder(seen, fence, session)
        self._leave(task, seen, "waiting")

    def _on_dead(self, task: int, seen: Seen, *_: Any) -> None:
        self._must(seen.state in ("running", "waiting"), f"it is {seen.state}")
        self._leave(task, seen, "failed")

    def _on_cancelled(self, task: int, seen: Seen, *_: Any) -> None:
        self._must(seen.state in ("running", "waiting"), f"it is {seen.state}")
        self._leave(task, seen, "cancelled")

    def _on_retried(self, task: int, seen: Seen, *_: Any) -> None:
        self._must(seen.state in ("failed", "cancelled"), f"it is {seen.state}")
        seen.state = "waiting"

    # What must hold.

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(f"{self.at}: {otherwise}")

    def _leave(self, task: int, seen: Seen, state: str) -> None:
        seen.state = state
        for limit in self.limits:
            limit.running.discard(task)

    def _check_holder(self, seen: Seen, fence: int, session: int) -> None:
        self._must(seen.state == "running", f"it is {seen.state}")
        self._must(
            (fence, session) == (seen.fence, seen.session),
            f"fence {fence} of session {session}, it was started with {seen.fence} by"
            f" {seen.session}",
        )

    def _check_parents(self, fact: Fact) -> None:
        good = {"completed"} if fact.after_when == "completed" else {"completed", "failed"}
        good |= set() if fact.after_when == "completed" else {"cancelled"}
        for parent in fact.after:
            state = self.ending.get(parent) or self.seen.get(parent, Seen()).state
            self._must(state in good, f"its parent {parent} is {state}")

    def _check_lock(self, task: int, fact: Fact) -> None:
        """Nobody of its lock runs, and nobody who could run comes before."""
        if not fact.lock:
            return
        for other in self.locks[(fact.queue, fact.lock)]:
            seen, theirs = self.seen.get(other), self.facts[other]
            if other == task or seen is None:
                continue
            free = seen.state != "running" or other in self.ending
            self._must(free, f"task {other} has its lock")
            could = seen.state == "waiting" and not seen.disturbed and other not in self.ending
            if could and not theirs.timed and not theirs.after:
                first = (-theirs.priority, other) > (-fact.priority, task)
                self._must(first, f"task {other} of its lock comes before")

    def _check_limit(self, limit: Limit, task: int, at_s: float) -> None:
        limit.running.add(task)
        if limit.concurrency:
            running = len(limit.running - self.ending.keys())
            self._must(
                running <= limit.concurrency,
                f"{running} of {limit.name} run, not {limit.concurrency}",
            )
        if limit.rpm:
            self._window(limit.minute, at_s, 60, math.ceil(limit.rpm), limit.name)
        if limit.rpm >= 60:
            self._window(limit.second, at_s, 1, math.ceil(limit.rpm / 60), limit.name)

    def _window(self, starts: deque[float], at_s: float, span_s: float, most: int, of: str) -> None:
        starts.append(at_s)
        while starts[0] <= at_s - span_s + ROUNDING_S:
            starts.popleft()
        self._must(len(starts) <= most, f"{len(starts)} of {of} start within {span_s:g} s")
