"""pinexq's own client inside of a step, by get_client(context): it acts for the job's owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from harness.server_process import ServerProcess
from harness.step_worker import StepWorker

SOURCE = '''
import json
import warnings

import httpx
from pinexq.client.job_management import EntryPointHco, Job, ProcessingStep, WorkData
from pinexq.client.job_management.model import JobStates
from pinexq.procon.dataslots import DataSlot, MediaTypes, dataslot
from pinexq.procon.jobmanagement import (
    get_client,
    get_entrypoint_hco,
    get_grants,
    get_input_workdatas,
    get_job,
    job_from_step_context,
)
from pinexq.procon.step import Step, version

warnings.simplefilter("error", UserWarning)


class Inside(Step):
    def looks(self) -> dict[str, str]:
        """At its own job, and who it is."""
        context = self.step_context
        job = get_job(context)
        same = job_from_step_context(self)
        assert job.self_link().get_url() == same.self_link().get_url()
        assert job.get_state() == JobStates.processing
        job.set_tags([*job.job_hco.tags, "seen"])
        entry = get_entrypoint_hco(context)
        assert isinstance(entry, EntryPointHco)
        user = entry.info_link.navigate().current_user
        assert get_grants(context) == []
        return {"name": job.job_hco.name, "user": user.user_id}

    def splits(self, count: int) -> list[int]:
        """Sub jobs of other steps, waited for by their events."""
        context = self.step_context
        client = get_client(context)
        step = ProcessingStep.from_name(client, "square", "1.0.0")
        mine = get_job(context, client)
        made = []
        for number in range(count):
            made.append(
                Job(client).create_and_configure_rapidly(
                    name=f"sub {number}",
                    parent_job_instance=mine,
                    processing_step_instance=step,
                    parameters=json.dumps({"x": number}),
                    start=True,
                )
            )
        results = [job.wait_for_completion(timeout_s=60).get_result() for job in made]
        assert mine.sub_jobs_in_state(JobStates.completed) == count
        client.close()
        return results

    @version("1.0.0")
    def square(self, x: int) -> int:
        return x * x

    @dataslot.input("table", media_type=MediaTypes.CSV)
    def files(self, table: DataSlot) -> list[str]:
        """Its inputs as work data, and a new one."""
        context = self.step_context
        (data,) = get_input_workdatas(context, "table")
        client = get_client(context)
        new = WorkData(client).create(
            filename="new.csv", mediatype="text/csv", binary=data.download() + b"more\\n"
        )
        new.set_tags(["made"])
        got = httpx.get(
            context.input_dataslots["table"].slots[0].uri,
            headers=context.input_dataslots["table"].slots[0].headers,
        )
        assert got.content == data.download()
        return [data.work_data_hco.name, new.work_data_hco.name, new.download().decode()]

    def keeps(self) -> str:
        """What shows that the token is nobody's any more when the job has ended."""
        client = get_client(self.step_context)
        assert isinstance(client, httpx.Client)
        return client.headers["x-access-token"]
'''


@pytest.fixture
def worker(make_server: Callable[..., ServerProcess], tmp_path: Path) -> Iterator[StepWorker]:
    """A worker of the owner lab, on a server that asks for keys."""
    server = make_server("--auth", "keys")
    secret = server.run_cli("key", "create", "lab-1", "--owner", "lab").stdout.strip()
    made = StepWorker(tmp_path / "work", server, secret)
    yield made
    made.close()


def test_the_real_client_works_inside_of_a_step(worker: StepWorker) -> None:
    (worker.folder / "inside.py").write_text(SOURCE, encoding="utf-8")
    worker.serve("", "inside.py", "--concurrency", "2", steps=5)
    client = worker.client
    job = worker.run("looks", name="mine", tags=["first"])
    assert job.result == {"name": "mine", "user": "lab"}, job.error
    assert job.tags == ["first", "seen"]

    job = worker.run("splits", parameters={"count": 2})
    assert job.result == [0, 1], job.error
    assert job.told["sub_jobs"] == 2
    assert {one.told["owner"] for one in client.step_jobs.list(parent=job.id)} == {"lab"}

    table = client.artifacts.upload(b"a\n", name="t.csv", media_type="text/csv")
    job = worker.run("files", inputs={"table": table})
    assert job.result == ["t.csv", "new.csv", "a\nmore\n"], job.error
    (made,) = client.artifacts.list(tag="made")
    assert made.told["owner"] == "lab"

    token = worker.result("keeps")
    told = httpx.get(f"{worker.server.url}/v1/step-jobs", headers={"x-access-token": token})
    assert told.status_code == 401
