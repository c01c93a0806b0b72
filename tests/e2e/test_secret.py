"""The state folder's secret, without which no token and no key opens anything."""

from __future__ import annotations

import pytest
from harness.data_files import metadata, numbered, write_jsonl
from harness.server_process import NotStarted, ServerProcess
from harness.wire import Wire


@pytest.fixture
def stopped(server: ServerProcess, wire: Wire) -> ServerProcess:
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    told = metadata(source, server.data / "out")
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter", token="t").status == 200
    assert server.stop() == 0
    server.lines.clear()
    return server


def test_a_cut_secret_is_told_of_and_left_as_it_is(stopped: ServerProcess) -> None:
    secret = stopped.state / "secret"
    whole = secret.read_bytes()
    secret.write_bytes(whole[:5])
    with pytest.raises(NotStarted, match=r"secret .* is damaged"):
        stopped.start()
    assert secret.read_bytes() == whole[:5]
    secret.write_bytes(whole)
    assert Wire(stopped.start().url).serve("j", 1, token="t").status == 200


def test_a_lost_secret_is_told_of(stopped: ServerProcess) -> None:
    (stopped.state / "secret").unlink()
    assert Wire(stopped.start().url).serve("j", 1, token="t").status == 403
    assert "warn secret.made-anew" in stopped.log()


def test_a_new_state_folder_gets_a_secret_without_a_word(server: ServerProcess) -> None:
    assert len((server.state / "secret").read_bytes()) == 32
    assert "secret" not in server.log()
