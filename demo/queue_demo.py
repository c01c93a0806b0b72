#!/usr/bin/env python3
"""Documents through three stages of services, one of which fails at times and is killed once.

The documents are Debian's own records of the packages on this machine: who changed what, and when,
and who owns what. They become FollowTheMoney entities whose files are in the archive. Three workers
parse the files, extract people and dates, and index the result. At the end the index is asked, and
what came out is held against what went in.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from followthemoney import model
from followthemoney.proxy import EntityProxy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))  # this tree's

from penstock.openaleph import helpers, manage
from penstock.openaleph.app import make_app
from penstock.openaleph.cli import status_lines
from penstock.openaleph.model import DatasetJob

ROOT = Path(__file__).resolve().parent.parent
PENSTOCK = ROOT / "build" / "penstock"
DATA = ROOT / "demo-queue-data"
STATE, TEMPORARY, INDEX = DATA / "state", DATA / "tmp", DATA / "index.sqlite"
RECORDS = Path("/usr/share/doc")
DATASET, BATCH = "debian", "first"
STAGES = ("parse", "extract", "index")
TOGETHER = 2  # documents a job
KILL_AT = 0.4
DEADLINE_S = 600.0


def say(text: str) -> None:
    print(text, flush=True)


def shown(path: Path) -> str:
    return os.path.relpath(path)


def start_server() -> subprocess.Popen[str]:
    log = (DATA / "server.log").open("a")
    command = [str(PENSTOCK), "serve", "--port", "0", "--data", str(DATA), "--state", str(STATE)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    log.close()
    assert server.stdout
    if not server.stdout.readline():
        raise SystemExit(f"the server did not start: {shown(DATA / 'server.log')} says why")
    os.environ["PENSTOCK_SERVER"] = json.loads((STATE / "server.json").read_text())["url"]
    return server


def start_worker(stage: str) -> subprocess.Popen[bytes]:
    command = [str(PENSTOCK), "worker", "stages:app", "--queues", stage, "--concurrency", "2"]
    with (DATA / f"{stage}.log").open("w") as log:
        return subprocess.Popen(
            [*command, "--python", sys.executable],
            cwd=ROOT / "demo",
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


def archive_documents() -> list[EntityProxy]:
    """An entity for each record of a package, its file in the archive."""
    archive = helpers.get_archive(DATASET)
    documents = []
    for path in sorted([*RECORDS.glob("*/changelog.Debian.gz"), *RECORDS.glob("*/copyright")]):
        if not path.is_file() or path.parent.is_symlink():
            continue
        package = path.parent.name
        document = model.make_entity("PlainText")
        document.make_id(package, path.name)
        document.add("title", f"{package}: {path.name.removesuffix('.gz')}")
        document.add("fileName", path.name)
        document.add("contentHash", archive.archive_file(path))
        documents.append(document)
    with helpers.entity_writer(DATASET, origin="crawl") as bulk:
        for document in documents:
            bulk.put(document)
    return documents


def defer(documents: list[EntityProxy]) -> int:
    app = make_app()
    jobs = [
        DatasetJob.from_entities(
            DATASET, "parse", "stages.parse", documents[at : at + TOGETHER], batch=BATCH
        )
        for at in range(0, len(documents), TOGETHER)
    ]
    app.defer(*[job.call(app) for job in jobs])
    return len(jobs)


def follow(jobs: int, workers: dict[str, subprocess.Popen[bytes]]) -> manage.DatasetStatus:
    """Looks on until all stages are through, and kills the worker of one of them on the way."""
    deadline = time.monotonic() + DEADLINE_S
    killed = False
    next_line = 0.0
    while True:
        status = manage.get_dataset_status(DATASET, active_only=False)
        assert status is not None
        counts = {queue.name: queue for batch in status.batches for queue in batch.queues}
        done = {name: counts[name].succeeded if name in counts else 0 for name in STAGES}
        if time.monotonic() >= next_line or not status.is_active():
            next_line = time.monotonic() + 1
            say("  " + "   ".join(f"{name} {done[name]:>5,} of {jobs:,}" for name in STAGES))
        if not status.is_active():
            return status
        if not killed and done["extract"] >= KILL_AT * jobs:
            processes = children(workers["extract"].pid)
            for pid in processes:
                os.kill(pid, signal.SIGKILL)
            killed = bool(processes)
            if killed:
                say("  * SIGKILL to the process that extracts; what it held runs again")
        if time.monotonic() > deadline:
            raise SystemExit("this takes too long")
        time.sleep(0.2)


def failures() -> collections.Counter[str]:
    """What attempts failed of, as the server's history has it."""
    counted: collections.Counter[str] = collections.Counter()
    client = make_app().client
    for info in client.tasks.list(key=DATASET, queue="extract"):
        if info.attempts > 1:
            counted[info.state] += info.attempts - 1
    return counted


