"""Entities and files without a job, on the server and archive of the settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from followthemoney.proxy import EntityProxy

from .app import app_of
from .files import get_archive, get_localpath, open_file
from .store import ORIGIN, EntityWriter


def load_entities(dataset: str, ids: Iterable[str]) -> Iterator[EntityProxy]:
    """Entities as they are now, in order of ids; unknown ones are left out."""
    return app_of().fragments(dataset).load(ids)


def load_entity(dataset: str, id: str) -> EntityProxy | None:
    """One of them; None when it is unknown."""
    return next(load_entities(dataset, [id]), None)


def entity_writer(dataset: str, origin: str = ORIGIN) -> EntityWriter:
    """Writes entities to a dataset: a context manager."""
    return EntityWriter(app_of().fragments(dataset), origin)


__all__ = [
    "entity_writer",
    "get_archive",
    "get_localpath",
    "load_entities",
    "load_entity",
    "open_file",
]
