"""`app.testing()`: tasks in memory, run when the test says so, in a time that stands still."""

from __future__ import annotations

import asyncio
import datetime
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))
import penstock
from penstock.schedule import CronLine

app = penstock.App("http://127.0.0.1:1")
seen: list[Any] = []


@app.task
def add(a: int, b: int = 1) -> int:
    seen.append((a, b))
    return a + b


@app.task(name="sleepy", retry=penstock.RetryPolicy(retries=2, delay_s=10))
async def sleepy(fails: int) -> str:
    await asyncio.sleep(0)
    context = penstock.current_context()
    assert context is not None
    if context.attempt <= fails:
        raise ValueError(f"attempt {context.attempt}")
    return "awake"


@app.task
def chain(count: int) -> Iterator[penstock.TaskCall]:
    yield add.call(a=count)
    if count:
        yield chain.configure(delay=60).call(count=count - 1)


@app.task
async def fan(count: int) -> AsyncIterator[penstock.TaskCall]:
    for number in range(count):
        yield add.call(a=number, b=0)


@app.schedule("morning", cron="0 7 * * mon-fri", zone="Europe/Vienna", pass_time=True)
@app.task
def greet(timestamp: datetime.datetime) -> str:
    return timestamp.isoformat()


@pytest.fixture
def queue() -> Iterator[Any]:
    seen.clear()
    with app.testing() as made:
        yield made


def test_what_was_enqueued_is_listed_and_asserted(queue: Any) -> None:
    handle = add.configure(priority=5).defer(a=1)
    add.defer_many([{"a": 2}, {"a": 3, "b": 4}])
    assert [task.arguments for task in queue.tasks(add)] == [{"a": 1}, {"a": 2}, {"a": 3, "b": 4}]
    assert queue.assert_enqueued(add, a=3).arguments["b"] == 4
    assert queue.assert_enqueued("test_app_testing.add", a=1, times=1).priority == 5
    with pytest.raises(AssertionError, match=r"not a task test_app_testing.add\({'a': 9}\) but 0"):
        queue.assert_enqueued(add, a=9)
    with pytest.raises(AssertionError, match="not 2 tasks"):
        queue.assert_enqueued(add, a=1, times=2)
    assert seen == [] and handle.status().state == "pending"
    assert queue.run() == 3 and seen == [(1, 1), (2, 1), (3, 4)]
    assert handle.result() == 2 and handle.status().attempts == 1


def test_generators_and_delays_follow_the_time(queue: Any) -> None:
    chain.defer(count=2)
    fan.defer(count=2)
    assert queue.run() == 5 and seen == [(2, 1), (0, 0), (1, 0)]
    assert [task.state for task in queue.tasks(chain)] == ["completed", "blocked"]
    assert queue.travel(59) == 0
    assert queue.travel(datetime.timedelta(hours=1)) == 4
    assert seen[3:] == [(1, 1), (0, 1)]


def test_errors_are_raised_or_retried_as_time_goes_on(queue: Any) -> None:
    handle = sleepy.defer(fails=1)
    with pytest.raises(ValueError, match="attempt 1"):
        queue.run()
    assert handle.status().state == "blocked" and handle.status().error.type == "ValueError"
    assert queue.travel(10) == 1 and handle.result() == "awake"
    lost = sleepy.defer(fails=9)
    assert queue.run(catch=True) == 1 and queue.travel(1000, catch=True) == 2
    with pytest.raises(penstock.TaskFailed, match="ValueError: attempt 3") as failed:
        lost.result()
    assert "Traceback" in failed.value.error.traceback and failed.value.task.attempts == 3
    assert lost.retry() and lost.status().attempts == 0


def test_result_runs_what_it_waits_for(queue: Any) -> None:
    assert add.defer(a=1).result() == 2
    with pytest.raises(TimeoutError, match="time stands still"):
        add.configure(delay=5).defer(a=1).result()

    async def ask() -> int:
        handle = await add.defer_async(a=5)
        more = await add.defer_many_async([{"a": 1}])
        return int(await handle.result_async()) + int(await more[0].result_async())

    assert asyncio.run(ask()) == 8


