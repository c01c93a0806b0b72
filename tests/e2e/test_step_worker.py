"""Steps in Python: declared, registered, run by `penstock worker`, and asked for by a client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.server_process import ROOT, ServerProcess, binary
from harness.step_worker import StepWorker, wait_until

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not
import penstock


@pytest.fixture
def worker(server: ServerProcess, tmp_path: Path) -> Iterator[StepWorker]:
    made = StepWorker(tmp_path / "work", server)
    yield made
    made.close()


def test_files_and_parameters_go_in_and_out(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step(version="1.0.0")
        @dataslot.input("table", media_type=MediaTypes.CSV)
        @dataslot.output("plot", media_type=MediaTypes.PNG)
        def fit(table: Path, plot: Path, degree: int = 1, way: Literal["up", "down"] = "up"):
            plot.write_bytes(b"PNG" + table.read_bytes())
            return {"degree": degree, "way": way, "name": table.name}
        """
    )
    client = worker.client
    table = client.artifacts.upload(b"a,b\n1,2\n", name="mine.csv", tags=["raw"])
    job = worker.run("fit", parameters={"degree": 3}, inputs={"table": table}, tags=["try"])
    assert job.state == "completed", job.error
    assert job.result == {"degree": 3, "way": "up", "name": "mine.csv"}
    (plot,) = job.outputs["plot"]
    assert (plot.name, plot.media_type, plot.job_id) == ("plot.png", "image/png", job.id)
    assert client.artifacts.read(plot) == b"PNGa,b\n1,2\n"
    assert client.artifacts.lineage(plot)["jobs"][0]["id"] == job.id
    assert worker.files() == []
    with pytest.raises(penstock.InvalidError, match="way"):
        client.step_jobs.run("fit", parameters={"way": "left"}, inputs={"table": table})


def test_files_of_no_known_type_are_read_as_their_slot_says(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step
        @dataslot.input("rows", media_type=MediaTypes.CSV)
        @dataslot.input("weights", media_type=MediaTypes.JSON)
        def weigh(rows: list[dict[str, str]], weights: dict[str, int]) -> int:
            return sum(weights[row["name"]] for row in rows)

        @penstock.step
        @dataslot.input_collection("tables", media_type=MediaTypes.CSV)
        def count(tables: list[list[list[str]]]) -> list[int]:
            return [len(table) for table in tables]
        """,
        steps=2,
    )
    upload = worker.client.artifacts.upload
    rows = upload(b"name\na\nb\n", name="rows", media_type="application/octet-stream")
    weights = upload(b'{"a":1,"b":2}', name="w.json", media_type="application/octet-stream")
    job = worker.run("weigh", inputs={"rows": rows, "weights": weights})
    assert (job.result, job.error) == (3, None)
    plain = upload(b"a\n", name="a.txt", media_type="text/plain")
    job = worker.run("count", inputs={"tables": [rows, plain]})
    assert (job.result, job.error) == ([3, 1], None)
    # What a file says of itself goes first.
    listed = upload(b'["x","y"]', name="a.json", media_type="application/json")
    job = worker.run("count", inputs={"tables": [listed]})
    assert job.error and "input 'tables', file 'a.json', cannot" in job.error["message"], job
    odd = upload(b"\xff", name="odd.csv")
    job = worker.run("count", inputs={"tables": [plain, odd]})
    assert job.error and "input 'tables', file 'odd.csv', cannot" in job.error["message"]


def test_every_kind_of_function_runs(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step(version="2.0.0")
        async def waits(x: int, context: StepContext) -> int:
            await asyncio.sleep(0)
            context.progress(0.5, "half")
            context.log("nearly", level="warning")
            context.set_metrics(rows=x)
            return x + context.attempt

        @penstock.step(executor="process")
        def alone(x: int) -> list[int]:
            return [x, os.getpid(), os.getppid()]

        @penstock.step(version="1.1")
        class Sums:
            def __init__(self):
                self.made = os.getpid()

            def add(self, x: int, y: int = 2) -> int:
                "Adds."
                return x + y

            @penstock.step(version="3.0-beta", name="times")
            def multiply(self, x: int, y: int) -> int:
                return x * y

            def _hidden(self) -> None:
                raise AssertionError
        """,
        steps=4,
    )
    names = {f"{one['name']}:{one['version']}" for one in worker.client.steps.list()}
    assert names == {"waits:2.0.0", "alone:0.0.0", "add:1.1", "times:3.0-beta"}
    job = worker.run("waits", parameters={"x": 1}, tags=["a"])
    assert job.result == 2, job.error
    (line,) = worker.client.send("GET", f"/v1/step-jobs/{job.id}/logs")["lines"]
    assert (line["message"], line["level"]) == ("nearly", "warning")
    assert worker.client.send("GET", f"/v1/step-jobs/{job.id}/metrics")["metrics"] == {"rows": 1}
    first, pid, parent = worker.result("alone", parameters={"x": 7})
    assert first == 7 and pid != parent
    assert worker.result("add", parameters={"x": 3}) == 5
    assert worker.result("times:3.0-beta", parameters={"x": 3, "y": 4}) == 12


