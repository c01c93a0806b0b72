"""pinexq's own client, unmodified, from PyPI: what its users write, with only the URL changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.server_process import ServerProcess
from harness.steps import Steps
from pinexq.client.core import ApiException
from pinexq.client.core.exceptions import NotAvailableException
from pinexq.client.job_management import Job, ProcessingStep
from pinexq.client.job_management.model import JobStates
from pinexq.client.job_management.tool.job import InputDataSlotParameterFlexible
from pinexq.client.job_management.tool.job_group import JobGroup
from pinexq.client.job_management.tool.workdata import WorkDataLink

# A member that the client does not know, and the like, is only a warning to it.
pytestmark = pytest.mark.filterwarnings("error::UserWarning")


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    made = Steps(server)
    made.register()
    return made


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as made:
        yield made


def work(steps: Steps, result: Any = 7) -> None:
    """Does the job that waits, as its worker."""
    (task,) = steps.take()
    steps.complete(task["id"], result)


def test_a_job_as_in_the_manual(steps: Steps, client: httpx.Client) -> None:
    job = (
        Job(client)
        .create("my_job")
        .select_processing(function_name="add", function_version="1.0.0")
        .set_tags(["test", "my_function"])
        .configure_parameters(x=5)
    )
    assert job.get_state() == JobStates.ready_for_processing
    job.start()
    assert job.get_state() == JobStates.pending
    work(steps, {"sum": 7})
    assert job.get_state() == JobStates.completed and job.get_result() == {"sum": 7}
    assert job.job_hco is not None
    assert job.job_hco.tags == ["test", "my_function"] and job.job_hco.completed_at
    job.delete()
    assert job.job_hco is None


def test_rapid_set_up(steps: Steps, client: httpx.Client) -> None:
    step = ProcessingStep.from_name(client=client, step_name="add", version="1.0.0")
    data = steps.upload(b"1,2\n")
    url = f"{steps.server.url}/api/WorkData/00000000-0000-8000-8000-{data['id']:012x}"
    job = Job(client=client).create_and_configure_rapidly(
        name="my_job",
        processing_step_instance=step,
        tags=["test"],
        parameters='{"x": 5}',
        input_data_slots=[InputDataSlotParameterFlexible(index=0, work_data_urls=[url])],
        start=True,
    )
    assert job.job_hco is not None and job.job_hco.state == JobStates.pending
    (slot,) = job.job_hco.input_dataslots
    assert [w.name for w in slot.selected_workdatas] == ["a.csv"]
    with pytest.raises(ApiException):
        Job(client=client).create_and_configure_rapidly(
            name="bad", processing_step_instance=step, parameters="{}", start=True
        )


def test_steps_are_found_by_name_and_version(steps: Steps, client: httpx.Client) -> None:
    steps.register(version="2.0.0")
    steps.register(version="2.1.0-beta")

    def version(wanted: str) -> Any:
        found = ProcessingStep.from_name(client=client, step_name="add", version=wanted)
        assert found.processing_step_hco is not None
        return found.processing_step_hco.version

    assert (version("*"), version("1.*"), version("2.0.0")) == ("2.0.0", "1.0.0", "2.0.0")
    with pytest.raises(NameError, match=r"add:2\.0\.0"):
        version("7.0.0")
    with pytest.raises(NameError, match="Multiple"):
        Job(client).create("j").select_processing("add", raise_on_multiple=True)
    with pytest.raises(NameError):
        Job(client).create("j").select_processing("nothing")


def test_slots_are_filled_and_cleared(steps: Steps, client: httpx.Client) -> None:
    from pinexq.client.core import Link, MediaTypes

    urls = []
    for name in ("a.csv", "b.csv"):
        id = steps.upload(b"1\n", name)["id"]
        urls.append(f"{steps.server.url}/api/WorkData/00000000-0000-8000-8000-{id:012x}")
    given = [
        WorkDataLink.from_link(client, Link.from_url(httpx.URL(u), ["self"], "", MediaTypes.SIREN))
        for u in reversed(urls)
    ]
    job = Job(client).create("slots").select_processing("add", "1.0.0")
    job.assign_collection_input_dataslot(0, work_data_links=given)
    assert job.job_hco is not None
    names = [w.name for w in job.job_hco.input_dataslots[0].selected_workdatas]
    assert names == ["b.csv", "a.csv"]
    job.clear_input_dataslot(0)
    assert job.job_hco.input_dataslots[0].selected_workdatas == []
    job.assign_input_dataslot(0, work_data_link=given[0])
    assert len(job.job_hco.input_dataslots[0].selected_workdatas) == 1


def test_what_is_not_offered_is_not_available(steps: Steps, client: httpx.Client) -> None:
    job = Job(client).create("draft")
    with pytest.raises(NotAvailableException):
        job.start()
    stale = Job(client).create("stale").select_processing("add", "1.0.0").configure_parameters(x=1)
    again = Job.from_url(client, stale.self_link().get_url())
    stale.start()
    with pytest.raises(ApiException) as told:
        again.start()
    assert told.value.problem_details.status == 409  # type: ignore[union-attr]


def test_with_associated_as_in_the_manual(steps: Steps, client: httpx.Client) -> None:
    job = Job(client).create("parent").select_processing("add", "1.0.0")
    job.configure_parameters(x=5).start()
    work(steps)
    job.refresh()
    for n in range(120):  # more than a page
        sub = job.create_sub_job(f"sub {n}")
    assert job.sub_jobs_in_state(JobStates.created) == 120
    link = sub.self_link()
    job.delete_with_associated()
    assert not link.exists() and steps.ok("GET", "/step-jobs?total=1")["total"] == 0


def test_failed_jobs_tell_why(steps: Steps, client: httpx.Client) -> None:
    job = Job(client).create("fails").select_processing("add", "1.0.0")
    job.configure_parameters(x=5).start()
    (task,) = steps.take()
    steps.fail(task["id"], "the disk is gone")
    job.refresh()
    assert job.job_hco is not None and job.job_hco.state == JobStates.error
    assert "the disk is gone" in str(job.job_hco.error_description)
    with pytest.raises(Exception, match="the disk is gone"):
        job.wait_for_completion(timeout_s=10)


def test_two_clients_at_once(steps: Steps, client: httpx.Client) -> None:
    with httpx.Client(base_url=steps.server.url) as other:
        one = Job(client).create("one").select_processing("add", "1.0.0")
        two = Job.from_url(other, one.self_link().get_url())
        two.configure_parameters(x=5)
        assert one.get_state() == JobStates.ready_for_processing
        one.start()
        assert two.get_state() == JobStates.pending
        work(steps)
        assert one.get_result() == two.get_result() == 7


def test_a_group_waits_for_all_of_it(steps: Steps, client: httpx.Client) -> None:
    group = JobGroup()
    for n in range(3):
        job = Job(client).create(f"job {n}").select_processing("add", "1.0.0")
        group.add_jobs(job.configure_parameters(x=n))
    group.start_all()
    for _ in range(3):
        work(steps)
    group.wait_all(job_timeout_s=30)
    assert group.all_jobs_completed_ok()
