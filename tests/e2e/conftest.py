"""Fixtures: a server of its own for each test, raw HTTP to it, and the real client."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness.native import Native
from harness.planchet_peer import FLAVOURS, PlanchetPeer
from harness.run_command import RunCommand
from harness.runtime_case import RuntimeCase
from harness.server_process import ServerProcess
from harness.tasks import Tasks
from harness.wire import Wire

if TYPE_CHECKING:
    from harness.openaleph_case import OpenAlephCase


# In the background, or under nohup, these are ignored, and what the tests start would ignore them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers with arguments and environment of the test's own; all end with the test."""
    made: list[ServerProcess] = []

    def make(*args: str, name: str = "srv", start: bool = True, **kwargs: Any) -> ServerProcess:
        server = ServerProcess(tmp_path / name, *args, **kwargs)
        made.append(server)
        return server.start() if start else server

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server: .url .data .state .kill() .stop() .restart() .log()"""
    return make_server()


@pytest.fixture
def wire(server: ServerProcess) -> Wire:
    """Raw HTTP to `server`."""
    return Wire(server.url)


@pytest.fixture
def native(server: ServerProcess) -> Native:
    """Calls to `server` below /v1."""
    return Native(server)


@pytest.fixture
def tasks(server: ServerProcess) -> Tasks:
    """Calls to `server` about tasks."""
    return Tasks(server)


@pytest.fixture(scope="session", params=FLAVOURS)
def peer_process(request: pytest.FixtureRequest) -> Iterator[PlanchetPeer]:
    peer = PlanchetPeer("", request.param)
    yield peer
    peer.close()


@pytest.fixture
def client(server: ServerProcess, peer_process: PlanchetPeer) -> PlanchetPeer:
    """The real PlanchetClient on `server`: once with the current requests, once with the old."""
    peer_process.url = server.url
    return peer_process


@pytest.fixture
def case(tmp_path: Path) -> Iterator[RuntimeCase]:
    """Worker processes over an engine that does what the test wants."""
    made = RuntimeCase(tmp_path)
    yield made
    made.close()


@pytest.fixture
def command(tmp_path: Path) -> RunCommand:
    """`penstock run` over ten records, with a fake worker where Python would be."""
    made = RunCommand(tmp_path / "work")
    made.write("in.jsonl", ({"id": n} for n in range(10)))
    return made


@pytest.fixture
def real(tmp_path: Path) -> RunCommand:
    """The same with Python where Python belongs."""
    made = RunCommand(tmp_path / "real", fake=False)
    made.write("in.jsonl", ({"id": n} for n in range(10)))
    made.task(
        "async def process_record(record, context):\n    return {**record, 'x': 'y' * 9000}\n"
    )
    return made


@pytest.fixture
def openaleph(
    tmp_path: Path, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenAlephCase]:
    """Tasks of penstock.openaleph, and their workers, on `server`."""
    # Here and not above: it takes a second, and most tests do without.
    from harness.openaleph_case import OpenAlephCase

    made = OpenAlephCase(tmp_path, server, monkeypatch)
    yield made
    made.close()