def prove(documents: list[EntityProxy], status: manage.DatasetStatus, jobs: int) -> bool:
    """Whether everything is there, once, and nothing is left lying about."""
    sys.path.insert(0, str(ROOT / "demo"))
    from stages import open_index

    database = open_index()
    indexed = {row[0] for row in database.execute("SELECT id FROM document")}
    (rows,) = database.execute("SELECT count(*) FROM found").fetchone()
    database.close()
    wanted = {document.id for document in documents}
    stored = list(helpers.load_entities(DATASET, sorted(filter(None, wanted))))
    whole = sum(entity.has("bodyText") for entity in stored)
    left = [path for path in TEMPORARY.rglob("*") if path.is_file()]
    say(f"  documents: {len(wanted):,} in, {len(indexed):,} indexed, {rows:,} rows in the index")
    say(f"  entities merged with their text: {whole:,} of {len(stored):,}")
    say(f"  jobs: {status.succeeded:,} of {len(STAGES) * jobs:,} succeeded, {status.failed} failed")
    say(f"  temporary files left: {len(left)}")
    return (
        indexed == wanted
        and rows == len(wanted) == len(stored) == whole
        and status.succeeded == len(STAGES) * jobs == status.total
        and not left
    )


def show_findings() -> None:
    """What all this was good for."""
    from stages import open_index

    database = open_index()
    for words in ("security AND overflow", "people: Müller", '"memory leak"'):
        (count,) = database.execute(
            "SELECT count(*) FROM found WHERE found MATCH ?", (words,)
        ).fetchone()
        rows = database.execute(
            "SELECT title FROM found WHERE found MATCH ? ORDER BY rank LIMIT 3", (words,)
        )
        say(f"  {words}: {count} documents, best {', '.join(row[0] for row in rows)}")
    database.close()
    people: collections.Counter[str] = collections.Counter()
    names: tuple[int, str] = (0, "")
    days: list[str] = []
    with helpers.entity_writer(DATASET) as store:
        for entity in store.iterate():
            if entity.schema.name == "Person":
                names = max(names, (len(entity.get("name")), ", ".join(entity.get("name"))))
            else:
                people.update(entity.get("peopleMentioned"))
                days += entity.get("authoredAt")
    top = ", ".join(f"{name} ({count})" for name, count in people.most_common(3))
    say(f"  named in most documents: {top}")
    say(f"  one address, most names: {names[1]}")
    if days:
        say(f"  {len(days):,} dated changes, from {min(days)} to {max(days)}")


def demo() -> int:
    shutil.rmtree(DATA, ignore_errors=True)
    TEMPORARY.mkdir(parents=True)
    os.environ.update(TMPDIR=str(TEMPORARY), DEMO_INDEX=str(INDEX))
    say("1. The server")
    server = start_server()
    workers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        say(f"  {os.environ['PENSTOCK_SERVER']}")
        say(f"2. The documents: Debian's records of this machine's packages, below {RECORDS}")
        began = time.monotonic()
        documents = archive_documents()
        say(f"  {len(documents):,} files archived in {time.monotonic() - began:.1f} s")
        say("3. Three workers, one a stage; the second fails at times")
        workers = {stage: start_worker(stage) for stage in STAGES}
        began = time.monotonic()
        jobs = defer(documents)
        status = follow(jobs, workers)
        took = time.monotonic() - began
        say(f"  {status.succeeded:,} jobs in {took:.1f} s")
        again = failures()["completed"]
        say(f"  attempts of extract that failed, and were made good by another: {again}")
        say("4. How it stands: penstock openaleph status --all")
        for line in status_lines([status]):
            say("  " + line)
        for worker in workers.values():
            worker.terminate()
        ends = {stage: worker.wait(30) for stage, worker in workers.items()}
        say("5. The proof")
        good = prove(documents, status, jobs) and not any(ends.values()) and again > 0
        if good:
            say("  every document whole and indexed once")
            say("6. What is in it")
            show_findings()
    finally:
        for worker in workers.values():
            worker.kill()
        server.terminate()
        server.wait()
    if not good:
        say(f"FAILED: see {shown(DATA)}")
        return 1
    say("")
    say("Try next:")
    say(f"  sqlite3 {shown(INDEX)} \"select title from found where found match 'segfault'\"")
    say(f"  {shown(PENSTOCK)} serve --state {shown(STATE)}    # and in another terminal:")
    say(f"  PENSTOCK_SERVER=http://... {shown(PENSTOCK)} openaleph status --all")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
