"""The files of entities: what their contentHash names in the archive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from followthemoney.proxy import EntityProxy

from ..archive import Archive, BlobFile, BlobNotFoundError
from .app import app_of
from .exceptions import ArchiveFileNotFound

T = TypeVar("T")


def get_archive(dataset: str | None = None, app: Any = None) -> Archive:
    """Where the files are: `.archive_file(path)` keeps one and says its content hash."""
    return app_of(app).archive(dataset)


@contextlib.contextmanager
def _found(enter: Callable[[], contextlib.AbstractContextManager[T]]) -> Iterator[T]:
    """What it gives, for the block; what it misses on entering is OpenAleph's error."""
    with contextlib.ExitStack() as stack:
        try:
            it = stack.enter_context(enter())
        except BlobNotFoundError as missing:
            raise ArchiveFileNotFound(*missing.args) from None
        yield it


def open_file(
    dataset: str, content_hash: str, name: str | None = None, app: Any = None
) -> contextlib.AbstractContextManager[BlobFile]:
    """The file, verified, for the block. ArchiveFileNotFound, BlobDamagedError on entering."""
    return _found(lambda: get_archive(dataset, app).open(content_hash, name))


def get_localpath(
    dataset: str, content_hash: str, name: str | None = None, app: Any = None
) -> contextlib.AbstractContextManager[Path]:
    """A verified copy for the block, removed after it. Errors as of open_file."""
    return _found(lambda: get_archive(dataset, app).localpath(content_hash, name))


class EntityFileReference:
    """One file of an entity."""

    def __init__(
        self, dataset: str, content_hash: str, entity: EntityProxy, app: Any = None
    ) -> None:
        self.dataset = dataset
        self.content_hash = content_hash
        self.entity = entity
        self._app = app

    def __repr__(self) -> str:
        return f"<EntityFileReference {self.dataset} {self.content_hash}>"

    @property
    def _name(self) -> str | None:
        return self.entity.first("fileName", quiet=True)

    def open(self) -> contextlib.AbstractContextManager[BlobFile]:
        """The file for reading, its bytes verified; `.checksum`, `.path`, `.info` tell of it."""
        return open_file(self.dataset, self.content_hash, self._name, self._app)

    def get_localpath(self) -> contextlib.AbstractContextManager[Path]:
        """The path of a copy with the entity's file name, which is gone after the block."""
        return get_localpath(self.dataset, self.content_hash, self._name, self._app)
