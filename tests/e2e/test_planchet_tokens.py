"""Tokens of jobs and the master token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness.data_files import metadata, numbered, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

WRONG = {"detail": "Wrong or missing authentication token"}
WRONG_MASTER = {"detail": "Wrong or missing master authentication token"}


def start(server: ServerProcess, wire: Wire, name: str = "j", **query: object) -> Reply:
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    told = metadata(source, server.data / f"{name}.out")
    return wire.scramble(name, told, "JsonlReader", "JsonlWriter", **query)


def test_serve_receive_mark_and_clean_need_the_token(server: ServerProcess, wire: Wire) -> None:
    assert start(server, wire, token="open sesame").status == 200
    for query in [{}, {"token": "wrong"}, {"token": ""}, {"token": "None"}]:
        for reply in [
            wire.serve("j", 1, **query),
            wire.receive("j", [], **query),
            wire.mark("j", [], **query),
            wire.clean("j", **query),
        ]:
            assert (reply.status, reply.json()) == (403, WRONG)
    assert len(wire.serve("j", 1, token="open sesame").json()) == 1
    assert wire.receive("j", [[0, {}]], token="open sesame").status == 200
    assert wire.mark("j", [], token="open sesame").status == 200
    assert wire.report("j") == {"served": 0, "received": 1, "status": "IN_PROGRESS"}
    assert wire.clean("j", token="open sesame").status == 200


def test_a_job_without_token_takes_any(server: ServerProcess, wire: Wire) -> None:
    start(server, wire)
    assert len(wire.serve("j", 1, token="whatever").json()) == 1


def test_a_wrong_token_on_an_unknown_job_is_still_the_400(wire: Wire) -> None:
    reply = wire.serve("nope", 1, token="x")
    assert (reply.status, reply.json()) == (400, {"detail": "No known job: nope"})


def test_a_token_may_be_any_text(server: ServerProcess, wire: Wire) -> None:
    token = 'naïve "кот" / ? & + %41'
    assert start(server, wire, token=token).status == 200
    assert wire.serve("j", 1, token=token).status == 200
    assert wire.serve("j", 1, token=token + " ").status == 403


def test_a_token_survives_a_restart(server: ServerProcess, wire: Wire) -> None:
    start(server, wire, token="t")
    server.restart()
    assert wire.serve("j", 1).status == 403
    assert wire.serve("j", 1, token="t").status == 200


@pytest.fixture
def guarded(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    return make_server(env={"PENSTOCK_MASTER_TOKEN": "the master"})


def test_the_master_token_opens_every_job(guarded: ServerProcess) -> None:
    wire = Wire(guarded.url)
    start(guarded, wire, token="t")
    assert len(wire.serve("j", 1, token="the master").json()) == 1
    assert wire.receive("j", [[0, {}]], token="the master").status == 200
    assert wire.clean("j", token="the master").status == 200


def test_purge_needs_the_master_token(guarded: ServerProcess) -> None:
    wire = Wire(guarded.url)
    start(guarded, wire, token="t")
    for query in [{}, {"token": "t"}, {"token": "None"}, {"token": ""}]:
        reply = wire.purge(**query)
        assert (reply.status, reply.json()) == (403, WRONG_MASTER)
    assert wire.health()["Number of jobs"] == 1
    assert wire.purge(token="the master").body == b"null"
    assert wire.health()["Number of jobs"] == 0


def test_purge_without_a_master_token_is_open(server: ServerProcess, wire: Wire) -> None:
    start(server, wire)
    assert wire.purge(token="None", output=True).body == b"null"
    assert wire.report("j") == {}


def test_the_master_token_may_come_from_a_file(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    path = tmp_path / "master"
    path.write_text("from a file\n")
    server = make_server("--master-token-file", str(path))
    assert Wire(server.url).purge().status == 403
    assert Wire(server.url).purge(token="from a file").status == 200
