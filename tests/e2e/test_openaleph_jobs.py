"""The users' text's examples, and what the original promises and does not do: jobs with workers."""

from __future__ import annotations

import datetime
import io
import os
import signal
import time

import pytest
from followthemoney import model
from harness.openaleph_case import OpenAlephCase
from harness.server_process import ROOT
from penstock.openaleph import helpers, manage
from penstock.openaleph.model import DatasetJob, Job

DOCUMENT = {"id": "a", "schema": "Document", "properties": {"fileName": ["x.pdf"]}}


def document(id: str, **properties: list[str]) -> dict[str, object]:
    return {"id": id, "schema": "Document", "properties": {"fileName": ["x.pdf"], **properties}}


# --- what a task hands on ---


def test_a_yielded_job_is_deferred(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: AnyJob) -> Defers:
            # process things
            note(f"first {job.payload['n']}")
            # if defer to a next stage, return an updated job:
            job.task = "mylib.second"
            yield job
            # or return None (implicit)

        @task(app=app)
        def second(job: AnyJob) -> Defers:
            note(f"second {type(job).__name__} {job.payload['n']}")
        """
    )
    Job(queue="mylib", task="mylib.my_task", payload={"n": 1}).defer(app=openaleph.app)
    DatasetJob(dataset="d", queue="mylib", task="mylib.my_task", payload={"n": 2}).defer(
        app=openaleph.app
    )
    openaleph.work("--queues", "mylib")
    assert sorted(openaleph.notes()) == [
        "first 1",
        "first 2",
        "second DatasetJob 2",
        "second Job 1",
    ]
    assert openaleph.states() == ["completed"] * 4


def test_a_returned_job_is_deferred_and_a_coroutine_is_awaited(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def returns(job: AnyJob) -> Defers:
            return Job(queue="mylib", task="mylib.coroutine")

        @task(app=app)
        async def coroutine(job: AnyJob) -> Defers:
            await asyncio.sleep(0.01)
            note("awaited")
            return Job(queue="mylib", task="mylib.generator")

        @task(app=app)
        async def generator(job: AnyJob) -> Defers:
            for n in range(3):
                await asyncio.sleep(0)
                yield Job(queue="mylib", task="mylib.last", payload={"n": n})

        @task(app=app)
        def last(job: Job):
            note(f"last {job.payload['n']}")
        """
    )
    Job(queue="mylib", task="mylib.returns").defer(openaleph.app)
    openaleph.work()
    assert sorted(openaleph.notes()) == ["awaited", "last 0", "last 1", "last 2"]


