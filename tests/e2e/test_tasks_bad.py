"""Whatever is sent about tasks gets a clear answer, and the server goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.tasks import Tasks

LEASE = "0" * 32
ONE = {"function": "f"}


@pytest.mark.parametrize(
    ("task", "detail"),
    [
        ({}, "tasks[1].function: is required"),
        ({**ONE, "priority": "x"}, "tasks[1].priority: expected a whole number"),
        ({**ONE, "priorty": 1}, 'tasks[1]: unknown member "priorty"'),
        ({**ONE, "queue": ""}, "tasks[1].queue: expected 1 to 512 bytes"),
        ({**ONE, "queue": "x" * 513}, "tasks[1].queue: expected 1 to 512 bytes"),
        ({**ONE, "key": "a\nb"}, "tasks[1].key: expected 1 to 512 bytes"),
        ({**ONE, "function": "a\0"}, "tasks[1].function: expected 1 to 512 bytes"),
        ({**ONE, "run_at": "tomorrow"}, "tasks[1].run_at: expected a time"),
        ({**ONE, "delay_s": -1}, "tasks[1].delay_s: expected seconds"),
        ({**ONE, "max_attempts": 0}, "tasks[1].max_attempts: expected"),
        ({**ONE, "timeout_s": "1"}, "tasks[1].timeout_s: expected seconds"),
        ({**ONE, "retry": {"kind": "soon"}}, "tasks[1].retry.kind: expected"),
        ({**ONE, "retry": {"delay": 1}}, "tasks[1].retry"),
        ({**ONE, "unique": {}}, "tasks[1].unique.key: is required"),
        ({**ONE, "after": [0]}, "tasks[1].after[0]: 0 is neither"),
        ({**ONE, "after": [-3]}, "tasks[1].after[0]: -3 is neither"),
        ({**ONE, "after_when": "x"}, "tasks[1].after_when: expected one of"),
        ({**ONE, "of": 1}, "tasks[1].of: goes with a settlement only"),
        (None, "tasks[1]: expected an object, not null"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tasks: Tasks, task: Any, detail: str) -> None:
    told = problem(tasks.call("POST", "/tasks", {"tasks": [ONE, task]}), 400, "invalid")
    assert told["detail"].startswith(detail)
    assert tasks.list() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"tasks":[{"function":"f","arguments":NaN}]}',
        b'{"tasks":[{"function":"f","arguments":Infinity}]}',
        b'{"tasks":[{"function":"f","arguments":"\\ud800"}]}',
        b'{"tasks":[{"function":"f","arguments":"\xff"}]}',
        b'{"tasks":[{"function":"f","arguments":' + b"[" * 100 + b"]" * 100 + b"}]}",
        b'{"tasks":[{"function":"f"}',
        b'{"tasks":[{"function":"f"}]}{}',
    ],
)
def test_what_is_no_json_is_refused_with_its_byte(tasks: Tasks, body: bytes) -> None:
    told = problem(tasks.call("POST", "/tasks", body), 400, "invalid")
    assert "byte " in told["detail"] or "is required" in told["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/tasks", '{"tasks":[],"tasks":[{"function":"f"}]}', "tasks: is given twice"),
        (
            "POST",
            "/tasks",
            '{"tasks":[{"function":"f","priority":1,"pri\\u006frity":2}]}',
            "tasks[0].pri\\u006frity: is given twice",
        ),
        (
            "POST",
            "/tasks",
            '{"tasks":[{"function":"f","after":[1],"after":[]}]}',
            "tasks[0].after: is given twice",
        ),
        (
            "POST",
            "/tasks",
            '{"tasks":[{"function":"f","unique":{"key":"a","key":"b"}}]}',
            "tasks[0].unique.key: is given twice",
        ),
        (
            "POST",
            "/tasks",
            '{"tasks":[{"function":"f","retry":{"kind":"fixed","kind":"linear"}}]}',
            "tasks[0].retry.kind: is given twice",
        ),
        (
            "POST",
            "/tasks",
            '{"tasks":[{"function":"f","retry":{"errors":[{"type":"A","type":"B"}]}}]}',
            "tasks[0].retry.errors[0].type: is given twice",
        ),
        ("POST", "/work/claim", '{"max":1,"max":2}', "max: is given twice"),
        (
            "POST",
            "/work/settle",
            '{"lease":"0","claim":{"max":1,"max":1}}',
            "claim.max: is given twice",
        ),
        ("POST", "/work/settle", '{"aborted":[],"aborted":[1]}', "aborted: is given twice"),
        (
            "POST",
            "/work/settle",
            '{"failures":[[1,{"final":true,"final":false}]]}',
            "failures[0].final: is given twice",
        ),
        ("POST", "/tasks/cancel", '{"queue":"a","queue":"b"}', "queue: is given twice"),
        ("PATCH", "/queues/q", '{"paused":true,"paused":false}', "paused: is given twice"),
        (
            "PUT",
            "/schedules/s",
            '{"every_s":5,"function":"f","every_s":6}',
            "every_s: is given twice",
        ),
        (
            "PUT",
            "/schedules/s",
            '{"every_s":5,"function":"f","retry":{"errors":[{"type":"A","retry":true,"retry":false}]}}',
            "retry.errors[0].retry: is given twice",
        ),
        ("POST", "/jobs", '{"name":"a","name":"b"}', "name: is given twice"),
        (
            "POST",
            "/jobs",
            '{"mode":"read","source":{"path":"a.csv","path":"b.csv"}}',
            "source.path: is given twice",
        ),
        (
            "POST",
            "/jobs",
            '{"source":{"path":"a"},"limits":{"rpm":1,"\\u0072pm":2}}',
            "limits.\\u0072pm: is given twice",
        ),
        (
            "POST",
            "/jobs",
            '{"resume":true,"portion":{"limit":1,"limit":null}}',
            "portion.limit: is given twice",
        ),
        ("POST", "/flows", '{"nodes":[],"nodes":[]}', "nodes: is given twice"),
        (
            "POST",
            "/flows",
            '{"nodes":[{"id":1,"name":"a","name":"b","command":"true"}]}',
            "nodes[0].name: is given twice (node 1)",
        ),
    ],
)
def test_a_member_that_is_given_twice_is_named(
    tasks: Tasks, method: str, path: str, body: str, detail: str
) -> None:
    told = problem(tasks.call(method, path, body.encode()), 400, "invalid")
    assert told["detail"] == detail
    assert tasks.list() == []


def test_arguments_may_say_a_name_twice(tasks: Tasks) -> None:
    """They are the user's, and stay as they came."""
    body = b'{"tasks":[{"function":"f","arguments":{"a":1,"a":2}}]}'
    assert tasks.call("POST", "/tasks", body).status == 201
    assert tasks.work().got[0]["arguments"] == {"a": 2}


