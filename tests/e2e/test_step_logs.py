"""What the runs of step jobs log and measure, and what lists sum up."""

from __future__ import annotations

from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    return Steps(server)


@pytest.fixture
def task(steps: Steps) -> Any:
    """A task of a step job that runs."""
    steps.register()
    steps.run()
    (task,) = steps.take()
    return task


def test_lines_are_added_and_read_page_by_page(steps: Steps, task: Any) -> None:
    path = f"/step-jobs/{task['id']}/logs"
    empty = steps.ok("GET", path)
    assert empty == {"lines": [], "total": 0, "gone": 0}
    at = "2026-11-22T09:00:00.000Z"
    lines = [
        {"message": "first\nand more", "level": "warning", "at": at},
        {"message": "second", "source": "stderr"},
        {"message": "", "level": None, "at": None, "source": None},
    ]
    assert steps.ok("POST", path + f"?fence={task['fence']}", {"lines": lines}) == {"stored": 3}
    told = steps.ok("GET", path)
    assert told["total"] == 3 and [line["number"] for line in told["lines"]] == [0, 1, 2]
    first, second, third = told["lines"]
    assert (first["message"], first["level"], first["at"]) == ("first\nand more", "warning", at)
    assert (second["source"], second["level"], second["fence"]) == ("stderr", "info", 1)
    assert (third["message"], third["source"]) == ("", "log") and third["at"]
    newest = steps.ok("GET", path + "?limit=1&offset=1&order=desc")
    assert [line["message"] for line in newest["lines"]] == ["second"]
    steps.complete(task["id"])
    assert steps.ok("POST", path + "?fence=1", {"lines": [{"message": "last"}]}) == {"stored": 1}


def test_what_cannot_be_a_log_is_refused(steps: Steps, task: Any) -> None:
    path = f"/step-jobs/{task['id']}/logs"
    bad: list[Any] = [
        {},
        {"lines": 5},
        {"lines": [5]},
        {"lines": [{"message": 5}]},
        {"lines": [{"level": "info"}]},
        {"lines": [{"message": "x", "level": "loud"}]},
        {"lines": [{"message": "x", "source": "mouth"}]},
        {"lines": [{"message": "x", "at": "yesterday"}]},
        {"lines": [{"message": "x", "more": 1}]},
        {"lines": [], "more": 1},
    ]
    for body in bad:
        problem(steps.call("POST", path + "?fence=1", body), 400, "invalid")
    problem(steps.call("POST", path, {"lines": []}), 400, "invalid")
    many = {"lines": [{"message": "x"}] * 1001}
    assert steps.call("POST", path + "?fence=1", many).status == 413
    problem(steps.call("POST", path + "?fence=2", {"lines": [{"message": "x"}]}), 409, "conflict")
    for query in ("?limit=0", "?limit=1001", "?offset=-1", "?order=up", "?x=1"):
        problem(steps.call("GET", path + query), 400, "invalid")
    problem(steps.call("GET", "/step-jobs/999/logs"), 404, "not-found")
    assert steps.ok("GET", path)["total"] == 0


def test_metrics_are_put_and_read(steps: Steps, task: Any) -> None:
    path = f"/step-jobs/{task['id']}/metrics"
    assert steps.ok("GET", path) == {"worker": None, "at": None, "metrics": {}}
    measured = {"rows": 3, "loss": [0.5, 0.25], "phase": {"name": "fit"}}
    for value in ({"rows": 1}, measured):
        assert steps.call("PUT", path + "?fence=1", value).status == 204
    told = steps.ok("GET", path)
    assert told["metrics"] == measured and told["worker"] == "hand" and told["at"]
    for body in (b"5", b"[]", b"{", b""):
        problem(steps.call("PUT", path + "?fence=1", body), 400, "invalid")
    assert steps.call("PUT", path + "?fence=1", {"x": "y" * (64 << 10)}).status == 413
    problem(steps.call("PUT", path + "?fence=7", {}), 409, "conflict")
    assert steps.ok("GET", path)["metrics"] == measured


def test_the_oldest_lines_go_and_all_go_with_the_job(steps: Steps, task: Any) -> None:
    path = f"/step-jobs/{task['id']}"
    for first in range(0, 11_000, 1000):
        lines = [{"message": f"line {n}"} for n in range(first, first + 1000)]
        steps.ok("POST", path + "/logs?fence=1", {"lines": lines})
    told = steps.ok("GET", path + "/logs?limit=1")
    assert (told["total"], told["gone"]) == (10_000, 1000)
    assert told["lines"][0]["message"] == "line 1000"
    steps.fail(task["id"])
    assert steps.call("DELETE", path).status == 204
    problem(steps.call("GET", path + "/logs"), 404, "not-found")
    problem(steps.call("GET", path + "/metrics"), 404, "not-found")
    problem(steps.call("POST", path + "/logs?fence=1", {"lines": []}), 404, "not-found")


def test_lists_sum_up_how_many_and_which_tags(steps: Steps) -> None:
    steps.register()
    for n in range(5):
        steps.make(tags=["all", f"n{n % 2}"], name=f"job {n}")
        steps.upload(b"x", query=f"&tag=file&tag=n{n % 2}")
    told = steps.ok("GET", "/step-jobs?tag=all&total=1&tags=1&limit=1")
    assert (told["total"], told["tags"], len(told["jobs"])) == (5, ["n0", "n1"], 1)
    assert steps.ok("GET", "/step-jobs?tag=n1&tags=1")["tags"] == ["all"]
    assert steps.ok("GET", "/step-jobs?any_tag=n1&any_tag=n0&tags=1&total=1")["total"] == 5
    assert steps.ok("GET", "/step-jobs?tags=1")["tags"] == ["all", "n0", "n1"]
    assert steps.ok("GET", "/step-jobs?state=draft&name_contains=4&tags=1")["tags"] == ["all", "n0"]
    assert "tags" not in steps.ok("GET", "/step-jobs")
    told = steps.ok("GET", "/artifacts?tag=file&total=1&tags=1")
    assert (told["total"], told["tags"]) == (5, ["n0", "n1"])
    steps.ok("PATCH", "/steps/add", {"tags": ["fit", "fast"]})
    assert steps.ok("GET", "/steps?tags=1")["tags"] == ["fast", "fit"]
    assert steps.ok("GET", "/steps?tag=fit&tags=1")["tags"] == ["fast"]
