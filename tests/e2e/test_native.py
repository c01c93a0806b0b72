"""The native surface below /v1: every route, and every code it can answer."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fault_shim import FaultShim
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

RECORDS = 20


def problem(answer: Reply, status: int, code: str) -> dict[str, Any]:
    """That the answer is that problem, as RFC 9457 wants it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == f"urn:penstock:problem:{code}"
    assert told["status"] == status
    assert told["title"] and told["detail"]
    return dict(told)


class Native:
    """Calls to /v1, answers as JSON."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.wire = Wire(server.url)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return self.wire.call(method, f"/v1{path}", body=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.call(method, path, body)
        assert answer.status == status, answer
        return answer.json() if answer.body else None

    def source(self, name: str = "in.jsonl", records: int = RECORDS) -> str:
        lines = [json.dumps({"n": n, "text": f"é {n}"}) for n in range(records)]
        (self.server.data / name).write_text("\n".join(lines) + "\n")
        return name

    def start(self, name: str = "titles", **members: Any) -> Any:
        body = {"name": name, "source": {"path": self.source()}, "sink": {"path": f"{name}.jsonl"}}
        return self.ok("POST", "/jobs", {**body, **members}, status=201)

    def claim(self, job: str = "~titles", **members: Any) -> Any:
        return self.ok("POST", f"/jobs/{job}/claim", members)

    def settle(self, claim: Any, results: Any = (), failures: Any = ()) -> Any:
        body = {"lease": claim["lease"]["token"], "results": results, "failures": failures}
        return self.ok("POST", "/jobs/~titles/settle", body)

    def output(self, name: str = "titles.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.server.data / name).read_text().splitlines()]


@pytest.fixture
def native(server: ServerProcess) -> Native:
    return Native(server)


# ---- jobs


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
    assert native.claim(max=1) == {"lease": None, "records": [], "finished": True}
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


# ---- work


def test_all_records_are_claimed_settled_and_written_once(native: Native) -> None:
    native.start()
    while not (claim := native.claim(max=7))["finished"]:
        results = [[number, {"id": record["n"]}] for number, record in claim["records"]]
        if results:
            assert native.settle(claim, results)["written"] == len(results)
    assert [line["id"] for line in native.output()] == list(range(RECORDS))
    job = native.ok("GET", "/jobs/~titles")
    assert job["state"] == "completed"
    assert job["records"]["done"] == job["records"]["total"] == RECORDS
    assert job["ended_at"]


def test_records_arrive_as_they_are_in_the_file(native: Native) -> None:
    line = (
        '{"big":123456789012345678901234567890,"f":1.0,"u":"\\u00e9 é","deep":[[[]]],"a":1,"a":2}'
    )
    (native.server.data / "in.jsonl").write_text(line + "\n")
    body = {"name": "titles", "source": {"path": "in.jsonl"}, "sink": {"path": "titles.jsonl"}}
    native.ok("POST", "/jobs", body, status=201)
    answer = native.call("POST", "/jobs/~titles/claim", {})
    assert f'"records":[[0,{line}]]' in answer.text


def test_results_are_written_as_they_came_one_a_line(native: Native) -> None:
    native.start()
    token = native.claim(max=3)["lease"]["token"]
    body = (
        f'{{"results":[\n[0, {{"n":\r\n 1.10,\n"t":"a\\nb"}} ], [1,[1,\n2]\n],[2,null]],'
        f'"lease":"{token}"}}'
    )
    assert native.ok("POST", "/jobs/~titles/settle", body.encode())["written"] == 3
    lines = (native.server.data / "titles.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 1.1, "t": "a\nb"}, [1, 2], None]
    assert "1.10" in lines[0]


def test_a_claim_of_a_job_with_nothing_now_says_whether_it_is_over(native: Native) -> None:
    native.start()
    held = native.claim(max=100)
    assert native.claim() == {"lease": None, "records": [], "finished": False}
    native.settle(held, [[number, 0] for number, _ in held["records"]])
    assert native.claim() == {"lease": None, "records": [], "finished": True}


def test_a_waiting_claim_gets_what_a_failure_gives_back(native: Native) -> None:
    native.start()
    held = native.claim(max=100)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(native.claim(wait_s=60)))
    waiting.start()
    native.settle(held, failures=[[5, "try again"]])
    waiting.join(30)
    assert [number for number, _ in got[0]["records"]] == [5]


def test_a_claim_waits_no_longer_than_asked(native: Native) -> None:
    native.start()
    native.claim(max=100)
    assert native.claim(wait_s=0.2)["records"] == []


def test_a_lease_that_is_over_gives_its_records_back(native: Native) -> None:
    native.start()
    held = native.claim(max=2, lease_s=0.1)
    native.claim(max=100)
    again = native.claim(wait_s=30)
    assert [number for number, _ in again["records"]] == [0, 1]
    body = {"lease": held["lease"]["token"], "results": [[0, 0]]}
    problem(native.call("POST", "/jobs/~titles/settle", body), 409, "lease-ended")
    assert native.settle(again, [[0, 0], [1, 1]])["written"] == 2


def test_only_the_holder_can_settle(native: Native) -> None:
    native.start()
    native.claim(max=1)
    other = native.claim(max=1)
    body = {"lease": other["lease"]["token"], "results": [[0, 0]]}
    problem(native.call("POST", "/jobs/~titles/settle", body), 409, "conflict")
    body = {"lease": "0" * 32, "results": [[0, 0]]}
    problem(native.call("POST", "/jobs/~titles/settle", body), 409, "lease-ended")
    body = {"results": [[0, 0]]}
    problem(native.call("POST", "/jobs/~titles/settle", body), 400, "invalid")
    assert native.ok("GET", "/jobs/~titles")["records"]["done"] == 0


def test_a_settlement_whose_answer_was_lost_can_be_repeated(native: Native) -> None:
    native.start()
    held = native.claim(max=2)
    assert native.settle(held, [[0, "a"]]) == {
        "written": 1,
        "repeats": 0,
        "failed": 0,
        "retried": 0,
    }
    assert native.settle(held, [[0, "b"], [1, "c"]])["repeats"] == 1
    assert native.output() == ["a", "c"]


def test_failures_are_retried_until_their_attempts_are_spent(native: Native) -> None:
    native.start(max_attempts=2)
    assert native.settle(native.claim(max=1), failures=[[0, "first"]])["retried"] == 1
    assert native.settle(native.claim(max=1), failures=[[0, "second é"]])["failed"] == 1
    assert native.settle(native.claim(max=1), failures=[[1, None]])["retried"] == 1
    job = native.ok("GET", "/jobs/~titles")
    assert job["records"]["failed"] == 1
    errors = native.ok("GET", "/jobs/~titles/errors")
    assert [(entry["record"], entry["reason"]) for entry in errors["errors"]] == [(0, "second é")]
    assert errors["next"] is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "byte"),
        ("[]", "object"),
        ('{"lease":L,"results":{}}', "results"),
        ('{"lease":L,"results":[1]}', "results[0]"),
        ('{"lease":L,"results":[[0,0],[1]]}', "results[1]"),
        ('{"lease":L,"results":[[0,0,0]]}', "results[0]"),
        ('{"lease":L,"results":[["0",0]]}', "results[0]"),
        ('{"lease":L,"results":[[-1,0]]}', "results[0]"),
        ('{"lease":L,"results":[[1.0,0]]}', "results[0]"),
        ('{"lease":L,"results":[[99999999999999999999,0]]}', "results[0]"),
        ('{"lease":L,"results":[[0,0]', "byte"),
        ('{"lease":L,"results":[[0,{"a":1,}]]}', "byte"),
        ('{"lease":L,"results":[[0,NaN]]}', "byte"),
        ('{"lease":L,"results":[[0,"\\ud800"]]}', "byte"),
        ('{"lease":L,"failures":[[0,5]]}', "failures[0]"),
        ('{"lease":L,"failures":"x"}', "failures"),
        ('{"lease":L,"other":1}', "other"),
        ('{"lease":"short","results":[]}', "lease"),
        ('{"lease":7,"results":[]}', "lease"),
        ('{"lease":L,"results":[[0,' + "[" * 100 + "]" * 100 + "]]}", "byte"),
    ],
)
def test_a_settlement_that_cannot_be_right_changes_nothing(
    native: Native, body: str, says: str
) -> None:
    native.start()
    token = native.claim(max=2)["lease"]["token"]
    sent = body.replace("L", f'"{token}"', 1).encode()
    told = problem(native.call("POST", "/jobs/~titles/settle", sent), 400, "invalid")
    assert says in told["detail"]
    assert native.ok("GET", "/jobs/~titles")["records"]["served"] == 2


def test_an_empty_settlement_is_fine(native: Native) -> None:
    native.start()
    held = native.claim(max=1)
    assert native.settle(held)["written"] == 0
    body = {"lease": held["lease"]["token"], "results": None, "failures": None}
    assert native.ok("POST", "/jobs/~titles/settle", body)["written"] == 0


def test_a_result_that_does_not_fit_the_sink_refuses_the_whole_call(native: Native) -> None:
    native.start(sink={"path": "out.csv"})
    held = native.claim(max=2)
    body = {"lease": held["lease"]["token"], "results": [[0, [1, 2]], [1, "no row"]]}
    told = problem(native.call("POST", "/jobs/~titles/settle", body), 400, "invalid")
    assert "record 1" in told["detail"]
    assert native.settle(held, [[0, [1, 2]], [1, [3, 4]]])["written"] == 2
    assert (native.server.data / "out.csv").read_text() == "1,2\n3,4\n"


@pytest.mark.parametrize(
    "body",
    [
        b'{"max":0}',
        b'{"max":100001}',
        b'{"max":"1"}',
        b'{"wait_s":61}',
        b'{"wait_s":-1}',
        b'{"lease_s":0}',
        b'{"count":1}',
        b"[]",
        b'{"max":1',
        b"x",
    ],
)
def test_a_claim_that_cannot_be_right_is_refused(native: Native, body: bytes) -> None:
    native.start()
    problem(native.call("POST", "/jobs/~titles/claim", body), 400, "invalid")


def test_an_empty_body_claims_with_the_defaults(native: Native) -> None:
    native.start()
    assert len(native.ok("POST", "/jobs/~titles/claim")["records"]) == RECORDS


def test_extend_moves_the_deadline(native: Native) -> None:
    native.start()
    held = native.claim(max=1, lease_s=30)
    token = held["lease"]["token"]
    longer = native.ok("POST", "/jobs/~titles/extend", {"lease": token, "lease_s": 300})
    assert longer["token"] == token
    assert longer["ends_at"] > held["lease"]["ends_at"]
    shorter = native.ok("POST", "/jobs/~titles/extend", {"lease": token})
    assert shorter["ends_at"] < longer["ends_at"]
    problem(native.call("POST", "/jobs/~titles/extend", {}), 400, "invalid")
    problem(native.call("POST", "/jobs/~titles/extend", {"lease": "0" * 32}), 409, "lease-ended")


def test_release_gives_the_records_back_without_an_attempt(native: Native) -> None:
    native.start(max_attempts=1)
    token = native.claim(max=2)["lease"]["token"]
    assert native.call("POST", "/jobs/~titles/release", {"lease": token}).status == 204
    problem(native.call("POST", "/jobs/~titles/release", {"lease": token}), 409, "lease-ended")
    assert [number for number, _ in native.claim(max=2)["records"]] == [0, 1]


def test_a_claim_whose_client_has_gone_is_given_back(native: Native) -> None:
    native.start()
    native.claim(max=RECORDS - 1)
    held = native.claim(max=1)
    with native.wire.socket() as gone:
        body = b'{"max":1,"wait_s":60}'
        head = f"POST /v1/jobs/~titles/claim HTTP/1.1\r\nHost: localhost:{native.wire.port}\r\n"
        gone.sendall(head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        gone.shutdown(socket.SHUT_RDWR)
    native.settle(held, failures=[[held["records"][0][0], "again"]])
    assert len(native.claim(max=1, wait_s=60)["records"]) == 1


def test_a_job_without_leases_is_settled_without_one(native: Native) -> None:
    native.start(lease_s=0)
    claim = native.claim(max=2)
    assert claim["lease"] is None
    assert len(claim["records"]) == 2
    told = native.ok("POST", "/jobs/~titles/settle", {"results": [[0, "a"]], "failures": []})
    assert told["written"] == 1


def test_a_write_job_takes_results_and_gives_no_records(native: Native) -> None:
    body = {"name": "titles", "mode": "write", "sink": {"path": "titles.jsonl"}}
    native.ok("POST", "/jobs", body, status=201)
    assert native.ok("POST", "/jobs/~titles/settle", {"results": [[0, 1], [0, 2]]})["written"] == 2
    assert native.output() == [1, 2]
    problem(native.call("POST", "/jobs/~titles/claim", {}), 409, "conflict")


def test_a_read_job_is_settled_without_an_output(native: Native) -> None:
    native.source()
    body = {"name": "titles", "mode": "read", "source": {"path": "in.jsonl"}}
    native.ok("POST", "/jobs", body, status=201)
    claim = native.claim(max=RECORDS)
    native.settle(claim, [[number, None] for number, _ in claim["records"]])
    assert native.claim()["finished"] is True


def test_too_long_a_message_is_refused(native: Native) -> None:
    native.start()
    body = b'{"max":1' + b" " * 100000 + b"}"
    problem(native.call("POST", "/jobs/~titles/claim", body), 413, "limit")


# ---- errors


def test_errors_come_in_pages(native: Native) -> None:
    lines = ["{}" if number % 2 else "bad" for number in range(10)]
    (native.server.data / "in.jsonl").write_text("\n".join(lines) + "\n")
    body = {"name": "titles", "source": {"path": "in.jsonl"}, "sink": {"path": "titles.jsonl"}}
    native.ok("POST", "/jobs", body, status=201)
    assert native.ok("GET", "/jobs/~titles/errors") == {"errors": [], "next": None}
    held = native.claim()
    native.settle(held, [[number, 0] for number, _ in held["records"]])
    seen, after = [], 0
    while after is not None:
        page = native.ok("GET", f"/jobs/~titles/errors?limit=2&after={after}")
        seen += [(entry["record"], entry["line"]) for entry in page["errors"]]
        after = page["next"]
    assert seen == [(number, number + 1) for number in range(0, 10, 2)]
    problem(native.call("GET", "/jobs/~titles/errors?limit=0"), 400, "invalid")
    problem(native.call("GET", "/jobs/~titles/errors?after=-1"), 400, "invalid")
    beyond = native.ok("GET", "/jobs/~titles/errors?after=100000")
    assert beyond == {"errors": [], "next": None}


# ---- events


class Stream:
    """An event stream, read event by event."""

    def __init__(self, native: Native, path: str, **headers: str) -> None:
        self.connection = native.wire.connect()
        self.connection.request("GET", f"/v1{path}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"] == "text/event-stream"

    def __iter__(self) -> Iterator[tuple[int, str, Any]]:
        """The history's events: id, kind, data."""
        told: dict[str, str] = {}
        for line in self.answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                told[name] = value
            elif told:
                if "id" in told:
                    yield int(told["id"]), told["event"], json.loads(told["data"])
                told = {}

    def until(self, kind: str) -> list[tuple[int, str, Any]]:
        seen = []
        for event in self:
            seen.append(event)
            if event[1] == kind:
                return seen
        raise AssertionError(f"no {kind} among {seen}")

    def close(self) -> None:
        self.connection.close()


