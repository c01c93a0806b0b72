"""Tasks that run in memory: what of their results is deferred, and what is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.recording_app import recording_app
from penstock.openaleph.app import OpenAlephApp
from penstock.openaleph.exceptions import UnexpectedResult
from penstock.openaleph.model import AnyJob, DatasetJob, Defers, Job
from penstock.openaleph.retrying import pause_s, verdict
from penstock.openaleph.tasks import task
from penstock.task_call import RetryPolicy

NEXT = {"queue": "q", "task": "next"}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenAlephApp:
    monkeypatch.chdir(tmp_path)
    return recording_app()[0]


@pytest.fixture
def ran(app: OpenAlephApp) -> list[Any]:
    """What the task `next` was called with."""
    called: list[Any] = []

    @task(app=app, name="next")
    def next_(job: AnyJob) -> None:
        called.append(job.payload.get("n"))

    return called


def run(app: OpenAlephApp) -> None:
    with app.testing() as queue:
        DatasetJob(dataset="d", queue="q", task="t", payload={"n": 7}).defer(app)
        queue.run()


def test_a_generator_runs_to_its_end(app: OpenAlephApp, ran: list[Any]) -> None:
    @task(app=app, name="t")
    def generator(job: DatasetJob) -> Defers:
        assert type(job) is DatasetJob
        for n in range(3):
            yield Job(**NEXT, payload={"n": n})
        ran.append("end")

    run(app)
    assert sorted(map(str, ran)) == ["0", "1", "2", "end"]


def test_an_async_generator_runs_to_its_end(app: OpenAlephApp, ran: list[Any]) -> None:
    @task(app=app, name="t")
    async def generator(job: DatasetJob) -> AsyncIterator[AnyJob]:
        for n in range(3):
            yield Job(**NEXT, payload={"n": n})
        ran.append("end")

    run(app)
    assert sorted(map(str, ran)) == ["0", "1", "2", "end"]


def test_a_returned_job_is_deferred(app: OpenAlephApp, ran: list[Any]) -> None:
    @task(app=app, name="t")
    def returns(job: DatasetJob) -> Defers:
        return job.model_copy(update={"task": "next"})

    run(app)
    assert ran == [7]


def test_a_coroutine_is_awaited_and_what_it_returns_deferred(
    app: OpenAlephApp, ran: list[Any]
) -> None:
    @task(app=app, name="t")
    async def coroutine(job: DatasetJob) -> Defers:
        await Job(**NEXT, payload={"n": "by hand"}).defer_async(app)
        return Job(**NEXT, payload={"n": "returned"})

    run(app)
    assert sorted(ran) == ["by hand", "returned"]


@pytest.mark.parametrize("odd", [7, "text", {"queue": "q", "task": "next"}, b"", 0, False])
def test_anything_else_is_an_error(app: OpenAlephApp, ran: list[Any], odd: Any) -> None:
    @task(app=app, name="t")
    def returns(job: DatasetJob) -> Defers:
        return odd

    with pytest.raises(UnexpectedResult):
        run(app)

    @task(app=app, name="u")
    def generator(job: DatasetJob) -> Iterator[Any]:
        yield odd

    with app.testing() as queue:
        DatasetJob(dataset="d", queue="q", task="u").defer(app)
        with pytest.raises(UnexpectedResult):
            queue.run()
    assert ran == []


def test_the_context_comes_first_when_it_is_asked_for(app: OpenAlephApp, ran: list[Any]) -> None:
    @task(app=app, name="t", pass_context=True)
    def with_context(context: Any, job: DatasetJob) -> None:
        ran.append((context.task.key, context.attempt, job.dataset))

    run(app)
    assert ran == [("d", 1, "d")]


def test_in_the_mode_for_tests_a_job_runs_where_it_is_deferred(
    app: OpenAlephApp, ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @task(app=app, name="t")
    def generator(job: DatasetJob) -> Defers:
        Job(**NEXT, payload={"n": "by hand"}).defer(app)
        yield Job(**NEXT, payload={"n": "yielded"})

    monkeypatch.setenv("DEBUG", "1")
    DatasetJob(dataset="d", queue="q", task="t").defer(app)
    assert ran == []
    monkeypatch.setenv("PROCRASTINATE_SYNC", "1")
    DatasetJob(dataset="d", queue="q", task="t").defer(app)
    assert sorted(ran) == ["by hand", "yielded"]


# --- what follows a failure ---


def test_a_function_says_itself_what_follows_its_failure() -> None:
    policy = RetryPolicy(3, "fixed", 2.0, jitter=0.0, errors={KeyError: False, "Busy": 7.0})
    assert verdict(None, 1, ValueError()) == {"final": True}
    assert verdict(policy, 3, ValueError()) == {"retry_after_s": 2.0}
    assert verdict(policy, 4, ValueError()) == {"final": True}
    assert verdict(policy, 1, KeyError()) == {"final": True}
    assert verdict(policy, 1, type("Busy", (Exception,), {})()) == {"retry_after_s": 7.0}
    assert verdict(RetryPolicy(), 4, ValueError())["retry_after_s"] > 0
    assert verdict(RetryPolicy(), 5, ValueError()) == {"final": True}


def test_pauses_grow_as_the_policy_says() -> None:
    linear = RetryPolicy(kind="linear", delay_s=2.0, jitter=0.0)
    assert [pause_s(linear, n) for n in (1, 2, 3)] == [2.0, 4.0, 6.0]
    growing = RetryPolicy(delay_s=1.0, factor=3.0, max_delay_s=20.0, jitter=0.0)
    assert [pause_s(growing, n) for n in (1, 2, 3, 4, 5000)] == [1.0, 3.0, 9.0, 20.0, 20.0]
    spread = {pause_s(RetryPolicy(delay_s=1.0, kind="fixed", jitter=0.5), 1) for _ in range(99)}
    assert len(spread) > 50 and min(spread) >= 0.5 and max(spread) <= 1.5


@pytest.mark.parametrize(("retry", "most"), [(3, 25), (None, 25)])
def test_a_job_of_another_service_may_be_tried_often(
    app: OpenAlephApp, retry: Any, most: int
) -> None:
    call = Job(queue="q", task="elsewhere.tasks.t").call(app)
    assert call.members["max_attempts"] == most and "retry" not in call.members

    @task(app=app, name="here", retry=retry)
    def here(job: Job) -> None: ...

    known = Job(queue="q", task="here").call(app)
    assert known.members.get("max_attempts") == (None if retry is None else retry + 1)
