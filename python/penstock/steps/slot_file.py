"""The files of a job that runs: DataSlot, and Slot for each of its files.

They are temporary files of this machine. What an output's hold is stored when the function has
returned, and not at all when it has failed.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .dataslot import SlotType, dataslot

NAME_MAX_BYTES = 200


def safe_name(name: str, usual: str = "file") -> str:
    """A name of a file that stays where it is put, as like `name` as can be."""
    plain = "".join("_" if c in '/\\:"' or ord(c) < 32 or ord(c) == 127 else c for c in name)
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    stem, dot, suffix = plain.rpartition(".")
    if not dot or len(suffix.encode()) > NAME_MAX_BYTES // 4:
        stem, dot, suffix = plain, "", ""
    room = NAME_MAX_BYTES - len((dot + suffix).encode())
    made = stem.encode()[:room].decode("utf-8", "ignore") + dot + suffix
    return usual if made.strip(". ") == "" else made


def suffix_of(media_type: str) -> str:
    """What names of such files end with; "" when nobody knows."""
    return mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ""


class Metadata:
    """What is said of a file besides its bytes. Of inputs it is read only."""

    def __init__(
        self,
        filename: str = "",
        comment: str = "",
        tags: Sequence[str] = (),
        *,
        load: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._filename = filename
        self._comment = comment
        self._tags = list(tags)
        #: Asks the server about an input, once.
        self._load = load
        self._is_input = load is not None

    def _loaded(self) -> None:
        if self._load is not None:
            told, self._load = self._load(), None
            self._comment = told.get("comment") or ""
            self._tags = list(told.get("tags") or ())

    def _writable(self, what: str) -> None:
        if self._is_input:
            raise AttributeError(f"{what} of an input cannot be set")

    @property
    def filename(self) -> str:
        """The artifact's name."""
        return self._filename

    @filename.setter
    def filename(self, name: str) -> None:
        self._writable("filename")
        self._filename = name

    @property
    def comment(self) -> str:
        """What somebody says of it."""
        self._loaded()
        return self._comment

    @comment.setter
    def comment(self, text: str) -> None:
        self._writable("comment")
        self._comment = text

    @property
    def tags(self) -> Sequence[str]:
        """Its tags: a list of an output's, which may be appended to; a tuple of an input's."""
        self._loaded()
        return tuple(self._tags) if self._is_input else self._tags

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self._writable("tags")
        self._tags = list(tags)

    def is_readonly(self) -> bool:
        """Whether it is an input's."""
        return self._is_input

    def __bool__(self) -> bool:
        return bool(self.comment or self.tags)

    def __repr__(self) -> str:
        return f"Metadata({self._filename!r}, comment={self._comment!r}, tags={self._tags})"


class Slot:
    """One file. `with slot: slot.file...` opens it as the slot's mode says."""

    def __init__(
        self,
        annotation: dataslot,
        path: Path,
        place: int,
        media_type: str,
        meta: Metadata,
        artifact: dict[str, Any] | None = None,
    ) -> None:
        self.annotation = annotation
        #: Where it is on this machine, as long as the job runs.
        self.path = path
        self.place = place
        self.media_type = media_type
        self.meta = meta
        #: Of an input: `id`, `name`, `media_type`, `bytes` and `sha256`, as the server told it.
        self.artifact = artifact
        self._file: IO[Any] | None = None

    @property
    def name(self) -> str:
        """slot[place]."""
        return f"{self.annotation.shown_name}[{self.place}]"

    @property
    def file(self) -> IO[Any]:
        """The opened file. ValueError when it is not open."""
        if self._file is None:
            raise ValueError(f"{self.name} is not open: use it as `with slot:`")
        return self._file

    def open(self) -> None:
        """Opens it. Nothing when it is open."""
        if self._file is None:
            mode = self.annotation.mode
            self._file = self.path.open(mode, encoding=None if "b" in mode else "utf-8")

    def close(self, sync: bool = True) -> None:
        """Closes it. Nothing when it is closed."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def __enter__(self) -> Slot:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read_data(self) -> Any:
        """What the slot's reader makes of it, else all that is in it."""
        with self:
            reader = self.annotation.reader
            return self.file.read() if reader is None else reader(self.file)

    def write_data(self, data: Any) -> None:
        """Writes it with the slot's writer, else as it is."""
        with self:
            writer = self.annotation.writer
            if writer is None:
                self.file.write(data)
            else:
                writer(self.file, data)

    def __repr__(self) -> str:
        return f"Slot({self.name!r}, {self.annotation.slot_type.name}, {str(self.path)!r})"


class DataSlot:
    """All files of one slot. As a context manager it opens and closes all of them."""

    def __init__(self, annotation: dataslot, folder: Path, slots: list[Slot] | None = None) -> None:
        self.annotation = annotation
        self._folder = folder
        self._slots = [] if slots is None else slots

    @property
    def slots(self) -> list[Slot]:
        """The files, in their order."""
        return list(self._slots)

    @property
    def folder(self) -> Path:
        """The folder in which they are."""
        return self._folder

    def add(self, filename: str | None = None, media_type: str | None = None) -> Slot:
        """One more file of an output collection."""
        annotation = self.annotation
        if annotation.slot_type is SlotType.INPUT:
            raise ValueError(f"{annotation.name} is an input")
        most = annotation.max_slots
        place = len(self._slots)
        if most is not None and place >= most:
            raise ValueError(f"{annotation.name} takes {most} files at most")
        kind = media_type or annotation.media_type
        plain = annotation.shown_name.strip("_") or "result"
        name = filename or f"{plain}{f'-{place}' if annotation.collection else ''}{suffix_of(kind)}"
        folder = self._folder / str(place)
        folder.mkdir()
        made = Slot(annotation, folder / safe_name(name), place, kind, Metadata(name))
        self._slots.append(made)
        return made

    def read_data_from_slots(self) -> Any:
        """What the slot's reader makes of them."""
        from .slot_value import read_slots

        return read_slots(self, Any)

    def write_data_to_slots(self, data: Any) -> None:
        """Writes it with the slot's writer."""
        from .slot_value import write_slots

        write_slots(self, data)

    def __enter__(self) -> DataSlot:
        for slot in self._slots:
            slot.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for slot in self._slots:
            slot.close()

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __repr__(self) -> str:
        return f"DataSlot({self.annotation.name!r}, type={self.annotation.slot_type.name})"
