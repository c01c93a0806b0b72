"""Disks that are full or broken, calls that are interrupted, descriptors that are used up.

What must hold: the error is clear, nothing acknowledged is lost, nothing is in the output twice,
and work goes on when the fault is over; after a failed sync the process ends, a restart recovers.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.data_files import metadata, numbered, once_each, read_jsonl, write_jsonl
from harness.fault_points import all_points
from harness.fault_shim import INTERRUPT, SHORT, FaultShim
from harness.server_process import NotStarted, ServerProcess
from harness.wire import Reply, Wire

DATA, STATE = "/srv/data/", "/srv/state/"
COUNT = 200
AWAY = OSError
TRY_AGAIN = 75


class Job:
    """A job on a server, and what a patient worker does with it."""

    def __init__(self, server: ServerProcess, sink: str = "out.jsonl", start: bool = True) -> None:
        self.server = server
        self.output = server.data / sink
        self.source = write_jsonl(server.data / "in.jsonl", numbered(COUNT))
        if start:
            assert self.start().status == 200

    @property
    def wire(self) -> Wire:
        return Wire(self.server.url)

    def start(self, **query: Any) -> Reply:
        told = metadata(self.source, self.output)
        return self.wire.scramble("j", told, "JsonlReader", "JsonlWriter", **query)

    def step(self, size: int = 20) -> Reply:
        """One batch there and back."""
        return self.wire.receive("j", self.wire.serve("j", size).json())

    def serve(self, patience: int) -> Any:
        """Records; a server in trouble may cut the connection: who waits is told no error."""
        for left in reversed(range(patience)):
            try:
                return self.wire.serve("j", 50).json()
            except AWAY:
                if not left:
                    raise
        return []

    def finish(self, patience: int = 1) -> None:
        """Goes on to the end, a call up to `patience` times; then each record is there once."""
        if not self.server.alive():
            self.server.start()
        again = range(patience)
        assert any(self.start(cont=True).status == 200 for _ in again)
        while items := self.serve(patience):
            assert any(self.wire.receive("j", items).status == 200 for _ in again)
        report = self.wire.report("j")
        assert report == {"served": 0, "received": COUNT, "status": "COMPLETE"}
        once_each(read_jsonl(self.output), COUNT)
        told = self.wire.call("GET", "/v1/doctor").json()
        assert told["faults"] == 0, told


def refused(reply: Reply) -> str:
    """An answer that is clear: an error, with a sentence, and no acknowledgement."""
    assert reply.status >= 400, reply
    text = reply.json()["detail"]
    assert isinstance(text, str) and len(text) > 5
    return text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("where", [DATA, STATE])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_disk_that_takes_no_more_refuses_and_goes_on_when_it_does_again(
    server: ServerProcess, shim: FaultShim, where: str, number: int, after: int
) -> None:
    job = Job(server)
    assert job.step().status == 200
    acknowledged = 20
    shim.spoil("write", where, error=number, after=after)
    items: list[Any] = []
    for _ in range(10):
        try:
            items = items or job.wire.serve("j", 5).json()
            reply = job.wire.receive("j", items)
        except AWAY:
            break  # it stopped rather than go on in doubt
        if reply.status == 200:
            acknowledged += len(items)
            items = []
            continue
        text = refused(reply)
        assert number != errno.ENOSPC or "space" in text.lower(), text
        assert job.wire.report("j")["received"] == acknowledged
        assert len(read_jsonl(job.output)) == acknowledged
    assert shim.seen("write") > 0 and items
    shim.heal()
    if server.alive():
        assert job.wire.receive("j", items).status == 200
    else:
        assert server.join() == TRY_AGAIN
    job.finish()


@pytest.mark.parametrize("where", [DATA, STATE])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_after_a_failed_sync_the_process_ends_and_a_restart_recovers(
    server: ServerProcess, shim: FaultShim, where: str, after: int
) -> None:
    # What is compressed is synced with each group.
    job = Job(server, "out.jsonl.gz" if where == DATA else "out.jsonl")
    assert job.step().status == 200
    shim.spoil("sync", where, error=errno.EIO, after=after)
    acknowledged = 20
    for _ in range(20):
        try:
            items = job.wire.serve("j", 5).json()
            reply = job.wire.receive("j", items)
        except AWAY:
            break
        if reply.status != 200:
            refused(reply)
            break
        acknowledged += len(items)
    if where == DATA or shim.seen("sync"):
        assert server.join(20) == TRY_AGAIN
        assert shim.seen("sync") == 1  # it never tries a sync again
    shim.heal()
    server.kill()
    server.start()
    assert job.wire.report("j")["received"] >= acknowledged
    job.finish()


def test_results_whose_late_sync_fails_come_back_from_the_store(
    server: ServerProcess, shim: FaultShim
) -> None:
    job = Job(server)
    shim.spoil("sync", DATA, error=errno.EIO)
    assert job.step().status == 200
    assert server.join(20) == TRY_AGAIN
    assert shim.seen("sync") == 1
    shim.heal()
    job.output.write_bytes(b"")  # nothing of it was on the disk
    server.start()
    assert len(read_jsonl(job.output)) == job.wire.report("j")["received"] == 20
    job.finish()


@pytest.mark.parametrize("quirk", [SHORT, INTERRUPT])
@pytest.mark.parametrize("where", [DATA, STATE, "/srv/"])
@pytest.mark.parametrize("sink", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_short_counts_and_interruptions_are_nobody_s_business(
    make_server: Callable[..., ServerProcess], shim: FaultShim, where: str, quirk: int, sink: str
) -> None:
    for kind in ("write", "read") + (("cut",) if quirk == INTERRUPT else ()):
        shim.spoil(kind, where, quirk=quirk)
    server = make_server(env=shim.env)
    job = Job(server, sink)
    for _ in range(4):
        assert job.step().status == 200
    assert shim.seen("write") > 0
    server.restart()
    job.finish()


@pytest.mark.parametrize("number", [errno.EIO])
def test_an_output_that_cannot_be_cut_back_is_cut_later(
    server: ServerProcess, shim: FaultShim, number: int
) -> None:
    job = Job(server)
    assert job.step().status == 200
    items = job.wire.serve("j", 20).json()
    shim.spoil("write", STATE, error=errno.ENOSPC)
    shim.spoil("cut", STATE, error=number)
    shim.spoil("cut", DATA, error=number)
    shim.spoil("write", DATA, error=errno.ENOSPC)
    try:
        refused(job.wire.receive("j", items))
    except AWAY:
        assert server.join() == TRY_AGAIN
    shim.heal()
    job.finish()


def test_an_input_that_cannot_be_read_is_a_clear_error(
    server: ServerProcess, shim: FaultShim
) -> None:
    job = Job(server, start=False)
    shim.spoil("read", DATA, error=errno.EIO)
    reply = job.start()
    if reply.status == 200:
        reply = job.wire.serve("j", 20)
    assert reply.status >= 400 or reply.json() == []
    shim.heal()
    job.finish()


def test_used_up_descriptors_make_newcomers_wait_and_end_nothing(
    server: ServerProcess,
) -> None:
    job = Job(server)
    connection = job.wire.connect()
    query = {"job_name": "j", "batch_size": 20}
    items = job.wire.call("POST", "/serve", query, connection=connection).json()
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, hard))
    told = metadata(job.source, server.data / "other.jsonl")
    names = {"job_name": "k", "reader_name": "JsonlReader", "writer_name": "JsonlWriter"}
    reply = job.wire.call("POST", "/scramble", names, told, connection=connection)
    refused(reply)
    waiting = [socket.create_connection((job.wire.host, job.wire.port)) for _ in range(5)]
    for s in waiting:
        s.sendall(
            b"GET /report?job_name=j HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
    query = {"job_name": "j", "overwrite": 0}
    answer = job.wire.call("POST", "/receive", query, items, connection=connection)
    if answer.status != 200:
        refused(answer)  # it could not open the output
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    connection.close()
    for s in waiting:
        s.settimeout(20)
        got = s.recv(200)
        assert got == b"" or got.startswith(b"HTTP/1.1 200"), got
        s.close()
    assert server.alive()
    job.finish()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB, where tests may make one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(
    make_server: Callable[..., ServerProcess], small_disk: Path
) -> None:
    server = make_server(data=small_disk)
    wire = Wire(server.url)
    source = write_jsonl(small_disk / "in.jsonl", numbered(100))
    output = small_disk / "out.jsonl"
    told = metadata(source, output)
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    filler = small_disk / "filler"
    filler.write_bytes(bytes(700_000))
    items = [[n, {"n": n, "pad": "x" * 5000}] for n, _ in wire.serve("j", 100).json()]
    taken = []
    for n in range(0, 100, 10):
        reply = wire.receive("j", items[n : n + 10])
        if reply.status == 200:
            taken.append(n)
        else:
            assert "space" in refused(reply).lower()
    assert 0 < len(taken) < 10
    assert sorted(r["n"] for r in read_jsonl(output)) == [n + i for n in taken for i in range(10)]
    filler.unlink()
    assert wire.receive("j", items).status == 200
    once_each(read_jsonl(output), 100)


def test_a_full_state_folder(
    make_server: Callable[..., ServerProcess], tmp_path: Path, shim: FaultShim
) -> None:
    server = make_server(start=False, env=shim.env)
    shim.spoil("write", STATE, error=errno.ENOSPC)
    with pytest.raises(NotStarted):
        server.start()
    assert server.process and server.process.returncode not in (0, -6, -11)
    shim.heal()
    server.start()
    Job(server).finish()


# Every named place, made to fail once; then the same with the disk full.


@pytest.mark.parametrize("action", ["fail", "full"])
@pytest.mark.parametrize("point", all_points())
def test_a_failure_at_any_named_place_is_coped_with(
    make_server: Callable[..., ServerProcess], point: str, action: str
) -> None:
    plan = ",".join(f"{point}:{n}:{action}" for n in (1, 3, 4, 9))
    server = make_server(start=False, env={"PENSTOCK_FAULT": plan})
    try:
        server.start()
    except NotStarted:
        assert server.process and 0 < server.process.returncode < 128
        assert server.log().strip(), "it must say why it did not start"
    acknowledged = 0
    try:
        if server.alive():
            job = Job(server, start=False)
            job.start()
            for _ in range(8):
                items = job.wire.serve("j", 10)
                if items.status == 200 and items.json():
                    reply = job.wire.receive("j", items.json())
                    if reply.status == 200:
                        acknowledged += len(items.json())
                    else:
                        refused(reply)
    except AWAY:
        assert server.join() == TRY_AGAIN
    server.env = {}
    if not server.alive():
        server.start()
    assert Wire(server.url).report("j").get("received", 0) >= acknowledged
    if acknowledged % 20:  # half of the times go on with the same process
        server.restart()
    Job(server, start=False).finish(patience=20)


def test_a_job_whose_last_result_was_taken_just_before_a_kill_comes_to_its_end(
    make_server: Callable[..., ServerProcess],
) -> None:
    """Nobody may be left to ask it for records: it must be complete by itself."""
    server = make_server()
    job = Job(server)
    items = job.wire.serve("j", COUNT).json()
    assert job.wire.serve("j", 1).json() == []
    assert job.wire.receive("j", items[:-1]).status == 200
    server.env = {}
    # The first group after the restart settles the tail.
    server.restart(env={"PENSTOCK_FAULT": "group.answered:2:kill"})
    last = job.wire.serve("j", 1).json()
    with contextlib.suppress(AWAY, http.client.HTTPException):
        job.wire.receive("j", last)
    server.join()
    server.start()
    report = job.wire.report("j")
    assert report == {"served": 0, "received": COUNT, "status": "COMPLETE"}
