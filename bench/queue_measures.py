"""The queue's measures: queue_bench (C) drives the server; beanstalkd and procrastinate beside."""

from __future__ import annotations

import contextlib
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

from figure import BUILD, Bench, Figure
from harness.server_process import ServerProcess
from harness.wire import Wire

PROCRASTINATE = Path(__file__).resolve().parent / "peer_procrastinate.py"
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
    """Whole lives of tasks a second, and the server's CPU for each in microseconds; medians."""
    rates, cpus = [], []
    for _ in range(bench.rounds):
        with server(bench) as s:
            before = s.cpu_s()
            told = drive("queue_bench", s.port, batch=batch, tasks=count)
            cpus.append((s.cpu_s() - before) / count * 1e6)
            rates.append(count / told["seconds"])
            if counts(s)["completed"] != count:
                sys.exit(f"bench: {count} tasks were settled, the server counts {counts(s)}")
    return statistics.median(rates), statistics.median(cpus)


def beanstalkd(bench: Bench, count: int) -> float | None:
    """Jobs a second with an fsync for every write, None when it is not there."""
    program = shutil.which("beanstalkd")
    if not program:
        return None
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


def procrastinate(bench: Bench, count: int) -> dict[str, float]:
    """Empty when the peer's Python or PostgreSQL is not there."""
    there = subprocess.run(
        [bench.peer_python, "-c", "import procrastinate, psycopg"], capture_output=True, check=False
    )
    if there.returncode or not (POSTGRES / "initdb").exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="procrastinate-") as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [bench.peer_python, str(PROCRASTINATE), str(POSTGRES), folder, str(count)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"bench: procrastinate: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure_lives(bench: Bench) -> list[Figure]:
    """Enqueued, claimed and settled, durable at every step."""
    one, one_cpu = through(bench, 60_000, 1)
    many, many_cpu = through(bench, 500_000, 100)
    peer = beanstalkd(bench, 20_000)
    other = procrastinate(bench, 4_000)
    beside = f"; procrastinate's worker {other['jobs_s']:,.0f}/s" if other else ""
    return [
        Figure(
            "queue: enqueue, claim and settle, one by one", one, "tasks/s", 15_000, peer,
            note=f"32 connections, server CPU {one_cpu:.1f} us each; peer: beanstalkd -f 0{beside}",
        ),
        Figure(
            "queue: enqueue, claim and settle, batches of 100", many, "tasks/s", 80_000,
            other.get("jobs_s"),
            note=f"32 connections, server CPU {many_cpu:.1f} us each; peer: procrastinate's worker",
        ),
    ]  # fmt: skip


def measure_start(bench: Bench) -> list[Figure]:
    """From the sending of the request that enqueues to the worker that has the task."""
    told = []
    for _ in range(bench.rounds):
        with server(bench) as s:
            told.append(
                drive("queue_bench", s.port, rate=1000, tasks=10_000, enqueuers=8, workers=4)
            )
    other = procrastinate(bench, 1_000)
    return [
        Figure(
            f"queue: enqueue to start, p{share}",
            statistics.median(one["start"][f"p{share}_ms"] for one in told),
            "ms",
            goal,
            other.get(f"p{share}_ms"),
            note="1,000 a second, one by one; peer: procrastinate, 100 a second",
        )
        for share, goal in ((50, 1.0), (99, 5.0))
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
            "queue: fan-in of 100,000 parents", took[100_000], "s",
            note=f"{took[100_000] * 10:.1f} us a parent; of 10,000: {took[10_000] * 100:.1f} us",
        )
    ]  # fmt: skip


PARTS: list[Callable[[Bench], list[Figure]]] = [
    measure_lives,
    measure_start,
    measure_waiting,
    measure_finished,
    measure_fan_in,
]


def measure_queue(bench: Bench) -> list[Figure]:
    return [figure for part in PARTS for figure in part(bench)]


MEASURES = {"queue": measure_queue}
