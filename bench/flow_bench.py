"""Measures of `penstock flow`: nodes that do nothing, side by side with others that run graphs."""

from __future__ import annotations

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
from pathlib import Path

from figure import BUILD, Bench, Figure
from flow_peers import TOGETHER, Shape, list_file, rate, seconds

PENSTOCK = str(BUILD / "penstock")
SHAPES = {"wide": 2000, "chain": 1000}
# The slow ones get fewer: what their start takes is little beside that all the same.
PEER_COUNTS = {"make": 2000, "ninja": 2000, "luigi": 300, "snakemake": 100}
PYTHON_NODE, SHELL_NODE = "noop|Noop", ":;:"
ROWS = 100_000
IDLE_S = 5.0
WORKERS = """\
import time
from pyrunner import Worker


class Noop(Worker):
    def run(self):
        pass


class Sleeps(Worker):
    def run(self):
        time.sleep(600)
"""


@contextmanager
def folder(bench: Bench) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="flow-", dir=bench.folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def write_app(where: Path, text: str) -> list[str]:
    """The folder of an application with this list; the command that runs it."""
    (where / "config").mkdir(parents=True)
    (where / "python").mkdir()
    (where / "config" / "bench.lst").write_text(text)
    (where / "python" / "noop.py").write_text(WORKERS)
    options = ["-n", str(TOGETHER), "--silent"]
    # The virtual environment's, as with the others: what a system adds to its own Python at each
    # start is not what is measured.
    options += ["--python", sys.executable]
    return [PENSTOCK, "flow", "run", "config/bench.lst", *options]


def ours(bench: Bench, shape: Shape, node: str) -> float:
    """Nodes a second, the whole command; the median."""
    rates = []
    for _ in range(bench.rounds):
        with folder(bench) as where:
            command = write_app(where / "app", list_file(shape, node))
            rates.append(shape.count / seconds(command, where / "app"))
    return statistics.median(rates)


def peers(bench: Bench, names: list[str], shape: str) -> dict[str, float]:
    """Of those that are there."""
    found = {}
    for name in names:
        with folder(bench) as where:
            told = rate(name, Shape(shape, PEER_COUNTS.get(name, 500)), where / name)
        if told:
            found[name] = told
    return found


def side_by_side(
    bench: Bench, node: str, what: str, names: list[str], goals: list[float | None]
) -> list[Figure]:
    """Both shapes: nodes a second, and milliseconds for each node of a chain."""
    wide = ours(bench, Shape("wide", SHAPES["wide"]), node)
    chain = ours(bench, Shape("chain", SHAPES["chain"]), node)
    wide_peers, chain_peers = (peers(bench, names, shape) for shape in SHAPES)
    first = names[0]

    def note(found: dict[str, float], unit: str, of: Callable[[float], float]) -> str:
        told = [f"{name} {of(value):,.3g}" for name, value in found.items()]
        return f"whole command; {', '.join(told)} {unit}" if told else "whole command"

    in_ms = 1000 / chain
    peer_chain = chain_peers.get(first)
    return [
        Figure(f"flow: {what}, {SHAPES['wide']:,} side by side", wide, "nodes/s", goals[0],
               wide_peers.get(first), note=note(wide_peers, "nodes/s", float)),
        Figure(f"flow: {what}, a chain of {SHAPES['chain']:,}", in_ms, "ms a node", goals[1],
               1000 / peer_chain if peer_chain else None,
               note=note(chain_peers, "ms a node", lambda value: 1000 / value)),
    ]  # fmt: skip


def measure_python(bench: Bench) -> list[Figure]:
    names = ["python-batch-runner", "luigi", "snakemake"]
    return side_by_side(bench, PYTHON_NODE, "Workers that do nothing", names, [500, 2.5])


def measure_shell(bench: Bench) -> list[Figure]:
    return side_by_side(bench, SHELL_NODE, "shell nodes", ["make", "ninja"], [1079, 1000 / 576])


def measure_one(bench: Bench) -> list[Figure]:
    """One node, from the start of the command to its end."""
    took = {
        what: statistics.median(1 / ours(bench, Shape("wide", 1), node) for _ in range(3))
        for what, node in (("Python", PYTHON_NODE), ("shell", SHELL_NODE))
    }
    return [
        Figure("flow: one Worker, the whole command", took["Python"], "s", 0.2,
               note=f"a shell node {took['shell']:.3f} s"),
    ]  # fmt: skip


def measure_check(bench: Bench) -> list[Figure]:
    with folder(bench) as where:
        write_app(where / "app", list_file(Shape("chain", ROWS), PYTHON_NODE))
        command = [PENSTOCK, "flow", "check", "config/bench.lst"]
        took = [seconds(command, where / "app") for _ in range(bench.rounds)]
    return [Figure(f"flow: check of {ROWS:,} rows", statistics.median(took), "s", 1.0)]


def processes(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += processes(int(child))
    return found


def field(pid: int, name: str) -> int:
    """A number of /proc/PID/status, of all threads."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith(name):
                total += int(line.split()[1])
    return total


@contextmanager
def waiting(where: Path, rows: str) -> Iterator[int]:
    """A flow whose first node waits; the process of its command. It is stopped at the end."""
    first = "1|-1|1|0|first|noop|Sleeps||first.log\n"
    command = write_app(where / "app", "#PYTHON\n" + first + rows)
    began = time.monotonic()
    with (where / "said").open("wb") as said:
        child = subprocess.Popen(command, cwd=where / "app", stdout=said, stderr=said)
    try:
        while not (where / "app" / "first.log").exists():
            if child.poll() is not None or time.monotonic() - began > 120:
                sys.exit(f"bench: no node starts: {(where / 'said').read_text()[-2000:]}")
            time.sleep(0.05)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def layers(count: int) -> str:
    """Rows from 2 on, each behind two of the layer before: twice as many edges as nodes."""
    rows = []
    for n in range(2, count + 1):
        behind = "1" if n < 4 else f"{n - 2 - n % 2},{n - 1 - n % 2}"
        rows.append(f"{n}|{behind}|1|0|node {n}|noop|Noop||/dev/null\n")
    return "".join(rows)


def measure_size(bench: Bench) -> list[Figure]:
    with folder(bench) as where:
        began = time.perf_counter()
        with waiting(where, layers(ROWS)) as pid:
            took = time.perf_counter() - began
            status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))
    return [
        Figure(f"flow: memory of {ROWS:,} nodes, two parents each", peak / 1024, "MiB", 256,
               note=f"the first node runs {took:.2f} s after the start"),
    ]  # fmt: skip


def measure_idle(bench: Bench) -> list[Figure]:
    with folder(bench) as where, waiting(where, "2|1|1|0|second|noop|Noop||/dev/null\n") as pid:
        time.sleep(3)  # what the start left to do is done now
        before = {one: field(one, "voluntary_ctxt_switches") for one in processes(pid)}
        time.sleep(IDLE_S)
        woken = sum(field(one, "voluntary_ctxt_switches") - n for one, n in before.items())
    note = f"{len(before)} processes, while a node sleeps"
    return [Figure("flow: wake-ups when idle", woken / IDLE_S, "1/s", 0.0, note=note)]


PARTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "python": measure_python,
    "shell": measure_shell,
    "one": measure_one,
    "check": measure_check,
    "size": measure_size,
    "idle": measure_idle,
}


def measure_flow(bench: Bench) -> list[Figure]:
    os.environ.pop("VIRTUAL_ENV", None)
    return [figure for part in PARTS.values() for figure in part(bench)]


MEASURES = {
    "flow": measure_flow,
}
