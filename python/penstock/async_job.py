"""The twins of Lease and Job for asyncio."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import calls
from .calls import Call, given
from .errors import LeaseEndedError, PenstockError
from .event import Event
from .job import JobView, RecordError
from .lease import LeaseBook, Settled

if TYPE_CHECKING:
    from .async_client import AsyncClient


class AsyncLease(LeaseBook):
    """As Lease, with `async with`."""

    def __init__(
        self, client: AsyncClient, path: str, told: dict[str, Any], lasts_s: float
    ) -> None:
        super().__init__(path, told, lasts_s)
        self._client = client

    async def settle(self) -> Settled:
        """As Lease.settle."""
        if not self._reported:
            return Settled()
        try:
            return self._was_settled(await self._client.ask(self._settle_call()))
        except LeaseEndedError as ended:
            return self._was_lost(ended)

    async def extend(self, lease_s: float | None = None) -> None:
        """As Lease.extend."""
        asked_at_s = time.monotonic()
        told = await self._client.ask(self._extend_call(lease_s))
        self._was_extended(told, asked_at_s, lease_s)

    async def extend_when_due(self, lease_s: float | None = None) -> None:
        """As Lease.extend_when_due."""
        if self._due:
            await self.extend(lease_s)

    async def release(self) -> None:
        """As Lease.release."""
        self._open = 0
        if self.token is not None:
            with contextlib.suppress(LeaseEndedError):
                await self._client.ask(self._release_call())

    async def __aenter__(self) -> AsyncLease:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                await self.settle()
            finally:
                if self._open > 0:
                    await self.release()
            return
        # As in Lease.__exit__.
        with contextlib.suppress(PenstockError):
            if not isinstance(error, PenstockError):
                await self.settle()
            await self.release()


@dataclass(frozen=True)
class AsyncJob(JobView):
    """A job of an AsyncClient; `refresh` asks again."""

    if TYPE_CHECKING:
        _client: AsyncClient

    async def refresh(self) -> AsyncJob:
        """As Job.refresh; so are all that follow."""
        return await self._client.jobs.get(self)

    async def pause(self) -> AsyncJob:
        return await self._verb("pause")

    async def resume(self) -> AsyncJob:
        return await self._verb("resume")

    async def cancel(self) -> AsyncJob:
        return await self._verb("cancel")

    async def repair(self, *, failed: bool = False) -> AsyncJob:
        return await self._verb("repair", given(failed=failed))

    async def clean(self, *, output: bool = True) -> AsyncJob:
        return await self._verb("clean", given(output=output))

    async def delete(self) -> None:
        await self._client.jobs.delete(self)

    async def claim(
        self, max: int = 100, wait_s: float = 0.0, lease_s: float | None = None
    ) -> AsyncLease:
        told = await self._client.ask(calls.claim(self.path, max, wait_s, lease_s))
        lasts_s = self.lease_s if lease_s is None else lease_s
        return AsyncLease(self._client, self.path, told, lasts_s)

    async def claims(
        self, max: int = 100, wait_s: float = 30.0, lease_s: float | None = None
    ) -> AsyncIterator[AsyncLease]:
        """As Job.claims. Use each in an `async with` block."""
        while True:
            lease = await self.claim(max, wait_s, lease_s)
            if lease:
                yield lease
            elif lease.finished:
                return

    async def errors(self, page: int = 100) -> AsyncIterator[RecordError]:
        after: int | None = 0
        while after is not None:
            told = await self._client.ask(calls.list_errors(self.path, after, page))
            for one in told["errors"]:
                yield RecordError.of(one)
            after = told["next"]

    def events(self, after: int | None = None) -> AsyncIterator[Event]:
        return self._client.follow(f"{self.path}/events", after)

    async def _verb(self, verb: str, body: bytes | None = None) -> AsyncJob:
        told = await self._client.ask(Call("POST", f"{self.path}/{verb}", body))
        return AsyncJob.of(self._client, told)
