"""Entities as they travel in jobs and lie in the store: FollowTheMoney's own proxies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from followthemoney import model
from followthemoney.exc import InvalidData
from followthemoney.proxy import EntityProxy
from followthemoney.util import merge_context

from .exceptions import InvalidEntity

if TYPE_CHECKING:
    from ..queue_calls import Fragment

#: What a dehydrated entity keeps of its properties, where it has them.
KEPT = ("contentHash", "fileName", "parent", "ancestors")
#: What of an entity is not its context.
_OWN = frozenset(("id", "schema", "properties"))


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
    # Merged as data, so that no proxy is made of each part.
    whole: dict[str, Any] = {}
    for one in fragments:
        data = one.data
        if whole.get("id") == one.id:
            _unite(whole, data, one)
            continue
        if whole:
            yield proxy_of(whole)
        data["id"] = one.id
        whole = data
    if whole:
        yield proxy_of(whole)


def _unite(whole: dict[str, Any], data: dict[str, Any], of: Fragment) -> None:
    if data.get("schema") != whole.get("schema"):
        try:
            shared = model.common_schema(whole.get("schema", ""), data.get("schema", ""))
        except InvalidData:
            raise InvalidEntity(
                f"fragment {of.fragment!r} of origin {of.origin!r} makes entity {of.id!r} a"
                f" {data.get('schema')}, others a {whole.get('schema')}: they share no schema"
            ) from None
        whole["schema"] = shared.name
    united = whole.setdefault("properties", {})
    for name, values in (data.get("properties") or {}).items():
        if name in united:
            united[name] = [*united[name], *values]
        else:
            united[name] = values
    if len(data) > 2:
        others = {name: value for name, value in data.items() if name not in _OWN}
        context = {name: value for name, value in whole.items() if name not in _OWN}
        whole.update(merge_context(context, others))
