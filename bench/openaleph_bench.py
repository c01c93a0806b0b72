"""Measures of penstock.openaleph: jobs through one worker process, and the entity store."""

from __future__ import annotations

import os
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

from figure import BUILD, ROOT, Bench, Figure
from harness.server_process import ServerProcess

sys.path[:0] = [str(ROOT / "python")]

JOBS, ENTITIES = 50_000, 50_000
PORTION = 1000
TASKS = """
from penstock.openaleph.app import make_app
from penstock.openaleph.model import DatasetJob, Defers
from penstock.openaleph.tasks import task

app = make_app()


@task(app=app)
async def nothing(job: DatasetJob) -> None: ...


@task(app=app)
def in_thread(job: DatasetJob) -> None: ...


@task(app=app)
async def hands_on(job: DatasetJob) -> Defers:
    yield DatasetJob.from_entities(job.dataset, "next", "next.tasks.t", job.get_entities())
"""


@contextmanager
def case(bench: Bench) -> Iterator[Path]:
    """A server, and a folder with the tasks."""
    folder = Path(tempfile.mkdtemp(prefix="openaleph-", dir=bench.folder))
    (folder / "measured.py").write_text(TASKS)
    server = ServerProcess(folder / "server")
    try:
        server.start()
        os.environ["PENSTOCK_SERVER"] = server.url
        yield folder
    finally:
        server.kill()
        shutil.rmtree(folder)


def entities() -> list[Any]:
    from followthemoney import model

    return [
        model.get_proxy(
            {
                "id": f"document-{n:06}",
                "schema": "Document",
                "properties": {
                    "contentHash": [f"{n:040x}"],
                    "fileName": [f"report {n}.pdf"],
                    "title": [f"Report {n} on water, turbines and gates"],
                    "peopleMentioned": [f"Jane Doe {n % 97}", f"John Roe {n % 89}"],
                },
            }
        )
        for n in range(ENTITIES)
    ]


def store_rates(bench: Bench) -> tuple[float, float, float]:
    """Entities a second: put, loaded by id, gone through."""
    from penstock.openaleph import helpers

    made = entities()
    ids = [entity.id for entity in made]
    with case(bench):
        began = time.perf_counter()
        with helpers.entity_writer("measured") as bulk:
            for entity in made:
                bulk.put(entity)
        put = time.perf_counter()
        loaded = sum(1 for _ in helpers.load_entities("measured", ids))
        load = time.perf_counter()
        through = sum(1 for _ in helpers.entity_writer("measured").iterate())
        end = time.perf_counter()
    if (loaded, through) != (ENTITIES, ENTITIES):
        sys.exit(f"bench: {loaded} and {through} entities of {ENTITIES}")
    return ENTITIES / (put - began), ENTITIES / (load - put), ENTITIES / (end - load)


def job_rates(bench: Bench, task: str) -> tuple[float, float]:
    """Jobs a second: deferred in portions; run by one worker process, from its start to the end."""
    from penstock.openaleph.app import make_app
    from penstock.openaleph.model import DatasetJob

    made = entities()[:PORTION]
    with case(bench) as folder:
        app = make_app()
        began = time.perf_counter()
        for _ in range(JOBS // PORTION):
            jobs = (
                DatasetJob.from_entities("measured", "measured", f"measured.{task}", [entity])
                for entity in made
            )
            app.defer(*[job.call(app) for job in jobs])
        deferred = JOBS / (time.perf_counter() - began)
        command = [str(BUILD / "penstock"), "worker", "measured:app", "--queues", "measured"]
        environment = {**os.environ, "PENSTOCK_PYTHON": sys.executable}
        worker = subprocess.Popen(
            [*command, "--concurrency", "100", "--one-shot"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Its Python begins to work when it has imported FollowTheMoney, which takes a second.
        while not done(app):
            time.sleep(0.002)
        before, began = done(app), time.perf_counter()
        if worker.wait():
            sys.exit(f"bench: the worker ended with {worker.returncode}")
        ran = (JOBS - before) / (time.perf_counter() - began)
        if done(app) != JOBS:
            sys.exit(f"bench: {done(app)} jobs of {JOBS} are done")
    return deferred, ran


def done(app: Any) -> int:
    from penstock.openaleph.manage import get_dataset_status

    tree = get_dataset_status("measured", active_only=False, app=app)
    queues = [queue for batch in tree.batches for queue in batch.queues] if tree else []
    return sum(queue.succeeded for queue in queues if queue.name == "measured")


def measure_store(bench: Bench) -> list[Figure]:
    rates = [store_rates(bench) for _ in range(bench.rounds)]
    put, load, through = (statistics.median(one) for one in zip(*rates, strict=True))
    return [
        Figure("openaleph: entities put", put, "1/s", 20_000.0),
        Figure("openaleph: entities loaded by id", load, "1/s", 20_000.0),
        Figure("openaleph: entities gone through", through, "1/s"),
    ]


def measure_jobs(bench: Bench) -> list[Figure]:
    told = []
    # Of the original on PostgreSQL, on a machine of the same kind: medians of one worker.
    for task, what, goal, peer in (
        ("nothing", "coroutine", 10_000.0, None),
        ("in_thread", "plain function", None, 561.0),
        ("hands_on", "each hands on a job", None, None),
    ):
        rates = [job_rates(bench, task) for _ in range(bench.rounds)]
        deferred, ran = (statistics.median(one) for one in zip(*rates, strict=True))
        told.append(Figure(f"openaleph: jobs, one process, {what}", ran, "1/s", goal, peer))
        if task == "nothing":
            told.append(Figure("openaleph: jobs deferred, 1000 at once", deferred, "1/s"))
    return told


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "openaleph_store": measure_store,
    "openaleph_jobs": measure_jobs,
}
