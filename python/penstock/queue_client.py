"""The queue's part of Client: tasks, queues, functions, limits, schedules, fragments, blobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Union

from . import queue_calls
from .calls import Call
from .errors import NotFoundError
from .handle import TaskInfo
from .queue_calls import Blob, Changed, Fragment

if TYPE_CHECKING:
    from .client import Client

LIST_PAGE = 1000
COPY_BYTES = 256 << 10

NewFragment = Union[Fragment, tuple[str, str, str, Mapping[str, Any]]]
#: A path, an open binary file, bytes, or pieces of bytes.
Content = Union[str, "os.PathLike[str]", IO[bytes], bytes, Iterable[bytes]]
Groups = list[dict[str, Any]]


class Tasks:
    """The tasks of a server. A filter is made of queue, function, state, key, batch, lock, error
    (the type of it), ids; bulk verbs refuse an empty one unless it says all=True."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[tuple[int, bool]]:
        """Stores tasks as docs/queue.md describes them, all or none.

        For each its id, and whether that is of an older one (unique).
        """
        told = self._client.ask(queue_calls.enqueue(tasks)) if tasks else {"tasks": []}
        return [(one["id"], one.get("existing", False)) for one in told["tasks"]]

    def get(self, id: int, *, wait_s: float = 0.0) -> TaskInfo:
        """A task, whole; waits up to `wait_s` for its end. NotFoundError."""
        return TaskInfo.of(self._client.ask(queue_calls.task(id, wait_s)))

    def result(self, id: int) -> Any:
        """What the function returned. NotFoundError."""
        return self._client.ask(queue_calls.task_result(id))

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[TaskInfo]:
        """Tasks in order of their ids, without arguments, results and tracebacks."""
        after, more = 0, True
        while more:
            told = self._client.ask(queue_calls.list_tasks(filter, after, page))
            for one in told["tasks"]:
                yield TaskInfo.of(one)
                after = one["id"]
            more = told["more"] and bool(told["tasks"])

    def control(self, verb: str, **filter: Any) -> Changed:
        """cancel, retry or delete, by name."""
        return Changed.of(self._client.ask(queue_calls.control(verb, filter)))

    def cancel(self, **filter: Any) -> Changed:
        """Cancels; what runs is asked to stop."""
        return self.control("cancel", **filter)

    def retry(self, **filter: Any) -> Changed:
        """What has failed or was cancelled runs again, with all its attempts."""
        return self.control("retry", **filter)

    def delete(self, **filter: Any) -> Changed:
        """Forgets tasks that have ended."""
        return self.control("delete", **filter)

    def errors(self, **filter: Any) -> Groups:
        """Failed tasks, grouped by function and type of error."""
        return one_list(self._client.ask(queue_calls.task_errors(filter)))

    def status(self, key: str | None = None, batch: str | None = None) -> dict[str, Any]:
        """The tree key, batch, queue, function with counts by state."""
        told: dict[str, Any] = self._client.ask(queue_calls.task_status(key, batch))
        return told


class Named:
    """Queues or functions: listed, paused, limited."""

    def __init__(self, client: Client, kind: str) -> None:
        self._client = client
        self._kind = kind

    def list(self) -> list[dict[str, Any]]:
        """All of them: counts, limits, whether paused."""
        return one_list(self._client.ask(Call("GET", f"/v1/{self._kind}")))

    def configure(self, name: str, **members: Any) -> None:
        """Sets paused, concurrency, rpm; fair for queues. None takes a limit away."""
        self._client.ask(queue_calls.configure(self._kind, name, members))

    def pause(self, name: str) -> None:
        """Nothing of it starts until it is resumed."""
        self.configure(name, paused=True)

    def resume(self, name: str) -> None:
        """The other way."""
        self.configure(name, paused=False)


