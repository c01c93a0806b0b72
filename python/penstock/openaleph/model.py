"""Jobs: what a task is called with, and what it hands on.

@task(app=app)
def process(job: DatasetJob) -> Defers:
    with job.get_writer() as bulk:
        for entity in job.load_entities():
            bulk.put(extract(entity))
    yield DatasetJob.from_entities(job.dataset, "index", "index.tasks.index", done)
"""

import datetime
import random
from collections.abc import Iterable, Iterator
from typing import Any, Optional, Union

from followthemoney.proxy import EntityProxy
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ..app import App
from ..task_call import TaskCall
from ..testing import TestQueue
from .app import app_of
from .entities import dehydrated, proxy_of, whole
from .exceptions import InvalidJob
from .files import EntityFileReference
from .job_log import JobLog
from .job_status import (
    BatchStatus,
    DatasetStatus,
    JobStatus,
    QueueStatus,
    StatusCounts,
    TaskStatus,
)
from .settings import dehydrates, runs_inline
from .store import ORIGIN, EntityWriter, Fragments

__all__ = [
    "AnyJob",
    "BatchStatus",
    "DatasetJob",
    "DatasetStatus",
    "Defers",
    "EntityFileReference",
    "EntityJob",
    "Job",
    "JobStatus",
    "QueueStatus",
    "StatusCounts",
    "TaskStatus",
    "job_of",
]

PRIORITY_MIN, PRIORITY_MAX = 0, 100
#: Starts of a job whose task is not known where it is deferred, those with dead workers too.
STARTS_MAX = 25


class EntityJob(BaseModel):
    """An entity of a dataset, by id."""

    dataset: str
    entity_id: str


class Job(BaseModel):
    """A job of no dataset in particular."""

    model_config = ConfigDict(extra="ignore")

    #: Where it waits.
    queue: str
    #: Whom it is for: the task's dotted path, `<service>.tasks.<name>`.
    task: str
    payload: dict[str, Any] = Field(default_factory=dict)
    #: Told by the server: of no effect on what is deferred.
    id: Optional[int] = None
    status: Optional[JobStatus] = None
    #: Not before; a time without a zone is the machine's.
    scheduled_at: Optional[datetime.datetime] = None

    #: Of the worker that runs it.
    _app: Optional[App] = PrivateAttr(default=None)

    @property
    def context(self) -> dict[str, Any]:
        """What its deferrer told besides the entities."""
        return dict(self.payload.get("context") or {})

    @property
    def log(self) -> JobLog:
        """A logger that says which job speaks."""
        return JobLog(self.task, self._named())

    def _named(self) -> dict[str, Any]:
        return {"queue": self.queue, "task": self.task}

    def defer(self, app: App, priority: Optional[int] = None) -> None:
        """Enqueues it; durable on return. Without a priority it draws one from 0 to 100, so that no
        dataset holds up the others for long. Higher runs first.

        With DEBUG=1 and PROCRASTINATE_SYNC=1, for tests, it runs here and now instead, and what it
        defers after it.
        """
        call = self.call(app, priority)
        if runs_inline() and not isinstance(app.backend, TestQueue):
            with app.testing() as queue:
                app.defer(call)
                queue.run()
            return
        app.defer(call)

    async def defer_async(self, app: App, priority: Optional[int] = None) -> None:
        """As defer, for coroutines."""
        await app.defer_async(self.call(app, priority))

    def call(self, app: App, priority: Optional[int] = None, **settings: Any) -> TaskCall:
        """The task that it becomes; `settings` are penstock.TaskSettings."""
        if priority is None:
            priority = random.randint(PRIORITY_MIN, PRIORITY_MAX)
        if self.scheduled_at is not None:
            settings["run_at"] = self.scheduled_at.astimezone()
        if self.task not in app.tasks:
            # Its worker says how often it is tried; this is the most.
            settings.setdefault("max_attempts", STARTS_MAX)
        deferrer = app.configure_task(self.task, queue=self.queue, priority=priority, **settings)
        return deferrer.call(**self.arguments())

    def arguments(self) -> dict[str, Any]:
        """What the task is called with: what is of this run alone stays behind."""
        told: dict[str, Any] = {"queue": self.queue, "task": self.task}
        if self.payload:
            told["payload"] = _plain(self.payload)
        return told


