"""The measures of processing steps: C clients drive the server, pinexq's own client beside them."""

from __future__ import annotations

import json
import shutil
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

PINEXQ_PYTHON = ROOT / ".venv-pinexq" / "bin" / "python"
CLIENT = ROOT / "bench" / "steps_client.py"
MANIFEST = {
    "function_name": "add",
    "version": "1.0.0",
    "short_description": "adds",
    "parameters": {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 2}},
        "required": ["x"],
        "additionalProperties": False,
    },
    "input_dataslots": [{"name": "data", "mediatype": "text/csv", "minSlots": 0}],
    "output_dataslots": [{"name": "plot", "mediatype": "image/png", "minSlots": 1}],
}
NATIVE, SIREN = "/v1/step-jobs", "/api/JobsRoot/RapidSetupJob"
MIB = 1 << 20
MILLION = 1_000_000
PENDING = 100_000


def address(kind: str, id: int) -> str:
    return f"/api/{kind}/00000000-0000-8000-8000-{id:012x}"


class Bed:
    """A server with one step, and what asks it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.wire = Wire(server.url)
        self.step = int(self.call("POST", "/v1/steps", MANIFEST)["id"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.wire.call(method, path, body=body)
        if answer.status >= 400:
            sys.exit(f"bench: {method} {path}: {answer}")
        return answer.json()

    def drive(self, program: str, *arguments: str, **options: Any) -> dict[str, Any]:
        command = [str(BUILD / "bench" / program), *arguments]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"bench: {' '.join(command)}: {done.stderr}")
        return dict(json.loads(done.stdout))

    def ask(self, **options: Any) -> tuple[float, float]:
        """Requests a second, and the server's CPU for each in microseconds."""
        before = self.server.cpu_s()
        told = self.drive("steps_load", port=self.server.port, **options)
        count = int(told["answers"]["count"])
        return count / float(told["seconds"]), (self.server.cpu_s() - before) / count * 1e6

    def set_up(self, path: str, count: int, start: bool = True, **options: Any) -> Any:
        body = self.server.folder / "body.json"
        body.write_text(json.dumps(self.native(start) if path == NATIVE else self.siren(start)))
        return self.ask(method="POST", path=path, body=body, expect=201, requests=count, **options)

    def native(self, start: bool) -> dict[str, Any]:
        return {
            "name": "fit #",
            "step": self.step,
            "parameters": {"x": 5},
            "tags": ["bench", "some=@"],
            "start": start,
        }

    def siren(self, start: bool) -> dict[str, Any]:
        return {
            "Name": "fit #",
            "ProcessingStepUrl": self.server.url + address("ProcessingStep", self.step),
            "Parameters": '{"x": 5}',
            "Tags": ["bench", "some=@"],
            "Start": start,
        }


