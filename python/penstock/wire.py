"""HTTP/1.1 as bytes: requests written, answers read, as much of it as the server speaks.

No socket here: what sends and receives (connection.py, async_connection.py) shares this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from .errors import ConnectionLostError, LimitError

if TYPE_CHECKING:
    import ssl

HEAD_MAX_BYTES = 64 << 10
RECEIVE_BYTES = 256 << 10
JSON = "application/json"

#: So long a server that was never reached is asked for.
CONNECT_S = 5.0


class Reach(NamedTuple):
    """How a server is reached: what a connection is made with, whichever kind."""

    url: str
    key: str | None = None
    token: str | None = None
    #: For one answer, beyond what the call asks the server to wait.
    timeout_s: float = 60.0
    #: How long a call is repeated while the server is away or busy.
    patience_s: float = 30.0
    tls: ssl.SSLContext | None = None
    #: Of a step job that runs: it acts for the job's owner, as long as the run goes on.
    step_token: str | None = None

    @property
    def connect_s(self) -> float:
        """For a connection: who does not answer so long is not there."""
        return min(self.timeout_s, CONNECT_S)

    def patience(self, reached: bool) -> float:
        """For a server that was there before, and may be starting anew; or that never was."""
        return self.patience_s if reached else min(self.patience_s, CONNECT_S)


class Answer(NamedTuple):
    """One answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes


class Address(NamedTuple):
    """Where the server is."""

    unix_path: str | None
    host: str
    port: int
    tls: bool
    prefix: str
    #: The folder of an embedded server (embedded.py), which is started when there is none.
    state: str | None = None

    @classmethod
    def of(cls, url: str) -> Address:
        """Reads http://host:port, https://host:port or unix:///path/to/socket.

        A path is taken as it is, as the program takes it: folders may have any of #, ?, % in their
        names.
        """
        scheme, _, path = url.partition("://")
        if scheme == "unix":
            if not path:
                raise ValueError(f"no path in {url!r}")
            return cls(path, "localhost", 0, False, "")
        if scheme == "embedded":
            return cls(f"{path}/penstock.sock", "localhost", 0, False, "", path)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http://, https:// or unix:// address: {url!r}")
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        return cls(None, parts.hostname, port, tls, parts.path.rstrip("/"))

    def lost(self, why: Exception, reached: bool = True) -> ConnectionLostError:
        """What is told when the server went away or, never reached, is not there."""
        if isinstance(why, ConnectionLostError):
            return why
        where = self.unix_path or f"{self.host}:{self.port}"
        text = str(why) or type(why).__name__
        if not reached:
            return ConnectionLostError(f"no server can be reached at {where}: {text}")
        return ConnectionLostError(f"{where}: {text}")


class RequestWriter:
    """Writes requests to one server, with the key or token that they carry."""

    def __init__(
        self,
        address: Address,
        key: str | None,
        token: str | None,
        step_token: str | None = None,
    ) -> None:
        host = f"[{address.host}]" if ":" in address.host else address.host
        host = f"{host}:{address.port}" if address.port else host
        fixed = f"Host: {host}\r\nUser-Agent: penstock-python\r\n"
        for name, secret in (
            ("Authorization: Bearer", key),
            ("Penstock-Token:", token),
            ("Penstock-Step-Token:", step_token),
        ):
            if secret is None:
                continue
            if not secret.isascii() or not secret.isprintable():
                raise ValueError("keys and tokens are printable ASCII")
            fixed += f"{name} {secret}\r\n"
        self._fixed = fixed.encode("ascii")
        self._prefix = address.prefix

    def write(
        self,
        method: str,
        path: str,
        body: bytes | list[bytes] | None,
        headers: dict[str, str] | None = None,
        content_type: str = JSON,
    ) -> bytes:
        """One request, whole. `body` may come in pieces."""
        lines = [f"{method} {self._prefix}{path} HTTP/1.1\r\n".encode("ascii"), self._fixed]
        lines += [f"{name}: {text}\r\n".encode("ascii") for name, text in (headers or {}).items()]
        if body is not None:
            kind = content_type.encode("ascii")
            size = sum(map(len, body)) if isinstance(body, list) else len(body)
            lines.append(b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, size))
        elif method == "POST":
            lines.append(b"Content-Length: 0\r\n")
        return b"".join([*lines, b"\r\n", *(body if isinstance(body, list) else [body or b""])])

    def write_head(
        self,
        path: str,
        method: str = "POST",
        content_type: str = "application/octet-stream",
        size: int | None = None,
    ) -> bytes:
        """The head of a request whose body follows: so many bytes, or chunks."""
        line = f"{method} {self._prefix}{path} HTTP/1.1\r\n".encode("ascii")
        length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
        rest = f"Content-Type: {content_type}\r\n{length}\r\n\r\n".encode("latin-1")
        return line + self._fixed + rest


