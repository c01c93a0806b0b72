"""Clients that mean no good, or know no better: a clear refusal, bounded memory, others served."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.data_files import metadata, numbered, once_each, read_jsonl, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Wire

MIB = 1 << 20
RECEIVE = b"POST /receive?job_name=j&overwrite=0 HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def job(server: ServerProcess, wire: Wire) -> str:
    source = write_jsonl(server.data / "in.jsonl", numbered(1000))
    told = metadata(source, server.data / "out.jsonl")
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    return "j"


@contextlib.contextmanager
def many_files(count: int) -> Iterator[int]:
    """Lets this process open that many files, or as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield wanted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1."), answer[:100]
    return int(answer.split()[1])


def answers_quickly(wire: Wire, job: str, within_s: float = 2.0) -> None:
    began = time.monotonic()
    assert wire.report(job) != {}
    assert time.monotonic() - began < within_s


# Slow and stuck.


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /rep",
        b"GET /report?job_name=j HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        RECEIVE + b"Content-Length: 500\r\n\r\n[[",
        RECEIVE + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[",
    ],
)
def test_two_hundred_clients_that_dribble_disturb_nobody(
    wire: Wire, job: str, begin: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(wire.socket()) for _ in range(200)]
        for s in slow:
            s.sendall(begin)
        for _ in range(5):
            for s in slow:
                s.sendall(b"a")
            answers_quickly(wire, job)
            items = wire.serve(job, 10).json()
            assert len(items) == 10 and wire.receive(job, items).status == 200


def test_a_client_that_never_reads_its_answer_disturbs_nobody(
    server: ServerProcess, wire: Wire
) -> None:
    source = write_jsonl(server.data / "b.jsonl", ({"n": n, "p": "x" * 5000} for n in range(4000)))
    told = metadata(source, server.data / "b.out")
    wire.scramble("b", told, "JsonlReader", "JsonlWriter")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            s = stack.enter_context(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((wire.host, wire.port))
            s.sendall(b"POST /serve?job_name=b&batch_size=900 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            select.select([s], [], [], 20)
        for _ in range(20):
            answers_quickly(wire, "b")
        items = wire.serve("b", 50).json()
        assert wire.receive("b", items).status == 200


def test_ten_thousand_idle_connections(server: ServerProcess, wire: Wire, job: str) -> None:
    with many_files(10_400) as allowed, contextlib.ExitStack() as stack:
        count = min(10_000, allowed - 400)
        before = server.rss_bytes()
        for _ in range(count):
            s = stack.enter_context(socket.socket())
            s.connect((wire.host, wire.port))
        for s in [wire.socket() for _ in range(20)]:
            s.close()
        assert server.rss_bytes() - before < 256 * MIB
        assert server.alive()
        reply = wire.serve(job, 3) if count < 9_990 else None
        assert reply is None or reply.status in (200, 503)
    # They have left: everybody is served again.
    answers_quickly(wire, job, within_s=20)
    assert wire.serve(job, 3).status == 200


def test_two_thousand_idle_connections_hinder_no_worker(
    server: ServerProcess, wire: Wire, job: str
) -> None:
    with many_files(2_400) as allowed, contextlib.ExitStack() as stack:
        for _ in range(min(2_000, allowed - 400)):
            stack.enter_context(wire.socket())
        while items := wire.serve(job, 100).json():
            assert wire.receive(job, items).status == 200
    once_each(read_jsonl(server.data / "out.jsonl"), 1000)


# Too big.


def send_until_refused(s: socket.socket, piece: bytes, most_bytes: int) -> bytes:
    """Sends pieces until an answer is there or the connection is gone; returns the answer."""
    sent = 0
    while sent < most_bytes:
        ready, _, _ = select.select([s], [], [], 0)
        if ready:
            break
        try:
            sent += s.send(piece)
        except OSError:
            break
    s.settimeout(20)
    try:
        return s.recv(65536)
    except ConnectionResetError:
        return b""


HEADS = {
    "ten gigabytes": b"Content-Length: 10737418240\r\n\r\n",
    "endless chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    "more than a number can hold": b"Content-Length: 99999999999999999999999999\r\n\r\n",
}


@pytest.mark.parametrize("what", HEADS)
@pytest.mark.parametrize("path", ["/receive?job_name=j&overwrite=0", "/v1/jobs"])
def test_a_body_that_is_too_big_is_a_413_in_bounded_memory(
    server: ServerProcess, wire: Wire, job: str, path: str, what: str
) -> None:
    piece = b"[[0,[" + b"1," * 500_000
    if "chunks" in what:
        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
    with wire.socket() as s:
        s.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path.encode() + HEADS[what])
        answer = send_until_refused(s, piece, 400 * MIB)
    # An answer that crosses data still being sent may be lost to a reset; a status must be right.
    if answer:
        assert status(answer) in ((413,) if "number" not in what else (400, 413)), answer
    assert server.peak_rss_bytes() < 300 * MIB
    assert wire.serve(job, 1).status == 200


def test_the_413_of_a_length_is_there_before_any_body(wire: Wire, job: str) -> None:
    with wire.socket() as s:
        s.sendall(RECEIVE + b"Content-Length: 10737418240\r\n\r\n")
        assert status(s.recv(65536)) == 413


def test_thirty_big_bodies_at_once_stay_within_the_budget(
    server: ServerProcess, wire: Wire, job: str
) -> None:
    wire.serve(job, 1)
    body = b'[[0,{"p":"' + b"x" * (40 * MIB) + b'"}]]'
    got: list[int] = []

    def send() -> None:
        """Whoever sends less than a megabyte a second is cut while others wait for its room, and
        on a busy machine that may be all thirty at once: they come back, as clients do."""
        query = {"job_name": job, "overwrite": 0}
        for _ in range(5):
            try:
                got.append(Wire(server.url).call("POST", "/receive", query, body).status)
            except OSError:
                continue
            if got[-1] == 200:
                return

    threads = [threading.Thread(target=send) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(got) <= {200, 503, 413} and 200 in got, got
    assert server.peak_rss_bytes() < 700 * MIB
    assert len(read_jsonl(server.data / "out.jsonl")) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * 200_000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % n for n in range(20_000)),
        b"Cookie: " + b"=;" * 60_000 + b"\r\n",
    ],
)
def test_header_bombs_are_refused(server: ServerProcess, wire: Wire, job: str, head: bytes) -> None:
    with wire.socket() as s:
        with contextlib.suppress(OSError):
            s.sendall(b"GET /report?job_name=j HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")
        s.settimeout(20)
        try:
            answer = s.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or 400 <= status(answer) < 500
    assert server.peak_rss_bytes() < 200 * MIB
    answers_quickly(wire, job)


