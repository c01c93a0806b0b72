"""JSON schemas of annotations: what a step takes and gives, said to those who call it.

A schema says what arguments.py reads: each type here has its reader there. Of a class that has
members the schema is in `$defs`, so that a class may contain itself.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import pathlib
import types
import typing
import uuid
from typing import Any, Union

from ..arguments import ArgumentsError, to_json

Schema = dict[str, Any]

_SIMPLE: dict[Any, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    frozenset: {"type": "array", "uniqueItems": True},
    dict: {"type": "object"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "number", "description": "seconds"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
}
#: What annotated-types and pydantic's Field call what a schema calls otherwise.
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
_LENGTHS = {"min_length": ("minLength", "minItems"), "max_length": ("maxLength", "maxItems")}
_QUALIFIERS = ("Required", "NotRequired", "ReadOnly")


class Schemas:
    """Makes schemas; `defs` are those that they refer to."""

    def __init__(self) -> None:
        self.defs: dict[str, Schema] = {}
        self._names: dict[type, str] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of an annotation; {}: any JSON. TypeError when no JSON is one."""
        if kind is None:
            kind = type(None)
        if kind in (Any, object, inspect.Parameter.empty) or isinstance(kind, typing.TypeVar):
            return {}
        if isinstance(kind, type) and kind in _SIMPLE:
            return dict(_SIMPLE[kind])
        origin = typing.get_origin(kind)
        if origin is not None:
            return self._generic(kind, origin, typing.get_args(kind))
        if hasattr(kind, "__supertype__"):  # NewType
            return self.of(kind.__supertype__)
        if not isinstance(kind, type):
            return {}  # a name that cannot be resolved
        return self._class(kind)

    def _generic(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Schema:
        if origin is Union or origin is getattr(types, "UnionType", None):
            return {"anyOf": [self.of(arg) for arg in args]}
        if origin is typing.Literal:
            return _choice([a.value if isinstance(a, enum.Enum) else a for a in args])
        if hasattr(kind, "__metadata__"):  # Annotated
            return {**self.of(args[0]), **said_of(kind)}
        if str(origin).endswith(_QUALIFIERS):
            return self.of(args[0])
        if not isinstance(origin, type):
            return {}
        if issubclass(origin, tuple) and not (len(args) == 2 and args[1] is Ellipsis):
            items = [self.of(arg) for arg in args if arg != ()]
            return _listed(items, len(items))
        if issubclass(origin, collections.abc.Mapping):
            inner = self.of(args[1])
            return {"type": "object", **({"additionalProperties": inner} if inner else {})}
        if issubclass(origin, collections.abc.Iterable):
            item = self.of(args[0])
            made: Schema = {"type": "array", **({"items": item} if item else {})}
            if issubclass(origin, collections.abc.Set):
                made["uniqueItems"] = True
            return made
        return self._class(origin)

    def _class(self, kind: type) -> Schema:
        if issubclass(kind, enum.Enum):
            return self._defined(kind, lambda: {**_choice([one.value for one in kind])})
        if hasattr(kind, "model_json_schema"):  # pydantic
            return self._pydantic(kind, kind.model_json_schema)
        if dataclasses.is_dataclass(kind):
            return self._defined(kind, lambda: self._dataclass(kind))
        if hasattr(kind, "__total__") and issubclass(kind, dict):
            return self._defined(kind, lambda: self._typed_dict(kind))
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._defined(kind, lambda: self._named_tuple(kind))
        if issubclass(kind, pathlib.PurePath):
            return {"type": "string", "format": "path"}
        if issubclass(kind, collections.abc.Mapping):
            return {"type": "object"}
        if issubclass(kind, collections.abc.Iterable) and kind.__module__ == "collections.abc":
            return {"type": "array"}
        adapter = pydantic_adapter(kind)
        if adapter is None:
            raise TypeError(f"a {kind.__qualname__} has no JSON")
        return self._pydantic(kind, adapter.json_schema)

    def _defined(self, kind: type, make: typing.Callable[[], Schema]) -> Schema:
        """The reference to a class, which is described once."""
        if kind not in self._names:
            name = kind.__name__
            if name in self.defs:
                name = f"{kind.__module__}.{kind.__qualname__}".replace(".", "__")
            self._names[kind] = name
            # There before it is made: it may contain itself.
            self.defs[name] = {}
            self.defs[name].update({"title": kind.__name__, **make()})
        return {"$ref": f"#/$defs/{self._names[kind]}"}

    def _pydantic(self, kind: type, make: typing.Callable[..., Schema]) -> Schema:
        def made() -> Schema:
            told = dict(make(ref_template="#/$defs/{model}"))
            for name, schema in told.pop("$defs", {}).items():
                self.defs.setdefault(name, schema)
            return told

        return self._defined(kind, made)

    def _dataclass(self, kind: Any) -> Schema:
        hints = typing.get_type_hints(kind, include_extras=True)
        usual: dict[str, Any] = {}
        needed = []
        fields = [one for one in dataclasses.fields(kind) if one.init]
        for one in fields:
            if one.default is not dataclasses.MISSING:
                usual[one.name] = one.default
            elif one.default_factory is dataclasses.MISSING:
                needed.append(one.name)
        return self._members({one.name: hints[one.name] for one in fields}, needed, usual)

    def _typed_dict(self, kind: Any) -> Schema:
        hints = typing.get_type_hints(kind, include_extras=True)
        required = getattr(kind, "__required_keys__", hints)
        return self._members(hints, [name for name in hints if name in required], {})

    def _named_tuple(self, kind: Any) -> Schema:
        hints = typing.get_type_hints(kind, include_extras=True)
        items = [{"title": name, **self.of(hints.get(name, Any))} for name in kind._fields]
        return _listed(items, len(items) - len(kind._field_defaults))

    def _members(self, hints: dict[str, Any], needed: list[str], usual: dict[str, Any]) -> Schema:
        properties = {}
        for name, hint in hints.items():
            properties[name] = {**self.of(hint), **default_of(usual, name)}
        made: Schema = {"type": "object", "properties": properties}
        if needed:
            made["required"] = needed
        return {**made, "additionalProperties": False}


def said_of(kind: Any) -> Schema:
    """What Annotated says beside the type: a text is the description; bounds as pydantic's Field,
    pydantic's types and annotated-types say them."""
    made: Schema = {}
    is_list = "array" in str(Schemas().of(typing.get_args(kind)[0]).get("type", ""))
    todo = list(getattr(kind, "__metadata__", ()))
    while todo:
        one = todo.pop(0)
        if isinstance(one, str):
            made["description"] = one
            continue
        metadata = getattr(one, "metadata", None)
        if isinstance(metadata, (list, tuple)):
            todo += metadata
        for name in ("title", "description"):
            if isinstance(getattr(one, name, None), str):
                made[name] = getattr(one, name)
        for name, word in _BOUNDS.items():
            if getattr(one, name, None) is not None:
                made[word] = getattr(one, name)
        for name, words in _LENGTHS.items():
            if getattr(one, name, None) is not None:
                made[words[is_list]] = getattr(one, name)
    return made


def default_of(usual: dict[str, Any], name: str) -> Schema:
    """The member `default`, when there is one and it is JSON."""
    if name not in usual:
        return {}
    try:
        return {"default": to_json(name, usual[name])}
    except ArgumentsError:
        return {}  # the function has it all the same


def pydantic_adapter(kind: Any) -> Any:
    """pydantic's own understanding of a type that is not known here; None when it has none."""
    try:
        import pydantic
    except ImportError:
        return None
    try:
        return pydantic.TypeAdapter(kind)
    except Exception:  # each release has its own
        return None


def _choice(values: list[Any]) -> Schema:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    found = {names.get(type(value)) for value in values}
    made: Schema = {"enum": values}
    if len(found) == 1 and None not in found:
        made["type"] = found.pop()
    return made


def _listed(items: list[Schema], least: int) -> Schema:
    return {
        "type": "array",
        "prefixItems": items,
        "minItems": least,
        "maxItems": len(items),
    }
