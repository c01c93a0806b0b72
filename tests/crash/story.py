"""One story of the crash loop: a job that is worked on while its server is killed again and again.

Everything a story does is drawn from its seed: the input, the formats, what the workers do wrong,
when and where the server dies. Workers speak the Planchet and the native surface to the same job.
They drop what they hold, send twice, and die in the middle of a request. At the end every record
must be in the output exactly once, or be listed as failed.
"""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash.power_cut import power_cut
from harness.data_files import read_bytes
from harness.fault_points import visited
from harness.server_process import NotStarted, ServerProcess
from harness.wire import Reply, Wire

LIFE_DEADLINE_S = 60.0
ANSWER_DEADLINE_S = 20.0
JOB = "the job"
PROGRAM = "a program"  # as a plan's source: the operator's reader that prints the input
AWAY = (OSError, http.client.HTTPException)


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass
class Plan:
    """What the story is about; a function of its seed alone."""

    seed: str
    count: int
    source: str
    sink: str
    kills: int
    batch_max: int
    surfaces: list[str]
    ordered: bool  # results are written in the order of their records
    second: str  # a further input with the second half of the records; "": none
    poison: set[int] = field(default_factory=set)  # records that no worker can do
    bad: set[int] = field(default_factory=set)  # lines that are no records

    @staticmethod
    def draw(seed: str) -> Plan:
        rng = random.Random(seed)
        count = rng.choice([1, 40, 400, 1500, 3000, 6000])
        source = rng.choice(["in.jsonl", "in.jsonl", "in.jsonl.gz", "in.csv", PROGRAM])
        workers = rng.randint(2, 4)
        plan = Plan(
            seed,
            count,
            source,
            sink=rng.choice(["out.jsonl"] * 3 + ["out.csv", "out.jsonl.gz", "out.jsonl.zst"]),
            kills=rng.randint(1, 6),
            batch_max=rng.choice([1, 10, 60, 500]) if count < 3000 else rng.choice([60, 500]),
            surfaces=[rng.choice(["planchet", "native"]) for _ in range(workers)],
            ordered=rng.random() < 0.4,
            second=rng.choice(["", "in2.jsonl", "in2.jsonl.gz"]) if source == "in.jsonl" else "",
        )
        plan.poison = {n for n in range(count) if rng.random() < 0.01}
        plan.bad = {n for n in range(count) if rng.random() < 0.01} - plan.poison
        return plan

    def write_inputs(self, folder: Path) -> None:
        half = self.count // 2 if self.second else self.count
        self.write_lines(folder / self.source, range(half))
        if self.second:
            self.write_lines(folder / self.second, range(half, self.count))

    def write_lines(self, path: Path, numbers: range) -> None:
        if self.source.endswith(".csv"):
            lines = ["n,text"]
            lines += [f"{n},x,y,z" if n in self.bad else f"{n},t{n}" for n in numbers]
        else:
            lines = [
                '{"n": bad' if n in self.bad else json.dumps({"n": n, "text": f"t{n}"})
                for n in numbers
            ]
        raw = "".join(line + "\n" for line in lines).encode()
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)

    def good(self) -> set[int]:
        return set(range(self.count)) - self.poison - self.bad


