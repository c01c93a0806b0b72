"""The queue's measures: queue_bench (C) drives the server; beanstalkd and procrastinate beside."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import machine
from figure import BUILD, ROOT, Bench, Figure
from harness.server_process import ServerProcess
from harness.wire import Wire

PROCRASTINATE = ROOT / "bench" / "peer_procrastinate.py"
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PEER_TASKS = 2_000
POSTGRES = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def server(bench: Bench) -> Iterator[ServerProcess]:
    """A server whose folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="queue-", dir=bench.folder))
    s = ServerProcess(folder)
    try:
        yield s.start()
    finally:
        s.kill()
        shutil.rmtree(folder)


def drive(program: str, port: int, **options: int) -> dict[str, Any]:
    command = [str(BUILD / "bench" / program), "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}: {done.stderr}")
    return dict(json.loads(done.stdout))


def counts(s: ServerProcess, queue: str = "bench") -> dict[str, int]:
    told = Wire(s.url).call("GET", "/v1/queues").json()["queues"]
    return next((dict(q["counts"]) for q in told if q["name"] == queue), {})


def through(bench: Bench, count: int, batch: int) -> tuple[float, float]:
    """Whole lives of tasks a second, and the server's CPU for each in microseconds."""
    with server(bench) as s:
        before = s.cpu_s()
        told = drive("queue_bench", s.port, batch=batch, tasks=count)
        cpu_us = (s.cpu_s() - before) / count * 1e6
        if counts(s)["completed"] != count:
            sys.exit(f"bench: {count} tasks were settled, the server counts {counts(s)}")
    return count / float(told["seconds"]), cpu_us


