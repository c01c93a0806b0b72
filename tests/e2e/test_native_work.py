"""The native surface: records are claimed and settled, failures listed."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from harness.native import RECORDS, Native, nothing, problem


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
    assert native.claim() == nothing(finished=False)
    native.settle(held, [[number, 0] for number, _ in held["records"]])
    assert native.claim() == nothing(finished=True)


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
        "skipped": 0,
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


def test_an_error_longer_than_a_page_is_shown_without_its_record(native: Native) -> None:
    long = {"n": 1, "text": "x" * 1_200_000}
    lines = [json.dumps(record) + "\n" for record in ({"n": 0}, long, {"n": 2})]
    (native.server.data / "in.jsonl").write_text("".join(lines))
    body = {
        "name": "titles", "source": {"path": "in.jsonl"}, "sink": {"path": "titles.jsonl"},
        "max_attempts": 1, "errors": {"path": "titles.errors.jsonl", "records": True},
    }  # fmt: skip
    native.ok("POST", "/jobs", body, status=201)
    native.settle(native.claim(max=3), failures=[[number, f"no {number}"] for number in range(3)])
    seen, after = [], 0
    while after is not None:
        page = native.ok("GET", f"/jobs/~titles/errors?after={after}")
        seen += page["errors"]
        after = page["next"]
    assert [entry["error_message"] for entry in seen] == ["no 0", "no 1", "no 2"]
    assert [entry.get("original_record") for entry in seen] == [{"n": 0}, None, {"n": 2}]
    file = (native.server.data / "titles.errors.jsonl").read_text().splitlines()
    assert [entry.get("cut_bytes") for entry in seen] == [None, len(file[1]), None]


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