def test_a_very_long_query_is_refused(wire: Wire, job: str) -> None:
    sent = b"GET /report?job_name=" + b"j" * 500_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        answer = wire.exchange(sent)
    except OSError:
        answer = b""  # the answer and a reset crossed what was still being sent
    assert answer == b"" or 400 <= status(answer) < 500
    answers_quickly(wire, job)


# Malformed.


@pytest.mark.parametrize("depth", [65, 1000, 1_000_000])
def test_deep_json_is_refused(wire: Wire, job: str, depth: int) -> None:
    wire.serve(job, 1)
    deep = b"[" * depth + b"]" * depth
    query = {"job_name": job, "overwrite": 0}
    assert wire.call("POST", "/receive", query, b"[[0," + deep + b"]]").status in (400, 413, 422)
    assert wire.call("POST", "/receive", query, b"[" * depth).status in (400, 413, 422)
    with contextlib.suppress(OSError):  # a 413 may cross the body that is still being sent
        reply = wire.call("POST", "/v1/jobs", None, b'{"name":' + deep + b"}")
        assert reply.status in (400, 413, 422)
    assert wire.report(job)["received"] == 0


def test_bytes_that_are_no_utf_8(server: ServerProcess, wire: Wire, job: str) -> None:
    wire.serve(job, 1)
    query = {"job_name": job, "overwrite": 0}
    for body in [b'[[0,{"a":"\xff"}]]', b'[[0,{"a":"\xc0\x80"}]]', b'[[0,{"a":"\xed\xa0\x80"}]]']:
        assert wire.call("POST", "/receive", query, body).status == 400
    for name in ["%ff", "%c0%80", "%ed%a0%80", "%", "%4", "%zz", "%00", "a%00b"]:
        reply = wire.call("POST", "/serve", f"job_name={name}")
        assert reply.status in (400, 422), name
        reply.body.decode("utf-8")
        assert wire.call("GET", "/report", f"job_name={name}").status in (200, 400, 422)
    assert not (server.data / "out.jsonl").exists()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /report?job_name=j HTTP/1.1\r\n\r\n",
        RECEIVE + b"Content-Length: -5\r\n\r\n",
        RECEIVE + b"Content-Length: x\r\n\r\n",
        RECEIVE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        RECEIVE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_refused(wire: Wire, job: str, request_bytes: bytes) -> None:
    with wire.socket() as s:
        s.sendall(request_bytes)
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_WR)
        s.settimeout(50)  # the server gives a slow header 20 s
        try:
            answer = s.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or 400 <= status(answer) <= 505, answer
    answers_quickly(wire, job)


