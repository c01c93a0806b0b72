"""One story of the crash loop: tasks that workers run while their server is killed again and again.

A producer enqueues tasks and does so again when it was not answered: unique keys make that safe.
Sessions run them; each that is done enqueues the next with its settlement. Some fail, some share a
lock, keys and queues are limited. Sessions die, settle twice, and lose answers. At the end every
task must have been completed once, with the result that was acknowledged, and the history must be
one that could be.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.story import AWAY, Broken
from harness.fault_points import visited
from harness.server_process import NotStarted, ServerProcess
from harness.task_history import Fact, Limit, TaskHistory, read_events
from harness.wire import Reply, Wire

LIFE_DEADLINE_S = 60.0
ANSWER_DEADLINE_S = 20.0
LEASE_S = 1.0
GONE = (404, 409)  # the session has ended
RETRY = {"kind": "fixed", "delay_s": 0.05}


@dataclass
class TaskPlan:
    """What the story is about; a function of its seed alone."""

    seed: str
    count: int
    kills: int
    batch_max: int
    sessions: int
    fan_in: bool  # a last task waits for all of the first stage
    queue_concurrency: int
    key_concurrency: int
    function_rpm: int

    @staticmethod
    def draw(seed: str) -> TaskPlan:
        rng = random.Random(seed)
        return TaskPlan(
            seed,
            count=rng.choice([1, 20, 200, 600]),
            kills=rng.randint(1, 6),
            batch_max=rng.choice([1, 5, 50]),
            sessions=rng.randint(2, 4),
            fan_in=rng.random() < 0.5,
            queue_concurrency=rng.choice([0, 0, 3]),
            key_concurrency=rng.choice([0, 1]),
            function_rpm=rng.choice([0, 0, 6000]),
        )

    def task(self, n: int) -> dict[str, Any]:
        """The n-th task of the first stage."""
        rng = random.Random(f"{self.seed}/task {n}")
        return {
            "function": "first",
            "queue": rng.choice(["default", "narrow"]),
            "arguments": {"n": n},
            "key": rng.choice([None, "a", "b"]),
            "lock": rng.choice([None, None, None, "x", "y"]),
            "priority": rng.choice([0, 0, 5]),
            "unique": {"key": f"first {n}", "while": "stored"},
            "max_attempts": 1000,
            "retry": RETRY,
        }

    def limits(self) -> list[Limit]:
        return [
            Limit("queue", lambda fact: fact.queue == "narrow", self.queue_concurrency),
            Limit("a", lambda fact: fact.key == "a", self.key_concurrency),
            Limit("b", lambda fact: fact.key == "b", self.key_concurrency),
            Limit("function", lambda fact: fact.function == "first", rpm=self.function_rpm),
        ]


def next_stage(task: dict[str, Any]) -> dict[str, Any]:
    """What a task of the first stage asks for."""
    n = task["arguments"]["n"]
    return {
        "of": task["id"],
        "function": "second",
        "queue": task["queue"],
        "arguments": {"n": n},
        "key": task["key"],
        "unique": {"key": f"second {n}", "while": "stored"},
        "max_attempts": 1000,
        "retry": RETRY,
    }


class TaskStory:
    """Runs one plan. `points` are the crash points to be died at, one after another."""

    def __init__(self, folder: Path, plan: TaskPlan, points: list[str]) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed + "/run")
        self.to_visit = points
        self.fault_log = folder / "faults.log"
        self.server = ServerProcess(folder, env={"PENSTOCK_FAULT_LOG": str(self.fault_log)})
        self.change = threading.Condition()  # guards what follows
        self.life = 0  # how often the server has come up
        self.over = False
        self.last_life = False  # everybody behaves well now
        self.ids: dict[int, int] = {}  # of the first stage: n -> id, as acknowledged
        self.fan_in = 0  # id of the last task, once it is enqueued
        self.acked: dict[int, Any] = {}  # task -> the result that was acknowledged
        self.trouble: list[str] = []
        self.killed = 0

    @property
    def lines(self) -> list[str]:
        return self.server.lines

    def describe(self) -> str:
        return str(self.plan)

    def points(self) -> set[str]:
        return visited(self.fault_log)

    def came_up(self, after: int) -> int:
        """Waits until the server has come up more often than `after` (or a little: it may live)."""
        with self.change:
            self.change.wait_for(lambda: self.over or self.life > after, timeout=0.2)
            return self.life

    def blame(self, text: str) -> None:
        with self.change:
            self.trouble.append(text)

    # The server's lives.

    def actors(self) -> list[Actor]:
        return [*(Session(self, n) for n in range(self.plan.sessions)), Producer(self)]

    def run(self) -> None:
        threads = [threading.Thread(target=actor.run, daemon=True) for actor in self.actors()]
        try:
            for number in range(self.plan.kills):
                self.live_and_die(number == 0)
                if number == 0:
                    for t in threads:
                        t.start()
            self.live_to_the_end()
            self.check_end()
        finally:
            with self.change:
                self.over = True
                self.change.notify_all()
            for t in threads:
                if t.ident:
                    t.join()
            self.server.kill()
        if self.trouble:
            raise Broken(self.trouble[0])

    def live_and_die(self, first: bool) -> None:
        """One life: at its end the server is dead, at a crash point or at some moment."""
        env = {}
        if not first and self.to_visit and self.rng.random() < 0.7:
            n = self.rng.choice([1, 1, 2, 3, 5, 8, 20])
            env["PENSTOCK_FAULT"] = f"{self.to_visit.pop(0)}:{n}:kill"
        self.killed += 1
        if not self.bring_up(env):
            return
        moment = self.rng.expovariate(1 / 0.2) + (0.3 if env else 0.0)
        ends = time.monotonic() + moment
        while self.server.alive() and time.monotonic() < ends:
            with self.change:
                self.change.wait(0.01)
        self.server.kill()

    def bring_up(self, env: dict[str, str]) -> bool:
        """False when it died on the way, which only a fault may cause."""
        try:
            self.server.start(env=env)
            self.set_limits()
        except NotStarted as e:
            if self.server.process and self.server.process.returncode == -9 and env:
                return False
            raise Broken(f"the server did not start: {e}") from e
        except AWAY:
            return False
        with self.change:
            self.life += 1
            self.change.notify_all()
        return True

    def set_limits(self) -> None:
        """They are set before anything runs, and are there in each later life."""
        wire, plan = Wire(self.server.url), self.plan
        if self.life:
            return
        told = [
            ("PATCH", "/v1/queues/narrow", {"concurrency": plan.queue_concurrency or None}),
            ("PATCH", "/v1/functions/first", {"rpm": plan.function_rpm or None}),
        ]
        if plan.key_concurrency:
            rule = {"pattern": "?", "concurrency": plan.key_concurrency}
            told.append(("PUT", "/v1/limits/keys", rule))
        for method, path, body in told:
            reply = wire.call(method, path, None, body)
            if reply.status not in (200, 201, 204):
                raise Broken(f"{method} {path}: {reply}")

    def live_to_the_end(self) -> None:
        self.last_life = True
        if not self.bring_up({}):
            raise Broken("the server died by itself")
        wire = Wire(self.server.url)
        want = 2 * self.plan.count + self.plan.fan_in
        ends = time.monotonic() + LIFE_DEADLINE_S
        while not self.trouble:
            listed = list_all(wire)
            if len(listed) == want and all(t["state"] == "completed" for t in listed):
                return
            if time.monotonic() > ends or not self.server.alive():
                open_ones = [t for t in listed if t["state"] != "completed"][:5]
                raise Broken(f"{len(listed)} of {want} tasks, not completed: {open_ones}")
            with self.change:
                self.change.wait(0.05)

    # What must hold at the end.

    def check_end(self) -> None:
        wire = Wire(self.server.url)
        listed = list_all(wire)
        numbers = sorted((t["function"], self.number_of(wire, t["id"])) for t in listed)
        stages = [("first", n) for n in range(self.plan.count)]
        stages += [("last", -1)] if self.plan.fan_in else []
        stages += [("second", n) for n in range(self.plan.count)]
        if numbers != sorted(stages):
            raise Broken(f"the tasks are {numbers[:20]}")
        for task, result in self.acked.items():
            kept = wire.call("GET", f"/v1/tasks/{task}/result").json()
            if kept != result:
                raise Broken(f"task {task}: {result} was acknowledged, {kept} is stored")
        self.check_history(wire, listed)

    def number_of(self, wire: Wire, task: int) -> int:
        return int(wire.call("GET", f"/v1/tasks/{task}").json()["arguments"]["n"])

    def check_history(self, wire: Wire, listed: list[Any]) -> None:
        facts = {
            t["id"]: Fact(t["queue"], t["function"], t["key"], t["lock"], t["priority"])
            for t in listed
        }
        if self.fan_in:
            facts[self.fan_in].after = list(self.ids.values())
        history = TaskHistory(facts, self.plan.limits()).follow(read_events(wire))
        if history.must_have_ended().faults:
            raise Broken("; ".join(history.faults[:3]))


def list_all(wire: Wire) -> list[Any]:
    found: list[Any] = []
    while True:
        query = {"limit": 1000, "after": found[-1]["id"] if found else 0}
        told = wire.call("GET", "/v1/tasks", query).json()
        found += told["tasks"]
        if not told["more"]:
            return found


class Actor:
    """Somebody who asks the server, on one connection while it lasts."""

    def __init__(self, story: TaskStory, name: str) -> None:
        self.story = story
        self.name = name
        self.rng = random.Random(f"{story.plan.seed}/{name}")
        self.wire = Wire("http://127.0.0.1:1")
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        life = 0
        while not self.story.over:
            life = self.story.came_up(life) if self.connection is None else life
            try:
                if self.connection is None:
                    self.wire = Wire(self.story.server.url, ANSWER_DEADLINE_S)
                    self.connection = self.wire.connect()
                if not self.turn():
                    return
            except AWAY:
                self.hang_up()
            except Exception as e:  # a test that goes wrong must not pass
                self.story.blame(f"{self.name}: {type(e).__name__} {e}")
                return
            finally:
                if self.story.over:
                    self.hang_up()

    def turn(self) -> bool:
        """False: it has nothing more to do."""
        raise NotImplementedError

    def hang_up(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, path: str, body: Any) -> Reply:
        reply = self.wire.call("POST", path, None, body, connection=self.connection)
        if reply.status == 400 or (reply.status >= 500 and reply.status != 503):
            self.story.blame(f"{path} answers {reply.status} {reply.body[:200]!r}")
        return reply


class Producer(Actor):
    """Enqueues all tasks of the first stage, in batches, each until it is acknowledged."""

    def __init__(self, story: TaskStory) -> None:
        super().__init__(story, "producer")
        self.batch: list[int] = []

    def turn(self) -> bool:
        story, plan = self.story, self.story.plan
        left = [n for n in range(plan.count) if n not in story.ids]
        if left:
            self.batch = self.batch or left[: self.rng.randint(1, 60)]
            reply = self.call("/v1/tasks", {"tasks": [plan.task(n) for n in self.batch]})
            if reply.status == 201:
                ids = [t["id"] for t in reply.json()["tasks"]]
                story.ids |= dict(zip(self.batch, ids, strict=True))
                self.batch = []
            return True
        return plan.fan_in and not story.fan_in and self.enqueue_last()

    def enqueue_last(self) -> bool:
        task = {
            "function": "last",
            "arguments": {"n": -1},
            "after": list(self.story.ids.values()),
            "unique": {"key": "last", "while": "stored"},
            "max_attempts": 1000,
            "retry": RETRY,
        }
        reply = self.call("/v1/tasks", {"tasks": [task]})
        if reply.status == 201:
            self.story.fan_in = reply.json()["tasks"][0]["id"]
        return True


class Session(Actor):
    """A worker: claims and settles until the story is over, and behaves badly now and then."""

    def __init__(self, story: TaskStory, number: int) -> None:
        super().__init__(story, f"w{number}")
        self.lease = ""
        self.held: dict[int, Any] = {}
        self.unsure = False  # an answer may have been lost
        self.sent = 0

    def hang_up(self) -> None:
        super().hang_up()
        self.unsure = True

    def forget(self) -> None:
        self.lease = ""
        self.held = {}

    def turn(self) -> bool:
        mood = 1.0 if self.story.last_life else self.rng.random()
        if mood < 0.02:
            self.forget()  # it dies; another takes its place
            self.hang_up()
        elif mood < 0.04:
            self.lose_answer()
        elif self.held and self.rng.random() < 0.8:
            self.settle(again=mood < 0.1)
        else:
            self.claim()
        return True

    def claim_body(self) -> dict[str, Any]:
        body = {"max": self.rng.randint(1, self.story.plan.batch_max), "wait_s": 0.05}
        if self.lease:
            holds = {"holds": list(self.held)} if self.unsure else {}
            return {**body, "lease": self.lease, **holds}
        return {**body, "worker": self.name, "lease_s": LEASE_S}

    def lose_answer(self) -> None:
        """Asks, and hangs up before it could hear."""
        assert self.connection
        body = json.dumps(self.claim_body()).encode()
        self.connection.request("POST", "/v1/work/claim", body=body)
        time.sleep(self.rng.random() * 0.01)
        self.hang_up()

    def claim(self) -> None:
        reply = self.call("/v1/work/claim", self.claim_body())
        if reply.status in GONE:
            self.forget()
        if reply.status != 200:
            return
        told = reply.json()
        self.lease = told["lease"]["token"]
        self.unsure = False
        self.held |= {t["id"]: t for t in told["tasks"]}

    def settle(self, again: bool) -> None:
        chosen = [t for t in self.held.values() if self.rng.random() < 0.8]
        fails = [t["id"] for t in chosen if not self.story.last_life and self.rng.random() < 0.1]
        done = [t for t in chosen if t["id"] not in fails]
        results = [[t["id"], self.result(t)] for t in done]
        body = {
            "lease": self.lease,
            "completed": results,
            "failures": [[i, {"message": "would not", "type": "Sim"}] for i in fails],
            "enqueue": [next_stage(t) for t in done if t["function"] == "first"],
        }
        reply = self.call("/v1/work/settle", body)
        if reply.status in GONE:
            self.forget()
        if reply.status != 200:
            return
        stale = reply.json()["stale"]
        with self.story.change:
            for task, result in results:
                if task in stale:
                    continue
                if task in self.story.acked:
                    self.story.trouble.append(f"task {task} was settled twice")
                self.story.acked[task] = result
        for task in chosen if not again else []:
            del self.held[task["id"]]

    def result(self, task: Any) -> Any:
        self.sent += 1
        return {"n": task["arguments"]["n"], "by": f"{self.name}.{self.sent}"}
