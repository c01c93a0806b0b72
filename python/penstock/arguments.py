"""Arguments of tasks: checked against the function's annotations, and made of JSON by them.

A Signature is made once a function. `pack` turns what `defer` was called with into JSON, and sees
that it fits; `unpack` makes of JSON what the function is called with. Both raise ArgumentsError,
whose text names function, argument and value.
"""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import pathlib
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Union

import orjson

from .errors import InvalidError

SHOWN_MAX = 120

#: Makes a value of JSON; raises Misfit, or what the type's own reader raises.
Reader = Callable[[Any], Any]


class ArgumentsError(InvalidError):
    """A task's arguments do not fit its function."""


class Misfit(ValueError):  # noqa: N818 - the caller makes an error of it
    """A value does not fit; `where` leads to it from the argument on."""

    def __init__(self, wanted: str, value: Any, where: str = "") -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.value = value
        self.where = where

    def inside(self, step: str) -> Misfit:
        """The same, seen from one level further out."""
        return Misfit(self.wanted, self.value, step + self.where)


class Signature:
    """What a function can be called with by keyword."""

    def __init__(self, name: str, function: Callable[..., Any], leave_out: int = 0) -> None:
        self.name = name
        parameters = list(inspect.signature(function).parameters.values())[leave_out:]
        hints = hints_of(function)
        self._readers: dict[str, Reader | None] = {}
        self._rest: Reader | None = None
        self._takes_rest = False
        needed = []
        for parameter in parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise TypeError(f"{name}: argument {parameter.name!r} cannot be given by name")
            try:
                reader = reader_of(hints.get(parameter.name, Any))
            except TypeError as error:
                raise TypeError(f"{name}: argument {parameter.name!r}: {error}") from None
            if parameter.kind is parameter.VAR_KEYWORD:
                self._takes_rest, self._rest = True, reader
                continue
            self._readers[parameter.name] = reader
            if parameter.default is parameter.empty:
                needed.append(parameter.name)
        self._needed = frozenset(needed)
        #: Nothing is to be looked at but the names.
        self._plain = self._rest is None and not any(self._readers.values())

    def pack(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as JSON, which is known to fit."""
        tree: dict[str, Any] = to_json(self.name, given)
        self.unpack(tree)
        return tree

    def unpack(self, tree: Any) -> dict[str, Any]:
        """What the function is to be called with."""
        if not isinstance(tree, dict):
            raise ArgumentsError(f"{self.name}: arguments are an object, not {shown(tree)}")
        readers = self._readers
        if not (tree.keys() <= readers.keys() or self._takes_rest):
            odd = ", ".join(repr(name) for name in tree if name not in readers)
            raise ArgumentsError(f"{self.name}: there is no argument {odd}")
        if not self._needed <= tree.keys():
            missing = ", ".join(repr(name) for name in readers if name in self._needed - set(tree))
            raise ArgumentsError(f"{self.name}: argument {missing} is missing")
        if self._plain:
            return tree
        made = {}
        for name, value in tree.items():
            reader = readers.get(name, self._rest)
            try:
                made[name] = value if reader is None else reader(value)
            except Misfit as misfit:
                raise ArgumentsError(
                    f"{self.name}: argument {name}{misfit.where} must be {misfit.wanted},"
                    f" not {shown(misfit.value)}"
                ) from None
            except Exception as error:
                raise ArgumentsError(
                    f"{self.name}: argument {name} = {shown(value)}:"
                    f" {type(error).__name__}: {error}"
                ) from error
        return made


def to_json(name: str, given: Any) -> Any:
    """A tree of JSON of these arguments; what is no JSON is told by its place."""
    try:
        data = orjson.dumps(given, default=_plain)
        tree = orjson.loads(data)
        # orjson writes NaN as null.
        if b"null" not in data or tree == given:
            return tree
    except (TypeError, orjson.JSONDecodeError):
        pass
    # By hand, for what orjson cannot say (large integers), and for where what nobody can say is.
    tree = _tree(name, given, "")
    try:
        json.dumps(tree, allow_nan=False).encode("utf-8")
    except RecursionError:
        raise ArgumentsError(f"{name}: the arguments are nested too deeply") from None
    return tree


def _tree(name: str, value: Any, where: str) -> Any:
    if value is None or (isinstance(value, (bool, int)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            text = f"{name}: argument {where} is no text: it has half of a surrogate pair"
            raise ArgumentsError(text) from None
        return str(value)
    if isinstance(value, float):
        if value - value != 0:
            raise ArgumentsError(f"{name}: argument {where} is {value}, which is no JSON")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                text = f"{name}: {where or 'the arguments'} has a key that is no text: {key!r}"
                raise ArgumentsError(text)
        steps = ((key, f"{where}.{key}" if where else key) for key in value)
        return {key: _tree(name, value[key], step) for key, step in steps}
    if isinstance(value, (list, tuple)):
        return [_tree(name, one, f"{where}[{i}]") for i, one in enumerate(value)]
    try:
        return _tree(name, _plain(value), where)
    except TypeError:
        kind = type(value).__name__
        text = f"{name}: argument {where} = {shown(value)} is a {kind}, which is no JSON"
        raise ArgumentsError(text) from None


def _plain(value: Any) -> Any:
    """One level of what JSON has no form of. TypeError."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset, collections.abc.Sequence)) and not isinstance(
        value, (bytes, bytearray)
    ):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (uuid.UUID, decimal.Decimal, pathlib.PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    raise TypeError(type(value).__name__)


def shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "\u2026"


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations, as far as they can be evaluated."""
    while hasattr(function, "func"):
        function = function.func  # functools.partial
    plain = inspect.unwrap(function)
    try:
        return typing.get_type_hints(plain, include_extras=True)
    except Exception:
        pass
    # One that is there for type checkers only, or too new for this Python, is left unchecked.
    found = {}
    for name, annotation in getattr(plain, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            space = getattr(plain, "__globals__", {})
            found.update(typing.get_type_hints(holder, space, include_extras=True))
        except Exception:
            continue
    return found


# ---- readers of types


def reader_of(kind: Any) -> Reader | None:
    """What makes a value of that type of JSON; None: any JSON is one. TypeError: nothing does."""
    return _Readers().of(kind)


class _Readers:
    """Makes readers; types that name themselves are met again."""

    def __init__(self) -> None:
        self._made: dict[Any, Reader] = {}

    def of(self, kind: Any) -> Reader | None:
        if kind is Any or kind is inspect.Parameter.empty or isinstance(kind, typing.TypeVar):
            return None
        if kind is None:
            kind = type(None)
        simple = _SIMPLE.get(kind) if isinstance(kind, type) else None
        if simple is not None:
            return simple
        origin = typing.get_origin(kind)
        if origin is not None:
            return self._generic(kind, origin, typing.get_args(kind))
        if hasattr(kind, "__supertype__"):  # NewType
            return self.of(kind.__supertype__)
        if isinstance(kind, (str, typing.ForwardRef)) or not isinstance(kind, type):
            return None  # a name that cannot be resolved
        return self._class(kind)

    def _generic(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Reader | None:
        if origin is Union or origin is getattr(types, "UnionType", None):
            return _union(kind, [self.of(arg) for arg in args], args)
        if origin is typing.Literal:
            return _literal(args)
        if origin is getattr(typing, "Annotated", None) or str(origin).endswith(
            ("Required", "NotRequired", "ReadOnly", "Annotated")
        ):
            return self.of(args[0])
        if not isinstance(origin, type):
            return None
        if issubclass(origin, tuple):
            if len(args) == 2 and args[1] is Ellipsis:
                return _list(self.of(args[0]), tuple)
            return _tuple([self.of(arg) for arg in args])
        if issubclass(origin, (set, frozenset, collections.abc.Set)):
            return _list(self.of(args[0]), frozenset if origin is frozenset else set)
        if issubclass(origin, collections.abc.Mapping):
            return _dict(self.of(args[0]), self.of(args[1]))
        if issubclass(origin, collections.abc.Iterable):
            return _list(self.of(args[0]), list)
        return self._class(origin)

    def _class(self, kind: type) -> Reader | None:
        if kind in self._made:
            return self._made[kind]
        if issubclass(kind, enum.Enum):
            return _enum(kind)
        if hasattr(kind, "model_validate"):  # pydantic
            return typing.cast(Reader, kind.model_validate)
        if dataclasses.is_dataclass(kind):
            return self._dataclass(kind)
        if hasattr(kind, "__total__") and issubclass(kind, dict):
            return self._typed_dict(kind)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._named_tuple(kind)
        if issubclass(kind, pathlib.PurePath):
            return _converted(str, kind, "a path")
        if kind is object:
            return None
        if kind in (tuple, set, frozenset):
            return _list(None, kind)
        if issubclass(kind, collections.abc.Mapping):
            return _dict(None, None)
        if issubclass(kind, collections.abc.Iterable) and kind.__module__ == "collections.abc":
            return _list(None, list)
        raise TypeError(
            f"a {kind.__qualname__} cannot be made of JSON; take a dict, a dataclass or a"
            " pydantic model"
        )

    def _dataclass(self, kind: type) -> Reader:
        fields = [one for one in dataclasses.fields(kind) if one.init]
        needed = {
            one.name
            for one in fields
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        }
        return self._members(kind, [one.name for one in fields], needed, lambda made: kind(**made))

    def _named_tuple(self, kind: Any) -> Reader:
        needed = set(kind._fields) - set(kind._field_defaults)
        members = self._members(kind, kind._fields, needed, lambda made: kind(**made))

        def read(value: Any) -> Any:
            if isinstance(value, list) and len(value) <= len(kind._fields):
                value = dict(zip(kind._fields, value))
            return members(value)

        return read

    def _typed_dict(self, kind: Any) -> Reader:
        hints = typing.get_type_hints(kind)
        needed = set(getattr(kind, "__required_keys__", hints))
        return self._members(kind, list(hints), needed, lambda made: made)

    def _members(
        self,
        kind: Any,
        names: typing.Sequence[str],
        needed: set[str],
        make: Callable[[dict[str, Any]], Any],
    ) -> Reader:
        readers: dict[str, Reader | None] = {}
        title = kind.__name__

        def read(value: Any) -> Any:
            if not isinstance(value, dict):
                raise Misfit(f"an object ({title})", value)
            for name in value:
                if name not in readers:
                    raise Misfit(f"a {title}, which has no {name!r}", value)
            for name in needed:
                if name not in value:
                    raise Misfit(f"a {title}, which needs {name!r}", value)
            return make(
                {name: _read(readers[name], one, f".{name}") for name, one in value.items()}
            )

        self._made[kind] = read
        try:
            hints = typing.get_type_hints(kind, include_extras=True)
        except Exception:
            hints = {}
        for name in names:
            readers[name] = self.of(hints.get(name, Any))
        return read


def _read(reader: Reader | None, value: Any, step: str) -> Any:
    if reader is None:
        return value
    try:
        return reader(value)
    except Misfit as misfit:
        raise misfit.inside(step) from None


def _exact(kind: type, wanted: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(wanted, value)
        return value

    return read


def _converted(of: type, make: Callable[[Any], Any], wanted: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not of:
            raise Misfit(wanted, value)
        try:
            return make(value)
        except (ValueError, ArithmeticError):
            raise Misfit(wanted, value) from None

    return read


def _float(value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise Misfit("a number", value)
    return float(value)


def _datetime(text: str) -> datetime.datetime:
    # Before Python 3.11 fromisoformat knows no Z.
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _timedelta(value: Any) -> datetime.timedelta:
    return datetime.timedelta(seconds=_float(value))


def _list(inner: Reader | None, make: Callable[[Any], Any]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise Misfit("a list", value)
        if inner is None:
            return value if make is list else make(value)
        return make(_read(inner, one, f"[{i}]") for i, one in enumerate(value))

    return read


def _tuple(inner: list[Reader | None]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(inner):
            raise Misfit(f"a list of {len(inner)}", value)
        pairs = enumerate(zip(inner, value))
        return tuple(_read(reader, one, f"[{i}]") for i, (reader, one) in pairs)

    return read


def _dict(names: Reader | None, inner: Reader | None) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit("an object", value)
        if inner is None and names in (None, _SIMPLE[str]):
            return value
        made = {}
        for name, one in value.items():
            key = name
            if names is not None:
                # JSON's names are texts; those of numbers are read back.
                try:
                    key = names(name)
                except Misfit:
                    key = _read(names, _number(name), f".{name}")
            made[key] = _read(inner, one, f".{name}")
        return made

    return read


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


def _literal(args: tuple[Any, ...]) -> Reader:
    wanted = "one of " + ", ".join(repr(arg) for arg in args)

    def read(value: Any) -> Any:
        for arg in args:
            of = arg.value if isinstance(arg, enum.Enum) else arg
            if of == value and type(of) is type(value):
                return arg
        raise Misfit(wanted, value)

    return read


def _enum(kind: type[enum.Enum]) -> Reader:
    wanted = "one of " + ", ".join(repr(one.value) for one in kind)

    def read(value: Any) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise Misfit(wanted, value) from None

    return read


def _union(kind: Any, inner: list[Reader | None], args: tuple[Any, ...]) -> Reader | None:
    if None in inner:
        return None  # one of them is anything
    # What JSON itself has goes first: a text is a str rather than a date.
    exact = [reader for reader in inner if reader in _EXACT and reader is not _float]
    exact += [reader for reader in inner if reader is _float]
    other = [reader for reader in inner if reader not in _EXACT]
    names = [getattr(arg, "__name__", str(arg)) for arg in args]
    wanted = " or ".join("null" if name == "NoneType" else name for name in names)

    def read(value: Any) -> Any:
        misfits = []
        for reader in exact + other:
            assert reader is not None
            try:
                return reader(value)
            except Misfit as misfit:
                misfits.append(misfit)
            except ValueError:
                continue
        deep = [misfit for misfit in misfits if misfit.where]
        raise deep[0] if len(deep) == 1 else Misfit(wanted, value)

    return read


_SIMPLE: dict[type, Reader] = {
    int: _exact(int, "a whole number"),
    float: _float,
    str: _exact(str, "a text"),
    bool: _exact(bool, "true or false"),
    type(None): _exact(type(None), "null"),
    list: _exact(list, "a list"),
    dict: _exact(dict, "an object"),
    datetime.datetime: _converted(str, _datetime, "a date and time (ISO 8601)"),
    datetime.date: _converted(str, datetime.date.fromisoformat, "a date (YYYY-MM-DD)"),
    datetime.time: _converted(str, datetime.time.fromisoformat, "a time (HH:MM:SS)"),
    datetime.timedelta: _timedelta,
    uuid.UUID: _converted(str, uuid.UUID, "a UUID"),
    decimal.Decimal: _converted(str, decimal.Decimal, "a decimal number in a text"),
    bytes: _converted(
        str, lambda text: base64.b64decode(text.encode("ascii"), validate=True), "bytes in base64"
    ),
}
_EXACT = [_SIMPLE[kind] for kind in (int, str, bool, type(None), list, dict)] + [_float]
