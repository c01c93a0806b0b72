"""The worker process of an app, over a queue in memory: what runs, how, and how it ends."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fake_queue import FakeQueue, Refused
from harness.runtime_process import RuntimeProcess

SHOP = """
import asyncio, threading, time
from pathlib import Path
import penstock

app = penstock.App(server="http://127.0.0.1:1")
"""


class Shop:
    """An app in a file, the queue it works for, and its worker processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = FakeQueue()
        self.processes: list[RuntimeProcess] = []

    def start(self, source: str, **go: Any) -> RuntimeProcess:
        text = SHOP + textwrap.dedent(source)
        (self.folder / "shop.py").write_text(text, encoding="utf-8")
        process = RuntimeProcess(self.folder, "shop.py:app")
        self.processes.append(process)
        return process.go(self.queue.url, None, **go)

    def put(self, function: str, **arguments: Any) -> int:
        return self.put_with({}, function, **arguments)

    def put_with(self, members: dict[str, Any], function: str, **arguments: Any) -> int:
        task = {"function": f"shop.{function}", "arguments": arguments, **members}
        with self.queue.lock:
            return int(self.queue.enqueue([task])[0]["id"])

    def ended(self, *ids: int) -> list[dict[str, Any]]:
        """These tasks, when they have ended."""
        ends = ("completed", "failed", "cancelled")
        self.queue.wait_for(lambda: all(self.queue.state(id) in ends for id in ids))
        return [self.queue.tasks[id] for id in ids]

    def run(self, source: str, *tasks: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Runs these to their ends."""
        ids = [self.put(name, **arguments) for name, arguments in tasks]
        self.start(source, one_shot=True)
        assert self.processes[-1].end() == 0, self.processes[-1].output()
        return self.ended(*ids)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.queue.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()


def test_every_kind_of_function_runs(shop: Shop) -> None:
    plain, coroutine, many, waits = shop.run(
        """
        @app.task
        def plain(a: int, b: int = 2) -> int:
            return a + b

        @app.task
        async def coroutine(name: str) -> dict:
            return {"name": name}

        @app.task
        def many(count: int):
            for number in range(count):
                yield plain.call(a=number)

        @app.task
        async def waits(count: int):
            for number in range(count):
                await asyncio.sleep(0)
                yield coroutine.configure(priority=number).call(name=str(number))
        """,
        ("plain", {"a": 1}),
        ("coroutine", {"name": "x"}),
        ("many", {"count": 3}),
        ("waits", {"count": 2}),
    )
    assert plain["result"] == 3 and coroutine["result"] == {"name": "x"}
    assert many["result"] is None and waits["result"] is None
    more = shop.ended(*range(5, 10))
    assert sorted(str(task["result"]) for task in more) == [
        "2", "3", "4", "{'name': '0'}", "{'name': '1'}",
    ]  # fmt: skip
    assert len(shop.queue.tasks) == 9


def test_types_are_made_of_json_and_what_does_not_fit_is_final(shop: Shop) -> None:
    good, bad, missing, odd = shop.run(
        """
        import dataclasses, datetime, enum
        class Color(enum.Enum):
            RED = "red"
        @dataclasses.dataclass
        class Point:
            x: int
            y: float = 0.5
        @app.task(retry=5)
        def typed(at: datetime.datetime, color: Color, point: Point, more: list = None):
            return [at.year, color.name, point.x + point.y, more]
        """,
        ("typed", {"at": "2026-01-02T03:04:05Z", "color": "red", "point": {"x": 1}}),
        ("typed", {"at": "2026-01-02T03:04:05Z", "color": "blue", "point": {"x": 1}}),
        ("typed", {"color": "red", "point": {"x": 1}}),
        ("typed", {"at": "2026-01-02T03:04:05Z", "color": "red", "point": {"x": "1"}}),
    )
    assert good["result"] == [2026, "RED", 1.5, None]
    assert bad["error"]["type"] == "ArgumentsError" and bad["error"]["final"]
    assert bad["error"]["message"] == "shop.typed: argument color must be one of 'red', not 'blue'"
    assert missing["error"]["message"] == "shop.typed: argument 'at' is missing"
    assert "argument point.x must be a whole number, not '1'" in odd["error"]["message"]


def test_failures_tell_where_and_retries_are_the_server_s(shop: Shop) -> None:
    retry = {"retry": {"delay_s": 0.01}, "max_attempts": 3}
    flaky = shop.put_with(retry, "flaky")
    shop.put("final")
    shop.put_with(retry, "later")
    shop.put("skipped")
    shop.start(
        """
        @app.task(pass_context=True)
        async def flaky(context):
            if context.attempt < 3:
                raise ValueError("not yet")
            return context.attempt

        @app.task
        def final():
            raise penstock.Fail("never")

        @app.task
        def later():
            raise penstock.Retry("soon", delay_s=0.02)

        @app.task
        async def skipped():
            raise penstock.Skip
        """
    )
    first, final, later, skipped = shop.ended(flaky, 2, 3, 4)
    assert first["result"] == 3 and first["error"]["type"] == "ValueError"
    trace = first["error"]["traceback"]
    assert trace.startswith("Traceback") and "shop.py" in trace and "_drive" not in trace
    assert final["error"]["final"] and final["attempts"] == 1
    assert later["attempts"] == 3 and later["state"] == "failed"
    assert skipped["state"] == "completed" and skipped["result"] is None
    assert "task 1 (shop.flaky): ValueError: not yet" in shop.processes[0].wait_for("log")["text"]


def test_what_a_generator_yields_twice_is_enqueued_once(shop: Shop) -> None:
    id = shop.put_with({"retry": {"delay_s": 0.01}}, "stages")
    shop.start(
        """
        @app.task
        def next_one(n: int):
            return n

        @app.task(pass_context=True)
        def stages(context):
            yield next_one.call(n=1)
            yield next_one.call(n=1)
            if context.attempt == 1:
                raise ValueError("half-way")
            yield next_one.call(n=2)
        """
    )
    shop.ended(id)
    shop.ended(2, 3, 4)
    assert [task["result"] for task in list(shop.queue.tasks.values())[1:]] == [1, 1, 2]
    assert len(shop.queue.tasks) == 4


def test_a_slow_generator_s_calls_do_not_wait_for_its_end(shop: Shop) -> None:
    shop.put("slow", path=str(shop.folder / "go"))
    shop.start(
        """
        @app.task
        async def next_one():
            return 7

        @app.task
        def slow(path: str):
            yield next_one.call()
            while not Path(path).exists():
                time.sleep(0.01)
        """
    )
    shop.queue.wait_for(lambda: 2 in shop.queue.tasks)
    assert shop.ended(2)[0]["result"] == 7
    (shop.folder / "go").touch()
    assert shop.ended(1)[0]["state"] == "completed"


def test_a_long_generator_s_calls_are_sent_in_portions(shop: Shop) -> None:
    (task,) = shop.run(
        """
        app2 = app
        @app.task
        async def floods():
            for number in range(2500):
                yield app.configure_task("elsewhere", queue="other").call(number=number)
        """,
        ("floods", {}),
    )
    assert task["state"] == "completed" and len(shop.queue.tasks) == 2501
    numbers = [task["arguments"]["number"] for task in list(shop.queue.tasks.values())[1:]]
    assert numbers == list(range(2500))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("yield 5", "shop.wrong yielded a int, which is no call of a task"),
        ("yield from ()\n    return 3", "shop.wrong yields calls and returned a int"),
        ("return wrong.call()", "shop.wrong returned a call"),
        ("return float('nan')", "result is no JSON"),
        ("return object()", "result is no JSON"),
        ("yield app.configure_task('x').call(bad=True)", "what it yielded was refused"),
        ("yield app.configure_task('x', after=99).call()", "refused: no such parent"),
        (
            "yield right.configure(unique=penstock.Unique('k', on_clash='refuse')).call()",
            "what it yielded was refused: it is there",
        ),
    ],
)
def test_what_is_neither_call_nor_result_is_an_error(shop: Shop, body: str, told: str) -> None:
    source = f"@app.task\ndef wrong():\n    {body}\n@app.task\ndef right():\n    return 1\n"
    wrong, right = shop.run(source, ("wrong", {}), ("right", {}))
    assert wrong["state"] == "failed" and told in wrong["error"]["message"]
    assert right["state"] == "completed"


def test_an_unknown_function_fails_where_the_queue_is_ours(shop: Shop) -> None:
    shop.put("nobody")
    shop.put("known")
    process = shop.start("@app.task\ndef known():\n    return 1\n", one_shot=True)
    assert process.end() == 0
    assert shop.queue.state(1) == "pending" and shop.queue.state(2) == "completed"
    process = shop.start("@app.task\ndef known():\n    return 1\n", queues=["default"])
    (unknown,) = shop.ended(1)
    assert unknown["error"]["type"] == "UnknownFunction"


def test_a_cancelled_coroutine_is_cancelled_and_a_thread_is_told(shop: Shop) -> None:
    shop.put("sleeps")
    shop.put("polls")
    shop.put("obstinate")
    shop.start(
        """
        @app.task(pass_context=True)
        async def sleeps(context):
            try:
                await asyncio.sleep(60)
            finally:
                print("let go", context.abort_reason, flush=True)

        @app.task(pass_context=True)
        def polls(context):
            while True:
                context.progress(0.5, "half")
                time.sleep(0.01)

        @app.task
        async def obstinate():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "done all the same"
        """
    )
    shop.queue.wait_for(lambda: shop.queue.tasks[2]["progress"] == 0.5)
    shop.queue.wait_for(lambda: all(shop.queue.state(id) == "running" for id in (1, 2, 3)))
    shop.queue.abort(1, "timeout")
    shop.queue.abort(2, "cancelled")
    shop.queue.abort(3, "cancelled")
    sleeps, polls, obstinate = shop.ended(1, 2, 3)
    assert sleeps["state"] == "failed" and sleeps["error"]["type"] == "TimeoutError"
    assert polls["state"] == "cancelled"
    assert obstinate["result"] == "done all the same"
    assert "let go timeout" in shop.processes[0].output()


def test_a_lost_lease_cancels_what_runs_and_it_runs_again(shop: Shop) -> None:
    shop.put("once")
    shop.start(
        """
        @app.task(pass_context=True)
        async def once(context):
            if context.attempt == 1:
                try:
                    await asyncio.sleep(60)
                finally:
                    print("gone", context.abort_reason, flush=True)
            return context.attempt
        """
    )
    shop.queue.wait_for(lambda: shop.queue.state(1) == "running")
    shop.queue.end_lease()
    (task,) = shop.ended(1)
    assert task["result"] == 2 and "gone lost" in shop.processes[0].output()


def test_answers_that_are_lost_lose_nothing(shop: Shop) -> None:
    lost: set[str] = set()

    def loses(what: str, body: Any) -> bool:
        # What a first claim gave ends with its lease: nobody knows of it.
        first = what not in lost and "lease" in body and "extend" not in what
        lost.add(what) if first else None
        return first

    shop.queue.loses = loses
    tasks = shop.run(
        """
        @app.task
        async def add(n: int):
            return n + 1
        """,
        *[("add", {"n": n}) for n in range(50)],
    )
    assert [task["result"] for task in tasks] == list(range(1, 51))
    assert lost >= {"POST /v1/work/claim", "POST /v1/work/settle"}


def test_stop_lets_what_runs_end_and_gives_back_the_rest(shop: Shop) -> None:
    for _ in range(5):
        shop.put("waits", path=str(shop.folder / "go"))
    process = shop.start(
        """
        @app.task
        def waits(path: str):
            Path(f"{path}-{time.monotonic_ns()}").touch()
            while not Path(path).exists():
                time.sleep(0.01)
        """,
        concurrency=2,
    )
    running = lambda: sum(task["state"] == "running" for task in shop.queue.tasks.values())  # noqa: E731
    shop.queue.wait_for(lambda: len(list(shop.folder.glob("go-*"))) == 2)
    process.tell(stop={"grace_s": 30})
    shop.queue.wait_for(lambda: running() == 2)
    (shop.folder / "go").touch()
    assert process.end() == 0
    states = [task["state"] for task in shop.queue.tasks.values()]
    assert states.count("completed") == 2 and states.count("pending") == 3
    assert all(
        task["attempts"] == (task["state"] == "completed") for task in shop.queue.tasks.values()
    )
    assert process.said[-1]["bye"]["reason"] == "stopped"


def test_stop_without_grace_gives_back_what_runs(shop: Shop) -> None:
    shop.put("sleeps")
    process = shop.start("@app.task\nasync def sleeps():\n    await asyncio.sleep(60)\n")
    shop.queue.wait_for(lambda: shop.queue.state(1) == "running")
    process.tell(stop={"grace_s": 0})
    assert process.end() == 0
    assert shop.queue.state(1) == "pending" and shop.queue.tasks[1]["attempts"] == 0


def test_a_process_is_replaced_after_so_many_tasks(shop: Shop) -> None:
    for _ in range(5):
        shop.put("one")
    process = shop.start("@app.task\ndef one():\n    return 1\n", max_records=3)
    assert process.end() == 0
    assert process.said[-1]["bye"] == {"ran": 3, "reason": "recycle"}
    assert sum(task["state"] == "completed" for task in shop.queue.tasks.values()) == 3


def test_a_function_may_have_a_process_of_its_own(shop: Shop) -> None:
    shop.put("where")
    shop.put("dies")
    shop.put("stages")
    shop.put("raises")
    shop.put("hangs")
    shop.start(
        """
        import os
        @app.task(executor="process", pass_context=True)
        def where(context):
            context.progress(0.25, "there")
            return [os.getppid(), context.task.id]

        @app.task(executor="process")
        def dies():
            os._exit(3)

        @app.task(executor="process")
        def stages():
            yield where.call()

        @app.task(executor="process")
        def raises():
            raise ValueError("over there")

        @app.task(executor="process")
        def hangs():
            time.sleep(3600)
        """
    )
    where, dies, stages, raises, again = shop.ended(1, 2, 3, 4, 6)
    pid = shop.processes[0].process.pid
    assert where["result"] == [pid, 1] and again["result"] == [pid, 6]
    assert dies["error"]["type"] == "ProcessDied" and "status 3" in dies["error"]["message"]
    assert stages["state"] == "completed"
    assert raises["error"]["type"] == "ValueError" and "shop.py" in raises["error"]["traceback"]
    shop.queue.wait_for(lambda: shop.queue.state(5) == "running")
    shop.queue.abort(5, "cancelled")
    assert shop.ended(5)[0]["state"] == "cancelled"


def test_a_server_that_has_no_room_gets_the_results_later(shop: Shop) -> None:
    refused: list[str] = []

    def before(what: str, body: Any) -> None:
        if what.endswith("settle") and len(refused) < 3:
            refused.append(what)
            raise Refused(507, "no-space")

    shop.queue.before = before
    (task,) = shop.run("@app.task\ndef one():\n    return 1\n", ("one", {}))
    assert task["result"] == 1 and len(refused) == 3


def test_a_blocked_loop_keeps_the_lease(shop: Shop) -> None:
    shop.put("blocks", path=str(shop.folder / "go"))
    shop.start(
        """
        @app.task
        async def blocks(path: str):
            while not Path(path).exists():
                time.sleep(0.01)
        """
    )
    shop.queue.wait_for(lambda: shop.queue.state(1) == "running")
    beats: Callable[[], int] = lambda: sum(what.endswith("extend") for what, _ in shop.queue.calls)  # noqa: E731
    before = beats()
    shop.queue.wait_for(lambda: beats() > before)
    (shop.folder / "go").touch()
    assert shop.ended(1)[0]["attempts"] == 1


def test_a_thread_that_does_not_end_is_left_behind_with_its_process(shop: Shop) -> None:
    shop.put("deaf")
    shop.put("hears", path=str(shop.folder / "go"))
    process = shop.start(
        """
        import penstock.runtime.task_runner
        penstock.runtime.task_runner.UNWIND_S = 0.1

        @app.task
        def deaf():
            time.sleep(3600)

        @app.task
        def hears(path: str):
            while not Path(path).exists():
                time.sleep(0.01)
        """
    )
    shop.queue.wait_for(lambda: all(shop.queue.state(id) == "running" for id in (1, 2)))
    shop.queue.abort(1, "timeout")
    assert shop.ended(1)[0]["error"]["type"] == "TimeoutError"
    (shop.folder / "go").touch()
    assert process.end() == 0
    assert shop.ended(2)[0]["state"] == "completed"
    assert process.said[-1]["bye"]["reason"] == "recycle"


def test_a_thread_does_not_hold_up_a_stop(shop: Shop) -> None:
    shop.put("deaf")
    process = shop.start(
        """
        import penstock.runtime.task_worker
        penstock.runtime.task_worker.CANCEL_WAIT_S = 0.1

        @app.task
        def deaf():
            time.sleep(3600)
        """
    )
    shop.queue.wait_for(lambda: shop.queue.state(1) == "running")
    process.tell(stop={"grace_s": 0})
    assert process.end() == 0
    assert shop.queue.state(1) == "pending" and shop.queue.tasks[1]["attempts"] == 0


def test_what_is_claimed_ahead_and_blocked_goes_back(shop: Shop) -> None:
    for _ in range(400):
        shop.put("quick")
    shop.start(
        """
        @app.task
        async def quick():
            await asyncio.sleep(0)

        @app.task
        async def waits(path: str):
            while not Path(path).exists():
                await asyncio.sleep(0.01)
        """,
        concurrency=2,
    )
    waits = [shop.put("waits", path=str(shop.folder / "go")) for _ in range(100)]
    shop.ended(*range(1, 401))
    held = lambda: sum(shop.queue.state(id) == "running" for id in waits)  # noqa: E731
    shop.queue.wait_for(lambda: held() == 2)
    (shop.folder / "go").touch()
    assert all(task["attempts"] == 1 for task in shop.ended(*waits))


def test_context_variables_of_tasks_do_not_leak(shop: Shop) -> None:
    tasks = shop.run(
        """
        import contextvars
        var = contextvars.ContextVar("var", default=0)

        @app.task
        async def sets(n: int):
            before = var.get()
            var.set(n)
            await asyncio.sleep(0.001 * (n % 3))
            return [before, var.get(), penstock.current_context().task.arguments["n"]]
        """,
        *[("sets", {"n": n}) for n in range(1, 60)],
    )
    assert [task["result"] for task in tasks] == [[0, n, n] for n in range(1, 60)]


def test_a_task_may_defer_by_hand(shop: Shop) -> None:
    url = shop.queue.url
    plain, waits = shop.run(
        f"""
        app = penstock.App({url!r})

        @app.task
        async def one(n: int):
            return n

        @app.task
        def plain():
            return one.defer(n=1).id

        @app.task
        async def waits():
            handles = await one.defer_many_async([{{"n": 2}}, {{"n": 3}}])
            return [handle.id for handle in handles]
        """,
        ("plain", {}),
        ("waits", {}),
    )
    ids = [plain["result"], *waits["result"]]
    assert sorted(ids) == [3, 4, 5]
    assert sorted(task["result"] for task in shop.ended(*ids)) == [1, 2, 3]
