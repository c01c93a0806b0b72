"""What a job has logged and measured, as pinexq's client reads it."""

from __future__ import annotations

from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps
from harness.wire import Reply, Wire


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    return Steps(server)


def path_of(job: int) -> str:
    return f"/api/Job/00000000-0000-8000-8000-{job:012x}"


def siren(answer: Reply) -> Any:
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/vnd.siren+json"
    document = answer.json()
    assert set(document) <= {"class", "title", "properties", "entities", "actions", "links"}
    return document


def links(document: Any) -> dict[str, str]:
    return {link["rel"][0]: "/api" + link["href"].split("/api", 1)[1] for link in document["links"]}


def test_a_started_job_links_to_its_log_and_metrics(steps: Steps, wire: Wire) -> None:
    steps.register()
    draft = steps.make()
    assert not {"Logs", "Metrics"} & set(links(siren(wire.call("GET", path_of(draft["id"])))))
    job = steps.run()
    found = links(siren(wire.call("GET", path_of(job["id"]))))
    empty = siren(wire.call("GET", found["Logs"]))
    assert empty["class"] == ["log"]
    assert empty["properties"] == {"current": 0, "total": 0, "limit": 100, "logs": []}
    none = siren(wire.call("GET", found["Metrics"]))
    assert none["class"] == ["metrics"]
    assert none["properties"] == {"worker": None, "metrics": {}}
    (task,) = steps.take()
    lines = [{"message": f"line {n}", "level": "warning"} for n in range(5)]
    steps.ok("POST", f"/step-jobs/{task['id']}/logs?fence=1", {"lines": lines})
    steps.call("PUT", f"/step-jobs/{task['id']}/metrics?fence=1", {"rows": 5})
    log = siren(wire.call("GET", found["Logs"] + "?limit=2&offset=1&order=desc"))
    assert [line["message"] for line in log["properties"]["logs"]] == ["line 3", "line 2"]
    assert log["properties"]["logs"][0]["level"] == "warning"
    assert (log["properties"]["current"], log["properties"]["total"]) == (2, 5)
    assert links(log)["self"] == found["Logs"]
    metrics = siren(wire.call("GET", found["Metrics"]))
    assert metrics["properties"] == {"worker": "hand", "metrics": {"rows": 5}}
    problem(wire.call("GET", found["Logs"] + "?order=up"), 400, "invalid")
    problem(wire.call("GET", path_of(999) + "/Logs"), 404, "not-found")
    problem(wire.call("GET", path_of(999) + "/Metrics"), 404, "not-found")
    problem(wire.call("GET", "/api/Job/x/Logs"), 404, "not-found")
