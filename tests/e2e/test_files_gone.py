"""What becomes of a running server whose files are taken away from under it."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.fault_shim import FaultShim
from harness.native import RECORDS, Native, finish, problem
from harness.server_process import NotStarted, ServerProcess


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


@pytest.fixture
def shaky(make_server: Callable[..., ServerProcess], shim: FaultShim) -> Native:
    return Native(make_server(env=shim.env))


def start(native: Native) -> Path:
    """A job that writes into a folder of its own, half done. Its output."""
    folder = native.server.data / "results"
    folder.mkdir()
    native.start(sink={"path": "results/out.jsonl"})
    settle_half(native)
    return folder / "out.jsonl"


def settle_half(native: Native, records: int = RECORDS // 2) -> None:
    claim = native.claim(max=records)
    native.settle(claim, [[number, number] for number, _ in claim["records"]])


def refused(native: Native, claim: Any, status: int, code: str) -> str:
    """That results of the claim are not taken; the reason."""
    body = {
        "lease": claim["lease"]["token"],
        "results": [[number, number] for number, _ in claim["records"]],
    }
    answer = native.call("POST", "/jobs/~titles/settle", body)
    return str(problem(answer, status, code)["detail"])


def assert_whole(output: Path) -> None:
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(lines) == list(range(RECORDS))


def test_an_output_whose_folder_is_renamed_is_waited_for(native: Native) -> None:
    output = start(native)
    claim = native.claim(max=100)
    moved = native.server.data / "elsewhere"
    output.parent.rename(moved)
    assert "was moved away" in refused(native, claim, 409, "output-gone")
    output.parent.mkdir()
    output.write_text("my own\n")
    assert "was moved away" in refused(native, claim, 409, "output-gone")
    assert output.read_text() == "my own\n"
    assert len((moved / "out.jsonl").read_text().splitlines()) == RECORDS // 2
    shutil.rmtree(output.parent)
    moved.rename(output.parent)
    native.settle(claim, [[number, number] for number, _ in claim["records"]])
    assert_whole(output)


def test_an_output_that_is_removed_is_told_and_a_clean_start_makes_it_anew(
    native: Native,
) -> None:
    output = start(native)
    claim = native.claim(max=100)
    shutil.rmtree(output.parent)
    assert "was removed" in refused(native, claim, 409, "output-gone")
    assert native.ok("GET", "/health")["status"] == "ok"
    output.parent.mkdir()
    native.server.restart()
    assert native.ok("GET", "/jobs/~titles")["state"] == "running"
    body = {
        "name": "titles",
        "source": {"path": "in.jsonl"},
        "sink": {"path": "results/out.jsonl"},
        "clean_start": True,
    }
    native.ok("POST", "/jobs", body, status=201)
    settle_half(native, RECORDS)
    assert_whole(output)


def test_a_state_folder_that_is_emptied_stops_the_server(native: Native) -> None:
    output = start(native)
    claim = native.claim(max=100)
    for path in native.server.state.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    body = {"lease": claim["lease"]["token"], "results": [[n, n] for n, _ in claim["records"]]}
    try:
        answer = native.call("POST", "/jobs/~titles/settle", body)
        assert answer.status >= 500
    except OSError:
        pass  # it may be gone before it has answered
    assert native.server.join() == 75
    assert "was removed while it was in use" in native.server.log()
    assert len(output.read_text().splitlines()) >= RECORDS // 2


def test_a_state_folder_that_is_renamed_goes_with_the_server(native: Native) -> None:
    output = start(native)
    moved = native.server.folder / "moved"
    native.server.state.rename(moved)
    settle_half(native)
    native.server.kill()
    moved.rename(native.server.state)
    native.server.start()
    assert_whole(output)
    assert native.claim()["finished"] is True


@pytest.mark.parametrize("where", ["penstock.db", "out.jsonl"])
def test_a_disk_that_turns_read_only_takes_nothing(
    shaky: Native, shim: FaultShim, where: str
) -> None:
    output = start(shaky)
    claim = shaky.claim(max=100)
    shim.spoil("write", where, error=errno.EROFS)
    answer = shaky.call(
        "POST",
        "/jobs/~titles/settle",
        {"lease": claim["lease"]["token"], "results": [[n, n] for n, _ in claim["records"]]},
    )
    assert answer.status == 500, answer
    assert "ead-only" in str(answer.json()["detail"])
    assert shaky.ok("GET", "/health")["status"] == "ok"
    shim.heal()
    shaky.settle(claim, [[number, number] for number, _ in claim["records"]])
    assert_whole(output)


def test_a_full_disk_of_the_state_alone_is_told_at_the_start(
    make_server: Callable[..., ServerProcess], shim: FaultShim
) -> None:
    native = Native(make_server(env=shim.env))
    output = start(native)
    native.server.kill()
    shim.spoil("write", "state/", error=errno.ENOSPC)
    with pytest.raises(NotStarted, match=r"No space left on device|no space left"):
        native.server.start()
    shim.heal()
    native.server.start()
    finish(native)
    assert len(output.read_text().splitlines()) == RECORDS


def test_data_folders_that_are_empty_for_once_lose_nothing(native: Native) -> None:
    output = start(native)
    server = native.server
    server.kill()
    away = server.folder / "unmounted"
    server.data.rename(away)
    server.data.mkdir()
    server.start()
    assert native.ok("GET", "/jobs/~titles")["state"] == "running"
    problem(native.call("POST", "/jobs/~titles/claim", {}), 404, "not-found")
    server.kill()
    server.data.rmdir()
    away.rename(server.data)
    server.start()
    settle_half(native)
    assert_whole(output)
