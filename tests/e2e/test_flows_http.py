"""Flows below /v1/flows: a run as a worker sees it, restarts, aborts, the context and the lock."""

from __future__ import annotations

import os
import pickle
import threading
import time
from typing import Any
from urllib.parse import quote

import pytest
from harness.native import Native, Stream, problem
from harness.server_process import ServerProcess
from harness.tasks import Later, Session, Tasks

DIAMOND: dict[int, list[int]] = {1: [], 2: [1], 3: [1], 4: [2, 3]}
HOUR_S = 3600


def node(number: int, after: list[int], **members: Any) -> dict[str, Any]:
    said = {"id": number, "name": f"node {number}", "module": "m", "worker": "W", "after": after}
    return {**said, **members}


def nodes(graph: dict[int, list[int]], **members: Any) -> list[dict[str, Any]]:
    return [node(number, after, **members) for number, after in graph.items()]


def start(native: Native, graph: dict[int, list[int]] | None = None, **members: Any) -> Any:
    body = {"name": "f", "nodes": nodes(graph or DIAMOND), **members}
    return native.ok("POST", "/flows", body, 200 if members.get("dry_run") else 201)


def marks(native: Native) -> str:
    listed = native.ok("GET", "/flows/f/nodes")["nodes"]
    return " ".join(f"{one['id']}{one['mark']}" for one in listed)


def state(native: Native) -> str:
    return str(native.ok("GET", "/flows/f")["state"])


def of(session: Session, number: int) -> int:
    """The task of that node, which the session holds."""
    return int(next(t["id"] for t in session.got if t["arguments"]["node"]["id"] == number))


def settle(session: Session, **members: Any) -> Any:
    """Settles; what it has claimed with it is the session's, too."""
    told = session.settle(claim={"max": 10}, **members)
    session.got += told["tasks"]
    return told


def test_a_flow_from_start_to_end(server: ServerProcess, tasks: Tasks) -> None:
    made = start(tasks, variables={"APP_NAME": "f"}, max_running=8)
    assert made["plan"] == {"run": 4, "keep": 0, "norun": 0} and made["run"] == 1 and made["fresh"]
    shown = tasks.ok("GET", f"/flows/@{made['id']}")
    assert shown["name"] == "f" and shown["state"] == "running" and shown["nodes"] == 4
    assert shown["counts"] == {"P": 4, "R": 0, "C": 0, "F": 0, "D": 0, "N": 0, "A": 0}
    assert shown["variables"] == {"APP_NAME": "f"} and shown["max_running"] == 8
    session = tasks.work(queues=["flow/f"])
    assert [t["arguments"]["node"]["id"] for t in session.got] == [1]
    first = session.got[0]
    assert first["function"] == "penstock.flow.node"
    assert first["arguments"] == {
        "flow": made["id"],
        "name": "f",
        "run": 1,
        "mode": "python",
        "node": node(1, []),
        "variables": {"APP_NAME": "f"},
    }
    told = tasks.ok("GET", "/flows/f")
    assert [(one["id"], one["name"]) for one in told["running"]] == [(1, "node 1")]
    # What a settlement makes ready, its claim gets.
    told = settle(session, completed=[[first["id"], {"code": 0}]])
    assert [t["arguments"]["node"]["id"] for t in told["tasks"]] == [2, 3]
    settle(session, completed=[[of(session, 2), {"code": 0}], [of(session, 3), {"code": 0}]])
    settle(session, completed=[[of(session, 4), {"code": 0}]])
    ended = tasks.ok("GET", "/flows/f?wait_s=60")
    assert ended["state"] == "completed" and ended["ended_at"] and ended["eta_s"] is None
    listed = tasks.ok("GET", "/flows/f/nodes")["nodes"]
    assert [one["code"] for one in listed] == [0, 0, 0, 0]
    assert listed[3]["after"] == [2, 3] and listed[3]["attempts"] == 1
    assert listed[3]["elapsed_s"] >= 0 and listed[3]["logfile"] is None
    figures = tasks.wire.call("GET", "/metrics").text
    assert 'penstock_flows{state="completed"} 1' in figures


