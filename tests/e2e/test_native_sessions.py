"""Sessions: a worker's kept lease, what it may hold, and what becomes of it when it is gone."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from harness.native import RECORDS, Native, problem


class Session:
    """A worker with a kept lease, by hand."""

    def __init__(self, native: Native, worker: str = "w", **members: Any) -> None:
        self.native = native
        first = native.claim(keep=True, worker=worker, **members)
        self.lease = first["lease"]["token"]
        self.first = first

    def claim(self, **members: Any) -> Any:
        return self.native.claim(lease=self.lease, **members)

    def settle(self, **members: Any) -> Any:
        body = {"lease": self.lease, **members}
        return self.native.ok("POST", "/jobs/~titles/settle", body)

    def release(self, **members: Any) -> None:
        body = {"lease": self.lease, **members}
        self.native.ok("POST", "/jobs/~titles/release", body, status=204)


def numbers(claim: Any) -> list[int]:
    return [number for number, _ in claim["records"]]


def done(*records: int) -> list[Any]:
    return [[record, {"id": record}] for record in records]


def records(native: Native) -> Any:
    return native.ok("GET", "/jobs/~titles")["records"]


def test_claims_add_to_a_kept_lease_that_stays_when_it_is_empty(native: Native) -> None:
    native.start()
    session = Session(native, "host:1", max=3)
    assert numbers(session.first) == [0, 1, 2]
    assert session.settle(results=done(0, 1, 2))["written"] == 3
    again = session.claim(max=2)
    assert again["lease"]["token"] == session.lease
    assert numbers(again) == [3, 4]
    assert numbers(session.claim(max=1)) == [5]
    job = native.ok("GET", "/jobs/~titles")
    assert job["workers"] == [{"worker": "host:1", "holding": 3, "slots": None}]
    assert job["records"]["in_flight"] == 3
    assert session.settle(results=done(5, 3, 4))["written"] == 3
    while not (claim := session.claim(max=50))["finished"]:
        session.settle(results=done(*numbers(claim)))
    assert claim["lease"] is None
    assert sorted(line["id"] for line in native.output()) == list(range(RECORDS))
    assert native.ok("GET", "/jobs/~titles")["leases"] == 0


def test_a_lease_that_is_not_kept_cannot_be_added_to(native: Native) -> None:
    native.start()
    token = native.claim(max=1)["lease"]["token"]
    problem(native.call("POST", "/jobs/~titles/claim", {"lease": token}), 409, "conflict")
    problem(native.call("POST", "/jobs/~titles/claim", {"lease": "0" * 32}), 409, "lease-ended")
    problem(native.call("POST", "/jobs/~titles/claim", {"lease": "?"}), 400, "invalid")


@pytest.mark.parametrize(
    "members",
    [
        {"holds": [1]},
        {"lease": "0" * 32, "holds": 1},
        {"lease": "0" * 32, "holds": ["x"]},
        {"keep": True, "worker": "w" * 201},
        {"keep": True, "running": -1},
        {"keep": 1},
    ],
    ids=str,
)
def test_what_a_session_cannot_mean_is_refused(native: Native, members: Any) -> None:
    native.start()
    problem(native.call("POST", "/jobs/~titles/claim", members), 400, "invalid")


def test_a_job_without_lease_time_keeps_no_lease(native: Native) -> None:
    native.start(lease_s=0)
    problem(native.call("POST", "/jobs/~titles/claim", {"keep": True}), 400, "invalid")
    assert Session(native, lease_s=5, max=1).first["lease"]


def test_what_the_worker_does_not_know_of_is_served_again(native: Native) -> None:
    native.start()
    session = Session(native, max=4)
    again = session.claim(max=3, holds=[1, 2, 77])
    assert numbers(again) == [0, 3, 4]
    assert session.settle(results=done(0, 1, 2, 3, 4))["written"] == 5


def test_a_released_session_gives_back_all_it_holds_at_once(native: Native) -> None:
    native.start(max_attempts=1)
    one, two = Session(native, "one", max=RECORDS), Session(native, "two", max=1)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(two.claim(max=3, wait_s=60)))
    waiting.start()
    one.release()
    waiting.join(30)
    assert numbers(got[0]) == [0, 1, 2]
    problem(native.call("POST", "/jobs/~titles/claim", {"lease": one.lease}), 409, "lease-ended")
    assert records(native)["failed"] == 0


def test_records_that_gave_nothing_are_done(native: Native) -> None:
    native.start()
    session = Session(native, max=RECORDS)
    told = session.settle(results=done(0), skipped=[1, 2])
    assert told == {"written": 1, "skipped": 2, "repeats": 0, "failed": 0, "retried": 0}
    assert session.settle(skipped=[2, 3])["repeats"] == 1
    session.settle(results=done(*range(4, RECORDS)))
    assert session.claim()["finished"]
    job = native.ok("GET", "/jobs/~titles")
    assert job["state"] == "completed"
    assert job["records"]["skipped"] == 3
    assert job["records"]["done"] == RECORDS
    assert len(native.output()) == RECORDS - 3


def test_a_reason_may_say_what_it_was_and_that_it_is_final(native: Native) -> None:
    native.start(max_attempts=3)
    session = Session(native, max=2)
    reason = {"message": "no such book", "type": "KeyError", "final": True}
    told = session.settle(failures=[[0, reason], [1, {"message": "later"}]])
    assert (told["failed"], told["retried"]) == (1, 1)
    line = native.ok("GET", "/jobs/~titles/errors")["errors"][0]
    assert (line["record"], line["reason"], line["type"]) == (0, "no such book", "KeyError")


def test_a_settlement_told_twice_is_no_lie(native: Native) -> None:
    native.start()
    session = Session(native, max=3)
    body = {"results": done(0), "skipped": [1], "failures": [[2, "try again"]]}
    assert session.settle(**body)["retried"] == 1
    assert session.settle(**body) == {
        "written": 0,
        "skipped": 0,
        "repeats": 3,
        "failed": 0,
        "retried": 0,
    }
    other = Session(native, max=1)
    assert numbers(other.first) == [2]
    assert session.settle(**body)["repeats"] == 3
    assert other.settle(results=done(2))["written"] == 1


def test_a_later_claim_ends_one_that_still_waits(native: Native) -> None:
    native.start()
    session = Session(native, max=RECORDS)
    answers: list[Any] = []
    path = "/jobs/~titles/claim"
    waits = {"lease": session.lease, "wait_s": 60}
    waiting = threading.Thread(target=lambda: answers.append(native.call("POST", path, waits)))
    waiting.start()
    while waiting.is_alive():
        assert session.claim()["records"] == []
        waiting.join(0.01)
    problem(answers[0], 409, "conflict")


def test_slots_are_shared_and_a_late_worker_gets_its_part(native: Native) -> None:
    native.start(limits={"concurrency": 6})
    one = Session(native, "one", max=RECORDS)
    assert one.first["slots"] == 6
    assert len(one.first["records"]) == RECORDS
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(Session(native, "two", wait_s=60)))
    waiting.start()
    while one.claim(running=6)["slots"] == 6:  # the other has not come yet
        pass
    told = one.claim(running=0)
    assert told["slots"] == 3
    one.settle(failures=[[19, "it is the other one's turn"]])
    waiting.join(30)
    assert got[0].first["slots"] == 3
    assert numbers(got[0].first) == [19]
    workers = native.ok("GET", "/jobs/~titles")["workers"]
    assert {w["worker"]: w["slots"] for w in workers} == {"one": 3, "two": 3}


def test_a_paced_job_says_when_its_records_may_start(native: Native) -> None:
    native.start(limits={"rpm": 1200})
    session = Session(native, max=RECORDS)
    assert len(session.first["records"]) == 2  # in a tenth of a second
    starts = session.first["starts"]
    assert starts["first_s"] == 0
    assert 0.05 < starts["every_s"] < 0.0505
    seen = numbers(session.first)
    while len(seen) < RECORDS:
        claim = session.claim(max=RECORDS, wait_s=30)
        assert 1 <= len(claim["records"]) <= 3
        assert claim["starts"]["first_s"] <= 0.0501
        seen += numbers(claim)
    assert seen == list(range(RECORDS))
    pace = native.ok("GET", "/jobs/~titles")["pace"]
    assert pace == {"rpm": 1200, "lowest_rpm": None, "halved": 0, "throttled": 0}


def test_a_paced_worker_is_told_whether_it_is_alone(native: Native) -> None:
    native.start(limits={"rpm": 1200})
    first = Session(native, max=1)
    assert first.first["starts"]["alone_s"] == 0.55
    second = Session(native, max=1, wait_s=30, worker="v")
    assert second.first["starts"]["alone_s"] == 0
    assert first.claim(max=1, wait_s=30)["starts"]["alone_s"] == 0
    second.release()
    assert first.claim(max=1, wait_s=30)["starts"]["alone_s"] == 0.55


def test_an_adaptive_job_reports_what_it_found(native: Native) -> None:
    native.start(limits={"concurrency": 4, "adaptive": True}, max_attempts=9)
    session = Session(native, max=RECORDS)
    assert native.ok("GET", "/jobs/~titles")["pace"]["rpm"] is None
    late = {"message": "429", "throttled": True, "retry_after_s": 3600}
    session.settle(failures=[[0, late], [1, late]])
    job = native.ok("GET", "/jobs/~titles")
    assert (job["pace"]["halved"], job["pace"]["throttled"]) == (1, 2)
    assert job["pace"]["rpm"] >= job["pace"]["lowest_rpm"] > 0
    assert (job["records"]["waiting"], job["records"]["served"]) == (
        2,
        len(session.first["records"]),
    )
    assert session.claim(max=1)["starts"]["every_s"] > 0


def test_a_failed_record_waits_before_it_comes_again(native: Native) -> None:
    native.start(retry={"delay_s": 0.2, "factor": 1})
    session = Session(native, max=RECORDS)
    assert session.settle(failures=[[3, "busy"]], results=done(0, 1, 2))["retried"] == 1
    assert records(native)["waiting"] == 1
    assert session.claim()["records"] == []
    assert numbers(session.claim(wait_s=30)) == [3]
    assert records(native)["waiting"] == 0


def test_the_record_that_kills_its_worker_fails_alone(native: Native) -> None:
    native.start(max_attempts=1)
    Session(native, max=RECORDS).release(died=True)
    deaths = 1
    while True:
        session = Session(native, max=RECORDS)
        claim = session.first
        while not claim["finished"]:
            assert claim["alone"]
            if 11 in numbers(claim):
                session.release(died=True, how="was killed by signal 9 (Killed)")
                deaths += 1
                break
            session.settle(results=done(*numbers(claim)))
            claim = session.claim(max=RECORDS)
        if claim["finished"]:
            break
    assert deaths == 3  # all, a few, alone
    counts = records(native)
    assert (counts["done"], counts["failed"]) == (RECORDS - 1, 1)
    line = native.ok("GET", "/jobs/~titles/errors")["errors"][0]
    assert (line["record"], line["type"]) == (11, "WorkerLost")
    told = "its worker was killed by signal 9 (Killed); it ran this record and no other"
    assert line["reason"] == told


def test_what_is_told_of_a_worker_that_died_has_an_end(native: Native) -> None:
    native.start()
    session = Session(native, max=1)
    body = {"lease": session.lease, "died": True, "how": "x" * 301}
    problem(native.call("POST", "/jobs/~titles/release", body), 400, "invalid")
    session.release(died=True, how=None)


def test_what_is_held_beyond_the_slots_is_not_in_flight(native: Native) -> None:
    native.start(limits={"concurrency": 4})
    session = Session(native, max=RECORDS)
    assert session.first["slots"] == 4
    held = len(session.first["records"])
    assert held > 4
    counts = records(native)
    assert (counts["served"], counts["in_flight"]) == (held, 4)
    session.settle(results=done(*numbers(session.first)[: held - 3]))
    assert records(native)["in_flight"] == 3


def test_attempts_that_failed_and_are_not_the_last_are_counted(native: Native) -> None:
    native.start(max_attempts=2)
    for retried in (1, 1):
        session = Session(native, max=1)
        (number,) = numbers(session.first)
        session.settle(failures=[[number, "no"]])
        session.release()
        assert records(native)["retried"] == retried
    assert records(native)["failed"] == 1
