"""Data slots: what files a step takes and gives, said by decorators.

The names and their meaning are those of pinexq's ProCon, whose declarations mean the same here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import IO, Any, ClassVar, TypeVar, Union

Function = TypeVar("Function", bound=Callable[..., Any])
Reader = Callable[[IO[Any]], Any]
Writer = Callable[[IO[Any], Any], Any]
CollectionReader = Callable[[list[IO[Any]]], Any]
CollectionWriter = Callable[[list[IO[Any]], Any], Any]

#: The slot of what a function returns, when it has no other name.
RETURNS = "__returns__"
SLOTS = "__penstock_slots__"


class MediaTypes(str, enum.Enum):
    """Media types by name. Any text is one, too."""

    OCTETSTREAM = "application/octet-stream"
    JSON = "application/json"
    FORMDATA = "multipart/form-data"
    SIREN = "application/siren+json"
    XML = "application/xml"
    ZIP = "application/zip"
    PDF = "application/pdf"
    TEXT = "text/plain"
    HTML = "text/html"
    CSV = "text/csv"
    SVG = "image/svg+xml"
    PNG = "image/png"
    JPEG = "image/jpeg"
    BMP = "image/bmp"
    YAML = "application/yaml"
    PARQUET = "application/vnd.apache.parquet"
    WORKFLOW_DEFINITION = "application/vnd.pinexq.workflow.definition+json"
    WORKFLOW_REPORT = "application/vnd.pinexq.workflow.report+json"

    def __str__(self) -> str:
        return self.value


class SlotType(enum.Enum):
    """Which way a slot's files go."""

    INPUT = 1
    OUTPUT = 2
    RETURN = 3


class Unset(enum.Enum):
    """What was not said, where None says something."""

    UNSET = 0

    def __bool__(self) -> bool:
        return False


UNSET = Unset.UNSET
Least = Union[int, Unset]
Most = Union[int, None, Unset]

_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "multipart/form-data")
_TEXT_SUFFIXES = ("+json", "+xml", "+yaml", "+csv")