class DatasetJob(Job):
    """A job of a dataset, mostly one that is about some of its entities."""

    dataset: str
    #: A label by which jobs are watched and cancelled together.
    batch: Optional[str] = None

    def _named(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "batch": self.batch, **super()._named()}

    def call(self, app: App, priority: Optional[int] = None, **settings: Any) -> TaskCall:
        settings.setdefault("key", self.dataset)
        settings.setdefault("batch", self.batch)
        return super().call(app, priority, **settings)

    def arguments(self) -> dict[str, Any]:
        told = super().arguments()
        told["dataset"] = self.dataset
        if self.batch is not None:
            told["batch"] = self.batch
        return told

    @classmethod
    def from_entities(
        cls,
        dataset: str,
        queue: str,
        task: str,
        entities: Iterable[Union[EntityProxy, dict[str, Any]]],
        dehydrate: Optional[bool] = None,
        **context: Any,
    ) -> "DatasetJob":
        """A job for these entities, of which it takes along what finds them in the store.

        With dehydrate=False it takes all of each (default: as the settings say, which is True).
        `batch` is the job's; what else is told goes into the context.
        """
        if dehydrate is None:
            dehydrate = dehydrates()
        batch = context.pop("batch", None)
        take = dehydrated if dehydrate else whole
        payload: dict[str, Any] = {"entities": [take(entity) for entity in entities]}
        if context:
            payload["context"] = context
        return cls(dataset=dataset, queue=queue, task=task, payload=payload, batch=batch)

    def get_entities(self) -> Iterator[EntityProxy]:
        """The entities of the payload, as they were when it was deferred. InvalidEntity."""
        assert "entities" in self.payload, "this job has no entities"
        for data in self.payload["entities"]:
            yield proxy_of(data)

    def load_entities(self) -> Iterator[EntityProxy]:
        """The same from the store as they are now, merged, in order of ids.

        Those that the store does not know are left out.
        """
        ids = [str(entity.id) for entity in self.get_entities()]
        return self._fragments().load(ids)

    def get_writer(self, origin: str = ORIGIN) -> EntityWriter:
        """Writes entities, or parts of them, to the dataset: a context manager."""
        return EntityWriter(self._fragments(), origin)

    def get_file_references(self) -> Iterator[EntityFileReference]:
        """A file for each contentHash of each entity of the payload."""
        for entity in self.get_entities():
            for content_hash in entity.get("contentHash", quiet=True):
                yield EntityFileReference(self.dataset, content_hash, entity, self._app)

    def _fragments(self) -> Fragments:
        return app_of(self._app).fragments(self.dataset)


AnyJob = Union[Job, DatasetJob]
#: What a task returns: nothing, a job, or jobs that it yields. To type checkers it is anything, for
#: they know no type of both a plain function and a generator; others than jobs fail when they come.
Defers = Any


def job_of(arguments: Any, app: Optional[App] = None, wanted: Optional[type[Job]] = None) -> AnyJob:
    """The job that a task's arguments are: `wanted`, else with a dataset a DatasetJob.

    pydantic.ValidationError.
    """
    if not isinstance(arguments, dict):
        raise InvalidJob(f"a job's arguments are an object, not {type(arguments).__name__}")
    kind = wanted or (DatasetJob if "dataset" in arguments else Job)
    job = kind.model_validate(arguments)
    job._app = app
    return job


def _plain(value: Any) -> Any:
    """A payload in which entities are what JSON has."""
    if isinstance(value, EntityProxy):
        return value.to_dict()
    if isinstance(value, dict) and isinstance(value.get("entities"), list):
        entities = value["entities"]
        if any(isinstance(entity, EntityProxy) for entity in entities):
            return {**value, "entities": [_plain(entity) for entity in entities]}
    return value
