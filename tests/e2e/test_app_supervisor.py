"""`penstock worker` with an app: its processes are started, replaced, stopped, and end in time."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fake_engine import FakeEngine
from harness.fake_queue import FakeQueue
from harness.run_command import environment
from harness.server_process import ROOT, binary

sys.path.insert(0, str(ROOT / "python"))
import penstock

DEADLINE_S = 60.0
SHOP = """
import asyncio, os, signal, time
from pathlib import Path
import penstock

app = penstock.App()

@app.task
async def add(a: int, b: int = 1):
    return a + b

@app.task
def pid():
    return os.getpid()

@app.task(pass_context=True)
def dies(context):
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return context.attempt

@app.task
async def waits(started: str, go: str):
    Path(started).touch()
    while not Path(go).exists():
        await asyncio.sleep(0.01)
    return "went"

@app.task
async def again(n: int):
    return await add.configure(queue="other").defer_async(a=n) and None
"""

# What they start may fork, too: that must not keep what is to be seen as closed.
STARTER = """
import subprocess

def start(told):
    forked = os.fork()
    if not forked:
        while True:
            time.sleep(60)
    program = subprocess.Popen(["sleep", "3600"])
    Path(told + ".new").write_text(f"{os.getpid()} {forked} {program.pid}")
    Path(told + ".new").rename(told)
    time.sleep(3600)

@app.task(executor="process")
def in_process(told: str):
    start(told)

@app.task
def in_thread(told: str):
    start(told)
"""


class Shop:
    """A folder with an app, and `penstock worker` in it."""

    def __init__(self, folder: Path, queue: FakeQueue) -> None:
        self.folder = folder
        self.queue = queue
        self.app = penstock.App(queue.url)
        self.started: list[subprocess.Popen[str]] = []
        (folder / "shop.py").write_text(textwrap.dedent(SHOP))

    def defer(self, function: str, **arguments: Any) -> penstock.TaskHandle:
        return self.app.configure_task(f"shop.{function}").defer(**arguments)

    def start(self, *args: str, server: bool = True) -> subprocess.Popen[str]:
        where = ["--server", self.queue.url] if server else []
        process = subprocess.Popen(
            [binary(), "worker", "shop:app", "--python", sys.executable, *where, *args],
            cwd=self.folder,
            env={**environment(), "PENSTOCK_BIN": binary(), "PENSTOCK_IDLE_EXIT": "0.5"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *args: str) -> str:
        process = self.start(*args)
        told, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, told
        return told

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        self.queue.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, FakeQueue())
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """A process that nobody has waited for yet is dead all the same."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_one_shot_ends_when_the_queues_are_empty(shop: Shop) -> None:
    handles = [shop.defer("add", a=n) for n in range(20)]
    shop.run("--one-shot")
    assert [handle.result(1) for handle in handles] == list(range(1, 21))


def test_only_these_queues(shop: Shop) -> None:
    shop.defer("again", n=1)
    shop.app.configure_task("shop.add", queue="third").defer(a=5)
    shop.run("--one-shot", "--queues", "default,other", "--concurrency", "3")
    states = [task["state"] for task in shop.queue.tasks.values()]
    assert states == ["completed", "pending", "completed"]


def test_a_process_that_dies_is_replaced_and_its_tasks_run_again_at_once(shop: Shop) -> None:
    began = time.monotonic()
    handle = shop.defer("dies")
    process = shop.start()
    assert handle.result(DEADLINE_S) == 2
    # The fake queue never ends a lease by itself: it was given back.
    assert any(body.get("died") for what, body in shop.queue.calls if what.endswith("release"))
    assert time.monotonic() - began < DEADLINE_S
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "was killed by signal 9 (Killed); another takes its place" in told


def test_processes_are_replaced_after_so_many_tasks(shop: Shop) -> None:
    handles = [shop.defer("pid") for _ in range(6)]
    process = shop.start("--max-tasks-per-process", "2", "--concurrency", "1")
    pids = [handle.result(DEADLINE_S) for handle in handles]
    assert len(set(pids)) == 3
    process.terminate()
    assert process.wait(DEADLINE_S) == 0


def test_sigterm_lets_what_runs_end(shop: Shop) -> None:
    started, go = shop.folder / "started", shop.folder / "go"
    handle = shop.defer("waits", started=str(started), go=str(go))
    process = shop.start("--processes", "2", "--grace", "30")
    until(started.exists)
    process.terminate()
    shop.queue.wait_for(lambda: any(body.get("holds") for _, body in shop.queue.calls))
    later = shop.defer("add", a=1)
    go.touch()
    assert process.wait(DEADLINE_S) == 0
    assert handle.status().result == "went" and later.status().state == "pending"


def test_after_the_grace_what_runs_is_given_back(shop: Shop) -> None:
    started = shop.folder / "started"
    handle = shop.defer("waits", started=str(started), go=str(shop.folder / "never"))
    process = shop.start("--grace", "0.1")
    until(started.exists)
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    assert handle.status().state == "pending" and handle.status().attempts == 0


def test_processes_end_with_their_supervisor(shop: Shop) -> None:
    handle = shop.defer("pid")
    process = shop.start()
    pid = handle.result(DEADLINE_S)
    process.kill()
    process.wait(DEADLINE_S)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_what_tasks_have_started_ends_with_the_supervisor_too(shop: Shop) -> None:
    """In the midst of a function: nobody looks at the socket then."""
    with (shop.folder / "shop.py").open("a") as file:
        file.write(textwrap.dedent(STARTER))
    pids = [shop.folder / name for name in ("own", "thread")]
    shop.defer("in_process", told=str(pids[0]))
    shop.defer("in_thread", told=str(pids[1]))
    process = shop.start()
    until(lambda: all(path.exists() for path in pids))
    running = [int(pid) for path in pids for pid in path.read_text().split()]
    assert len(running) == 6 and all(is_alive(pid) for pid in running)
    process.kill()
    process.wait(DEADLINE_S)
    until(lambda: not any(is_alive(pid) for pid in running))


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--job", "x"], "has no function of records: mark one with @app.record"),
        (["--queues", "a,,b"], "--queues: a queue needs a name"),
        (["--timeout", "5"], "--timeout is for records: it goes with --job"),
        (["--concurrency", "0"], "--concurrency"),
    ],
)
def test_what_makes_no_sense_is_refused(shop: Shop, args: list[str], told: str) -> None:
    process = shop.start(*args)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == (1 if "record" in told and "--job" in args else 2)
    assert told in output


def test_one_worker_takes_records_and_tasks_alike(shop: Shop, tmp_path: Path) -> None:
    shop.queue.engine = FakeEngine([str(n) for n in range(300)])
    with (shop.folder / "shop.py").open("a") as file:
        file.write("\n@app.record\ndef double(record, context):\n    return [record * 2]\n")
    handles = [shop.defer("add", a=n) for n in range(30)]
    shop.run("--job", "doubles", "--one-shot")
    assert [handle.result(1) for handle in handles] == list(range(1, 31))
    assert shop.queue.engine.results == {n: [n * 2] for n in range(300)}
    # When the job has ended, tasks go on.
    process = shop.start("--job", "doubles")
    assert shop.defer("add", a=5).result(DEADLINE_S) == 6
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    shop.queue.engine.close()


def test_a_function_of_records_needs_a_job(shop: Shop) -> None:
    (shop.folder / "shop.py").write_text("def app(record): return record\n")
    process = shop.start()
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2 and "is a function of records: worker needs --job" in output

    process = shop.start("--job", "x", "--one-shot")
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2 and "--one-shot is for tasks, --job for records" in output
