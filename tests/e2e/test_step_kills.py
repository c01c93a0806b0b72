"""Workers that are killed at each stage of a job: its outputs are whole or absent, it ends once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.server_process import ServerProcess
from harness.step_worker import StepWorker, wait_until

SOURCE = """
import penstock.steps.courier as courier

HOLD = Path(os.environ["HOLD"])

def stage(name):
    # Holds the first run of a job there, until it is killed.
    if os.environ["STAGE"] == name and not HOLD.exists():
        HOLD.write_text(str(os.getpid()))
        while True:
            time.sleep(600)

class Slow(courier.Courier):
    def _fetch(self, artifact, path):
        super()._fetch(artifact, path)
        stage("fetched")

    def _pieces(self, file, size):
        for piece in super()._pieces(file, size):
            yield piece[: len(piece) // 2]
            stage("half stored")
            yield piece[len(piece) // 2 :]

    def store(self, *arguments):
        made = super().store(*arguments)
        stage("stored")
        return made

import penstock.steps.job_run as job_run
job_run.Courier = Slow

@penstock.step(version="1.0.0")
@dataslot.input("table")
@dataslot.output("first")
@dataslot.output("second")
def copy(table: Path, first: Path, second: Path) -> int:
    first.write_bytes(table.read_bytes())
    stage("running")
    second.write_bytes(table.read_bytes())
    return len(table.read_bytes())
"""


@pytest.fixture
def worker(server: ServerProcess, tmp_path: Path) -> Iterator[StepWorker]:
    made = StepWorker(tmp_path / "work", server)
    yield made
    made.close()


@pytest.mark.parametrize("stage", ["fetched", "running", "half stored", "stored"])
def test_a_killed_worker_leaves_what_is_whole(worker: StepWorker, stage: str) -> None:
    hold = worker.folder / "hold"
    worker.serve(SOURCE, STAGE=stage, HOLD=str(hold))
    data = b"0123456789" * 1000
    table = worker.client.artifacts.upload(data, name="t.bin")
    job = worker.client.step_jobs.run("copy", inputs={"table": table}, max_attempts=3)
    wait_until(lambda: hold.exists() and hold.read_text(), "it never came there")
    found = job.refresh()
    assert found.state == "running"
    for slot in found.outputs.values():
        assert all(worker.client.artifacts.read(one) == data for one in slot)
    assert sum(map(len, found.outputs.values())) == (1 if stage == "stored" else 0)
    os.kill(int(hold.read_text()), signal.SIGKILL)
    ended = job.wait(90)
    assert (ended.state, ended.result) == ("completed", len(data)), ended.error
    assert worker.read(ended, "first") == worker.read(ended, "second") == [data]
    kept = {one.id for one in worker.client.artifacts.list(kind="output")}
    assert kept == {slot[0].id for slot in ended.outputs.values()}
    wait_until(lambda: not worker.files(), "files are left")
