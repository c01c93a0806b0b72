"""Jobs as they are written down, and what the server is told of them."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from followthemoney import model
from followthemoney.proxy import EntityProxy
from harness.recording_app import recording_app
from penstock.errors import InvalidError
from penstock.openaleph.exceptions import InvalidEntity, InvalidJob, UnexpectedResult
from penstock.openaleph.model import AnyJob, DatasetJob, Defers, EntityJob, Job, job_of
from penstock.openaleph.tasks import Priorities, task
from penstock.openaleph.util import make_file_entity, make_stub_entity
from pydantic import ValidationError

HASH = "5" * 40
DOCUMENT = {
    "id": "a",
    "schema": "Document",
    "properties": {
        "contentHash": [HASH],
        "fileName": ["x.pdf"],
        "parent": ["p"],
        "bodyText": ["a long text"],
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def document(**changes: Any) -> EntityProxy:
    return model.get_proxy({**DOCUMENT, **changes})


# --- fields ---


def test_a_job_has_what_it_needs_and_ignores_what_it_does_not_know() -> None:
    job = Job(queue="<queue-name>", task="<service>.tasks.<task_name>", payload={})
    assert job.model_dump() == {
        "queue": "<queue-name>",
        "task": "<service>.tasks.<task_name>",
        "payload": {},
        "id": None,
        "status": None,
        "scheduled_at": None,
    }
    assert Job(queue="q", task="t", odd=1).payload == {}  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Job(queue="q")  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        DatasetJob(queue="q", task="t")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Job(queue="q", task="t", payload=[1])  # type: ignore[arg-type]
    assert EntityJob(dataset="d", entity_id="e").entity_id == "e"


def test_what_a_job_is_called_with_tells_which_kind_it_is() -> None:
    assert type(job_of({"queue": "q", "task": "t"})) is Job
    assert type(job_of({"queue": "q", "task": "t", "dataset": "d"})) is DatasetJob
    with pytest.raises(ValidationError):
        job_of({"queue": "q"})
    with pytest.raises(ValidationError, match="dataset"):
        job_of({"queue": "q", "task": "t"}, wanted=DatasetJob)
    with pytest.raises(InvalidJob):
        job_of([1])


def test_the_context_is_there_or_empty() -> None:
    assert Job(queue="q", task="t").context == {}
    assert Job(queue="q", task="t", payload={"context": {"a": 1}}).context == {"a": 1}
    assert Job(queue="q", task="t", payload={"context": None}).context == {}


# --- entities ---


def test_a_job_is_made_of_entities_which_travel_dehydrated() -> None:
    job = DatasetJob.from_entities(
        dataset="my_dataset",
        queue="index",
        task="aleph.tasks.index_proxy",
        entities=(document() for _ in range(1)),
    )
    assert job.payload == {
        "entities": [
            {
                "id": "a",
                "schema": "Document",
                "caption": "x.pdf",
                "properties": {"contentHash": [HASH], "fileName": ["x.pdf"], "parent": ["p"]},
            }
        ]
    }
    assert job.batch is None


def test_a_job_of_entities_takes_along_all_of_them_when_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = DatasetJob.from_entities(
        "d", "q", "m.tasks.t", [document()], dehydrate=False, batch="B1", foo="bar"
    )
    assert job.payload == {"entities": [DOCUMENT], "context": {"foo": "bar"}}
    assert job.batch == "B1"
    monkeypatch.setenv("OPENALEPH_PROCRASTINATE_DEHYDRATE_ENTITIES", "0")
    assert DatasetJob.from_entities("d", "q", "t", [document()]).payload == {"entities": [DOCUMENT]}
    monkeypatch.setenv("OPENALEPH_PROCRASTINATE_DEHYDRATE_ENTITIES", "1")
    assert "caption" in DatasetJob.from_entities("d", "q", "t", [document()]).payload["entities"][0]


def test_entities_of_a_payload_are_proxies() -> None:
    job = DatasetJob(
        dataset="my_dataset",
        queue="index",
        task="aleph.tasks.index_proxy",
        payload={"entities": [DOCUMENT, document(id="b")], "context": {}},
    )
    assert [entity.id for entity in job.get_entities()] == ["a", "b"]
    assert [entity.first("bodyText") for entity in job.get_entities()] == ["a long text"] * 2
    with pytest.raises(AssertionError):
        next(DatasetJob(dataset="d", queue="q", task="t").get_entities())


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ({"id": "a", "schema": "Spaceship", "properties": {}}, "'a' has the unknown schema 'Spac"),
        ({"id": "a", "properties": {}}, "'a' has the unknown schema None"),
        ({"schema": "Person", "properties": {}}, "an entity of schema Person has no id"),
        ({"id": "a", "schema": "Person", "properties": 7}, "'a' is broken"),
        ("a", "an entity is an object, not str"),
    ],
)
def test_what_is_no_entity_is_told(entity: Any, said: str) -> None:
    job = DatasetJob(dataset="d", queue="q", task="t", payload={"entities": [entity]})
    with pytest.raises(InvalidEntity, match=said):
        list(job.get_entities())
    with pytest.raises(InvalidEntity):
        DatasetJob.from_entities("d", "q", "t", [entity])


def test_there_is_a_file_reference_for_each_content_hash() -> None:
    two = document(id="b", properties={"contentHash": ["1" * 40, "2" * 40]})
    plain = model.get_proxy({"id": "c", "schema": "Person", "properties": {"name": ["C"]}})
    job = DatasetJob.from_entities("d", "q", "t", [document(), two, plain])
    references = list(job.get_file_references())
    assert [(r.entity.id, r.content_hash) for r in references] == [
        ("a", HASH),
        ("b", "1" * 40),
        ("b", "2" * 40),
    ]
    assert {r.dataset for r in references} == {"d"}


def test_stubs_and_files_are_made_of_entities() -> None:
    assert make_stub_entity(document()).to_dict() == {
        "id": "a",
        "schema": "Document",
        "caption": "x.pdf",
        "properties": {},
    }
    assert set(make_file_entity(document()).properties) == {"contentHash", "fileName", "parent"}


# --- deferring ---


def test_the_server_is_told_what_the_job_says() -> None:
    app, tasks = recording_app()
    job = DatasetJob.from_entities("d", "q", "m.tasks.t", [document()], batch="B1", foo="bar")
    assert job.defer(app, priority=7) is None  # type: ignore[func-returns-value]
    (told,) = tasks
    assert (told["function"], told["queue"], told["priority"]) == ("m.tasks.t", "q", 7)
    assert (told["key"], told["batch"]) == ("d", "B1")
    assert told["arguments"] == {
        "queue": "q",
        "task": "m.tasks.t",
        "dataset": "d",
        "batch": "B1",
        "payload": job.payload,
    }
    Job(queue="q", task="m.tasks.t", id=7, status="doing").defer(app=app)
    # What is of an earlier run stays behind.
    assert tasks[1]["arguments"] == {"queue": "q", "task": "m.tasks.t"}
    assert tasks[1].get("key") is None


def test_priority_0_is_0_and_none_is_drawn() -> None:
    app, tasks = recording_app()
    job = Job(queue="q", task="t")
    for _ in range(20):
        job.defer(app, priority=0)
    assert {told["priority"] for told in tasks} == {0}
    del tasks[:]
    for _ in range(200):
        job.defer(app)
    drawn = {told["priority"] for told in tasks}
    assert len(drawn) > 20
    assert min(drawn) >= 0 and max(drawn) <= 100


def test_a_scheduled_job_waits_for_its_time() -> None:
    app, tasks = recording_app()
    at = datetime.datetime(2030, 5, 1, 12, 0, tzinfo=datetime.UTC)
    Job(queue="q", task="t", scheduled_at=at).defer(app)
    assert tasks[0]["run_at"] == "2030-05-01T12:00:00Z"
    naive = datetime.datetime(2030, 5, 1, 12, 0)
    Job(queue="q", task="t", scheduled_at=naive).defer(app)
    told = datetime.datetime.fromisoformat(tasks[1]["run_at"])
    assert told == naive.astimezone()


def test_a_payload_arrives_as_it_was_or_is_refused() -> None:
    app, tasks = recording_app()
    payload = {"none": None, "empty": "", "zero": 0, "list": [], "nested": {"x": {}}, "n": "\x00"}
    Job(queue="q", task="t", payload=payload).defer(app)
    assert tasks[0]["arguments"]["payload"] == payload
    Job(queue="q", task="t", payload={"entities": [document()]}).defer(app)
    assert tasks[1]["arguments"]["payload"] == {"entities": [DOCUMENT]}
    for bad in (float("nan"), float("inf"), object()):
        with pytest.raises(InvalidError):
            Job(queue="q", task="t", payload={"bad": bad}).defer(app)
    assert len(tasks) == 2


@pytest.mark.parametrize("name", ["q" * 200, "Dokumente übersetzen", "队列", "a.b/c d"])
def test_queue_names_are_any_text(name: str) -> None:
    app, tasks = recording_app()
    Job(queue=name, task="t").defer(app)
    assert tasks[0]["queue"] == name
    with pytest.raises(InvalidError):
        Job(queue="x" * 600, task="t").defer(app)


def test_priorities_are_ranges() -> None:
    ranges = {"ANY": (1, 100), "LOW": (1, 50), "MEDIUM": (50, 70), "HIGH": (70, 90)}
    ranges |= {"USER": (90, 99), "MAX": (100, 100)}
    priorities = Priorities()
    for name, (least, most) in ranges.items():
        drawn = {getattr(priorities, name) for _ in range(50)}
        assert least <= min(drawn) and max(drawn) <= most
        assert least <= getattr(Priorities, name) <= most
    with pytest.raises(AttributeError):
        _ = priorities.ODD


# --- tasks ---


def test_a_task_is_known_by_its_module_and_name_and_takes_options() -> None:
    app, tasks = recording_app()

    @task(app=app, queue="ignored", retry=3, lock="one-{dataset}", queueing_lock="Q")
    def my_task(job: AnyJob) -> Defers:
        return None

    (name,) = app.tasks
    assert name.endswith(".my_task")
    DatasetJob(dataset="d", queue="q", task=name).defer(app, priority=3)
    (told,) = tasks
    assert (told["queue"], told["priority"], told["lock"]) == ("q", 3, "one-d")
    assert told["max_attempts"] == 4
    assert told["unique"] == {"key": "Q", "while": "pending", "on_clash": "refuse"}
    # Called it runs here, as any function.
    assert my_task(Job(queue="q", task="t")) is None


def test_retry_true_is_without_end_and_a_strategy_is_understood() -> None:
    class RetryStrategy:
        max_attempts = 7
        wait, linear_wait, exponential_wait = 5, 0, 0
        retry_exceptions = None

    app, tasks = recording_app()

    @task(app=app, retry=True, name="a")
    def a(job: Job) -> None: ...

    @task(app=app, retry=RetryStrategy(), name="b")
    def b(job: Job) -> None: ...

    for name in "ab":
        Job(queue="q", task=name).defer(app)
    assert tasks[0]["max_attempts"] >= 1_000_000
    assert tasks[1]["max_attempts"] == 8
    assert tasks[1]["retry"]["kind"] == "fixed" and tasks[1]["retry"]["delay_s"] == 5


def test_only_jobs_may_be_yielded_or_returned() -> None:
    app, _ = recording_app()

    @task(app=app, name="t")
    def generator(job: DatasetJob) -> Iterator[AnyJob]:
        yield job

    @task(app=app, name="u")
    async def async_generator(job: DatasetJob) -> AsyncIterator[AnyJob]:
        yield job

    accept = app.tasks["t"].accept
    assert accept is not None
    call = accept(Job(queue="next", task="other.tasks.t"))
    assert (call.function, call.members["queue"]) == ("other.tasks.t", "next")
    for odd in (7, "text", {"queue": "q"}, object()):
        with pytest.raises(UnexpectedResult, match="yields or returns jobs, or nothing"):
            accept(odd)


def test_a_task_that_takes_a_dataset_job_is_not_called_with_another() -> None:
    app, _ = recording_app()

    @task(app=app, name="t")
    def of_dataset(job: DatasetJob) -> None: ...

    make = app.tasks["t"].model
    assert make is not None
    with pytest.raises(ValidationError, match="dataset"):
        make({"queue": "q", "task": "t"})
    with pytest.raises(ValueError):
        Job(queue="q", task="t").defer(app)
