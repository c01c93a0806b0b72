"""One story of the crash loop: real workers, and a server, that are killed again and again.

Documents go through three stages of penstock.openaleph, with files, fragments and an index; numbers
through functions of the SDK, a program in shell (`penstock worker --exec`) and the worker in C of
the examples. Whoever is killed with SIGKILL, supervisors, their children, programs and servers, is
started again; tasks also kill their own process at a step of their stage. At the end every task is
completed, what was to be written is there, no temporary file and no process is left, and the
history is one that could be.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.story import AWAY, Broken
from crash.task_story import RETRY, Actor, Producer, TaskStory, list_all
from harness.server_process import ROOT, binary
from harness.task_history import Fact, Limit, TaskHistory, read_events
from harness.wire import Wire

END_LOOKS = 1200  # ten a second: what stands still together with this process costs none
STOP_DEADLINE_S = 30.0
# Python's tempfile tries at its first use whether a file can be made: who dies just then leaves it.
TRIAL = re.compile("[a-z0-9_]{8}")
# What prints for each task what it comes to, and what is to be done next.
SHELL = (
    r"""sed -u -E 's/.*"n":([0-9]+).*/{"penstock":{"result":{"n":\1},"enqueue":[{"function":"""
    r""""word_count","queue":"words","max_attempts":1000,"arguments":{"text":"a b \1"}}]}}/'"""
)
STAGES = {
    "parse": ("began", "copied", "put", "yielded"),
    "extract": ("began", "put", "flushed", "yielded"),
    "index": ("began", "opened", "indexed"),
    "numbers": ("began", "yielded"),
}
NUMBERS = ("in_thread", "on_loop", "in_process")


@dataclass
class WorkerPlan:
    """What the story is about; a function of its seed alone."""

    seed: str
    documents: int
    numbers: int
    kills: int
    deaths: list[str]
    fails: list[str]
    processes: int
    concurrency: int
    queue_concurrency: int
    dataset_concurrency: int
    function_rpm: int

    @property
    def count(self) -> int:
        return self.documents + self.numbers

    fan_in = False

    @staticmethod
    def draw(seed: str) -> WorkerPlan:
        rng = random.Random(seed)
        documents, numbers = rng.choice([4, 12, 30]), rng.choice([6, 30, 90])
        # Of each three numbers the first yields something.
        places = {stage: range(documents) for stage in STAGES} | {"numbers": range(0, numbers, 3)}
        steps = [
            f"{stage}-{step}-{rng.choice(places[stage])}"
            for stage, names in STAGES.items()
            for step in names
        ]
        return WorkerPlan(
            seed,
            documents,
            numbers,
            kills=rng.randint(3, 6),
            deaths=rng.sample(steps, 3),
            fails=rng.sample(steps, 3),
            processes=rng.randint(1, 2),
            concurrency=rng.choice([1, 4]),
            queue_concurrency=rng.choice([0, 2]),
            dataset_concurrency=rng.choice([0, 1]),
            function_rpm=rng.choice([0, 1200]),
        )

    def text(self, n: int) -> bytes:
        return " ".join(f"word{n}x{i}" for i in range(n + 1)).encode()

    def task(self, n: int) -> dict[str, Any]:
        """The n-th task that is enqueued from outside."""
        return {
            **(self.document(n) if n < self.documents else self.number(n - self.documents)),
            "unique": {"key": f"first {n}", "while": "stored"},
            "max_attempts": 1000,
        }

    def document(self, n: int) -> dict[str, Any]:
        entity = {
            "id": f"doc{n}",
            "schema": "Document",
            "properties": {
                "contentHash": [hashlib.sha256(self.text(n)).hexdigest()],
                "fileName": [f"{n}.txt"],
            },
        }
        job = {
            "dataset": f"set{n % 2}",
            "queue": "parse",
            "task": "stage_tasks.parse",
            "payload": {"entities": [entity], "context": {"n": n}},
        }
        return {
            "function": job["task"],
            "queue": job["queue"],
            "key": job["dataset"],
            "arguments": job,
        }

    def number(self, n: int) -> dict[str, Any]:
        return {
            "function": f"stage_tasks.{NUMBERS[n % 3]}",
            "queue": "numbers",
            "arguments": {"n": n},
            "lock": f"lock {n % 7}" if n % 4 == 0 else None,
            "retry": RETRY,
        }

    def want(self) -> dict[str, int]:
        """How many tasks of each function there are at the end."""
        of = [NUMBERS[n % 3] for n in range(self.numbers)]
        on = self.numbers - of.count("in_process")
        return {
            **{f"stage_tasks.{stage}": self.documents for stage in ("parse", "extract", "index")},
            **{f"stage_tasks.{name}": of.count(name) for name in NUMBERS},
            "shell": on,
            "word_count": on,
        }

    def limits(self) -> list[Limit]:
        return [
            Limit("queue", lambda fact: fact.queue == "parse", self.queue_concurrency),
            Limit("set0", lambda fact: fact.key == "set0", self.dataset_concurrency),
            Limit("set1", lambda fact: fact.key == "set1", self.dataset_concurrency),
            Limit("function", lambda fact: fact.function == "shell", rpm=self.function_rpm),
        ]