def finish(native: Native, job: str = "~titles") -> None:
    claim = native.claim(job, max=RECORDS)
    body = {
        "lease": claim["lease"]["token"],
        "results": [[number, 0] for number, _ in claim["records"]],
    }
    native.ok("POST", f"/jobs/{job}/settle", body)
    assert native.claim(job)["finished"]


def test_events_are_told_as_they_happen(native: Native) -> None:
    stream = Stream(native, "/events")
    native.start()
    finish(native)
    events = stream.until("job.completed")
    stream.close()
    assert [kind for _, kind, _ in events] == ["job.created", "job.running", "job.completed"]
    assert all(data["name"] == "titles" and data["id"] == number for number, _, data in events)


def test_events_are_resumed_where_they_were_cut(native: Native) -> None:
    native.start()
    finish(native)
    whole = Stream(native, "/events?after=0").until("job.completed")
    first = whole[0][0]
    by_header = Stream(native, "/events", **{"Last-Event-ID": str(first)}).until("job.completed")
    by_query = Stream(native, f"/events?after={first}").until("job.completed")
    both = Stream(native, "/events?after=0", **{"Last-Event-ID": str(first)}).until("job.completed")
    assert by_header == by_query == both == whole[1:]


def test_the_history_outlives_the_server(
    native: Native, make_server: Callable[..., ServerProcess]
) -> None:
    native.start()
    finish(native)
    before = Stream(native, "/events?after=0").until("job.completed")
    native.server.restart()
    assert Stream(native, "/events?after=0").until("job.completed") == before


