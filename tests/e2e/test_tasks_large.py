"""Arguments and results that are too large for a row: they lie in blobs, and nobody notices."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.tasks import Later, Tasks

LARGE = {"text": "ä" * 100_000, "n": [1, 2.50, None]}
ROW_MAX = 256 << 10


def blob_files(server: ServerProcess) -> list[Path]:
    found = (server.state / "blobs").rglob("*")
    return [p for p in found if p.is_file() and p.parent.name != "new"]


def marks(server: ServerProcess) -> list[Path]:
    return list((server.state / "blobs" / "new").iterdir())


def rows(server: ServerProcess, sql: str) -> list[Any]:
    """What a copy of the store says: the server has its own to itself."""
    copy = server.folder / "copy"
    copy.mkdir(exist_ok=True)
    for name in ("penstock.db", "penstock.db-wal"):
        shutil.copyfile(server.state / name, copy / name)
    db = sqlite3.connect(copy / "penstock.db")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def is_sound(tasks: Tasks) -> None:
    told = tasks.ok("GET", "/doctor")
    assert told["faults"] == 0, told


def test_large_texts_come_back_as_they_were(tasks: Tasks, server: ServerProcess) -> None:
    raw = b'{"tasks":[{"function":"f","arguments": {"a" :%s, "b":1.50}}]}' % (
        b'"' + b"x" * 300_000 + b'"'
    )
    (made,) = tasks.ok("POST", "/tasks", raw, 201)["tasks"]
    task = made["id"]
    assert rows(server, "SELECT arguments, length(arguments_blob) FROM task") == [(None, 32)]
    answer = tasks.call("POST", "/work/claim", {"max": 10, "worker": "w"})
    assert b'"arguments":{"a" :"xxx' in answer.body and b'"b":1.50}' in answer.body
    told = answer.json()
    assert told["tasks"][0]["arguments"] == {"a": "x" * 300_000, "b": 1.5}
    lease = told["lease"]["token"]
    tasks.ok("POST", "/work/settle", {"lease": lease, "completed": [[task, LARGE]]})
    assert tasks.call("GET", f"/tasks/{task}/result").json() == LARGE
    shown = tasks.show(task)
    assert shown["arguments"]["b"] == 1.5 and shown["result"] == LARGE
    assert "blob_error" not in shown
    assert tasks.list() == [task]
    assert len(blob_files(server)) == 2 and marks(server) == []
    server.restart()
    assert tasks.show(task)["result"] == LARGE
    is_sound(tasks)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_border_is_exact(tasks: Tasks, server: ServerProcess, more: int) -> None:
    text = "x" * (ROW_MAX - 2 + more)
    (task,) = tasks.enqueue(arguments=text)
    assert len(blob_files(server)) == (more > 0)
    (got,) = tasks.work().got
    assert got["arguments"] == text and got["id"] == task


def test_equal_texts_are_one_blob(tasks: Tasks, server: ServerProcess) -> None:
    ids = tasks.enqueue(*[{"function": "f", "arguments": LARGE}] * 5)
    assert len(blob_files(server)) == 1
    assert rows(server, "SELECT refs FROM blob") == [(5,)]
    tasks.change("cancel", ids=ids[:3])
    tasks.change("delete", ids=ids[:3])
    assert rows(server, "SELECT refs, unused_at_us FROM blob") == [(2, 0)]
    tasks.change("cancel", all=True)
    tasks.change("delete", all=True)
    ((refs, unused),) = rows(server, "SELECT refs, unused_at_us FROM blob")
    assert refs == 0 and unused > 0, "its grace begins"
    is_sound(tasks)


def test_large_and_small_in_one_answer(tasks: Tasks) -> None:
    sent = [{"n": n, "text": "x" * (n % 3 * 270_000)} for n in range(9)]
    tasks.enqueue(*[{"function": "f", "arguments": s} for s in sent])
    assert [t["arguments"] for t in tasks.work().got] == sent


def test_a_settlement_takes_and_gives_large_ones(tasks: Tasks) -> None:
    tasks.enqueue({"function": "f"}, {"function": "f", "arguments": LARGE})
    worker = tasks.work(max=1)
    told = worker.settle(
        completed=[[worker.ids[0], LARGE]],
        enqueue=[{"of": worker.ids[0], "function": "g", "arguments": LARGE}],
        claim={"max": 5},
    )
    assert [t["arguments"] for t in told["tasks"]] == [LARGE, LARGE]
    is_sound(tasks)


def test_a_waiting_claim_gets_a_large_one(tasks: Tasks) -> None:
    waiting = Later(lambda: tasks.work(wait_s=60))
    tasks.enqueue(arguments=LARGE)
    assert waiting.take().got[0]["arguments"] == LARGE


def test_a_replaced_text_is_released(tasks: Tasks, server: ServerProcess) -> None:
    unique = {"key": "k", "on_clash": "replace"}
    (task,) = tasks.enqueue(arguments=LARGE, unique=unique)
    assert tasks.enqueue(arguments=[LARGE], unique=unique) == [task]
    assert rows(server, "SELECT refs FROM blob ORDER BY refs") == [(0,), (1,)]
    assert tasks.enqueue(arguments={}, unique=unique) == [task]
    assert rows(server, "SELECT refs FROM blob ORDER BY refs") == [(0,), (0,)]
    assert tasks.work().got[0]["arguments"] == {}
    is_sound(tasks)


def test_what_came_to_nothing_leaves_a_mark_for_the_sweep(
    tasks: Tasks, server: ServerProcess
) -> None:
    task = {"function": "f", "arguments": LARGE, "after": [99]}
    problem(tasks.call("POST", "/tasks", {"tasks": [task]}), 404, "parent")
    assert len(blob_files(server)) == 1 and len(marks(server)) == 1
    is_sound(tasks)
    server.restart()
    assert blob_files(server) == [] and marks(server) == []


@pytest.mark.parametrize("damage", ["gone", "other", "shorter"])
def test_a_task_whose_blob_is_damaged_fails_and_the_rest_goes_on(
    tasks: Tasks, server: ServerProcess, damage: str
) -> None:
    bad, good, small = tasks.enqueue(
        {"function": "f", "arguments": LARGE, "retry": {"kind": "fixed"}},
        {"function": "f", "arguments": [LARGE]},
        {"function": "f"},
    )
    ((name,),) = rows(server, f"SELECT lower(hex(arguments_blob)) FROM task WHERE id = {bad}")
    path = server.state / "blobs" / name[:2] / name[2:4] / name
    text = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(text[:-1] + b" " if damage == "other" else text[:-9])
    worker = tasks.work()
    assert worker.ids == [good, small]
    worker.complete()
    shown = tasks.show(bad, wait_s=30)
    assert shown["state"] == "failed" and shown["arguments"] is None
    assert shown["error"]["type"] == "BlobError" and shown["attempts"] == 1
    assert name in shown["error"]["message"] and name in shown["blob_error"]
    if damage != "other":
        told = tasks.ok("GET", "/doctor")
        assert any(name in finding["text"] for finding in told["findings"]), told
    assert [g["type"] for g in tasks.ok("GET", "/tasks/errors")["errors"]] == ["BlobError"]


def test_a_result_whose_blob_is_gone_is_told(tasks: Tasks, server: ServerProcess) -> None:
    (task,) = tasks.enqueue()
    tasks.work().complete(task, result=LARGE)
    blob_files(server)[0].unlink()
    problem(tasks.call("GET", f"/tasks/{task}/result"), 500, "store")
    assert tasks.show(task)["result"] is None


def test_an_answer_that_does_not_arrive_is_given_back(tasks: Tasks) -> None:
    text = "x" * (24 << 20)
    (task,) = tasks.enqueue(arguments=text)
    connection = tasks.wire.connect()
    connection.request("POST", "/v1/work/claim", body=json.dumps({"max": 1, "worker": "gone"}))
    answer = connection.getresponse()
    answer.read(1000)
    connection.close()
    (got,) = tasks.work(wait_s=30).got
    assert got["id"] == task and got["attempt"] == 1 and got["arguments"] == text


# A session's first claim is a commit of its own.
KILLED_AT = ["blob.written:1", "blob.marked:1", "blob.placed:1", "group.written:%d",
             "store.commit:%d", "group.answered:%d"]  # fmt: skip


@pytest.mark.parametrize("point", KILLED_AT)
@pytest.mark.parametrize("verb", ["enqueue", "settle"])
def test_a_kill_anywhere_leaves_no_text_missing_and_none_for_ever(
    tasks: Tasks, server: ServerProcess, verb: str, point: str
) -> None:
    if verb == "settle":
        tasks.enqueue()
    passes = point.replace("%d", "3" if verb == "settle" else "2")
    server.restart(env={"PENSTOCK_FAULT": f"{passes}:kill"})
    with contextlib.suppress(OSError, http.client.HTTPException):
        if verb == "settle":
            worker = tasks.work()
            worker.settle(completed=[[worker.ids[0], LARGE]])
        tasks.enqueue(arguments=LARGE)
        tasks.enqueue(arguments=LARGE)
    server.join()
    server.restart(env={})
    is_sound(tasks)
    assert marks(server) == []
    needed = rows(server, "SELECT count(*) FROM blob WHERE refs > 0")[0][0]
    assert len(blob_files(server)) == needed, "what nobody was told of is gone at the start"
    for task in tasks.list():
        assert "blob_error" not in tasks.show(task)


def test_a_full_disk_refuses_the_whole_request(tasks: Tasks, server: ServerProcess) -> None:
    (small,) = tasks.enqueue()
    server.restart(env={"PENSTOCK_FAULT": "blob.marked:2:full"})
    both = [{"function": "f", "arguments": LARGE}, {"function": "f", "arguments": [LARGE]}]
    problem(tasks.call("POST", "/tasks", {"tasks": both}), 507, "no-space")
    assert tasks.list() == [small]
    assert len(tasks.enqueue(*both)) == 2
    assert len(tasks.work().got) == 3
    is_sound(tasks)


def test_many_megabytes_are_not_held_while_they_are_handed_out(make_server: Any) -> None:
    server = make_server("--max-body", "130000000", name="large")
    tasks = Tasks(server)
    text = json.dumps({"text": "x" * 100_000_000})
    body = b'{"tasks":[{"function":"f","arguments":' + text.encode() + b"}]}"
    tasks.ok("POST", "/tasks", body, 201)
    server.restart()
    before = server.peak_rss_bytes()
    got = tasks.work(max=1)
    assert len(got.got[0]["arguments"]["text"]) == 100_000_000
    assert server.peak_rss_bytes() - before < 16 << 20, "the answer is streamed"
    got.complete()
    assert tasks.show(got.ids[0])["state"] == "completed"
    assert server.peak_rss_bytes() - before < 16 << 20


def test_what_is_larger_than_a_body_may_be_is_refused_clearly(make_server: Any) -> None:
    tasks = Tasks(make_server("--max-body", "1000000", name="small"))
    body = {"tasks": [{"function": "f", "arguments": "x" * 2_000_000}]}
    answer = tasks.call("POST", "/tasks", body)
    problem(answer, 413, "limit")
    assert "1000000" in answer.json()["detail"]