def test_a_body_that_is_cut_off_settles_nothing(
    server: ServerProcess, wire: Wire, job: str
) -> None:
    wire.serve(job, 2)
    body = b'[[0,{"n":0}],[1,{"n":1}]]'
    for cut in range(0, len(body), 3):
        with wire.socket() as s:
            s.sendall(RECEIVE + b"Content-Length: %d\r\n\r\n" % len(body) + body[:cut])
    assert wire.report(job)["received"] == 0
    assert not (server.data / "out.jsonl").exists()


def test_pipelined_requests_are_answered_in_order(wire: Wire, job: str) -> None:
    one = b"POST /serve?job_name=j&batch_size=1 HTTP/1.1\r\nHost: localhost\r\n"
    got = wire.exchange((one + b"\r\n") * 19 + one + b"Connection: close\r\n\r\n")
    parts = got.split(b"HTTP/1.1 200")[1:]
    assert [int(p.split(b"[[")[1].split(b",")[0]) for p in parts] == list(range(20))


def test_http_1_0(wire: Wire, job: str) -> None:
    got = wire.exchange(b"GET /report?job_name=j HTTP/1.0\r\n\r\n")
    assert status(got) == 200 and b"chunked" not in got.lower()


def test_expect_100_continue(wire: Wire, job: str) -> None:
    wire.serve(job, 1)
    with wire.socket() as s:
        body = b'[[0,{"n":0}]]'
        s.sendall(
            RECEIVE + b"Connection: close\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert s.recv(1000).startswith(b"HTTP/1.1 100")
        s.sendall(body)
        assert status(s.recv(1000)) == 200


# Where it should not get.

OUTSIDE = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "sub/../../../../etc/passwd",
    "link",
    "folderlink/passwd",
    "/proc/self/mem",
    "/dev/zero",
    "/dev/stdin",
    "fifo",
    ".",
    "sub",
    "",
    "in.jsonl/x",
    "x" * 5000,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_lead_astray_are_refused(server: ServerProcess, wire: Wire, path: str) -> None:
    data = server.data
    (data / "sub").mkdir()
    (data / "link").symlink_to("/etc/passwd")
    (data / "folderlink").symlink_to("/etc")
    os.mkfifo(data / "fifo")
    (data / "in.jsonl").write_text("{}\n")
    for told in [
        {"input_file_path": path, "output_file_path": "out.jsonl"},
        {"input_file_path": "in.jsonl", "output_file_path": path},
    ]:
        reply = wire.scramble("j", told, "JsonlReader", "JsonlWriter")
        assert reply.status in (400, 403), told
        assert isinstance(reply.detail, str)
    for body in [
        {"name": "k", "source": {"path": path}, "sink": {"path": "o.jsonl"}},
        {"name": "k", "source": {"path": "in.jsonl"}, "sink": {"path": path, "format": "jsonl"}},
    ]:
        reply = wire.call("POST", "/v1/jobs", None, body)
        assert 400 <= reply.status < 500, body
    assert wire.health()["Number of jobs"] == 0


def test_a_data_folder_that_turns_into_a_link_leads_nowhere(
    server: ServerProcess, wire: Wire, tmp_path: Path
) -> None:
    (server.data / "in.jsonl").write_text('{"n":0}\n')
    (server.data / "sub").mkdir()
    told = {"input_file_path": "in.jsonl", "output_file_path": "sub/out.jsonl"}
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    outside = tmp_path / "outside"
    outside.mkdir()
    (server.data / "sub").rmdir()
    (server.data / "sub").symlink_to(outside)
    wire.serve("j", 1)
    reply = wire.receive("j", [[0, {"n": 0}]])
    assert reply.status >= 400
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "169.254.169.254"])
def test_a_browser_that_was_lured_elsewhere_is_refused(wire: Wire, job: str, host: str) -> None:
    """DNS rebinding: without keys only our own names are answered on the loopback address."""
    reply = wire.call("GET", "/v1/jobs", headers={"Host": host})
    assert reply.status in (400, 403, 421), reply
    reply = wire.call("GET", "/delete", {"job_name": job}, headers={"Origin": f"http://{host}"})
    assert reply.status in (400, 403), reply
    assert wire.report(job) != {}


