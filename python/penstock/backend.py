"""Where an app's tasks go: a server, or the memory of a test (testing.py)."""

from __future__ import annotations

import os
import ssl
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from .client import Client
from .handle import TaskInfo

if TYPE_CHECKING:
    import asyncio

    from .async_client import AsyncClient

#: The server's answer for one task that was enqueued: id, and whether it was there already.
Enqueued = tuple[int, bool]


class Backend(Protocol):
    """What an app asks for."""

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[Enqueued]: ...

    async def enqueue_async(self, tasks: list[dict[str, Any]]) -> list[Enqueued]: ...

    def task(self, id: int, wait_s: float) -> TaskInfo: ...

    async def task_async(self, id: int, wait_s: float) -> TaskInfo: ...

    def control(self, verb: str, id: int) -> int: ...

    async def control_async(self, verb: str, id: int) -> int: ...


class ServerBackend:
    """A server: a client for each thread, one for each event loop."""

    def __init__(
        self, url: str, key: str | None, patience_s: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self.key = key
        self.tls = tls
        self._patience_s = patience_s
        self._here = threading.local()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def client(self) -> Client:
        """This thread's; another one after a fork, whose parent goes on with the connection."""
        client: Client | None = getattr(self._here, "client", None)
        if client is None or self._here.pid != os.getpid():
            client = Client(self.url, self.key, patience_s=self._patience_s, tls=self.tls)
            self._here.client, self._here.pid = client, os.getpid()
        return client

    @property
    def async_client(self) -> AsyncClient:
        """The running loop's."""
        import asyncio  # who uses no loop need not pay for it

        from .async_client import AsyncClient

        loop = asyncio.get_running_loop()
        client = self._loops.get(loop)
        if client is None:
            client = AsyncClient(self.url, self.key, patience_s=self._patience_s, tls=self.tls)
            self._loops[loop] = client
        return client

    def enqueue(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        return self.client.tasks.enqueue(tasks)

    async def enqueue_async(self, tasks: list[dict[str, Any]]) -> list[Enqueued]:
        return await self.async_client.tasks.enqueue(tasks)

    def task(self, id: int, wait_s: float) -> TaskInfo:
        return self.client.tasks.get(id, wait_s=wait_s)

    async def task_async(self, id: int, wait_s: float) -> TaskInfo:
        return await self.async_client.tasks.get(id, wait_s=wait_s)

    def control(self, verb: str, id: int) -> int:
        return self.client.tasks.control(verb, ids=[id]).changed

    async def control_async(self, verb: str, id: int) -> int:
        return (await self.async_client.tasks.control(verb, ids=[id])).changed

    def close(self) -> None:
        """Closes this thread's client."""
        client: Client | None = getattr(self._here, "client", None)
        if client is not None and self._here.pid == os.getpid():
            client.close()
        self._here.client = None
