"""Steps that are programs in any language, by a manifest: penstock worker --exec --manifest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.server_process import ServerProcess
from harness.step_worker import StepWorker, wait_until

PROGRAM = """
import json, os, sys, time

for line in sys.stdin:
    job = json.loads(line)
    how = job["parameters"].get("how", "good")
    with open(job["inputs"]["table"][0]["path"]) as file:
        text = file.read()
    if how == "good":
        with open(job["outputs"]["plot"]["path"], "w") as file:
            file.write(text.upper())
        for name in ("b.txt", "a.txt"):
            with open(os.path.join(job["outputs"]["parts"]["folder"], name), "w") as file:
                file.write(name)
        print(json.dumps({"penstock": {"progress": [0.5, "half"]}}), flush=True)
        answer = {"rows": len(text.splitlines()), "attempt": job["attempt"], "pid": os.getpid()}
        answer["name"] = job["inputs"]["table"][0]["name"]
        answer["token"] = job["step_token"][:3]
    elif how == "fail":
        answer = {"penstock": {"fail": "too wet", "type": "Weather", "final": True}}
    elif how == "odd":
        print("no JSON", flush=True)
        continue
    elif how == "die":
        os._exit(3)
    else:
        time.sleep(600)
    print(json.dumps(answer), flush=True)
"""


def manifest(**members: Any) -> dict[str, Any]:
    slot = {"title": "", "description": "", "metadata": {}, "minSlots": 1, "maxSlots": 1}
    return {
        "function_name": "shout",
        "version": "1.0.0",
        "parameters": {"type": "object", "properties": {"how": {"type": "string"}}},
        "input_dataslots": [{**slot, "name": "table", "mediatype": "text/csv"}],
        "output_dataslots": [
            {**slot, "name": "plot", "mediatype": "text/plain"},
            {**slot, "name": "parts", "mediatype": "text/plain", "minSlots": 0, "maxSlots": None},
        ],
        **members,
    }


@pytest.fixture
def worker(server: ServerProcess, tmp_path: Path) -> Iterator[StepWorker]:
    made = StepWorker(tmp_path / "work", server)
    yield made
    made.close()


def start(worker: StepWorker, *arguments: str, told: Any = None) -> None:
    (worker.folder / "shout.py").write_text(PROGRAM)
    (worker.folder / "shout.json").write_text(json.dumps(told or manifest()))
    command = f"{sys.executable} shout.py"
    worker.start("--exec", command, "--manifest", "shout.json", *arguments)
    wait_until(lambda: list(worker.client.steps.list()), "the step was never registered")


def test_a_program_gets_files_and_gives_files(worker: StepWorker) -> None:
    start(worker)
    table = worker.client.artifacts.upload(b"a\nb\n", name="t.csv")
    job = worker.run("shout", inputs={"table": table})
    assert job.state == "completed", job.error
    assert job.result["rows"] == 2 and job.result["name"] == "t.csv"
    assert job.result["attempt"] == 1 and job.result["token"] == "st:"
    assert worker.read(job, "plot") == [b"A\nB\n"]
    assert [one.name for one in job.outputs["parts"]] == ["a.txt", "b.txt"]
    assert worker.read(job, "parts") == [b"a.txt", b"b.txt"]
    again = worker.run("shout", inputs={"table": table})
    assert again.result["pid"] == job.result["pid"]  # the same copy
    assert worker.files() == []


def test_what_goes_wrong_is_told(worker: StepWorker) -> None:
    start(worker)
    table = worker.client.artifacts.upload(b"a\n", name="t.csv")
    for how, kind, said in (
        ("fail", "Weather", "too wet"),
        ("odd", "NotJson", "no JSON"),
        ("die", "ProgramDied", "ended with status 3"),
    ):
        job = worker.run("shout", inputs={"table": table}, parameters={"how": how})
        assert job.error and job.error["type"] == kind and said in job.error["message"], job.error
        assert job.outputs == {"plot": [], "parts": []}
    job = worker.client.step_jobs.run("shout", inputs={"table": table}, parameters={"how": "hang"})
    wait_until(lambda: any(path.is_file() for path in worker.files()), "it never ran")
    job.cancel()
    assert job.wait(60).state == "cancelled"
    assert worker.run("shout", inputs={"table": table}).state == "completed"
    wait_until(lambda: not worker.files(), "files are left")


def test_what_is_no_manifest_is_refused(worker: StepWorker) -> None:
    for text, said in (
        ("[]", "no manifests"),
        ("nonsense", "is no JSON"),
        ('{"function_name":"f"}', "the manifest of f lacks 'version'"),
        ('{"version":"1"}', "the manifest of a step lacks 'function_name'"),
        ('{"function_name":"f","version":"1","input_dataslots":3}', "not as it should be"),
    ):
        (worker.folder / "bad.json").write_text(text)
        process = worker.start("--exec", "cat", "--manifest", "bad.json")
        assert process.wait(60) != 0
        assert said in worker.log()
    process = worker.start("steps.py", "--manifest", "bad.json")
    assert process.wait(60) == 2 and "--manifest goes with --exec" in worker.log()
