"""One story of the crash loop about `penstock run`: killed, stopped, started again with the same
command until it has come to its end.

Everything is drawn from the seed: input, options, what the function does with each record, when and
where the run or one of its workers dies, and what the user changes between two runs. At the end
every record must have its line in the output exactly once, or be listed as failed.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard
from crash.story import Broken
from harness.fault_points import visited
from harness.server_process import ROOT, binary

LIFE_DEADLINE_S = 90.0
STATUS_BUSY = 75

TASK = """
import asyncio, json, os, random

PLAN = json.load(open("plan.json"))
KINDS = {int(n): kind for n, kind in PLAN["kinds"].items()}


async def process_record(record, context):
    n = record["id"]
    kind = KINDS.get(n)
    if random.random() < PLAN["slow"]:
        await asyncio.sleep(random.random() * 0.01)
    if kind == "none":
        return None
    if kind == "fail":
        raise ValueError("it cannot be done")
    if kind == "flaky" and random.random() < 0.5 and "STORY_ENDS" not in os.environ:
        raise OSError("not this time")
    # Not in the last run: who dies while tried alone, as another's death made it a suspect, fails.
    if kind == "exit" and not os.path.exists(f"exit-{n}") and "STORY_ENDS" not in os.environ:
        open(f"exit-{n}", "w").close()
        os._exit(7)
    if kind == "bare":
        return {"by": n}
    return {"id": n, "by": n}