def is_text(media_type: str) -> bool:
    """Whether files of that type are read as text unless somebody says otherwise."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain in _TEXT_TYPES or plain.endswith(_TEXT_SUFFIXES)


class dataslot:  # noqa: N801 - a decorator
    """Makes a parameter, or what is returned, a file or a list of files. Stands above the function.

    `dataslot.input(name, ...)`, `.output`, `.input_collection`, `.output_collection`, `.returns`
    and `.returns_collection` say all that is needed; the class itself is for who says it all.

    name: the parameter. alias: what users see in its place. title, description: for them.
    media_type: one of MediaTypes, or any text. mode: how files are opened, as open's; by the media
    type unless given. reader(file) makes the argument of an input, writer(file, value) writes an
    output; collection_reader(files) and collection_writer(files, value) do it for lists. min_slots,
    max_slots: how many files; None: any number.
    """

    #: How many files an output collection has when nobody says.
    _outputs: ClassVar[tuple[int, int | None]] = (0, None)

    def __init__(
        self,
        name: str,
        *,
        alias: str | None = None,
        slot_type: SlotType = SlotType.INPUT,
        title: str = "",
        description: str = "",
        media_type: str = MediaTypes.OCTETSTREAM,
        reader: Reader | None = None,
        writer: Writer | None = None,
        collection_reader: CollectionReader | None = None,
        collection_writer: CollectionWriter | None = None,
        mode: str | None = None,
        dtype: Any = None,
        collection: bool = False,
        min_slots: Least = UNSET,
        max_slots: Most = UNSET,
    ) -> None:
        self.name = name
        self.alias = alias
        self.slot_type = slot_type
        self.title = title
        self.description = description
        self.media_type = str(media_type)
        self.reader = reader
        self.writer = writer
        self.collection_reader = collection_reader
        self.collection_writer = collection_writer
        self.dtype = dtype
        self.min_slots = 1 if isinstance(min_slots, Unset) else min_slots
        self.max_slots = self.min_slots if isinstance(max_slots, Unset) else max_slots
        self.collection = collection or (self.min_slots, self.max_slots) != (1, 1)
        self.mode = mode or self._usual_mode()
        self._check()

    def _usual_mode(self) -> str:
        way = "r" if self.is_input else "w"
        return way if is_text(self.media_type) else way + "b"

    def _check(self) -> None:
        what = f"data slot {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise ValueError("a data slot needs the name of a parameter")
        if self.min_slots < 0 or (self.max_slots is not None and self.max_slots < self.min_slots):
            raise ValueError(f"{what}: {self.min_slots} to {self.max_slots} files cannot be")
        if (self.collection_reader or self.collection_writer) and not self.collection:
            raise ValueError(f"{what} is one file: it takes reader or writer, of one file")
        if self.is_input and (self.writer or self.collection_writer):
            raise ValueError(f"{what} is an input: it takes a reader, no writer")
        if not self.is_input and (self.reader or self.collection_reader):
            raise ValueError(f"{what} is an output: it takes a writer, no reader")
        if (self.name == RETURNS) != (self.slot_type is SlotType.RETURN):
            raise ValueError(
                f"{what}: {RETURNS!r} is the name of what is returned, and of that alone"
            )

    @property
    def is_input(self) -> bool:
        """Whether its files come in."""
        return self.slot_type is SlotType.INPUT

    @property
    def shown_name(self) -> str:
        """The name that users see."""
        return self.alias or self.name

    def __call__(self, function: Function) -> Function:
        """As a decorator: the function has this slot."""
        slots: list[dataslot] = function.__dict__.setdefault(SLOTS, [])
        if any(one.name == self.name for one in slots):
            raise NameError(f"{function.__name__} has a data slot {self.name!r} already")
        # Decorators run from below; people read from above.
        slots.insert(0, self)
        return function

    def __repr__(self) -> str:
        return f"dataslot({self.name!r}, {self.slot_type.name}, {self.media_type!r})"

    @classmethod
    def input(
        cls,
        name: str,
        title: str = "",
        description: str = "",
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        alias: str | None = None,
        reader: Reader | None = None,
        dtype: Any = None,
    ) -> dataslot:
        """The parameter is one file that comes in."""
        return cls(
            name,
            title=title,
            description=description,
            media_type=media_type,
            mode=mode,
            alias=alias,
            reader=reader,
            dtype=dtype,
        )

    @classmethod
    def input_collection(
        cls,
        name: str,
        alias: str | None = None,
        title: str = "",
        description: str = "",
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        collection_reader: CollectionReader | None = None,
        dtype: Any = None,
        min_slots: Least = UNSET,
        max_slots: Most = UNSET,
    ) -> dataslot:
        """The parameter is a list of files that come in: any number, unless it is said."""
        return cls(
            name,
            collection=True,
            alias=alias,
            title=title,
            description=description,
            media_type=media_type,
            mode=mode,
            collection_reader=collection_reader,
            dtype=dtype,
            min_slots=0 if isinstance(min_slots, Unset) else min_slots,
            max_slots=None if isinstance(max_slots, Unset) else max_slots,
        )

    @classmethod
    def output(
        cls,
        name: str,
        title: str = "",
        description: str = "",
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        alias: str | None = None,
        writer: Writer | None = None,
        dtype: Any = None,
    ) -> dataslot:
        """The parameter is where one file that goes out is written."""
        return cls(
            name,
            slot_type=SlotType.OUTPUT,
            title=title,
            description=description,
            media_type=media_type,
            mode=mode,
            alias=alias,
            writer=writer,
            dtype=dtype,
        )

    @classmethod
    def output_collection(
        cls,
        name: str,
        title: str = "",
        description: str = "",
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        alias: str | None = None,
        collection_writer: CollectionWriter | None = None,
        dtype: Any = None,
        min_slots: Least = UNSET,
        max_slots: Most = UNSET,
    ) -> dataslot:
        """The parameter is where several files that go out are written."""
        least, most = cls._output_counts(min_slots, max_slots)
        return cls(
            name,
            slot_type=SlotType.OUTPUT,
            collection=True,
            title=title,
            description=description,
            media_type=media_type,
            mode=mode,
            alias=alias,
            collection_writer=collection_writer,
            dtype=dtype,
            min_slots=least,
            max_slots=most,
        )

    @classmethod
    def returns(
        cls,
        title: str = "",
        description: str = "",
        alias: str | None = None,
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        writer: Writer | None = None,
        dtype: Any = None,
    ) -> dataslot:
        """What is returned is written to a file; the job's result is then null."""
        return cls(
            RETURNS,
            slot_type=SlotType.RETURN,
            title=title,
            description=description,
            alias=alias,
            media_type=media_type,
            mode=mode,
            writer=writer,
            dtype=dtype,
        )

    @classmethod
    def returns_collection(
        cls,
        title: str = "",
        description: str = "",
        alias: str | None = None,
        media_type: str = MediaTypes.OCTETSTREAM,
        mode: str | None = None,
        collection_writer: CollectionWriter | None = None,
        dtype: Any = None,
        min_slots: Least = UNSET,
        max_slots: Most = UNSET,
    ) -> dataslot:
        """The list that is returned is written to files; the job's result is then null."""
        least, most = cls._output_counts(min_slots, max_slots)
        return cls(
            RETURNS,
            slot_type=SlotType.RETURN,
            collection=True,
            title=title,
            description=description,
            alias=alias,
            media_type=media_type,
            mode=mode,
            collection_writer=collection_writer,
            dtype=dtype,
            min_slots=least,
            max_slots=most,
        )

    @classmethod
    def _output_counts(cls, least: Least, most: Most) -> tuple[int, int | None]:
        usual_least, usual_most = cls._outputs
        if isinstance(least, Unset):
            least = usual_least
        if isinstance(most, Unset):
            most = usual_most if usual_most is None else max(usual_most, least)
        return least, most


def slots_of(function: Callable[..., Any]) -> list[dataslot]:
    """The slots that decorators gave to a function."""
    return list(getattr(function, SLOTS, ()))
