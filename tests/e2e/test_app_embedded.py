"""The embedded server: started by whoever comes first, shared, gone when nobody is connected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.server_process import ROOT, binary

sys.path.insert(0, str(ROOT / "python"))
import penstock
from penstock.embedded import embedded_url


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PENSTOCK_BIN", binary())
    monkeypatch.setenv("PENSTOCK_IDLE_EXIT", "0.3")
    monkeypatch.delenv("PENSTOCK_SERVER", raising=False)
    folder = tmp_path / "deep" / "state"
    yield folder
    for pid in pids(folder):
        with contextlib.suppress(ProcessLookupError):  # it ends by itself, too
            os.kill(pid, signal.SIGKILL)


def pids(folder: Path) -> list[int]:
    """The servers on that folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--embedded" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_whoever_comes_first_starts_it_and_it_ends_when_all_have_gone(state: Path) -> None:
    with penstock.Client(embedded_url(state)) as client:
        assert client.health()["status"] == "ok"
        (first,) = pids(state)
        with penstock.Client(embedded_url(state)) as other:
            assert other.health()["status"] == "ok"
        # Longer than it waits: who is connected keeps it.
        time.sleep(0.6)
        assert pids(state) == [first]
        assert client.health()["status"] == "ok"
    until(lambda: not pids(state))
    with penstock.Client(embedded_url(state)) as client:
        assert client.health()["status"] == "ok"
        assert pids(state) != [first]


def test_of_many_that_start_one_lives(state: Path) -> None:
    told: list[str] = []

    def ask() -> None:
        with penstock.Client(embedded_url(state)) as client:
            told.append(client.health()["started_at"])
            gate.wait()

    gate = threading.Barrier(10)
    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 10 and len(set(told)) == 1


def test_a_server_that_is_stopping_is_given_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends all the time, between any two calls; what was answered is there, once."""
    monkeypatch.setenv("PENSTOCK_IDLE_EXIT", "0.002")
    failed: list[Exception] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                # A call that must not be sent twice, on a connection of its own.
                with penstock.Client(embedded_url(state)) as client:
                    client.keys.create(f"{name}-{number}", ["read"])
                time.sleep(0.02 * (number % 5))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with penstock.Client(embedded_url(state)) as client:
        names = {key.name for key in client.keys.list()}
    assert names == {f"t{i}-{n}" for i in range(3) for n in range(20)}


def test_killed_it_is_started_again(state: Path) -> None:
    with penstock.Client(embedded_url(state)) as client:
        client.health()
        (first,) = pids(state)
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in pids(state))
        assert client.health()["status"] == "ok"


def test_asyncio_has_it_too(state: Path) -> None:
    async def ask() -> str:
        async with penstock.AsyncClient(embedded_url(state)) as client:
            return str((await client.health())["status"])

    assert asyncio.run(ask()) == "ok"


def test_why_there_is_none_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = binary()
    monkeypatch.setenv("PENSTOCK_BIN", "/nowhere/penstock")
    with pytest.raises(penstock.NoServerError, match="/nowhere/penstock"):
        penstock.Client(embedded_url(state)).health()
    monkeypatch.setenv("PENSTOCK_BIN", there)
    (state / "penstock.db").write_text("this is no database, and nobody will take it for one")
    with pytest.raises(penstock.NoServerError, match="status 1"):
        penstock.Client(embedded_url(state)).health()


@pytest.mark.parametrize("option", [["--port", "0"], ["--host", "::1"], ["--insecure"]])
def test_it_has_no_port(state: Path, option: list[str]) -> None:
    command = [binary(), "serve", "--embedded", "--state", str(state), *option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "does not go with it" in done.stderr


def test_a_server_with_a_port_may_end_by_itself_too(state: Path) -> None:
    state.parent.mkdir()
    command = [binary(), "serve", "--port", "0", "--idle-exit", "0.1", "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "http://" in done.stdout
