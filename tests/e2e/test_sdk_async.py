"""AsyncClient against the real server: what Client does, awaited."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from harness.server_process import ROOT, ServerProcess

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not
import penstock

RECORDS = 25

Story = Callable[[penstock.AsyncClient], Awaitable[None]]


@pytest.fixture
def tell(server: ServerProcess) -> Callable[[Story], None]:
    """Runs a coroutine with a client of a server that has an input."""
    (server.data / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(RECORDS)))

    def run(story: Story) -> None:
        async def whole() -> None:
            async with penstock.AsyncClient(server.url) as client:
                await story(client)

        asyncio.run(whole())

    return run


async def create(
    client: penstock.AsyncClient, name: str = "titles", **members: Any
) -> penstock.AsyncJob:
    sink = {"path": f"{name.replace('/', '-')}.jsonl"}
    return await client.jobs.create(name, source={"path": "in.jsonl"}, sink=sink, **members)


def output(server: ServerProcess, name: str = "titles") -> list[Any]:
    return [json.loads(line) for line in (server.data / f"{name}.jsonl").read_text().splitlines()]


def test_a_job_s_life(tell: Callable[[Story], None]) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await create(client, "my job/é", lease_s=5, limits={"concurrency": 7})
        assert (job.lease_s, job.limits and job.limits["concurrency"]) == (5, 7)
        assert await client.jobs.get("my job/é") == await client.jobs.get(job) == job
        other = await create(client, "other")
        assert [one.name async for one in client.jobs.list(page=1)] == ["my job/é", "other"]
        assert [one async for one in client.jobs.list(state="completed")] == []
        await other.delete()
        with pytest.raises(penstock.NotFoundError):
            await other.refresh()
        assert (await job.pause()).paused and not (await job.resume()).paused
        await job.claim(max=3)
        assert (await job.refresh()).records.served == 3
        assert (await job.repair()).records.served == 0
        await job.claim(max=3)
        assert (await job.clean(output=False)).records.served == 0
        assert (await job.cancel()).ended

    tell(story)


def test_leases_settle_as_their_blocks_end(
    tell: Callable[[Story], None], server: ServerProcess
) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await create(client, max_attempts=1)
        async with await job.claim(max=4, lease_s=20) as lease:
            lease.done(0, {"ü": 0})
            lease.skip(1)
            lease.fail(2, penstock.Fail("for good"))
            before = lease.ends_at
            await lease.extend(500)
            assert before and lease.ends_at and lease.ends_at > before
            await lease.extend_when_due()
        assert lease.settled == penstock.Settled(written=1, skipped=1, failed=1)
        with pytest.raises(ZeroDivisionError):
            async with await job.claim(max=2) as lease:
                lease.done(3, "kept")
                raise ZeroDivisionError
        lease.done(4, 4)
        with pytest.raises(penstock.LeaseEndedError):
            await lease.settle()
        async for lease in job.claims(max=5):
            async with lease:
                for number, record in lease.records:
                    lease.done(number, record["n"])
        assert [error.reason async for error in job.errors(page=1)] == ["Fail: for good"]
        assert (await job.refresh()).state == "completed"

    tell(story)
    assert output(server) == [{"ü": 0}, "kept", *range(4, RECORDS)]


def test_tasks_share_a_client(tell: Callable[[Story], None], server: ServerProcess) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await create(client)

        async def work() -> None:
            async for lease in job.claims(max=2):
                async with lease:
                    for number, record in lease.records:
                        lease.done(number, record["n"])

        await asyncio.gather(*(work() for _ in range(4)))

    tell(story)
    assert sorted(output(server)) == list(range(RECORDS))


def test_events_outlive_the_server(tell: Callable[[Story], None], server: ServerProcess) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await create(client)
        events = client.events(after=0)
        first = await events.__anext__()
        assert (first.kind, first.job_id) == ("job.created", job.id)
        server.restart()
        await job.pause()
        assert (await events.__anext__()).kind == "job.paused"
        own = job.events(after=first.id)
        assert (await own.__anext__()).kind == "job.paused"
        with pytest.raises(penstock.NotFoundError):
            await client.follow("/v1/jobs/99/events", None).__anext__()

    tell(story)


def test_keys_health_and_the_unix_socket(server: ServerProcess) -> None:
    async def story() -> None:
        async with penstock.AsyncClient(f"unix://{server.state}/penstock.sock") as client:
            assert (await client.health())["status"] == "ok"
            assert (await client.doctor())["faults"] == 0
            key = await client.keys.create("admin", ["read"])
            assert key.secret
            with pytest.raises(penstock.ConflictError):
                await client.keys.create("admin", ["read"])
            await client.keys.revoke("admin")
            assert [one.revoked_at is None for one in await client.keys.list()] == [False]

    asyncio.run(story())


def test_a_server_that_stays_away_is_told_after_the_patience(server: ServerProcess) -> None:
    server.kill()

    async def story() -> None:
        async with penstock.AsyncClient(server.url, patience_s=0.2) as client:
            with pytest.raises(penstock.ConnectionLostError):
                await client.health()
            with pytest.raises(penstock.ConnectionLostError):
                await client.events().__anext__()

    asyncio.run(story())


def test_a_cancelled_call_leaves_no_answer_for_the_next(tell: Callable[[Story], None]) -> None:
    async def story(client: penstock.AsyncClient) -> None:
        job = await create(client)
        lease = await job.claim(max=RECORDS)
        waiting = asyncio.ensure_future(job.claim(max=1, wait_s=30))
        # Whether it is on its way by now or not: what follows must hold.
        await asyncio.wait({waiting}, timeout=0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await client.health())["status"] == "ok"
        await lease.release()

    tell(story)
