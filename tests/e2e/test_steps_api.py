"""Processing steps on the native surface: steps, jobs of them, artifacts and their lineage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps, manifest


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    return Steps(server)


def test_steps_are_registered_shown_and_edited(steps: Steps) -> None:
    first = steps.register()
    again = steps.ok("POST", "/steps", manifest())
    assert again == {"id": first, "existing": True}
    problem(steps.call("POST", "/steps", manifest(returns={})), 409, "conflict")
    for bad in ({"version": "x"}, {"function_name": ""}, {"parameters": 5}, {"version": None}):
        problem(steps.call("POST", "/steps", manifest() | bad), 400, "invalid")
    problem(steps.call("POST", "/steps", b"{"), 400, "invalid")
    second = steps.register(version="10.0.0")
    steps.register(version="9.0.0")
    assert steps.ok("GET", "/steps/add")["id"] == second
    assert steps.ok("GET", "/steps/add:1.*")["id"] == first
    assert steps.ok("GET", f"/steps/{first}")["inputs"][0]["collection"] is True
    assert steps.ok("GET", f"/steps/{first}/manifest") == manifest()
    listed = steps.ok("GET", "/steps?name=add")
    assert [s["version"] for s in listed["steps"]] == ["10.0.0", "9.0.0", "1.0.0"]
    assert steps.ok("GET", "/steps?version=%3E%3D9&limit=1")["total"] == 2
    changed = steps.ok(
        "PATCH",
        "/steps/add:10.0.0",
        {"tags": ["a", "b = c"], "deprecated": {"reason": "slow"}, "defaults": {"x": 1}},
    )
    assert changed["tags"] == ["a", "b=c"] and changed["deprecated"]["reason"] == "slow"
    assert steps.ok("GET", "/steps/add")["version"] == "9.0.0"
    assert steps.ok("PATCH", f"/steps/{second}", {"deprecated": None})["deprecated"] is None
    assert steps.ok("GET", "/step-tags/steps") == {"tags": ["a", "b=c"]}
    problem(steps.call("PATCH", f"/steps/{second}", {"defaults": {"x": "a"}}), 400, "invalid")
    problem(steps.call("PATCH", f"/steps/{second}", {"nothing": 1}), 400, "invalid")
    assert steps.call("DELETE", f"/steps/{second}").status == 204
    problem(steps.call("GET", f"/steps/{second}"), 404, "not-found")


def test_a_step_has_at_most_1000_parameters(steps: Steps) -> None:
    names = [f"p{n}" for n in range(1001)]
    for schema in (
        {"type": "object", "properties": {name: {"default": 1} for name in names}},
        {"type": "object", "required": names},
    ):
        problem(steps.call("POST", "/steps", manifest(parameters=schema)), 413, "limit")
    properties = {name: {"default": 1} for name in names[:1000]}
    steps.register(
        parameters={"type": "object", "properties": properties, "required": names[:1000]}
    )
    assert len(steps.make(step="add", start=True)["arguments"]) == 1000


def test_a_job_goes_its_way(steps: Steps) -> None:
    steps.register()
    data = steps.upload(b"1,2\n")
    job = steps.make()
    assert job["state"] == "draft" and job["step"] is None
    path = f"/step-jobs/{job['id']}"
    assert steps.ok("PATCH", path, {"step": "add"})["state"] == "draft"
    ready = steps.ok("PATCH", path, {"parameters": {"x": 5}, "inputs": {"data": [data["id"]]}})
    assert ready["state"] == "ready"
    assert steps.ok("PATCH", path, {"start": True})["state"] == "pending"
    problem(steps.call("PATCH", path, {"parameters": {"x": 6}}), 409, "conflict")
    assert steps.ok("POST", "/work/claim", {"max": 5, "worker": "other"})["tasks"] == []
    (task,) = steps.take()
    assert task["id"] == job["id"] and task["function"] == "add:1.0.0"
    arguments = task["arguments"]
    assert arguments["parameters"] == {"x": 5, "y": 2}
    assert arguments["inputs"]["data"][0]["id"] == data["id"]
    assert steps.job(job["id"])["state"] == "running"
    plot = steps.put(task, b"PNG")
    assert plot.status == 201 and plot.json()["media_type"] == "image/png"
    steps.complete(task["id"], {"sum": 7})
    done = steps.job(job["id"])
    assert (done["state"], done["result"], done["worker"]) == ("completed", {"sum": 7}, "hand")
    assert done["outputs"]["plot"][0]["id"] == plot.json()["id"]
    assert done["scheduled_at"] <= done["started_at"] <= done["ended_at"]
    lineage = steps.ok("GET", f"/artifacts/{plot.json()['id']}/lineage")
    (made_by,) = lineage["jobs"]
    assert made_by["id"] == job["id"] and made_by["arguments"] == {"x": 5, "y": 2}
    assert made_by["inputs"]["data"][0]["id"] == data["id"]
    assert steps.ok("GET", f"/artifacts/{data['id']}/lineage")["jobs"][0]["id"] == job["id"]
    problem(steps.call("DELETE", f"/artifacts/{data['id']}"), 409, "conflict")
    problem(steps.call("DELETE", path), 409, "conflict")
    assert steps.call("DELETE", f"/artifacts/{plot.json()['id']}").status == 204
    assert steps.call("DELETE", path).status == 204
    problem(steps.call("GET", path), 404, "not-found")
    assert steps.call("DELETE", f"/artifacts/{data['id']}").status == 204


@pytest.mark.parametrize(
    ("members", "status", "said"),
    [
        ({"step": "none"}, 404, "no step none"),
        ({"step": "add:x"}, 400, "pattern of versions"),
        ({"step": "add", "parameters": {"x": "a"}}, 400, "parameters.x: expected an integer"),
        ({"step": "add", "parameters": {"z": 1}}, 400, "parameters.z"),
        ({"step": "add", "start": True}, 409, 'the parameter "x" is not configured'),
        ({"step": "add", "inputs": {"data": [99]}}, 404, "no artifact 99"),
        ({"step": "add", "inputs": {"other": []}}, 400, "no input slot other"),
        ({"inputs": {"data": []}}, 400, "no input slot data"),
        ({"parent": 99}, 404, "parent: there is no step job 99"),
        ({"tags": [""]}, 400, "tag 1"),
        ({"tags": ["t"] * 10_000}, 400, "more than 1000"),
        ({"folder": "x"}, 400, "folder"),
        ({"step": "add", "retry": {"kind": "no"}}, 400, 'retry.kind: expected "fixed"'),
        ({"retry": {"delay": 1}}, 400, "retry"),
        ({"retry": 5}, 400, "retry: expected an object or null, not 5"),
    ],
)
def test_a_set_up_is_all_or_nothing(
    steps: Steps, members: dict[str, Any], status: int, said: str
) -> None:
    steps.register()
    answer = steps.call("POST", "/step-jobs", {"name": "job", **members})
    assert answer.status == status, answer
    assert said in answer.detail
    assert steps.ok("GET", "/step-jobs?total=1")["total"] == 0


def test_a_wait_ends_with_the_job_and_failures_are_told(steps: Steps) -> None:
    steps.register()
    job = steps.run()
    (task,) = steps.take()
    told: list[Any] = []
    waiting = threading.Thread(target=lambda: told.append(steps.job(job["id"], wait_s=30)))
    waiting.start()
    steps.fail(task["id"], "it was too wet")
    waiting.join(30)
    assert told[0]["state"] == "failed"
    assert told[0]["error"]["message"] == "it was too wet"


def test_a_large_result_is_kept_with_its_job(steps: Steps) -> None:
    steps.register(output_dataslots=[])
    result = {"text": "x" * 400_000}
    first, second = steps.run(), steps.run()
    for task in steps.take(2):
        steps.complete(task["id"], result)
    for job in (first, second):
        assert steps.job(job["id"])["result"] == result
        assert steps.ok("GET", f"/tasks/{job['id']}")["result"] == result


def test_a_run_that_is_over_puts_nothing(steps: Steps) -> None:
    steps.register()
    job = steps.run(max_attempts=2, retry={"kind": "fixed", "delay_s": 0})
    (task,) = steps.take()
    assert steps.put(task, b"one").status == 201
    steps.fail(task["id"])
    problem(steps.put(task, b"late"), 409, "conflict")
    (again,) = steps.take(wait_s=10)
    assert again["fence"] == 2 and again["attempt"] == 2
    problem(steps.put(task, b"late"), 409, "conflict")
    problem(steps.put(again, b"x", slot="other"), 404, "not-found")
    assert steps.put(again, b"x", query="&place=1").status == 400
    assert steps.put(again, b"two").status == 201
    steps.complete(again["id"], 1)
    (plot,) = steps.job(job["id"])["outputs"]["plot"]
    assert steps.call("GET", f"/artifacts/{plot['id']}/content").body == b"two"
    assert steps.ok("GET", "/artifacts?total=1")["total"] == 1


def test_a_failure_is_final_and_a_lost_run_begins_again(steps: Steps) -> None:
    steps.register(output_dataslots=[])
    failed, lost = steps.run(), steps.run()
    (task,) = steps.take()
    steps.fail(task["id"])
    assert steps.job(failed["id"])["state"] == "failed"
    (task,) = steps.take()
    steps.ok("POST", "/work/release", {"lease": steps.lease, "died": True}, status=204)
    steps.lease = None
    waits = steps.job(lost["id"])
    assert (waits["state"], waits["max_attempts"]) == ("pending", 5)
    (again,) = steps.take()
    assert again["id"] == lost["id"] and again["fence"] == 2
    steps.complete(again["id"], 1)
    assert steps.job(lost["id"])["state"] == "completed"


def test_jobs_are_cancelled_and_told_to_have_failed(steps: Steps) -> None:
    steps.register()
    first, second, third = steps.run(), steps.run(), steps.make()
    assert steps.call("POST", f"/step-jobs/{first['id']}/cancel").status == 204
    assert steps.job(first["id"])["state"] == "cancelled"
    assert steps.call("POST", f"/step-jobs/{second['id']}/fail", {"message": "bad"}).status == 204
    assert steps.job(second["id"])["error"]["message"] == "bad"
    answer = steps.call("POST", f"/step-jobs/{third['id']}/fail", {"message": "bad"})
    problem(answer, 409, "conflict")
    assert steps.call("POST", f"/step-jobs/{third['id']}/cancel").status == 204
    problem(steps.call("POST", f"/step-jobs/{third['id']}/cancel"), 409, "conflict")
    assert steps.take(5) == []


def test_bytes_go_up_and_down_in_parts(steps: Steps) -> None:
    data = bytes(range(256)) * 1024
    made = steps.upload(
        data,
        name="caf%C3%A9.bin",
        query="&tag=a&tag=b%3Dc",
        **{"Content-Type": "application/x-thing"},
    )
    assert made["name"] == "café.bin" and made["tags"] == ["a", "b=c"]
    assert made["bytes"] == len(data) and made["deletable"] and made["kind"] == "upload"
    path = f"/artifacts/{made['id']}/content"
    whole = steps.call("GET", path)
    assert whole.body == data and whole.headers["content-type"] == "application/x-thing"
    for header, part in (
        ("bytes=0-9", data[:10]),
        ("bytes=100000-", data[100000:]),
        ("bytes=-5", data[-5:]),
        ("bytes=5-99999999", data[5:]),
    ):
        answer = steps.call("GET", path, Range=header)
        assert answer.status == 206 and answer.body == part
        assert answer.headers["content-range"].endswith(f"/{len(data)}")
    past = steps.call("GET", path, Range="bytes=99999999-")
    assert past.status == 416 and past.headers["content-range"] == f"bytes */{len(data)}"
    assert steps.call("GET", path, Range="lines=1-2").status == 200
    assert steps.call("HEAD", path).headers["content-length"] == str(len(data))
    empty = steps.upload(b"")
    assert steps.call("GET", f"/artifacts/{empty['id']}/content").body == b""
    for query in ("", "?name=", "?name=a%00", "?name=a&folder=b", "?name=a&tag=", "?nam=a"):
        problem(steps.call("POST", f"/artifacts{query}", b"x"), 400, "invalid")
    changed = steps.ok("PATCH", f"/artifacts/{made['id']}", {"comment": "c", "deletable": False})
    assert changed["comment"] == "c"
    problem(steps.call("DELETE", f"/artifacts/{made['id']}"), 409, "conflict")


def test_pages_do_not_shift_while_jobs_go(steps: Steps) -> None:
    made = [steps.make(name=f"n{n % 3}", tags=["all", f"t{n % 2}"])["id"] for n in range(25)]
    seen: list[int] = []
    after = ""
    while True:
        page = steps.ok("GET", f"/step-jobs?limit=4&tag=all{after}")
        for job in page["jobs"]:
            seen.append(job["id"])
            assert steps.call("DELETE", f"/step-jobs/{job['id']}").status == 204
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == made[::-1]


@pytest.mark.parametrize("sort", ["created", "name", "ended"])
@pytest.mark.parametrize("descending", ["0", "1"])
def test_pages_hold_all_in_order(steps: Steps, sort: str, descending: str) -> None:
    made = {steps.make(name=f"n:{n % 3}")["id"] for n in range(11)}
    seen: list[Any] = []
    after = ""
    while True:
        path = f"/step-jobs?limit=3&sort={sort}&descending={descending}{after}"
        page = steps.ok("GET", path)
        seen += [(job["name"], job["id"]) for job in page["jobs"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert {id for _, id in seen} == made and len(seen) == 11
    if sort == "name":
        names = [name for name, _ in seen]
        assert names == sorted(names, reverse=descending == "1")


def test_lists_are_filtered(steps: Steps) -> None:
    step = steps.register()
    data = steps.upload(b"x", query="&tag=raw")
    one = steps.run(tags=["a"], inputs={"data": [data["id"]]})["id"]
    two = steps.make(name="other", parent=one, tags=["a", "b"], hidden=True)["id"]
    for query, ids in (
        ("state=pending", [one]),
        ("state=draft", [two]),
        ("tag=a", [two, one]),
        ("tag=a&tag=b", [two]),
        ("any_tag=b&any_tag=c", [two]),
        (f"artifact={data['id']}", [one]),
        (f"parent={one}", [two]),
        ("sub_job=false", [one]),
        (f"step={step}", [one]),
        ("hidden=true", [two]),
        ("name_contains=the", [two]),
        ("created_before=2020-01-01T00:00:00Z", []),
    ):
        answer = steps.ok("GET", f"/step-jobs?total=1&{query}")
        assert [job["id"] for job in answer["jobs"]] == ids, query
        assert answer["total"] == len(ids)
    for query in (
        "state=x",
        "tags=a",
        "limit=0",
        "sort=x",
        "sort=bytes",
        "after=x",
        "step=a",
        "created_from=1",
    ):
        problem(steps.call("GET", f"/step-jobs?{query}"), 400, "invalid")
    assert steps.ok("GET", "/artifacts?tag=raw&used=true&kind=upload")["artifacts"]
    assert not steps.ok("GET", "/artifacts?kind=output")["artifacts"]


def test_a_restart_loses_nothing(steps: Steps) -> None:
    steps.register()
    job = steps.run()
    (task,) = steps.take()
    plot = steps.put(task, b"PNG").json()
    steps.server.kill()
    steps.server.start()
    restarted = Steps(steps.server)
    restarted.lease = steps.lease
    assert restarted.job(job["id"])["state"] == "running"
    assert restarted.call("GET", f"/artifacts/{plot['id']}/content").body == b"PNG"
    restarted.complete(task["id"], 1)
    assert restarted.job(job["id"])["state"] == "completed"
    assert all(f["level"] != "error" for f in restarted.ok("GET", "/doctor")["findings"])


def test_owners_see_nothing_of_each_other(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server(start=False)
    server.start()
    house = Steps(server)
    keys = {
        name: house.ok(
            "POST", "/keys", {"name": name, "scopes": ["admin"], "owner": name}, status=201
        )["secret"]
        for name in ("a", "b")
    }
    a, b = Steps(server, keys["a"]), Steps(server, keys["b"])
    step = a.register()
    data = a.upload(b"x")
    job = a.run(inputs={"data": [data["id"]]})
    for other in (b, house):
        for path in (f"/steps/{step}", f"/step-jobs/{job['id']}", f"/artifacts/{data['id']}"):
            problem(other.call("GET", path), 404, "not-found")
        problem(other.call("GET", f"/artifacts/{data['id']}/content"), 404, "not-found")
        problem(other.call("POST", f"/step-jobs/{job['id']}/cancel"), 404, "not-found")
        assert other.ok("GET", "/step-jobs")["jobs"] == []
        assert other.ok("GET", "/artifacts")["artifacts"] == []
        assert other.take() == []
    problem(b.call("POST", "/work/claim", {"queues": ["steps/a"]}), 403, "forbidden")
    problem(house.call("POST", "/work/claim", {"queues": ["steps/a"]}), 403, "forbidden")
    for path in ("/tasks", "/jobs", "/events", "/keys", "/queues", "/workers"):
        problem(a.call("GET", path), 403, "forbidden")
    problem(a.call("POST", "/jobs/~x/claim", {}), 403, "forbidden")
    assert a.call("GET", "/health").status == 200
    problem(
        house.call("POST", "/tasks", {"tasks": [{"function": "f", "queue": "steps/a"}]}),
        400,
        "invalid",
    )
    assert a.ok("PATCH", f"/steps/{step}", {"public": True})["public"]
    assert b.run(step=step)["owner"] == "b"
    (task,) = a.take()
    assert task["id"] == job["id"]
    token = {"Penstock-Step-Token": task["step_token"]}
    run = Steps(server)
    assert run.call("GET", f"/step-jobs/{job['id']}", **token).status == 200
    assert run.call("GET", "/tasks", **token).status == 403
    for call in ("claim", "settle", "extend", "release"):
        problem(run.call("POST", f"/work/{call}", {"worker": "run"}, **token), 403, "forbidden")
    assert run.call(
        "GET", "/step-jobs", **{"Penstock-Step-Token": "st:1:1:a:" + "0" * 32}
    ).status in (200, 401)
    more = {"lease": a.lease, "completed": [], "enqueue": [{"function": "f"}]}
    problem(a.call("POST", "/work/settle", more), 403, "forbidden")
    a.complete(task["id"])
    problem(run.call("GET", f"/step-jobs/{job['id']}", **token), 401, "unauthorized")