class Limits:
    """Limits for the keys that match a pattern."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> list[dict[str, Any]]:
        """All of them."""
        return one_list(self._client.ask(Call("GET", "/v1/limits")))

    def put(
        self, name: str, pattern: str, *, concurrency: int | None = None, rpm: float | None = None
    ) -> None:
        """Makes or replaces one: for each key that `pattern` (`*`, `?`) matches."""
        members = {"pattern": pattern, "concurrency": concurrency, "rpm": rpm}
        self._client.ask(queue_calls.put("limits", name, members))

    def delete(self, name: str) -> None:
        """Removes one. NotFoundError."""
        self._client.ask(queue_calls.delete("limits", name))


class Schedules:
    """Tasks that are enqueued at certain times."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> list[dict[str, Any]]:
        """All of them, with their next times."""
        return one_list(self._client.ask(Call("GET", "/v1/schedules")))

    def get(self, name: str) -> dict[str, Any]:
        """One of them. NotFoundError."""
        told: dict[str, Any] = self._client.ask(queue_calls.show("schedules", name))
        return told

    def put(self, name: str, **members: Any) -> None:
        """Makes or replaces one: function, arguments, cron or every_s, zone, missed, ..."""
        self._client.ask(queue_calls.put("schedules", name, members))

    def delete(self, name: str) -> None:
        """Removes one. NotFoundError."""
        self._client.ask(queue_calls.delete("schedules", name))

    def run(self, name: str) -> Any:
        """Enqueues its task now."""
        return self._client.ask(queue_calls.run_schedule(name))


class Fragments:
    """Entities in fragments: (dataset, id, origin, fragment); the same again replaces."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def put(self, dataset: str, fragments: Iterable[NewFragment]) -> int:
        """Stores fragments; how many. Sent in portions: each is stored whole or not at all."""
        stored = 0
        for lines in queue_calls.portions(map(queue_calls.fragment_line, fragments)):
            told = self._client.ask(queue_calls.put_fragments(dataset, lines))
            stored += told["stored"]
        return stored

    def load(self, dataset: str, ids: Iterable[str]) -> Iterator[Fragment]:
        """All fragments of these ids, in order of ids; those that are not there are left out."""
        wanted = sorted(set(ids))
        for first in range(0, len(wanted), queue_calls.IDS_MAX):
            portion = wanted[first : first + queue_calls.IDS_MAX]
            body = self._client.fetch(queue_calls.load_fragments(dataset, portion)).body
            yield from queue_calls.read_fragments(body)

    def iterate(
        self, dataset: str, after: str | None = None, page: int = LIST_PAGE
    ) -> Iterator[Fragment]:
        """All fragments of a dataset in order of ids, behind that one."""
        next_: str | None = after
        while True:
            answer = self._client.fetch(queue_calls.iterate_fragments(dataset, next_, page))
            yield from queue_calls.read_fragments(answer.body)
            next_ = queue_calls.next_of(answer.headers)
            if next_ is None:
                return

    def delete(self, dataset: str, id: str | None = None, origin: str | None = None) -> Any:
        """Removes a dataset, or what of it has that id or origin."""
        return self._client.ask(queue_calls.delete_fragments(dataset, id, origin))

    def datasets(self) -> list[dict[str, Any]]:
        """All datasets, with counts."""
        return one_list(self._client.ask(Call("GET", "/v1/fragments")))


class Blobs:
    """Bytes by their SHA-256. Streamed, never held."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def put(self, content: Content, keep: bool = False) -> Blob:
        """Stores what is in a file (a path or an open one), bytes, or pieces of them.

        With `keep` it stays until it is deleted, else for a day after nothing refers to it.
        """
        if isinstance(content, (str, os.PathLike)):
            with open(content, "rb") as file:
                return self.put(file, keep)
        path = "/v1/blobs?keep=1" if keep else "/v1/blobs"
        told = self._client.upload(path, pieces_of(content))
        return Blob(told["sha256"], told["bytes"])

    def stream(self, sha256: str) -> Iterator[bytes]:
        """The bytes, piece by piece. NotFoundError; ConnectionLostError when they are damaged."""
        return self._client.download(queue_calls.blob_path(sha256))

    def get(self, sha256: str) -> bytes:
        """The same at once."""
        return b"".join(self.stream(sha256))

    def exists(self, sha256: str) -> bool:
        """Whether it is there."""
        try:
            self._client.fetch(Call("HEAD", queue_calls.blob_path(sha256)))
        except NotFoundError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        """Removes it. ConflictError while something refers to it."""
        self._client.ask(Call("DELETE", queue_calls.blob_path(sha256)))


def pieces_of(content: IO[bytes] | bytes | Iterable[bytes]) -> Iterator[bytes]:
    """What is to be sent, piece by piece."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        yield bytes(content)
        return
    read = getattr(content, "read", None)
    if read is None:
        yield from content
        return
    while piece := read(COPY_BYTES):
        yield piece


def one_list(told: Any) -> list[dict[str, Any]]:
    """Answers that are lists come as one, or as the one list that an object has."""
    if isinstance(told, dict):
        told = next(value for value in told.values() if isinstance(value, list))
    found: list[dict[str, Any]] = told
    return found
