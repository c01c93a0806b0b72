"""Temporary folders that end with their process, however it ends.

A process holds a lock on each folder that it made. The kernel lets go of it when the process ends,
by SIGKILL too; so whoever comes next sees which folders belong to nobody, and removes them.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "held-"
_mutex = threading.Lock()


class HeldFolder:
    """A new folder below `base`, which is its process's until remove() or the process's end."""

    def __init__(self, base: Path, prefix: str = _PREFIX) -> None:
        self.pid = os.getpid()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
            held = _hold(self.path, wait=True)
            # A sweeper that came before the lock has removed it.
            if held is not None:
                break
        self._held = held

    def remove(self) -> None:
        """Removes it with all that is in it; nothing when a child process inherited it."""
        if self.pid != os.getpid() or self._held < 0:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)
        self._held = -1


def _hold(path: Path, wait: bool) -> int | None:
    """A locked descriptor of the folder; None when it is another's, or is gone."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(held), os.stat(path, follow_symlinks=False)):
            return held
    except OSError:
        pass
    os.close(held)
    return None


def sweep(base: Path, prefix: str = _PREFIX) -> int:
    """Removes the folders below `base` of processes that are no more; says how many."""
    swept = 0
    for path in base.glob(prefix + "*"):
        held = _hold(path, wait=False)
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
            swept += 1
    return swept


def base_folder() -> Path:
    """Where the folders of this user's processes are. OSError when somebody else made it."""
    base = Path(tempfile.gettempdir()) / f"penstock-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        base.mkdir(mode=0o700)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise OSError(f"{base} is not a folder of this user alone: remove it, or set TMPDIR")
    return base


def sweep_all() -> int:
    """Removes what dead processes of this user left in the system's temporary folder."""
    return sweep(base_folder())


#: This process's folder; one that was inherited over a fork is the parent's.
_own: HeldFolder | None = None


def _of_this_process() -> Path:
    global _own
    with _mutex:
        if _own is None or _own.pid != os.getpid():
            base = base_folder()
            sweep(base)
            _own = HeldFolder(base)
            atexit.register(_own.remove)
        return _own.path


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder of the caller's own, removed with all that is in it when the block ends."""
    made = Path(tempfile.mkdtemp(dir=_of_this_process()))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


_swept_by = 0


@contextlib.contextmanager
def held_folder() -> Iterator[Path]:
    """The same, and nothing of the process's is left beside it while it holds no such folder."""
    global _swept_by
    base = base_folder()
    with _mutex:
        if _swept_by != os.getpid():
            _swept_by = os.getpid()
            sweep(base)
    held = HeldFolder(base)
    try:
        yield held.path
    finally:
        held.remove()