def test_a_job_is_deferred_by_hand(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            entities = []
            for entity in job.load_entities():
                result = entity.clone()
                result.add("title", "processed")
                entities.append(result)

            # yield a new job to defer
            next_job = DatasetJob.from_entities(
                dataset=job.dataset,
                queue=job.queue,  # use the same queue or another one
                task="mylib.process",  # reference a task
                entities=entities,
                dehydrate=False,
            )
            next_job.defer(app=app)

        @task(app=app)
        async def process(job: DatasetJob) -> None:
            note([entity.first("title") for entity in job.get_entities()])
            await Job(queue="mylib", task="mylib.end").defer_async(app)

        @task(app=app)
        def end(job: Job) -> None:
            note("end")
        """
    )
    job = DatasetJob.from_entities("d", "mylib", "mylib.my_task", [document("a")])
    with job.get_writer() as bulk:
        bulk.put(document("a"))
    job.defer(openaleph.app)
    openaleph.work()
    assert openaleph.notes() == ["['processed']", "end"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 7", "UnexpectedResult"),
        ("return 'done'", "UnexpectedResult"),
        ("return {'queue': 'mylib'}", "UnexpectedResult"),
        ("yield 7", "UnexpectedResult"),
        ("yield job; return job", "TypeError"),
    ],
)
def test_anything_else_is_an_error(openaleph: OpenAlephCase, body: str, said: str) -> None:
    openaleph.write(
        f"""
        @task(app=app)
        def my_task(job: AnyJob) -> Defers:
            job.task = "mylib.other"
            {body}

        @task(app=app)
        def other(job: AnyJob): ...
        """
    )
    Job(queue="mylib", task="mylib.my_task").defer(openaleph.app)
    openaleph.work()
    (first, *_) = openaleph.tasks(function="mylib.my_task")
    assert first.state == "failed"
    assert first.error is not None and said in first.error.type


def test_an_error_after_a_yield_fails_the_job_and_the_next_is_deferred_once(
    openaleph: OpenAlephCase,
) -> None:
    openaleph.write(
        """
        import penstock

        @task(app=app, retry=penstock.RetryPolicy(2, "fixed", 0.01), pass_context=True)
        def my_task(context, job: AnyJob) -> Defers:
            yield Job(queue="mylib", task="mylib.other")
            note(f"attempt {context.attempt}")
            raise ValueError("after it")

        @task(app=app)
        def other(job: AnyJob) -> None:
            note("other")
        """
    )
    Job(queue="mylib", task="mylib.my_task").defer(openaleph.app)
    process = openaleph.start()
    openaleph.until(lambda: openaleph.states(function="mylib.my_task") == ["failed"])
    openaleph.until(lambda: openaleph.states(function="mylib.other") == ["completed"])
    process.terminate()
    assert process.wait(30) == 0
    notes = openaleph.notes()
    assert [note for note in notes if note != "other"] == ["attempt 1", "attempt 2", "attempt 3"]
    assert notes.count("other") == 1


# --- entities ---


def test_entities_of_the_payload_and_of_the_store(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def process_entities(job: DatasetJob):
            for entity in job.get_entities():
                note(f"payload {entity.id} {entity.get('title')}")
            for entity in job.load_entities():
                note(f"store {entity.id} {sorted(entity.get('title'))}")
        """
    )
    job = DatasetJob.from_entities(
        "d", "mylib", "mylib.process_entities", [document(id) for id in "cab"], dehydrate=False
    )
    with job.get_writer("first") as bulk:
        bulk.put(document("a", title=["old"]))
        bulk.put(document("c", title=["one"]))
    with job.get_writer("first") as bulk:
        bulk.put(document("a", title=["new"]))  # the same again: replaces
        bulk.put(document("c", title=["two"]), fragment="other")
        bulk.put(document("c", title=["three"]), origin="second")
    job.defer(openaleph.app)
    openaleph.work()
    assert openaleph.notes() == [
        "payload c []",
        "payload a []",
        "payload b []",
        "store a ['new']",
        "store c ['one', 'three', 'two']",
    ]


def test_entities_are_written_by_one_stage_and_read_by_the_next(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        def extract_something(entity):
            fragment = model.make_entity("Pages")
            fragment.id = entity.id
            fragment.add("title", "something")
            return fragment

        @task(app=app)
        def process_entities(job: DatasetJob):
            with job.get_writer() as bulk:
                for entity in job.get_entities():
                    fragment = extract_something(entity)
                    bulk.put(fragment, fragment="extracted")
            yield DatasetJob.from_entities(
                job.dataset, "mylib", "mylib.index", job.get_entities(), batch=job.batch
            )

        @task(app=app)
        def index(job: DatasetJob):
            for entity in job.load_entities():
                note(f"{entity.id} {entity.schema.name} {entity.get('title')}")
        """
    )
    job = DatasetJob.from_entities("d", "mylib", "mylib.process_entities", [DOCUMENT], batch="B")
    with job.get_writer() as bulk:
        bulk.put(DOCUMENT)
    job.defer(openaleph.app)
    openaleph.work()
    assert openaleph.notes() == ["a Pages ['something']"]
    assert {task.batch for task in openaleph.tasks()} == {"B"}


# --- order, time, locks ---


def test_priority_is_the_order_and_0_is_the_last(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: Job) -> None:
            note(job.payload["n"])
        """
    )
    for priority in (0, 50, 100):
        job = Job(queue="mylib", task="mylib.my_task", payload={"n": priority})
        job.defer(openaleph.app, priority=priority)
    assert [task.priority for task in openaleph.tasks()] == [0, 50, 100]
    openaleph.work("--concurrency", "1")
    assert openaleph.notes() == ["100", "50", "0"]


def test_jobs_with_a_lock_keep_their_priority_and_run_one_by_one(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def locked(job: DatasetJob) -> None:
            note(f"begin {job.payload['n']}")
            time.sleep(0.05)
            note(f"end {job.payload['n']}")
        """
    )
    app = openaleph.app
    for n in (1, 3, 2):
        job = DatasetJob(dataset="d", queue="mylib", task="mylib.locked", payload={"n": n})
        app.defer(job.call(app, priority=n, lock="d"))
    openaleph.work("--concurrency", "4")
    expected = [f"{what} {n}" for n in (3, 2, 1) for what in ("begin", "end")]
    assert openaleph.notes() == expected


def test_a_scheduled_job_waits(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: Job) -> None:
            note(time.time())
        """
    )
    at = datetime.datetime.now() + datetime.timedelta(seconds=1.5)
    Job(queue="mylib", task="mylib.my_task", scheduled_at=at).defer(openaleph.app)
    process = openaleph.start()
    openaleph.until(openaleph.notes)
    process.terminate()
    process.wait(30)
    assert float(openaleph.notes()[0]) >= at.timestamp()


