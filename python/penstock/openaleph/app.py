"""The app that jobs are deferred to, and where entities and files are."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .. import scratch
from ..app import App
from ..archive import Archive, FolderArchive, ServerArchive
from .exceptions import SettingsError
from .settings import Settings, variable
from .store import Fragments

_mutex = threading.Lock()


class OpenAlephApp(App):
    """A penstock.App that knows where the settings say entities and files are."""

    def __init__(self, settings: Settings, tasks_module: str | None = None) -> None:
        key = variable("PENSTOCK_KEY")
        state = None if settings.server else settings.state
        super().__init__(settings.server, key=key, state=state)
        self.settings = settings
        #: What a worker imports to have the tasks.
        self.import_paths = [tasks_module] if tasks_module else []
        same = settings.fragments == settings.server
        self._entities: App = self if same else App(settings.fragments, key=key)

    @contextlib.contextmanager
    def open(self, pool_or_engine: Any = None) -> Iterator[OpenAlephApp]:
        """For programs that open an app before they defer: nothing needs it here."""
        yield self

    @contextlib.asynccontextmanager
    async def open_async(self, pool: Any = None) -> AsyncIterator[OpenAlephApp]:
        """The same for asyncio."""
        yield self

    def fragments(self, dataset: str) -> Fragments:
        """The dataset's entities."""
        return Fragments(lambda: self._entities.client, dataset)

    def archive(self, dataset: str | None = None) -> Archive:
        """The files of a dataset, or of all where the archive makes no difference."""
        return _archive(self.settings, dataset) or ServerArchive(lambda: self.client)


def _archive(settings: Settings, dataset: str | None) -> Archive | None:
    """The archive that the settings name; None for the server's blobs."""
    if settings.lakehouse:
        if not dataset:
            raise SettingsError("a lakehouse keeps files by dataset: no dataset is named")
        root = _folder_of("LAKEHOUSE_URI", settings.lakehouse_uri)
        return FolderArchive(root / dataset / "archive", "blob")
    kind = (settings.archive_type or "").lower()
    if kind not in ("", "file", "anystore", "penstock"):
        raise SettingsError(
            f"ARCHIVE_TYPE={kind} is not supported: file (with ARCHIVE_PATH), or penstock (the"
            " server's blobs), which is the default"
        )
    if settings.archive_uri:
        return FolderArchive(_folder_of("ARCHIVE_URI", settings.archive_uri))
    if settings.archive_path:
        return FolderArchive(settings.archive_path)
    if kind in ("file", "anystore"):
        raise SettingsError(f"ARCHIVE_TYPE={kind} needs ARCHIVE_PATH or ARCHIVE_URI")
    return None


def _folder_of(name: str, uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme:
        raise SettingsError(f"{name}={uri!r} is no folder: file:///path, or a path")
    return Path(uri)


@functools.cache
def _made(settings: Settings, tasks_module: str | None) -> OpenAlephApp:
    return OpenAlephApp(settings, tasks_module)


def make_app(tasks_module: str | None = None, sync: bool = False) -> OpenAlephApp:
    """The app of the settings as they are now; the same one for the same settings and module.

    With no server named anywhere it is the embedded one on the state folder, which is kept: no job
    is ever in this process's memory alone. `sync` makes no difference: an app can be used from
    plain functions and from asyncio.
    """
    with contextlib.suppress(OSError):  # who needs a temporary folder is told why there is none
        scratch.sweep_all()
    with _mutex:
        return _made(Settings(), tasks_module)


def app_of(app: Any = None) -> OpenAlephApp:
    """`app` where it knows of entities and files; else the one of the settings."""
    return app if isinstance(app, OpenAlephApp) else make_app()
