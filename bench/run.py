#!/usr/bin/env python3
"""Measures Penstock: run.py [NAME...] [--update-readme] [--rounds N].

Starts the release build in build/, drives it with load_client (C), prints a table and writes
build/bench.json. Each figure stands beside what was promised, what the peer does, and what this
machine can do at most. A measure is taken several times; the median is told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import flow_bench  # noqa: E402
import machine  # noqa: E402
import openaleph_bench  # noqa: E402
import queue_measures  # noqa: E402
import queue_python  # noqa: E402
import run_bench  # noqa: E402
import steps_bench  # noqa: E402
from figure import (  # noqa: E402
    BUILD,
    INPUTS,
    RECORD_BYTES,
    Bench,
    Figure,
    input_file,
    rows_in,
    rows_of,
    shown,
    table,
)
from harness.server_process import ServerProcess  # noqa: E402
from harness.wire import Wire  # noqa: E402

os.environ["PENSTOCK_BIN"] = str(BUILD / "penstock")
# Of Planchet 0.4.0 with the versions it pins, on a machine of the same kind; medians. Its server is
# not on PyPI, so it cannot be started here beside ours.
PEER = {
    "throughput 1000": 3924.0,
    "throughput 100": 3244.0,
    "serve p99": 202.0,
    "restart": 149.0,
    "memory": 316.0,
}


@contextmanager
def server(bench: Bench, count: int, *args: str) -> Iterator[ServerProcess]:
    """A server with an input of so many records; its folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=bench.folder))
    s = ServerProcess(folder, *args, data=folder / "data")
    os.link(input_file(count), folder / "data" / "in.jsonl")
    try:
        yield s.start()
    finally:
        s.kill()
        shutil.rmtree(folder)


def start(s: ServerProcess, **query: Any) -> None:
    told = {"input_file_path": "in.jsonl", "output_file_path": "out.jsonl"}
    reply = Wire(s.url).scramble("bench", told, "JsonlReader", "JsonlWriter", **query)
    if reply.status != 200:
        sys.exit(f"bench: the job does not start: {reply}")


def load(port: int, **options: int) -> dict[str, Any]:
    command = [str(BUILD / "bench" / "load_client"), "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}: {done.stderr}")
    return dict(json.loads(done.stdout))


def cycles(bench: Bench, count: int, batch: int, connections: int) -> list[dict[str, Any]]:
    """Whole jobs from start to end, each record served and received once."""
    told = []
    for _ in range(bench.rounds):
        with server(bench, 2_000_000) as s:
            start(s)
            before = s.cpu_s()
            one = load(s.port, batch=batch, connections=connections, records=count)
            one["server_cpu_s"] = s.cpu_s() - before
            report = Wire(s.url).report("bench")
            if report["received"] != count or report["served"]:
                sys.exit(f"bench: {count} records were sent, the report says {report}")
            one["rate"] = count / one["seconds"]
            told.append(one)
    return told


def bare_rate(batch: int, connections: int, count: int) -> float:
    with machine.bare_mhd(BUILD, batch * (RECORD_BYTES + 9)) as port:
        told = load(port, batch=batch, connections=connections, records=count)
    return count / float(told["seconds"])


def throughput(bench: Bench, batch: int, connections: int, count: int, goal: float) -> list[Figure]:
    told = cycles(bench, count, batch, connections)
    rate = statistics.median(one["rate"] for one in told)
    cpu = statistics.median(one["server_cpu_s"] for one in told) / count * 1e6
    note = f"{connections} connections, server CPU {cpu:.2f} us a record; limit: libmicrohttpd bare"
    return [
        Figure(
            f"serve + receive, batches of {batch:,}",
            rate,
            "records/s",
            goal,
            PEER.get(f"throughput {batch}"),
            limit=bare_rate(batch, connections, count),
            note=note,
        )
    ]


def measure_throughput_1000(bench: Bench) -> list[Figure]:
    return throughput(bench, 1000, 4, 2_000_000, 1_500_000)


def measure_throughput_100(bench: Bench) -> list[Figure]:
    return throughput(bench, 100, 4, 1_000_000, 500_000)


def measure_throughput_1(bench: Bench) -> list[Figure]:
    return throughput(bench, 1, 32, 60_000, 25_000)


