"""Three stages of work on documents, as services of OpenAleph write them: parse, extract, index.

Each is a task that gets a job of some documents and yields the job of the next stage. A worker of
its own runs each: `penstock worker stages:app --queues parse`.
"""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import zlib
from email.utils import parsedate_to_datetime

import penstock
from followthemoney import model
from followthemoney.proxy import EntityProxy
from followthemoney.util import make_entity_id
from penstock.openaleph.app import make_app
from penstock.openaleph.model import DatasetJob, Defers
from penstock.openaleph.tasks import task

app = make_app("stages")

# " -- Jane Doe <jane@example.org>  Mon, 02 Jan 2023 13:06:21 +0100" ends each entry of a changelog.
SIGNED = re.compile(r"^ -- +(.{1,200}?) *<([^>\s]{1,200})> +(.{5,60})$", re.MULTILINE)
# "Copyright: 1999-2004, Jane Doe" in what says who may do what.
OWNED = re.compile(
    r"^.{0,80}?(?i:copyright|©|\(c\))[^\n]{0,20}?((?:19|20)\d\d)(?:[-, ]+(?:19|20)?\d\d)*[ ,:]+"
    r"((?:[A-Z][\w.'-]+ ){1,3}[A-Z][\w'-]+)",
    re.MULTILINE,
)
AGAIN = penstock.RetryPolicy(retries=8, kind="fixed", delay_s=0.3)


def part_of(entity: EntityProxy) -> EntityProxy:
    """An entity to say something more of the same thing."""
    part = model.make_entity(entity.schema)
    part.id = entity.id
    return part


def next_job(job: DatasetJob, stage: str) -> DatasetJob:
    return DatasetJob.from_entities(
        dataset=job.dataset,
        queue=stage,
        task=f"stages.{stage}",
        entities=job.get_entities(),
        batch=job.batch,
    )


@task(app=app, retry=AGAIN)
def parse(job: DatasetJob) -> Defers:
    """Takes the files out of the archive; their text goes to the store."""
    with job.get_writer(origin="parse") as bulk:
        for reference in job.get_file_references():
            with reference.open() as file:
                raw = file.read()
            text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            part = part_of(reference.entity)
            part.add("bodyText", text.decode("utf-8", "replace"))
            part.add("fileSize", len(raw))
            bulk.put(part)
    yield next_job(job, "extract")


@task(app=app, retry=AGAIN, pass_context=True)
def extract(context: penstock.TaskContext, job: DatasetJob) -> Defers:
    """Finds people and dates in the texts. Fails at times, as what it asks may be away."""
    with job.get_writer(origin="extract") as bulk:
        for document in job.load_entities():
            if context.attempt == 1 and zlib.crc32((document.id or "").encode()) % 8 == 0:
                raise ConnectionError("the register of names does not answer")
            found = part_of(document)
            for text in document.get("bodyText"):
                for name, email, date in SIGNED.findall(text):
                    found.add("peopleMentioned", name)
                    found.add("emailMentioned", email)
                    found.add("authoredAt", day_of(date))
                    # Known by the address: what other documents call him is merged with it.
                    person = model.make_entity("Person")
                    person.id = make_entity_id(email.lower())
                    person.add("name", name)
                    person.add("email", email)
                    bulk.put(person, fragment=f"{document.id}/{name}")
                for year, name in OWNED.findall(text):
                    found.add("peopleMentioned", name)
                    found.add("date", year)
            bulk.put(found)
    yield next_job(job, "index")


def day_of(text: str) -> str | None:
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (TypeError, ValueError):
        return None


@task(app=app, retry=AGAIN)
def index(job: DatasetJob) -> None:
    """Puts the documents, as they are now, into a full-text index."""
    database = open_index()
    with database:
        for document in job.load_entities():
            database.execute("INSERT OR IGNORE INTO document (id) VALUES (?)", (document.id,))
            (row,) = database.execute("SELECT n FROM document WHERE id = ?", (document.id,))
            database.execute(
                "INSERT OR REPLACE INTO found (rowid, title, people, days, text)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    *row,
                    document.first("title"),
                    "\n".join(document.get("peopleMentioned")),
                    "\n".join([*document.get("authoredAt"), *document.get("date")]),
                    "\n".join(document.get("bodyText")),
                ),
            )
    database.close()


def open_index() -> sqlite3.Connection:
    database = sqlite3.connect(os.environ["DEMO_INDEX"], timeout=60)
    database.execute("CREATE TABLE IF NOT EXISTS document (n INTEGER PRIMARY KEY, id TEXT UNIQUE)")
    database.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS found USING fts5 (title, people, days, text)"
    )
    return database
