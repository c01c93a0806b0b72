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


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        *whole, rest = rest.split(b"\n")
        yield from whole


def read_events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Reads a text/event-stream; an event that was cut off at the end is left out.

    What has no id is no history (figures on a job's progress): it is left out too.
    """
    number: int | None = None
    kind, data = "", b""
    for line in _lines(pieces):
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if name == b"id":
            number = int(value)
        elif name == b"event":
            kind = value.decode("utf-8")
        elif name == b"data":
            data += value
        elif not line:
            if number is not None and data:
                yield _event(number, kind, orjson.loads(data))
            number, kind, data = None, "", b""


def _event(number: int, kind: str, told: dict[str, Any]) -> Event:
    at = instant(told["at"])
    return Event(number, kind, at, told["job"], told["name"], told.get("detail") or {})


def follow(connection: Connection, path: str, after: int | None) -> Iterator[Event]:
    """Events after that id (None: from now on) without end; connects again when it was cut off.

    Raises ConnectionLostError when the server stays away for longer than the client's patience.
    """
    last = after
    while True:
        if last is None:
            pieces = connection.stream(path, {}, None)
        else:
            pieces = connection.stream(path, {"Last-Event-ID": str(last)}, None)
        try:
            for event in read_events(pieces):
                last = event.id
                yield event
        except ConnectionLostError:
            connection.close()
        # Answered as soon as the server is back, or fails for good.
        connection.call("GET", "/v1/health", repeatable=True)
