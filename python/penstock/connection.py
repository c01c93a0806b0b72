"""One keep-alive connection to the server, opened when needed and again when it was lost.

The standard library's client costs more than the server's whole answer, so this is the hot path of
every worker: one send and usually one receive a call.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator

from .errors import BusyError, PenstockError, error_of
from .wire import JSON, RECEIVE_BYTES, Address, Answer, AnswerReader, Reach, RequestWriter


class Connection:
    """A connection that is opened when needed and again when it was lost. For one thread."""

    def __init__(self, reach: Reach) -> None:
        self.address = Address.of(reach.url)
        self._reach = reach
        self._writer = RequestWriter(self.address, reach.key, reach.token, reach.step_token)
        self._socket: socket.socket | None = None
        self._reached = False

    def close(self) -> None:
        """Closes the connection; the next call opens a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        repeatable: bool,
        wait_s: float = 0.0,
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One call.

        A call that is not repeatable is sent once at most. Others are repeated while the server is
        away or busy, for up to `patience_s`, or a few seconds when it was never there. Raises
        ConnectionLostError, or what error_of says.
        """
        message = self._writer.write(method, path, body, headers, content_type)
        began_at = time.monotonic()
        pause_s = 0.05
        repeated = False
        while True:
            sent = False
            try:
                self._ensure()
                sent = True
                answer = self._exchange(method, message, self._reach.timeout_s + wait_s)
                if answer.status < 400:
                    return answer
                error = error_of(answer.status, answer.body)
                error.repeated = repeated
                if not (isinstance(error, BusyError) and repeatable):
                    raise error
                problem: Exception = error
            except OSError as lost:
                self.close()
                problem = self.address.lost(lost, self._reached)
                if sent and not repeatable:
                    raise problem from lost
                repeated = repeated or sent
            # Nothing announces a server's return, so this asks again, ever more rarely.
            patience_s = self._reach.patience(self._reached)
            if time.monotonic() + pause_s > began_at + patience_s:
                raise problem
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)

    def stream(
        self, path: str, headers: dict[str, str], timeout_s: float | None
    ) -> Iterator[bytes]:
        """Sends a GET and gives the body piece by piece as it comes. Ends when the server ends it.

        Raises ConnectionLostError or, for a status of 400 and above, what error_of says.
        """
        reader = AnswerReader("GET")
        try:
            self._ensure()
            assert self._socket is not None
            self._socket.settimeout(self._reach.timeout_s)
            self._socket.sendall(self._writer.write("GET", path, None, headers))
            pieces: list[bytes] = []
            while not reader.status:
                pieces += self._receive(reader)
            if reader.status >= 400:
                while not reader.done:
                    pieces += self._receive(reader)
                raise error_of(reader.status, b"".join(pieces))
            self._socket.settimeout(timeout_s)
            yield from pieces
            while not reader.done:
                yield from self._receive(reader)
        except OSError as lost:
            raise self.address.lost(lost, self._reached) from lost
        finally:
            self.close()

    def upload(
        self,
        path: str,
        pieces: Iterator[bytes],
        *,
        method: str = "POST",
        content_type: str = "application/octet-stream",
        size: int | None = None,
    ) -> Answer:
        """A request whose body is sent piece by piece. Sent once; raises as call does.

        With a `size` the pieces must make up so many bytes.
        """
        try:
            self._ensure()
            assert self._socket is not None
            self._socket.settimeout(self._reach.timeout_s)
            # A server that refuses a body answers before it has read all of it, then closes.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(self._writer.write_head(path, method, content_type, size))
                self._send_pieces(pieces, size is None)
            answer = self._exchange(method, b"", self._reach.timeout_s)
        except OSError as lost:
            self.close()
            raise self.address.lost(lost, self._reached) from lost
        except BaseException:
            self.close()
            raise
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return answer

    def _send_pieces(self, pieces: Iterator[bytes], chunked: bool) -> None:
        assert self._socket is not None
        for piece in pieces:
            if not chunked:
                self._socket.sendall(piece)
            elif piece:
                self._socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        if chunked:
            self._socket.sendall(b"0\r\n\r\n")

    def _ensure(self) -> None:
        """Opens the connection unless there is one that the server has not closed meanwhile."""
        if self._socket is not None:
            # Nothing is due, so anything to read is the end.
            if not select.select([self._socket], [], [], 0)[0]:
                return
            self.close()
        where = self.address
        if where.state is not None:
            self._open_embedded(where.state)
            return
        if where.unix_path is not None:
            raw = self._open_unix(where.unix_path)
        else:
            raw = socket.create_connection((where.host, where.port), self._reach.connect_s)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Who follows events sends nothing: only this notices a peer that vanished.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if where.tls:
            # What is only needed here is only imported here: a node of a flow that asks for one
            # value should not wait for all of it.
            import ssl

            context = self._reach.tls or ssl.create_default_context()
            raw = context.wrap_socket(raw, server_hostname=where.host)
        self._socket = raw
        self._reached = True

    def _open_unix(self, path: str) -> socket.socket:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            raw.settimeout(self._reach.timeout_s)
            raw.connect(path)
        except BaseException:
            raw.close()
            raise
        return raw

    def _open_embedded(self, state: str) -> None:
        """Connects to the server of that folder, starting it if need be, and sees that it stays."""
        from .embedded import SOCKET_NAME, Starter

        starter = Starter(state)
        hello = self._writer.write("GET", "/v1/health", None)
        pause_s = 0.005
        while True:
            try:
                self._socket = self._open_unix(f"{state}/{SOCKET_NAME}")
                if (
                    self._exchange("GET", hello, self._reach.timeout_s).status < 400
                    and self._socket
                ):
                    return
            except OSError:
                self.close()
                starter.step()
            # Nothing announces that it listens.
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.2)

    def _exchange(self, method: str, message: bytes, timeout_s: float) -> Answer:
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        # A server that refuses a body answers before it has read all of it, then closes.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(message)
        reader = AnswerReader(method)
        pieces: list[bytes] = []
        try:
            while not reader.done:
                pieces += self._receive(reader)
        except (PenstockError, ValueError):
            self.close()
            raise
        if not reader.keeps:
            self.close()
        return Answer(reader.status, reader.headers, b"".join(pieces))

    def _receive(self, reader: AnswerReader) -> list[bytes]:
        assert self._socket is not None
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            reader.eof()
            return []
        return reader.feed(data)