def beanstalkd(bench: Bench, count: int) -> float:
    """Jobs a second with an fsync for every write, 0 when it is not there."""
    program = shutil.which("beanstalkd")
    if not program:
        return 0.0
    folder = Path(tempfile.mkdtemp(prefix="beanstalkd-", dir=bench.folder))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [program, "-l", "127.0.0.1", "-p", str(port), "-f", "0", "-b", str(folder)]
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        return count / float(drive("peer_beanstalkd", port, tasks=count)["seconds"])
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@functools.cache
def procrastinate() -> dict[str, float]:
    """What the peer does on PostgreSQL, measured once a run; empty when either is not there."""
    if not PEER_PYTHON.exists() or not (POSTGRES / "initdb").exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="procrastinate-") as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [str(PEER_PYTHON), str(PROCRASTINATE), str(POSTGRES), folder, str(PEER_TASKS)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"bench: procrastinate: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def medians(told: list[tuple[float, ...]]) -> list[float]:
    return [statistics.median(column) for column in zip(*told, strict=True)]


def measure_one(bench: Bench) -> list[Figure]:
    """One by one, durable at every step, in turns with beanstalkd and with bare syncs."""
    told = []
    for _ in range(bench.rounds):
        ours = through(bench, 60_000, 1)
        told.append((*ours, beanstalkd(bench, 20_000), machine.sync_rate(bench.folder)))
    rate, cpu_us, peer, syncs = medians(told)
    return [
        Figure(
            "queue: enqueue, claim and settle, one by one", rate, "tasks/s", 15_000, peer,
            note=f"32 connections, server CPU {cpu_us:.1f} us each; peer: beanstalkd -f 0;"
            f" the disk alone: {syncs:,.0f} syncs/s",
        )
    ]  # fmt: skip


def measure_many(bench: Bench) -> list[Figure]:
    """In batches of 100, durable at every step; procrastinate beside."""
    rate, cpu_us = medians([through(bench, 500_000, 100) for _ in range(bench.rounds)])
    other = procrastinate()
    return [
        Figure(
            "queue: enqueue, claim and settle, batches of 100", rate, "tasks/s", 80_000,
            other.get("jobs_s"),
            note=f"32 connections, server CPU {cpu_us:.1f} us each; peer: procrastinate's worker,"
            f" which claims one by one; it defers {other.get('defers_s', 0):,.0f}/s one by one,"
            f" {other.get('batch_defers_s', 0):,.0f}/s by 100",
        ),
    ]  # fmt: skip


def measure_start(bench: Bench) -> list[Figure]:
    """From the sending of the request that enqueues to the worker that has the task. A task is two
    commits of some eight pages; what the disk alone makes of them stands beside."""
    told, alone = [], []
    for _ in range(bench.rounds):
        with server(bench) as s:
            told.append(
                drive("queue_bench", s.port, rate=1000, tasks=10_000, enqueuers=8, workers=4)
            )
        alone.append(machine.sync_p99_ms(bench.folder, 8 * 4096, 2000))
    other = procrastinate()
    return [
        Figure(
            f"queue: enqueue to start, p{share}",
            statistics.median(one["start"][f"p{share}_ms"] for one in told),
            "ms",
            goal,
            other.get(f"p{share}_ms"),
            limit=limit,
            note="1,000 a second, one by one; peer: procrastinate, 100 a second;"
            " limit: a sync, on the disk alone",
        )
        for share, goal, limit in ((50, 1.0, None), (99, 5.0, statistics.median(alone)))
    ]


def measure_waiting(bench: Bench) -> list[Figure]:
    """A million tasks that wait."""
    count = 1_000_000
    with server(bench) as s:
        told = drive("queue_bench", s.port, workers=0, enqueuers=8, batch=1000, tasks=count)
        memory = s.rss_bytes() / (1 << 20)
        highest = s.peak_rss_bytes() / (1 << 20)
        s.kill()
        began = time.perf_counter()
        s.start()
        ready = time.perf_counter() - began
        again = s.rss_bytes() / (1 << 20)
        if counts(s)["pending"] != count:
            sys.exit(f"bench: {count} tasks wait, the server counts {counts(s)}")
    return [
        Figure("queue: enqueue, batches of 1,000", count / told["seconds"], "tasks/s"),
        Figure(
            "queue: memory with 1 M pending", memory, "MiB", 128.0,
            note=f"the highest {highest:.0f}, after a restart {again:.0f}",
        ),
        Figure("queue: start with 1 M pending", ready, "s", note="after kill -9"),
    ]  # fmt: skip


def copy_finished(state: Path, count: int) -> None:
    """Makes so many finished tasks of the one that is there, as the server would store them."""
    store = sqlite3.connect(state / "penstock.db")
    names = [row[1] for row in store.execute("PRAGMA table_info(task)")]
    (first,) = store.execute("SELECT max(id) FROM task").fetchone()
    columns = ", ".join("? + n" if name == "id" else name for name in names)
    with store:
        store.execute(
            "WITH RECURSIVE numbers(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
            f" INSERT INTO task ({', '.join(names)})"
            f" SELECT {columns} FROM numbers, (SELECT * FROM task WHERE id = ?)",
            (count, first, first),
        )
        store.execute("UPDATE task_last SET task = ?", (first + count,))
    store.close()


def measure_finished(bench: Bench) -> list[Figure]:
    """A server with ten million tasks of the past."""
    count = 10_000_000
    with server(bench) as s:
        drive("queue_bench", s.port, tasks=1, enqueuers=1, workers=1)
        if s.stop() != 0:
            sys.exit("bench: the server did not stop")
        copy_finished(s.state, count)
        began = time.perf_counter()
        s.start()
        ready = time.perf_counter() - began
        told = drive("queue_bench", s.port, tasks=20_000)
        memory = s.rss_bytes() / (1 << 20)
    return [
        Figure(
            "queue: start with 10 M finished", ready, "s", 1.0,
            note=f"then {20_000 / told['seconds']:,.0f} tasks/s one by one, {memory:.0f} MiB",
        )
    ]  # fmt: skip


def fan_in(s: ServerProcess, parents: int) -> float:
    """Seconds from the start of the first parent to the end of the task that waits for all."""
    wire = Wire(s.url)
    drive("queue_bench", s.port, workers=0, enqueuers=4, batch=1000, tasks=parents)
    told = wire.call("GET", "/v1/tasks?limit=1").json()["tasks"]
    first = told[0]["id"]
    child = {"function": "noop", "queue": "bench", "after": list(range(first, first + parents))}
    made = wire.call("POST", "/v1/tasks", body={"tasks": [child]})
    if made.status != 201:
        sys.exit(f"bench: the child is not taken: {made}")
    began = time.perf_counter()
    drive("queue_bench", s.port, enqueuers=0, workers=4, batch=100, tasks=parents + 1)
    return time.perf_counter() - began


def measure_fan_in(bench: Bench) -> list[Figure]:
    """One task that waits for many: each parent's end costs the same however many they are."""
    took = {}
    for parents in (10_000, 100_000):
        with server(bench) as s:
            took[parents] = fan_in(s, parents)
    return [
        Figure(
            f"queue: fan-in of {parents:,} parents", seconds / parents * 1e6, "us a parent",
            note=f"{seconds:.2f} s from the first parent's start to the end of what waits for all",
        )
        for parents, seconds in took.items()
    ]  # fmt: skip


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "queue_one": measure_one,
    "queue_many": measure_many,
    "queue_start": measure_start,
    "queue_waiting": measure_waiting,
    "queue_finished": measure_finished,
    "queue_fan_in": measure_fan_in,
}