def test_a_job_s_events_are_its_own(native: Native) -> None:
    native.start("other")
    native.start()
    stream = Stream(native, "/jobs/~titles/events?after=0")
    finish(native, "~other")
    finish(native)
    events = stream.until("job.completed")
    stream.close()
    assert {data["name"] for _, _, data in events} == {"titles"}


def test_a_long_history_comes_whole_and_in_order(native: Native) -> None:
    native.start()
    for _ in range(1500):
        native.ok("POST", "/jobs/~titles/pause")
        native.ok("POST", "/jobs/~titles/resume")
    finish(native)
    events = Stream(native, "/events?after=0").until("job.completed")
    numbers = [number for number, _, _ in events]
    assert numbers == sorted(set(numbers))
    assert len(events) == 3 + 2 * 1500


def test_odd_starting_points_of_events_are_refused(native: Native) -> None:
    problem(native.call("GET", "/events?after=-1"), 400, "invalid")
    problem(native.call("GET", "/events?since=1"), 400, "invalid")
    problem(native.call("GET", "/events", **{"Last-Event-ID": "x"}), 400, "invalid")
    problem(native.call("GET", "/jobs/~nobody/events"), 404, "not-found")


def test_followers_that_have_gone_do_no_harm(native: Native) -> None:
    native.start()
    for _ in range(50):
        Stream(native, "/events?after=0").close()
    finish(native)
    assert native.ok("GET", "/health")["status"] == "ok"


