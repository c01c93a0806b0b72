"""Workers killed at every step of every stage: nothing is missing, nothing is left."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3

from harness.openaleph_case import OpenAlephCase
from penstock.openaleph import helpers, manage
from penstock.openaleph.model import DatasetJob

STAGES = ("parse", "extract", "index")
# Each stage is killed at each of these, every time by another document.
STEPS = ("began", "copied", "put", "flushed", "yielded")
COUNT = 20

SOURCE = """
import sqlite3

def stop_here(job, step):
    # The first time that the document for this stage and step comes here, it comes no further.
    name = f"{job.queue}-{step}"
    if job.context.get("stops") == name and not (HERE / name).exists():
        (HERE / name).touch()
        note(f"stopped {name} {os.getpid()}")
        time.sleep(3600)

def next_job(job, queue):
    return DatasetJob.from_entities(
        job.dataset, queue, f"mylib.{queue}", job.get_entities(), batch=job.batch, **job.context
    )

@task(app=app)
def parse(job: DatasetJob) -> Defers:
    stop_here(job, "began")
    with job.get_writer("parse") as bulk:
        for reference in job.get_file_references():
            with reference.get_localpath() as path:
                stop_here(job, "copied")
                entity = reference.entity.clone()
                entity.add("bodyText", path.read_text())
                bulk.put(entity)
                stop_here(job, "put")
                bulk.flush()
                stop_here(job, "flushed")
    yield next_job(job, "extract")
    stop_here(job, "yielded")

@task(app=app)
def extract(job: DatasetJob) -> Defers:
    stop_here(job, "began")
    with job.get_writer("extract") as bulk:
        for entity in job.load_entities():
            stop_here(job, "copied")
            for word in entity.first("bodyText").split():
                part = model.make_entity("Document")
                part.id = entity.id
                part.add("keywords", word)
                bulk.put(part, fragment=word)
            stop_here(job, "put")
        bulk.flush()
        stop_here(job, "flushed")
    yield next_job(job, "index")
    stop_here(job, "yielded")

@task(app=app)
def index(job: DatasetJob) -> None:
    stop_here(job, "began")
    database = sqlite3.connect(HERE / "index.sqlite", timeout=60)
    database.execute("CREATE TABLE IF NOT EXISTS found (id TEXT PRIMARY KEY, words INTEGER)")
    with database:
        for entity in job.load_entities():
            stop_here(job, "copied")
            row = (entity.id, len(entity.get("keywords")))
            database.execute("INSERT OR REPLACE INTO found VALUES (?, ?)", row)
            stop_here(job, "put")
    stop_here(job, "flushed")
    stop_here(job, "yielded")
"""


def text_of(number: int) -> str:
    return " ".join(f"word{n}" for n in range(number + 1))


def defer(openaleph: OpenAlephCase) -> list[str]:
    """A job a document; the stops that they make."""
    stops = [f"{stage}-{step}" for stage in STAGES for step in STEPS]
    archive = helpers.get_archive()
    for number in range(COUNT):
        file = openaleph.folder / f"{number}.txt"
        file.write_text(text_of(number))
        content_hash = archive.archive_file(file)
        assert content_hash == hashlib.sha256(file.read_bytes()).hexdigest()
        entity = {
            "id": f"doc{number:02}",
            "schema": "Document",
            "properties": {"contentHash": [content_hash], "fileName": [file.name]},
        }
        context = {"stops": stops[number]} if number < len(stops) else {}
        DatasetJob.from_entities("d", "parse", "mylib.parse", [entity], batch="B", **context).defer(
            openaleph.app
        )
    return stops


def test_workers_are_killed_at_every_step_of_every_stage(openaleph: OpenAlephCase) -> None:
    openaleph.write(SOURCE)
    stops = defer(openaleph)
    workers = [openaleph.start("--queues", stage, "--concurrency", "1") for stage in STAGES]
    killed: set[str] = set()

    def kill_who_stopped() -> bool:
        for line in openaleph.notes():
            _, name, pid = line.split()
            if name not in killed:
                killed.add(name)
                os.kill(int(pid), signal.SIGKILL)
        tree = manage.get_dataset_status("d", active_only=False)
        return tree is not None and not tree.is_active()

    openaleph.until(kill_who_stopped)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        assert worker.wait(30) == 0
    assert killed == set(stops)
    # No job stays running, none was lost, none was deferred twice.
    tree = manage.get_dataset_status("d", active_only=False)
    assert tree is not None
    assert (tree.succeeded, tree.total) == (3 * COUNT, 3 * COUNT)
    # Entities and fragments are complete.
    ids = [f"doc{number:02}" for number in range(COUNT)]
    for number, entity in enumerate(helpers.load_entities("d", ids)):
        assert entity.get("bodyText") == [text_of(number)]
        assert len(entity.get("keywords")) == number + 1
    database = sqlite3.connect(openaleph.folder / "index.sqlite")
    found = list(database.execute("SELECT id, words FROM found ORDER BY id"))
    database.close()
    assert found == [(id, number + 1) for number, id in enumerate(ids)]
    # And every temporary file is gone.
    assert openaleph.left() == []
