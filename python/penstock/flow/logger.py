"""The log of a node: one line each, there at once, whole however many write the file."""

from __future__ import annotations

import os
import time


def stamp() -> str:
    """Local date and time, with microseconds."""
    now_us = time.time_ns() // 1000
    seconds, rest_us = divmod(now_us, 1000000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{rest_us:06d}"


class Logger:
    """Writes `LEVEL - date time - text`. Threads: any; a line is one write.

    A Worker may close descriptors that it did not open, and open others in their place: before
    each line the file is looked at, so that no line lands in a file that is not the log.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._fd = -1
        self._file: tuple[int, int] | None = None
        #: Lines that could not be written.
        self._lost = 0
        #: The last line was cut short by what went wrong then.
        self._broken = False

    def debug(self, text: object, *args: object) -> None:
        self._emit("DEBUG", text, args)

    def info(self, text: object, *args: object) -> None:
        self._emit("INFO", text, args)

    def success(self, text: object, *args: object) -> None:
        self._emit("SUCCESS", text, args)

    def warn(self, text: object, *args: object) -> None:
        self._emit("WARN", text, args)

    def warning(self, text: object, *args: object) -> None:
        self._emit("WARN", text, args)

    def error(self, text: object, *args: object) -> None:
        self._emit("ERROR", text, args)

    def exception(self, text: object, *args: object) -> None:
        """An error, with the traceback of what is being handled."""
        import traceback

        self._emit("ERROR", text, args)
        self._emit("ERROR", traceback.format_exc().rstrip("\n"), ())

    def _emit(self, level: str, text: object, args: tuple[object, ...]) -> None:
        said = str(text) % args if args else str(text)
        line = f"{level} - {stamp()} - {said}\n"
        if self._lost:
            line = f"WARN - {stamp()} - {self._lost} lines could not be written\n{line}"
        if self._broken:
            line = "\n" + line
        self._write(line.encode("utf-8", "backslashreplace"))

    def _write(self, line: bytes) -> None:
        # A full disk stops the log, not the work: what is lost is told when there is room again.
        wrote = 0
        try:
            fd = self._open()
            while wrote < len(line):
                wrote += os.write(fd, line[wrote:])
        except OSError:
            self._lost += 1
            self._broken = self._broken or wrote > 0
            return
        self._lost = 0
        self._broken = False

    def _open(self) -> int:
        """The log's descriptor, opened when it is not open or another file's by now."""
        if self._path is None:
            return 2
        if self._fd >= 0:
            try:
                here = os.fstat(self._fd)
                if (here.st_dev, here.st_ino) == self._file:
                    return self._fd
            except OSError:
                pass  # it was closed
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        here = os.fstat(self._fd)
        self._file = (here.st_dev, here.st_ino)
        return self._fd