def test_a_step_makes_sub_jobs_for_its_owner(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step(executor="process")
        def outer(context: StepContext) -> list[int]:
            context.set_tags([*context.tags, "seen"])
            inner = [context.start("inner", parameters={"x": x}) for x in range(2)]
            return [job.get_result(30) for job in inner]

        @penstock.step
        async def inner(x: int) -> int:
            assert penstock.current_step().job_id
            return x * x
        """,
        steps=2,
    )
    job = worker.run("outer", tags=["first"])
    assert job.result == [0, 1] and job.tags == ["first", "seen"], job.error
    inner = worker.client.steps.get("inner")["id"]
    parents = {one.told["parent"] for one in worker.client.step_jobs.list(step=inner)}
    assert parents == {job.id}
    found = list(worker.client.step_jobs.list(page=1))
    assert len(found) == 3 and len({one.id for one in found}) == 3


def test_a_worker_takes_its_own_steps_alone(worker: StepWorker) -> None:
    other = {"function_name": "other", "version": "1.0.0"}
    worker.client.steps.register(other)
    theirs = worker.client.step_jobs.run("other")
    worker.serve(
        """
        @penstock.step(version="1.0.0")
        def mine() -> str:
            return "mine"
        """,
        "--queues",
        "steps",
        steps=2,
    )
    assert worker.result("mine") == "mine"
    assert theirs.refresh().state == "pending"


def test_failures_name_what_is_the_matter(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step
        def wrong(how: str) -> int:
            if how == "raise":
                raise ValueError("too wet")
            if how == "fail":
                raise penstock.Fail("for good")
            return how

        @penstock.step
        @dataslot.input("table", media_type="application/json")
        @dataslot.output("plot")
        def picky(table: list[int], plot: Path) -> None:
            pass
        """,
        steps=2,
    )
    raised = worker.run("wrong", parameters={"how": "raise"})
    assert raised.error and raised.error["message"] == "too wet"
    assert raised.error["type"] == "ValueError" and "steps.py" in raised.error["traceback"]
    assert "job_run.py" not in raised.error["traceback"]
    tries = {"max_attempts": 3, "retry": {"kind": "fixed", "delay_s": 0}}
    final = worker.run("wrong", parameters={"how": "fail"}, **tries)
    assert final.error and final.error["attempt"] == 1
    again = worker.run("wrong", parameters={"how": "raise"}, **tries)
    assert again.error and again.error["attempt"] == 3
    odd = worker.run("wrong", parameters={"how": "text"})
    assert odd.error and "the result must be a whole number, not 'text'" in odd.error["message"]
    with pytest.raises(penstock.StepJobFailed, match="too wet") as failed:
        worker.client.step_jobs.run("wrong", parameters={"how": "raise"}).get_result(60)
    assert failed.value.job.state == "failed"
    artifact = worker.client.artifacts.upload(b'[1,"a"]', name="a.json")
    read = worker.run("picky", inputs={"table": artifact})
    assert read.error and "input 'table', file 'a.json', cannot be read" in read.error["message"]
    assert "[1] must be a whole number" in read.error["message"]
    artifact = worker.client.artifacts.upload(b"[1]", name="a.json")
    missing = worker.run("picky", inputs={"table": artifact})
    assert missing.error and "output 'plot' has 0 files, it needs 1" in missing.error["message"]
    assert worker.files() == []


def test_another_manifest_of_the_same_version_ends_the_worker(worker: StepWorker) -> None:
    worker.client.steps.register({"function_name": "mine", "version": "1.0.0"})
    worker.write(
        """
        @penstock.step(version="1.0.0")
        def mine(x: int) -> int:
            return x
        """
    )
    process = worker.start()
    assert process.wait(60) != 0
    assert "mine:1.0.0 is registered with another manifest" in worker.log()


def test_a_worker_whose_server_is_away_says_so(worker: StepWorker) -> None:
    worker.write(
        """
        @penstock.step
        def one() -> int:
            return 1
        """
    )
    worker.server.kill()
    worker.start()
    said = f"waiting for the server: no server can be reached at {worker.server.url[7:]}"
    wait_until(lambda: said in worker.log(), "nothing is said")
    worker.server.start()
    wait_until(lambda: list(worker.client.steps.list()), worker.log())
    assert worker.log().count("waiting for the server") == 1


