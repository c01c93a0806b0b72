"""The pinexq surface's event stream, byte for byte: what its client's thread lives by."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.server_process import ServerProcess
from harness.steps import Steps
from harness.wire import Wire


class Events:
    """One stream. What is read has a deadline of the socket's."""

    def __init__(
        self, server: ServerProcess, key: str | None = None, host: str = "", token: str = ""
    ) -> None:
        self.socket = Wire(server.url).socket(timeout=20)
        head = f"GET /api/Events HTTP/1.1\r\nHost: {host or f'127.0.0.1:{server.port}'}\r\n"
        head += "Accept: text/event-stream\r\n" + (f"x-api-key: {key}\r\n" if key else "")
        head += f"x-access-token: {token}\r\n" if token else ""
        self.socket.sendall(head.encode() + b"\r\n")
        self.got = b""
        self.head = self._until(b"\r\n\r\n").decode()

    def _until(self, end: bytes) -> bytes:
        while end not in self.got:
            piece = self.socket.recv(65536)
            assert piece, self.got
            self.got += piece
        text, self.got = self.got.split(end, 1)
        return text

    def __iter__(self) -> Iterator[Any]:
        """The events, None for a keep-alive."""
        while True:
            text = self._until(b"\n\n")
            assert text.startswith(b"data:")
            yield json.loads(text[5:]) if text != b"data:" else None

    def of(self, job: int) -> str:
        """The type of the next event of that job."""
        for event in self:
            if event and event["ResourceLink"].endswith(f"{job:012x}"):
                assert event["ResourceType"] == "Job"
                return str(event["EventType"])
        raise AssertionError

    def ends_by_reset(self) -> None:
        with pytest.raises(ConnectionResetError):
            while self.socket.recv(65536):
                pass
            raise AssertionError("it ended in order")


def test_a_stream_is_bare_and_says_something_all_the_time(server: ServerProcess) -> None:
    stream = Events(server)
    head = stream.head.lower()
    assert head.startswith("http/1.1 200 ")
    assert "content-type: text/event-stream" in head and "cache-control: no-store" in head
    assert "connection: close" in head
    assert "chunked" not in head and "content-length" not in head
    stream.socket.settimeout(4)
    events = iter(stream)
    assert [next(events), next(events)] == [None, None]


def test_jobs_are_told_of_by_the_links_that_the_stream_s_client_sees(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    here, there = Events(server), Events(server, host=f"LOCALHOST:{server.port}")
    job = steps.run()["id"]
    for stream, root in ((here, server.url), (there, f"http://localhost:{server.port}")):
        event = next(each for each in stream if each)
        assert event == {
            "EventType": "JobCreated",
            "ResourceType": "Job",
            "ResourceLink": f"{root}/api/Job/00000000-0000-8000-8000-{job:012x}",
        }
    steps.take()
    assert here.of(job) == "JobStateChanged"
    steps.complete(job)
    assert here.of(job) == "JobStateChanged"
    steps.ok("PATCH", f"/step-jobs/{job}", {"tags": ["a"]})
    assert here.of(job) == "JobChanged"
    steps.call("DELETE", f"/step-jobs/{job}")
    assert here.of(job) == "JobDeleted"


def test_a_new_stream_is_told_the_last_of_each_job(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    first, second = (steps.run()["id"] for _ in range(2))
    steps.take()
    steps.complete(first)
    told = []
    for event in Events(server):
        if not event:
            break
        told.append(event)
    links = [each["ResourceLink"][-12:] for each in told]
    assert sorted(links) == sorted(f"{job:012x}" for job in (first, second))


def test_who_reads_a_failed_job_is_told_of_it_again(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    failed, fine = (steps.run()["id"] for _ in range(2))
    steps.take(2)
    stream = Events(server)
    steps.fail(failed)
    steps.complete(fine)
    assert next(each is None for each in stream if each is None)  # all there was is read
    for _ in range(2):
        for job in (fine, failed):
            path = f"/api/Job/00000000-0000-8000-8000-{job:012x}"
            assert Wire(server.url).call("GET", path).status == 200
        event = next(each for each in stream if each)
        assert event["ResourceLink"].endswith(f"{failed:012x}")


def test_a_stream_is_its_owner_s(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()
    keys = {}
    for name in ("ada", "bob"):
        body = {"name": name, "scopes": ["admin"], "owner": name}
        keys[name] = Steps(server).ok("POST", "/keys", body, status=201)["secret"]
    ada, bob = Steps(server, keys["ada"]), Steps(server, keys["bob"])
    streams = {name: Events(server, key) for name, key in keys.items()}
    ada.register()
    bob.register()
    ada.run()
    mine = bob.run()["id"]
    assert streams["bob"].of(mine) == "JobCreated"
    event = next(each for each in streams["ada"] if each)
    assert not event["ResourceLink"].endswith(f"{mine:012x}")


def test_each_of_many_streams_is_told_of_everything(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    streams = [Events(server) for _ in range(200)]
    jobs = [steps.run()["id"] for _ in range(10)]
    for stream in streams[::4]:
        stream.socket.close()  # while it is being told
    jobs += [steps.run()["id"] for _ in range(10)]
    for at, stream in enumerate(streams):
        if at % 4:
            told = (event["ResourceLink"][-12:] for event in stream if event)
            assert [next(told) for _ in jobs] == [f"{job:012x}" for job in jobs]


def test_a_stop_is_a_reset_never_an_end(server: ServerProcess) -> None:
    stream = Events(server)
    server.stop()
    stream.ends_by_reset()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_what_a_run_opens_closes_with_it(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()
    steps = Steps(server)
    steps.register()
    steps.run()
    (task,) = steps.take()
    token = {"x-access-token": task["step_token"]}
    wire = Wire(server.url)
    paths = ["EntryPoint", "Info", "User", "JobsRoot", "WorkDataRoot", "FolderRoot"]
    for path in paths:
        assert wire.call("GET", f"/api/{path}", headers=token).status == 200
    # A restart knows which runs go on.
    server.restart()
    wire = Wire(server.url)
    stream = Events(server, token=task["step_token"])
    assert " 200 " in stream.head
    steps.complete(task["id"])
    for path in paths:
        answer = wire.call("GET", f"/api/{path}", headers=token)
        assert (answer.status, answer.json()["detail"]) == (401, "this token's run is over")
    stream.ends_by_reset()
    assert " 401 " in Events(server, token=task["step_token"]).head
