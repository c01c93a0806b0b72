"""Files as values: what an annotation gets of an input, and how a value becomes an output.

A slot's own reader or writer goes first. Else it is the annotation: a Path is the file itself,
bytes and str are what is in it; and then the media type: JSON becomes what is annotated, CSV a list
of dicts, or of lists. An input's file is what its own media type says, if that is one of these,
else what the slot's says: many are uploaded without one.
"""

from __future__ import annotations

import collections.abc
import csv
import io
import json
import pathlib
import shutil
import typing
from collections.abc import Callable
from typing import IO, Any

from ..arguments import Misfit, shown, to_json
from ..runtime.codec import dumps
from .parameters import reader_for
from .slot_file import DataSlot, Slot

JSON_TYPES = ("application/json", "text/json")


def is_json(media_type: str) -> bool:
    """Whether such a file is JSON."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain in JSON_TYPES or plain.endswith("+json")


def is_csv(media_type: str) -> bool:
    """Whether such a file is CSV."""
    return media_type.partition(";")[0].strip().lower() == "text/csv"


def is_path(kind: Any) -> bool:
    """Whether the annotation wants to be told where the file is."""
    return isinstance(kind, type) and issubclass(kind, pathlib.PurePath)


def item_of(kind: Any) -> Any:
    """Of a list's annotation, that of its items."""
    args = typing.get_args(kind)
    return args[0] if args else Any


def _ignore(slot: Slot) -> None:
    """Nobody asks which file it is."""


def read_slots(slots: DataSlot, kind: Any, begins: Callable[[Slot], None] = _ignore) -> Any:
    """The argument for an input. Raises what a reader raises; `begins` was told the file before."""
    annotation = slots.annotation
    if not annotation.collection:
        if not slots.slots:
            return None
        begins(slots.slots[0])
        return _read(slots.slots[0], kind)
    if annotation.collection_reader is not None:
        with slots:
            return annotation.collection_reader([slot.file for slot in slots])
    values = []
    for slot in slots:
        begins(slot)
        values.append(_read(slot, item_of(kind)))
    origin = typing.get_origin(kind) or kind
    return tuple(values) if origin is tuple else values


def _read(slot: Slot, kind: Any) -> Any:
    if slot.annotation.reader is not None:
        return slot.read_data()
    if is_path(kind):
        return kind(slot.path)
    if kind is bytes:
        return slot.path.read_bytes()
    if kind is str:
        return slot.path.read_text(encoding="utf-8")
    if _is_open_file(kind):
        slot.open()
        return slot.file
    media_type = _form(slot)
    if is_json(media_type) and kind is not Any:
        return _of_json(slot, kind)
    if is_csv(media_type) and _is_list(kind):
        return _of_csv(slot, kind)
    return slot.read_data()


def _form(slot: Slot) -> str:
    """The media type by which an input is read."""
    told = slot.media_type
    return told if is_json(told) or is_csv(told) else slot.annotation.media_type


def _of_json(slot: Slot, kind: Any) -> Any:
    tree = json.loads(slot.path.read_bytes())
    reader = reader_for(kind)
    try:
        return tree if reader is None else reader(tree)
    except Misfit as misfit:
        text = f"{slot.name}{misfit.where} must be {misfit.wanted}, not {shown(misfit.value)}"
        raise ValueError(text) from None


def _of_csv(slot: Slot, kind: Any) -> Any:
    item = item_of(kind)
    with slot.path.open(encoding="utf-8-sig", newline="") as file:
        if _is_list(item):
            return list(csv.reader(file))
        return list(csv.DictReader(file))


def _is_list(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return (
        isinstance(origin, type)
        and issubclass(origin, collections.abc.Iterable)
        and not issubclass(origin, (str, bytes, collections.abc.Mapping))
    )


def _is_open_file(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, (IO, io.IOBase))


def empty_output(slots: DataSlot, kind: Any) -> Any:
    """The argument for an output: where to write it, or an empty value that is to be filled."""
    collection = slots.annotation.collection
    if is_path(kind):
        # Of a collection the folder: what is in it, in order of names, are its files.
        return kind(slots.folder if collection else slots.add().path)
    if not collection and _is_open_file(kind):
        slot = slots.add()
        slot.open()
        return slot.file
    make = typing.get_origin(kind) or kind
    try:
        return make()
    except Exception as error:
        name = getattr(make, "__name__", str(make))
        text = f"output {slots.annotation.name!r}: there is no empty {name}: {error}"
        raise TypeError(text) from error


def write_slots(slots: DataSlot, value: Any) -> None:
    """Writes a value into the files of an output, which are made if there are none."""
    annotation = slots.annotation
    if not annotation.collection:
        slot = slots.slots[0] if slots.slots else slots.add()
        _write(slot, value)
        return
    if annotation.collection_writer is not None:
        _fill(slots, value)
        with slots:
            annotation.collection_writer([slot.file for slot in slots], value)
        return
    for place, one in enumerate(value):
        name = one.name if isinstance(one, pathlib.PurePath) else None
        slot = slots.slots[place] if place < len(slots) else slots.add(name)
        _write(slot, one)


def _fill(slots: DataSlot, value: Any) -> None:
    """As many files as the slot has; where it may have any number, as many as there are values."""
    most = slots.annotation.max_slots
    count = most if most is not None else max(slots.annotation.min_slots, _count(value))
    while len(slots) < count:
        slots.add()


def _count(value: Any) -> int:
    return len(value) if isinstance(value, collections.abc.Sized) else 1


def _write(slot: Slot, value: Any) -> None:
    if slot.annotation.writer is not None:
        slot.write_data(value)
    elif isinstance(value, pathlib.PurePath):
        if not slot.annotation.collection:
            slot.meta.filename = value.name
        if pathlib.Path(value) != slot.path:
            shutil.copyfile(value, slot.path)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        slot.path.write_bytes(value)
    elif isinstance(value, str):
        slot.path.write_bytes(value.encode("utf-8"))
    elif is_json(slot.media_type):
        slot.path.write_bytes(dumps(to_json(slot.name, value)))
    elif is_csv(slot.media_type) and _is_list(type(value)):
        _to_csv(slot, list(value))
    else:
        slot.write_data(value)


def _to_csv(slot: Slot, rows: list[Any]) -> None:
    with slot.path.open("w", encoding="utf-8", newline="") as file:
        if rows and isinstance(rows[0], collections.abc.Mapping):
            names: dict[str, None] = {}
            for row in rows:
                names.update(dict.fromkeys(row))
            table = csv.DictWriter(file, list(names))
            table.writeheader()
            table.writerows(rows)
        else:
            csv.writer(file).writerows(rows)