# ---- service


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


# ---- keys and tokens


def test_keys_are_made_shown_once_and_revoked(native: Native) -> None:
    made = native.call("POST", "/keys", {"name": "laptop", "scopes": ["work", "read"]})
    assert made.status == 201
    assert made.headers["location"] == "/v1/keys/laptop"
    key = made.json()
    assert key["secret"].startswith("pk_")
    assert len(key["secret"]) == 3 + 43
    assert key["scopes"] == ["read", "work"]
    listed = native.call("GET", "/keys")
    assert key["secret"] not in listed.text
    assert [one["name"] for one in listed.json()["keys"]] == ["laptop"]
    problem(native.call("POST", "/keys", {"name": "laptop", "scopes": ["read"]}), 409, "conflict")
    assert native.call("DELETE", "/keys/laptop").status == 204
    problem(native.call("DELETE", "/keys/laptop"), 404, "not-found")
    assert native.ok("GET", "/keys")["keys"][0]["revoked_at"]
    assert key["secret"] not in native.server.log()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"scopes": ["read"]},
        {"name": "a b", "scopes": ["read"]},
        {"name": "x" * 65, "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": ["read", 1]},
        {"name": "x", "scopes": "read"},
        {"name": "x", "scopes": ["read"], "secret": "pk_mine"},
    ],
)
def test_a_key_that_cannot_be_right_is_refused(native: Native, body: Any) -> None:
    problem(native.call("POST", "/keys", body), 400, "invalid")
    assert native.ok("GET", "/keys")["keys"] == []


