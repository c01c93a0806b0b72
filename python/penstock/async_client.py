"""The twin of Client for asyncio: the same calls, awaited."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import calls
from .async_connection import AsyncConnection
from .async_job import AsyncJob
from .async_queue_client import (
    AsyncBlobs,
    AsyncFragments,
    AsyncLimits,
    AsyncNamed,
    AsyncSchedules,
    AsyncTasks,
)
from .async_step_client import AsyncArtifacts, AsyncStepJobs, AsyncSteps
from .calls import Call
from .client import Key
from .connection import Connection
from .errors import ConnectionLostError
from .event import Event, EventReader, resuming
from .job import job_path
from .runtime.codec import loads
from .wire import Answer, Reach

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .new_job import NewJob


class AsyncJobs:
    """The jobs of a server."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(self, name: str | None = None, **members: Unpack[NewJob]) -> AsyncJob:
        """As Jobs.create."""
        told = await self._client.ask(calls.create_job(name=name, **members))
        return AsyncJob.of(self._client, told)

    async def get(self, job: int | str | AsyncJob) -> AsyncJob:
        """A job by id or by name. NotFoundError."""
        return AsyncJob.of(self._client, await self._client.ask(Call("GET", job_path(job))))

    async def list(self, state: str | None = None, page: int = 100) -> AsyncIterator[AsyncJob]:
        """All jobs, or those in that state, in the order they were made."""
        call: Call | None = calls.list_jobs(state, page)
        while call is not None:
            told = await self._client.ask(call)
            for one in told["jobs"]:
                yield AsyncJob.of(self._client, one)
            call = Call("GET", told["next"]) if told["next"] else None

    async def delete(self, job: int | str | AsyncJob) -> None:
        """Forgets a job; the output stays. NotFoundError."""
        await self._client.ask(Call("DELETE", job_path(job)))


class AsyncKeys:
    """The API keys of a server."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(self, name: str, scopes: list[str]) -> Key:
        """As Keys.create."""
        return Key.of(await self._client.ask(calls.create_key(name, scopes)))

    async def list(self) -> list[Key]:
        """All keys, the revoked ones too."""
        return [Key.of(one) for one in (await self._client.ask(calls.LIST_KEYS))["keys"]]

    async def revoke(self, name: str) -> None:
        """Makes a key useless. NotFoundError."""
        await self._client.ask(calls.revoke_key(name))


class AsyncClient:
    """A server, by http://, https:// or unix:// address. For one event loop.

    The arguments are those of Client. Tasks may share it: each call that runs at the same time has
    a connection of its own, and connections are kept for the next.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        token: str | None = None,
        step_token: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reach = Reach(url, key, token, timeout_s, patience_s, tls, step_token)
        self._idle = [self.new_connection()]
        self.jobs = AsyncJobs(self)
        self.keys = AsyncKeys(self)
        self.tasks = AsyncTasks(self)
        self.queues = AsyncNamed(self, "queues")
        self.functions = AsyncNamed(self, "functions")
        self.limits = AsyncLimits(self)
        self.schedules = AsyncSchedules(self)
        self.fragments = AsyncFragments(self)
        self.blobs = AsyncBlobs(self)
        self.steps = AsyncSteps(self)
        self.step_jobs = AsyncStepJobs(self)
        self.artifacts = AsyncArtifacts(self)

    def new_connection(self) -> AsyncConnection:
        """Another connection to the same server."""
        return AsyncConnection(self._reach)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        repeatable: bool = True,
        wait_s: float = 0.0,
    ) -> Any:
        """One call of the HTTP interface: the answer's JSON, None when it is empty."""
        return await self.ask(Call(method, path, body, repeatable, wait_s))

    async def ask(self, call: Call) -> Any:
        """The same, of a call that is there already."""
        answer = await self.fetch(call)
        return loads(answer.body) if answer.body else None

    async def fetch(self, call: Call) -> Answer:
        """The same; the answer as it is."""
        connection = self._idle.pop() if self._idle else self.new_connection()
        try:
            return await connection.call(
                call.method,
                call.path,
                call.body,
                repeatable=call.repeatable,
                wait_s=call.wait_s,
                content_type=call.content_type,
            )
        finally:
            self._idle.append(connection)

    async def upload(
        self, path: str, pieces: Iterator[bytes], content_type: str = "application/octet-stream"
    ) -> Any:
        """As Client.upload. A thread reads the pieces and sends them; who is cancelled leaves it to
        its end."""
        connection = Connection(self._reach)
        send = partial(connection.upload, path, pieces, content_type=content_type)
        try:
            sent = await asyncio.get_running_loop().run_in_executor(None, send)
        finally:
            connection.close()
        return loads(sent.body)

    async def download(self, path: str) -> AsyncIterator[bytes]:
        """As Client.download."""
        connection = self.new_connection()
        try:
            async for piece in connection.stream(path, {}):
                yield piece
        finally:
            connection.close()

    async def workers(self) -> list[dict[str, Any]]:
        """As Client.workers."""
        told: list[dict[str, Any]] = (await self.ask(calls.WORKERS))["workers"]
        return told

    def events(self, after: int | None = None) -> AsyncIterator[Event]:
        """Events as they happen, of all jobs, without end; 0 begins with the whole history."""
        return self.follow("/v1/events", after)

    async def follow(self, path: str, after: int | None) -> AsyncIterator[Event]:
        """Events of that stream; connects again when it was cut off."""
        connection = self.new_connection()
        last = after
        try:
            while True:
                reader = EventReader()
                try:
                    async for piece in connection.stream(path, resuming(last)):
                        for event in reader.feed(piece):
                            last = event.id
                            yield event
                except ConnectionLostError:
                    connection.close()
                # Answered as soon as the server is back, or fails for good.
                await connection.call("GET", calls.HEALTH.path, repeatable=True)
        finally:
            connection.close()

    async def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        told: dict[str, Any] = await self.ask(calls.HEALTH)
        return told

    async def doctor(self) -> dict[str, Any]:
        """Compares store, ledgers and outputs."""
        told: dict[str, Any] = await self.ask(calls.DOCTOR)
        return told

    async def close(self) -> None:
        """Closes the connections. The next call opens one again."""
        for connection in self._idle:
            connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
