"""Folders of steps, step jobs and artifacts on the native surface."""

from __future__ import annotations

from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    return Steps(server)


def paths(steps: Steps, query: str = "?below=1") -> list[str]:
    return [str(folder["path"]) for folder in steps.ok("GET", "/folders" + query)["folders"]]


def make(steps: Steps, path: str) -> Any:
    return steps.ok("POST", "/folders", {"path": path}, 201)


def test_folders_are_made_listed_and_suggested(steps: Steps) -> None:
    made = make(steps, "/a/b")
    assert (made["path"], made["name"]) == ("/a/b/", "b") and made["created_at"]
    assert steps.ok("GET", f"/folders/{made['id']}") == made
    assert steps.ok("GET", f"/folders/{made['parent']}")["parent"] is None
    steps.make(folder="/c/d")
    steps.upload(b"x", query="&folder=/e")
    assert paths(steps) == ["/a/", "/a/b/", "/c/", "/c/d/", "/e/"]
    assert paths(steps, "") == ["/a/", "/c/", "/e/"]
    assert paths(steps, "?path=/c") == ["/c/d/"]
    assert paths(steps, "?below=1&name_contains=d") == ["/c/d/"]
    assert paths(steps, "?with=artifact") == ["/e/"]
    assert paths(steps, "?with=artifact&with=job&descending=1") == ["/e/", "/c/"]
    page = steps.ok("GET", "/folders?below=1&limit=2")
    assert (page["total"], page["next"]) == (5, "/a/b/")
    assert paths(steps, "?below=1&limit=2&after=/a/b/") == ["/c/", "/c/d/"]
    assert steps.ok("GET", "/folder-suggestions?prefix=/c")["paths"] == ["/c/", "/c/d/"]
    assert steps.ok("GET", "/folder-suggestions?limit=1")["paths"] == ["/a/"]
    problem(steps.call("POST", "/folders", {"path": "/a"}), 409, "conflict")
    problem(steps.call("POST", "/folders", {"path": "a"}), 400, "invalid")
    problem(steps.call("POST", "/folders", {}), 400, "invalid")
    problem(steps.call("GET", "/folders?with=stone"), 400, "invalid")
    problem(steps.call("GET", "/folders?path=/none"), 404, "not-found")
    problem(steps.call("GET", "/folders/999"), 404, "not-found")
    problem(steps.call("GET", "/folders/x"), 404, "not-found")


def test_a_folder_moves_with_all_that_is_in_it(steps: Steps) -> None:
    steps.register()
    steps.ok("PATCH", "/steps/add", {"folder": "/a/b"})
    job = steps.make(folder="/a/b")
    data = steps.upload(b"x", query="&folder=/a/b/c")
    folder = make(steps, "/z") and steps.ok("GET", "/folders?path=/a")["folders"][0]
    moved = steps.ok("PATCH", f"/folders/{folder['id']}", {"name": "n", "parent": "/z"})
    assert moved["path"] == "/z/n/" and moved["id"] == folder["id"]
    assert steps.job(job["id"])["folder"] == "/z/n/"
    assert steps.ok("GET", f"/artifacts/{data['id']}")["folder"] == "/z/n/c/"
    assert steps.ok("GET", "/steps/add")["folder"] == "/z/n/"
    assert steps.ok("GET", "/step-jobs?folder=/z/n/&total=1")["total"] == 1
    assert steps.ok("GET", "/artifacts?folder=/z/&below=1&total=1")["total"] == 1
    contents = steps.ok("GET", f"/folders/{folder['id']}/contents")
    assert [item["type"] for item in contents["contents"]] == ["job", "step"]
    assert contents["contents"][0]["job"]["id"] == job["id"] and contents["total"] == 2
    page = steps.ok("GET", f"/folders/{folder['id']}/contents?limit=1")
    assert page["next"] == job["id"]
    rest = steps.ok("GET", f"/folders/{folder['id']}/contents?after={page['next']}")
    assert [item["type"] for item in rest["contents"]] == ["step"] and rest["next"] is None
    assert steps.ok("GET", "/folders/root/contents")["contents"] == []
    for body in ({"parent": "/z/n/c"}, {"name": "x/y"}, {"parent": "/none"}, {"size": 1}):
        assert steps.call("PATCH", f"/folders/{folder['id']}", body).status in (400, 404, 409)
    problem(steps.call("PATCH", "/folders/root", {"name": "x"}), 409, "conflict")


def test_a_folder_is_cleared_and_deleted(steps: Steps) -> None:
    folder = make(steps, "/a")
    steps.register()
    kept = steps.upload(b"x", query="&folder=/a/b")
    steps.ok("PATCH", f"/artifacts/{kept['id']}", {"deletable": False})
    job = steps.make(folder="/a")
    problem(steps.call("DELETE", f"/folders/{folder['id']}"), 409, "conflict")
    told = steps.ok("POST", f"/folders/{folder['id']}/clear")
    assert (told["deleted"], told["stayed"], told["more"]) == (1, 1, False)
    outcomes = {(o["type"], o["id"]): o for o in told["outcomes"]}
    assert outcomes["job", job["id"]] == {
        "type": "job",
        "id": job["id"],
        "deleted": True,
        "reason": None,
    }
    assert "not deletable" in outcomes["artifact", kept["id"]]["reason"]
    problem(steps.call("GET", f"/step-jobs/{job['id']}"), 404, "not-found")
    steps.ok("PATCH", f"/artifacts/{kept['id']}", {"deletable": True})
    told = steps.ok("POST", f"/folders/{folder['id']}/clear")
    assert (told["deleted"], told["stayed"]) == (1, 0)
    assert paths(steps) == ["/a/", "/a/b/"]
    (below,) = steps.ok("GET", "/folders?path=/a")["folders"]
    assert steps.call("DELETE", f"/folders/{below['id']}").status == 204
    assert steps.call("DELETE", f"/folders/{folder['id']}").status == 204
    problem(steps.call("GET", f"/folders/{folder['id']}"), 404, "not-found")
    assert paths(steps) == []
