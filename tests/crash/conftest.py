"""Fixtures: servers of a test's own, and one whose system calls can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fault_shim import FaultShim
from harness.server_process import ServerProcess


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers; all end with the test."""
    made: list[ServerProcess] = []

    def make(*args: str, name: str = "srv", start: bool = True, **kwargs: Any) -> ServerProcess:
        server = ServerProcess(tmp_path / name, *args, **kwargs)
        made.append(server)
        return server.start() if start else server

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


@pytest.fixture
def server(make_server: Callable[..., ServerProcess], shim: FaultShim) -> ServerProcess:
    """A server whose calls `shim` spoils."""
    return make_server(env=shim.env)
