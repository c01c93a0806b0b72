"""The log of one run: lines, gathered and posted about once a second, the last ones at the end.

A run that logs nothing costs nothing: no thread, no connection, no request.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from ..errors import BusyError, ConnectionLostError, PenstockError

if TYPE_CHECKING:
    from ..client import Client

#: The server cuts a message there, keeps so many lines of a job, and of these so much text.
LINE_MAX_BYTES = 16 << 10
KEPT_LINES = 10_000
KEPT_BYTES = 1 << 20
POST_LINES = 1000
POST_BYTES = 256 << 10
POST_EVERY_S = 1.0

LEVELS = ("debug", "info", "warning", "error", "critical")
#: Where the beginning of a line that was printed says how bad it is.
_LEVEL_WITHIN = 80
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")

Line = dict[str, Any]


class StepLog:
    """The lines of one run. From any thread.

    `make_client` gives the client that posts, made when it is first needed. What the server cannot
    be told now is told later; what it would not keep anyway, the oldest, is dropped here.
    """

    def __init__(self, job: int, fence: int, make_client: Callable[[], Client]) -> None:
        self._path = f"/v1/step-jobs/{job}/logs?fence={fence}"
        self._make_client = make_client
        self._client: Client | None = None
        self._changed = threading.Condition()
        # One post at a time, so that lines stay in their order.
        self._posting = threading.Lock()
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._dropped = 0
        # Begun lines, by source and thread: several may print at once.
        self._begun: dict[tuple[str, int], str] = {}
        self._poster: threading.Thread | None = None
        self._closed = False
        self._refused = False

    @property
    def is_used(self) -> bool:
        """Whether there is something to be told, or was."""
        return self._poster is not None or bool(self._begun)

    def add(self, message: str, level: str = "info", source: str = "log") -> None:
        """One line. Nothing after the end."""
        size = len(message.encode("utf-8", "replace"))
        if size > LINE_MAX_BYTES:
            message = _cut(message)
            size = LINE_MAX_BYTES
        with self._changed:
            if self._closed or self._refused:
                return
            self._lines.append(
                {"message": message, "level": level, "source": source, "at": _now(), "_": size}
            )
            self._bytes += size
            while len(self._lines) > KEPT_LINES or self._bytes > KEPT_BYTES:
                self._bytes -= self._lines.popleft()["_"]
                self._dropped += 1
            if self._poster is None:
                self._poster = threading.Thread(target=self._post_on, daemon=True)
                self._poster.start()

    def feed(self, text: str, source: str, thread: int | None = None) -> None:
        """Text as it was printed: whole lines are taken, the rest waits for its end."""
        key = source, threading.get_ident() if thread is None else thread
        begun = self._begun.pop(key, "")
        *lines, rest = (begun + text).split("\n")
        for line in lines:
            self._take(line, source)
        if len(rest) > LINE_MAX_BYTES:
            # A bar that is drawn again and again, or a line without end.
            rest = rest[rest.rfind("\r") + 1 :][:LINE_MAX_BYTES]
        if rest and not self._closed:
            self._begun[key] = rest

    def close(self) -> None:
        """Posts what is left. What the server does not take then is lost: no reason to fail."""
        for (source, _), rest in list(self._begun.items()):
            self._take(rest, source)
        self._begun.clear()
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._poster is None:
            return
        self._post()
        with self._posting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _take(self, line: str, source: str) -> None:
        """A line that was printed, as a screen would show it."""
        line = line.rstrip("\r").rpartition("\r")[2]
        found = _LEVEL.search(line, 0, _LEVEL_WITHIN)
        self.add(line, found.group().lower() if found else "info", source)

    def _post_on(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, POST_EVERY_S):
                    return
            self._post()

    def _post(self) -> None:
        with self._posting:
            while lines := self._portion():
                if not self._send(lines):
                    return

    def _portion(self) -> list[Line]:
        """As many as go at once; they are kept until they were taken."""
        with self._changed:
            found: list[Line] = []
            size = 0
            if self._dropped and self._lines:
                text = f"({self._dropped} lines before this one were too many to be told)"
                first = self._lines[0]
                self._lines.appendleft({**first, "message": text, "_": 0, "level": "warning"})
                self._dropped = 0
            for line in self._lines:
                size += line["_"]
                if len(found) == POST_LINES or (found and size > POST_BYTES):
                    break
                found.append(line)
            # Taken out: what is added meanwhile may drop the oldest.
            for line in found:
                self._lines.popleft()
                self._bytes -= line["_"]
            return found

    def _send(self, lines: list[Line]) -> bool:
        """Whether they are done with. The server's absence is waited for by the next post."""
        told = [{name: line[name] for name in line if name != "_"} for line in lines]
        try:
            if self._client is None:
                self._client = self._make_client()
            self._client.send("POST", self._path, _body(told))
            return True
        except (BusyError, ConnectionLostError):
            with self._changed:
                self._lines.extendleft(reversed(lines))
                self._bytes += sum(line["_"] for line in lines)
            return False
        except (PenstockError, OSError):
            # It is in other hands, or was deleted: nobody wants to know any more.
            with self._changed:
                self._refused = True
                self._lines.clear()
            return False


def _body(lines: list[Line]) -> bytes:
    try:
        return orjson.dumps({"lines": lines})
    except TypeError:
        # Lone surrogates, of file names that are no UTF-8.
        for line in lines:
            line["message"] = line["message"].encode("utf-8", "replace").decode("utf-8")
        return orjson.dumps({"lines": lines})


def _cut(message: str) -> str:
    return message.encode("utf-8", "replace")[:LINE_MAX_BYTES].decode("utf-8", "ignore")


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
