"""The examples of the users' text, each run as it stands there; what they leave to the reader
(`do_something`, `next_job`, …) stands before them, and `penstock.openaleph` for the original."""

from __future__ import annotations

import io
from typing import Any

from followthemoney import model
from harness.openaleph_case import OpenAlephCase
from penstock.openaleph import helpers
from penstock.openaleph.model import DatasetJob, Job

TEXT = b"a report"
ctx: dict[str, Any] = {"update": True}


def document(id: str, *hashes: str) -> Any:
    properties = {"contentHash": list(hashes), "fileName": ["report.txt"]}
    return model.get_proxy({"id": id, "schema": "Document", "properties": properties})


def archived() -> str:
    return helpers.get_archive().store(io.BytesIO(TEXT), "report.txt")


def put(*entities: Any) -> None:
    with helpers.entity_writer("my_dataset") as bulk:
        for entity in entities:
            bulk.put(entity)


def run(openaleph: OpenAlephCase, name: str, *entities: Any) -> list[str]:
    """One job of the task, on its own queue, with these entities; what it noted."""
    job = DatasetJob.from_entities("my_dataset", "mine", f"mylib.{name}", entities)
    job.defer(app=openaleph.app)
    openaleph.work("--queues", "mine")
    (task,) = openaleph.tasks(queue="mine")
    assert task.state == "completed", task.error
    return openaleph.notes()


def test_jobs_are_made(openaleph: OpenAlephCase) -> None:
    job: Job = Job(
        queue="<queue-name>",
        task="<service>.tasks.<task_name>",
        payload={},  # actual job payload
    )
    job.defer(app=openaleph.app)
    entities = [document("a"), document("b")]  # instances of `followthemoney.model.EntityProxy`

    job = DatasetJob(
        dataset="my_dataset",
        queue="index",
        task="aleph.tasks.index_proxy",
        payload={"entities": [e.to_dict() for e in entities], "context": {"ctx": ctx}},
    )
    job.defer(app=openaleph.app)
    job = DatasetJob.from_entities(
        dataset="my_dataset",
        queue="index",
        task="aleph.tasks.index_proxy",
        entities=entities,
    )
    job.defer(app=openaleph.app)
    assert [entity.id for entity in job.get_entities()] == ["a", "b"]
    assert [task.function for task in openaleph.tasks()] == [
        "<service>.tasks.<task_name>",
        "aleph.tasks.index_proxy",
        "aleph.tasks.index_proxy",
    ]
    assert openaleph.tasks()[1].arguments["payload"]["context"] == {"ctx": ctx}
    assert openaleph.states() == ["pending"] * 3


def test_a_task_yields_the_next_job(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        next_job = Job(queue="next", task="next.tasks.stage")

        from penstock.openaleph.model import AnyJob, Defers

        @task(app=app)
        def my_task(job: AnyJob) -> Defers:
            # process things
            # if defer to a next stage, return an updated job:
            yield next_job
            # or return None (implicit)
        """
    )
    run(openaleph, "my_task", document("a"))
    assert [task.function for task in openaleph.tasks(state="pending")] == ["next.tasks.stage"]


def test_entities_are_got(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def do_something(entity):
            note(entity.id)

        @task(app=app)
        def process_entities(job: DatasetJob):
            for entity in job.get_entities():
                do_something(entity)
        """
    )
    assert run(openaleph, "process_entities", document("a"), document("b")) == ["a", "b"]


def test_entities_are_loaded(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def do_something(entity):
            note(entity.first("title"))

        @task(app=app)
        def process_entities(job: DatasetJob):
            for entity in job.load_entities():
                do_something(entity)
        """
    )
    patched = document("a")
    patched.add("title", "patched in between")
    put(patched)
    assert run(openaleph, "process_entities", document("a")) == ["patched in between"]


def test_entities_are_written(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def extract_something(entity):
            fragment = entity.clone()
            fragment.add("title", "extracted")
            return fragment

        @task(app=app)
        def process_entities(job: DatasetJob):
            with job.get_writer() as bulk:
                for entity in job.load_entities():
                    fragment = extract_something(entity)
                    bulk.put(fragment)
        """
    )
    put(document("a"))
    run(openaleph, "process_entities", document("a"))
    entity = helpers.load_entity("my_dataset", "a")
    assert entity is not None and entity.get("title") == ["extracted"]


