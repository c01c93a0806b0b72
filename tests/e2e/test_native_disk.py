"""The native surface on a spoiled disk."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.native import Native, problem
from harness.server_process import ServerProcess


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


@pytest.fixture
def shaky(make_server: Callable[..., ServerProcess], shim: FaultShim) -> Native:
    """A server whose disk fails on demand."""
    return Native(make_server(env=shim.env))


def test_a_full_disk_takes_nothing_and_the_same_call_works_later(
    shaky: Native, shim: FaultShim
) -> None:
    shaky.start()
    held = shaky.claim(max=2)
    body = {"lease": held["lease"]["token"], "results": [[0, "a"], [1, "b"]]}
    shim.spoil("write", "titles.jsonl", error=errno.ENOSPC)
    problem(shaky.call("POST", "/jobs/~titles/settle", body), 507, "no-space")
    assert shaky.ok("GET", "/jobs/~titles")["records"]["done"] == 0
    shim.heal()
    assert shaky.ok("POST", "/jobs/~titles/settle", body)["written"] == 2
    assert shaky.output() == ["a", "b"]


def test_an_output_that_cannot_be_written_is_told(shaky: Native, shim: FaultShim) -> None:
    shaky.start()
    held = shaky.claim(max=1)
    body = {"lease": held["lease"]["token"], "results": [[0, "a"]]}
    shim.spoil("write", "titles.jsonl", error=errno.EIO)
    told = problem(shaky.call("POST", "/jobs/~titles/settle", body), 500, "io")
    assert "titles.jsonl" in told["detail"]
    shim.heal()
    assert shaky.ok("POST", "/jobs/~titles/settle", body)["written"] == 1


def test_a_full_store_is_told_too(shaky: Native, shim: FaultShim) -> None:
    shaky.start()
    shim.spoil("write", "/state/", error=errno.ENOSPC)
    answer = shaky.call("POST", "/keys", {"name": "k", "scopes": ["read"]})
    problem(answer, 507, "no-space")
    shim.heal()
    shaky.ok("POST", "/keys", {"name": "k", "scopes": ["read"]}, status=201)
