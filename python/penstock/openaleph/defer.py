"""The known stages: each call defers a job to the stage that the settings describe.

A service always calls the next stages' functions; whether anything happens is for the deployment to
say (OPENALEPH_<STAGE>_DEFER=0). docs/openaleph.md has the table.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from followthemoney.proxy import EntityProxy

from ..app import App
from ..task_call import ATTEMPTS_MAX, PRIORITY_MAX, PRIORITY_MIN, RetryPolicy
from .exceptions import SettingsError
from .model import DatasetJob, Job
from .settings import Stage, as_int, stage

Entities = Iterable[EntityProxy]


def _defer(app: App, stage: Stage, job: Job, context: dict[str, Any]) -> None:
    # Who names a priority in the context has it used, and handed on to the task.
    priority = context.get("priority")
    if priority is None:
        priority = random.randint(stage.min_priority, stage.max_priority)
    priority = as_int("priority", priority)
    if not PRIORITY_MIN <= priority <= PRIORITY_MAX:
        raise SettingsError(f"priority {priority} is not from {PRIORITY_MIN} to {PRIORITY_MAX}")
    settings: dict[str, Any] = {}
    # A task that is known here says itself how it is retried.
    if stage.task not in app.tasks:
        retries = ATTEMPTS_MAX - 1 if stage.max_retries < 0 else stage.max_retries
        settings.update(retry=RetryPolicy(), max_attempts=retries + 1)
    app.defer(job.call(app, priority, **settings))


def _entities(name: str, app: App, dataset: str, entities: Entities, context: Any) -> None:
    of = stage(name)
    if of.defer:
        job = DatasetJob.from_entities(dataset, of.queue, of.task, entities, **context)
        _defer(app, of, job, context)


def _dataset(name: str, app: App, dataset: str, context: dict[str, Any]) -> None:
    of = stage(name)
    if of.defer:
        batch = context.pop("batch", None)
        payload = {"context": context} if context else {}
        job = DatasetJob(
            dataset=dataset, queue=of.queue, task=of.task, payload=payload, batch=batch
        )
        _defer(app, of, job, context)


def ingest(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Reads files and makes entities of them."""
    _entities("ingest", app, dataset, entities, context)


def analyze(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Finds names, dates, languages in texts."""
    _entities("analyze", app, dataset, entities, context)


def transcribe(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Makes texts of what is spoken."""
    _entities("transcribe", app, dataset, entities, context)


def translate(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Translates texts."""
    _entities("translate", app, dataset, entities, context)


def geocode(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Finds places of addresses."""
    _entities("geocode", app, dataset, entities, context)


def resolve_assets(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Finds pictures and the like of entities (settings: OPENALEPH_ASSETS)."""
    _entities("assets", app, dataset, entities, context)


def vectorize(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Makes vectors of texts."""
    _entities("vectorize", app, dataset, entities, context)


def index(app: App, dataset: str, entities: Entities, **context: Any) -> None:
    """Makes entities to be found."""
    _entities("index", app, dataset, entities, context)


def reindex(app: App, dataset: str, **context: Any) -> None:
    """Indexes a whole dataset anew."""
    _dataset("reindex", app, dataset, context)


def xref(app: App, dataset: str, **context: Any) -> None:
    """Compares a dataset with the others."""
    _dataset("xref", app, dataset, context)


def load_mapping(app: App, dataset: str, **context: Any) -> None:
    """Makes entities of a table by a mapping."""
    _dataset("load_mapping", app, dataset, context)


def flush_mapping(app: App, dataset: str, **context: Any) -> None:
    """Removes what a mapping made."""
    _dataset("flush_mapping", app, dataset, context)


def export_search(app: App, **context: Any) -> None:
    """Exports what a search finds, in whatever datasets."""
    of = stage("export_search")
    if of.defer:
        payload = {"context": context} if context else {}
        _defer(app, of, Job(queue=of.queue, task=of.task, payload=payload), context)


def export_xref(app: App, dataset: str, **context: Any) -> None:
    """Exports what a comparison found."""
    _dataset("export_xref", app, dataset, context)


def update_entity(app: App, dataset: str, **context: Any) -> None:
    """Indexes one entity anew that somebody edited."""
    _dataset("update_entity", app, dataset, context)


def prune_entity(app: App, dataset: str, **context: Any) -> None:
    """Removes what refers to an entity that is gone."""
    _dataset("prune_entity", app, dataset, context)


def cancel_dataset(app: App, dataset: str, **context: Any) -> None:
    """Cancels what waits of a dataset; before everything else."""
    _dataset("cancel_dataset", app, dataset, context)
