"""Schedules: what they say, when they are due, what becomes of what was missed."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from harness.native import Native, problem
from harness.server_process import ServerProcess

DEADLINE_S = 60.0


def put(native: Native, name: str, **members: Any) -> Any:
    return native.ok("PUT", f"/schedules/{quote(name, safe='')}", {"function": "f", **members})


def tasks(native: Native) -> list[Any]:
    listed: list[Any] = native.ok("GET", "/tasks")["tasks"]
    return listed


def wait_for_tasks(native: Native, count: int) -> list[Any]:
    deadline = time.monotonic() + DEADLINE_S
    while len(found := tasks(native)) < count:
        assert time.monotonic() < deadline, found
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_a_schedule_is_set_shown_replaced_and_deleted(
    server: ServerProcess, native: Native
) -> None:
    made = put(native, "Üñï/cödé", cron="0 7 29 2 *", zone="Europe/Vienna", retry={"delay_s": 2})
    assert made["name"] == "Üñï/cödé" and made["function"] == "f" and made["queue"] == "default"
    assert made["cron"] == "0 7 29 2 *" and made["every_s"] is None
    assert made["zone"] == "Europe/Vienna" and made["missed"] == "skip" and made["paused"] is False
    assert made["retry"] == {"delay_s": 2} and made["arguments"] == {}
    assert made["next_at"].endswith("-02-29T06:00:00.000Z")
    assert made["last_at"] is None and made["last_task"] is None and made["failure"] is None
    members = {
        "queue": "q",
        "arguments": {"a": [1, 2.50]},
        "priority": -3,
        "key": "k",
        "batch": "b",
        "lock": "l",
        "max_attempts": 7,
        "timeout_s": 5,
        "keep_s": 9,
        "every_s": 86400 * 300,
        "missed": "all",
        "pass_time": True,
    }
    other = put(native, "other", **members)
    assert {name: other[name] for name in members} == members
    server.restart()
    listed = native.ok("GET", "/schedules")["schedules"]
    assert [one["name"] for one in listed] == ["other", "Üñï/cödé"]
    assert {name: listed[0][name] for name in members} == members
    assert native.ok("GET", "/schedules/other") == listed[0]
    again = put(native, "other", cron="@yearly", paused=True)
    assert again["created_at"] == other["created_at"]
    assert again["key"] is None and again["next_at"] is None and again["zone"] == "UTC"
    assert native.call("DELETE", "/schedules/other").status == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/run")):
        problem(native.call(method, f"/schedules/other{path}"), 404, "not-found")
    assert [one["name"] for one in native.ok("GET", "/schedules")["schedules"]] == ["Üñï/cödé"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "either cron or every_s"),
        ({"cron": "@daily", "every_s": 5}, "either cron or every_s"),
        ({"cron": "61 * * * *"}, "cron: minute: 61"),
        ({"cron": "0 0 30 2 *"}, "no such month has such a day"),
        ({"cron": "@daily", "zone": "Europe/Wien"}, "there is no time zone Europe/Wien"),
        ({"cron": "@daily", "zone": "../../../etc/passwd"}, "there is no time zone"),
        ({"every_s": 5, "zone": "UTC"}, "zone: goes with cron only"),
        ({"every_s": 0.5}, "every_s: "),
        ({"every_s": 5, "missed": "some"}, "missed: "),
        ({"every_s": 5, "pass_time": True, "arguments": [1]}, "pass_time: "),
        ({"every_s": 5, "run_at": "2030-01-01T00:00:00Z"}, "run_at: a schedule has none"),
        ({"every_s": 5, "unique": {"key": "x"}}, "unique: a schedule has none"),
        ({"every_s": 5, "after": [1]}, "after: a schedule has none"),
        ({"every_s": 5, "of": 1}, "of: a schedule has none"),
        ({"every_s": 5, "function": None}, "function: is required"),
        ({"every_s": 5, "priority": 99999}, "priority: "),
        ({"every_s": 5, "colour": 1}, "colour"),
    ],
)
def test_what_cannot_be_right_is_refused_and_named(
    native: Native, members: dict[str, Any], why: str
) -> None:
    answer = native.call("PUT", "/schedules/x", {"function": "f", **members})
    told = problem(answer, 400, "invalid")
    assert why in told["detail"] and "tasks[" not in told["detail"], told
    assert native.ok("GET", "/schedules")["schedules"] == []


def test_names_have_their_limits(native: Native) -> None:
    body = {"function": "f", "every_s": 5}
    for name in ("x" * 201, "a%0Ab"):
        problem(native.call("PUT", f"/schedules/{name}", body), 400, "invalid")
    assert native.call("PUT", "/schedules/" + "x" * 200, body).status == 200
    for bad in (b"", b"[]", b"{", b'{"function":"f","every_s":5}x'):
        problem(native.call("PUT", "/schedules/x", bad), 400, "invalid")


def test_ticks_enqueue_tasks_each_once(server: ServerProcess, native: Native) -> None:
    put(native, "s", every_s=1, queue="q", arguments={"a": 1}, pass_time=True, key="k")
    found = wait_for_tasks(native, 3)
    server.restart()
    found = wait_for_tasks(native, len(found) + 1)
    native.call("DELETE", "/schedules/s")
    times = []
    for one in found:
        whole = native.ok("GET", f"/tasks/{one['id']}")
        assert (whole["function"], whole["queue"], whole["key"]) == ("f", "q", "k")
        assert whole["arguments"]["a"] == 1
        times.append(whole["arguments"]["timestamp"])
        assert whole["unique"] == f"schedule/s/{times[-1]}"
    assert len(set(times)) == len(times) and sorted(times) == times
    assert all(moment(text).microsecond == 0 for text in times)


def test_a_schedule_runs_when_it_is_told_to(native: Native) -> None:
    put(native, "s", cron="@yearly", paused=True, arguments={"a": 1}, pass_time=True)
    ids = [native.ok("POST", "/schedules/s/run", status=201)["id"] for _ in range(2)]
    assert ids[0] < ids[1]
    told = native.ok("GET", f"/tasks/{ids[0]}")
    age = datetime.now(UTC) - moment(told["arguments"]["timestamp"])
    assert abs(age.total_seconds()) < DEADLINE_S
    assert native.ok("GET", "/schedules/s")["last_at"] is None


def test_a_paused_schedule_is_silent_and_has_missed_nothing(native: Native) -> None:
    put(native, "silent", every_s=1, missed="all", paused=True)
    put(native, "loud", every_s=1)
    wait_for_tasks(native, 3)
    assert {one["unique"].split("/")[1] for one in details(native)} == {"loud"}
    put(native, "silent", every_s=86400 * 300, missed="all")
    assert native.ok("GET", "/schedules/silent")["last_at"] is None


def details(native: Native) -> list[Any]:
    return [native.ok("GET", f"/tasks/{one['id']}") for one in tasks(native)]


@pytest.mark.parametrize(("missed", "least"), [("skip", 0), ("once", 1), ("all", 3)])
def test_what_was_missed_while_the_server_was_down(
    make_server: Callable[..., ServerProcess], missed: str, least: int
) -> None:
    """The store is told that the schedule was set some hours ago, as if it had been."""
    server = make_server()
    native = Native(server)
    put(native, "s", every_s=3600, missed=missed)
    server.stop()
    now = time.time()
    if (now + 300) % 3600 < 600:
        pytest.skip("an hour begins about now: ticks of the present would count among the missed")
    hours_ago = int((now - 3 * 3600) * 1e6)
    change_store(server, f"UPDATE schedule SET set_at_us = {hours_ago}")
    server.start()
    wait_for_tasks(native, least)
    put(native, "last", every_s=1)  # once it has run, the others had their turn
    deadline = time.monotonic() + DEADLINE_S
    while not native.ok("GET", "/schedules/last")["last_at"]:
        assert time.monotonic() < deadline
    ran = [one for one in details(native) if one["unique"].startswith("schedule/s/")]
    assert len(ran) == least
    assert moment(native.ok("GET", "/schedules/s")["next_at"]).timestamp() > now


def change_store(server: ServerProcess, sql: str) -> None:
    with sqlite3.connect(os.fspath(server.state / "penstock.db")) as db:
        db.execute(sql)
    db.close()


@pytest.mark.parametrize("point", ["group.written:4", "store.commit:5", "group.answered:2"])
def test_a_kill_at_a_tick_makes_no_second_one(
    make_server: Callable[..., ServerProcess], point: str
) -> None:
    server = make_server()
    native = Native(server)
    put(native, "s", every_s=1, missed="all")
    server.restart(env={"PENSTOCK_FAULT": f"{point}:kill"})
    server.join()
    server.start(env={})
    found = wait_for_tasks(native, 3)
    native.call("DELETE", "/schedules/s")
    uniques = [native.ok("GET", f"/tasks/{one['id']}")["unique"] for one in found]
    assert len(set(uniques)) == len(uniques)
    moments = sorted(moment(text.rsplit("/", 1)[1]).timestamp() for text in uniques)
    assert [b - a for a, b in itertools.pairwise(moments)] == [1.0] * (len(moments) - 1)
