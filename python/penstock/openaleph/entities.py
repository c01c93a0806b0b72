"""Entities as they travel in jobs and lie in the store: FollowTheMoney's own proxies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from followthemoney import model
from followthemoney.exc import InvalidData
from followthemoney.proxy import EntityProxy

from .exceptions import InvalidEntity

if TYPE_CHECKING:
    from ..queue_calls import Fragment

#: What a dehydrated entity keeps of its properties, where it has them.
KEPT = ("contentHash", "fileName", "parent", "ancestors")


def proxy_of(data: Any) -> EntityProxy:
    """The entity that a payload or the store has. InvalidEntity."""
    if isinstance(data, EntityProxy):
        return data
    if not isinstance(data, dict):
        raise InvalidEntity(f"an entity is an object, not {type(data).__name__}")
    try:
        proxy = model.get_proxy(data)
    except InvalidData:
        raise InvalidEntity(
            f"{_named(data)} has the unknown schema {data.get('schema')!r}"
        ) from None
    except (AttributeError, TypeError) as why:
        raise InvalidEntity(f"{_named(data)} is broken: {why}") from None
    if not proxy.id:
        raise InvalidEntity(f"an entity of schema {proxy.schema.name} has no id")
    return proxy


def _named(data: dict[str, Any]) -> str:
    return f"entity {data.get('id')!r}"


def whole(entity: EntityProxy | dict[str, Any]) -> dict[str, Any]:
    """The entity with all that it has."""
    return proxy_of(entity).to_dict()


def dehydrated(entity: EntityProxy | dict[str, Any]) -> dict[str, Any]:
    """The entity with what it takes to find the rest in the store."""
    proxy = proxy_of(entity)
    if not proxy.id:
        raise InvalidEntity(f"an entity of schema {proxy.schema.name} has no id")
    properties = {}
    for name in KEPT:
        values = proxy.get(name, quiet=True)
        if values:
            properties[name] = list(values)
    return {
        "id": proxy.id,
        "schema": proxy.schema.name,
        "caption": proxy.caption,
        "properties": properties,
    }


def merged(fragments: Iterable[Fragment]) -> Iterator[EntityProxy]:
    """One entity of all fragments of an id, which come one after the other.

    Values of a property are united; the schema is the most specific that all of them share.
    InvalidEntity when there is none.
    """
    entity: EntityProxy | None = None
    for one in fragments:
        one.data["id"] = one.id
        part = proxy_of(one.data)
        if entity is None or entity.id != one.id:
            if entity is not None:
                yield entity
            entity = part
            continue
        try:
            entity.merge(part)
        except InvalidData:
            raise InvalidEntity(
                f"fragment {one.fragment!r} of origin {one.origin!r} makes entity {one.id!r} a"
                f" {part.schema.name}, others a {entity.schema.name}: they share no schema"
            ) from None
    if entity is not None:
        yield entity