def test_unique_after_and_cancel(queue: Any) -> None:
    first = add.configure(unique="k").defer(a=1)
    same = add.configure(unique="k").defer(a=2)
    assert same.id == first.id and same.existing and not first.existing
    with pytest.raises(penstock.ConflictError):
        add.configure(unique=penstock.Unique("k", on_clash="refuse")).defer(a=2)
    add.configure(unique=penstock.Unique("k", on_clash="replace")).defer(a=7)
    child = add.configure(after=first).defer(a=100)
    lost = add.configure(after=[child]).defer(a=200)
    assert child.status().state == "blocked"
    assert child.cancel() and lost.status().state == "cancelled"
    with pytest.raises(penstock.TaskCancelled):
        child.result()
    queue.run()
    assert seen == [(7, 1)]
    assert add.configure(unique="k").defer(a=3).id != first.id


def test_other_functions_stay(queue: Any) -> None:
    app.configure_task("elsewhere").defer(x=1)
    queue.assert_enqueued("elsewhere", x=1)
    assert queue.run() == 0


def test_tasks_that_enqueue_each_other_are_noticed(queue: Any) -> None:
    chain.configure(delay=0).defer(count=5)
    with pytest.raises(AssertionError, match="more than 1 tasks"):
        queue.run(most=1)


def test_a_task_is_a_function_still(queue: Any) -> None:
    assert add(1, 2) == 3 and add.__name__ == "add" and queue.tasks() == []


def test_the_app_is_as_it_was_afterwards(queue: Any) -> None:
    assert app.backend is queue
    with app.testing() as inner:
        add.defer(a=1)
        assert len(inner.tasks()) == 1
    assert app.backend is queue and queue.tasks() == []


def test_schedules_follow_the_time() -> None:
    friday = datetime.datetime(2026, 3, 27, 12, tzinfo=datetime.UTC)
    with app.testing(now=friday) as queue:
        assert queue.travel(datetime.timedelta(days=4)) == 2
        # The clocks went forward on Sunday.
        told = [task.result for task in queue.tasks(greet)]
    assert told == ["2026-03-30T05:00:00+00:00", "2026-03-31T05:00:00+00:00"]


@pytest.mark.parametrize(
    ("line", "zone", "after", "ticks"),
    [
        ("*/20 * * * *", None, "2026-01-01T00:05", ["01-01T00:20", "01-01T00:40", "01-01T01:00"]),
        ("0 0 L * *", None, "2026-02-01T00:00", ["02-28T00:00", "03-31T00:00"]),
        ("30 0 1 1,7 *", None, "2026-02-01T00:00", ["07-01T00:30", "01-01T00:30"]),
        ("0 12 13 * fri", None, "2026-02-10T00:00", ["02-13T12:00", "02-20T12:00"]),
        ("15 0 3 * * sun", None, "2026-02-10T00:00", ["02-15T03:00", "02-22T03:00"]),
        ("@daily", None, "2026-02-10T00:00", ["02-11T00:00"]),
        ("30 2 * * *", "Europe/Vienna", "2026-03-28T12:00", ["03-29T01:00", "03-30T00:30"]),
        ("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
    ],
)
def test_cron_lines(line: str, zone: str | None, after: str, ticks: list[str]) -> None:
    start = datetime.datetime.fromisoformat(after + "+00:00")
    found = CronLine(line).ticks(start, zone)
    seconds = 15 if line.startswith("15 0 3") else 0
    for wanted in ticks:
        at = next(found).astimezone(datetime.UTC)
        assert at.isoformat()[5:16] == wanted and at.second == seconds


@pytest.mark.parametrize(
    "line", ["* * * *", "60 * * * *", "x * * * *", "5-1 * * * *", "*/0 * * * *"]
)
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(penstock.InvalidError, match="cron line"):
        app.schedule("wrong", cron=line, arguments={"a": 1})(add)
    with pytest.raises(penstock.InvalidError, match="either cron or every"):
        app.schedule("wrong")
    with pytest.raises(penstock.InvalidError, match="no time zone"):
        app.schedule("wrong", cron="@daily", zone="Europe/Nowhere", arguments={"a": 1})(add)
