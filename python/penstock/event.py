"""Events: the history of what happened to which job, as it happens."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from .connection import Connection
from .errors import ConnectionLostError


@dataclass(frozen=True)
class Event:
    """One line of the history."""

    id: int
    kind: str
    at: datetime.datetime
    job_id: int
    job_name: str
    detail: dict[str, Any]


def instant(text: str) -> datetime.datetime:
    """A time as the server writes it: RFC 3339 in UTC."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class EventReader:
    """Reads a text/event-stream; an event that was cut off at the end is left out.

    What has no id is no history (figures on a job's progress): it is left out too.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._forget()

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in this piece."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = (self._line(line) for line in lines)
        return [event for event in events if event is not None]

    def _forget(self) -> None:
        self._number: int | None = None
        self._kind, self._data = "", b""

    def _line(self, line: bytes) -> Event | None:
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if name == b"id":
            self._number = int(value)
        elif name == b"event":
            self._kind = value.decode("utf-8")
        elif name == b"data":
            self._data += value
        elif not line:
            number, kind, data = self._number, self._kind, self._data
            self._forget()
            if number is not None and data:
                return _event(number, kind, orjson.loads(data))
        return None


def read_events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of a text/event-stream."""
    reader = EventReader()
    for piece in pieces:
        yield from reader.feed(piece)


def _event(number: int, kind: str, told: dict[str, Any]) -> Event:
    at = instant(told["at"])
    return Event(number, kind, at, told["job"], told["name"], told.get("detail") or {})


def resuming(last: int | None) -> dict[str, str]:
    """The header that makes a stream go on behind that event."""
    return {} if last is None else {"Last-Event-ID": str(last)}


def follow(connection: Connection, path: str, after: int | None) -> Iterator[Event]:
    """Events after that id (None: from now on) without end; connects again when it was cut off.

    Raises ConnectionLostError when the server stays away for longer than the client's patience.
    """
    last = after
    while True:
        try:
            for event in read_events(connection.stream(path, resuming(last), None)):
                last = event.id
                yield event
        except ConnectionLostError:
            connection.close()
        # Answered as soon as the server is back, or fails for good.
        connection.call("GET", "/v1/health", repeatable=True)