# --- workers that die ---


def test_the_job_of_a_killed_worker_runs_again_by_itself(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app, pass_context=True)
        def my_task(context, job: Job) -> None:
            note(f"attempt {context.attempt} {os.getpid()}")
            if context.attempt == 1:
                time.sleep(3600)
        """
    )
    Job(queue="mylib", task="mylib.my_task").defer(openaleph.app)
    first = openaleph.start()
    openaleph.until(openaleph.notes)
    # The whole machine goes: worker and supervisor.
    first.kill()
    os.kill(int(openaleph.notes()[0].split()[2]), signal.SIGKILL)
    began = time.monotonic()
    second = openaleph.start()
    openaleph.until(lambda: openaleph.states() == ["completed"])
    assert time.monotonic() - began < 30
    second.terminate()
    second.wait(30)
    assert [note.split()[1] for note in openaleph.notes()] == ["1", "2"]


def test_nothing_set_is_a_store_on_disk_and_jobs_are_not_lost(
    openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PENSTOCK_SERVER")
    monkeypatch.setenv("PENSTOCK_IDLE_EXIT", "0.2")
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            note([entity.id for entity in job.load_entities()])
        """
    )
    job = DatasetJob.from_entities("d", "mylib", "mylib.my_task", [DOCUMENT])
    with job.get_writer() as bulk:
        bulk.put(DOCUMENT)
    job.defer(openaleph.app)
    openaleph.app.close()
    assert (openaleph.folder / ".penstock").is_dir()
    openaleph.work()
    assert openaleph.notes() == ["['a']"]


# --- status and control ---


def test_status_is_a_tree(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def good(job: AnyJob) -> None: ...

        @task(app=app)
        def bad(job: AnyJob) -> None:
            raise ValueError("no")
        """
    )
    app = openaleph.app
    for n in range(3):
        DatasetJob(dataset="d", queue="q", task="mylib.good", batch=f"b{n % 2}").defer(app)
    DatasetJob(dataset="d", queue="q", task="mylib.bad", batch="b0").defer(app)
    DatasetJob(dataset="e", queue="q", task="mylib.good").defer(app)
    Job(queue="other", task="mylib.good").defer(app)
    trees = list(manage.get_status())
    assert [tree.name for tree in trees] == ["__system__", "d", "e"]
    assert trees[1].todo == trees[1].total == trees[1].active == 4
    assert trees[1].is_active() and not trees[1].is_running()
    assert trees[2].batches[0].name == "default"
    openaleph.work("--queues", "q")
    assert [tree.name for tree in manage.get_status()] == ["__system__"]
    assert manage.get_dataset_status("d") is None
    tree = manage.get_dataset_status("d", active_only=False)
    assert tree is not None
    assert (tree.succeeded, tree.failed, tree.finished, tree.active) == (3, 1, 4, 0)
    batches = {batch.name: batch for batch in tree.batches}
    assert (batches["b0"].total, batches["b1"].total) == (3, 1)
    (queue,) = batches["b0"].queues
    counts = {one.name: (one.succeeded, one.failed) for one in queue.tasks}
    assert counts == {"mylib.good": (2, 0), "mylib.bad": (0, 1)}
    assert tree.min_ts is not None and tree.max_ts is not None
    assert tree.took == tree.max_ts - tree.min_ts > datetime.timedelta(0)
    assert tree.remaining_time == datetime.timedelta(0)


def test_jobs_are_cancelled_by_filter_and_seen_as_cancelled(openaleph: OpenAlephCase) -> None:
    app = openaleph.app
    for dataset in "de":
        for batch in ("b0", "b1"):
            DatasetJob(dataset=dataset, queue="q", task="mylib.t", batch=batch).defer(app)
    assert manage.cancel_jobs(dataset="d", batch="b0") == 1
    tree = manage.get_dataset_status("d", active_only=False)
    assert tree is not None and (tree.cancelled, tree.todo) == (1, 1)
    assert [job.status for job in manage.iterate_jobs(dataset="d")] == ["cancelled", "todo"]
    assert manage.cancel_jobs() == 3
    assert openaleph.states() == ["cancelled"] * 4


def test_a_running_job_learns_that_it_is_cancelled(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app, pass_context=True)
        def my_task(context, job: DatasetJob) -> None:
            note("begin")
            context.wait_for_abort(60)
            context.check()
            note("not reached")
        """
    )
    DatasetJob(dataset="d", queue="q", task="mylib.my_task").defer(openaleph.app)
    process = openaleph.start()
    openaleph.until(openaleph.notes)
    assert manage.cancel_jobs(dataset="d") == 1
    openaleph.until(lambda: openaleph.states() == ["cancelled"])
    process.terminate()
    process.wait(30)
    assert openaleph.notes() == ["begin"]