def test_a_failure_and_a_restart(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks)
    session = tasks.work(queues=["flow/f"])
    settle(session, completed=[[of(session, 1), {"code": 0}]])
    reason = {"message": "exit 7", "type": "Exit", "code": 7, "final": True}
    settle(session, failures=[[of(session, 2), reason]], completed=[[of(session, 3), {"code": 0}]])
    assert marks(tasks) == "1C 2F 3C 4D"
    told = tasks.ok("GET", "/flows/f")
    assert told["state"] == "failed" and told["failed"] == [2]
    failed = tasks.ok("GET", "/flows/f/nodes?mark=F")["nodes"][0]
    assert failed["code"] == 7 and failed["error"]["message"] == "exit 7"
    dry = start(tasks, restart=True, dry_run=True)
    assert [(one["does"], one["why"]) for one in dry["nodes"]] == [
        ("keep", "completed in run 1"),
        ("run", "failed in run 1"),
        ("keep", "completed in run 1"),
        ("run", "an ancestor failed in run 1"),
    ]
    edited = nodes(DIAMOND)
    edited[0]["arguments"] = ["other"]
    made = start(tasks, nodes=edited, restart=True)
    assert made["plan"] == {"run": 2, "keep": 2, "norun": 0} and made["edited"] == [1]
    session = tasks.work(queues=["flow/f"])
    assert [t["arguments"]["node"]["id"] for t in session.got] == [2]
    assert [t["attempt"] for t in session.got] == [1]
    settle(session, completed=[[of(session, 2), {"code": 0}]])
    settle(session, completed=[[of(session, 4), {"code": 0}]])
    assert marks(tasks) == "1C 2C 3C 4C" and state(tasks) == "completed"


def test_marks_outlive_a_kill(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks)
    session = tasks.work(queues=["flow/f"], lease_s=600)
    settle(session, completed=[[of(session, 1), {"code": 0}]])
    server.kill()
    server.start()
    again = Tasks(server)
    assert marks(again) == "1C 2R 3R 4P"
    problem(again.call("POST", "/flows", {"name": "f", "nodes": nodes(DIAMOND)}), 409, "flow-runs")
    start(again, restart=True, take_over=True)
    assert marks(again) == "1C 2P 3P 4P"
    fresh = again.work(queues=["flow/f"])
    assert sorted(t["arguments"]["node"]["id"] for t in fresh.got) == [2, 3]


def test_an_hour_long_wait_is_ended_by_an_abort(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks, {1: [], 2: [1]})
    session = tasks.work(queues=["flow/f"])
    extend = Later(lambda: session.extend(wait_s=HOUR_S))
    ended = Later(lambda: tasks.ok("GET", f"/flows/f?wait_s={HOUR_S}"))
    told = tasks.ok("POST", "/flows/f/abort")
    assert told["stopping"] and told["state"] == "running"
    assert extend.take()["aborts"] == [[session.ids[0], "cancelled"]]
    session.settle(aborted=session.ids)
    assert ended.take()["state"] == "cancelled"
    assert marks(tasks) == "1A 2P"
    problem(tasks.call("POST", "/flows/f/abort"), 409, "conflict")


