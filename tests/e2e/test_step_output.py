"""What steps print and log is in the log of their job, line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.server_process import ServerProcess
from harness.step_worker import StepWorker, wait_until

SAYS = """
import logging
import threading
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")

def say(x: int) -> None:
    print("one", x)
    print("begun", end="")
    print(" and ended")
    logging.getLogger("mine").warning("careful")
    print("error of", x, file=sys.stderr)
    sys.stdout.write("10%\\r50%\\r100%\\n\\n")
    print("\\udcff: no UTF-8")
    sys.stderr.write("never ended")
    logging.info("not shown, not kept")

@penstock.step
def threaded(x: int, context: StepContext) -> int:
    say(x)
    context.log("mine", level="error")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    return x

@penstock.step(executor="process")
def alone(x: int, context: StepContext) -> int:
    say(x)
    context.log("mine", level="error")
    return x

@penstock.step
async def waits(x: int, context: StepContext) -> int:
    say(x)
    context.log("mine", level="error")
    await asyncio.sleep(0)
    return x

@penstock.step
def fails() -> None:
    print("last words")
    raise ValueError("too wet")

@penstock.step
def quiet() -> None:
    pass
"""


@pytest.fixture
def worker(server: ServerProcess, tmp_path: Path) -> Iterator[StepWorker]:
    made = StepWorker(tmp_path / "work", server)
    yield made
    made.close()


def lines(worker: StepWorker, job: int) -> list[tuple[str, str, str]]:
    """Source, level and message of each."""
    told: list[dict[str, Any]] = list(worker.client.step_jobs.logs(job))
    first = told[0]["number"] if told else 0
    assert [one["number"] for one in told] == list(range(first, first + len(told)))
    return [(one["source"], one["level"], one["message"]) for one in told]


def test_what_a_step_prints_is_in_its_log(worker: StepWorker) -> None:
    worker.serve(SAYS, steps=5)
    for step in ("threaded", "alone", "waits"):
        job = worker.run(step, parameters={"x": 7})
        assert job.result == 7, job.error
        found = lines(worker, job.id)
        assert found[:2] == [("stdout", "info", "one 7"), ("stdout", "info", "begun and ended")]
        careful = found.pop(2)
        assert careful[:2] == ("stderr", "warning") and careful[2].endswith("WARNING careful")
        expected = [
            ("stderr", "info", "error of 7"),
            ("stdout", "info", "100%"),
            ("stdout", "info", ""),
            ("stdout", "info", "?: no UTF-8"),
            ("log", "error", "mine"),
        ]
        if step == "threaded":
            expected.append(("stdout", "info", "from a thread"))
        assert found[2:] == [*expected, ("stderr", "info", "never ended")], step
    job = worker.run("fails")
    assert job.state == "failed" and lines(worker, job.id) == [("stdout", "info", "last words")]
    assert lines(worker, worker.run("quiet").id) == []
    # And it is shown as ever.
    assert all(worker.log().count(text) == 3 for text in ("one 7", "WARNING careful", "mine\n"))


def test_lines_are_told_while_it_runs_and_stay_with_their_job(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step
        def waits(context: StepContext, name: str) -> str:
            print("begins:", name)
            while not context.wait_for_abort(30):
                pass
            print("ends:", name)
            context.check()
            return name
        """
    )
    client = worker.client
    jobs = {n: client.step_jobs.run("waits", parameters={"name": n}) for n in ("a", "b")}
    for name, job in jobs.items():
        wait_until(lambda job=job: lines(worker, job.id), "nothing is told")
        assert lines(worker, job.id) == [("stdout", "info", f"begins: {name}")]
        job.cancel()
    for name, job in jobs.items():
        assert job.wait(60).state == "cancelled"
        assert lines(worker, job.id)[1:] == [("stdout", "info", f"ends: {name}")]


def test_a_flood_is_bounded(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step
        def floods() -> None:
            print("x" * 20_000)
            for number in range(12_000):
                print("line", number)
            sys.stdout.write("y" * 40_000)
        """
    )
    job = worker.run("floods")
    assert job.state == "completed", job.error
    told = worker.client.send("GET", f"/v1/step-jobs/{job.id}/logs?limit=1000&order=desc")
    newest = [line["message"] for line in told["lines"]]
    assert newest[0] == "y" * (16 << 10) and newest[1:4] == [f"line {11_999 - n}" for n in range(3)]
    assert told["total"] <= 10_000


def test_a_fork_of_a_step_says_nothing_for_it(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step(executor="process")
        def forks() -> int:
            print("parent")
            child = os.fork()
            if child == 0:
                print("child")
                os._exit(0)
            return os.waitpid(child, 0)[1]
        """
    )
    job = worker.run("forks")
    assert job.result == 0, job.error
    assert lines(worker, job.id) == [("stdout", "info", "parent")]


PROGRAM = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    how = job["parameters"]["how"]
    print("WARNING: how is", how, file=sys.stderr, flush=True)
    if how == "much":
        sys.stderr.write("much\\n" * 20_000)
    if how == "die":
        sys.exit("dies")
    print(json.dumps({"penstock": {"progress": 0.5}}), flush=True)
    sys.stderr.write("no end")
    sys.stderr.flush()
    print(len(line), flush=True)
"""


def test_what_a_program_prints_on_standard_error_is_in_the_log(worker: StepWorker) -> None:
    (worker.folder / "says.py").write_text(PROGRAM)
    told = {
        "function_name": "says",
        "version": "1.0.0",
        "parameters": {"type": "object", "properties": {"how": {"type": "string"}}},
    }
    (worker.folder / "says.json").write_text(json.dumps(told))
    worker.start("--exec", f"exec {sys.executable} says.py", "--manifest", "says.json")
    wait_until(lambda: list(worker.client.steps.list()), "the step was never registered")
    for how, more in (("well", ["no end"]), ("die", ["dies"]), ("h" * 300_000, ["no end"])):
        job = worker.run("says", parameters={"how": how})
        assert job.state == ("failed" if how == "die" else "completed"), job.error
        found = lines(worker, job.id)
        assert found[0][:2] == ("stderr", "warning")
        assert found[0][2] == f"WARNING: how is {how}"[: 16 << 10]
        assert [message for _, _, message in found[1:]] == more
    job = worker.run("says", parameters={"how": "much"})
    assert job.state == "completed", job.error
    found = lines(worker, job.id)
    assert len(found) <= 10_000 and found[-1][2] == "no end" and found[-2][2] == "much"
