"""The queue's part of AsyncClient: the same calls as queue_client.py, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from . import queue_calls
from .calls import Call
from .handle import TaskInfo
from .queue_calls import Blob, Changed, Fragment
from .queue_client import LIST_PAGE, NewFragment, one_list

if TYPE_CHECKING:
    from .async_client import AsyncClient


class AsyncTasks:
    """As Tasks."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def enqueue(self, tasks: list[dict[str, Any]]) -> list[tuple[int, bool]]:
        """As Tasks.enqueue."""
        told = await self._client.ask(queue_calls.enqueue(tasks)) if tasks else {"tasks": []}
        return [(one["id"], one.get("existing", False)) for one in told["tasks"]]

    async def get(self, id: int, *, wait_s: float = 0.0) -> TaskInfo:
        """As Tasks.get."""
        return TaskInfo.of(await self._client.ask(queue_calls.task(id, wait_s)))

    async def result(self, id: int) -> Any:
        """As Tasks.result."""
        return await self._client.ask(queue_calls.task_result(id))

    async def list(self, page: int = LIST_PAGE, **filter: Any) -> AsyncIterator[TaskInfo]:
        """As Tasks.list."""
        after, more = 0, True
        while more:
            told = await self._client.ask(queue_calls.list_tasks(filter, after, page))
            for one in told["tasks"]:
                yield TaskInfo.of(one)
                after = one["id"]
            more = told["more"] and bool(told["tasks"])

    async def control(self, verb: str, **filter: Any) -> Changed:
        """As Tasks.control."""
        return Changed.of(await self._client.ask(queue_calls.control(verb, filter)))

    async def cancel(self, **filter: Any) -> Changed:
        """As Tasks.cancel."""
        return await self.control("cancel", **filter)

    async def retry(self, **filter: Any) -> Changed:
        """As Tasks.retry."""
        return await self.control("retry", **filter)

    async def delete(self, **filter: Any) -> Changed:
        """As Tasks.delete."""
        return await self.control("delete", **filter)

    async def errors(self, **filter: Any) -> Any:
        """As Tasks.errors."""
        return one_list(await self._client.ask(queue_calls.task_errors(filter)))

    async def status(self, key: str | None = None, batch: str | None = None) -> dict[str, Any]:
        """As Tasks.status."""
        told: dict[str, Any] = await self._client.ask(queue_calls.task_status(key, batch))
        return told


class AsyncNamed:
    """As Named: queues or functions."""

    def __init__(self, client: AsyncClient, kind: str) -> None:
        self._client = client
        self._kind = kind

    async def list(self) -> Any:
        """As Named.list."""
        return one_list(await self._client.ask(Call("GET", f"/v1/{self._kind}")))

    async def configure(self, name: str, **members: Any) -> None:
        """As Named.configure."""
        await self._client.ask(queue_calls.configure(self._kind, name, members))

    async def pause(self, name: str) -> None:
        """As Named.pause."""
        await self.configure(name, paused=True)

    async def resume(self, name: str) -> None:
        """As Named.resume."""
        await self.configure(name, paused=False)


class AsyncLimits:
    """As Limits."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> Any:
        """As Limits.list."""
        return one_list(await self._client.ask(Call("GET", "/v1/limits")))

    async def put(
        self, name: str, pattern: str, *, concurrency: int | None = None, rpm: float | None = None
    ) -> None:
        """As Limits.put."""
        members = {"pattern": pattern, "concurrency": concurrency, "rpm": rpm}
        await self._client.ask(queue_calls.put("limits", name, members))

    async def delete(self, name: str) -> None:
        """As Limits.delete."""
        await self._client.ask(queue_calls.delete("limits", name))


class AsyncSchedules:
    """As Schedules."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> Any:
        """As Schedules.list."""
        return one_list(await self._client.ask(Call("GET", "/v1/schedules")))

    async def get(self, name: str) -> dict[str, Any]:
        """As Schedules.get."""
        told: dict[str, Any] = await self._client.ask(queue_calls.show("schedules", name))
        return told

    async def put(self, name: str, **members: Any) -> None:
        """As Schedules.put."""
        await self._client.ask(queue_calls.put("schedules", name, members))

    async def delete(self, name: str) -> None:
        """As Schedules.delete."""
        await self._client.ask(queue_calls.delete("schedules", name))

    async def run(self, name: str) -> Any:
        """As Schedules.run."""
        return await self._client.ask(queue_calls.run_schedule(name))


class AsyncFragments:
    """As Fragments."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def put(self, dataset: str, fragments: Iterable[NewFragment]) -> int:
        """As Fragments.put."""
        stored = 0
        for lines in queue_calls.portions(map(queue_calls.fragment_line, fragments)):
            told = await self._client.ask(queue_calls.put_fragments(dataset, lines))
            stored += told["stored"]
        return stored

    async def load(self, dataset: str, ids: Iterable[str]) -> AsyncIterator[Fragment]:
        """As Fragments.load."""
        wanted = sorted(set(ids))
        for first in range(0, len(wanted), queue_calls.IDS_MAX):
            portion = wanted[first : first + queue_calls.IDS_MAX]
            answer = await self._client.fetch(queue_calls.load_fragments(dataset, portion))
            for one in queue_calls.read_fragments(answer.body):
                yield one

    async def iterate(
        self, dataset: str, after: str | None = None, page: int = LIST_PAGE
    ) -> AsyncIterator[Fragment]:
        """As Fragments.iterate."""
        next_: str | None = after
        while True:
            answer = await self._client.fetch(queue_calls.iterate_fragments(dataset, next_, page))
            for one in queue_calls.read_fragments(answer.body):
                yield one
            next_ = queue_calls.next_of(answer.headers)
            if next_ is None:
                return

    async def delete(self, dataset: str, id: str | None = None, origin: str | None = None) -> Any:
        """As Fragments.delete."""
        return await self._client.ask(queue_calls.delete_fragments(dataset, id, origin))

    async def datasets(self) -> Any:
        """As Fragments.datasets."""
        return one_list(await self._client.ask(Call("GET", "/v1/fragments")))


class AsyncBlobs:
    """As Blobs, of bytes that fit into memory; files are better sent from a thread."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def put(self, content: bytes, keep: bool = False) -> Blob:
        """Stores bytes."""
        path = "/v1/blobs?keep=1" if keep else "/v1/blobs"
        call = Call("POST", path, content, content_type="application/octet-stream")
        told = await self._client.ask(call)
        return Blob(told["sha256"], told["bytes"])

    async def get(self, sha256: str) -> bytes:
        """The bytes. NotFoundError."""
        return (await self._client.fetch(Call("GET", queue_calls.blob_path(sha256)))).body

    async def delete(self, sha256: str) -> None:
        """As Blobs.delete."""
        await self._client.ask(Call("DELETE", queue_calls.blob_path(sha256)))