class AnswerReader:
    """Reads one answer out of bytes as they come.

    `status` is 0 and `headers` empty until the head is there; `done` says that all of it is. Bytes
    behind the answer's end are in `rest`: nothing was asked for, so the connection is no good.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done = False
        self.rest = b""
        self._bodiless = method == "HEAD"
        self._chunked = False
        #: Bytes of the body, or of the chunk, that are missing; -1 for a body without a length.
        self._missing = 0
        #: What the next line of a chunked body is: a size, the end of a chunk, or a trailer.
        self._line = "size"

    @property
    def keeps(self) -> bool:
        """Whether the connection can carry another call, once this answer is done."""
        closed = self.headers.get("connection", "").lower() == "close"
        return self.done and not closed and not self.rest and self._missing == 0

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what was received; returns the pieces of the body that are in it."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        if not self.status:
            data = self._head(data)
            if not self.status:
                self.rest = data
                return []
        if self.done:
            self.rest = data
            return []
        if self._chunked:
            return self._chunks(data)
        return self._plain(data)

    def eof(self) -> None:
        """The server closed the connection. ConnectionLostError unless that ends the answer."""
        if self.status and self._missing < 0:
            self.done = True
        if not self.done:
            raise ConnectionLostError("the server closed the connection")

    def _head(self, data: bytes) -> bytes:
        while (end := data.find(b"\r\n\r\n")) >= 0:
            lines = data[:end].decode("latin-1").split("\r\n")
            data = data[end + 4 :]
            words = lines[0].split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
                raise ConnectionLostError(f"not an HTTP answer: {lines[0][:60]!r}")
            if int(words[1]) >= 200:
                self._begin(int(words[1]), lines[1:])
                return data
        if len(data) > HEAD_MAX_BYTES:
            raise LimitError("the answer's head is too long")
        return data

    def _begin(self, status: int, lines: list[str]) -> None:
        self.status = status
        for line in lines:
            name, _, text = line.partition(":")
            self.headers[name.lower()] = text.strip()
        if self._bodiless or status in (204, 304):
            self.done = True
        elif self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunked = True
        else:
            self._missing = int(self.headers.get("content-length", -1))
            self.done = self._missing == 0

    def _plain(self, data: bytes) -> list[bytes]:
        if 0 <= len(data) <= self._missing:
            # As nearly always: no copy of what may be many records.
            self._missing -= len(data)
            self.done = self._missing == 0
        elif self._missing >= 0:
            data, self.rest = data[: self._missing], data[self._missing :]
            self._missing -= len(data)
            self.done = self._missing == 0
        return [data] if data else []

    def _chunks(self, data: bytes) -> list[bytes]:
        pieces = []
        while not self.done:
            if self._missing:
                piece, data = data[: self._missing], data[self._missing :]
                self._missing -= len(piece)
                if piece:
                    pieces.append(piece)
                if self._missing:
                    return pieces
                continue
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > HEAD_MAX_BYTES:
                    raise LimitError("a line of the answer is too long")
                break
            self._chunk_line(data[:end])
            data = data[end + 2 :]
        self.rest = data
        return pieces

    def _chunk_line(self, line: bytes) -> None:
        if self._line == "size":
            self._missing = int(line.partition(b";")[0], 16)
            self._line = "end" if self._missing else "trailer"
        elif self._line == "end":
            self._line = "size"
        elif not line:
            self.done = True