class Story:
    """Runs one plan. `points` are the crash points to be died at, one after another."""

    def __init__(self, folder: Path, plan: Plan, points: list[str]) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed + "/run")
        self.to_visit = points
        self.fault_log = folder / "faults.log"
        self.server = ServerProcess(
            folder,
            "--reader",
            "three=printf '{}\\n{}\\n{}\\n'",
            "--reader",
            f"input=cat '{folder / 'data' / PROGRAM}'",
            "--writer",
            "drop=cat >/dev/null",
            env={"PENSTOCK_FAULT_LOG": str(self.fault_log)},
        )
        self.output = self.server.data / plan.sink
        plan.write_inputs(self.server.data)
        self.change = threading.Condition()  # guards what follows
        self.life = 0  # how often the server has come up
        self.over = False
        self.complete = False
        self.last_life = False  # workers behave well now, so that the job can come to its end
        self.acked: dict[int, str] = {}  # record -> stamp of the last result acknowledged
        self.trouble: list[str] = []
        self.killed = 0

    @property
    def lines(self) -> list[str]:
        return self.server.lines

    def describe(self) -> str:
        plan = self.plan
        return f"{plan.source} -> {plan.sink}, {plan.count} records, {plan.surfaces}"

    # What workers ask.

    def came_up(self, after: int) -> int:
        """Waits until the server has come up more often than `after` (or a little: it may live)."""
        with self.change:
            self.change.wait_for(lambda: self.over or self.life > after, timeout=0.2)
            return self.life

    def pause(self) -> None:
        """Waits for something to change: others hold what is left."""
        with self.change:
            self.change.wait_for(lambda: self.over, timeout=0.02)

    def blame(self, text: str) -> None:
        with self.change:
            self.trouble.append(text)

    def say_complete(self, life: int) -> None:
        """The report says so, asked after the server's start number `life`."""
        with self.change:
            if life == self.life:
                self.complete = True
                self.change.notify_all()

    # The server's lives.

    def run(self) -> None:
        threads = [
            threading.Thread(target=Worker(self, n, surface).run, daemon=True)
            for n, surface in enumerate(self.plan.surfaces)
        ]
        threads.append(threading.Thread(target=Meddler(self).run, daemon=True))
        try:
            for number in range(self.plan.kills):
                self.live_and_die()
                if number == 0:
                    for t in threads:
                        t.start()
                if self.complete:
                    break
            self.live_to_the_end()
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
        self.check_output()

    def live_and_die(self) -> None:
        """One life: at its end the server is dead, at a crash point or at some moment."""
        env = {}
        if self.to_visit and self.rng.random() < 0.7:
            n = self.rng.choice([1, 1, 2, 3, 5, 8, 20])
            env["PENSTOCK_FAULT"] = f"{self.to_visit.pop(0)}:{n}:kill"
        self.killed += 1
        if not self.bring_up(env):
            return
        try:
            self.start_job()
        except AWAY:
            return
        assert self.server.process
        moment = self.rng.expovariate(1 / 0.08) + (0.3 if env else 0.0)
        ends = time.monotonic() + moment
        while self.server.alive() and not self.complete and time.monotonic() < ends:
            with self.change:
                self.change.wait(0.01)
        self.server.kill()
        # A job that has ended has synced all, and its output is its owner's.
        if not self.complete and self.rng.random() < 0.5:
            power_cut(self.server.state, JOB, self.output, self.rng)

    def bring_up(self, env: dict[str, str]) -> bool:
        """False when it died on the way, which only a fault may cause."""
        try:
            self.server.start(env=env)
        except NotStarted as e:
            if self.server.process and self.server.process.returncode == -9 and env:
                return False
            raise Broken(f"the server did not start: {e}") from e
        try:
            self.check_acknowledged()
        except AWAY:
            return False
        with self.change:
            self.life += 1
            self.change.notify_all()
        return True

    def check_acknowledged(self) -> None:
        """What was acknowledged before the crash is known after it."""
        with self.change:
            acked = len(self.acked)
        report = Wire(self.server.url).report(JOB)
        if acked and report.get("received", 0) < acked:
            raise Broken(f"{acked} results were acknowledged, the report says {report}")

    def start_job(self, **query: Any) -> None:
        """Starts the job, or goes on with it. Its start may have been cut off by a kill."""
        wire = Wire(self.server.url)
        if wire.report(JOB) and not query:
            return
        if self.plan.source == PROGRAM or self.plan.ordered or self.plan.second:
            reply = self.start_native_job(wire, bool(query))
        else:
            reply = self.start_file_job(wire, query or {"cont": True})
        if reply.status not in (200, 201):
            raise Broken(f"the job does not start: {reply}")

    def start_native_job(self, wire: Wire, repair: bool) -> Reply:
        source: dict[str, Any] = {"path": self.plan.source}
        if self.plan.source == PROGRAM:
            source = {"program": "input"}
        elif self.plan.second:
            source = {"paths": [self.plan.source, self.plan.second]}
        body = {
            "name": JOB,
            "source": source,
            "sink": {"path": self.plan.sink, "ordered": self.plan.ordered},
            "lease_s": 0,
            "max_attempts": 0,
            "repair": repair,
        }
        return wire.call("POST", "/v1/jobs", None, body)

    def start_file_job(self, wire: Wire, query: dict[str, Any]) -> Reply:
        told = {"input_file_path": self.plan.source, "output_file_path": self.plan.sink}
        reader = "CsvReader" if self.plan.source.endswith(".csv") else "JsonlReader"
        writer = "CsvWriter" if ".csv" in self.plan.sink else "JsonlWriter"
        return wire.scramble(JOB, told, reader, writer, **query)

    def live_to_the_end(self) -> None:
        """A last life without faults: a repair brings back what dead workers held."""
        self.last_life = True
        if not self.bring_up({}):
            raise Broken("the server died by itself")
        self.start_job(cont=True)
        with self.change:
            self.life += 1  # what was reported before the repair does not count
            self.complete = False
        ends = time.monotonic() + LIFE_DEADLINE_S
        while not self.complete and not self.trouble:
            if time.monotonic() > ends or not self.server.alive():
                report = Wire(self.server.url).report(JOB) if self.server.alive() else "dead"
                raise Broken(f"the job does not come to its end: {report}")
            with self.change:
                self.change.wait(0.01)
        self.check_server()

    # What must hold at the end.

    def check_server(self) -> None:
        wire = Wire(self.server.url)
        report = wire.report(JOB)
        want = {"served": 0, "received": len(self.plan.good()), "status": "COMPLETE"}
        if report != want and not self.trouble:
            raise Broken(f"the report says {report}, it should say {want}")
        told = wire.call("GET", "/v1/doctor").json()
        faults = [f for f in told["findings"] if f["level"] not in ("ok", "info")]
        if told["faults"] or faults:
            raise Broken(f"doctor finds {faults or told}")

    def check_output(self) -> None:
        """Each good record exactly once, with a result that some worker made for it."""
        raw = read_bytes(self.output)
        if raw and not raw.endswith(b"\n"):
            raise Broken(f"the output ends in the middle of a line: {raw[-80:]!r}")
        if ".csv" in self.plan.sink:
            rows = [row for row in csv.reader(io.StringIO(raw.decode())) if row[0] != "n"]
            pairs = [(int(row[0]), row[1]) for row in rows]
        else:
            lines = [json.loads(line) for line in raw.split(b"\n")[:-1]]
            pairs = [(line["n"], line["by"]) for line in lines]
        got = sorted(n for n, _ in pairs)
        want = sorted(self.plan.good())
        if got != want:
            more = sorted({n for n in got if got.count(n) > 1}) if len(got) < 20000 else []
            lost = sorted(set(want) - set(got))
            raise Broken(f"lost {lost[:9]}, more than once {more[:9]}, of {len(want)}")
        numbers = [n for n, _ in pairs]
        if self.plan.ordered and numbers != want:
            raise Broken(f"not in order: {numbers[:99]}")
        for n, stamp in pairs:
            if not stamp.startswith(f"{n}:"):
                raise Broken(f"record {n} has the result {stamp}")

    def points(self) -> set[str]:
        return visited(self.fault_log)


