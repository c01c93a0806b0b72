"""Blobs: bytes that are named by their SHA-256, up and down, kept whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.native import Native, problem
from harness.server_process import ServerProcess
from harness.wire import Wire

MIB = 1 << 20


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pieces(count: int, size: int = MIB) -> Iterator[bytes]:
    """Different from each other, and not held."""
    for n in range(count):
        yield n.to_bytes(8, "big") * (size // 8)


def put(wire: Wire, data: Any, **query: Any) -> Any:
    """Uploads bytes, or pieces with a chunked body."""
    with contextlib.closing(wire.connect()) as connection:
        target = "/v1/blobs" + ("?sha256=" + query["sha256"] if query else "")
        connection.request("POST", target, body=data)
        answer = connection.getresponse()
        return answer.status, answer.read()


def path_of(server: ServerProcess, name: str) -> Path:
    return server.state / "blobs" / name[:2] / name[2:4] / name


def files_in(server: ServerProcess) -> list[Path]:
    return [p for p in (server.state / "blobs").rglob("*") if p.is_file()]


def holds(server: ServerProcess, *blobs: bytes) -> None:
    """That the folder has these and nothing else. What was refused goes once it was told."""
    wanted = sorted(path_of(server, sha256(blob)) for blob in blobs)
    deadline = time.monotonic() + 60
    while sorted(files_in(server)) != wanted:
        assert time.monotonic() < deadline, files_in(server)


def test_bytes_go_up_and_come_back(server: ServerProcess, native: Native) -> None:
    for data in (b"", b"hello", bytes(range(256)) * 1000):
        name = sha256(data)
        answer = native.call("POST", "/blobs", data)
        assert answer.status == 201 and answer.json() == {"sha256": name, "bytes": len(data)}
        assert answer.headers["location"] == f"/v1/blobs/{name}"
        for spelled in (name, name.upper()):
            got = native.call("GET", f"/blobs/{spelled}")
            assert got.status == 200 and got.body == data
            assert got.headers["content-length"] == str(len(data))
            assert got.headers["content-type"] == "application/octet-stream"
            assert got.headers["x-content-type-options"] == "nosniff"
        head = native.call("HEAD", f"/blobs/{name}")
        assert head.status == 200 and head.body == b""
        assert head.headers["content-length"] == str(len(data))


def test_a_file_that_may_not_grow_is_a_full_disk(server: ServerProcess, native: Native) -> None:
    data = b"x" * (2 * MIB)
    soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (MIB, hard))
    problem(native.call("POST", "/blobs", data), 507, "no-space")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
    native.ok("POST", "/blobs", data, status=201)
    holds(server, data)


def test_the_same_bytes_are_there_once(server: ServerProcess, native: Native) -> None:
    for _ in range(3):
        native.ok("POST", "/blobs", b"hello", status=201)
    holds(server, b"hello")
    server.restart()
    holds(server, b"hello")
    assert native.call("GET", f"/blobs/{sha256(b'hello')}").body == b"hello"


def test_100_mib_are_streamed_and_never_held(server: ServerProcess, wire: Wire) -> None:
    digest = hashlib.sha256()
    for piece in pieces(100):
        digest.update(piece)
    status, body = put(wire, pieces(100))
    assert status == 201 and digest.hexdigest().encode() in body
    with contextlib.closing(wire.connect()) as connection:
        connection.request("GET", f"/v1/blobs/{digest.hexdigest()}")
        answer = connection.getresponse()
        assert answer.getheader("Content-Length") == str(100 * MIB)
        back = hashlib.sha256()
        while piece := answer.read(MIB):
            back.update(piece)
    assert back.digest() == digest.digest()
    assert server.process
    status_text = Path(f"/proc/{server.process.pid}/status").read_text()
    peak_kib = int(status_text.split("VmHWM:")[1].split()[0])
    # What the sanitizers add is theirs; a held body would be 100 MiB more.
    assert peak_kib < 90 * 1024 or "asan" in Path(f"/proc/{server.process.pid}/maps").read_text()


def test_a_blob_larger_than_allowed_is_refused(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--max-blob", "1M")
    native = Native(server)
    assert native.call("POST", "/blobs", b"x" * MIB).status == 201
    problem(native.call("POST", "/blobs", b"x" * (MIB + 1)), 413, "limit")
    status, body = put(native.wire, pieces(3))  # of a length that is not told
    assert status == 413 and b"1048576 bytes" in body
    holds(server, b"x" * MIB)


def test_a_name_that_is_none_and_a_blob_that_is_missing(native: Native) -> None:
    missing = sha256(b"never put")
    for method in ("GET", "DELETE"):
        for name in ("x", missing[:-1], missing + "0", "g" * 64):
            problem(native.call(method, f"/blobs/{name}"), 400, "invalid")
        told = problem(native.call(method, f"/blobs/{missing}"), 404, "not-found")
        assert "no " in told["detail"]
    assert native.call("HEAD", f"/blobs/{missing}").status == 404
    problem(native.call("POST", "/blobs?x=1", b"hello"), 400, "invalid")


def test_bytes_that_are_not_what_the_client_says_are_refused(
    server: ServerProcess, wire: Wire
) -> None:
    assert put(wire, b"hello", sha256=sha256(b"hello"))[0] == 201
    status, body = put(wire, b"jello", sha256=sha256(b"hello"))
    assert status == 400 and sha256(b"jello").encode() in body
    assert put(wire, b"hello", sha256="nothing")[0] == 400
    holds(server, b"hello")


@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_a_damaged_blob_is_never_whole(server: ServerProcess, native: Native, size: int) -> None:
    data = bytes(size)
    name = native.ok("POST", "/blobs", data, status=201)["sha256"]
    path_of(server, name).write_bytes(data[:-1] + b"!")
    if size <= 64 << 10:
        problem(native.call("GET", f"/blobs/{name}"), 500, "store")
    else:
        with pytest.raises(http.client.IncompleteRead):
            native.call("GET", f"/blobs/{name}")
    deadline = time.monotonic() + 60
    while "blob.not-read" not in server.log() or name not in server.log():
        assert time.monotonic() < deadline, server.log()
    native.ok("POST", "/blobs", data, status=201)  # mends it
    assert native.call("GET", f"/blobs/{name}").body == data


@pytest.mark.parametrize("head", ["Content-Length: 9000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_ends_early_leaves_nothing(
    server: ServerProcess, native: Native, head: str
) -> None:
    body = bytes(1_000_000)
    with native.wire.socket() as s:
        s.sendall(f"POST /v1/blobs HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        s.sendall(b"f4240\r\n" + body + b"\r\n" if "chunked" in head else body)
        deadline = time.monotonic() + 60
        while not files_in(server):
            assert time.monotonic() < deadline
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    holds(server)
    native.ok("POST", "/blobs", b"hello", status=201)


def test_a_deleted_blob_is_gone_and_may_come_again(server: ServerProcess, native: Native) -> None:
    name = native.ok("POST", "/blobs", b"hello", status=201)["sha256"]
    assert native.call("DELETE", f"/blobs/{name}").status == 204
    holds(server)
    problem(native.call("GET", f"/blobs/{name}"), 404, "not-found")
    problem(native.call("DELETE", f"/blobs/{name}"), 404, "not-found")
    native.ok("POST", "/blobs", b"hello", status=201)
    assert native.call("GET", f"/blobs/{name}").body == b"hello"


# The first commit is the start's own.
POINTS = ["blob.written:1", "blob.marked:1", "blob.placed:1", "group.written:1", "store.commit:2"]


@pytest.mark.parametrize("point", POINTS)
def test_a_server_killed_while_a_blob_comes_keeps_it_whole_or_not_at_all(
    make_server: Callable[..., ServerProcess], point: str
) -> None:
    server = make_server()
    native = Native(server)
    native.ok("POST", "/blobs", b"before", status=201)
    server.restart(env={"PENSTOCK_FAULT": f"{point}:kill"})
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert native.call("POST", "/blobs", bytes(MIB)).status == 201
    server.join()
    server.restart(env={})
    holds(server, b"before")
    native.ok("POST", "/blobs", bytes(MIB), status=201)
    assert native.call("GET", f"/blobs/{sha256(bytes(MIB))}").body == bytes(MIB)


def test_who_may_do_what(server: ServerProcess, native: Native) -> None:
    name = sha256(b"hello")
    keys = {
        scope: native.ok("POST", "/keys", {"name": scope, "scopes": [scope]}, 201)["secret"]
        for scope in ("read", "work", "admin")
    }
    server.args += ["--auth", "keys"]
    server.restart()
    for who, up, down, away in (
        (None, 401, 401, 401),
        ("read", 403, 404, 403),
        ("work", 201, 200, 403),
        ("admin", 201, 200, 204),
    ):
        headers = {"Authorization": f"Bearer {keys[who]}"} if who else {}
        assert native.call("POST", "/blobs", b"hello", **headers).status == up, who
        assert native.call("GET", f"/blobs/{name}", **headers).status == down, who
        assert native.call("DELETE", f"/blobs/{name}", **headers).status == away, who
