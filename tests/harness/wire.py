"""HTTP as it goes over the wire: one call with http.client, or bytes by hand on a socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_S = 60.0


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def detail(self) -> Any:
        return self.json()["detail"]


class Wire:
    """Calls to one server, each on a connection of its own unless `keep` is used."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """One call. A body that is no bytes is sent as JSON; a mapping as query is encoded."""
        target = path
        if isinstance(query, str):
            target += "?" + query
        elif query:
            target += "?" + urlencode(dict(query), quote_via=quote)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = dict(headers or {})
        if payload is not None:
            sent.setdefault("Content-Type", "application/json")
        own = connection or self.connect()
        try:
            own.request(method, target, body=payload, headers=sent)
            answer = own.getresponse()
            return Reply(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            if connection is None:
                own.close()

    def socket(self, timeout: float = TIMEOUT_S) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def exchange(self, sent: bytes, timeout: float = TIMEOUT_S) -> bytes:
        """Sends bytes as they are, then reads until the server closes (which the request asks)."""
        with self.socket(timeout) as s:
            s.sendall(sent)
            got = bytearray()
            while piece := s.recv(65536):
                got += piece
            return bytes(got)

    # The Planchet surface, one method an endpoint. Keyword arguments are query parameters.

    def scramble(self, job: str, metadata: Any, reader: str, writer: str, **query: Any) -> Reply:
        asked = {"job_name": job, "reader_name": reader, "writer_name": writer, **query}
        return self.call("POST", "/scramble", asked, metadata)

    def serve(self, job: str, batch: Any = 100, **query: Any) -> Reply:
        return self.call("POST", "/serve", {"job_name": job, "batch_size": batch, **query})

    def receive(self, job: str, items: Any, overwrite: Any = False, **query: Any) -> Reply:
        return self.call(
            "POST", "/receive", {"job_name": job, "overwrite": overwrite, **query}, items
        )

    def mark(self, job: str, ids: Any, **query: Any) -> Reply:
        return self.call("POST", "/mark-errors", {"job_name": job, **query}, ids)

    def report(self, job: str) -> Any:
        answer = self.call("GET", "/report", {"job_name": job})
        assert answer.status == 200, answer
        return answer.json()

    def health(self) -> Any:
        answer = self.call("GET", "/health")
        assert answer.status == 200, answer
        return answer.json()

    def clean(self, job: str, **query: Any) -> Reply:
        return self.call("GET", "/clean", {"job_name": job, **query})

    def delete(self, job: str, **query: Any) -> Reply:
        return self.call("GET", "/delete", {"job_name": job, **query})

    def purge(self, **query: Any) -> Reply:
        return self.call("GET", "/purge", query)
