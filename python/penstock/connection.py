"""HTTP/1.1 on one keep-alive connection: as much of it as the server speaks.

The standard library's client costs more than the server's whole answer, so this is the hot path of
every worker: one send and usually one receive a call.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import BusyError, ConnectionLostError, LimitError, error_of

HEAD_MAX_BYTES = 64 << 10
RECEIVE_BYTES = 256 << 10


class Answer(NamedTuple):
    """One answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Address:
    """Where the server is."""

    unix_path: str | None
    host: str
    port: int
    tls: bool
    prefix: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Reads http://host:port, https://host:port or unix:///path/to/socket."""
        parts = urlsplit(url)
        if parts.scheme == "unix":
            path = unquote(parts.netloc + parts.path)
            if not path:
                raise ValueError(f"no path in {url!r}")
            return cls(path, "localhost", 0, False, "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http://, https:// or unix:// address: {url!r}")
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        return cls(None, parts.hostname, port, tls, parts.path.rstrip("/"))


class Connection:
    """A connection that is opened when needed and again when it was lost. For one thread."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        patience_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = Address.of(url)
        self.timeout_s = timeout_s
        self.patience_s = patience_s
        self._tls = tls
        self._socket: socket.socket | None = None
        self._rest = b""
        host = self.address.host
        host = f"[{host}]" if ":" in host else host
        host = f"{host}:{self.address.port}" if self.address.port else host
        fixed = f"Host: {host}\r\nUser-Agent: penstock-python\r\n"
        for name, secret in (("Authorization: Bearer", key), ("Penstock-Token:", token)):
            if secret is None:
                continue
            if not secret.isascii() or not secret.isprintable():
                raise ValueError("keys and tokens are printable ASCII")
            fixed += f"{name} {secret}\r\n"
        self._fixed = fixed.encode("ascii")

    def close(self) -> None:
        """Closes the connection; the next call opens a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._rest = b""

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        repeatable: bool,
        wait_s: float = 0.0,
    ) -> Answer:
        """One call.

        A call that is not repeatable is sent once at most. Others are repeated while the server is
        away or busy, for up to `patience_s`. Raises ConnectionLostError, or what error_of says.
        """
        message = self._message(method, path, body)
        give_up_at = time.monotonic() + self.patience_s
        pause_s = 0.05
        repeated = False
        while True:
            sent = False
            try:
                self._ensure()
                sent = True
                answer = self._exchange(message, self.timeout_s + wait_s)
                if answer.status < 400:
                    return answer
                error = error_of(answer.status, answer.body)
                error.repeated = repeated
                if not (isinstance(error, BusyError) and repeatable):
                    raise error
                problem: Exception = error
            except (OSError, ConnectionLostError) as lost:
                self.close()
                if sent and not repeatable:
                    raise self._lost(lost) from lost
                repeated = repeated or sent
                problem = self._lost(lost)
            # Nothing announces a server's return, so this asks again, ever more rarely.
            if time.monotonic() + pause_s > give_up_at:
                raise problem
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)

    def stream(
        self, path: str, headers: dict[str, str], timeout_s: float | None
    ) -> Iterator[bytes]:
        """Sends a GET and gives the body piece by piece as it comes. Ends when the server ends it.

        Raises ConnectionLostError or, for a status of 400 and above, what error_of says.
        """
        try:
            self._ensure()
            assert self._socket is not None
            self._socket.settimeout(self.timeout_s)
            self._socket.sendall(self._message("GET", path, None, headers))
            status, head = self._read_head()
            if status >= 400:
                raise error_of(status, b"".join(self._read_body("GET", status, head)))
            self._socket.settimeout(timeout_s)
            yield from self._read_body("GET", status, head)
        except OSError as lost:
            raise self._lost(lost) from lost
        finally:
            self.close()

    def _message(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None
    ) -> bytes:
        lines = [f"{method} {self.address.prefix}{path} HTTP/1.1\r\n".encode("ascii"), self._fixed]
        lines += [f"{name}: {text}\r\n".encode("ascii") for name, text in (headers or {}).items()]
        if body is not None:
            lines.append(b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body))
        elif method == "POST":
            lines.append(b"Content-Length: 0\r\n")
        return b"".join([*lines, b"\r\n", body or b""])

    def _ensure(self) -> None:
        """Opens the connection unless there is one that the server has not closed meanwhile."""
        if self._socket is not None:
            # Nothing is due, so anything to read is the end.
            if not select.select([self._socket], [], [], 0)[0]:
                return
            self.close()
        where = self.address
        if where.unix_path is not None:
            raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                raw.settimeout(self.timeout_s)
                raw.connect(where.unix_path)
            except BaseException:
                raw.close()
                raise
        else:
            raw = socket.create_connection((where.host, where.port), self.timeout_s)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Who follows events sends nothing: only this notices a peer that vanished.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if where.tls:
            context = self._tls or ssl.create_default_context()
            raw = context.wrap_socket(raw, server_hostname=where.host)
        self._socket = raw
        self._rest = b""

    def _exchange(self, message: bytes, timeout_s: float) -> Answer:
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        # A server that refuses a body answers before it has read all of it, then closes.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(message)
        status, headers = self._read_head()
        method = message[: message.index(b" ")].decode("ascii")
        body = b"".join(self._read_body(method, status, headers))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    def _receive(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionLostError("the server closed the connection")
        return data

    def _read_head(self) -> tuple[int, dict[str, str]]:
        data = self._rest
        while True:
            while (end := data.find(b"\r\n\r\n")) < 0:
                if len(data) > HEAD_MAX_BYTES:
                    raise LimitError("the answer's head is too long")
                data += self._receive()
            lines = data[:end].decode("latin-1").split("\r\n")
            data = data[end + 4 :]
            words = lines[0].split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
                raise ConnectionLostError(f"not an HTTP answer: {lines[0][:60]!r}")
            status = int(words[1])
            if status >= 200:
                break
        headers = {}
        for line in lines[1:]:
            name, _, text = line.partition(":")
            headers[name.lower()] = text.strip()
        self._rest = data
        return status, headers

    def _read_body(self, method: str, status: int, headers: dict[str, str]) -> Iterator[bytes]:
        if method == "HEAD" or status in (204, 304):
            return
        if headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._read_chunks()
        elif "content-length" in headers:
            yield self._read_exactly(int(headers["content-length"]))
        else:
            yield from self._read_to_end()

    def _read_exactly(self, length: int) -> bytes:
        parts = [self._rest]
        missing = length - len(self._rest)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        data = b"".join(parts) if len(parts) > 1 else parts[0]
        self._rest = data[length:]
        return data[:length] if self._rest else data

    def _read_line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            if len(self._rest) > HEAD_MAX_BYTES:
                raise LimitError("a line of the answer is too long")
            self._rest += self._receive()
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self._read_line().partition(b";")[0], 16):
            yield self._read_exactly(size)
            self._read_line()
        while self._read_line():
            pass

    def _read_to_end(self) -> Iterator[bytes]:
        assert self._socket is not None
        yield self._rest
        self._rest = b""
        while data := self._socket.recv(RECEIVE_BYTES):
            yield data
        self.close()

    def _lost(self, why: Exception) -> ConnectionLostError:
        if isinstance(why, ConnectionLostError):
            return why
        where = self.address.unix_path or f"{self.address.host}:{self.address.port}"
        return ConnectionLostError(f"{where}: {str(why) or type(why).__name__}")
