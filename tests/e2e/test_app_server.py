"""Apps, workers and the real server together."""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.run_command import environment
from harness.server_process import ROOT, ServerProcess, binary
from harness.wire import Wire

sys.path.insert(0, str(ROOT / "python"))
import penstock

DEADLINE_S = 60.0
SHOP = """
import asyncio, datetime, os, random, signal, time
from pathlib import Path
import penstock

app = penstock.App()

@app.task
async def add(a: int, b: int = 1) -> int:
    return a + b

@app.task
def plain(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    return os.getpid()

@app.task(retry=penstock.RetryPolicy(retries=3, delay_s=0.05), pass_context=True)
async def flaky(context, fails: int) -> int:
    if context.attempt <= fails:
        raise ValueError("not yet")
    return context.attempt

@app.task
def stages(depth: int, fan: int):
    for _ in range(fan):
        if depth:
            yield stages.call(depth=depth - 1, fan=fan)
        else:
            yield add.call(a=depth)

@app.task(pass_context=True)
async def waits(context, started: str, go: str) -> str:
    Path(started).touch()
    context.progress(0.5, "half")
    while not Path(go).exists():
        await asyncio.sleep(0.01)
    return "went"

@app.task(timeout=0.2)
async def slow():
    await asyncio.sleep(60)

@app.task(lock="one", retry=5)
async def locked(path: str) -> None:
    fd = os.open(path, os.O_CREAT | os.O_EXCL)
    os.close(fd)
    await asyncio.sleep(0.02)
    os.unlink(path)

@app.task
async def counts(path: str, n: int):
    with open(path, "a") as file:
        file.write(f"{n}\\n")
    return n

@app.task(max_attempts=100, retry=penstock.RetryPolicy(kind="fixed", delay_s=0.05))
async def leaf(n: int):
    if random.random() < 0.1:
        raise ValueError("leaf")
    return n

@app.task(max_attempts=100, retry=penstock.RetryPolicy(kind="fixed", delay_s=0.05))
def branch(n: int, leaves: int):
    for i in range(leaves):
        yield leaf.call(n=n * 1000 + i)
        time.sleep(0.005)
        if random.random() < 0.005:
            raise ValueError("half-way")

@app.schedule("ticks", every=1, pass_time=True)
@app.task
def tick(timestamp: datetime.datetime) -> str:
    return timestamp.isoformat()
"""


