"""What can be asked of a server about tasks, fragments and blobs, as data (as calls.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import orjson

from .calls import Call, given
from .errors import InvalidError
from .runtime.codec import dumps, loads

NDJSON = "application/x-ndjson"
# A body has a limit, and what is in one is stored together.
FRAGMENTS_BYTES = 4 << 20
FRAGMENTS_MAX = 5000
IDS_MAX = 1000


@dataclass(frozen=True)
class Changed:
    """What a bulk verb did."""

    #: Tasks that the filter meant, and those among them that it did something to.
    matched: int
    changed: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> Changed:
        return cls(told["matched"], told["changed"])


@dataclass(frozen=True)
class Fragment:
    """A part of an entity: the same id, origin and fragment again replaces it."""

    id: str
    origin: str
    fragment: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Blob:
    """Bytes that are kept under their SHA-256."""

    sha256: str
    bytes: int


def enqueue(tasks: list[dict[str, Any]]) -> Call:
    """To send it twice would enqueue twice, unless each says itself that it must not."""
    stored = [(task.get("unique") or {}).get("while") == "stored" for task in tasks]
    try:
        body = orjson.dumps({"tasks": tasks})
    except TypeError:
        body = dumps({"tasks": tasks})
    return Call("POST", "/v1/tasks", body, repeatable=all(stored))


def task(id: int, wait_s: float) -> Call:
    query = f"?wait_s={wait_s:g}" if wait_s > 0 else ""
    return Call("GET", f"/v1/tasks/{id}{query}", wait_s=wait_s)


def task_result(id: int) -> Call:
    return Call("GET", f"/v1/tasks/{id}/result")


def list_tasks(filter: Mapping[str, Any], after: int, page: int) -> Call:
    return Call("GET", f"/v1/tasks?{_query({**filter, 'after': after, 'limit': page})}")


def control(verb: str, filter: Mapping[str, Any]) -> Call:
    """cancel, retry, delete."""
    if not any(value is not None for value in filter.values()):
        raise InvalidError(f"to {verb} all tasks, say all=True")
    return Call("POST", f"/v1/tasks/{verb}", given(**filter))


def task_errors(filter: Mapping[str, Any]) -> Call:
    return Call("GET", f"/v1/tasks/errors?{_query(filter)}")


def task_status(key: str | None, batch: str | None) -> Call:
    return Call("GET", f"/v1/tasks/status?{_query({'key': key, 'batch': batch})}")


def configure(kind: str, name: str, members: Mapping[str, Any]) -> Call:
    """Of queues and functions; None takes a limit away."""
    return Call("PATCH", f"/v1/{kind}/{quote(name, safe='')}", orjson.dumps(dict(members)))


def put(kind: str, name: str, members: Mapping[str, Any]) -> Call:
    """Of limits and schedules."""
    return Call("PUT", f"/v1/{kind}/{quote(name, safe='')}", orjson.dumps(dict(members)))


def show(kind: str, name: str) -> Call:
    return Call("GET", f"/v1/{kind}/{quote(name, safe='')}")


def delete(kind: str, name: str) -> Call:
    return Call("DELETE", f"/v1/{kind}/{quote(name, safe='')}")


def run_schedule(name: str) -> Call:
    return Call("POST", f"/v1/schedules/{quote(name, safe='')}/run", repeatable=False)


def put_fragments(dataset: str, lines: list[bytes]) -> Call:
    """The same triple replaces: to send it twice is to send it once."""
    path = f"/v1/fragments/{quote(dataset, safe='')}"
    return Call("POST", path, b"\n".join(lines) + b"\n", content_type=NDJSON)


def load_fragments(dataset: str, ids: list[str]) -> Call:
    return Call("POST", f"/v1/fragments/{quote(dataset, safe='')}/load", given(ids=ids))


def iterate_fragments(dataset: str, after: str | None, limit: int) -> Call:
    query = _query({"after": after, "limit": limit})
    return Call("GET", f"/v1/fragments/{quote(dataset, safe='')}?{query}")


def delete_fragments(dataset: str, id: str | None, origin: str | None) -> Call:
    query = _query({"id": id, "origin": origin})
    return Call("DELETE", f"/v1/fragments/{quote(dataset, safe='')}{'?' if query else ''}{query}")


def blob_path(sha256: str) -> str:
    return f"/v1/blobs/{quote(sha256, safe='')}"


def fragment_line(one: Fragment | tuple[str, str, str, Mapping[str, Any]]) -> bytes:
    """One line of what is put."""
    if isinstance(one, Fragment):
        one = (one.id, one.origin, one.fragment, one.data)
    return orjson.dumps(one)


def portions(lines: Iterable[bytes]) -> Iterable[list[bytes]]:
    """Lines in as many as one request takes."""
    portion: list[bytes] = []
    size = 0
    for line in lines:
        portion.append(line)
        size += len(line)
        if size >= FRAGMENTS_BYTES or len(portion) >= FRAGMENTS_MAX:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def read_fragments(body: bytes) -> list[Fragment]:
    """The lines of an answer."""
    return [Fragment(*loads(line)) for line in body.split(b"\n") if line]


def next_of(headers: Mapping[str, str]) -> str | None:
    """The id to go on after; None when that was all."""
    after = headers.get("penstock-next")
    return unquote(after) if after else None


def _query(members: Mapping[str, Any]) -> str:
    given = {name: value for name, value in members.items() if value is not None}
    return urlencode(given, quote_via=quote, safe="", encoding="utf-8")
