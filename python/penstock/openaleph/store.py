"""The entities of a dataset in the server's fragment store.

A fragment is (id, origin, fragment) and what it says of the entity. The same triple put again
replaces; different ones are merged when the entity is read, whatever their origin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from followthemoney.proxy import EntityProxy

from ..errors import NotFoundError
from .entities import merged, whole
from .exceptions import InvalidEntity

if TYPE_CHECKING:
    from ..client import Client
    from ..queue_calls import Fragment

ORIGIN = "openaleph_procrastinate"
FRAGMENT = "default"
FLUSH_COUNT = 1000
FLUSH_CHARACTERS = 8 << 20
#: Ids asked for at a time.
LOAD_COUNT = 1000

#: id, origin, fragment
Triple = tuple[str, str, str]


class Fragments:
    """One dataset's fragments. For any thread: `client` gives the calling thread's."""

    def __init__(self, client: Callable[[], Client], dataset: str) -> None:
        self.dataset = dataset
        self._client = client

    def put(self, fragments: Iterable[tuple[str, str, str, dict[str, Any]]]) -> int:
        """Stores them, durable on return; how many."""
        return self._client().fragments.put(self.dataset, fragments)

    def entities(self) -> Iterator[EntityProxy]:
        """All of them, in order of ids."""
        return merged(_known(self._client().fragments.iterate(self.dataset)))

    def load(self, ids: Iterable[str]) -> Iterator[EntityProxy]:
        """By id, each once and merged, portion by portion in order of ids; no unknown ones."""
        source = iter(dict.fromkeys(ids))
        while portion := sorted(islice(source, LOAD_COUNT)):
            yield from merged(self.fragments_of(portion))

    def fragments_of(self, ids: list[str]) -> Iterator[Fragment]:
        """The fragments themselves of those ids, in their order."""
        return _known(self._client().fragments.load(self.dataset, ids))

    def delete(self, id: str | None = None, origin: str | None = None) -> None:
        """What has that id, that origin, or both; the whole dataset for neither."""
        with contextlib.suppress(NotFoundError):
            self._client().fragments.delete(self.dataset, id, origin)


def _known(fragments: Iterator[Fragment]) -> Iterator[Fragment]:
    """Of a dataset in which nothing was ever put there are none."""
    with contextlib.suppress(NotFoundError):
        yield from fragments


class EntityWriter:
    """Puts entities into a dataset, many at a time. For one thread.

    As a context manager it flushes on leaving, on an error too. What cannot be stored is an error,
    and stays to be flushed again.
    """

    def __init__(self, fragments: Fragments, origin: str = ORIGIN) -> None:
        self.dataset = fragments.dataset
        self.origin = origin
        self._fragments = fragments
        self._waiting: dict[Triple, dict[str, Any]] = {}
        self._characters = 0

    def put(
        self,
        entity: EntityProxy | dict[str, Any],
        fragment: str | None = None,
        origin: str | None = None,
    ) -> None:
        """Takes an entity, or a part of one; it is stored by the next flush. InvalidEntity."""
        data = whole(entity)
        id = data.pop("id")
        if not id:
            raise InvalidEntity(f"an entity of schema {data['schema']} has no id")
        triple = (id, str(origin or self.origin), str(fragment or FRAGMENT))
        self._waiting[triple] = data
        self._characters += len(entity)
        if len(self._waiting) >= FLUSH_COUNT or self._characters >= FLUSH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Stores what was put; durable on return. Raises what the SDK raises."""
        if not self._waiting:
            return
        self._fragments.put((*triple, data) for triple, data in self._waiting.items())
        self._waiting.clear()
        self._characters = 0

    def close(self) -> None:
        """Flushes; the writer can go on being used."""
        self.flush()

    def iterate(self, entity_id: Iterable[str] | str | None = None) -> Iterator[EntityProxy]:
        """Entities of the dataset in order of ids: all of it, or those ids (none for [])."""
        self.flush()
        if entity_id is None:
            return self._fragments.entities()
        return self._fragments.load([entity_id] if isinstance(entity_id, str) else entity_id)

    def get(self, entity_id: str) -> EntityProxy | None:
        """One entity; None when the store does not know it."""
        return next(self.iterate(entity_id), None)

    def delete(
        self,
        entity_id: str | None = None,
        origin: str | None = None,
    ) -> None:
        """Deletes the fragments of an entity, of an origin, of both, or of the whole dataset."""
        self.flush()
        self._fragments.delete(entity_id, origin)

    def __enter__(self) -> EntityWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()
