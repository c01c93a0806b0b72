"""AsyncClient's steps, step jobs and artifacts: what Client does, awaited."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from harness.server_process import ROOT, ServerProcess
from harness.steps import Steps

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not
import penstock
from penstock import async_step_client, step_client

Story = Callable[[penstock.AsyncClient], Awaitable[None]]


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    """A hand that works; the step "add", with parameter x and the optional input "data"."""
    made = Steps(server)
    made.register()
    return made


@pytest.fixture
def tell(server: ServerProcess) -> Callable[[Story], None]:
    """Runs a coroutine with a client."""

    def run(story: Story) -> None:
        async def whole() -> None:
            async with penstock.AsyncClient(server.url) as client:
                await story(client)

        asyncio.run(whole())

    return run


def test_all_that_client_has_is_there() -> None:
    for name in ("StepJob", "Steps", "StepJobs", "Artifacts"):
        plain = getattr(step_client, name)
        awaited = getattr(async_step_client, f"Async{name}")
        for member, function in vars(plain).items():
            if member.startswith("_") or not inspect.isfunction(function):
                continue
            twin = vars(awaited)[member]
            assert list(inspect.signature(twin).parameters) == list(
                inspect.signature(function).parameters
            ), member


def test_a_step_job_s_life(steps: Steps, tell: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n")
        table = await client.artifacts.upload(tmp_path / "a.csv", tags=["raw"])
        assert (table.name, table.media_type, table.bytes) == ("a.csv", "text/csv", 8)
        assert table.tags == ["raw"] and table.job_id is None
        job = await client.step_jobs.create("mine", step="add:1.0.0", tags=["try"])
        assert (job.state, job.parameters) == ("draft", None)
        job = await job.change(parameters={"x": 5}, inputs={"data": table})
        assert job.state == "ready" and job.inputs["data"] == [table]
        waiting = asyncio.create_task((await job.start()).get_result(60))
        (task,) = await asyncio.to_thread(steps.take)
        assert (await job.refresh()).state == "running"
        body = {"lines": [{"message": f"line {n}"} for n in range(3)]}
        steps.ok("POST", f"/step-jobs/{job.id}/logs?fence=1", body)
        steps.call("PUT", f"/step-jobs/{job.id}/metrics?fence=1", {"rows": 3})
        steps.complete(task["id"], {"sum": 7})
        assert await waiting == {"sum": 7}
        assert [line["message"] async for line in job.logs()] == ["line 0", "line 1", "line 2"]
        lines = client.step_jobs.logs(job.id, offset=1, page=1)
        assert [line["number"] async for line in lines] == [1, 2]
        assert await client.step_jobs.metrics(job.id) == {"rows": 3}
        with pytest.raises(penstock.ConflictError):
            await job.cancel()
        assert (await client.artifacts.lineage(table))["jobs"][0]["id"] == job.id
        with pytest.raises(penstock.ConflictError):
            await client.artifacts.delete(table)
        await job.delete(outputs=True)
        with pytest.raises(penstock.NotFoundError):
            await job.refresh()
        await client.artifacts.delete(table)

    tell(story)


def test_what_fails_is_told(steps: Steps, tell: Callable[[Story], None]) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await client.step_jobs.run("add", parameters={"x": 1})
        with pytest.raises(TimeoutError, match=r"is still pending after 0\.05 s"):
            await job.wait(0.05)
        (task,) = await asyncio.to_thread(steps.take)
        steps.fail(task["id"], "too wet")
        with pytest.raises(penstock.StepJobFailed, match="too wet") as failed:
            await job.get_result(60)
        assert failed.value.job.ended and failed.value.job.ended_at
        other = await client.step_jobs.run("add", parameters={"x": 1})
        await other.cancel()
        with pytest.raises(penstock.StepJobFailed, match="cancelled"):
            await other.get_result(60)
        with pytest.raises(penstock.InvalidError, match="x"):
            await client.step_jobs.run("add", parameters={"x": "five"})

    tell(story)


def test_files_are_streamed_both_ways(
    server: ServerProcess, tell: Callable[[Story], None], tmp_path: Path
) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        pieces = (bytes([n]) * 100_000 for n in range(20))
        whole = b"".join(bytes([n]) * 100_000 for n in range(20))
        made = await client.artifacts.upload(pieces, name="big.bin", comment="of pieces")
        assert (made.bytes, made.media_type) == (len(whole), "application/octet-stream")
        assert await client.artifacts.read(made) == whole
        folder = tmp_path / "down"
        folder.mkdir()
        assert await client.artifacts.download(made.id, folder) == folder / "big.bin"
        assert (folder / "big.bin").read_bytes() == whole
        several = [client.artifacts.upload(b"%d" % n, name=f"{n}.txt") for n in range(5)]
        small = await asyncio.gather(*several)
        found = [one async for one in client.artifacts.list(page=2, name_contains=".txt")]
        assert sorted(one.id for one in found) == sorted(one.id for one in small)
        changed = await client.artifacts.change(made, tags=["b"], name="new.bin")
        assert changed == await client.artifacts.get(made.id) and changed.tags == ["b"]
        gone = small[0].id
        await client.artifacts.delete(gone)
        for call in (client.artifacts.get, client.artifacts.read):
            with pytest.raises(penstock.NotFoundError):
                await call(gone)
        with pytest.raises(penstock.NotFoundError):
            await client.artifacts.download(gone, folder / "gone")
        assert [path.name for path in folder.iterdir()] == ["big.bin"]

    tell(story)


def test_steps_and_lists(steps: Steps, tell: Callable[[Story], None]) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        manifest = {"function_name": "other", "version": "1.0.0"}
        id = await client.steps.register(manifest)
        assert await client.steps.register(manifest) == id
        assert (await client.steps.get("other"))["id"] == id
        assert [one["name"] async for one in client.steps.list(page=1)] == ["add", "other"]
        await client.steps.change(id, title="Other", tags=["x"])
        await client.steps.deprecate("other:1.0.0", "use add")
        told = await client.steps.get(id)
        assert (told["title"], told["deprecated"]["reason"]) == ("Other", "use add")
        await client.steps.delete(id)
        with pytest.raises(penstock.NotFoundError):
            await client.steps.get(id)
        made = [await client.step_jobs.create(f"job {n}", tags=["many"]) for n in range(3)]
        found = [one.id async for one in client.step_jobs.list(page=2, tag="many")]
        assert found == [job.id for job in reversed(made)]

    tell(story)