def test_an_argument_may_hold_a_nul_character(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(arguments={"a\0": "\0"})
    assert tasks.work().got[0]["arguments"] == {"a\0": "\0"}
    assert tasks.show(task)["arguments"] == {"a\0": "\0"}


def test_a_circle_of_tasks_is_refused(tasks: Tasks) -> None:
    circle = [{**ONE, "after": [-2]}, {**ONE, "after": [-3]}, {**ONE, "after": [-1]}, ONE]
    told = problem(tasks.call("POST", "/tasks", {"tasks": circle}), 400, "invalid")
    assert "1" in told["detail"] and "2" in told["detail"] and "3" in told["detail"]
    problem(tasks.call("POST", "/tasks", {"tasks": [{**ONE, "after": [-1]}]}), 400, "invalid")
    assert tasks.list() == []


def test_a_parent_that_nobody_knows_is_refused(tasks: Tasks) -> None:
    told = problem(tasks.call("POST", "/tasks", {"tasks": [{**ONE, "after": [99]}]}), 404, "parent")
    assert told["detail"] == "tasks[0]: it waits for task 99, which is not there"


def test_hundred_megabytes_of_arguments_work_or_are_refused(make_server: Any) -> None:
    text = b"x" * (100 << 20)
    body = b'{"tasks":[{"function":"f","arguments":"' + text + b'"}]}'
    small: ServerProcess = make_server("--max-body", "10M", name="small")
    told = problem(Tasks(small).call("POST", "/tasks", body), 413, "limit")
    assert "larger than" in told["detail"]
    large: ServerProcess = make_server("--max-body", "200M", name="large")
    tasks = Tasks(large)
    task = tasks.ok("POST", "/tasks", body, 201)["tasks"][0]["id"]
    worker = tasks.work()
    assert worker.ids == [task] and len(worker.got[0]["arguments"]) == len(text)
    assert worker.complete(task)["completed"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/work/claim", {"max": -1}, "max: expected"),
        ("POST", "/work/claim", {"queues": []}, "queues: expected at least one"),
        ("POST", "/work/claim", {"queues": ["a", 1]}, "queues[1]: expected a name"),
        ("POST", "/work/claim", {"lease": "x"}, "lease: expected a token"),
        ("POST", "/work/claim", {"lease": 7}, "lease: expected a token"),
        ("POST", "/work/claim", {"holds": [1]}, "holds: goes with lease"),
        ("POST", "/work/claim", {"wait_s": 3601}, "wait_s: expected seconds"),
        ("POST", "/work/claim", {"lease_s": 0.1}, "lease_s: expected seconds"),
        ("POST", "/work/claim", {"worker": "x" * 201}, "worker: expected a name of up to 200"),
        ("POST", "/work/settle", {}, "lease: is required"),
        ("POST", "/work/settle", {"lease": LEASE, "completed": [7]}, "completed[0]: expected a"),
        ("POST", "/work/settle", {"lease": LEASE, "failures": [[7, 8]]}, "failures[0]: expected"),
        ("POST", "/work/settle", {"lease": LEASE, "done": []}, 'unknown member "done"'),
        ("POST", "/work/settle", {"lease": LEASE, "enqueue": [{}]}, "enqueue[0].function: is"),
        ("POST", "/work/settle", {"lease": LEASE, "claim": {"wait_s": 1}}, "claim.wait_s: expect"),
        ("POST", "/work/extend", {}, "lease: is required"),
        ("POST", "/work/extend", {"lease": LEASE, "wait_s": 3601}, "wait_s: expected seconds"),
        ("POST", "/work/extend", {"lease": LEASE, "progress": 5}, "progress: expected a list"),
        ("POST", "/work/extend", {"lease": LEASE, "progress": [[1, 2]]}, "progress[0]: expected"),
        ("POST", "/work/extend", {"lease": LEASE, "holds": "x"}, "holds: expected a list of ids"),
        ("POST", "/work/release", {"lease": LEASE, "died": 1}, "died: expected true or false"),
        ("POST", "/tasks/cancel", {}, "which tasks?"),
        ("POST", "/tasks/cancel", {"ids": "x"}, "ids: expected a list of ids"),
        ("POST", "/tasks/cancel", {"state": "doing"}, "state: doing is none of"),
        ("POST", "/tasks/cancel", {"quue": "x"}, 'unknown member "quue"'),
        ("GET", "/tasks?state=doing", None, "state: doing is none of"),
        ("GET", "/tasks?limit=0", None, "limit: "),
        ("GET", "/tasks?quue=x", None, "unknown parameter quue"),
        ("GET", "/tasks/errors?state=failed", None, "unknown parameter state"),
        ("GET", "/tasks/seven", None, "task seven: expected an id"),
        ("GET", "/tasks/0", None, "task 0: expected an id"),
        ("GET", "/tasks/7?wait_s=61", None, "wait_s: "),
        ("PATCH", "/queues/q", {"paused": None}, "paused: expected true or false"),
        ("PATCH", "/queues/q", {"concurrency": 0}, "concurrency: expected"),
        ("PATCH", "/queues/q", {"rpm": "fast"}, "rpm: expected a number"),
        ("PATCH", "/queues/q", {"speed": 1}, 'unknown member "speed"'),
        ("PATCH", "/queues/a%0Ab", {"paused": True}, "name: expected"),
        ("PATCH", "/functions/f", {"fair": True}, 'unknown member "fair"'),
        ("PUT", "/limits/l", {"concurrency": 1}, "pattern: is required"),
        ("PUT", "/limits/l", {"pattern": "*"}, ""),
        ("PUT", "/limits/l", {"pattern": "*", "rpm": -1}, "rpm: expected a number"),
    ],
)
def test_a_mistake_is_named(tasks: Tasks, method: str, path: str, body: Any, detail: str) -> None:
    told = problem(tasks.call(method, path, body), 400, "invalid")
    assert told["detail"].startswith(detail)


