"""The Planchet surface of a server that asks for keys: the client can only show a token, so that a
key, a job's token and the master token all travel as one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from harness.data_files import metadata, numbered, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

WRONG = (403, {"detail": "Wrong or missing authentication token"})


@pytest.fixture
def asking(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    return make_server("--auth", "keys")


def make_key(server: ServerProcess, name: str, scope: str) -> str:
    told = server.run_cli("key", "create", name, "--scope", scope)
    found = re.search(r"pk_[\w-]+", told.stdout + told.stderr)
    assert found, told
    return found.group(0)


def start(server: ServerProcess, name: str = "j", **query: object) -> Reply:
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    told = metadata(source, server.data / f"{name}.out")
    return Wire(server.url).scramble(name, told, "JsonlReader", "JsonlWriter", **query)


def refused(reply: Reply) -> None:
    assert (reply.status, reply.json()) == WRONG


def test_a_job_is_started_with_a_key_only(asking: ServerProcess) -> None:
    refused(start(asking))
    refused(start(asking, token="pk_wrong"))
    refused(start(asking, token=make_key(asking, "reader", "read")))
    assert start(asking, token=make_key(asking, "worker", "work")).status == 200


def test_a_key_serves_as_the_token_of_any_job(asking: ServerProcess) -> None:
    wire, key = Wire(asking.url), make_key(asking, "worker", "work")
    assert start(asking, token=key).status == 200
    other = make_key(asking, "other", "work")
    for reply in [wire.serve("j", 1), wire.receive("j", []), wire.mark("j", []), wire.clean("j"),
                  wire.delete("j"), wire.serve("j", 1, token="x")]:  # fmt: skip
        refused(reply)
    assert len(wire.serve("j", 1, token=other).json()) == 1
    assert wire.receive("j", [[0, {}]], token=key).status == 200
    assert wire.delete("j", token=other).status == 200


def test_a_key_in_the_header_will_do_and_leaves_the_job_without_a_token(
    asking: ServerProcess,
) -> None:
    wire, key = Wire(asking.url), make_key(asking, "worker", "work")
    source = write_jsonl(asking.data / "in.jsonl", numbered(10))
    told = metadata(source, asking.data / "out")
    query = "job_name=j&reader_name=JsonlReader&writer_name=JsonlWriter"
    bearer = {"Authorization": f"Bearer {key}"}
    assert wire.call("POST", "/scramble", query, told, headers=bearer).status == 200
    refused(wire.serve("j", 1))
    reply = wire.call("POST", "/serve", "job_name=j&batch_size=2", None, headers=bearer)
    assert len(reply.json()) == 2


def test_what_the_client_asks_without_a_token_is_open_but_tells_no_names(
    asking: ServerProcess,
) -> None:
    wire, key = Wire(asking.url), make_key(asking, "worker", "work")
    start(asking, token=key)
    items = wire.serve("j", 100, token=key).json()
    wire.receive("j", items, token=key)
    assert wire.serve("j", token=key).json() == []
    assert wire.report("j") == {"served": 0, "received": 10, "status": "COMPLETE"}
    assert wire.health()["Number of finished jobs"] == []


def test_purge_asks_for_a_key_of_an_administrator(asking: ServerProcess) -> None:
    wire, key = Wire(asking.url), make_key(asking, "worker", "work")
    start(asking, token=key)
    assert wire.purge().status == wire.purge(token=key).status == 403
    assert wire.purge(token=make_key(asking, "boss", "admin")).body == b"null"
    assert wire.report("j") == {}


def test_a_revoked_key_opens_nothing(asking: ServerProcess) -> None:
    wire, key = Wire(asking.url), make_key(asking, "worker", "work")
    start(asking, token=make_key(asking, "other", "work"))
    assert wire.serve("j", 1, token=key).status == 200
    assert asking.run_cli("key", "revoke", "worker").returncode == 0
    refused(wire.serve("j", 1, token=key))
