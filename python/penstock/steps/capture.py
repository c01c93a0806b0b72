"""What a step prints goes where it went before, and into the log of its job.

Which job it is follows from the context of who prints; a thread without one, such as the function
has started itself, prints for the only step that runs in its process, if it is one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .step_log import StepLog

_log: ContextVar[StepLog | None] = ContextVar("penstock_step_log", default=None)
_lock = threading.Lock()
_open: set[StepLog] = set()


#: This process is a fork of a worker: it has the logs without what posts them.
_forked = False


def _fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_fork)


class Tee:
    """A text stream whose lines are kept, too. All that it does not say itself is the stream's."""

    def __init__(self, stream: Any, source: str) -> None:
        self.stream = stream
        self._source = source

    def write(self, text: str) -> int:
        """As the stream's."""
        written: int = self.stream.write(text)
        log = _current()
        if log is not None:
            log.feed(text, self._source)
        return written

    def writelines(self, lines: Any) -> None:
        """As the stream's."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stream)


@contextlib.contextmanager
def captured(log: StepLog) -> Iterator[None]:
    """What is printed within goes into that log, too."""
    install()
    with _lock:
        _open.add(log)
    token = _log.set(log)
    try:
        yield
    finally:
        _log.reset(token)
        with _lock:
            _open.discard(log)


def install() -> None:
    """Puts tees before this process's standard output and error, unless they are there."""
    for source in ("stdout", "stderr"):
        stream = getattr(sys, source)
        if stream is None or isinstance(stream, Tee):
            continue
        with _lock:
            tee = Tee(stream, source)
            setattr(sys, source, tee)
            _adopt(stream, tee)


def show(text: str) -> None:
    """Prints a line that is in the log already."""
    stream = sys.stdout.stream if isinstance(sys.stdout, Tee) else sys.stdout
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def _current() -> StepLog | None:
    if _forked:
        return None
    log = _log.get()
    if log is None and len(_open) == 1:
        with contextlib.suppress(KeyError, RuntimeError):
            return next(iter(_open))
    return log


def _adopt(stream: Any, tee: Tee) -> None:
    """Handlers of `logging` keep the stream that was there when they were made."""
    loggers = [logging.root, *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(tee)
