"""The queue's part of the clients: fragments and blobs, plain and awaited."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.server_process import ROOT, ServerProcess

sys.path.insert(0, str(ROOT / "python"))
import penstock
from penstock import Fragment


@pytest.fixture
def client(server: ServerProcess) -> Iterator[penstock.Client]:
    with penstock.Client(server.url) as made:
        yield made


def test_fragments_replace_merge_and_are_iterated(client: penstock.Client) -> None:
    many = [Fragment(f"id-{n:04}", "o", "default", {"n": n}) for n in range(2500)]
    assert client.fragments.put("d\u00e9/1", many) == 2500
    again = [("id-0001", "o", "default", {"n": -1}), ("id-0001", "p", "x", {"m": 1})]
    assert client.fragments.put("d\u00e9/1", again) == 2
    loaded = list(client.fragments.load("d\u00e9/1", ["id-0002", "nobody", "id-0001"]))
    assert [one.id for one in loaded] == ["id-0001", "id-0001", "id-0002"]
    assert loaded[0] == Fragment("id-0001", "o", "default", {"n": -1})
    found = list(client.fragments.iterate("d\u00e9/1", page=100))
    assert len(found) == 2501 and [one.id for one in found] == sorted(one.id for one in found)
    assert len(list(client.fragments.iterate("d\u00e9/1", after="id-2497", page=1))) == 2
    client.fragments.delete("d\u00e9/1", id="id-0001", origin="p")
    assert len(list(client.fragments.load("d\u00e9/1", ["id-0001"]))) == 1
    (dataset,) = client.fragments.datasets()
    assert dataset["name"] == "d\u00e9/1" and dataset["fragments"] == 2500
    client.fragments.delete("d\u00e9/1")
    assert client.fragments.datasets() == []
    assert client.fragments.put("empty", []) == 0


def test_blobs_are_streamed_and_known_by_their_bytes(
    client: penstock.Client, tmp_path: Path
) -> None:
    content = os.urandom(3 << 20)
    name = hashlib.sha256(content).hexdigest()
    path = tmp_path / "file"
    path.write_bytes(content)
    for source in (path, content, io.BytesIO(content), iter([content[:7], b"", content[7:]])):
        blob = client.blobs.put(source)
        assert blob.sha256 == name and blob.bytes == len(content)
    assert client.blobs.exists(name) and client.blobs.get(name) == content
    assert sum(len(piece) for piece in client.blobs.stream(name)) == len(content)
    client.blobs.delete(name)
    assert not client.blobs.exists(name)
    with pytest.raises(penstock.NotFoundError):
        client.blobs.get(name)
    assert client.blobs.put(b"").bytes == 0


def test_a_source_that_fails_stores_nothing(client: penstock.Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        client.blobs.put(pieces())
    assert not client.blobs.exists(hashlib.sha256(b"half").hexdigest())
    assert client.health()["status"] == "ok"


def test_the_same_awaited(server: ServerProcess) -> None:
    async def check() -> None:
        async with penstock.AsyncClient(server.url) as client:
            assert await client.fragments.put("d", [("a", "o", "f", {"x": 1})]) == 1
            found = [one async for one in client.fragments.iterate("d")]
            assert found == [Fragment("a", "o", "f", {"x": 1})]
            assert [one.id async for one in client.fragments.load("d", ["a", "b"])] == ["a"]
            assert len(await client.fragments.datasets()) == 1
            blob = await client.blobs.put(b"bytes")
            assert await client.blobs.get(blob.sha256) == b"bytes"
            await client.blobs.delete(blob.sha256)

    asyncio.run(check())
