"""The native surface below /v1: jobs, and the service itself; every code that they can answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from harness.native import RECORDS, Native, finish, nothing, problem
from harness.wire import Reply


def test_a_job_is_created_with_the_defaults_and_its_place(native: Native) -> None:
    native.source()
    body = {"name": "my job/1", "source": {"path": "in.jsonl"}, "sink": {"path": "out.csv.gz"}}
    answer = native.call("POST", "/jobs", body)
    assert answer.status == 201
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "pending"
    assert job["lease_s"] == 30
    assert job["max_attempts"] == 3
    assert job["source"]["format"] == "jsonl"
    assert job["sink"]["format"] == "csv"
    assert job["mode"] == "read-write"
    assert native.ok("GET", f"/jobs/{job['id']}") == job
    assert native.ok("GET", "/jobs/~my%20job%2F1") == job


def test_a_job_without_a_name_gets_one(native: Native) -> None:
    native.source()
    job = native.ok("POST", "/jobs", {"mode": "read", "source": {"path": "in.jsonl"}}, status=201)
    assert job["name"].startswith("job-")
    assert native.ok("GET", f"/jobs/~{job['name']}")["id"] == job["id"]


def test_a_name_in_use_is_a_conflict_unless_said_what_to_do(native: Native) -> None:
    first = native.start()
    body = {"name": "titles", "source": {"path": "in.jsonl"}, "sink": {"path": "titles.jsonl"}}
    problem(native.call("POST", "/jobs", body), 409, "name-taken")
    again = native.ok("POST", "/jobs", {**body, "repair": True}, status=201)
    assert again["id"] == first["id"]
    both = {**body, "repair": True, "clean_start": True}
    problem(native.call("POST", "/jobs", both), 400, "invalid")


def test_an_output_in_use_is_a_conflict(native: Native) -> None:
    native.start()
    body = {"name": "two", "source": {"path": "in.jsonl"}, "sink": {"path": "titles.jsonl"}}
    problem(native.call("POST", "/jobs", body), 409, "output-taken")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "byte"),
        (b"[]", "object"),
        (b'{"name":"x",}', "byte"),
        (b'{"name":1}', "name"),
        (b'{"name":""}', "name"),
        (b'{"nome":"x"}', "nome"),
        (b'{"source":{"path":"in.jsonl","from":1}}', "from"),
        (b'{"source":{"path":"in.jsonl"},"mode":"sideways"}', "mode"),
        (b'{"sink":{"path":"out.jsonl"}}', "source"),
        (b'{"source":{"path":"in.jsonl"},"lease_s":-1}', "lease_s"),
        (b'{"source":{"path":"in.jsonl"},"lease_s":"1"}', "lease_s"),
        (b'{"source":{"path":"in.jsonl"},"max_attempts":1.5}', "max_attempts"),
        (b'{"source":{"path":"in.jsonl"},"repair":"yes"}', "repair"),
        (b'{"source":{"path":"in.jsonl","program":"p"}}', "source"),
        (b'{"source":{"path":"in.jsonl","format":"xml"}}', "format"),
        (b'{"name":"a\\u0000b","source":{"path":"in.jsonl"}}', "name"),
        (b'{"name":"' + b"x" * 600 + b'","source":{"path":"in.jsonl"}}', "name"),
        (b'{"name":"\xff","source":{"path":"in.jsonl"}}', "byte"),
    ],
)
def test_a_job_that_cannot_be_right_is_refused_and_named(
    native: Native, body: bytes, says: str
) -> None:
    native.source()
    told = problem(native.call("POST", "/jobs", body), 400, "invalid")
    assert says in told["detail"]
    assert native.ok("GET", "/jobs")["jobs"] == []


def test_files_outside_the_data_folder_are_forbidden_and_missing_ones_not_found(
    native: Native,
) -> None:
    body = {"source": {"path": "/etc/passwd"}, "sink": {"path": "out.jsonl"}}
    problem(native.call("POST", "/jobs", body), 403, "forbidden")
    body = {"source": {"path": "none.jsonl"}, "sink": {"path": "out.jsonl"}}
    problem(native.call("POST", "/jobs", body), 404, "not-found")


def test_jobs_are_listed_in_pages_and_by_state(native: Native) -> None:
    for number in range(5):
        native.start(f"job {number}")
    native.ok("POST", "/jobs/~job%203/cancel")
    names, path = [], "/jobs?limit=2"
    while path:
        page = native.ok("GET", path)
        assert len(page["jobs"]) <= 2
        names += [job["name"] for job in page["jobs"]]
        path = page["next"] and page["next"].removeprefix("/v1")
    assert names == [f"job {number}" for number in range(5)]
    cancelled = native.ok("GET", "/jobs?state=cancelled")
    assert [job["name"] for job in cancelled["jobs"]] == ["job 3"]
    assert cancelled["next"] is None
    first = native.ok("GET", "/jobs?state=pending&limit=3")
    assert first["next"].endswith("&state=pending")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "state=odd", "page=2"])
def test_a_list_with_odd_parameters_is_refused(native: Native, query: str) -> None:
    problem(native.call("GET", f"/jobs?{query}"), 400, "invalid")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/jobs/999", 404, "not-found"),
        ("/jobs/~nobody", 404, "not-found"),
        ("/jobs/nobody", 400, "invalid"),
        ("/jobs/0", 400, "invalid"),
        ("/jobs/~", 400, "invalid"),
        ("/jobs/99999999999999999999", 400, "invalid"),
        ("/nothing", 404, "not-found"),
        ("/jobs/1/nothing", 404, "not-found"),
    ],
)
def test_what_is_not_there_is_told(native: Native, path: str, status: int, code: str) -> None:
    problem(native.call("GET", path), status, code)


@pytest.mark.parametrize(("method", "path"), [("PUT", "/jobs"), ("GET", "/jobs/~x/claim")])
def test_another_method_is_told_with_those_allowed(native: Native, method: str, path: str) -> None:
    answer = native.call(method, path)
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]


def test_pause_holds_claims_back_and_resume_wakes_them(native: Native) -> None:
    native.start()
    held = native.claim(max=1)
    assert native.ok("POST", "/jobs/~titles/pause")["paused"] is True
    assert native.claim(max=1)["records"] == []
    assert native.settle(held, [[0, {}]])["written"] == 1
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(native.claim(max=1, wait_s=60)))
    waiting.start()
    assert native.ok("POST", "/jobs/~titles/resume")["paused"] is False
    waiting.join(30)
    assert got[0]["records"][0][0] == 1


def test_a_cancelled_job_is_finished_and_takes_nothing(native: Native) -> None:
    native.start()
    held = native.claim(max=1)
    assert native.ok("POST", "/jobs/~titles/cancel")["state"] == "cancelled"
    assert native.claim(max=1) == nothing(finished=True)
    body = {"lease": held["lease"]["token"], "results": [[0, 1]]}
    problem(native.call("POST", "/jobs/~titles/settle", body), 409, "conflict")
    problem(native.call("POST", "/jobs/~titles/pause"), 409, "conflict")


def test_a_deleted_job_is_gone_and_its_output_stays(native: Native) -> None:
    native.start()
    native.settle(native.claim(max=1), [[0, "kept"]])
    assert native.call("DELETE", "/jobs/~titles").status == 204
    problem(native.call("GET", "/jobs/~titles"), 404, "not-found")
    problem(native.call("DELETE", "/jobs/~titles"), 404, "not-found")
    assert native.output() == ["kept"]


def test_repair_serves_what_is_neither_done_nor_failed(native: Native) -> None:
    native.start(max_attempts=1)
    native.settle(native.claim(max=2), [[0, 0]], [[1, "no"]])
    native.claim(max=3)
    assert native.ok("POST", "/jobs/~titles/repair")["records"]["served"] == 0
    assert [n for n, _ in native.claim(max=100)["records"]] == list(range(2, RECORDS))
    native.ok("POST", "/jobs/~titles/repair", {"failed": True})
    assert [n for n, _ in native.claim(max=100)["records"]] == list(range(1, RECORDS))
    problem(native.call("POST", "/jobs/~titles/repair", {"failed": 1}), 400, "invalid")
    problem(native.call("POST", "/jobs/~titles/repair", {"all": True}), 400, "invalid")


def test_clean_removes_the_output_unless_told_not_to(native: Native) -> None:
    native.start()
    native.settle(native.claim(max=1), [[0, 0]])
    native.ok("POST", "/jobs/~titles/clean", {"output": False})
    assert native.output() == [0]
    native.ok("POST", "/jobs/~titles/clean")
    assert not (native.server.data / "titles.jsonl").exists()


def test_health_tells_version_and_jobs(native: Native) -> None:
    native.start()
    health = native.ok("GET", "/health")
    assert health["status"] == "ok"
    assert health["jobs"] == 1
    assert health["jobs_by_state"] == {"pending": 1}


def test_doctor_finds_nothing_wrong(native: Native) -> None:
    native.start()
    finish(native)
    told = native.ok("GET", "/doctor")
    assert told["faults"] == 0
    assert all(finding["text"] for finding in told["findings"])


def test_figures_are_in_the_prometheus_format(native: Native) -> None:
    native.start()
    finish(native)
    answer = native.wire.call("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    figures: dict[str, float] = {}
    described: set[str] = set()
    for line in answer.text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            described.add(line.split()[2])
            continue
        name, _, value = line.rpartition(" ")
        assert name.split("{")[0] in described, line
        figures[name] = float(value)
    assert figures["penstock_records_served_total"] == RECORDS
    assert figures["penstock_records_written_total"] == RECORDS
    assert figures['penstock_jobs_by_state{state="completed"}'] == 1
    assert figures["penstock_commits_total"] > 0
    assert all(name.startswith("penstock_") for name in figures)


def test_a_stopping_server_says_so(native: Native) -> None:
    native.start()
    native.claim(max=100)
    got: list[Reply] = []
    asked = threading.Event()

    def wait() -> None:
        connection = native.wire.connect()
        connection.request("POST", "/v1/jobs/~titles/claim", body=b'{"wait_s":60}')
        asked.set()
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        got.append(Reply(answer.status, headers, answer.read()))

    waiting = threading.Thread(target=wait)
    waiting.start()
    asked.wait(30)
    native.ok("GET", "/health")
    native.server.stop()
    waiting.join(30)
    problem(got[0], 503, "busy")
