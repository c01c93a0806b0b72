"""Tests of programs that defer tasks: no server, time stands still until the test moves it."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

from .arguments import to_json
from .backend import Enqueued
from .context import TaskContext
from .errors import ConflictError, InvalidError, NotFoundError
from .event import instant
from .handle import ENDED, TaskInfo
from .task_call import ATTEMPTS_DEFAULT

if TYPE_CHECKING:
    from .app import App, TaskDeferrer
    from .runtime.task_run import TaskRun
    from .schedule import Schedule

RUN_MAX = 10_000
RETRY_DEFAULTS = {"kind": "exponential", "delay_s": 1.0, "factor": 2.0, "max_delay_s": 3600.0}


class TestQueue:
    """What `app.testing()` gives: tasks in memory, run when the test says so.

    with app.testing() as queue:
        resize.defer(path="a.png")
        queue.assert_enqueued(resize, path="a.png")
        queue.run()
    """

    __test__ = False  # no test class for pytest

    def __init__(self, app: App, now: datetime.datetime | None = None) -> None:
        self.app = app
        #: The time, for run_at and delays; `travel` moves it.
        self.now = now or datetime.datetime.now(datetime.timezone.utc)
        self._tasks: dict[int, dict[str, Any]] = {}

    # ---- what a test asks

    def tasks(
        self, task: TaskDeferrer | str | None = None, state: str | None = None
    ) -> list[TaskInfo]:
        """All tasks, or those of that function, in that state, in the order they were made."""
        name = task if task is None or isinstance(task, str) else task.name
        return [
            self._info(one)
            for one in self._tasks.values()
            if name in (None, one["function"]) and state in (None, one["state"])
        ]

    def assert_enqueued(
        self, task: TaskDeferrer | str, *, times: int | None = None, **arguments: Any
    ) -> TaskInfo:
        """AssertionError unless there is a task with (at least) these arguments; the last of them.

        `times`: exactly so many.
        """
        name = task if isinstance(task, str) else task.name
        wanted = to_json(name, arguments)
        found = [one for one in self.tasks(name) if _has(one.arguments, wanted)]
        if not found or times not in (None, len(found)):
            there = [f"{one.function}({one.arguments})" for one in self.tasks()]
            how_often = "a task" if times is None else f"{times} tasks"
            text = f"not {how_often} {name}({wanted}) but {len(found)}; there are: {there}"
            raise AssertionError(text)
        return found[-1]

    def run(self, *, most: int = RUN_MAX, catch: bool = False) -> int:
        """Runs here what is due, and what that enqueues, until nothing is; how many ran.

        What a function raises is raised, unless `catch`: then it is the task's error, and its
        retries follow as time goes on. AssertionError after `most` tasks.
        """
        ran = 0
        while (task := self._next()) is not None:
            if ran >= most:
                raise AssertionError(f"more than {most} tasks: do they enqueue each other?")
            ran += 1
            self._run(task, catch)
        return ran

    def travel(self, delta: float | datetime.timedelta, *, catch: bool = False) -> int:
        """Lets so much time pass, and runs what becomes due meanwhile, each at its time.

        How many ran. `catch` as for run.
        """
        if not isinstance(delta, datetime.timedelta):
            delta = datetime.timedelta(seconds=delta)
        end = self.now + delta
        ran = self.run(catch=catch)
        while True:
            later = [one["due"] for one in self._tasks.values() if one["state"] == "pending"]
            ticks = {name: next(one.ticks(self.now)) for name, one in self.app.schedules.items()}
            later += ticks.values()
            due = min((at for at in later if self.now < at <= end), default=None)
            if due is None:
                break
            self.now = due
            for name, at in ticks.items():
                if at == due:
                    self._tick(self.app.schedules[name], at)
            ran += self.run(catch=catch)
        self.now = end
        return ran

    def _tick(self, schedule: Schedule, at: datetime.datetime) -> None:
        task = dict(schedule.task)
        if schedule.pass_time:
            stamp = at.isoformat().replace("+00:00", "Z")
            task["arguments"] = {**task["arguments"], "timestamp": stamp}
        self.enqueue([task])

    def clear(self) -> None:
        """Forgets all tasks."""
        self._tasks.clear()

    # ---- what an app asks

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        ids: list[Enqueued] = []
        for new in tasks:
            same = self._clashing(new)
            if same is not None and new["unique"]["on_clash"] != "existing":
                self._clash(same, new, [id for id, _ in ids])
            if same is not None:
                ids.append((same["id"], True))
                continue
            ids.append((self._add(new, [id for id, _ in ids]), False))
        return ids

    async def enqueue_async(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        return self.enqueue(tasks)

    def task(self, id: int, wait_s: float) -> TaskInfo:
        """Who waits for a task lets it run."""
        if id not in self._tasks:
            raise NotFoundError(f"there is no task {id}")
        if wait_s > 0 and self._tasks[id]["state"] not in ENDED:
            self.run(catch=True)
            if self._tasks[id]["state"] not in ENDED:
                state = self._tasks[id]["state"]
                raise TimeoutError(f"task {id} is {state}, and time stands still: see travel")
        return self._info(self._tasks[id])

    async def task_async(self, id: int, wait_s: float) -> TaskInfo:
        return self.task(id, wait_s)

    def control(self, verb: str, id: int) -> int:
        task = self._tasks.get(id)
        if task is None:
            raise NotFoundError(f"there is no task {id}")
        if verb == "cancel" and task["state"] not in ENDED:
            if task["state"] == "running":
                task["context"].abort("cancelled")
            else:
                self._end(task, "cancelled")
            return 1
        if verb == "retry" and task["state"] in ("failed", "cancelled"):
            task.update(state="pending", attempts=0, ended_at=None, due=self.now)
            return 1
        return 0

    async def control_async(self, verb: str, id: int) -> int:
        return self.control(verb, id)

    # ---- tasks

    def _add(self, new: dict[str, Any], batch: list[int]) -> int:
        id = len(self._tasks) + 1
        self._put(id, new, batch)
        return id

    def _put(self, id: int, new: dict[str, Any], batch: list[int]) -> None:
        due = self.now + datetime.timedelta(seconds=new.get("delay_s", 0))
        if new.get("run_at"):
            due = instant(new["run_at"])
        after = [one if one > 0 else batch[-1 - one] for one in new.get("after", ())]
        for parent in after:
            if parent not in self._tasks:
                raise NotFoundError(f"there is no task {parent}")
        self._tasks[id] = {
            "priority": 0,
            "max_attempts": ATTEMPTS_DEFAULT,
            **new,
            "id": id,
            "after": after,
            "state": "pending",
            "attempts": 0,
            "created_at": _text(self.now),
            "due": due,
        }

    def _clashing(self, new: dict[str, Any]) -> dict[str, Any] | None:
        unique = new.get("unique")
        if not unique:
            return None
        states = {"pending": ("pending",), "unfinished": ("pending", "running")}
        for one in self._tasks.values():
            if (one.get("unique") or {}).get("key") == unique["key"] and (
                unique["while"] == "stored" or one["state"] in states[unique["while"]]
            ):
                return one
        return None

    def _clash(self, same: dict[str, Any], new: dict[str, Any], batch: list[int]) -> None:
        if new["unique"]["on_clash"] == "refuse" or same["state"] != "pending":
            raise ConflictError(f"task {same['id']} has the key {new['unique']['key']!r}")
        self._put(same["id"], new, batch)

    def _next(self) -> dict[str, Any] | None:
        """What runs next; locks and limits hold nobody back where one runs at a time."""
        due = [
            task
            for task in self._tasks.values()
            if task["state"] == "pending" and task["due"] <= self.now and self._may(task)
        ]
        due.sort(key=lambda task: (-task["priority"], task["id"]))
        return due[0] if due else None

    def _may(self, task: dict[str, Any]) -> bool:
        """Whether its parents let it. A task of a function that is not known here stays."""
        ends = ENDED if task.get("after_when") == "ended" else ("completed",)
        parents = all(self._tasks[parent]["state"] in ends for parent in task["after"])
        return parents and task["function"] in self.app.tasks

    def _run(self, task: dict[str, Any], catch: bool) -> None:
        from .runtime.inline import run_inline
        from .runtime.task_run import TaskRun

        task["attempts"] += 1
        task.update(state="running", started_at=_text(self.now))
        told = {**task, "attempt": task["attempts"], "fence": task["attempts"]}
        context = TaskContext(self.app, told)
        task["context"] = context
        run = TaskRun(self.app.tasks[task["function"]], told, context)
        began_s = time.monotonic()
        try:
            task["result"] = to_json(task["function"], run_inline(run))
            self._end(task, "completed")
        except BaseException as error:
            self._failed(task, run, error, time.monotonic() - began_s)
            if not catch or not isinstance(error, Exception):
                raise
        finally:
            if context.reported is not None:
                task["progress"], task["progress_text"] = context.reported
            self.enqueue(run.calls)

    def _failed(
        self, task: dict[str, Any], run: TaskRun, error: BaseException, took_s: float
    ) -> None:
        from .runtime.task_failure import task_failure

        run.seal()
        if run.context.should_abort():
            self._end(task, "cancelled")
            return
        failure = task_failure(error, took_s)
        task["error"] = failure
        after_s = None if failure.get("final") else self._retry_after_s(task, failure)
        if after_s is None or task["attempts"] >= task["max_attempts"]:
            self._end(task, "failed")
        else:
            task.update(state="pending", due=self.now + datetime.timedelta(seconds=after_s))

    def _retry_after_s(self, task: dict[str, Any], failure: dict[str, Any]) -> float | None:
        """As the server does it, without what is random in it; None: no more."""
        if "retry_after_s" in failure:
            return float(failure["retry_after_s"])
        if not task.get("retry"):
            return None
        policy = {**RETRY_DEFAULTS, **task["retry"]}
        for rule in policy.get("errors", ()):
            if rule["type"] == failure["type"]:
                if rule.get("retry") is False:
                    return None
                if "delay_s" in rule:
                    return float(rule["delay_s"])
        grown: dict[str, float] = {
            "fixed": 1.0,
            "linear": float(task["attempts"]),
            "exponential": float(policy["factor"]) ** (task["attempts"] - 1),
        }
        delay_s = min(
            float(policy["delay_s"]) * grown[policy["kind"]], float(policy["max_delay_s"])
        )
        return float(delay_s)

    def _end(self, task: dict[str, Any], state: str) -> None:
        task.update(state=state, ended_at=_text(self.now))
        if state != "cancelled":
            return
        for child in self._tasks.values():
            waits = task["id"] in child["after"] and child["state"] == "pending"
            if waits and child.get("after_when") != "ended":
                self._end(child, "cancelled")

    def _info(self, task: dict[str, Any]) -> TaskInfo:
        shown = dict(task)
        for name in ("due", "context"):
            shown.pop(name, None)
        if task["state"] == "pending":
            shown["run_at"] = _text(task["due"])
            if task["due"] > self.now or not self._parents_ended(task):
                shown["state"] = "blocked"
        return TaskInfo.of(shown)

    def _parents_ended(self, task: dict[str, Any]) -> bool:
        return all(self._tasks[parent]["state"] in ENDED for parent in task["after"])


def _text(at: datetime.datetime) -> str:
    return at.isoformat()


def _has(arguments: Any, wanted: Any) -> bool:
    if not isinstance(arguments, dict):
        raise InvalidError("the task has no named arguments")
    return all(name in arguments and arguments[name] == value for name, value in wanted.items())
