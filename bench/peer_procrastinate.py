"""What queue_bench does, of procrastinate on PostgreSQL: peer_procrastinate.py BIN FOLDER TASKS.

Runs with a Python that has procrastinate and psycopg. BIN is the folder of PostgreSQL's programs,
FOLDER an empty one. Starts a database of its own on a free port, durable as it comes; defers so
many tasks that do nothing one by one and in batches of 100, runs them with one worker, and measures
from deferring to the start. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import procrastinate


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Database:
    """PostgreSQL does not run as root: then it is nobody's."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.port = programs, folder, free_port()
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-D", str(folder / "db"), "-A", "trust", "-U", "bench")
        self.server = self.start(
            "postgres", "-D", str(folder / "db"), "-p", str(self.port), "-k", str(folder),
            "-c", "listen_addresses=127.0.0.1",
        )  # fmt: skip
        self.url = f"host=127.0.0.1 port={self.port} user=bench dbname=postgres"
        while subprocess.run(
            [self.programs / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, check=False,
        ).returncode:  # fmt: skip
            if self.server.poll() is not None:
                sys.exit("peer_procrastinate: PostgreSQL does not start")
            time.sleep(0.05)

    def start(self, program: str, *args: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.programs / program, *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            user=self.user.pw_uid if self.user else None,
            group=self.user.pw_gid if self.user else None,
        )  # fmt: skip

    def run(self, program: str, *args: str) -> None:
        if self.start(program, *args).wait():
            sys.exit(f"peer_procrastinate: {program} has failed")

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()


async def measure(app: procrastinate.App, tasks: int) -> dict[str, float]:
    starts: list[float] = []

    @app.task(name="noop")
    async def noop(at: float) -> None:
        starts.append(time.time() - at)

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began = time.perf_counter()
        for _ in range(tasks // 2):
            await noop.defer_async(at=time.time())
        one_by_one = tasks // 2 / (time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(tasks // 200):
            await noop.batch_defer_async(*({"at": time.time()} for _ in range(100)))
        batches = tasks // 200 * 100 / (time.perf_counter() - began)
        began = time.perf_counter()
        await app.run_worker_async(
            wait=False, concurrency=32, install_signal_handlers=False, listen_notify=False
        )
        worked = len(starts) / (time.perf_counter() - began)
        starts.clear()
        worker = asyncio.create_task(
            app.run_worker_async(concurrency=32, install_signal_handlers=False)
        )
        await asyncio.sleep(1)
        for _ in range(300):
            await noop.defer_async(at=time.time())
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        starts.sort()
    return {
        "defers_s": one_by_one,
        "batch_defers_s": batches,
        "jobs_s": worked,
        "p50_ms": statistics.median(starts) * 1000,
        "p99_ms": starts[int(len(starts) * 0.99)] * 1000,
    }


def main() -> None:
    programs, folder, tasks = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    database = Database(programs, folder)
    try:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database.url))
        print(json.dumps(asyncio.run(measure(app, tasks))))
    finally:
        database.stop()
        shutil.rmtree(folder / "db", ignore_errors=True)


main()