def test_failed_jobs_are_put_back_by_filter(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            if not (HERE / "mended").exists():
                raise ValueError("broken")
        """
    )
    for dataset in "de":
        DatasetJob(dataset=dataset, queue="q", task="mylib.my_task").defer(openaleph.app)
    openaleph.work()
    assert openaleph.states() == ["failed", "failed"]
    (openaleph.folder / "mended").touch()
    assert manage.requeue_failed(dataset="d") == 1
    assert manage.requeue_stalled() == 0
    openaleph.work()
    assert openaleph.states() == ["completed", "failed"]


def test_jobs_are_read_back_as_they_were_deferred(openaleph: OpenAlephCase) -> None:
    entity = model.get_proxy(DOCUMENT)
    job = DatasetJob.from_entities("d", "q", "mylib.t", [entity], batch="B", foo="bar")
    job.defer(openaleph.app)
    (back,) = manage.iterate_jobs()
    assert back.id is not None and back.status == "todo"
    assert back.model_dump(exclude={"id", "status"}) == job.model_dump(exclude={"id", "status"})
    # Deferred again, nothing of the earlier run goes along.
    back.defer(openaleph.app)
    assert "id" not in openaleph.tasks()[1].arguments


# --- bad input ---


def test_arguments_that_are_no_job_fail_with_the_reason(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            note("called")
        """
    )
    app = openaleph.app
    app.configure_task("mylib.my_task", queue="q").defer(odd=1)
    Job(queue="q", task="mylib.my_task").defer(app)
    Job(queue="q", task="mylib.nobody").defer(app)
    entity = {"id": "a", "schema": "Spaceship", "properties": {}}
    DatasetJob(dataset="d", queue="q", task="mylib.my_task", payload={"entities": [entity]}).defer(
        app
    )
    openaleph.work("--queues", "q")
    errors = [task.error for task in openaleph.tasks()]
    assert openaleph.states() == ["failed", "failed", "failed", "completed"]
    assert errors[0] is not None and "queue" in errors[0].message
    assert errors[1] is not None and "dataset" in errors[1].message
    assert errors[2] is not None and errors[2].type == "UnknownFunction"
    assert openaleph.notes() == ["called"]


@pytest.mark.parametrize("name", ["q" * 200, "Dokumente übersetzen", "队列/x?y#z%"])
def test_names_are_any_text(openaleph: OpenAlephCase, name: str) -> None:
    openaleph.write(
        """
        @task(app=app)
        def my_task(job: DatasetJob) -> None:
            with job.get_writer() as bulk:
                bulk.put({"id": job.queue, "schema": "Person", "properties": {"name": ["x"]}})
            note([entity.id for entity in bulk.iterate()])
        """
    )
    DatasetJob(dataset=name, queue=name, task="mylib.my_task", payload={"x": "\x00"}).defer(
        openaleph.app
    )
    openaleph.work("--queues", name)
    assert openaleph.notes() == [str([name])]
    tree = manage.get_dataset_status(name, active_only=False)
    assert tree is not None and tree.succeeded == 1


# --- the page ---


def test_the_example_of_the_page_runs(openaleph: OpenAlephCase) -> None:
    page = (ROOT / "docs" / "openaleph.md").read_text(encoding="utf-8")
    (source,) = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    (openaleph.folder / "texts").mkdir()
    (openaleph.folder / "texts" / "tasks.py").write_text(source)
    content_hash = helpers.get_archive().store(io.BytesIO(b"a text"), "a.txt")
    entities = [document("a", contentHash=[content_hash])]
    DatasetJob.from_entities("d", "texts", "texts.tasks.read", entities).defer(openaleph.app)
    openaleph.work("--queues", "texts", target="texts.tasks:app")
    entity = helpers.load_entity("d", "a")
    assert entity is not None and entity.get("bodyText") == ["a text"]
    assert [task.function for task in openaleph.tasks(state="pending")] == ["search.tasks.index"]
