"""Disks that are full or broken while blobs and fragments come: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.native import Native, problem
from harness.server_process import ServerProcess

BEFORE = b"before"
LARGE = bytes(3 << 20)


def files_in(server: ServerProcess) -> list[str]:
    return sorted(p.name for p in (server.state / "blobs").rglob("*") if p.is_file())


def named(*blobs: bytes) -> list[str]:
    return sorted(hashlib.sha256(blob).hexdigest() for blob in blobs)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("kind", "after"), [("write", 0), ("write", 2), ("sync", 0)])
def test_a_disk_that_does_not_take_a_blob(
    server: ServerProcess, shim: FaultShim, kind: str, after: int, number: int
) -> None:
    native = Native(server)
    native.ok("POST", "/blobs", BEFORE, status=201)
    shim.spoil(kind, "/state/blobs", error=number, after=after)
    answer = native.call("POST", "/blobs", LARGE)
    assert shim.seen(kind)
    full = number == errno.ENOSPC
    problem(answer, 507 if full else 500, "no-space" if full else "io")
    shim.heal()
    assert native.call("GET", f"/blobs/{named(BEFORE)[0]}").body == BEFORE
    native.ok("POST", "/blobs", LARGE, status=201)
    server.restart()
    assert files_in(server) == named(BEFORE, LARGE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_store_that_does_not_take_a_blob_or_fragments(
    server: ServerProcess, shim: FaultShim, number: int
) -> None:
    native = Native(server)
    native.ok("POST", "/fragments/d", b'["a","o","f",{"n":1}]\n')
    shim.spoil("write", "/state/penstock.db", error=number)
    for path, body in (("/blobs", LARGE), ("/fragments/d", b'["a","o","f",{"n":2}]\n')):
        answer = native.call("POST", path, body)
        assert answer.status in (500, 507), answer
        assert number != errno.ENOSPC or answer.status == 507
    assert native.call("DELETE", "/fragments/d").status in (500, 507)
    shim.heal()
    assert load(native) == {"n": 1}
    native.ok("POST", "/fragments/d", b'["a","o","f",{"n":2}]\n')
    assert load(native) == {"n": 2}
    server.restart()
    assert files_in(server) == [], "nobody was told that it was kept"
    assert load(native) == {"n": 2}


def load(native: Native) -> object:
    answer = native.call("POST", "/fragments/d/load", {"ids": ["a"]})
    (line,) = answer.body.splitlines()
    return json.loads(line)[3]


def test_a_damaged_state_folder_is_told(server: ServerProcess) -> None:
    server.stop()
    folder: Path = server.state / "blobs"
    (folder / "new").rmdir()
    folder.rmdir()
    folder.write_text("not a folder")
    with pytest.raises(Exception, match="blobs"):
        server.start()