class Shop:
    """An app in a folder, its server, and its workers."""

    def __init__(self, folder: Path, server: ServerProcess | None) -> None:
        self.folder = folder
        self.server = server
        self.state = server.state if server else folder / ".penstock"
        self.app = penstock.App(server.url) if server else penstock.App(state=self.state)
        self.started: list[subprocess.Popen[str]] = []
        (folder / "shop.py").write_text(textwrap.dedent(SHOP))

    def task(self, name: str, **settings: Any) -> penstock.TaskDeferrer:
        return self.app.configure_task(f"shop.{name}", **settings)

    def start(self, *args: str) -> subprocess.Popen[str]:
        where = ["--server", self.server.url] if self.server else []
        process = subprocess.Popen(
            [binary(), "worker", "shop:app", "--python", sys.executable, *where, *args],
            cwd=self.folder,
            env={**environment(), "PENSTOCK_IDLE_EXIT": "0.5"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *args: str) -> None:
        process = self.start("--one-shot", *args)
        told, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, told

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def shop(server: ServerProcess, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, server)
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_results_errors_and_states(shop: Shop) -> None:
    good = shop.task("add").defer(a=1)
    many = shop.task("add").defer_many([{"a": n} for n in range(100)])
    flaky = shop.task("flaky", retry=penstock.RetryPolicy(retries=3, delay_s=0.01)).defer(fails=2)
    lost = shop.task("flaky").defer(fails=9)
    assert good.status().state == "pending"
    shop.start()
    assert good.result(DEADLINE_S) == 2
    assert [handle.result(DEADLINE_S) for handle in many] == list(range(1, 101))
    assert flaky.result(DEADLINE_S) == 3
    with pytest.raises(penstock.TaskFailed, match="ValueError: not yet") as failed:
        lost.result(DEADLINE_S)
    assert "shop.py" in failed.value.error.traceback
    info = good.status()
    assert info.attempts == 1 and info.ended and info.arguments == {"a": 1}
    assert info.started_at and info.ended_at and info.ended_at >= info.started_at
    with pytest.raises(penstock.NotFoundError):
        shop.app.handle(10**9).status()


def test_awaited(shop: Shop) -> None:
    shop.start()

    async def check() -> None:
        handle = await shop.task("add").defer_async(a=5)
        more = await shop.task("add").defer_many_async([{"a": 1}, {"a": 2}])
        assert await handle.result_async(DEADLINE_S) == 6
        assert [await one.result_async(DEADLINE_S) for one in more] == [2, 3]
        assert not await handle.cancel_async()
        assert (await handle.status_async()).state == "completed"

    asyncio.run(check())


def test_generators_over_depths(shop: Shop) -> None:
    shop.task("stages").defer(depth=2, fan=3)
    shop.run("--processes", "2")
    tasks = [one for one in shop.app.client.tasks.list() if one.function != "shop.tick"]
    assert {task.state for task in tasks} == {"completed"} and len(tasks) == 1 + 3 + 9 + 27


def test_cancel_progress_and_time_out(shop: Shop) -> None:
    started, go = shop.folder / "started", shop.folder / "go"
    waits = shop.task("waits").defer(started=str(started), go=str(go))
    slow = shop.task("slow", timeout=0.2).defer()
    later = shop.task("add", delay=3600).defer(a=1)
    shop.start()
    until(lambda: waits.status().progress == 0.5)
    assert waits.status().progress_text == "half"
    began = time.monotonic()
    assert waits.cancel()
    with pytest.raises(penstock.TaskCancelled):
        waits.result(DEADLINE_S)
    assert time.monotonic() - began < 5
    with pytest.raises(penstock.TaskFailed, match="TimeoutError"):
        slow.result(DEADLINE_S)
    assert later.cancel() and later.status().state == "cancelled"
    assert waits.retry()
    go.touch()
    assert waits.result(DEADLINE_S) == "went"


def test_order_lock_unique_and_after(shop: Shop) -> None:
    path = shop.folder / "locked"
    locked = [shop.task("locked", lock="one").defer(path=str(path)) for _ in range(10)]
    first = shop.task("add", unique="k").defer(a=1)
    same = shop.task("add", unique="k").defer(a=2)
    child = shop.task("add", after=first).defer(a=3)
    with pytest.raises(penstock.ConflictError):
        shop.task("add", unique=penstock.Unique("k", on_clash="refuse")).defer(a=2)
    assert same.existing and same.id == first.id and child.status().state == "blocked"
    shop.run("--processes", "2")
    assert all(handle.status().attempts == 1 for handle in locked)
    assert all(handle.status().state == "completed" for handle in locked)
    assert child.result(1) == 4 and first.result(1) == 2


def kill_all(process: subprocess.Popen[str]) -> None:
    """The supervisor and its children at once, so that nobody gives the lease back."""
    os.kill(process.pid, signal.SIGSTOP)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    everybody = [*(int(child) for child in children), process.pid]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in everybody:
            os.kill(pid, number)


def test_a_killed_worker_s_task_runs_again_within_fifteen_seconds(shop: Shop) -> None:
    started, go = shop.folder / "started", shop.folder / "go"
    handle = shop.task("waits").defer(started=str(started), go=str(go))
    process = shop.start()
    until(started.exists)
    started.unlink()
    kill_all(process)
    process.wait(DEADLINE_S)
    began = time.monotonic()
    shop.start()
    until(started.exists)
    assert time.monotonic() - began < 15
    go.touch()
    assert handle.result(DEADLINE_S) == "went" and handle.status().attempts == 2


def test_a_restart_of_the_server_costs_no_lease(shop: Shop) -> None:
    started, go = shop.folder / "started", shop.folder / "go"
    handle = shop.task("waits").defer(started=str(started), go=str(go))
    shop.start()
    until(started.exists)
    assert shop.server is not None
    shop.server.kill()
    shop.server.start()
    go.touch()
    assert handle.result(DEADLINE_S) == "went" and handle.status().attempts == 1


def test_nothing_is_lost_whatever_is_killed(shop: Shop) -> None:
    chance = random.Random(5)
    path = shop.folder / "ran"
    count = 3000
    for first in range(0, count, 500):
        calls = [{"path": str(path), "n": n} for n in range(first, first + 500)]
        shop.task("counts", max_attempts=1000).defer_many(calls)
    assert shop.server is not None
    worker = shop.start("--processes", "2")
    for _ in range(5):
        time.sleep(chance.uniform(0.05, 0.5))
        if chance.random() < 0.5:
            shop.server.kill()
            shop.server.start()
        else:
            worker.kill()
            worker.communicate()
            worker = shop.start("--processes", "2")
    for task in shop.app.client.tasks.list():
        assert shop.app.handle(task.id).result(DEADLINE_S) is not None
    ran = {int(line) for line in path.read_text().split()}
    assert ran == set(range(count))


def test_what_is_yielded_is_enqueued_once_whatever_is_killed(shop: Shop) -> None:
    """Processes of the worker and the server die while generators are half-way."""
    chance = random.Random(7)
    policy = penstock.RetryPolicy(kind="fixed", delay_s=0.05)
    branch = shop.task("branch", max_attempts=100, retry=policy)
    handles = branch.defer_many([{"n": n, "leaves": 60} for n in range(10)])
    assert shop.server is not None
    worker = shop.start("--processes", "2")
    until(lambda: any(handle.status().attempts for handle in handles))
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    for turn in range(8):
        time.sleep(chance.uniform(0.05, 0.4))
        if turn % 4 == 3:
            shop.server.kill()
            shop.server.start()
        elif pids := children.read_text().split():
            os.kill(int(chance.choice(pids)), signal.SIGKILL)
    for handle in handles:
        handle.result(DEADLINE_S)
    leaves = list(shop.app.client.tasks.list(function="shop.leaf"))
    ran = [shop.app.handle(leaf.id).result(DEADLINE_S) for leaf in leaves]
    assert sorted(ran) == [n * 1000 + i for n in range(10) for i in range(60)]


def test_schedules_of_the_app_are_made(shop: Shop) -> None:
    shop.start()
    found: list[Any] = []

    def ticked() -> bool:
        found[:] = [t for t in shop.app.client.tasks.list(function="shop.tick") if t.ended]
        return len(found) >= 2

    until(ticked)
    result = shop.app.client.tasks.result(found[0].id)
    assert datetime.datetime.fromisoformat(result).microsecond == 0
    (schedule,) = shop.app.client.schedules.list()
    assert schedule["name"] == "ticks"


def test_with_no_server_named_a_script_and_a_worker_just_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BIN", binary())
    monkeypatch.setenv("PENSTOCK_IDLE_EXIT", "0.5")
    monkeypatch.delenv("PENSTOCK_SERVER", raising=False)
    shop = Shop(tmp_path, None)
    try:
        handle = shop.task("add").defer(a=1)
        shop.app.close()
        time.sleep(1.5)  # the server is gone, the task is not
        worker = shop.start()
        assert handle.result(DEADLINE_S) == 2
        again = shop.task("plain").defer(path=str(tmp_path / "file"))
        pid = again.result(DEADLINE_S)
        os.kill(pid, signal.SIGKILL)
        assert shop.task("add").defer(a=2).result(DEADLINE_S) == 3
        worker.terminate()
        assert worker.wait(DEADLINE_S) == 0
    finally:
        shop.app.close()
        shop.close()


def test_one_shot_waits_for_what_a_rate_holds_back(shop: Shop, server: ServerProcess) -> None:
    reply = Wire(server.url).call("PATCH", "/v1/functions/shop.add", None, {"rpm": 120})
    assert reply.status == 200
    handles = [shop.task("add").defer(a=n, b=1) for n in range(3)]
    shop.run()
    assert [handle.result(1) for handle in handles] == [1, 2, 3]