def test_a_waiting_claim_is_ended_by_an_abort(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks, {1: []})
    session = tasks.work(queues=["flow/f"])
    claim = Later(lambda: session.claim(queues=["flow/f"], wait_s=HOUR_S))
    tasks.ok("POST", "/flows/f/abort")
    assert claim.take()["aborts"] == [[session.ids[0], "cancelled"]]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"nodes": [node(1, [])]}, "name: is required"),
        ({"name": "f"}, "nodes: is required"),
        ({"name": "f", "nodes": []}, "nodes: is required"),
        ({"name": "a*", "nodes": [node(1, [])]}, "name: expected"),
        ({"name": "f", "nodes": [node(0, [])]}, "nodes[0].id: expected a whole number"),
        ({"name": "f", "nodes": [node(1, [], max_attempts=0)]}, "nodes[0].max_attempts"),
        ({"name": "f", "nodes": [node(1, [], max_attempts=0)]}, "(node 1)"),
        ({"name": "f", "nodes": [node(1, [2])]}, "node 1: after: there is no node 2"),
        ({"name": "f", "nodes": [node(1, [1])]}, "node 1: after: it waits for itself"),
        ({"name": "f", "nodes": [node(1, []), node(1, [])]}, "node 1: it is there twice"),
        ({"name": "f", "nodes": nodes({1: [2], 2: [1]})}, "cycle: "),
        ({"name": "f", "nodes": [node(1, [], pool="p")]}, "node 1: pool: there is no pool p"),
        ({"name": "f", "nodes": [node(1, [], wings=2)]}, 'unknown member "wings"'),
        ({"name": "f", "nodes": [node(1, [])], "mode": "shell"}, "expected a command (node 1)"),
        ({"name": "f", "nodes": [node(1, [])], "select": {"only": [9]}}, "there is no node 9"),
        ({"name": "f", "nodes": [node(1, [])], "pools": {"p": 0}}, "pools.p: expected"),
        ({"name": "f", "nodes": [node(1, [])], "variables": {"A": 1}}, "variables.A: expected"),
        ({"name": "f", "nodes": [{"id": 1, "name": "n"}]}, "module and worker, or a command"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(native: Native, body: Any, detail: str) -> None:
    assert detail in problem(native.call("POST", "/flows", body), 400, "invalid")["detail"]
    assert native.ok("GET", "/flows")["flows"] == []


def test_unknown_flows_and_keys(native: Native) -> None:
    for method, path in [
        ("GET", "/flows/none"),
        ("GET", "/flows/@7"),
        ("GET", "/flows/none/nodes"),
        ("POST", "/flows/none/abort"),
        ("DELETE", "/flows/none"),
        ("GET", "/flows/none/context"),
        ("PUT", "/flows/none/context/k"),
    ]:
        problem(native.call(method, path), 404, "not-found")
    problem(native.call("GET", "/flows/@x"), 400, "invalid")
    start(native)
    problem(native.call("GET", "/flows/f/context/k"), 404, "not-found")
    problem(native.call("DELETE", "/flows/f/context/k"), 404, "not-found")
    problem(native.call("GET", "/flows/f/nodes?mark=X"), 400, "invalid")
    problem(native.call("GET", "/flows?state=lost"), 400, "invalid")


# --- the context ---


def put(native: Native, key: str, value: bytes, status: int = 200, **headers: str) -> Any:
    answer = native.call("PUT", f"/flows/f/context/{quote(key, safe='')}", value, **headers)
    assert answer.status == status, answer
    return answer


def test_values_of_all_sizes_come_back_as_they_were(server: ServerProcess, native: Native) -> None:
    start(native, context={"preset": "Grüße\n" * 3})
    preset = native.call("GET", "/flows/f/context/preset")
    assert pickle.loads(preset.body) == "Grüße\n" * 3
    sizes = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 3 << 20]
    values = {f"Ümläut/{size} {i}": os.urandom(size) for i, size in enumerate(sizes)}
    for key, value in values.items():
        put(native, key, value)
    server.kill()
    server.start()
    again = Native(server)
    for key, value in values.items():
        answer = again.call("GET", f"/flows/f/context/{quote(key, safe='')}")
        assert answer.body == value and answer.headers["content-type"] == "application/octet-stream"
    listed = {one["key"]: one["bytes"] for one in again.ok("GET", "/flows/f/context")["keys"]}
    assert listed == {"preset": 32, **{key: len(value) for key, value in values.items()}}
    for key in values:
        assert again.call("DELETE", f"/flows/f/context/{quote(key, safe='')}").status == 204
    assert [one["key"] for one in again.ok("GET", "/flows/f/context")["keys"]] == ["preset"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_who_was_slower_is_told_so(native: Native, size: int) -> None:
    start(native)
    first = put(native, "k", b"a" * size, 200, **{"If-None-Match": "*"})
    assert first.headers["etag"] == f'"{first.json()["version"]}"'
    problem(put(native, "k", b"b" * size, 412, **{"If-None-Match": "*"}), 412, "version")
    second = put(native, "k", b"c" * size, 200, **{"If-Match": first.headers["etag"]})
    assert second.json()["version"] > first.json()["version"]
    problem(
        put(native, "k", b"d" * size, 412, **{"If-Match": first.headers["etag"]}), 412, "version"
    )
    got = native.call("GET", "/flows/f/context/k")
    assert got.body == b"c" * size and got.headers["etag"] == second.headers["etag"]
    late = native.call("DELETE", "/flows/f/context/k", **{"If-Match": first.headers["etag"]})
    problem(late, 412, "version")
    problem(put(native, "k", b"", 400, **{"If-Match": "x"}), 400, "invalid")
    problem(put(native, "k", b"", 400, **{"If-None-Match": "x"}), 400, "invalid")


def test_counting_by_compare_and_set_loses_nothing(native: Native) -> None:
    start(native)
    put(native, "n", b"0")

    def count() -> None:
        for _ in range(10):
            while True:
                now = native.call("GET", "/flows/f/context/n")
                more = str(int(now.body) + 1).encode()
                answer = native.call(
                    "PUT", "/flows/f/context/n", more, **{"If-Match": now.headers["etag"]}
                )
                if answer.status == 200:
                    break
                assert answer.status == 412

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert native.call("GET", "/flows/f/context/n").body == b"40"


# --- the lock ---


def test_the_lock_goes_from_one_to_the_next(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks, {1: [], 2: [], 3: []})
    session = tasks.work(queues=["flow/f"])

    def lock(task: int, wait_s: float = 0, verb: str = "lock") -> bool:
        body = {"task": task, "fence": 1, **({"wait_s": wait_s} if verb == "lock" else {})}
        return bool(tasks.ok("POST", f"/flows/f/{verb}", body)["locked"])

    one, two, three = session.ids
    assert lock(one) and lock(one)
    assert not lock(two)
    assert tasks.ok("GET", "/flows/f")["lock"] == one
    second = Later(lambda: lock(two, HOUR_S))
    lock(one, verb="unlock")
    assert second.take() is True
    third = Later(lambda: lock(three, HOUR_S))
    session.settle(failures=[[two, None]])  # without having let go of it
    assert third.take() is True
    stale = tasks.call("POST", "/flows/f/lock", {"task": two, "fence": 1})
    problem(stale, 409, "stale")
    problem(tasks.call("POST", "/flows/f/lock", {"task": one}), 400, "invalid")


# --- who may, and what is left ---


def test_who_may_do_what(server: ServerProcess, native: Native) -> None:
    secrets = {
        scope: native.ok("POST", "/keys", {"name": scope, "scopes": [scope]}, 201)["secret"]
        for scope in ("read", "work", "admin")
    }
    server.stop()
    server.args += ["--auth", "keys"]
    server.start()
    local = Native(server)

    def status(scope: str, method: str, path: str, body: Any = None) -> int:
        key = {"Authorization": f"Bearer {secrets[scope]}"}
        return local.call(method, path, body, **key).status

    body = {"name": "f", "nodes": [node(1, [])]}
    assert status("admin", "POST", "/flows", body) == 201
    for scope in ("read", "work"):
        assert status(scope, "POST", "/flows", {**body, "name": "g"}) == 403
        assert status(scope, "POST", "/flows/f/abort") == 403
        assert status(scope, "DELETE", "/flows/f") == 403
    assert status("read", "GET", "/flows/f") == 200 == status("read", "GET", "/flows/f/nodes")
    assert status("read", "PUT", "/flows/f/context/k", b"x") == 403
    assert status("read", "GET", "/flows/f/context/k") == 403
    assert status("work", "PUT", "/flows/f/context/k", b"x") == 200
    assert status("work", "GET", "/flows/f/context") == 200
    assert status("work", "POST", "/flows/f/lock", {"task": 1, "fence": 1}) == 409
    assert status("read", "POST", "/flows/f/lock", {"task": 1, "fence": 1}) == 403
    assert local.call("GET", "/flows").status == 401


def test_a_flow_that_is_deleted_leaves_nothing(server: ServerProcess, tasks: Tasks) -> None:
    pooled = [node(1, [], pool="api"), node(2, [1])]
    start(tasks, nodes=pooled, pools={"api": 2}, max_running=3)
    assert [one["pattern"] for one in tasks.ok("GET", "/limits")["limits"]] == ["flow/f/api"]
    problem(tasks.call("DELETE", "/flows/f"), 409, "flow-runs")
    put(tasks, "k", os.urandom(100_000))
    tasks.ok("POST", "/flows/f/abort")
    tasks.ok("DELETE", "/flows/f", status=204)
    assert tasks.ok("GET", "/flows")["flows"] == []
    assert tasks.ok("GET", "/limits")["limits"] == []
    assert tasks.ok("GET", "/tasks")["tasks"] == []
    assert "flow/f" not in [queue["name"] for queue in tasks.ok("GET", "/queues")["queues"]]
    problem(tasks.call("GET", "/flows/f/context"), 404, "not-found")


def test_events_tell_of_flows(server: ServerProcess, tasks: Tasks) -> None:
    start(tasks, {1: []})
    session = tasks.work(queues=["flow/f"])
    session.settle(failures=[[session.ids[0], None]])
    start(tasks, {1: []}, restart=True)
    tasks.ok("POST", "/flows/f/abort")
    stream = Stream(tasks, "/events?after=0")
    told = [(kind, data) for _, kind, data in stream.until("flow.cancelled")]
    kinds = [kind for kind, _ in told if kind.startswith("flow.")]
    assert kinds == ["flow.started", "flow.failed", "flow.restarted", "flow.cancelled"]
    stream.close()


def test_a_large_flow_is_started_and_loaded_in_little_time(server: ServerProcess) -> None:
    """No speed is asked for: but a cost that grows with the square would never end."""
    native = Native(server)
    graph = {number: [number - 1] if number > 1 else [] for number in range(1, 20_001)}
    start(native, graph)
    server.kill()
    begun = time.monotonic()
    server.start()
    assert native.wire is not None and time.monotonic() - begun < 60
    again = Tasks(server)
    session = again.work(queues=["flow/f"])
    session.settle(failures=[[session.ids[0], None]])
    told = again.ok("GET", "/flows/f?wait_s=60")
    assert told["state"] == "failed" and told["counts"]["D"] == 19_999
    page = again.ok("GET", "/flows/f/nodes?after=19000&limit=10000")
    assert len(page["nodes"]) == 1000 and page["more"] is False