"""


@dataclass
class RunPlan:
    """What the story is about; a function of its seed alone."""

    seed: str
    count: int
    sink: str
    by_id: bool
    ordered: bool
    kills: int
    options: list[str]
    kinds: dict[int, str] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)  # lines that are no records
    slow: float = 0.0

    @staticmethod
    def draw(seed: str) -> RunPlan:
        rng = random.Random(seed)
        count = rng.choice([1, 30, 300, 1500, 4000])
        plan = RunPlan(
            seed,
            count,
            sink=rng.choice(["out.jsonl"] * 4 + ["out.jsonl.gz", "out.jsonl.zst"]),
            by_id=rng.random() < 0.6,
            ordered=rng.random() < 0.3,
            kills=rng.randint(1, 6),
            options=[
                "--concurrency", str(rng.choice([1, 3, 20, 100])),
                "--processes", str(rng.choice([1, 1, 2])),
                "--retries", str(rng.choice([0, 1, 8])),
                "--retry-delay", "0.01",
            ],
            slow=rng.choice([0.0, 0.1, 1.0]) if count < 3000 else rng.choice([0.0, 0.1]),
        )  # fmt: skip
        if rng.random() < 0.2:
            plan.options += ["--rpm", "120000"]
        kinds = ["none", "fail", "flaky", "flaky", "exit", *rng.choice([["bare"], []])]
        for n in range(count):
            if rng.random() < 0.06:
                plan.kinds[n] = rng.choice(kinds)
            elif rng.random() < 0.01:
                plan.bad.add(n)
        # Each costs a process; a few are enough.
        for n in [n for n, kind in plan.kinds.items() if kind == "exit"][3:]:
            del plan.kinds[n]
        return plan

    def arguments(self) -> list[str]:
        told = ["task.py", "--input", "in.jsonl", "--output", self.sink, "--grace", "5"]
        told += ["--errors", "errors.jsonl", *self.options]
        if self.by_id:
            told += ["--id-key", "id", "--rerun-key", "again"]
        return told + (["--ordered"] if self.ordered else [])

    def written(self) -> set[int]:
        """Those that have a line in the output in the end."""
        without = {n for n, kind in self.kinds.items() if kind in ("none", "fail")}
        return set(range(self.count)) - without - self.bad

    def failing(self) -> set[int]:
        return {n for n, kind in self.kinds.items() if kind == "fail"}


class RunStory:
    """Runs one plan. `points` are the crash points to be died at, one after another."""

    def __init__(self, folder: Path, plan: RunPlan, points: list[str]) -> None:
        self.folder = folder
        self.plan = plan
        self.rng = random.Random(plan.seed + "/run")
        self.to_visit = points
        self.fault_log = folder / "faults.log"
        self.output = folder / plan.sink
        self.known = plan.count  # how much of the input the file has
        self.absent: set[int] = set()  # what the user has taken out of the input again
        self.killed = 0
        self.lines: list[str] = []
        if plan.by_id and plan.count > 1:
            self.known = self.rng.randint(1, plan.count)
        (folder / "task.py").write_text(TASK)
        told = {"kinds": plan.kinds, "slow": plan.slow}
        (folder / "plan.json").write_text(json.dumps(told))
        self.write_input()

    def describe(self) -> str:
        return " ".join(self.plan.arguments())

    def write_input(self) -> None:
        """The input as far as it is known; with ids in any order, and some of them twice."""
        numbers = [n for n in range(self.known) if n not in self.absent]
        if self.plan.by_id:
            self.rng.shuffle(numbers)
            numbers += self.rng.sample(numbers, min(3, len(numbers)))
        lines = [
            '{"id": bad' if n in self.plan.bad else json.dumps({"id": n, "text": "t" * 50})
            for n in numbers
        ]
        (self.folder / "in.jsonl").write_text("\n".join(lines) + "\n")

    # The run's lives.

    def run(self) -> None:
        for _ in range(self.plan.kills):
            status = self.live_and_die()
            self.check_output(whole=False)
            if status == 0 and self.known == self.plan.count:
                break
            self.meddle(status == -signal.SIGKILL)
        self.known = self.plan.count
        self.absent.clear()
        if self.plan.by_id:
            self.write_input()
        status = self.live({"STORY_ENDS": "1"}, None)
        wanted = 1 if self.plan.failing() or self.plan.bad else 0
        if status != wanted:
            raise Broken(f"the last run ended with {status}, not {wanted}")
        self.check_output(whole=True)
        self.check_errors()

    def live_and_die(self) -> int:
        env = {}
        if self.to_visit and self.rng.random() < 0.7:
            n = self.rng.choice([1, 1, 2, 3, 5, 8, 20])
            env["PENSTOCK_FAULT"] = f"{self.to_visit.pop(0)}:{n}:kill"
        moment = self.rng.expovariate(1 / 0.3) + (0.5 if env else 0.15)
        return self.live(env, moment)

    def live(self, env: dict[str, str], moment: float | None) -> int:
        """One run; after `moment` seconds something is done to it. Its status."""
        path = os.pathsep.join(filter(None, [str(ROOT / "python"), os.environ.get("PYTHONPATH")]))
        known = {**os.environ, "PENSTOCK_PYTHON": sys.executable, "PYTHONPATH": path}
        with (self.folder / "stderr").open("ab") as told:
            run = subprocess.Popen(
                [binary(), "run", *self.plan.arguments()],
                cwd=self.folder,
                env={**known, "PENSTOCK_FAULT_LOG": str(self.fault_log), **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=told,
            )
        try:
            if moment is not None:
                self.strike(run, moment)
            status = run.wait(LIFE_DEADLINE_S)
        except subprocess.TimeoutExpired as late:
            run.kill()
            run.wait()
            raise Broken(f"a run does not come to its end in {LIFE_DEADLINE_S} s") from late
        finally:
            self.lines = (self.folder / "stderr").read_text(errors="replace").splitlines()
        if status == -signal.SIGKILL:
            self.killed += 1
        elif status == STATUS_BUSY or status not in (0, 1, 130, 143):
            raise Broken(f"a run ended with {status}")
        return status

    def strike(self, run: subprocess.Popen[bytes], moment: float) -> None:
        """Kills the run or a worker, or stops the run, unless it ends before."""
        try:
            run.wait(moment)
            return
        except subprocess.TimeoutExpired:
            pass
        how = self.rng.choice(["kill", "kill", "kill", "worker", "worker", "stop"])
        if how == "kill":
            run.kill()
        elif how == "stop":
            run.send_signal(self.rng.choice([signal.SIGTERM, signal.SIGINT]))
        else:
            self.kill_worker(run.pid)

    def kill_worker(self, pid: int) -> None:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                os.kill(int(self.rng.choice(children)), signal.SIGKILL)
                self.killed += 1
        except (OSError, ValueError):
            pass  # it has just ended

    def meddle(self, was_killed: bool) -> None:
        """What a user does between two runs: more input, in another order, results marked, some of
        their records taken out. In an output that was edited after a kill nobody can tell which
        results without an id were never acknowledged (docs/run.md): then only where there are none.
        """
        if not self.plan.by_id:
            return
        self.known = self.rng.randint(self.known, self.plan.count)
        self.absent.clear()
        telling = not was_killed or "bare" not in self.plan.kinds.values()
        if telling and self.plan.sink == "out.jsonl" and self.output.exists():
            self.mark_results()
        self.write_input()

    def mark_results(self) -> None:
        lines = self.output.read_text().splitlines(keepends=True)
        for at in self.rng.sample(range(len(lines)), min(len(lines), 3)):
            told = self.parsed(lines[at])
            if isinstance(told, dict) and "id" in told:
                lines[at] = json.dumps({**told, "again": self.rng.random() < 0.5}) + "\n"
                if self.rng.random() < 0.5:
                    self.absent.add(told["id"])
        self.output.write_text("".join(lines))

    def parsed(self, line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            return None

    # What must hold.

    def output_lines(self) -> list[bytes]:
        raw = self.output.read_bytes() if self.output.exists() else b""
        try:
            if self.plan.sink.endswith(".gz"):
                raw = gzip.decompress(raw) if raw else b""
            elif self.plan.sink.endswith(".zst"):
                with zstandard.ZstdDecompressor().stream_reader(
                    raw, read_across_frames=True
                ) as whole:
                    raw = whole.read()
        except (OSError, EOFError, zstandard.ZstdError):
            return []  # killed in the middle of a frame: the next run cuts it off
        return raw.splitlines(keepends=True)

    def check_output(self, whole: bool) -> None:
        """No record twice; at the end none missing, and in order if that was asked for."""
        lines = self.output_lines()
        if not whole and lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # killed while writing: the next run cuts it off
        by = []
        for line in lines:
            told = self.parsed(line.decode())
            if not line.endswith(b"\n") or not isinstance(told, dict):
                raise Broken(f"the output has the line {line[:80]!r}")
            by.append(told["by"])
        if len(set(by)) != len(by):
            more = sorted({n for n in by if by.count(n) > 1})
            raise Broken(f"more than once in the output: {more[:9]}")
        if not whole:
            return
        lost = self.plan.written() - set(by)
        if lost or len(by) != len(self.plan.written()):
            strange = set(by) - self.plan.written()
            raise Broken(f"lost {sorted(lost)[:9]}, strange {sorted(strange)[:9]}, of {len(by)}")
        if any("again" in (self.parsed(line.decode()) or {}) for line in lines):
            raise Broken("a result that was marked to be run again is still there")
        flaky = any(kind in ("flaky", "exit") for kind in self.plan.kinds.values())
        if self.plan.ordered and not self.plan.by_id and not flaky and by != sorted(by):
            raise Broken("the output is not in the order of the input")

    def check_errors(self) -> None:
        """The list is of now: who fails in the end, and lines that are no records."""
        path = self.folder / "errors.jsonl"
        raw = path.read_text() if path.exists() else ""
        told = [json.loads(line) for line in raw.splitlines()]
        failed = sorted(t["record_id"] for t in told if t["error_type"] == "ValueError")
        if failed != sorted(self.plan.failing()):
            raise Broken(
                f"the error file lists {failed[:9]}, not {sorted(self.plan.failing())[:9]}"
            )
        others = [t for t in told if t["error_type"] != "ValueError"]
        if bool(others) != bool(self.plan.bad):
            raise Broken(f"the error file lists {others[:3]}, bad are {sorted(self.plan.bad)[:9]}")

    def points(self) -> set[str]:
        return visited(self.fault_log)
