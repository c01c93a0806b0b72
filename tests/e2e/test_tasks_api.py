"""The queue's surface: tasks are enqueued, shown, listed and changed; queues, limits, workers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from harness.native import Stream, problem
from harness.server_process import ServerProcess
from harness.tasks import Tasks


def test_a_task_goes_from_enqueued_to_its_result(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(function="parse", queue="ingest", arguments={"path": "ü.pdf"}, key="d1")
    worker = tasks.work(queues=["ingest"], functions=["parse"])
    handed = worker.got[0]
    assert handed["created_at"]
    assert {name: handed[name] for name in handed if name != "created_at"} == {
        "id": task, "function": "parse", "queue": "ingest", "arguments": {"path": "ü.pdf"},
        "attempt": 1, "max_attempts": 5, "fence": 1, "priority": 0, "key": "d1", "batch": None,
        "lock": None, "timeout_s": None,
    }  # fmt: skip
    told = worker.complete(task, result={"pages": 3})
    assert told == {
        "completed": 1, "retried": 0, "failed": 0, "cancelled": 0, "stale": [], "enqueued": [],
        "tasks": [], "aborts": [],
    }  # fmt: skip
    shown = tasks.show(task)
    assert shown["state"] == "completed" and shown["result"] == {"pages": 3}
    assert shown["explain"] is None and shown["ended_at"] >= shown["started_at"]
    answer = tasks.call("GET", f"/tasks/{task}/result")
    assert answer.json() == {"pages": 3}


def test_arguments_and_results_are_kept_to_the_byte(tasks: Tasks) -> None:
    value = '{"big":123456789012345678901234567890,"f":1.0,"u":"\\u0000 \\u00e9","a":1,"a":2}'
    body = f'{{"tasks":[{{"function":"f","arguments": {value} }}]}}'
    task = tasks.ok("POST", "/tasks", body.encode(), 201)["tasks"][0]["id"]
    claimed = tasks.call("POST", "/work/claim", {})
    assert f'"arguments":{value},' in claimed.text
    lease = claimed.json()["lease"]["token"]
    tasks.ok(
        "POST", "/work/settle", f'{{"lease":"{lease}","completed":[[{task},{value}]]}}'.encode()
    )
    assert tasks.call("GET", f"/tasks/{task}/result").text == value
    assert f'"arguments":{value},"result":{value}' in tasks.call("GET", f"/tasks/{task}").text


def test_a_large_argument_and_a_large_result_are_no_different(tasks: Tasks) -> None:
    text = "x" * (3 << 20)
    (task,) = tasks.enqueue(arguments={"text": text})
    worker = tasks.work()
    assert worker.got[0]["arguments"] == {"text": text}
    worker.complete(task, result=[text])
    assert tasks.ok("GET", f"/tasks/{task}/result") == [text]
    assert tasks.show(task)["arguments"] == {"text": text}


def test_the_higher_priority_goes_first_then_the_older(tasks: Tasks) -> None:
    ids = tasks.enqueue(*({"function": "f", "priority": p} for p in (0, 5, -5, 5, 0)))
    assert tasks.work().ids == [ids[1], ids[3], ids[0], ids[4], ids[2]]


def test_a_worker_gets_what_it_asked_for_only(tasks: Tasks) -> None:
    a, b, c = tasks.enqueue(
        {"function": "f", "queue": "a"}, {"function": "g", "queue": "a"}, {"function": "f"}
    )
    assert tasks.work(queues=["a"], functions=["f"]).ids == [a]
    assert tasks.work(queues=["default", "other"]).ids == [c]
    assert tasks.work(functions=["g", "h"]).ids == [b]


def test_what_waits_for_others_runs_when_they_have_completed(tasks: Tasks) -> None:
    first, second, last = tasks.enqueue(
        {"function": "f"}, {"function": "f"}, {"function": "g", "after": [-1, -2]}
    )
    shown = tasks.show(last)
    assert shown["state"] == "blocked" and shown["after_open"] == 2
    assert shown["explain"]["hold"] == "parents"
    worker = tasks.work()
    assert worker.ids == [first, second]
    worker.complete(first)
    assert worker.claim()["tasks"] == []
    worker.complete(second)
    assert [task["id"] for task in worker.claim()["tasks"]] == [last]


def test_a_task_says_which_of_its_parents_has_failed(tasks: Tasks) -> None:
    *parents, last = tasks.enqueue(
        *[{"function": "f", "max_attempts": 1}] * 3, {"function": "g", "after": [-1, -2, -3]}
    )
    worker = tasks.work()
    worker.complete(parents[0])
    worker.settle(failures=[[parents[2], {"message": "no"}]])
    explain = tasks.show(last)["explain"]
    assert (explain["hold"], explain["by"]) == ("parent-failed", parents[2])
    tasks.server.restart()
    assert tasks.show(last)["explain"] == explain
    tasks.change("retry", ids=[parents[2]])
    assert tasks.show(last)["explain"]["hold"] == "parents"


def test_a_unique_task_is_there_once(tasks: Tasks) -> None:
    unique = {"key": "u1"}
    (first,) = tasks.enqueue(unique=unique)
    told = tasks.ok("POST", "/tasks", {"tasks": [{"function": "f", "unique": unique}]}, 201)
    assert told["tasks"] == [{"id": first, "existing": True}]
    refuse = {"tasks": [{"function": "f", "unique": {**unique, "on_clash": "refuse"}}]}
    told = problem(tasks.call("POST", "/tasks", refuse), 409, "unique-taken")
    assert told["detail"].startswith("tasks[0]: ")
    tasks.work().complete()
    assert tasks.enqueue(unique=unique) != [first]


def test_all_tasks_of_a_request_are_enqueued_or_none(tasks: Tasks) -> None:
    body = {"tasks": [{"function": "f"}, {"function": "f", "after": [4711]}]}
    told = problem(tasks.call("POST", "/tasks", body), 404, "parent")
    assert told["detail"].startswith("tasks[1]: ") and "4711" in told["detail"]
    assert tasks.list() == []


def test_the_list_is_filtered_and_comes_in_pages(tasks: Tasks) -> None:
    ids = tasks.enqueue(
        *(
            {"function": f"f{n % 2}", "queue": "q", "key": f"k{n % 3}", "batch": "b"}
            for n in range(7)
        )
    )
    assert tasks.list() == ids
    assert tasks.list("function=f1") == ids[1::2]
    assert tasks.list("key=k2&function=f0") == [ids[2]]
    assert tasks.list("batch=b&queue=q&state=pending") == ids
    assert tasks.list("queue=other") == tasks.list("state=failed") == []
    page = tasks.ok("GET", "/tasks?limit=3")
    assert [task["id"] for task in page["tasks"]] == ids[:3] and page["more"]
    page = tasks.ok("GET", f"/tasks?limit=4&after={ids[2]}")
    assert [task["id"] for task in page["tasks"]] == ids[3:] and not page["more"]
    assert "arguments" not in page["tasks"][0]


def test_failed_tasks_are_grouped_and_retried_by_filter(tasks: Tasks) -> None:
    ids = tasks.enqueue(*({"function": "f"} for _ in range(5)))
    worker = tasks.work()
    kinds = ["ValueError", "ValueError", "KeyError", "ValueError", None]
    told = worker.settle(
        failures=[
            [i, {"message": f"no {i}", "type": kind}] for i, kind in zip(ids, kinds, strict=True)
        ]
    )
    assert told["failed"] == 5
    groups = tasks.ok("GET", "/tasks/errors")["errors"]
    assert [(g["function"], g["count"]) for g in groups][:1] == [("f", 3)]
    assert groups[0]["type"] == "ValueError"
    assert groups[0]["example"]["id"] in ids and groups[0]["example"]["message"].startswith("no ")
    assert tasks.list("error=KeyError") == [ids[2]]
    assert tasks.change("retry", error="ValueError") == (3, 3)
    shown = tasks.show(ids[0])
    assert shown["state"] == "pending" and shown["attempts"] == 0
    assert sorted(worker.claim()["tasks"][n]["id"] for n in range(1)) == [ids[0]]


def test_bulk_verbs_need_a_filter_or_all(tasks: Tasks) -> None:
    ids = tasks.enqueue(*({"function": "f", "key": f"k{n % 2}"} for n in range(4)))
    for verb in ("cancel", "retry", "delete"):
        problem(tasks.call("POST", f"/tasks/{verb}", {}), 400, "invalid")
        problem(tasks.call("POST", f"/tasks/{verb}", {"all": True, "key": "k"}), 400, "invalid")
    assert tasks.change("cancel", ids=[]) == (0, 0)
    assert tasks.change("cancel", ids=ids[:1]) == (1, 1)
    assert tasks.change("cancel", key="k1") == (2, 2)
    assert [tasks.state(i) for i in ids] == ["cancelled", "cancelled", "pending", "cancelled"]
    assert tasks.change("cancel", all=True)[1] == 1
    matched, changed = tasks.change("delete", state="cancelled")
    assert (matched, changed) == (4, 4)
    assert tasks.list() == []
    problem(tasks.call("GET", f"/tasks/{ids[0]}"), 404, "not-found")


def test_the_status_is_a_tree_with_sums(tasks: Tasks) -> None:
    tasks.enqueue(
        {"function": "f", "key": "d1", "batch": "b1"},
        {"function": "g", "key": "d1", "batch": "b1"},
        {"function": "f", "key": "d1", "queue": "other"},
        {"function": "f"},
    )
    tasks.work(functions=["g"]).complete()
    tree = tasks.ok("GET", "/tasks/status")
    assert tree["counts"]["pending"] == 3 and tree["counts"]["completed"] == 1
    assert tree["remaining"] == 3
    keys = {node["key"]: node for node in tree["keys"]}
    assert set(keys) == {None, "d1"}
    assert keys["d1"]["counts"]["pending"] == 2
    batches = {node["batch"]: node for node in keys["d1"]["batches"]}
    leaves = batches["b1"]["queues"][0]["functions"]
    assert [(leaf["function"], leaf["remaining"]) for leaf in leaves] == [("f", 1), ("g", 0)]
    only = tasks.ok("GET", "/tasks/status?key=d1&batch=b1&active=true")
    assert only["remaining"] == 1 and only["counts"]["completed"] == 0
    problem(tasks.call("GET", "/tasks/status?active=perhaps"), 400, "invalid")


def test_a_status_of_too_many_is_refused(tasks: Tasks) -> None:
    """Whoever asks gets all at once, and the engine does nothing else meanwhile."""
    most = 20_000
    for first in range(0, most, 5_000):
        tasks.enqueue(*({"function": "f", "key": f"k{n}"} for n in range(first, first + 5_000)))
    assert len(tasks.ok("GET", "/tasks/status")["keys"]) == most
    tasks.enqueue(key="k0", batch="b")
    told = problem(tasks.call("GET", "/tasks/status"), 413, "limit")
    assert told["detail"].startswith("more than 20000 functions of queues, batches and keys")
    assert tasks.ok("GET", "/tasks/status?batch=b")["remaining"] == 1
    assert tasks.ok("GET", "/tasks/status?key=k0")["remaining"] == 2


def gate(tasks: Tasks, kind: str, name: str) -> Any:
    return next(g for g in tasks.ok("GET", f"/{kind}")[kind] if g["name"] == name)


@pytest.mark.parametrize(("kind", "name"), [("queues", "default"), ("functions", "f")])
def test_queues_and_functions_are_paused_and_limited(tasks: Tasks, kind: str, name: str) -> None:
    ids = tasks.enqueue(*({"function": "f"} for _ in range(4)))
    at = f"/{kind}/{name}"
    assert tasks.ok("PATCH", at, {"paused": True})["paused"]
    assert tasks.work().got == []
    assert tasks.show(ids[0])["explain"]["hold"] == f"{kind[:-1]}-paused"
    told = tasks.ok("PATCH", at, {"paused": False, "concurrency": 2})
    assert not told["paused"] and told["concurrency"] == 2 and told["rpm"] is None
    worker = tasks.work()
    assert worker.ids == ids[:2]
    assert worker.claim()["tasks"] == []
    shown = gate(tasks, kind, name)
    assert shown["counts"]["running"] == 2 and shown["counts"]["pending"] == 2
    assert tasks.ok("PATCH", at, {"concurrency": None})["concurrency"] is None
    assert [task["id"] for task in worker.claim()["tasks"]] == ids[2:]


def test_names_of_any_language_work_in_paths(tasks: Tasks) -> None:
    for name in ("черга", "a/b c?d#e%", "x" * 200, "\U0001f600" * 50, "..", "~"):
        (task,) = tasks.enqueue(function=name, queue=name, key=name, lock=name)
        assert tasks.list(f"queue={quote(name, safe='')}") == [task]
        assert tasks.ok("PATCH", f"/queues/{quote(name, safe='')}", {"fair": True})["name"] == name
        told = tasks.ok("PATCH", f"/functions/{quote(name, safe='')}", {"rpm": 60000})
        assert told["name"] == name and told["rpm"] == 60000
        worker = tasks.work(queues=[name], functions=[name])
        assert worker.ids == [task] and worker.got[0]["key"] == name
        worker.complete(task)
    assert {q["name"] for q in tasks.ok("GET", "/queues")["queues"]} >= {"черга", "..", "~"}


def test_limits_of_keys_hold_for_each_key(tasks: Tasks) -> None:
    rule = {"pattern": "dataset-*", "concurrency": 1}
    told = tasks.ok("PUT", "/limits/datasets", rule)
    assert told["limits"] == [{"name": "datasets", **rule, "rpm": None}]
    ids = tasks.enqueue(
        *({"function": "f", "key": key} for key in ("dataset-1", "dataset-1", "dataset-2", "other"))
    )
    worker = tasks.work()
    assert sorted(worker.ids) == [ids[0], ids[2], ids[3]]
    assert tasks.show(ids[1])["explain"]["hold"] in ("key-limit", "behind")
    tasks.ok("DELETE", "/limits/datasets", status=204)
    assert tasks.ok("GET", "/limits")["limits"] == []
    assert [task["id"] for task in worker.claim()["tasks"]] == [ids[1]]
    problem(tasks.call("DELETE", "/limits/datasets"), 404, "not-found")


def test_workers_are_listed_with_what_they_hold(tasks: Tasks) -> None:
    ids = tasks.enqueue(*({"function": "f", "queue": "q"} for _ in range(3)))
    worker = tasks.work(queues=["q"], max=2, worker="host:4711")
    (told,) = tasks.ok("GET", "/workers")["workers"]
    assert told["worker"] == "host:4711" and told["queues"] == ["q"] and told["functions"] is None
    assert told["holding"] == 2 and told["tasks"] == ids[:2] and told["ends_at"]
    worker.release()
    assert tasks.ok("GET", "/workers")["workers"] == []
    assert tasks.state(ids[0]) == "pending"


def test_metrics_tell_of_queues_and_sessions(tasks: Tasks) -> None:
    tasks.enqueue(*({"function": "f", "queue": 'a"b\\'} for _ in range(3)))
    tasks.work(max=1)
    text = tasks.wire.call("GET", "/metrics").text
    assert 'penstock_tasks{queue="a\\"b\\\\",state="pending"} 2\n' in text
    assert 'penstock_tasks{queue="a\\"b\\\\",state="running"} 1\n' in text
    assert 'penstock_queue_paused{queue="a\\"b\\\\"} 0\n' in text
    assert "penstock_sessions 1\n" in text and "penstock_tasks_held 1\n" in text
    age = next(line for line in text.splitlines() if line.startswith("penstock_oldest_pending_s"))
    assert 0 <= float(age.split()[-1]) < 600


def test_events_tell_of_what_happens_to_tasks(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(max_attempts=2, retry={"delay_s": 0})
    worker = tasks.work()
    worker.settle(failures=[[task, "once"]])
    (again,) = worker.claim(wait_s=30)["tasks"]
    assert again["id"] == task and again["attempt"] == 2 and again["fence"] == 2
    worker.complete(task)
    stream = Stream(tasks, "/events?after=0")
    seen = stream.until("task.completed")
    kinds = [kind for _, kind, data in seen if kind.startswith("task.")]
    assert kinds[0] == "task.enqueued" and kinds[-1] == "task.completed"
    assert kinds.count("task.started") == 2 and "task.failed" in kinds
    fences = [
        entry[1]
        for _, kind, data in seen
        if kind == "task.started"
        for entry in data["detail"]["tasks"]
        if entry[0] == task
    ]
    assert fences == [1, 2]
    stream.close()


def test_who_may_do_what(make_server: Any) -> None:
    server = make_server("--auth", "keys")
    keys = {}
    for scope in ("read", "work", "admin"):
        made = server.run_cli("key", "create", scope, "--scope", scope, "--json")
        keys[scope] = json.loads(made.stdout)["secret"]
    tasks = Tasks(server)

    def status(scope: str, method: str, path: str, body: Any = None) -> int:
        headers = {"Authorization": f"Bearer {keys[scope]}"} if scope else {}
        return tasks.call(method, path, body, **headers).status

    one = {"tasks": [{"function": "f"}]}
    assert [status(s, "GET", "/tasks") for s in ("", "read", "work")] == [401, 200, 200]
    assert [status(s, "POST", "/tasks", one) for s in ("", "read", "work")] == [401, 403, 201]
    assert [status(s, "POST", "/work/claim", {}) for s in ("", "read", "work")] == [401, 403, 200]
    for verb in ("cancel", "retry", "delete"):
        got = [status(s, "POST", f"/tasks/{verb}", {"all": True}) for s in ("", "work", "admin")]
        assert got == [401, 403, 200]
    for path in ("/queues/q", "/functions/f"):
        got = [status(s, "PATCH", path, {"paused": False}) for s in ("", "work", "admin")]
        assert got == [401, 403, 200]
    limit = {"pattern": "*", "concurrency": 1}
    got = [status(s, "PUT", "/limits/l", limit) for s in ("", "work", "admin")]
    assert got == [401, 403, 200]
    assert [status(s, "DELETE", "/limits/l") for s in ("", "work", "admin")] == [401, 403, 204]
    for path in ("/queues", "/functions", "/limits", "/workers", "/tasks/errors", "/tasks/status"):
        assert [status(s, "GET", path) for s in ("", "read")] == [401, 200]


def names(tasks: Tasks, kind: str) -> list[str]:
    return [one["name"] for one in tasks.ok("GET", f"/{kind}")[kind]]


def test_names_are_forgotten_with_their_last_task(tasks: Tasks, server: ServerProcess) -> None:
    ids = tasks.enqueue(*[{"function": f"f{n}", "queue": f"q{n}"} for n in range(5)])
    tasks.ok("PATCH", "/queues/q0", {"concurrency": 3})
    tasks.work().complete()
    assert len(names(tasks, "queues")) == len(names(tasks, "functions")) == 5
    assert tasks.change("delete", ids=ids[:4]) == (4, 4)
    for _ in range(2):
        assert names(tasks, "queues") == ["q0", "q4"] and names(tasks, "functions") == ["f4"]
        metrics = tasks.wire.call("GET", "/metrics").body.decode()
        assert 'queue="q4"' in metrics and 'queue="q1"' not in metrics
        told = tasks.ok("GET", "/doctor")
        assert told["faults"] == 0, told
        server.restart()
    tasks.ok("PATCH", "/queues/q0", {"concurrency": None})
    assert names(tasks, "queues") == ["q4"]
    (again,) = tasks.enqueue(function="f1", queue="q1")
    assert tasks.show(again)["queue"] == "q1" and "q1" in names(tasks, "queues")
    server.restart()
    assert tasks.show(again)["queue"] == "q1" and tasks.work().ids == [again]