@functools.cache
def c_worker() -> str:
    """The example in C, compiled once."""
    folder = tempfile.mkdtemp(prefix="penstock-crash-c-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = Path(folder) / "task_worker"
    source = str(ROOT / "examples" / "task_worker.c")
    subprocess.run(["cc", "-O1", source, "-o", str(program), "-lcurl", "-ljansson"], check=True)
    return str(program)


C_WORKER_MUTEX = threading.Lock()


class Worker:
    """One command that works, started again whenever it has ended."""

    def __init__(self, story: WorkerStory, name: str, command: list[str]) -> None:
        self.story, self.name, self.command = story, name, command
        self.process: subprocess.Popen[bytes] | None = None
        self.log = story.folder / f"{name}.log"
        self.logged = 0  # bytes, when the process began

    def keep_alive(self) -> None:
        if self.process and self.process.poll() is None:
            return
        with self.log.open("ab") as log:
            self.logged = log.tell()
            self.process = subprocess.Popen(
                self.command, cwd=self.story.folder, env=self.story.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def processes(self) -> list[int]:
        """It, and all that descend from it; itself first."""
        if not self.process or self.process.poll() is not None:
            return []
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
        return found

    def kill(self) -> bool:
        """One of its processes dies; False: there was none."""
        there = self.processes()
        if not there:
            return False
        chosen = self.story.rng.choice(there)
        self.story.kill(chosen)
        if self.process and chosen == self.process.pid:
            self.process.wait()  # or it is taken for alive when it is looked after next
        return True

    def stop(self) -> str:
        """Ends it politely. What is wrong with that, or nothing."""
        assert self.process
        self.process.terminate()
        try:
            status = self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"{self.name} does not end"
        return (
            "" if status == 0 or self.had_not_begun(status) else f"{self.name} ended with {status}"
        )

    def had_not_begun(self, status: int) -> bool:
        """Whether it was started so late that the signal was there before its work."""
        said = self.log.read_bytes()[self.logged :]
        if status == -signal.SIGTERM:  # before it could take signals
            return not said
        return status == 128 + signal.SIGTERM and b"before anything was done" in said


class DocumentProducer(Producer):
    """Puts the files of all documents, then enqueues."""

    def __init__(self, story: WorkerStory) -> None:
        super().__init__(story)
        self.put = 0
        self.documents = story.plan.documents
        self.text = story.plan.text

    def turn(self) -> bool:
        if self.put == self.documents:
            return super().turn()
        reply = self.wire.call(
            "POST", "/v1/blobs", None, self.text(self.put), connection=self.connection
        )
        if reply.status in (200, 201):
            self.put += 1
        return True


class WorkerStory(TaskStory):
    """Runs one plan. `points` are the crash points of the server to be died at."""

    plan: WorkerPlan  # type: ignore[assignment]

    def __init__(self, folder: Path, plan: WorkerPlan, points: list[str]) -> None:
        (folder / "server").mkdir()
        super().__init__(folder / "server", plan, points)  # type: ignore[arg-type]
        self.folder = folder
        self.temporary = folder / "tmp"
        self.steps = folder / "steps"
        for made in (self.temporary, self.steps):
            made.mkdir()
        self.workers: list[Worker] = []

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "python"), str(ROOT / "tests" / "crash")]),
            "PENSTOCK_BIN": binary(),
            "PENSTOCK_PYTHON": sys.executable,
            "PENSTOCK_SERVER": self.server.url,
            "TMPDIR": str(self.temporary),
            "STORY_FOLDER": str(self.folder),
            "STORY_DEATHS": " ".join(self.plan.deaths),
            "STORY_FAILS": " ".join(self.plan.fails),
        }

    def actors(self) -> list[Actor]:
        return [DocumentProducer(self)]

    def hire(self) -> None:
        """Makes the workers, once it is known where the server is."""
        url, plan = self.server.url, self.plan
        command = [binary(), "worker", "--server", url, "--grace", "20"]
        app = [*command, "stage_tasks:app", "--concurrency", str(plan.concurrency)]
        with C_WORKER_MUTEX:
            in_c = c_worker()
        self.workers = [
            Worker(self, "documents", [*app, "--queues", "parse,extract,index"]),
            Worker(
                self, "everything",
                [*app, "--queues", "parse,extract,index,numbers",
                 "--processes", str(plan.processes)],
            ),
            Worker(self, "shell", [*command, "--queues", "shell", "--exec", SHELL]),
            Worker(self, "c", [in_c, url]),
        ]  # fmt: skip

    def set_limits(self) -> None:
        wire, plan = Wire(self.server.url), self.plan
        if self.life:
            return
        told: list[tuple[str, str, dict[str, Any]]] = [
            ("PATCH", "/v1/queues/parse", {"concurrency": plan.queue_concurrency or None}),
            ("PATCH", "/v1/functions/shell", {"rpm": plan.function_rpm or None}),
        ]
        if plan.dataset_concurrency:
            rule = {"pattern": "set?", "concurrency": plan.dataset_concurrency}
            told.append(("PUT", "/v1/limits/keys", rule))
        for method, path, body in told:
            reply = wire.call(method, path, None, body)
            if reply.status not in (200, 201, 204):
                raise Broken(f"{method} {path}: {reply}")

    # Lives.

    def run(self) -> None:
        if not self.bring_up({}):
            raise Broken("the server died by itself")
        self.hire()
        producer = threading.Thread(target=self.actors()[0].run, daemon=True)
        producer.start()
        try:
            for _ in range(self.plan.kills):
                self.work_for(self.rng.choice([0.1, 0.5, 1.5, 3.0]))
                self.kill_somebody()
            self.work_to_the_end()
            self.check_end()
        finally:
            with self.change:
                self.over = True
                self.change.notify_all()
            producer.join()
            for worker in self.workers:
                for pid in reversed(worker.processes()):
                    self.kill(pid)
                if worker.process:
                    worker.process.wait()
            self.server.kill()
        if self.trouble:
            raise Broken(self.trouble[0])

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def look_after(self) -> None:
        """Whoever has ended is started again; a server that ended did so at a crash point."""
        while not self.server.alive():
            if self.server.process and self.server.process.returncode != -9:
                raise Broken(f"the server ended with {self.server.process.returncode}")
            self.killed += 1
            self.server.kill()
            self.bring_up({})
        for worker in self.workers:
            worker.keep_alive()

    def work_for(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.look_after()
            with self.change:
                self.change.wait(0.05)

    def kill_somebody(self) -> None:
        if self.rng.random() < 0.65 and self.rng.choice(self.workers).kill():
            self.killed += 1
            return
        self.server.kill()
        self.killed += 1
        env = {}
        if self.to_visit and self.rng.random() < 0.7:
            n = self.rng.choice([1, 1, 2, 3, 5, 8, 20])
            env["PENSTOCK_FAULT"] = f"{self.to_visit.pop(0)}:{n}:kill"
        self.bring_up(env)

    def work_to_the_end(self) -> None:
        """Until every task has been completed, and nobody is killed any more."""
        want = sum(self.plan.want().values())
        for look in itertools.count():
            self.look_after()
            try:
                listed = list_all(Wire(self.server.url))
            except AWAY:
                continue
            if len(listed) == want and all(t["state"] == "completed" for t in listed):
                break
            if look > END_LOOKS or self.trouble:
                open_ones = [t for t in listed if t["state"] != "completed"][:5]
                raise Broken(f"{len(listed)} of {want} tasks, not completed: {open_ones}")
            with self.change:
                self.change.wait(0.1)
        died = len(list(self.steps.glob("died *")))
        self.killed += died
        if died != len(self.plan.deaths):
            raise Broken(f"only {died} of {self.plan.deaths} died")
        self.start_without_fault()

    def start_without_fault(self) -> None:
        """What looks at the end, and what workers tell last, is not to be what it dies of."""
        self.server.kill()
        self.bring_up({})

    # What must hold at the end.

    def check_end(self) -> None:
        listed = list_all(Wire(self.server.url))
        functions = [t["function"] for t in listed]
        counts = {name: functions.count(name) for name in self.plan.want()}
        if counts != self.plan.want():
            raise Broken(f"the tasks are {counts}, not {self.plan.want()}")
        self.check_results(listed)
        self.check_written()
        self.check_history(Wire(self.server.url), listed)
        wrong = [told for told in (worker.stop() for worker in self.workers) if told]
        if wrong:
            raise Broken("; ".join(wrong))
        self.check_nothing_left()

    def check_results(self, listed: list[Any]) -> None:
        wire = Wire(self.server.url)
        told: dict[str, list[int]] = {"shell": [], "word_count": [], "stage_tasks.in_process": []}
        for task in listed:
            if task["function"] not in told:
                continue
            result = wire.call("GET", f"/v1/tasks/{task['id']}/result").json()
            if task["function"] == "word_count" and result == {"words": 3}:
                shown = wire.call("GET", f"/v1/tasks/{task['id']}").json()
                result = int(shown["arguments"]["text"].split()[-1])
            told[task["function"]].append(result["n"] if isinstance(result, dict) else result)
        numbers = range(self.plan.numbers)
        on = [n for n in numbers if n % 3 != 2]
        want = {"shell": on, "word_count": on, "stage_tasks.in_process": [*numbers[2::3]]}
        if {name: sorted(got) for name, got in told.items()} != want:
            raise Broken(f"the results are {told}")

    def check_written(self) -> None:
        """Entities, fragments and the index are complete."""
        plan = self.plan
        texts, words = dict[str, list[str]](), dict[str, list[str]]()
        for dataset in ("set0", "set1"):
            path, query = f"/v1/fragments/{dataset}", {"limit": 1000}
            for line in Wire(self.server.url).call("GET", path, query).body.splitlines():
                entity, origin, _, data = json.loads(line)
                properties = data["properties"]
                if origin == "parse":
                    texts.setdefault(entity, []).extend(properties["bodyText"])
                else:
                    words.setdefault(entity, []).extend(properties["keywords"])
        whole = {f"doc{n}": plan.text(n).decode() for n in range(plan.documents)}
        if texts != {name: [text] for name, text in whole.items()}:
            raise Broken(f"the entities are {sorted(texts)}")
        if {name: sorted(got) for name, got in words.items()} != {
            name: sorted(text.split()) for name, text in whole.items()
        }:
            raise Broken(f"the fragments are {words}")
        database = sqlite3.connect(self.folder / "index.sqlite")
        found = list(database.execute("SELECT n, words FROM found ORDER BY n"))
        database.close()
        if found != [(n, n + 1) for n in range(plan.documents)]:
            raise Broken(f"the index has {found}")

    def check_history(self, wire: Wire, listed: list[Any]) -> None:
        facts = {
            t["id"]: Fact(t["queue"], t["function"], t["key"], t["lock"], t["priority"])
            for t in listed
        }
        history = TaskHistory(facts, self.plan.limits()).follow(read_events(wire))
        if history.must_have_ended().faults:
            raise Broken("; ".join(history.faults[:3]))

    def check_nothing_left(self) -> None:
        # What one that was killed last has left is for whoever comes next (penstock.scratch).
        sweep = "from penstock import scratch; scratch.sweep_all()"
        subprocess.run([sys.executable, "-c", sweep], env=self.environment, check=True)
        left = [
            str(path)
            for path in self.temporary.rglob("*")
            if path.is_file() and not TRIAL.fullmatch(str(path.relative_to(self.temporary)))
        ]
        if left:
            raise Broken(f"temporary files are left: {left[:5]}")
        ends = time.monotonic() + STOP_DEADLINE_S
        while left := self.processes_left():
            # A process whose worker was killed while it started sees that when it has started.
            if time.monotonic() > ends:
                raise Broken(f"processes are left: {left}")
            with self.change:
                self.change.wait(0.1)

    def processes_left(self) -> list[str]:
        """The command lines of those that descend from workers of this story."""
        mark, found = f"STORY_FOLDER={self.folder}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found.append(command.decode(errors="replace"))
        return found
