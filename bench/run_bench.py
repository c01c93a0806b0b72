"""Measures of `penstock run`, beside the original JsonlBatch where its folder is given."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from figure import BUILD, ROOT, Bench, Figure, input_file

RECORD = 200
TASKS = ROOT / "bench" / "tasks"
# Of JsonlBatch on a machine of the same kind, medians; used when its folder is not given.
PEER = {"noop": 4310.0, "noop memory": 402.0, "resume": 32.5, "sleep 50": 59.4, "sleep 500": 8.3}


@dataclass
class Ran:
    """One run of a command, with its children: seconds, and the memory of the largest process."""

    seconds: float
    cpu_s: float
    peak_mib: float


@contextmanager
def folder(bench: Bench) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="run-", dir=bench.folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def watch_memory(pid: int, peaks: dict[int, int]) -> None:
    """The most memory, in KiB, of the process and each of its children, until it is gone.

    What wait4 tells of a child began as this process's own: it is copied before it is exchanged.
    A process that still has its parent's command is such a copy, and is passed over.
    """
    ours = Path("/proc/self/cmdline").read_bytes()
    while True:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            for one in [pid, *map(int, children)]:
                copied = Path(f"/proc/{one}/cmdline").read_bytes() == (
                    ours if one == pid else command
                )
                if copied:
                    continue
                for line in Path(f"/proc/{one}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peaks[one] = int(line.split()[1])
        except OSError:
            if not Path(f"/proc/{pid}").exists():
                return
        if "\nVmHWM" not in status_of(pid):
            return
        time.sleep(0.05)


def status_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def timed(command: list[str], cwd: Path) -> Ran:
    began = time.perf_counter()
    with (cwd / "stderr").open("wb") as told:
        child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=told)
        peaks: dict[int, int] = {}
        looking = threading.Thread(target=watch_memory, args=(child.pid, peaks))
        looking.start()
        assert child.stdout
        child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    looking.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        text = (cwd / "stderr").read_text(errors="replace")[-2000:]
        sys.exit(f"bench: {' '.join(command)} ended with {child.returncode}:\n{text}")
    return Ran(seconds, used.ru_utime + used.ru_stime, max(peaks.values(), default=0) / 1024)


def penstock(cwd: Path, *args: str) -> Ran:
    """A run in that folder, whose in.jsonl and out.jsonl it takes."""
    common = ["--input", "in.jsonl", "--output", "out.jsonl", "--quiet", "--python", sys.executable]
    return timed([str(BUILD / "penstock"), "run", *args, *common], cwd)


def lines(path: Path) -> int:
    done = subprocess.run(["wc", "-l", path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def must_have(path: Path, count: int) -> None:
    if lines(path) != count:
        sys.exit(f"bench: {path} has {lines(path)} lines, not {count}")


def jsonlbatch(bench: Bench, cwd: Path, task: Path, count: int, concurrency: int) -> Ran | None:
    """The original on the first `count` records of in.jsonl, in a copy of its folder."""
    if not bench.jsonlbatch:
        return None
    home = cwd / "original"
    shutil.copytree(bench.jsonlbatch, home, ignore=shutil.ignore_patterns(".git"))
    (home / "config.py").write_text(
        "class Settings:\n"
        "    INPUT_FILE = 'input.jsonl'\n    OUTPUT_FILE = 'output.jsonl'\n"
        "    ERROR_FILE = 'error.jsonl'\n    LOG_FILE = 'processor.log'\n"
        "    ID_KEY = 'id'\n    RERUN_KEY = None\n"
        f"    MAX_CONCURRENCY = {concurrency}\n    REQUESTS_PER_MINUTE = 0\n"
        "    WRITE_BATCH_SIZE = 100\n    MAX_RETRIES = 0\n    RETRY_INITIAL_DELAY = 2.0\n"
        "    LOG_LEVEL = 'INFO'\n\n\nsettings = Settings()\n"
    )
    hooks = ("async def on_startup():\n    return {}", "async def on_shutdown(context):\n    pass")
    (home / "task.py").write_text("\n\n\n".join([task.read_text(), *hooks]) + "\n")
    with (cwd / "in.jsonl").open("rb") as whole, (home / "input.jsonl").open("wb") as part:
        part.writelines(line for line, _ in zip(whole, range(count), strict=False))
    ran = timed([bench.peer_python, "main.py"], home)
    must_have(home / "output.jsonl", count)
    return ran


def rates(bench: Bench, count: int, *args: str, size: int = RECORD) -> tuple[float, float, float]:
    """Median records/s of whole commands, the CPU of it in us a record, and the most memory."""
    told = []
    for _ in range(bench.rounds):
        with folder(bench) as cwd:
            os.link(input_file(count, size), cwd / "in.jsonl")
            told.append(penstock(cwd, *args))
            must_have(cwd / "out.jsonl", count)
    return (
        count / statistics.median(one.seconds for one in told),
        statistics.median(one.cpu_s for one in told) / count * 1e6,
        max(one.peak_mib for one in told),
    )


def measure_noop(bench: Bench) -> list[Figure]:
    count, peer_count = 3_000_000, 200_000
    task = TASKS / "noop.py"
    peer_rate, peer_mib = PEER["noop"], PEER["noop memory"]
    with folder(bench) as cwd:
        os.link(input_file(count, RECORD), cwd / "in.jsonl")
        peer = jsonlbatch(bench, cwd, task, peer_count, 100)
    if peer:
        peer_rate, peer_mib = peer_count / peer.seconds, peer.peak_mib
    figures = []
    for processes, goal in ((1, 400_000.0), (2, 600_000.0)):
        rate, cpu, mib = rates(bench, count, str(task), "--processes", str(processes))
        figures.append(
            Figure(f"run: a coroutine that does nothing, {processes} process(es)", rate,
                   "records/s", goal, peer_rate, note=f"{count:,} records, {cpu:.2f} us CPU each")
        )  # fmt: skip
        figures.append(
            Figure(f"run: memory of the largest process, {processes} process(es)", mib, "MiB", None,
                   peer_mib, note=f"peer: {peer_count:,} records")
        )  # fmt: skip
    return figures


def measure_run_exec(bench: Bench) -> list[Figure]:
    count = 5_000_000
    rate, cpu, _ = rates(bench, count, "--exec", str(BUILD / "bench" / "copy_lines"))
    return [
        Figure("run --exec: a C program that copies lines", rate, "records/s", 1_500_000.0,
               PEER["noop"], note=f"{count:,} records, {cpu:.2f} us CPU each; peer: its no-op")
    ]  # fmt: skip


def measure_sleep(bench: Bench) -> list[Figure]:
    figures = []
    for concurrency, processes in ((50, 1), (500, 1), (2000, 2)):
        count = min(concurrency * 3000, 3_000_000)  # half a minute: the start is in it
        ideal = concurrency / 0.010
        peer = PEER.get(f"sleep {concurrency}")
        with folder(bench) as cwd:
            os.link(input_file(count, RECORD), cwd / "in.jsonl")
            if concurrency <= 500:
                few = jsonlbatch(bench, cwd, TASKS / "sleep.py", 50_000, concurrency)
                peer = 50_000 / few.seconds / ideal * 100 if few else peer
        rate, cpu, _ = rates(
            bench, count, str(TASKS / "sleep.py"),
            "--concurrency", str(concurrency), "--processes", str(processes),
        )  # fmt: skip
        figures.append(
            Figure(f"run: sleeps of 10 ms, concurrency {concurrency:,}", rate / ideal * 100,
                   "% of ideal", 97.0, peer,
                   note=f"{rate:,.0f}/s, {processes} process(es), {cpu:.1f} us CPU each")
        )  # fmt: skip
    return figures


def resume(bench: Bench, *args: str) -> tuple[float, float]:
    """Ten million done but for the last thousand: seconds to the first start, and memory."""
    count, left = 10_000_000, 1000
    with folder(bench) as cwd:
        os.link(input_file(count, RECORD), cwd / "in.jsonl")
        if args:
            with (cwd / "in.jsonl").open("rb") as whole, (cwd / "out.jsonl").open("wb") as out:
                shutil.copyfileobj(whole, out, 1 << 24)
                out.truncate((count - left) * RECORD)
        else:
            penstock(cwd, str(TASKS / "noop.py"), "--limit", str(count - left))
            must_have(cwd / "out.jsonl", count - left)
        done_bytes = (cwd / "out.jsonl").stat().st_size
        began = time.clock_gettime(time.CLOCK_MONOTONIC)
        ran = penstock(cwd, str(TASKS / "starts.py"), *args)
        must_have(cwd / "out.jsonl", count)
        with (cwd / "out.jsonl").open("rb") as out:
            out.seek(done_bytes)
            return float(orjson.loads(out.readline())["at"]) - began, ran.peak_mib


def measure_resume(bench: Bench) -> list[Figure]:
    by_id, id_mib = resume(bench, "--id-key", "id")
    by_number, number_mib = resume(bench)
    return [
        Figure("run: first record with 10 M done, by id", by_id, "s", 5.0, PEER["resume"],
               note="peer: 190,000 done"),
        Figure("run: memory with 10 M done ids", id_mib, "MiB", 400.0),
        Figure("run: first record with 10 M done, by number", by_number, "s", 0.5),
        Figure("run: memory with 10 M done, by number", number_mib, "MiB", 64.0),
    ]  # fmt: skip


def most_in_a_second(at: list[float]) -> int:
    """The most starts that any second holds."""
    most = first = 0
    for last, now in enumerate(at):
        while at[first] <= now - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def measure_rate(bench: Bench) -> list[Figure]:
    count, rpm = 20_000, 60_000
    with folder(bench) as cwd:
        os.link(input_file(count, RECORD), cwd / "in.jsonl")
        penstock(cwd, str(TASKS / "starts.py"), "--rpm", str(rpm))
        at = sorted(orjson.loads(line)["at"] for line in (cwd / "out.jsonl").open("rb"))
    if len(at) != count:
        sys.exit(f"bench: {len(at)} results of {count}")
    return [
        Figure("run: rate at 60,000 a minute", (count - 1) / (at[-1] - at[0]) / (rpm / 60) * 100,
               "% of the limit", 99.0),
        Figure("run: most starts in any second at 60,000 a minute", most_in_a_second(at),
               "starts", 1000.0),
    ]  # fmt: skip


def measure_one(bench: Bench) -> list[Figure]:
    told = []
    for _ in range(max(5, bench.rounds)):
        with folder(bench) as cwd:
            os.link(input_file(1, RECORD), cwd / "in.jsonl")
            told.append(penstock(cwd, str(TASKS / "noop.py")).seconds)
    return [Figure("run: one record, the whole command", statistics.median(told), "s", 0.25)]


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "run_noop": measure_noop,
    "run_exec": measure_run_exec,
    "run_sleep": measure_sleep,
    "run_resume": measure_resume,
    "run_rate": measure_rate,
    "run_one": measure_one,
}