def measure_latency(bench: Bench) -> list[Figure]:
    """At full load: every connection asks again as soon as it has its answer."""
    told = cycles(bench, 1_000_000, 100, 32)
    rate = statistics.median(one["rate"] for one in told)
    bare = bare_latency()
    return [
        Figure(
            f"p{share} of {kind}, batches of 100",
            statistics.median(one[kind][f"p{share}_ms"] for one in told),
            "ms",
            5.0 if (kind, share) == ("serve", 99) else None,
            PEER["serve p99"] if (kind, share) == ("serve", 99) else None,
            limit=bare[kind][f"p{share}_ms"],
            note=f"32 connections at {rate:,.0f} records/s",
        )
        for kind in ("serve", "receive")
        for share in (50, 99)
    ]


def bare_latency() -> dict[str, Any]:
    with machine.bare_mhd(BUILD, 100 * (RECORD_BYTES + 9)) as port:
        return load(port, batch=100, connections=32, records=1_000_000)


WORKER = ROOT / "tests" / "harness" / "worker_process.py"


def measure_client(bench: Bench) -> list[Figure]:
    """PlanchetClient from PyPI: how little of the work is the server's."""
    shares, rates = [], []
    count = 60_000
    for _ in range(bench.rounds):
        with server(bench, 2_000_000) as s:
            (s.data / "in.jsonl").unlink()
            with (INPUTS / "2000000.jsonl").open("rb") as big:
                (s.data / "in.jsonl").write_bytes(big.read(count * RECORD_BYTES))
            start(s)
            before, began = s.cpu_s(), time.perf_counter()
            workers = [
                subprocess.Popen([sys.executable, str(WORKER), s.url, "bench", "100"])
                for _ in range(4)
            ]
            client = sum(wait_cpu(w) for w in workers)
            rates.append(count / (time.perf_counter() - began))
            shares.append((s.cpu_s() - before) / client * 100)
    return [
        Figure(
            "server's CPU beside PlanchetClient's",
            statistics.median(shares),
            "%",
            10.0,
            note=f"4 workers, batches of 100, {statistics.median(rates):,.0f} records/s",
        )
    ]


def wait_cpu(process: subprocess.Popen[bytes]) -> float:
    """Waits for a child's end; the processor time it used."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: a worker ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def measure_ten_million(bench: Bench) -> list[Figure]:
    """One job of ten million records: memory, restart, repair."""
    count = 10_000_000
    with server(bench, count) as s:
        start(s)
        load(s.port, batch=1000, connections=4, records=count // 2)
        memory = s.peak_rss_bytes() / (1 << 20)
        s.kill()
        began = time.perf_counter()
        s.start()
        ready = time.perf_counter() - began
        first = Wire(s.url).serve("bench", 1).json()
        served = time.perf_counter() - began
        assert first[0][0] == count // 2, first
        start(s, cont=True)
        load(s.port, batch=1000, connections=4, records=count, drop=50)
        left = count - Wire(s.url).report("bench")["received"]
        began = time.perf_counter()
        start(s, cont=True)
        assert Wire(s.url).serve("bench", 1).json()
        repair = time.perf_counter() - began
        memory_end = s.peak_rss_bytes() / (1 << 20)
        began = time.perf_counter()
        load(s.port, batch=1000, connections=4)
        rest = time.perf_counter() - began
        assert Wire(s.url).report("bench")["received"] >= count - 1
    return [
        Figure("memory, 10 M records half received", memory, "MiB", 64.0, PEER["memory"],
               note=f"the highest so far; {memory_end:.0f} MiB at the end of the job"),
        Figure("start on a half-done job of 10 M", ready, "s", 0.5,
               note=f"after kill -9; its first record after {served:.3f} s"),
        Figure("first record after such a start", served, "s", None, PEER["restart"],
               note="the peer: a job of 1 M"),
        Figure("repair of 10 M, 1 % unfinished, to the first record", repair, "s", 0.1,
               note=f"{left:,} unfinished; all done {rest:.2f} s later"),
    ]  # fmt: skip


def switches(pid: int) -> int:
    """How often the threads of a process went to sleep, in all: each time they were woken."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def measure_idle(bench: Bench) -> list[Figure]:
    """A server with a job half done and nobody asking."""
    seconds = 10.0
    with server(bench, 2_000_000) as s:
        start(s)
        load(s.port, batch=1000, connections=4, records=100_000)
        signal.sigtimedwait([], 3)  # what the load left to do is done now
        before, woken = s.cpu_s(), switches(s.pid)
        signal.sigtimedwait([], seconds)
        cpu = (s.cpu_s() - before) / seconds * 100
        wakes = (switches(s.pid) - woken) / seconds
    return [
        Figure("CPU when idle", cpu, "%", 0.1),
        Figure("wake-ups when idle", wakes, "1/s", 0.0),
    ]