def test_a_protected_job_takes_only_its_token(native: Native) -> None:
    job = native.start(token="s3cret")
    assert job["protected"] is True
    answer = native.call("POST", "/jobs/~titles/claim", {})
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    wrong = native.call("POST", "/jobs/~titles/claim", {}, **{"Penstock-Token": "x"})
    problem(wrong, 403, "forbidden")
    right = native.call("POST", "/jobs/~titles/claim", {}, **{"Penstock-Token": "s3cret"})
    assert right.status == 200
    problem(native.call("DELETE", "/jobs/~titles"), 401, "unauthorized")
    assert "s3cret" not in native.server.log()


class Keyed(Native):
    """Calls with a key."""

    def __init__(self, server: ServerProcess, key: str | None) -> None:
        super().__init__(server)
        self.key = key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return super().call(method, path, body, **headers)


def test_each_scope_allows_what_it_says_and_no_more(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    native = Native(server)
    keys = {
        scope: native.ok("POST", "/keys", {"name": scope, "scopes": [scope]}, status=201)["secret"]
        for scope in ("read", "work", "admin")
    }
    native.start()
    server.kill()
    server.args += ["--auth", "keys"]
    server.start()
    read, work, admin = (Keyed(server, keys[scope]) for scope in ("read", "work", "admin"))
    nobody, stranger = Keyed(server, None), Keyed(server, "pk_" + "x" * 43)

    assert nobody.call("GET", "/health").status == 200
    problem(nobody.call("GET", "/jobs"), 401, "unauthorized")
    problem(stranger.call("GET", "/jobs"), 401, "unauthorized")
    problem(nobody.call("POST", "/jobs/~titles/claim", {}), 401, "unauthorized")
    assert read.call("GET", "/jobs").status == 200
    problem(read.call("POST", "/jobs/~titles/claim", {}), 403, "forbidden")
    assert work.call("POST", "/jobs/~titles/claim", {"max": 1}).status == 200
    assert work.call("GET", "/jobs/~titles").status == 200
    problem(work.call("POST", "/jobs/~titles/pause"), 403, "forbidden")
    problem(work.call("GET", "/keys"), 403, "forbidden")
    assert admin.call("POST", "/jobs/~titles/pause").status == 200
    assert admin.call("DELETE", "/keys/read").status == 204
    problem(read.call("GET", "/jobs"), 401, "unauthorized")


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


# ---- a spoiled disk


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


@pytest.fixture
def shaky(make_server: Callable[..., ServerProcess], shim: FaultShim) -> Native:
    """A server whose disk fails on demand."""
    return Native(make_server(env=shim.env))


def test_a_full_disk_takes_nothing_and_the_same_call_works_later(
    shaky: Native, shim: FaultShim
) -> None:
    shaky.start()
    held = shaky.claim(max=2)
    body = {"lease": held["lease"]["token"], "results": [[0, "a"], [1, "b"]]}
    shim.spoil("write", "titles.jsonl", error=errno.ENOSPC)
    problem(shaky.call("POST", "/jobs/~titles/settle", body), 507, "no-space")
    assert shaky.ok("GET", "/jobs/~titles")["records"]["done"] == 0
    shim.heal()
    assert shaky.ok("POST", "/jobs/~titles/settle", body)["written"] == 2
    assert shaky.output() == ["a", "b"]


def test_an_output_that_cannot_be_written_is_told(shaky: Native, shim: FaultShim) -> None:
    shaky.start()
    held = shaky.claim(max=1)
    body = {"lease": held["lease"]["token"], "results": [[0, "a"]]}
    shim.spoil("write", "titles.jsonl", error=errno.EIO)
    told = problem(shaky.call("POST", "/jobs/~titles/settle", body), 500, "io")
    assert "titles.jsonl" in told["detail"]
    shim.heal()
    assert shaky.ok("POST", "/jobs/~titles/settle", body)["written"] == 1


def test_a_full_store_is_told_too(shaky: Native, shim: FaultShim) -> None:
    shaky.start()
    shim.spoil("write", "/state/", error=errno.ENOSPC)
    answer = shaky.call("POST", "/keys", {"name": "k", "scopes": ["read"]})
    problem(answer, 507, "no-space")
    shim.heal()
    shaky.ok("POST", "/keys", {"name": "k", "scopes": ["read"]}, status=201)
