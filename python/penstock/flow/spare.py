"""An attempt that is forked ahead and waits to be told what for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress

from .attempt import Life, fork_attempt, open_log
from .context import Context
from .worker import Worker

MESSAGE_MAX_BYTES = 64 << 10


class Spare:
    """A process that has been forked, and has touched what every attempt touches: most of what a
    short attempt takes is for pages that it is the first to write. Raises OSError."""

    def __init__(self, run: Callable[[bytes], int]) -> None:
        # A message is longer than what a pipe takes as one piece; so its end says that it is whole.
        told, self._fd = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = fork_attempt(lambda: self._wait(told, run))
        except BaseException:
            os.close(self._fd)
            raise
        finally:
            os.close(told)

    def take(self, data: bytes) -> int:
        """Hands it what run gets; returns its process id, or 0 when it is no more. Call it once."""
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            return self.pid
        except OSError:
            return 0
        finally:
            os.close(self._fd)

    def dismiss(self) -> None:
        """Lets it end. Not after take."""
        os.close(self._fd)

    def _wait(self, fd: int, run: Callable[[bytes], int]) -> int:
        os.close(self._fd)
        with suppress(OSError):
            _rehearse()
        data = b""
        while piece := os.read(fd, MESSAGE_MAX_BYTES):
            data += piece
        os.close(fd)
        return run(data) if data else 0


class _Nothing(Worker):
    def run(self) -> None:
        pass


def _rehearse() -> None:
    told = json.loads('{"task": 1, "argv": [], "logfile": "/dev/null"}')
    open_log(told["logfile"])
    Life(told["logfile"]).live(_Nothing(Context("unix:///", 1), told["logfile"], told["argv"]))
