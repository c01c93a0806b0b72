"""Measures of the queue in Python: a worker process, and what defers to it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from figure import BUILD, ROOT, Bench, Figure

sys.path.insert(0, str(ROOT / "python"))
import penstock
from harness.server_process import ServerProcess
from queue_measures import procrastinate

TASKS = 200_000
PORTION = 5000
APP = """
import penstock

app = penstock.App()


@app.task(name="noop")
async def noop():
    pass


@app.task(name="plain")
def plain():
    pass
"""
# procrastinate 3.10 on PostgreSQL, on a machine of the same kind: the best of its runs. Where it is
# measured in the same run, that counts.
PEER = {"noop": 693.0, "plain": 569.0, "defer": 1088.0, "defer_many": 16839.0}
SAME = {"noop": "jobs_s", "defer": "defers_s", "defer_many": "batch_defers_s"}


def peer(name: str) -> float:
    return procrastinate().get(SAME.get(name, ""), PEER[name])


def run_tasks(bench: Bench, name: str, count: int) -> tuple[float, float]:
    """Tasks a second from the first start to the last end, and the worker's CPU for each in us."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        server = ServerProcess(Path(folder)).start()
        try:
            (Path(folder) / "shop.py").write_text(APP)
            app = penstock.App(f"unix://{server.state}/penstock.sock")
            deferrer = app.configure_task(name)
            handles: list[penstock.TaskHandle] = []
            for _ in range(0, count, PORTION):
                handles += deferrer.defer_many([{}] * PORTION)
            cpu_us = work(app.url, folder) / count * 1e6
            first, last = handles[0].status(), handles[-1].status()
            if last.state != "completed" or not first.started_at or not last.ended_at:
                sys.exit(f"bench: the last task is {last}")
            return count / (last.ended_at - first.started_at).total_seconds(), cpu_us
        finally:
            server.kill()


def work(url: str, folder: str) -> float:
    """One process, until nothing is left; the processor time that it used."""
    command = [str(BUILD / "penstock"), "worker", "shop:app", "--server", url, "--one-shot"]
    worker = subprocess.Popen([*command, "--python", sys.executable], cwd=folder)
    _, status, used = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        sys.exit(f"bench: the worker ended with {worker.returncode}")
    return used.ru_utime + used.ru_stime


def measure_worker(bench: Bench) -> list[Figure]:
    figures = []
    for name, goal, count in (("noop", 25_000.0, TASKS), ("plain", None, TASKS // 4)):
        told = [run_tasks(bench, name, count) for _ in range(bench.rounds)]
        cpu_us = statistics.median(cpu for _, cpu in told)
        what = "a coroutine that does nothing" if name == "noop" else "a plain function, in threads"
        figures.append(
            Figure(
                f"queue: {what}, 1 process",
                statistics.median(rate for rate, _ in told),
                "tasks/s",
                goal,
                peer(name),
                note=f"{count:,} tasks, worker CPU {cpu_us:.1f} us each; peer: procrastinate",
            )
        )
    return figures


def measure_defer(bench: Bench) -> list[Figure]:
    one, many = [], []
    for _ in range(bench.rounds):
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            server = ServerProcess(Path(folder)).start()
            try:
                noop = penstock.App(f"unix://{server.state}/penstock.sock").configure_task("noop")
                one.append(rate_of(noop.defer, 5000, 1))
                many.append(rate_of(partial(noop.defer_many, [{}] * 1000), 100, 1000))
            finally:
                server.kill()
    return [
        Figure("queue: defer, one by one from Python", statistics.median(one), "tasks/s",
               None, peer("defer"), note="peer: procrastinate"),
        Figure("queue: defer_many of 1,000", statistics.median(many), "tasks/s",
               None, peer("defer_many"), note="peer: procrastinate"),
    ]  # fmt: skip


def rate_of(call: Callable[[], object], times: int, each: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return times * each / (time.perf_counter() - began)


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "queue_python": measure_worker,
    "queue_python_defer": measure_defer,
}
