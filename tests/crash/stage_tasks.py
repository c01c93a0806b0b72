"""What the workers of worker_story.py run: documents in three stages, and numbers.

Each is killed at the steps that $STORY_DEATHS names, the first time that it comes there, and fails
where $STORY_FAILS says so. Numbers go on to a program in shell, and then to one in C.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from followthemoney import model
from penstock import RetryPolicy, TaskCall
from penstock.openaleph.app import make_app
from penstock.openaleph.model import DatasetJob, Defers
from penstock.openaleph.tasks import task

HERE = Path(os.environ["STORY_FOLDER"])
DEATHS = os.environ["STORY_DEATHS"].split()
FAILS = os.environ["STORY_FAILS"].split()
AGAIN = RetryPolicy(retries=999, kind="fixed", delay_s=0.05)

app = make_app("stage_tasks")


def pass_by(step: str) -> None:
    if step in DEATHS and is_first(f"died {step}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if step in FAILS and is_first(f"failed {step}"):
        raise ValueError(step)


def is_first(name: str) -> bool:
    try:
        os.close(os.open(HERE / "steps" / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def at(job: DatasetJob, step: str) -> None:
    pass_by(f"{job.queue}-{step}-{job.context['n']}")


def next_job(job: DatasetJob, queue: str) -> DatasetJob:
    return DatasetJob.from_entities(
        job.dataset, queue, f"stage_tasks.{queue}", job.get_entities(), n=job.context["n"]
    )


@task(app=app, retry=AGAIN, max_attempts=1000)
def parse(job: DatasetJob) -> Defers:
    at(job, "began")
    with job.get_writer("parse") as bulk:
        for reference in job.get_file_references():
            with reference.get_localpath() as path:
                at(job, "copied")
                entity = reference.entity.clone()
                entity.add("bodyText", path.read_text())
                bulk.put(entity)
                at(job, "put")
    yield next_job(job, "extract")
    at(job, "yielded")


@task(app=app, retry=AGAIN, max_attempts=1000)
async def extract(job: DatasetJob) -> AsyncIterator[DatasetJob]:
    at(job, "began")
    with job.get_writer("extract") as bulk:
        for entity in job.load_entities():
            for word in entity.first("bodyText").split():
                part = model.make_entity("Document")
                part.id = entity.id
                part.add("keywords", word)
                bulk.put(part, fragment=word)
        at(job, "put")
        bulk.flush()
        at(job, "flushed")
    await asyncio.sleep(0.01)
    yield next_job(job, "index")
    at(job, "yielded")


@task(app=app, retry=AGAIN, max_attempts=1000)
def index(job: DatasetJob) -> None:
    at(job, "began")
    database = sqlite3.connect(HERE / "index.sqlite", timeout=60)
    database.execute("CREATE TABLE IF NOT EXISTS found (n INTEGER PRIMARY KEY, words INTEGER)")
    with database:
        for entity in job.load_entities():
            for reference in job.get_file_references():
                with reference.open() as file:
                    at(job, "opened")
                    words = len(file.read().split())
            row = (job.context["n"], min(words, len(entity.get("keywords"))))
            database.execute("INSERT OR REPLACE INTO found VALUES (?, ?)", row)
    database.close()
    at(job, "indexed")


def to_shell(n: int) -> TaskCall:
    shell = app.configure_task("shell", queue="shell", retry=AGAIN, max_attempts=1000)
    return shell.call(n=n)


@app.task(queue="numbers", retry=AGAIN, max_attempts=1000)
def in_thread(n: int) -> Iterator[TaskCall]:
    pass_by(f"numbers-began-{n}")
    yield to_shell(n)
    pass_by(f"numbers-yielded-{n}")


@app.task(queue="numbers", retry=AGAIN, max_attempts=1000)
async def on_loop(n: int) -> AsyncIterator[TaskCall]:
    pass_by(f"numbers-began-{n}")
    await asyncio.sleep(0.01)
    yield to_shell(n)
    pass_by(f"numbers-yielded-{n}")


@app.task(queue="numbers", retry=AGAIN, max_attempts=1000, executor="process")
def in_process(n: int) -> int:
    pass_by(f"numbers-began-{n}")
    return n