def test_files_are_opened(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def some_function(fh, entity):
            note(f"{entity.id} {fh.read()}")

        @task(app=app)
        def process_file(job: DatasetJob):
            for reference in job.get_file_references():
                with reference.open() as fh:
                    some_function(fh, entity=reference.entity)
        """
    )
    assert run(openaleph, "process_file", document("a", archived())) == [f"a {TEXT!r}"]
    assert openaleph.left() == []


def test_files_have_paths(openaleph: OpenAlephCase) -> None:
    # The text says `handler` for the reference, and runs a line of shell without a shell.
    openaleph.write(
        """
        import subprocess
        os.environ["PATH"] += os.pathsep + str(HERE)

        @task(app=app)
        def process_file(job: DatasetJob):
            for reference in job.get_file_references():
                with reference.get_localpath() as path:
                    subprocess.run(f"some-program -f {path}", shell=True, check=True)
        """
    )
    program = openaleph.folder / "some-program"
    program.write_text('#!/bin/sh\ncat "$2" >>"$(dirname "$0")/notes"\n')
    program.chmod(0o755)
    assert run(openaleph, "process_file", document("a", archived())) == [TEXT.decode()]
    assert openaleph.left() == []


def test_a_next_job_is_deferred_by_hand(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def do_something(entity):
            return entity

        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            entities = []
            for entity in job.load_entities():
                result = do_something(entity)
                entities.append(entity)

            # yield a new job to defer
            next_job = DatasetJob.from_entities(
                dataset=job.dataset,
                queue=job.queue,  # use the same queue or another one
                task="another_module.tasks.process",  # reference a task
                entities=entities
            )
            next_job.defer(app=app)
        """
    )
    put(document("a"))
    job = DatasetJob.from_entities("my_dataset", "mine", "mylib.my_task", [document("a")])
    job.defer(app=openaleph.app)
    # Without --queues what this worker does not know is left to others.
    openaleph.work()
    first, second = openaleph.tasks()
    assert (first.state, second.state) == ("completed", "pending")
    assert (second.function, second.queue) == ("another_module.tasks.process", "mine")
    assert second.arguments["payload"]["entities"][0]["id"] == "a"


# --- and when it is wrong ---


def test_what_is_wrong_with_one_job_is_told_and_harms_no_other(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def read(job: DatasetJob):
            for reference in job.get_file_references():
                with reference.open() as fh:
                    note(fh.read().decode())

        @task(app=app)
        def put(job: DatasetJob):
            with job.get_writer() as bulk:
                bulk.put({"id": "x", "schema": job.context["schema"], "properties": {}})
        """
    )
    good, damaged = archived(), helpers.get_archive().store(io.BytesIO(b"will be damaged"), "d")
    assert openaleph.server is not None
    (blob,) = (path for path in openaleph.server.state.rglob(damaged) if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"is damaged now!")
    for name, entity, context in (
        ("read", document("a", "0" * 64), {}),
        ("read", document("b", damaged), {}),
        ("put", document("c"), {"schema": "Spaceship"}),
        ("put", document("d"), {"schema": "Document"}),
        ("read", document("e", good), {}),
    ):
        DatasetJob.from_entities("d", "q", f"mylib.{name}", [entity], **context).defer(
            openaleph.app
        )
    openaleph.work("--queues", "q")
    tasks = openaleph.tasks()
    assert [task.state for task in tasks] == ["failed"] * 3 + ["completed"] * 2
    errors = [task.error.message if task.error else "" for task in tasks]
    assert "0" * 64 in errors[0] and damaged in errors[1] and "damaged" in errors[1]
    assert "Spaceship" in errors[2]
    assert openaleph.notes() == [TEXT.decode()]
    assert openaleph.left() == []
