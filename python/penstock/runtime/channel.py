"""The control channel to the supervisor: JSON lines both ways over one descriptor.

It blocks until `attach`; from then on the event loop carries it, and any thread may say something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import orjson

from ..failure import clean_text

VARIABLE = "PENSTOCK_CONTROL_FD"

# The supervisor reads lines of less than 1 MiB. In a longer one each text is cut to so many
# characters: escaped, a few of them still fit.
LINE_MAX_BYTES = 1_000_000
TEXT_MAX = 32_768

Message = dict[str, Any]


class Channel(asyncio.Protocol):
    """One end of the socket pair that the supervisor made."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        # The programs that a task starts must not hold the channel open.
        self._socket.set_inheritable(False)
        self._rest = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._thread = 0
        self._on_message: Callable[[Message], None] = lambda _: None
        self._on_end: Callable[[], None] = lambda: None
        self._flows: asyncio.Event | None = None
        self._closed: asyncio.Future[None] | None = None

    @classmethod
    def of_environment(cls) -> Channel | None:
        """The channel that the environment names; None when there is none."""
        text = os.environ.pop(VARIABLE, "")
        return cls(int(text)) if text.isdigit() else None

    def say(self, **message: Any) -> None:
        """Sends one message. From any thread; never blocks once the loop carries the channel."""
        try:
            line = orjson.dumps(message) + b"\n"
        except TypeError:
            line = orjson.dumps(_cleaned(message)) + b"\n"
        if len(line) > LINE_MAX_BYTES:
            line = orjson.dumps(_cleaned(message, TEXT_MAX)) + b"\n"
        if self._loop is None:
            with contextlib.suppress(OSError):
                self._socket.sendall(line)
        elif threading.get_ident() == self._thread:
            self._write(line)
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._write, line)

    async def room(self) -> None:
        """Waits until the supervisor keeps up with what is said."""
        if self._flows is not None:
            await self._flows.wait()

    def listen(self) -> Message | None:
        """Blocks for one message; None when the supervisor has closed the channel."""
        while b"\n" not in self._rest:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        message: Message = orjson.loads(line)
        return message

    async def attach(
        self, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        """From now on the running loop carries the channel and calls these two."""
        self._on_message, self._on_end = on_message, on_end
        loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._flows = asyncio.Event()
        self._flows.set()
        self._closed = loop.create_future()
        self._socket.setblocking(False)
        transport, _ = await loop.create_unix_connection(lambda: self, sock=self._socket)
        self._transport = transport
        self._loop = loop
        self.data_received(b"")

    async def close(self) -> None:
        """Sends what is left, then closes."""
        if self._transport is not None and self._closed is not None:
            self._transport.close()
            await self._closed

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(orjson.JSONDecodeError):
                self._on_message(orjson.loads(line))

    def eof_received(self) -> None:
        self._on_end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._flows is not None:
            self._flows.set()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        self._on_end()

    def pause_writing(self) -> None:
        assert self._flows is not None
        self._flows.clear()

    def resume_writing(self) -> None:
        assert self._flows is not None
        self._flows.set()

    def _write(self, line: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)


def _cleaned(value: Any, text_max: int | None = None) -> Any:
    """The same message, of what JSON can say, its texts no longer than that."""
    if isinstance(value, dict):
        return {clean_text(str(name)): _cleaned(member, text_max) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(member, text_max) for member in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) < 1 << 63:
        return value
    text = clean_text(str(value))
    return text if text_max is None or len(text) <= text_max else text[:text_max] + "\u2026"
