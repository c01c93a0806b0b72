"""The real client, unmodified: with the requests of today and with the one it pins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness.data_files import metadata, numbered, once_each, read_jsonl, write_jsonl
from harness.planchet_peer import FLAVOURS, PINNED, PlanchetPeer, Raised
from harness.server_process import ServerProcess
from harness.wire import Wire

WORKER = Path(__file__).parent.parent / "harness" / "worker_process.py"


def start(server: ServerProcess, client: PlanchetPeer, count: int, **more: Any) -> Path:
    source = write_jsonl(server.data / "in.jsonl", numbered(count))
    output = server.data / "out.jsonl"
    answer = client.start_job("j", metadata(source, output), "JsonlReader", "JsonlWriter", **more)
    assert (answer.status, answer.text) == (200, "null")
    return output


def test_the_old_requests_is_really_used() -> None:
    peer = PlanchetPeer("", "pinned")
    assert peer.requests_version == "2.23.0"
    peer.close()


def test_the_loop_of_the_users_text(server: ServerProcess, client: PlanchetPeer) -> None:
    output = start(server, client, 250)
    items = client.get("j", 100)
    while items:
        processed = []
        for number, item in items:
            item["hash"] = number * 2
            processed.append((number, item))
        assert client.send("j", processed).status == 200
        items = client.get("j", 100)
    once_each(read_jsonl(output), 250)
    assert client.get_job_report("j") == {"served": 0, "received": 250, "status": "COMPLETE"}
    assert client.check() == {
        "Redis status": "Online",
        "Number of jobs": 1,
        "Number of finished jobs": ["j"],
    }
    assert client.check() is not None


def test_errors_repair_clean_start_clean_and_delete(
    server: ServerProcess, client: PlanchetPeer
) -> None:
    output = start(server, client, 20)
    items = client.get("j", 10)
    assert client.send("j", items[:5]).status == 200
    assert client.mark_errors("j", [5, 6]).status == 200
    start(server, client, 20, cont=True)
    assert [i for i, _ in client.get("j", 100)] == [7, 8, 9, *range(10, 20)]
    assert len(read_jsonl(output)) == 5
    start(server, client, 20, clean_start=True)
    assert len(client.get("j", 100)) == 20
    assert client.clean_job("j").status == 200
    assert not output.exists()
    assert client.delete_job("j").status == 200
    assert client.get_job_report("j") == {}


def test_tokens_and_modes(server: ServerProcess, client: PlanchetPeer) -> None:
    start(server, client, 5, token="secret words")
    assert client.get("j", 2) is None
    items = client.get("j", 2, token="secret words")
    assert client.send("j", items).status == 403
    assert client.send("j", items, token="secret words").status == 200
    assert client.mark_errors("j", [3], token="secret words").status == 200
    told = metadata(None, server.data / "errors.jsonl")
    assert client.start_job("log", told, "", "JsonlWriter", mode="write").status == 200
    assert client.send("log", [(0, {"error": "x"})]).status == 200
    told = metadata(server.data / "in.jsonl", None)
    assert client.start_job("read", told, "JsonlReader", "", mode="read").status == 200
    assert len(client.get("read", 10)) == 5


def test_purge_with_none_as_master_token(server: ServerProcess, client: PlanchetPeer) -> None:
    output = start(server, client, 5)
    client.send("j", client.get("j", 5))
    assert client.purge_server(None).status == 200
    assert client.get_job_report("j") == {} and not output.exists()


def test_sending_with_overwrite(server: ServerProcess, client: PlanchetPeer) -> None:
    output = start(server, client, 3)
    items = client.get("j", 3)
    client.send("j", items)
    assert client.send("j", items, overwrite=True).status == 200
    assert len(read_jsonl(output)) == 6


@pytest.mark.parametrize("name", ["два слова", "a/b", 'q"q', "🐈", "a:b", "x*"])
def test_names_as_the_client_pastes_them(
    server: ServerProcess, client: PlanchetPeer, name: str
) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(3))
    told = metadata(source, server.data / "out.jsonl")
    assert client.start_job(name, told, "JsonlReader", "JsonlWriter").status == 200
    assert client.send(name, client.get(name, 3)).status == 200
    assert client.get(name, 3) == []
    assert client.get_job_report(name)["status"] == "COMPLETE"


def test_text_of_every_script_comes_back_as_it_was(
    server: ServerProcess, client: PlanchetPeer
) -> None:
    texts = ["é", "£5 °C it\u2019s", "кот", "猫", "🐈‍⬛", "\u2028", "a\\u0000b", 'q"\\']
    source = write_jsonl(server.data / "in.jsonl", [{"t": t} for t in texts])
    output = server.data / "out.jsonl"
    client.start_job("u", metadata(source, output), "JsonlReader", "JsonlWriter")
    items = client.get("u", 100)
    assert [item["t"] for _, item in items] == texts
    client.send("u", items)
    assert [record["t"] for record in read_jsonl(output)] == texts


def test_every_answer_tells_its_charset(server: ServerProcess, client: PlanchetPeer) -> None:
    start(server, client, 3)
    answer = client.send("j", client.get("j", 3))
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.encoding == "utf-8"


def test_the_client_waits_for_a_server_that_is_away(
    server: ServerProcess, client: PlanchetPeer
) -> None:
    start(server, client, 10)
    items = client.get("j", 5)
    server.kill()
    client.post("send", "j", items)
    server.start()
    assert client.take().status == 200
    assert len(client.get("j", 10)) == 5


def test_a_client_of_a_server_that_never_comes_raises(client: PlanchetPeer) -> None:
    client.url = "http://127.0.0.1:9"
    with pytest.raises(Raised):
        client.get("j", 5, retries=0)


def workers(server: ServerProcess, count: int, flavour: str, *args: str) -> None:
    """Runs so many worker processes at once, to their end."""
    env = {**os.environ, **({"PYTHONPATH": str(PINNED)} if flavour == "pinned" else {})}
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), server.url, *args], env=env, stderr=subprocess.PIPE
        )
        for _ in range(count)
    ]
    said = [(w.communicate(timeout=100)[1], w.returncode) for w in running]
    assert [code for _, code in said] == [0] * count, said


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_eight_workers_lose_nothing_and_double_nothing(
    server: ServerProcess, wire: Wire, flavour: str
) -> None:
    count = 20_000
    source = write_jsonl(server.data / "in.jsonl", numbered(count))
    output = server.data / "out.jsonl"
    wire.scramble("j", metadata(source, output), "JsonlReader", "JsonlWriter")
    workers(server, 8, flavour, "j", "97")
    once_each(read_jsonl(output), count)
    assert wire.report("j") == {"served": 0, "received": count, "status": "COMPLETE"}


def test_eight_workers_that_send_everything_twice(server: ServerProcess, wire: Wire) -> None:
    count = 5_000
    source = write_jsonl(server.data / "in.jsonl", numbered(count))
    output = server.data / "out.jsonl"
    wire.scramble("j", metadata(source, output), "JsonlReader", "JsonlWriter")
    workers(server, 8, "current", "j", "50", "2")
    once_each(read_jsonl(output), count)


def test_workers_go_on_over_a_killed_server_and_a_killed_worker(
    server: ServerProcess, wire: Wire
) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(100))
    output = server.data / "out.jsonl"
    wire.scramble("j", metadata(source, output), "JsonlReader", "JsonlWriter")
    doomed = subprocess.Popen(
        [sys.executable, str(WORKER), server.url, "j", "30", "slow"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert doomed.stdin and doomed.stdout
    assert doomed.stdout.readline().split() == [b"%d" % n for n in range(30)]
    doomed.stdin.write(b"go\n")
    doomed.stdin.flush()
    assert doomed.stdout.readline().split() == [b"%d" % n for n in range(30, 60)]
    doomed.kill()  # it holds 30 records, and nobody will ever send them
    doomed.communicate()
    server.restart()
    workers(server, 2, "current", "j", "9")
    once_each(read_jsonl(output), 100)
    assert wire.report("j")["status"] == "COMPLETE"


def test_worker_processes_and_the_server_killed_again_and_again(
    server: ServerProcess, wire: Wire
) -> None:
    """A worker whose call is cut off raises and ends, as users know it: another takes its place."""
    count = 6_000
    source = write_jsonl(server.data / "in.jsonl", numbered(count))
    output = server.data / "out.jsonl"
    told = metadata(source, output)
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200

    def worker() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(WORKER), server.url, "j", "20"], stderr=subprocess.DEVNULL
        )

    running = [worker() for _ in range(3)]
    for share in range(1, 6):
        while wire.report("j")["received"] < count * share // 7:
            running = [w if w.poll() is None else worker() for w in running]
        running[share % 3].kill()
        server.restart()
    for w in running:
        w.wait()
    # What the killed workers held since the last restart comes back by a repair.
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter", cont=True).status == 200
    workers(server, 3, "current", "j", "100")
    once_each(read_jsonl(output), count)
    assert wire.report("j") == {"served": 0, "received": count, "status": "COMPLETE"}
