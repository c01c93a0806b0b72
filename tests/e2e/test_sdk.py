"""The Python SDK against the real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.server_process import ROOT, ServerProcess

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not
import penstock
from penstock import errors as penstock_errors
from penstock import event as penstock_event
from penstock import wire as penstock_wire

RECORDS = 25


@pytest.fixture
def sdk(server: ServerProcess) -> Iterator[penstock.Client]:
    (server.data / "in.jsonl").write_text(
        "".join(json.dumps({"n": n, "text": f"é{n}"}) + "\n" for n in range(RECORDS))
    )
    with penstock.Client(server.url) as client:
        yield client


def create(client: penstock.Client, name: str = "titles", **members: Any) -> penstock.Job:
    sink = {"path": f"{name.replace('/', '-')}.jsonl"}
    return client.jobs.create(name, source={"path": "in.jsonl"}, sink=sink, **members)


def output(server: ServerProcess, name: str = "titles") -> list[Any]:
    return [json.loads(line) for line in (server.data / f"{name}.jsonl").read_text().splitlines()]


def test_a_job_is_created_found_listed_and_deleted(sdk: penstock.Client) -> None:
    job = create(sdk, "my job/é", lease_s=5, max_attempts=1)
    assert (job.lease_s, job.max_attempts, job.state) == (5, 1, "pending")
    assert sdk.jobs.get("my job/é") == sdk.jobs.get(job.id) == sdk.jobs.get(job) == job
    other = create(sdk, "other")
    assert [found.name for found in sdk.jobs.list(page=1)] == ["my job/é", "other"]
    assert list(sdk.jobs.list(state="completed")) == []
    other.delete()
    with pytest.raises(penstock.NotFoundError) as caught:
        other.refresh()
    assert caught.value.status == 404
    assert caught.value.problem["type"].endswith(":not-found")


def test_a_job_is_paused_resumed_repaired_cleaned_and_cancelled(sdk: penstock.Client) -> None:
    job = create(sdk)
    assert job.pause().paused
    assert not job.resume().paused
    job.claim(max=3)
    assert job.refresh().records.served == 3
    assert job.repair().records.served == 0
    job.claim(max=3)
    assert job.clean(output=False).records.served == 0
    cancelled = job.cancel()
    assert cancelled.ended and cancelled.ended_at


def test_a_lease_settles_at_the_end_of_its_block(
    sdk: penstock.Client, server: ServerProcess
) -> None:
    job = create(sdk)
    with job.claim(max=3) as lease:
        assert lease and len(lease) == 3
        assert lease.records[1] == (1, {"n": 1, "text": "é1"})
        assert lease.ends_at and lease.token and not lease.finished
        lease.done(0, {"ü": 0})
        lease.fail(1, "no \ud800 luck")
        # 2 is left: it goes back at once.
    assert lease.settled == penstock.Settled(written=1, retried=1)
    assert output(server) == [{"ü": 0}]
    assert [number for number, _ in job.claim().records][:2] == [1, 2]


def test_what_a_block_that_raises_has_done_is_settled_the_rest_given_back(
    sdk: penstock.Client, server: ServerProcess
) -> None:
    job = create(sdk)
    with pytest.raises(ZeroDivisionError), job.claim(max=3) as lease:
        lease.done(0, "kept")
        raise ZeroDivisionError
    assert output(server) == ["kept"]
    counts = job.refresh().records
    assert (counts.done, counts.served, counts.unread) == (1, 0, 2)


def test_a_lease_can_be_settled_in_parts_extended_and_released(sdk: penstock.Client) -> None:
    job = create(sdk)
    lease = job.claim(max=2, lease_s=20)
    assert lease.settle() == penstock.Settled()
    lease.done(0, 0)
    assert lease.settle().written == 1
    before = lease.ends_at
    lease.extend(500)
    assert before and lease.ends_at and lease.ends_at > before
    lease.release()
    lease.release()  # what has ended already is fine
    lease.done(1, 1)
    with pytest.raises(penstock.LeaseEndedError):
        lease.settle()


def test_a_result_that_is_no_json_is_refused_where_it_is_reported(sdk: penstock.Client) -> None:
    lease = create(sdk).claim(max=1)
    with pytest.raises(TypeError):
        lease.done(0, object())


def test_a_job_without_leases_works_too(sdk: penstock.Client, server: ServerProcess) -> None:
    job = create(sdk, lease_s=0)
    with job.claim(max=RECORDS) as lease:
        assert lease.token is None and lease.ends_at is None
        for number, _ in lease.records:
            lease.done(number, number)
    assert output(server) == list(range(RECORDS))


def test_work_runs_a_function_over_all_records(sdk: penstock.Client, server: ServerProcess) -> None:
    create(sdk, max_attempts=2)
    seen: list[int] = []

    def double(record: dict[str, Any]) -> Any:
        seen.append(record["n"])
        if record["n"] == 7:
            raise ValueError("seven")
        return {3} if record["n"] == 3 else {"twice": 2 * record["n"]}

    settled = penstock.work(sdk, "titles", double, batch=4)
    assert (settled.written, settled.failed, settled.retried) == (RECORDS - 2, 2, 2)
    assert sorted(seen) == sorted([*range(RECORDS), 3, 7])
    job = sdk.jobs.get("titles")
    assert job.state == "completed"
    errors = {error.record: error.reason for error in job.errors(page=1)}
    assert errors[7] == "ValueError: seven"
    assert "serializable" in errors[3]
    assert len(output(server)) == RECORDS - 2


def test_workers_in_threads_share_a_job(sdk: penstock.Client, server: ServerProcess) -> None:
    create(sdk)

    def run() -> None:
        with penstock.Client(server.url) as own:
            penstock.work(own, "titles", lambda record: record["n"], batch=2)

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(output(server)) == list(range(RECORDS))


def test_a_worker_outlives_the_server(sdk: penstock.Client, server: ServerProcess) -> None:
    create(sdk)
    killed = threading.Event()

    def slow(record: dict[str, Any]) -> Any:
        if record["n"] == 6 and not killed.is_set():
            killed.set()
            server.restart()
        return record["n"]

    penstock.work(sdk, "titles", slow, batch=4)
    assert killed.is_set()
    assert sorted(output(server)) == list(range(RECORDS))


def test_events_come_as_they_happen_and_are_resumed(
    sdk: penstock.Client, server: ServerProcess
) -> None:
    job = create(sdk)
    events = sdk.events(after=0)
    first = next(events)
    assert (first.kind, first.job_id, first.job_name) == ("job.created", job.id, "titles")
    assert first.detail["mode"] == "read-write"
    assert first.at == job.created_at
    server.restart()
    job.pause()
    assert next(events).kind == "job.paused"
    penstock.work(sdk, job.resume(), lambda record: None)
    kinds = []
    for event in job.events(after=first.id):
        kinds.append(event.kind)
        if event.kind == "job.completed":
            break
    assert kinds == ["job.paused", "job.resumed", "job.running", "job.completed"]


def readme_examples() -> list[str]:
    text = (ROOT / "python" / "README.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]


def test_the_readme_s_examples_run(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"title": f"é{n}"}) for n in range(30)] + ['{"name": "none"}']
    (server.data / "titles.jsonl").write_text("\n".join(lines) + "\n")
    _, by_hand, awaited = readme_examples()
    exec(by_hand.replace("http://127.0.0.1:5005", server.url), {})
    assert capsys.readouterr().out == "20 written, 1 failed\n30 KeyError: 'title'\n"
    assert [line["length"] for line in output(server, "results")] == [
        len(f"é{n}") for n in range(30)
    ]
    there = {"penstock": penstock}
    exec(awaited.replace("http://127.0.0.1:5005", server.url), there)
    asyncio.run(there["main"]())  # type: ignore[operator]
    assert capsys.readouterr().out == "titles completed\n"


def test_keys_and_tokens_open_what_they_are_for(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    (server.data / "in.jsonl").write_text("{}\n")
    with penstock.Client(server.url) as client:
        key = client.keys.create("admin", ["read", "work", "admin"])
        assert key.secret
        assert [listed.secret for listed in client.keys.list()] == [None]
        with pytest.raises(penstock.ConflictError):
            client.keys.create("admin", ["read"])
        job = create(client, token="s3cret")
        assert job.protected
        with pytest.raises(penstock.UnauthorizedError):
            job.claim()
    with (
        penstock.Client(server.url, token="wrong") as wrong,
        pytest.raises(penstock.ForbiddenError),
    ):
        wrong.jobs.get("titles").claim()
    with penstock.Client(server.url, token="s3cret") as right:
        right.jobs.get("titles").claim().release()
    server.stop()
    server.args += ["--auth", "keys"]
    server.start()
    with penstock.Client(server.url) as nobody, pytest.raises(penstock.UnauthorizedError):
        nobody.jobs.get("titles")
    with penstock.Client(server.url, key.secret) as client:
        assert client.jobs.get("titles").claim()
        client.keys.revoke("admin")
        with pytest.raises(penstock.UnauthorizedError):
            client.jobs.get("titles")


def test_the_unix_socket_needs_no_key(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--auth", "keys")
    with penstock.Client(f"unix://{server.state}/penstock.sock") as client:
        assert client.health()["status"] == "ok"
        assert client.doctor()["faults"] == 0
        assert client.keys.list() == []


def test_refusals_are_exceptions_of_their_own(sdk: penstock.Client) -> None:
    job = create(sdk)
    with pytest.raises(penstock.NameTakenError):
        create(sdk)
    with pytest.raises(penstock.OutputTakenError):
        sdk.jobs.create("b", source={"path": "in.jsonl"}, sink={"path": "titles.jsonl"})
    with pytest.raises(penstock.InvalidError):
        job.claim(max=0)
    with pytest.raises(penstock.ForbiddenError):
        sdk.jobs.create("c", mode="read", source={"path": "/etc/passwd"})
    with pytest.raises(penstock.NotFoundError):
        sdk.jobs.create("c", mode="read", source={"path": "none.jsonl"})


def test_a_server_that_stays_away_is_told_after_the_patience(
    sdk: penstock.Client, server: ServerProcess
) -> None:
    sdk.health()
    server.kill()
    impatient = penstock.Client(server.url, patience_s=0.2)
    with pytest.raises(penstock.ConnectionLostError, match=server.url.removeprefix("http://")):
        impatient.health()
    with pytest.raises(penstock.ConnectionLostError):
        list(impatient.events())


# ---- without a server


@pytest.mark.parametrize("url", ["ftp://x", "http://", "unix://", "localhost:5005", ""])
def test_an_odd_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        penstock.Client(url)


def test_a_key_cannot_break_out_of_its_header() -> None:
    with pytest.raises(ValueError):
        penstock.Client("http://localhost", "pk_x\r\nHost: evil")


def test_every_code_has_an_exception_of_its_own() -> None:
    codes = "invalid unauthorized forbidden not-found conflict limit busy no-space io store fatal"
    for code in [*codes.split(), "internal", "method-not-allowed", "lease-ended", "output-gone"]:
        body = json.dumps({"type": f"urn:penstock:problem:{code}", "detail": "d"}).encode()
        error = penstock_errors.error_of(400, body)
        assert type(error).code == code
        assert str(error) == "d"
    assert isinstance(penstock_errors.error_of(502, b"<html>"), penstock.BusyError)
    assert type(penstock_errors.error_of(418, b"{}")) is penstock.PenstockError


class Scripted:
    """A server of one connection at a time that answers with bytes by heart."""

    def __init__(self, *answers: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.thread = threading.Thread(target=self._run, args=(answers,), daemon=True)
        self.thread.start()

    def _run(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            peer, _ = self.listening.accept()
            with peer, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.requests.append(peer.recv(65536))
                for at in range(len(answer)):
                    peer.sendall(answer[at : at + 1])
        self.listening.close()


def test_answers_are_read_however_they_are_cut_and_framed() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3;x=y\r\n{"a\r\n4\r\n":1}\r\n0\r\nTrailer: t\r\n\r\n'
    )
    to_end = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":1}'
    interim = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
    with_length = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
    answers = (chunked, to_end, interim, with_length)
    scripted = Scripted(*answers)
    client = penstock.Client(scripted.url)
    for _ in answers:
        assert client.send("GET", "/x") == {"a": 1}


def test_a_call_cut_off_is_repeated_only_when_that_does_no_harm() -> None:
    fine = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
    scripted = Scripted(b"", fine[:20], fine)
    assert penstock.Client(scripted.url).send("POST", "/x", b"{}") == {"a": 1}
    assert len(scripted.requests) == 3
    scripted = Scripted(b"", fine)
    with pytest.raises(penstock.ConnectionLostError):
        penstock.Client(scripted.url).send("POST", "/x", b"{}", repeatable=False)
    assert len(scripted.requests) == 1


def test_a_busy_server_is_asked_again() -> None:
    problem = b'{"type":"urn:penstock:problem:busy","detail":"stopping"}'
    busy = b"HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    fine = b"HTTP/1.1 204 No Content\r\n\r\n"
    scripted = Scripted(busy % (len(problem), problem), fine)
    assert penstock.Client(scripted.url).send("GET", "/x") is None


def test_a_settle_that_was_taken_before_its_answer_was_lost_is_no_failure() -> None:
    claimed = b'{"lease":{"token":"t","ends_at":null},"records":[[0,0]],"finished":false}'
    ended = b'{"type":"urn:penstock:problem:lease-ended","detail":"gone"}'
    frame = b"HTTP/1.1 %d x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    scripted = Scripted(b"", frame % (409, len(ended), ended))
    told = json.loads(claimed)
    lease = penstock.Lease(penstock.Client(scripted.url), "/v1/jobs/1", told, 30)
    lease.done(0, 0)
    assert lease.settle() == penstock.Settled()


def test_odd_answers_are_errors_not_accidents() -> None:
    for answer in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"):
        scripted = Scripted(answer)
        client = penstock.Client(scripted.url, patience_s=0)
        with pytest.raises(penstock.ConnectionLostError):
            client.health()
    long_head = Scripted(b"HTTP/1.1 200 OK\r\nX: " + b"x" * penstock_wire.HEAD_MAX_BYTES * 2)
    with pytest.raises((penstock.LimitError, penstock.ConnectionLostError)):
        penstock.Client(long_head.url, patience_s=0).health()


def test_an_event_stream_is_read_however_it_is_cut() -> None:
    text = (
        ':\n\nevent: progress\ndata: {"job":1}\n\n'
        'id: 5\nevent: job.created\ndata: {"at":"2026-11-22T09:00:00.000Z","job":1,"name":"é",\n'
        'data: "detail":null}\n\nid: 6\nevent: cut'
    ).encode()
    for size in (1, 2, 7, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        events = list(penstock_event.read_events(pieces))
        assert [(event.id, event.kind, event.job_name) for event in events] == [
            (5, "job.created", "é")
        ]