class Worker:
    """Claims and settles until the story is over, and behaves badly now and then."""

    def __init__(self, story: Story, number: int, surface: str) -> None:
        self.story = story
        self.rng = random.Random(f"{story.plan.seed}/worker {number}")
        self.name = f"w{number}"
        self.native = surface == "native"
        self.sent = 0
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
                self.turn()
            except AWAY:
                self.hang_up()
            except Exception as e:  # a test that goes wrong must not pass
                self.story.blame(f"{self.name}: {type(e).__name__} {e}")
                self.hang_up()
                return
        self.hang_up()

    def hang_up(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, method: str, path: str, query: Any = None, body: Any = None) -> Reply:
        try:
            reply = self.wire.call(method, path, query, body, connection=self.connection)
        except TimeoutError:
            self.story.blame(f"{method} {path} {query} {str(body)[:99]}: no answer")
            raise
        odd = reply.status == 400 and path.startswith("/v1/")
        if odd or (reply.status >= 500 and reply.status != 503):
            self.story.blame(f"{path} answers {reply.status} {reply.body[:200]!r}")
        return reply

    def turn(self) -> None:
        """One batch."""
        size = self.rng.randint(1, self.story.plan.batch_max)
        items, lease = self.claim(size)
        if not items:
            self.look_around()
            return
        mood = 1.0 if self.story.last_life else self.rng.random()
        if mood < 0.02:
            self.hang_up()  # the worker dies with what it holds; another takes its place
            return
        bad = [n for n, _ in items if n in self.story.plan.poison]
        done = [self.result(n) for n, _ in items if n not in self.story.plan.poison]
        if mood < 0.05:
            self.die_while_sending(done, lease)
            return
        times = 2 if mood < 0.15 else 1
        for _ in range(times):
            self.settle(done, lease)
        if bad:
            self.give_up(bad, lease)

    def result(self, number: int) -> list[Any]:
        self.sent += 1
        stamp = f"{number}:{self.name}.{self.sent}"
        if ".csv" in self.story.plan.sink:
            return [number, [number, stamp]]
        return [number, {"n": number, "by": stamp}]

    def claim(self, size: int) -> tuple[list[Any], str]:
        if not self.native:
            reply = self.call("POST", "/serve", {"job_name": JOB, "batch_size": size})
            return (reply.json(), "") if reply.status == 200 else ([], "")
        body = {"max": size, "wait_s": 0.05, "lease_s": 1.0}
        reply = self.call("POST", "/v1/jobs/~the%20job/claim", None, body)
        if reply.status != 200:
            return [], ""
        told = reply.json()
        return told["records"], (told["lease"] or {}).get("token", "")

    def settle(self, done: list[Any], lease: str) -> None:
        if not done:
            return
        if self.native:
            reply = self.call(
                "POST", "/v1/jobs/~the%20job/settle", None, {"lease": lease, "results": done}
            )
            taken = reply.status == 200
            if taken and reply.json()["written"] + reply.json()["repeats"] != len(done):
                self.story.blame(f"{len(done)} were settled, the answer is {reply.body!r}")
        else:
            query = {"job_name": JOB, "overwrite": "False"}
            taken = self.call("POST", "/receive", query, done).status == 200
        if taken:
            with self.story.change:
                self.story.acked.update((n, self.name) for n, _ in done)

    def give_up(self, bad: list[int], lease: str) -> None:
        if self.native:  # that spends an attempt, of which this job has no end
            body = {"lease": lease, "failures": [[n, "it cannot be done"] for n in bad]}
            self.call("POST", "/v1/jobs/~the%20job/settle", None, body)
        self.call("POST", "/mark-errors", {"job_name": JOB}, bad)

    def die_while_sending(self, done: list[Any], lease: str) -> None:
        """Sends the half of a request, then nothing more."""
        body = json.dumps(done).encode()
        assert self.connection
        self.connection.putrequest("POST", "/receive?job_name=the%20job&overwrite=False")
        self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body[: len(body) // 2])
        self.hang_up()

    def look_around(self) -> None:
        life = self.story.life
        reply = self.call("GET", "/report", {"job_name": JOB})
        if reply.status == 200 and reply.json().get("status") == "COMPLETE":
            self.story.say_complete(life)
        self.story.pause()


class Meddler:
    """Somebody who starts, cleans and deletes other jobs meanwhile; they must not disturb."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.rng = random.Random(f"{story.plan.seed}/meddler")
        self.wire = Wire("http://127.0.0.1:1")

    def run(self) -> None:
        life = 0
        while not self.story.over:
            life = self.story.came_up(life)
            try:
                self.wire = Wire(self.story.server.url, ANSWER_DEADLINE_S)
                self.meddle()
            except TimeoutError:
                self.story.blame("a call about another job has no answer")
            except AWAY:
                continue

    def meddle(self) -> None:
        name = f"side {self.rng.randint(0, 3)}"
        source = self.story.server.data / "side.jsonl"
        if not source.exists():
            source.write_text('{"n": 0}\n{"n": 1}\n')
        output = f"{name}.csv" if self.rng.random() < 0.3 else f"{name}.jsonl"
        told = {"input_file_path": "side.jsonl", "output_file_path": output}
        how = self.rng.choice([{}, {"cont": True}, {"clean_start": True}])
        writer = "CsvWriter" if output.endswith("csv") else "JsonlWriter"
        self.wire.scramble(name, told, "JsonlReader", writer, **how)
        path = f"/v1/jobs/~{name.replace(' ', '%20')}"
        self.wire.call("POST", path + "/resume")  # a paused job makes workers wait
        for _ in range(self.rng.randint(0, 2)):
            items = self.wire.serve(name, 1)
            if items.status == 200 and items.json():
                self.wire.receive(name, items.json(), overwrite=self.rng.random() < 0.2)
        verb = self.rng.randint(0, 9)
        if verb == 0:
            self.wire.clean(name, output=self.rng.random() < 0.7)
        elif verb == 1:
            self.wire.delete(name)
        elif verb in (2, 3, 4):
            self.wire.call("POST", path + "/" + ["pause", "resume", "cancel"][verb - 2])
        elif verb == 5:
            self.wire.call("POST", "/v1/keys", None, {"name": f"k{verb}", "scopes": ["read"]})
            self.wire.call("DELETE", f"/v1/keys/k{verb}")
        elif verb == 6:
            self.run_programs()
        self.story.pause()

    def run_programs(self) -> None:
        """A job from an operator's program to an operator's program."""
        body = {
            "name": "programs",
            "source": {"program": "three"},
            "sink": {"program": "drop"},
            "clean_start": True,
        }
        self.wire.call("POST", "/v1/jobs", None, body)
        items = self.wire.serve("programs", 3)
        if items.status == 200:
            self.wire.receive("programs", items.json())