def measure_machine(bench: Bench) -> list[Figure]:
    return [
        Figure("machine: syncs of 4 KiB", machine.sync_rate(bench.folder), "1/s"),
        Figure("machine: write and sync by 1 MiB",
               machine.write_bytes_per_s(bench.folder, 1 << 20) / 1e9, "GB/s"),
        Figure("machine: memory copy, one core", machine.memory_bytes_per_s() / 1e9, "GB/s"),
    ]  # fmt: skip


def stands_alone(program: str) -> list[Figure]:
    """What a program of bench/ tells by itself."""
    done = subprocess.run([BUILD / "bench" / program], capture_output=True, text=True, check=True)
    known = ("name", "value", "unit", "goal", "peer", "ratio", "limit")
    return [
        Figure(**{k: told[k] for k in known}, note=told.get("peer_name") or "")
        for told in map(json.loads, done.stdout.splitlines())
    ]


def measure_json(_: Bench) -> list[Figure]:
    return stands_alone("bench_json")


def measure_dispatch(_: Bench) -> list[Figure]:
    return stands_alone("bench_dispatch")


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "machine": measure_machine,
    "json": measure_json,
    "dispatch": measure_dispatch,
    "throughput_1000": measure_throughput_1000,
    "throughput_100": measure_throughput_100,
    "throughput_1": measure_throughput_1,
    "latency": measure_latency,
    "client": measure_client,
    "ten_million": measure_ten_million,
    "idle": measure_idle,
    **queue_python.MEASURES,
    **run_bench.MEASURES,
    **openaleph_bench.MEASURES,
    **queue_measures.MEASURES,
    **flow_bench.MEASURES,
    **steps_bench.MEASURES,
}


# Names for several of them.
GROUPS = {
    "queue": [name for name in MEASURES if name.startswith(("queue", "openaleph"))],
    "steps": list(steps_bench.MEASURES),
}


BEGIN, END = "<!-- table: make bench writes it -->", "<!-- end of the table -->"


def update_readme(figures: list[Figure]) -> None:
    """Puts the figures into the README's table; rows of what was not taken now stay."""
    path = ROOT / "bench" / "README.md"
    before, rest = path.read_text().split(BEGIN)
    old, after = rest.split(END)
    rows = {row[0]: row for row in [*rows_in(old), *rows_of(figures)]}
    text = table(list(rows.values()))
    path.write_text(before + BEGIN + "\n\n" + text + "\n\n" + END + after)


def merge(figures: list[Figure]) -> None:
    """Writes build/bench.json; figures of measures that were not taken now stay."""
    path = BUILD / "bench.json"
    new = {f.name: asdict(f) for f in figures}
    old = json.loads(path.read_text()) if path.exists() else []
    kept = [f for f in old if f["name"] not in new]
    path.write_text(json.dumps(kept + list(new.values()), indent=1) + "\n")


def main() -> int:
    there = [*MEASURES, *GROUPS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(there))
    parser.add_argument("--rounds", type=int, default=3, help="of each measure")
    parser.add_argument("--update-readme", action="store_true")
    parser.add_argument("--jsonlbatch", type=Path, metavar="DIR", help="a copy of the original")
    parser.add_argument(
        "--peer-python", default="python3", metavar="PYTHON", help="that has what it imports"
    )
    args = parser.parse_args()
    wanted = {one for name in args.names or MEASURES for one in GROUPS.get(name, [name])}
    unknown = wanted - set(MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are: {', '.join(there)}")
    INPUTS.mkdir(parents=True, exist_ok=True)
    bench = Bench(INPUTS, args.rounds, args.jsonlbatch, args.peer_python)
    figures: list[Figure] = []
    for name, measure in MEASURES.items():
        if name not in wanted:
            continue
        print(f"bench: {name}", flush=True)
        told = measure(bench)
        for f in told:
            print(f"bench:   {f.name}: {shown(f.value)} {f.unit}", flush=True)
        merge(told)
        figures += told
    print("\n" + table(rows_of(figures)))
    print(f"\nwritten to {BUILD / 'bench.json'}; load now {os.getloadavg()[0]:.1f}")
    if args.update_readme:
        update_readme(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
