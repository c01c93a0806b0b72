"""Content-addressed bytes: kept once, found by their hash, verified whenever they are read.

Two places to keep them: a folder (FolderArchive), or a server (ServerArchive). A hash of 64 hex
digits is SHA-256 and what is written here; one of 40 is SHA-1 and only read, where an archive of
servicelayer has it. Nothing is held in memory whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import scratch
from .errors import ConnectionLostError, NotFoundError

if TYPE_CHECKING:
    from .client import Client

CHUNK_BYTES = 1 << 20
_NAME_MAX_BYTES = 200
_INCOMING = ".incoming-"
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class ArchiveError(OSError):
    """The archive cannot do it."""


class BlobNotFoundError(ArchiveError, FileNotFoundError):
    """The archive does not have these bytes."""


class BlobDamagedError(ArchiveError):
    """What the archive has under a hash are other bytes."""


def _checked(content_hash: str) -> str:
    """The hash in lower case; BlobNotFoundError for what is none: nothing is kept under it."""
    folded = content_hash.strip().lower()
    if not _HASH.fullmatch(folded):
        raise BlobNotFoundError(f"{content_hash!r} is neither a SHA-256 nor a SHA-1")
    return folded


def _digest(content_hash: str) -> Any:
    return hashlib.sha256() if len(content_hash) == 64 else hashlib.sha1(usedforsecurity=False)


def safe_name(name: str | None) -> str:
    """A file name made of `name`: no folders, no control characters, not too long; else "data"."""
    last = re.split(r"[/\\]", name or "")[-1]
    plain = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip().lstrip(".")
    while len(plain.encode()) > _NAME_MAX_BYTES:  # the ending says what it is: keep that
        stem, suffix = os.path.splitext(plain)
        plain = stem[:-1] + suffix if len(stem) > 1 else plain[:-1]
    return plain or "data"


class BlobFile(io.BufferedReader):
    """An archived file, open for reading, whose bytes have been verified."""

    def __init__(self, raw: io.FileIO, content_hash: str, path: Path) -> None:
        super().__init__(raw, CHUNK_BYTES)
        self.checksum = content_hash
        self.path = path
        self.info = {"name": path.name, "size": os.fstat(raw.fileno()).st_size}


class Archive(ABC):
    """Where bytes are kept under their hash."""

    @abstractmethod
    def store(self, source: IO[bytes], name: str | None = None) -> str:
        """Keeps what `source` yields, durably; its SHA-256. The same bytes are kept once."""

    @abstractmethod
    def stream(self, content_hash: str) -> Iterator[bytes]:
        """The bytes, piece by piece.

        BlobNotFoundError before the first; BlobDamagedError after the last when they are others
        than the hash says: believe them only then.
        """

    @abstractmethod
    def exists(self, content_hash: str) -> bool:
        """Whether the archive has it."""

    @abstractmethod
    def healthz(self) -> bool:
        """True; an exception says why the archive cannot be used."""

    def archive_file(self, path: str | os.PathLike[str], mime_type: str | None = None) -> str:
        """Keeps the file; its SHA-256. `mime_type` is for those who tell it elsewhere."""
        with open(path, "rb") as source:
            return self.store(source, os.path.basename(os.fspath(path)))

    def load_file(
        self, content_hash: str, temp_path: str | os.PathLike[str], name: str | None = None
    ) -> Path | None:
        """A verified copy in the folder `temp_path`, the caller's own; None when it is missing."""
        try:
            return self._copy(content_hash, Path(temp_path), name)
        except BlobNotFoundError:
            return None

    @contextlib.contextmanager
    def localpath(self, content_hash: str, name: str | None = None) -> Iterator[Path]:
        """A verified copy for the block, under `name`; it is gone after it."""
        with scratch.folder() as folder:
            yield self._copy(content_hash, folder, name)

    @contextlib.contextmanager
    def open(self, content_hash: str, name: str | None = None) -> Iterator[BlobFile]:
        """The bytes as a file, verified before it is handed out."""
        with (
            self.localpath(content_hash, name) as path,
            BlobFile(io.FileIO(path), _checked(content_hash), path) as file,
        ):
            yield file

    def _copy(self, content_hash: str, folder: Path, name: str | None) -> Path:
        path = folder / safe_name(name or self.name_of(content_hash))
        try:
            with open(path, "xb") as target:
                for piece in self.stream(content_hash):
                    target.write(piece)
        except FileExistsError:
            raise
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def name_of(self, content_hash: str) -> str | None:
        """The name it was kept under, where the archive knows."""
        return None