@pytest.mark.parametrize("verb", ["claim", "settle", "extend", "release"])
def test_a_lease_that_nobody_has_is_told_so(tasks: Tasks, verb: str) -> None:
    problem(tasks.call("POST", f"/work/{verb}", {"lease": LEASE}), 409, "lease-ended")


def test_a_task_that_nobody_knows_is_told_so(tasks: Tasks) -> None:
    problem(tasks.call("GET", "/tasks/4711"), 404, "not-found")
    problem(tasks.call("GET", "/tasks/4711/result"), 404, "not-found")
    assert tasks.change("cancel", ids=[4711]) == (0, 0)


def test_many_tasks_in_one_request(tasks: Tasks) -> None:
    body = {"tasks": [ONE] * 100_001}
    problem(tasks.call("POST", "/tasks", json.dumps(body).encode()), 413, "limit")
    assert len(tasks.enqueue(*[ONE] * 10_000)) == 10_000
    assert tasks.ok("GET", "/queues")["queues"][0]["counts"]["pending"] == 10_000


def test_an_empty_request_opens_no_session(tasks: Tasks) -> None:
    for body in (b"", b"  "):
        assert "body" in problem(tasks.call("POST", "/work/claim", body), 400, "invalid")["detail"]
    assert tasks.ok("GET", "/workers")["workers"] == []


