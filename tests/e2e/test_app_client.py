"""The queue's part of the clients: fragments and blobs, plain and awaited."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
import sys
import time
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


def test_tasks_are_listed_counted_and_controlled(client: penstock.Client) -> None:
    new = [{"function": "f", "queue": "q", "key": f"k{n % 2}", "batch": "b"} for n in range(10)]
    ids = [id for id, _ in client.tasks.enqueue(new)]
    assert [task.id for task in client.tasks.list(page=3, queue="q")] == ids
    assert len(list(client.tasks.list(key="k1"))) == 5
    assert not list(client.tasks.list(state="completed"))
    assert client.tasks.status(batch="b")["counts"]["pending"] == 10
    told = client.tasks.cancel(key="k0")
    assert (told.matched, told.changed) == (5, 5)
    assert client.tasks.retry(ids=ids[:2]).changed == 1
    assert client.tasks.delete(state="cancelled").changed == 4
    with pytest.raises(penstock.NotFoundError):
        client.tasks.get(ids[2])
    with pytest.raises(penstock.InvalidError, match="say all=True"):
        client.tasks.delete()
    assert client.tasks.cancel(all=True).changed == 6
    assert client.tasks.errors() == [] and client.workers() == []
    with pytest.raises(penstock.NotFoundError):
        client.tasks.enqueue([{"function": "f", "after": [10**9]}])
    assert client.tasks.enqueue([]) == []


def test_queues_functions_limits_and_schedules(client: penstock.Client) -> None:
    client.tasks.enqueue([{"function": "f/1", "queue": "q \u00e9"}])
    client.queues.pause("q \u00e9")
    client.queues.configure("q \u00e9", concurrency=3, rpm=60, fair=True)
    client.functions.configure("f/1", concurrency=2)
    (queue,) = [one for one in client.queues.list() if one["name"] == "q \u00e9"]
    assert queue["paused"] and queue["concurrency"] == 3 and queue["fair"]
    client.queues.resume("q \u00e9")
    client.queues.configure("q \u00e9", concurrency=None)
    (queue,) = [one for one in client.queues.list() if one["name"] == "q \u00e9"]
    assert not queue["paused"] and queue["concurrency"] is None
    (function,) = [one for one in client.functions.list() if one["name"] == "f/1"]
    assert function["concurrency"] == 2
    client.limits.put("l", "d-*", concurrency=2)
    assert [one["pattern"] for one in client.limits.list()] == ["d-*"]
    client.limits.delete("l")
    assert client.limits.list() == []
    client.schedules.put("s/1", function="f/1", cron="0 7 * * *", zone="Europe/Vienna")
    assert client.schedules.get("s/1")["cron"] == "0 7 * * *"
    client.schedules.run("s/1")
    assert [one["name"] for one in client.schedules.list()] == ["s/1"]
    client.schedules.delete("s/1")
    assert len(list(client.tasks.list(function="f/1"))) == 2


def test_odd_input_works_or_is_told(server: ServerProcess) -> None:
    app = penstock.App(server.url)
    odd = "\U0001f41f" * 50
    task = app.configure_task(odd, queue=odd, key=odd, lock=odd, batch=odd)
    handle = task.defer(text="\0\u00e9\U0001f41f", big="x" * (1 << 20), n=1 << 70, none=None)
    info = handle.status()
    assert info.queue == odd and info.function == odd and info.lock == odd
    assert info.arguments["text"] == "\0\u00e9\U0001f41f" and len(info.arguments["big"]) == 1 << 20
    assert app.handle(handle.id).cancel()
    with pytest.raises(penstock.ArgumentsError, match="is nan, which is no JSON"):
        task.defer(x=float("nan"))
    with pytest.raises(penstock.LimitError):
        task.defer(x="x" * (100 << 20))
    with pytest.raises(penstock.InvalidError, match="queue is 1 to 512 bytes"):
        app.configure_task("f", queue="q" * 513)
    assert app.client.health()["status"] == "ok"


LARGE = [2**63, 2**64, -(2**70), 10**40]


def test_integers_of_any_size_stay_what_they_are(client: penstock.Client) -> None:
    ((task, _),) = client.tasks.enqueue([{"function": "f", "arguments": {"n": LARGE}}])
    assert client.tasks.get(task).arguments == {"n": LARGE}
    client.fragments.put("large", [("a", "o", "f", {"n": 2**62})])
    assert next(client.fragments.load("large", ["a"])).data == {"n": 2**62}


def test_who_was_never_there_is_not_waited_for_long() -> None:
    with socket.socket() as none:
        none.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{none.getsockname()[1]}"
        told = f"no server can be reached at {url.removeprefix('http://')}: .*refused"
        began_s = time.monotonic()
        with pytest.raises(penstock.ConnectionLostError, match=told):
            penstock.Client(url).health()

        async def ask() -> None:
            async with penstock.AsyncClient(url) as client:
                await client.health()

        with pytest.raises(penstock.ConnectionLostError, match="no server can be reached"):
            asyncio.run(ask())
        assert time.monotonic() - began_s < 25, "each gives up long before its patience ends"
