"""What a step takes besides files, and what it gives: described by schemas, checked, converted."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ..arguments import ArgumentsError, Misfit, Reader, reader_of, shown, to_json
from .docstring import Docs
from .schema import Schema, Schemas, default_of, pydantic_adapter


def reader_for(kind: Any) -> Reader | None:
    """What makes a value of that type of JSON; None: any JSON is one. TypeError: nothing does."""
    try:
        return reader_of(kind)
    except TypeError:
        adapter = pydantic_adapter(kind)
        if adapter is None:
            raise
        reader: Reader = adapter.validate_python
        return reader


class Parameters:
    """The parameters of one step. `name` is the step's, for errors."""

    def __init__(
        self,
        name: str,
        parameters: Iterable[inspect.Parameter],
        hints: Mapping[str, Any],
        docs: Docs,
    ) -> None:
        self._name = name
        self._readers: dict[str, Reader | None] = {}
        self._defaults: dict[str, Any] = {}
        schemas = Schemas()
        properties: dict[str, Schema] = {}
        for one in parameters:
            hint = hints.get(one.name, Any)
            try:
                self._readers[one.name] = reader_for(hint)
                described = schemas.of(hint)
            except TypeError as error:
                raise TypeError(f"{name}: parameter {one.name!r}: {error}") from None
            if one.default is not one.empty:
                self._defaults[one.name] = one.default
            about = docs.parameters.get(one.name)
            properties[one.name] = {
                "title": one.name,
                **({"description": about} if about else {}),
                **described,
                **self._default_told(one.name),
            }
        self._needed = [one for one in self._readers if one not in self._defaults]
        self._properties, self._defs = properties, schemas.defs

    def _default_told(self, name: str) -> Schema:
        """The default for users; of one that could not be given, as the None of `x: int = None`,
        only the function knows."""
        told = default_of(self._defaults, name)
        reader = self._readers[name]
        try:
            if told and reader is not None:
                reader(told["default"])
        except Exception:
            return {}
        return told

    def schema(self) -> Schema | None:
        """For users; None when it takes none."""
        if not self._properties:
            return None
        made: Schema = {
            "type": "object",
            "title": "Parameters",
            "properties": self._properties,
            "required": self._needed,
            "additionalProperties": False,
        }
        if self._defs:
            made["$defs"] = self._defs
        return made

    def read(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the function is to be called with. ArgumentsError names the parameter."""
        given = given or {}
        odd = [name for name in given if name not in self._readers]
        if odd:
            raise ArgumentsError(f"{self._name}: there is no parameter {', '.join(map(repr, odd))}")
        missing = [name for name in self._needed if name not in given]
        if missing:
            names = ", ".join(map(repr, missing))
            raise ArgumentsError(f"{self._name}: parameter {names} is missing")
        return {name: self._value(name, value) for name, value in given.items()}

    def _value(self, name: str, value: Any) -> Any:
        reader = self._readers[name]
        try:
            return value if reader is None else reader(value)
        except Misfit as misfit:
            raise ArgumentsError(
                f"{self._name}: parameter {name}{misfit.where} must be {misfit.wanted},"
                f" not {shown(misfit.value)}"
            ) from None
        except Exception as error:
            raise ArgumentsError(
                f"{self._name}: parameter {name} = {shown(value)}: {type(error).__name__}: {error}"
            ) from error


class Returns:
    """What a step gives besides files."""

    def __init__(self, name: str, hint: Any, docs: Docs) -> None:
        self._name = name
        self._docs = docs
        self._schemas = Schemas()
        try:
            self._reader = reader_for(hint)
            self._described = self._schemas.of(hint)
        except TypeError as error:
            raise TypeError(f"{name}: what it returns: {error}") from None

    def schema(self) -> Schema:
        """For users: the schema of an object whose `value` it is."""
        about = {"description": self._docs.returns} if self._docs.returns else {}
        made: Schema = {
            "type": "object",
            "title": "Returns",
            "properties": {"value": {**self._described, **about}},
            "required": ["value"],
        }
        if self._schemas.defs:
            made["$defs"] = self._schemas.defs
        return made

    def write(self, result: Any) -> Any:
        """The result as JSON. TypeError when it is none, or not what was promised."""
        try:
            tree = to_json(self._name, result)
        except ArgumentsError:
            text = f"{self._name}: the result {shown(result)} is no JSON"
            raise TypeError(text) from None
        try:
            if self._reader is not None:
                self._reader(tree)
        except Exception as error:
            wanted = getattr(error, "wanted", None) or str(error)
            where = getattr(error, "where", "")
            text = f"{self._name}: the result{where} must be {wanted}, not {shown(result)}"
            raise TypeError(text) from None
        return tree
