"""The twin of connection.py for asyncio: one keep-alive connection, one call at a time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

from .calls import HEALTH
from .embedded import SOCKET_NAME, Starter
from .errors import BusyError, ConnectionLostError, PenstockError, error_of
from .outage import Outage
from .wire import JSON, Address, Answer, AnswerReader, Reach, RequestWriter

# What the kernel holds of a request to a local server, if it may.
LOCAL_SEND_BYTES = 1 << 20


class _Peer(asyncio.Protocol):
    """The connection's end here: gathers one answer at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.usable = False
        self._reader: AnswerReader | None = None
        self._pieces: list[bytes] = []
        self._waiting: asyncio.Future[Answer] | None = None
        self._following: asyncio.Queue[bytes | Exception | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.usable = True

    def ask(self, method: str, message: bytes) -> asyncio.Future[Answer]:
        assert self.transport is not None
        self._reader = AnswerReader(method)
        self._pieces = []
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return self._waiting

    def follow(self, message: bytes) -> asyncio.Queue[bytes | Exception | None]:
        """Sends a GET; the pieces of its body, then None or what went wrong."""
        assert self.transport is not None
        self._reader = AnswerReader("GET")
        self._pieces = []
        self._following = asyncio.Queue()
        self.transport.write(message)
        return self._following

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            # Nothing was asked for.
            self.close()
            return
        try:
            self._pieces += reader.feed(data)
        except (PenstockError, ValueError) as error:
            self._fail(error)
            return
        if self._following is not None and 0 < reader.status < 400:
            for piece in self._pieces:
                self._following.put_nowait(piece)
            self._pieces = []
        if reader.done:
            self._finish(reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        reader = self._reader
        if reader is None:
            return
        try:
            reader.eof()
        except ConnectionLostError as error:
            self._fail(exc or error)
        else:
            self._finish(reader)

    def close(self) -> None:
        self.usable = False
        if self.transport is not None:
            self.transport.abort()

    def _finish(self, reader: AnswerReader) -> None:
        self._reader = None
        if not reader.keeps:
            self.close()
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        if self._following is not None:
            failed = reader.status >= 400
            self._following.put_nowait(error_of(reader.status, body) if failed else None)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(reader.status, reader.headers, body))

    def _fail(self, error: Exception) -> None:
        self._reader = None
        self.close()
        if self._following is not None:
            self._following.put_nowait(error)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


class AsyncConnection:
    """A connection that is opened when needed and again when it was lost. One call at a time.

    `outage` hears of each call's tries.
    """

    def __init__(self, reach: Reach, outage: Outage | None = None) -> None:
        self.address = Address.of(reach.url)
        self._reach = reach
        self._writer = RequestWriter(self.address, reach.key, reach.token, reach.step_token)
        self._peer: _Peer | None = None
        self._reached = False
        self._outage = outage

    def close(self) -> None:
        """Closes the connection; the next call opens a new one."""
        if self._peer is not None:
            self._peer.close()
        self._peer = None

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | list[bytes] | None = None,
        *,
        repeatable: bool,
        wait_s: float = 0.0,
        content_type: str = JSON,
    ) -> Answer:
        """As Connection.call. Cancelled, it closes the connection: an answer may be on its way."""
        message = self._writer.write(method, path, body, content_type=content_type)
        began_at = time.monotonic()
        pause_s = 0.05
        repeated = False
        while True:
            sent = False
            try:
                peer = await self._ensure()
                if self._outage is not None and self._outage.since_s is not None:
                    peer = await self._greet(peer, self._outage)
                sent = True
                answer = await self._exchange(peer, method, message, self._reach.timeout_s + wait_s)
                if answer.status < 400:
                    return answer
                error = error_of(answer.status, answer.body)
                error.repeated = repeated
                if not (isinstance(error, BusyError) and repeatable):
                    raise error
                problem: Exception = error
            except (OSError, asyncio.TimeoutError) as lost:
                self.close()
                problem = self.address.lost(lost, self._reached)
                if self._outage is not None:
                    self._outage.failed(problem)
                if sent and not repeatable:
                    raise problem from lost
                repeated = repeated or sent
            except asyncio.CancelledError:
                self.close()
                raise
            # Nothing announces a server's return, so this asks again, ever more rarely.
            patience_s = self._reach.patience(self._reached)
            if time.monotonic() + pause_s > began_at + patience_s:
                raise problem
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)

    async def stream(self, path: str, headers: dict[str, str]) -> AsyncIterator[bytes]:
        """As Connection.stream: a GET's body, piece by piece as it comes."""
        peer = None
        try:
            peer = await self._ensure()
            self._peer = None
            pieces = peer.follow(self._writer.write("GET", path, None, headers))
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        except OSError as lost:
            raise self.address.lost(lost, self._reached) from lost
        finally:
            if peer is not None:
                peer.close()

    async def _greet(self, peer: _Peer, outage: Outage) -> _Peer:
        """A server that was away is asked for its health first: a call may wait long for its
        answer. What the call is sent on."""
        hello = self._writer.write("GET", HEALTH.path, None)
        await self._exchange(peer, "GET", hello, self._reach.timeout_s)
        outage.answered()
        return await self._ensure()

    async def _exchange(self, peer: _Peer, method: str, message: bytes, within_s: float) -> Answer:
        waiting = peer.ask(method, message)

        def give_up() -> None:
            if not waiting.done():
                waiting.set_exception(ConnectionLostError(f"no answer within {within_s:g} s"))
                peer.close()

        timer = asyncio.get_running_loop().call_later(within_s, give_up)
        try:
            return await waiting
        finally:
            timer.cancel()

    async def _ensure(self) -> _Peer:
        if self._peer is not None and self._peer.usable:
            return self._peer
        where = self.address
        if where.state is not None:
            return await self._open_embedded(where.state)
        loop = asyncio.get_running_loop()
        opening: Any
        if where.unix_path is not None:
            opening = loop.create_unix_connection(_Peer, where.unix_path)
        else:
            context = (self._reach.tls or ssl.create_default_context()) if where.tls else None
            opening = loop.create_connection(_Peer, where.host, where.port, ssl=context)
        transport, self._peer = await asyncio.wait_for(opening, self._reach.connect_s)
        assert self._peer is not None
        if where.unix_path is not None:
            # A batch of results goes in one piece, and not in as many as a small buffer makes.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_SEND_BYTES)
        self._reached = True
        return self._peer

    async def _open_embedded(self, state: str) -> _Peer:
        """As Connection._open_embedded."""
        starter = Starter(state)
        hello = self._writer.write("GET", "/v1/health", None)
        loop = asyncio.get_running_loop()
        pause_s = 0.005
        while True:
            try:
                _, peer = await loop.create_unix_connection(_Peer, f"{state}/{SOCKET_NAME}")
                answer = await self._exchange(peer, "GET", hello, self._reach.timeout_s)
                if answer.status < 400 and peer.usable:
                    self._peer = peer
                    return peer
                peer.close()
            except OSError:
                starter.step()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.2)
