"""Entities made of entities."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from followthemoney import model
from followthemoney.proxy import EntityProxy
from followthemoney.util import make_entity_id

from .entities import dehydrated, proxy_of
from .helpers import load_entities

PAGES_COUNT = 1000


def make_stub_entity(entity: EntityProxy) -> EntityProxy:
    """What names it: id, schema and caption."""
    return model.get_proxy(
        {"id": entity.id, "schema": entity.schema.name, "caption": entity.caption}
    )


def make_file_entity(entity: EntityProxy) -> EntityProxy:
    """What finds its file: its id, schema, caption, content hash, file name and folders."""
    return proxy_of(dehydrated(entity))


def get_page_entity_fragments(dataset: str, entity: EntityProxy) -> Iterator[EntityProxy]:
    """The Page entities of a document of pages, whose ids are made of its own and their numbers.

    Asked for many at a time, until there are none; they come in order of ids.
    """
    numbers = count(1)
    while True:
        ids = [make_entity_id(entity.id, n) for n in islice(numbers, PAGES_COUNT)]
        found = False
        for page in load_entities(dataset, [id for id in ids if id]):
            found = True
            yield page
        if not found:
            return