@contextmanager
def bed(bench: Bench) -> Iterator[Bed]:
    """A server whose folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="steps-", dir=bench.folder))
    server = ServerProcess(folder)
    try:
        yield Bed(server.start())
    finally:
        server.kill()
        shutil.rmtree(folder)


def medians(told: list[tuple[float, ...]]) -> list[float]:
    return [statistics.median(column) for column in zip(*told, strict=True)]


def measure_set_ups(bench: Bench) -> list[Figure]:
    """A job in one call, durable, started."""
    figures = []
    for surface, path in (("native", NATIVE), ("Siren", SIREN)):
        told = []
        for _ in range(bench.rounds):
            with bed(bench) as b:
                told.append(
                    (*b.set_up(path, 40_000, connections=32), machine.sync_rate(bench.folder))
                )
        rate, cpu_us, syncs = medians(told)
        figures.append(
            Figure(
                f"steps: rapid set-ups, {surface}", rate, "jobs/s", 5_000,
                note=f"32 connections, server CPU {cpu_us:.0f} us each;"
                f" the disk alone: {syncs:,.0f} syncs/s",
            )
        )  # fmt: skip
    return figures


def measure_documents(bench: Bench) -> list[Figure]:
    """Whole documents of a thousand jobs in turn."""
    figures = []
    with bed(bench) as b:
        b.set_up(NATIVE, 1000, connections=1)
        first = b.step + 1
        for surface, path, goal in (
            ("native", f"/v1/step-jobs/{first}", None),
            ("Siren", address("Job", first), 10_000.0),
        ):
            told = [b.ask(path=path, requests=60_000, connections=16) for _ in range(bench.rounds)]
            rate, cpu_us = medians(told)
            figures.append(
                Figure(
                    f"steps: documents of a job, {surface}", rate, "1/s", goal,
                    note=f"16 connections, server CPU {cpu_us:.0f} us each",
                )
            )  # fmt: skip
    return figures


def measure_client(bench: Bench) -> list[Figure]:
    """Rapid set-ups by pinexq's client: how little of the work is the server's."""
    told = []
    count = 1000  # CPU times come in steps of 10 ms
    for _ in range(bench.rounds):
        with bed(bench) as b:
            before = b.server.cpu_s()
            done = subprocess.run(
                [str(PINEXQ_PYTHON), str(CLIENT), b.server.url, "add", str(count)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"bench: {CLIENT.name}: {done.stderr}")
            one = json.loads(done.stdout)
            share = (b.server.cpu_s() - before) / one["cpu_s"] * 100
            told.append((share, count / one["seconds"]))
    share, rate = medians(told)
    return [
        Figure(
            "steps: server's CPU beside pinexq-client's", share, "%", 10.0,
            note=f"rapid set-ups one after the other, {rate:,.0f} jobs/s",
        )
    ]  # fmt: skip


STREAMS = 1000


def owners_keys(b: Bed) -> str:
    """A file with a key of an owner of its own for each stream."""
    file = b.server.folder / "keys"
    with file.open("w") as out:
        for number in range(STREAMS):
            wanted = {"name": f"k{number}", "scopes": ["admin"], "owner": f"o{number}"}
            out.write(b.call("POST", "/v1/keys", wanted)["secret"] + "\n")
    return str(file)


def stream_row(
    what: str, goal: float | None, told: list[dict[str, Any]], limit: float, limited_by: str
) -> Figure:
    """The p99 of an event, with all else in the note. Nothing may be lost."""
    lost = sum(int(one["lost"]) + int(one["broken"]) for one in told)
    if lost:
        sys.exit(f"bench: {what}: {lost} events did not come, or streams ended")
    columns: list[tuple[float, ...]] = [
        (one["way"]["p50_ms"], one["way"]["p99_ms"], one["told"] / 10, one["server_cpu_s"] / 10)
        for one in told
    ]
    p50, p99, rate, cpu = medians(columns)
    note = f"{rate:,.0f} deliveries/s, p50 {p50:.2f} ms, server CPU {cpu * 100:.0f} % of a core"
    note += f"; limit: {limited_by}"
    return Figure(f"steps: p99 of an event, {what}", p99, "ms", goal, limit=limit, note=note)


def measure_streams(bench: Bench) -> list[Figure]:
    """A thousand changes a second and a thousand streams: of as many owners, and all of one."""
    told: dict[str, list[dict[str, Any]]] = {"own": [], "all": []}
    bare: list[float] = []
    syncs: list[float] = []
    for _ in range(bench.rounds):
        syncs.append(machine.sync_p99_ms(bench.folder, 4096, 1_000, 2_000))
        for kind, all_told in told.items():
            with bed(bench) as b:
                keys = {"keys": owners_keys(b)} if kind == "own" else {}
                before = b.server.cpu_s()
                one = b.drive("steps_streams", port=b.server.port, path="/api/Events", **keys)
                one["server_cpu_s"] = b.server.cpu_s() - before
                all_told.append(one)
                if kind == "all":
                    with machine.bare_streams(BUILD) as port:
                        sent = b.drive("steps_streams", port=port, path="/api/Events")
                    bare.append(sent["way"]["p99_ms"])
    return [
        stream_row("each change to one of 1,000 streams", 10.0, told["own"],
                    statistics.median(syncs), "the p99 of a sync, 1,000 a second"),
        stream_row("each change to all of 1,000 streams", None, told["all"],
                    statistics.median(bare), "an epoll loop that only sends"),
    ]  # fmt: skip


def measure_bytes(bench: Bench) -> list[Figure]:
    """One large file as a form to the Siren surface, and back."""
    told = []
    size = 1 << 30
    for _ in range(bench.rounds):
        with bed(bench) as b:
            port = str(b.server.port)
            up = b.drive("steps_bytes", "up", port, "/api/WorkDataRoot/Upload", str(size), "form")
            if up["status"] != 201:
                sys.exit(f"bench: the upload is answered {up}")
            id = int(up["location"].rpartition("-")[2], 16)
            link = b.wire.call("GET", address("WorkData", id)).json()["links"]
            path = next(one["href"] for one in link if one["rel"] == ["Download"])
            path = path.removeprefix(b.server.url)
            down = b.drive("steps_bytes", "down", port, path)
            if down["bytes"] != size:
                sys.exit(f"bench: the download is answered {down}")
            rates = [size / one["seconds"] / 1e6 for one in (up, down)]
            disk = machine.write_bytes_per_s(bench.folder, MIB) / 1e6
            told.append((*rates, b.server.peak_rss_bytes() / MIB, disk))
    up_rate, down_rate, rss, disk = medians(told)
    return [
        Figure("steps: upload of 1 GiB, as a form", up_rate, "MB/s", 500, limit=disk,
               note="hashed, written and synced; limit: writing and syncing alone"),
        Figure("steps: download of 1 GiB", down_rate, "MB/s", 500),
        Figure("steps: server's memory with both", rss, "MiB", 64),
    ]  # fmt: skip


def measure_query(bench: Bench) -> list[Figure]:
    """The first page of what has a tag, a state and a name, among a million jobs."""
    with bed(bench) as b:
        b.set_up(NATIVE, MILLION - PENDING, start=False, connections=64)
        b.set_up(NATIVE, PENDING, start=True, connections=64, first=MILLION - PENDING)
        wanted = {"TagsByAnd": ["some=7"], "State": "Pending", "Name": "5"}
        query = {"Filter": wanted, "Pagination": {"PageSize": 50, "PageOffset": 0}}
        times = []
        for _ in range(20):
            began = time.perf_counter()
            made = b.wire.call("POST", "/api/JobsRoot/CreateJobQuery", body=query)
            place = made.headers["location"].removeprefix(b.server.url)
            page = b.wire.call("GET", place).json()
            times.append((time.perf_counter() - began) * 1e3)
        found = page["properties"]
        if found["CurrentEntitiesCount"] != min(50, found["TotalEntities"]):
            sys.exit(f"bench: the page has {found}")
        rss = b.server.peak_rss_bytes() / MIB
    return [
        Figure(
            "steps: first page of a query among 1 M jobs", statistics.median(times), "ms", 50,
            note=f"tag, state and name: {found['TotalEntities']:,} match; the slowest of 20"
            f" {max(times):.0f} ms; server's memory {rss:,.0f} MiB",
        )
    ]  # fmt: skip


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "steps_set_ups": measure_set_ups,
    "steps_documents": measure_documents,
    "steps_client": measure_client,
    "steps_streams": measure_streams,
    "steps_bytes": measure_bytes,
    "steps_query": measure_query,
}
