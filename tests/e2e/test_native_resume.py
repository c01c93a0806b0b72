"""The native surface: a job goes on by the ids in its output, or takes a part of its input."""

from __future__ import annotations

import json
from typing import Any

from harness.native import Native, problem


def body(native: Native, **more: Any) -> dict[str, Any]:
    return {
        "name": "titles",
        "source": {"path": "ids.jsonl"},
        "sink": {"path": "titles.jsonl"},
        "identity": {"key": "id", "rerun_key": "again"},
        "errors": {"path": "failed.jsonl", "records": True},
        "max_attempts": 1,
        "resume": True,
        **more,
    }


def put_ids(native: Native, *ids: Any) -> None:
    lines = [json.dumps({"id": one}) + "\n" for one in ids]
    (native.server.data / "ids.jsonl").write_text("".join(lines))


def work(native: Native, failing: Any = None) -> list[Any]:
    """Does what there is; returns the ids it was given."""
    given = []
    while not (claim := native.claim(max=5, wait_s=10))["finished"]:
        results, failures = [], []
        for number, record in claim["records"]:
            given.append(record["id"])
            if record["id"] == failing:
                failures.append([number, {"message": "no", "type": "ValueError"}])
            else:
                results.append([number, record])
        if results or failures:
            native.settle(claim, results, failures)
    return given


def test_a_job_goes_on_by_the_ids_in_its_output(native: Native) -> None:
    put_ids(native, 1, "1", 2.0)
    native.ok("POST", "/jobs", body(native), status=201)
    assert work(native) == [1, "1", 2.0]
    put_ids(native, "new", 2, 1, "1", "new")
    job = native.ok("POST", "/jobs", body(native), status=201)
    assert job["state"] == "pending"
    assert work(native) == ["new"]
    records = native.ok("GET", "/jobs/~titles")["records"]
    assert (records["done_before"], records["duplicates"], records["written"]) == (3, 1, 1)
    output = native.server.data / "titles.jsonl"
    output.write_text('{"id":1,"again":true}\n{"id":"1"}\n{"id":2}\n{"id":"new"}\n')
    native.ok("POST", "/jobs", body(native), status=201)
    assert work(native) == [1]
    assert output.read_text() == '{"id":"1"}\n{"id":2}\n{"id":"new"}\n{"id": 1}\n'


def test_only_what_failed_is_tried_again(native: Native) -> None:
    put_ids(native, 1, 2, 3)
    native.ok("POST", "/jobs", body(native), status=201)
    assert work(native, failing=2) == [1, 2, 3]
    failed = native.server.data / "failed.jsonl"
    line = json.loads(failed.read_text())
    assert (line["record_id"], line["error_type"], line["attempts"]) == (2, "ValueError", 1)
    assert line["original_record"] == {"id": 2}
    put_ids(native, 4, 3, 2, 1)
    native.ok("POST", "/jobs", body(native, portion={"only_failed": True}), status=201)
    assert work(native) == [2]
    assert failed.read_text() == ""
    job = native.ok("GET", "/jobs/~titles")
    assert job["paused"] and job["records"]["left_out"] == 1
    native.ok("POST", "/jobs", body(native, portion={"limit": 1}), status=201)
    assert work(native) == [4]


def test_a_portion_that_cannot_be_is_refused(native: Native) -> None:
    put_ids(native, 1)
    for portion, part in [
        ({"limit": -1}, "portion.limit"),
        ({"limit": 1, "sample": 1}, "exclude each other"),
        ({"some": 1}, "unknown member"),
        ([], "expected an object"),
    ]:
        answer = native.call("POST", "/jobs", body(native, portion=portion))
        assert part in problem(answer, 400, "invalid")["detail"]
    answer = native.call("POST", "/jobs", body(native, resume=False, portion={"limit": 1}))
    assert "portion needs resume" in problem(answer, 400, "invalid")["detail"]
    answer = native.call("POST", "/jobs", body(native, repair=True))
    assert "exclude each other" in problem(answer, 400, "invalid")["detail"]