def test_what_is_no_step_is_refused(worker: StepWorker) -> None:
    for source, said in (
        ("@penstock.step\ndef f(x: object(), *rest): pass\n", "cannot be given by name"),
        ("@penstock.step\n@dataslot.input('y')\ndef f(x: int): pass\n", "no parameter y"),
        ("@penstock.step\ndef f():\n    yield 1\n", "yields"),
        ("@penstock.step\ndef f(): pass\ng = f\nclass C:\n  f = f\nsteps = [f, f]\n", "two steps"),
        ("@penstock.step(version='x')\ndef f(): pass\n", "a version is like 1.2.3"),
    ):
        worker.write(source)
        target = "steps.py:steps" if "steps = " in source else "steps.py"
        process = worker.start(target)
        assert process.wait(60) != 0
        assert said in worker.log(), worker.log()


def test_a_cancelled_job_ends_and_leaves_nothing(worker: StepWorker) -> None:
    worker.serve(
        """
        @penstock.step
        @dataslot.output("out")
        def waits(out: Path, context: StepContext) -> None:
            out.write_bytes(b"x")
            context.progress(0.1, "waiting")
            while not context.wait_for_abort(30):
                pass
            context.check()

        @penstock.step(executor="process")
        @dataslot.output("out")
        def hangs(out: Path) -> None:
            out.write_bytes(b"x")
            time.sleep(600)

        @penstock.step
        @dataslot.output("out")
        async def sleeps(out: Path) -> None:
            out.write_bytes(b"x")
            await asyncio.sleep(600)
        """,
        steps=3,
    )
    for name in ("waits", "hangs", "sleeps"):
        job = worker.client.step_jobs.run(name)
        wait_until(lambda: any(f.is_file() for f in worker.files()), f"{name} never ran")
        job.cancel()
        ended = job.wait(60)
        assert ended.state == "cancelled" and ended.outputs == {"out": []}, ended
        wait_until(lambda: not any(f.is_file() for f in worker.files()), "files are left")
    assert worker.client.step_jobs.run("waits", timeout_s=0.2).wait(60).state == "failed"


def test_steps_are_registered_without_a_worker(worker: StepWorker) -> None:
    worker.write(
        """
        @penstock.step(version="1.0.0")
        def one(x: int) -> int:
            return x

        @penstock.step(version="2.0.0")
        def two() -> None:
            pass
        """
    )
    env = {**worker.env(), "PENSTOCK_PYTHON": sys.executable}

    def register(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [binary(), "step", "register", *arguments]
        return subprocess.run(
            command, cwd=worker.folder, env=env, capture_output=True, text=True, check=False
        )

    server = ("--server", worker.server.url)
    made = register("steps.py", *server)
    assert made.returncode == 0, made.stderr
    ids = [int(line) for line in made.stdout.split()]
    assert ids == [worker.client.steps.get(name)["id"] for name in ("one", "two")]
    (worker.folder / "add.json").write_text('{"function_name":"add","version":"1.0.0"}')
    worker.write("@penstock.step(version='3.0.0')\ndef three() -> None: pass\n", "more.py")
    both = register("more.py", "steps:two", "add.json", *server, "--python", sys.executable)
    assert both.returncode == 0, both.stderr
    found = [worker.client.steps.get(name)["id"] for name in ("add", "three", "two")]
    assert [int(line) for line in both.stdout.split()] == found
    assert register("steps.py", *server, "--python", "/none").returncode == 2
    again = register("steps:two", "--state", str(worker.server.state), "--json")
    assert json.loads(again.stdout) == {"step": "two:2.0.0", "id": ids[1], "existing": True}
    for target, status, said in (
        ("none.py", 2, "no such file"),
        ("steps:none", 2, "has no"),
        ("steps:HEAD", 2, "has no"),
    ):
        refused = register(target, *server)
        assert refused.returncode == status and said in refused.stderr, refused.stderr
    worker.write("@penstock.step(version='1.0.0')\ndef one() -> None: pass\n")
    assert register("steps.py", *server).returncode == 1
    assert register("steps.py", "--state", str(worker.folder / "none")).returncode != 0


def test_a_worker_with_an_owners_key_works_for_the_owner(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = make_server("--auth", "keys")
    secret = server.run_cli("key", "create", "lab-1", "--owner", "lab").stdout.strip()
    worker = StepWorker(tmp_path / "work", server, secret)
    try:
        worker.serve(
            """
            @penstock.step(executor="process")
            @dataslot.input("text", media_type=MediaTypes.TEXT)
            @dataslot.output("loud", media_type=MediaTypes.TEXT)
            def shout(text: str, loud: Path, context: StepContext) -> str:
                loud.write_text(text.upper())
                return context.job().told["owner"]
            """
        )
        text = worker.client.artifacts.upload(b"a", name="a.txt")
        job = worker.run("shout", inputs={"text": text})
        assert job.result == "lab", job.error
        assert worker.read(job, "loud") == [b"A"]
        assert job.outputs["loud"][0].told["owner"] == "lab"
    finally:
        worker.close()