class FolderArchive(Archive):
    """A folder: `aa/bb/cc/HASH/NAME`, as servicelayer has it.

    `blob_name` is the name of every file written; None keeps the file's own.
    """

    def __init__(self, root: str | os.PathLike[str], blob_name: str | None = None) -> None:
        self.root = Path(root)
        self._blob_name = blob_name

    def _folder(self, content_hash: str) -> Path:
        return self.root.joinpath(
            content_hash[:2], content_hash[2:4], content_hash[4:6], content_hash
        )

    def _file(self, content_hash: str) -> Path:
        """The file of that hash: what metadata stands beside a lakehouse's blob is none of it."""
        folder = self._folder(_checked(content_hash))
        try:
            names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        except (FileNotFoundError, NotADirectoryError):
            names = []
        if not names:
            raise BlobNotFoundError(f"{content_hash} is not in {self.root}")
        return folder / ("blob" if "blob" in names else names[0])

    def exists(self, content_hash: str) -> bool:
        try:
            self._file(content_hash)
        except BlobNotFoundError:
            return False
        return True

    def name_of(self, content_hash: str) -> str | None:
        name = self._file(content_hash).name
        return None if name in ("blob", "data") else name

    def healthz(self) -> bool:
        self.root.mkdir(parents=True, exist_ok=True)
        os.scandir(self.root).close()
        return True

    def stream(self, content_hash: str) -> Iterator[bytes]:
        path = self._file(content_hash)
        with open(path, "rb") as source:
            yield from _verified(_pieces(source), _checked(content_hash), str(path))

    @contextlib.contextmanager
    def open(self, content_hash: str, name: str | None = None) -> Iterator[BlobFile]:
        """The archived file itself, read once to verify it: nothing is copied."""
        path = self._file(content_hash)
        with io.FileIO(path) as raw, BlobFile(raw, _checked(content_hash), path) as file:
            for _ in _verified(_pieces(file), file.checksum, str(path)):
                pass
            file.seek(0)
            yield file

    def store(self, source: IO[bytes], name: str | None = None) -> str:
        # The file is made whole in a folder of its own, which then gets the hash's name: whoever
        # looks finds nothing or all of it.
        self.root.mkdir(parents=True, exist_ok=True)
        scratch.sweep(self.root, _INCOMING)
        incoming = scratch.HeldFolder(self.root, _INCOMING)
        try:
            made = incoming.path / (self._blob_name or safe_name(name))
            content_hash = _write_durably(source, made)
            self._settle(incoming.path, self._folder(content_hash))
            return content_hash
        finally:
            incoming.remove()

    def _settle(self, incoming: Path, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        incoming.chmod(0o755)
        try:
            os.rename(incoming, folder)
        except OSError as why:
            # Somebody has kept the same bytes: those stay.
            if why.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        for above in (folder, *list(folder.parents)[:4]):  # the four below the root, and it
            _sync_folder(above)


class ServerArchive(Archive):
    """The blobs of a server. For any thread: `client` gives the calling thread's."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    def store(self, source: IO[bytes], name: str | None = None) -> str:
        blobs = self._client().blobs
        begin = source.tell() if source.seekable() else -1
        try:
            return blobs.put(source, keep=True).sha256
        except ConnectionLostError:
            if begin < 0:
                raise
        # The same bytes are the same blob: to send them twice is to send them once.
        self._client().health()
        source.seek(begin)
        return blobs.put(source, keep=True).sha256

    def exists(self, content_hash: str) -> bool:
        try:
            return self._client().blobs.exists(self._checked(content_hash))
        except BlobNotFoundError:
            return False

    def stream(self, content_hash: str) -> Iterator[bytes]:
        folded = self._checked(content_hash)
        try:
            pieces = self._client().blobs.stream(folded)
            yield from _verified(pieces, folded, "the server's blob")
        except NotFoundError:
            raise BlobNotFoundError(f"{folded} is not among the server's blobs") from None

    def _checked(self, content_hash: str) -> str:
        folded = _checked(content_hash)
        if len(folded) != 64:
            raise BlobNotFoundError(f"{folded} is a SHA-1: the server names its blobs by SHA-256")
        return folded

    def healthz(self) -> bool:
        self._client().health()
        return True


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(CHUNK_BYTES):
        yield piece


def _verified(pieces: Iterator[bytes], content_hash: str, where: str) -> Iterator[bytes]:
    digest = _digest(content_hash)
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != content_hash:
        raise BlobDamagedError(f"{where} is damaged: its bytes are {digest.hexdigest()}")


def _write_durably(source: IO[bytes], path: Path) -> str:
    """Writes all of it to a new file, synced; its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "xb") as target:
        for piece in _pieces(source):
            digest.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
