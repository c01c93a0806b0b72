"""The commands about schedules, as people and programs use them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from harness.native import Native
from harness.server_process import ServerProcess


def good(server: ServerProcess, *args: str) -> str:
    done = server.run_cli("schedule", *args)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def listed(server: ServerProcess) -> list[Any]:
    return [json.loads(line) for line in good(server, "list", "--json").splitlines()]


def test_schedules_are_set_listed_run_and_deleted(server: ServerProcess, native: Native) -> None:
    assert re.fullmatch(
        r"leap day is set, next: \d{4}-02-29T06:00:00.000Z\n",
        good(server, "set", "leap day", "f", "--cron", "0 7 29 2 *", "--zone", "Europe/Vienna"),
    )
    args = [
        "--every", "300", "--missed", "once", "--paused", "--pass-time", "--queue", "q", "--json",
        "--priority", "5", "--of", "d1", "--batch", "b", "--lock", "l", "--max-attempts", "3",
        "--retry", '{"kind":"fixed"}', "--timeout", "2.5",
    ]  # fmt: skip
    told = json.loads(good(server, "set", "other", "g", '{"a":[1]}', *args))
    expected = {
        "name": "other", "function": "g", "queue": "q", "arguments": {"a": [1]}, "priority": 5,
        "key": "d1", "batch": "b", "lock": "l", "max_attempts": 3, "retry": {"kind": "fixed"},
        "timeout_s": 2.5, "cron": None, "every_s": 300, "zone": None, "missed": "once",
        "paused": True, "pass_time": True, "next_at": None,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert [one["name"] for one in listed(server)] == ["leap day", "other"]
    rows = [re.split(r"\s{2,}", line.strip()) for line in good(server, "list").splitlines()]
    assert rows[0][:4] == ["SCHEDULE", "WHEN", "ZONE", "FUNCTION"]
    assert rows[1][:4] == ["leap day", "0 7 29 2 *", "Europe/Vienna", "f"]
    assert rows[2][:5] == ["other", "every 300 s", "-", "g", "paused"]
    task = int(good(server, "run", "other"))
    assert native.ok("GET", f"/tasks/{task}")["arguments"]["a"] == [1]
    assert json.loads(good(server, "run", "other", "--json"))["id"] == task + 1
    assert good(server, "delete", "other") == "other is deleted\n"
    assert [one["name"] for one in listed(server)] == ["leap day"]


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (["set", "s", "f"], 2, "either cron or every_s"),
        (["set", "s", "f", "--cron", "x"], 2, "fields"),
        (["set", "s", "f", "--cron", "@daily", "--zone", "Mars"], 2, "no time zone Mars"),
        (["set", "s", "f", "--every", "soon"], 2, '--every: "soon" is no number'),
        (["set", "s", "f", "{", "--every", "5"], 2, "arguments: byte 1"),
        (["set", "s", "f", "--every", "5", "--retry", "{"], 2, '--retry: "{" is no JSON'),
        (["set", "s"], 2, "FUNCTION"),
        (["run", "s"], 1, "there is no schedule s"),
        (["delete", "s"], 1, "there is no schedule s"),
    ],
)
def test_what_cannot_be_right_is_told(
    server: ServerProcess, args: list[str], status: int, why: str
) -> None:
    done = server.run_cli("schedule", *args)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert why in done.stderr and done.stdout == ""
    assert listed(server) == []
