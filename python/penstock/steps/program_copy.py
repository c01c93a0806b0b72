"""A running copy of a program: a line in, lines out, and what it prints on standard error."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

READ_BYTES = 1 << 16
#: A program whose input has ended gets so long.
END_WITHIN_S = 5.0

#: Takes a line of the answer, its end included; whether it was the last.
OnLine = Callable[[bytes], bool]
OnError = Callable[[str], None]


class LineTooLong(Exception):  # noqa: N818
    """A line has more bytes than it may."""


class ProgramCopy:
    """One process, started by /bin/sh. For one thread at a time.

    Nothing it prints can stop it or us: all its pipes are served as long as it works.
    """

    def __init__(self, command: str, line_max_bytes: int) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._line_max_bytes = line_max_bytes
        self._rest = bytearray()
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._in, self._out = self._process.stdin, self._process.stdout
        self._err = self._process.stderr
        for pipe in (self._in, self._out, self._err):
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Of the shell."""
        return self._process.pid

    def exchange(self, line: bytes, on_line: OnLine, on_error: OnError) -> bool:
        """Gives it a line, and hands over what it answers, until `on_line` has enough.

        False: its output has ended before. `on_error` gets what it prints on standard error, all
        that it printed before its last line included. LineTooLong.
        """
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._out, selectors.EVENT_READ)
            waiting.register(self._err, selectors.EVENT_READ)
            waiting.register(self._in, selectors.EVENT_WRITE)
            left = memoryview(line)
            try:
                while True:
                    ready = {key.fileobj for key, _ in waiting.select()}
                    if self._in in ready:
                        left = self._write(left)
                        if not left:
                            waiting.unregister(self._in)
                    if self._err in ready and not self._show(on_error):
                        waiting.unregister(self._err)
                    if self._out in ready:
                        ended = self._read(on_line)
                        if ended is not None:
                            return ended
            finally:
                self._show(on_error)

    def _write(self, left: memoryview) -> memoryview:
        """Writes what there is room for; what is left. One that is gone is seen by its answer."""
        try:
            return left[os.write(self._in.fileno(), left[:READ_BYTES]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            return memoryview(b"")

    def _read(self, on_line: OnLine) -> bool | None:
        """Reads some; True: `on_line` has enough, False: the end, None: there is more to come."""
        piece = os.read(self._out.fileno(), READ_BYTES)
        if not piece:
            return False
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = bytes(self._rest) + line + b"\n"
            self._rest.clear()
            if on_line(whole):
                # What it said beyond that belongs to nobody.
                return True
        self._rest += rest
        if len(self._rest) >= self._line_max_bytes:
            raise LineTooLong
        return None

    def _show(self, on_error: OnError) -> bool:
        """Passes on what is there of its standard error; False: that has ended."""
        while True:
            try:
                piece = os.read(self._err.fileno(), READ_BYTES)
            except BlockingIOError:
                return True
            if not piece:
                return False
            _print(piece)
            on_error(piece.decode("utf-8", "replace"))

    def ended(self) -> str:
        """How it ended, in words."""
        try:
            status = self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            return "closed its output"
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def finish(self) -> None:
        """Closes its input. It is to end by itself."""
        self._in.close()
        self._process.stdin = None

    def end(self, within_s: float = 0.0) -> None:
        """Kills it and all that it has started, if it does not end within that time."""
        with contextlib.suppress(subprocess.TimeoutExpired, OSError, ValueError):
            if within_s:
                for pipe in (self._out, self._err):
                    os.set_blocking(pipe.fileno(), True)
                # So that it is not held up by what nobody reads.
                _print(self._process.communicate(timeout=within_s)[1])
        kill_tree(self.pid)
        self._process.wait()
        for pipe in (self._in, self._out, self._err):
            with contextlib.suppress(OSError):
                pipe.close()


def kill_tree(pid: int) -> None:
    """SIGKILL for a process that was started here, and for all that it has started."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError, ValueError):
            path = Path(f"/proc/{one}/task/{one}/children")
            found += [int(child) for child in path.read_text().split()]
    for one in found:
        with contextlib.suppress(OSError):
            os.kill(one, signal.SIGKILL)


def _print(piece: bytes) -> None:
    """As if it had our standard error."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        os.write(sys.stderr.fileno(), piece)