def test_a_list_that_is_null_is_none(tasks: Tasks) -> None:
    told = problem(tasks.call("POST", "/tasks", b'{"tasks":null}'), 400, "invalid")
    assert "tasks" in told["detail"]
    assert tasks.ok("POST", "/tasks", b'{"tasks":[]}', 201) == {"tasks": []}


@pytest.mark.parametrize("name", ["queue", "function", "key", "batch", "lock", "error"])
def test_an_empty_filter_is_not_any(tasks: Tasks, name: str) -> None:
    tasks.enqueue()
    for path in ("/tasks", "/tasks/errors"):
        told = problem(tasks.call("GET", f"{path}?{name}="), 400, "invalid")
        assert told["detail"].startswith(f"{name}: is empty")
        told = problem(tasks.call("GET", f"{path}?{name}=a%00b"), 400, "invalid")
        assert "U+0000" in told["detail"]
    if name in ("key", "batch"):
        problem(tasks.call("GET", f"/tasks/status?{name}="), 400, "invalid")


NUMBERS = [
    b'"timeout_s":1e999', b'"priority":1e999', b'"delay_s":1e999', b'"keep_s":-1e999',
    b'"retry":{"delay_s":1e999}', b'"retry":{"jitter":1e999}', b'"retry":{"factor":1e999}',
]  # fmt: skip


@pytest.mark.parametrize("member", NUMBERS)
def test_a_number_that_is_none_is_refused_where_it_is_read(tasks: Tasks, member: bytes) -> None:
    body = b'{"tasks":[{"function":"f",%b}]}' % member
    assert "1e999" in problem(tasks.call("POST", "/tasks", body), 400, "invalid")["detail"]


def test_what_is_not_read_stays_as_it_came(tasks: Tasks) -> None:
    raw = b'{"a":1e999,"b":123456789012345678901234567890,"c":"\\u0000"}'
    tasks.ok("POST", "/tasks", b'{"tasks":[{"function":"f","arguments":%b}]}' % raw, 201)
    assert raw in tasks.call("POST", "/work/claim", {"max": 1}).body


def test_a_message_with_the_character_zero_is_shown(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    tasks.work().settle(failures=[[task, {"message": "a\0b", "type": "x\0y"}]])
    (group,) = tasks.ok("GET", "/tasks/errors")["errors"]
    assert group["type"] == "x?y" and group["example"]["message"] == "a\ufffdb"
    assert tasks.show(task)["error"]["message"] == "a\0b"
    assert tasks.list("error=x%3Fy") == [task]
