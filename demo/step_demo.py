#!/usr/bin/env python3
"""Processing steps called by pinexq's own client: one file, two versions of a fit, forty jobs.

The file is what researchers of the Palmer Archipelago wrote down of 344 penguins. A step cleans it,
another fits one measure to a second and draws a plot; of that there are two versions. The client
from PyPI uploads the file, sets up forty jobs, and waits for the server's events; one of the
processes that do the work is killed on the way. At the end it is proved that each job has one
result and one whole plot, and that what is deleted is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pinexq.client.job_management import (
    Job,
    JobQuery,
    JobStates,
    ProcessingStep,
    WorkData,
    WorkDataQuery,
)
from pinexq.client.job_management.tool.job import InputDataSlotParameterFlexible

ROOT = Path(__file__).resolve().parent.parent
PENSTOCK = ROOT / "build" / "penstock"
DATA = ROOT / "demo-steps-data"
STATE, TEMPORARY, PLOTS = DATA / "state", DATA / "tmp", DATA / "plots"
RAW = "penguins-raw.csv"
VERSIONS = ("1.0.0", "2.0.0")
SPECIES = ("all", "Adelie", "Chinstrap", "Gentoo")
PAIRS = (
    ("flipper_length_mm", "body_mass_g"),
    ("bill_length_mm", "body_mass_g"),
    ("bill_depth_mm", "body_mass_g"),
    ("bill_length_mm", "bill_depth_mm"),
    ("flipper_length_mm", "bill_length_mm"),
)
PROCESSES = 2
KILL_AFTER = 12
WAIT_S = 120.0


class Question(NamedTuple):
    """What one of the forty jobs is asked."""

    version: str
    species: str
    x: str
    y: str

    @property
    def name(self) -> str:
        return f"{self.y} by {self.x}, {self.species}, version {self.version[0]}"

    @property
    def parameters(self) -> str:
        return json.dumps({"species": self.species, "x": self.x, "y": self.y})


QUESTIONS = [
    Question(version, species, x, y)
    for version, species, (x, y) in itertools.product(VERSIONS, SPECIES, PAIRS)
]


def say(text: str) -> None:
    print(text, flush=True)


def shown(path: Path) -> str:
    return os.path.relpath(path)


def start_server() -> tuple[subprocess.Popen[str], str]:
    log = (DATA / "server.log").open("a")
    command = [str(PENSTOCK), "serve", "--port", "0", "--data", str(DATA), "--state", str(STATE)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    log.close()
    assert server.stdout
    if not server.stdout.readline():
        raise SystemExit(f"the server did not start: {shown(DATA / 'server.log')} says why")
    return server, str(json.loads((STATE / "server.json").read_text())["url"])


def start_worker(url: str) -> subprocess.Popen[bytes]:
    """Serves the steps in processes of this program's Python."""
    command = [str(PENSTOCK), "worker", "fits:*", "--processes", str(PROCESSES)]
    with (DATA / "worker.log").open("w") as log:
        return subprocess.Popen(
            [*command, "--concurrency", "1", "--python", sys.executable],
            cwd=ROOT / "demo" / "steps",
            env={**os.environ, "PENSTOCK_SERVER": url, "TMPDIR": str(TEMPORARY)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def children(pid: int) -> list[int]:
    """The processes that a process started and that live."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def registered(client: httpx.Client, name: str, version: str) -> ProcessingStep:
    """The step, as soon as the worker has registered it."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return ProcessingStep.from_name(client, name, version)
        except NameError:
            if time.monotonic() > deadline:
                raise SystemExit(f"the steps are not there: {shown(DATA / 'worker.log')}") from None
            time.sleep(0.1)


def input_of(data: Any) -> list[InputDataSlotParameterFlexible]:
    return [InputDataSlotParameterFlexible.create(index=0, work_data_instances=[data])]


def clean(client: httpx.Client, raw: WorkData) -> WorkData:
    """The step that cleans, one call after the other, as a user at the keyboard would."""
    job = Job(client).create("clean").select_processing(function_name="clean")
    job.assign_input_dataslot(0, work_data_instance=raw)
    job.start().wait_for_completion(timeout_s=WAIT_S)
    counts = job.get_result()
    say(f"  {counts['rows']} rows in, {counts['kept']} birds of which everything is known")
    (table,) = job.get_output_data_slots()[0].assigned_workdatas
    return WorkData.from_hco(table)


def set_up(client: httpx.Client, table: WorkData) -> dict[Question, Job]:
    steps = {version: registered(client, "fit", version) for version in VERSIONS}
    began = time.monotonic()
    jobs = {
        question: Job(client).create_and_configure_rapidly(
            name=question.name,
            processing_step_instance=steps[question.version],
            tags=["fits", f"version={question.version}"],
            parameters=question.parameters,
            input_data_slots=input_of(table),
        )
        for question in QUESTIONS
    }
    say(f"  {len(jobs)} jobs set up and started in {time.monotonic() - began:.1f} s")
    return jobs


def follow(jobs: dict[Question, Job], worker: subprocess.Popen[bytes]) -> None:
    """Waits for each job, and kills one of the worker's processes on the way."""
    began = time.monotonic()
    for done, job in enumerate(jobs.values()):
        if done == KILL_AFTER:
            victim = children(worker.pid)[0]
            os.kill(victim, signal.SIGKILL)
            say(f"  * SIGKILL to process {victim} of the worker; what it held runs again")
        job.wait_for_completion(timeout_s=WAIT_S)
        if (done + 1) % 10 == 0:
            say(f"  {done + 1:>3} of {len(jobs)} waited for, {time.monotonic() - began:.1f} s")


def compare(results: dict[Question, dict[str, Any]]) -> None:
    """Both versions side by side: by how much a bird is missed that the fit has not seen."""
    say(f"  {'wanted by known':<36}{'species':<11}{'version 1':>10}{'version 2':>10}")
    gains = []
    for first in QUESTIONS[: len(QUESTIONS) // 2]:
        one, two = results[first], results[first._replace(version=VERSIONS[1])]
        if first.species in ("all", "Gentoo"):
            asked = f"{first.y} by {first.x}"
            say(f"  {asked:<36}{first.species:<11}{one['error']:>10.2f}{two['error']:>10.2f}")
        gains.append(1 - two["error"] / one["error"])
    nearer = sum(gain > 0 for gain in gains)
    gain = f"{statistics.mean(gains):.0%}"
    say(f"  version 2 is nearer in {nearer} of {len(gains)}; its errors are {gain} smaller")


def is_whole_png(data: bytes) -> bool:
    """Signature, every chunk with its checksum, and IEND at the very end."""
    at, name = 8, b""
    while data[:8] == b"\x89PNG\r\n\x1a\n" and at + 12 <= len(data) and name != b"IEND":
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 8 + size
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        at = end + 4
    return name == b"IEND" and at == len(data)


def download(jobs: dict[Question, Job]) -> int:
    """Each job's plot into a file; how many are whole."""
    PLOTS.mkdir()
    whole = 0
    for number, job in enumerate(jobs.values()):
        (plot,) = job.refresh().get_output_data_slots()[0].assigned_workdatas
        data = WorkData.from_hco(plot).download()
        (PLOTS / f"{number:02}.png").write_bytes(data)
        whole += is_whole_png(data)
    return whole


def id_of(thing: Job | WorkData) -> int:
    """Our number, of its address."""
    return int(str(thing.self_link().get_url()).rpartition("-")[2], 16)


def print_lineage(client: httpx.Client, job: Job) -> None:
    (plot,) = job.get_output_data_slots()[0].assigned_workdatas
    artifact = str(id_of(WorkData.from_hco(plot)))
    subprocess.run(
        [str(PENSTOCK), "lineage", artifact, "--down", "0"],
        env={**os.environ, "PENSTOCK_SERVER": str(client.base_url).rstrip("/")},
        check=True,
    )


def delete_one(client: httpx.Client, question: Question, job: Job, table: WorkData) -> bool:
    """A job with a sub job, and the plots of both; whether all that is gone, and only that."""
    step = registered(client, "fit", question.version)
    again = Job(client).create_and_configure_rapidly(
        name="again, of all species",
        parent_job_instance=job,
        processing_step_instance=step,
        parameters=question._replace(species="all").parameters,
        input_data_slots=input_of(table),
    )
    again.wait_for_completion(timeout_s=WAIT_S)
    plots = [one.get_output_data_slots()[0].assigned_workdatas[0] for one in (job, again.refresh())]
    links = [job.self_link(), again.self_link(), *(plot.self_link for plot in plots)]
    there = [link.exists() for link in links]
    job.delete_with_associated()
    left = [link.exists() for link in links]
    say(f"  two jobs and two plots: {sum(there)} were there, {sum(left)} are")
    return bool(all(there) and not any(left) and table.self_link().exists())


def prove(client: httpx.Client, jobs: dict[Question, Job], whole: int) -> bool:
    """Whether each job has one result and one plot, and nothing else is there."""
    completed = JobQuery.create(client, state=JobStates.completed, tags_by_and=["fits"]).count()
    plots = WorkDataQuery.create(client, media_type_contains="image/png").count()
    starts = sum(native(client, f"/v1/step-jobs/{id_of(job)}")["fence"] for job in jobs.values())
    say(
        f"  jobs completed: {completed} of {len(jobs)}; whole plots: {whole}; plots stored: {plots}"
    )
    say(f"  starts: {starts}, {starts - len(jobs)} of them for a run that was killed")
    return bool(completed == len(jobs) == whole == plots)


def native(client: httpx.Client, path: str) -> dict[str, Any]:
    return dict(client.get(path).raise_for_status().json())


def clean_end(client: httpx.Client, worker: subprocess.Popen[bytes]) -> bool:
    """Whether the worker ends well and what is left is what was not deleted."""
    worker.terminate()
    ended = worker.wait(30)
    jobs, data = (query.create(client).count() for query in (JobQuery, WorkDataQuery))
    left = [path for path in TEMPORARY.rglob("*") if path.is_file()]
    say(f"  left: {jobs} jobs, {data} files (raw, clean, plots), {len(left)} temporary files")
    return ended == 0 and jobs == len(QUESTIONS) and data == len(QUESTIONS) + 1 and not left


def story(client: httpx.Client, worker: subprocess.Popen[bytes]) -> bool:
    """What is shown, once server and worker are there. Whether all is proved."""
    say(f"2. The file: {RAW}, as it was written down")
    raw = WorkData(client).create(
        filename=RAW,
        mediatype="text/csv",
        binary=files("palmerpenguins").joinpath("data", RAW).read_bytes(),
        tags=["palmer"],
    )
    assert raw.work_data_hco
    say(f"  {raw.work_data_hco.size_in_bytes:,} bytes uploaded")
    registered(client, "clean", VERSIONS[0])
    table = clean(client, raw)
    say(f"3. {len(QUESTIONS)} jobs: 5 pairs of measures, 3 species or all, 2 versions")
    jobs = set_up(client, table)
    follow(jobs, worker)
    say("4. Which version is better: what a bird is missed by that the fit has not seen")
    compare({question: job.get_result() for question, job in jobs.items()})
    say("5. The plots")
    whole = download(jobs)
    say(f"  {whole} in {shown(PLOTS)}")
    question, job = list(jobs.items())[-1]
    say(f"6. Where the last one comes from ({question.name}): penstock lineage")
    print_lineage(client, job)
    say("7. The proof")
    good = prove(client, jobs, whole)
    say(f"8. One job goes, with all that hangs on it: {question.name}")
    good = delete_one(client, question, job, table) and good
    return clean_end(client, worker) and good


def demo() -> int:
    shutil.rmtree(DATA, ignore_errors=True)
    TEMPORARY.mkdir(parents=True)
    say("1. The server, and a worker of two processes")
    server, url = start_server()
    say(f"  {url}")
    worker = start_worker(url)
    try:
        with httpx.Client(base_url=url) as client:
            good = story(client, worker)
    finally:
        worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(10)
        worker.kill()
        server.terminate()
        server.wait()
    if not good:
        say(f"FAILED: see {shown(DATA)}")
        return 1
    say("")
    say("Try next:")
    say(f"  {shown(PENSTOCK)} serve --state {shown(STATE)}    # and in another terminal:")
    say(f"  PENSTOCK_SERVER=http://... {shown(PENSTOCK)} step list")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