def test_another_address_without_keys_is_refused(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--host", "0.0.0.0", "--auth", "none", start=False)
    server.start(wait=False)
    assert server.join(20) != 0
    assert "--insecure" in server.log()


# Logs.


def test_what_clients_send_cannot_forge_a_log_line(server: ServerProcess, wire: Wire) -> None:
    wire.call("GET", "/x%0aerror%20forged%20line%0d%1b[31m", {"job_name": "a\nforged"})
    wire.scramble("a\nerror forged", {}, "JsonlReader", "JsonlWriter")
    wire.exchange(b"GET /\x1b[31mx HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    server.stop()
    assert "\x1b" not in server.log()
    assert not any(line.startswith(("error forged", "forged")) for line in server.lines)


def vanish(wire: Wire, sent: bytes) -> None:
    """Sends a request and resets the connection."""
    with wire.socket() as s:
        s.sendall(sent)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", ["paused", "held by another", "asked to wait"])
def test_clients_that_vanish_while_they_wait_leave_room_for_others(
    make_server: Callable[..., ServerProcess], how: str
) -> None:
    server = make_server("--max-connections", "50")
    wire = Wire(server.url)
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    told = metadata(source, server.data / "out.jsonl", lease_s=600)
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    sent = b"POST /serve?job_name=j&batch_size=5 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    if how == "paused":
        assert wire.call("POST", "/v1/jobs/~j/pause").status == 200
    else:
        assert len(wire.serve("j", 10).json()) == 10
    if how == "asked to wait":
        body = b'{"wait_s":60}'
        sent = b"POST /v1/jobs/~j/claim HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        sent = sent % len(body) + body
    for _ in range(200):
        vanish(wire, sent)
    answers_quickly(wire, "j", within_s=10)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("claims", [1, 2])
def test_a_client_that_vanishes_on_a_connection_it_has_claimed_on_before_is_noticed(
    make_server: Callable[..., ServerProcess], claims: int
) -> None:
    server = make_server("--max-connections", "20")
    wire = Wire(server.url)
    source = write_jsonl(server.data / "in.jsonl", numbered(1000))
    told = metadata(source, server.data / "out.jsonl")
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    ask = ("POST", "/v1/jobs/~j/claim", {}, {"max": 1})
    waiting = []
    for _ in range(18):
        waiting.append(wire.connect())
        for _ in range(claims):
            assert wire.call(*ask, connection=waiting[-1]).status == 200
    while wire.serve("j", 500).json():
        pass
    body = b'{"wait_s":60}'
    head = b"POST /v1/jobs/~j/claim HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    for connection in waiting:
        connection.sock.sendall(head % len(body) + body)
        connection.close()
    for _ in range(18):  # there is room for them only when the others have left
        waiting.append(wire.connect())
        assert wire.call("GET", "/report", {"job_name": "j"}, connection=waiting[-1]).status == 200
    for connection in waiting:
        connection.close()


@pytest.mark.timeout(60)
def test_a_burst_of_connections_beyond_the_limit_locks_nothing_up(
    make_server: Callable[..., ServerProcess],
) -> None:
    wire = Wire(make_server("--max-connections", "10").url)
    for _ in range(20):
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                s = stack.enter_context(socket.socket())
                s.setblocking(False)
                s.connect_ex((wire.host, wire.port))
        answers = wire.call("GET", "/report", {"job_name": "j"})
        assert answers.status == 200
