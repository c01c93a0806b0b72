"""Workers of the queue: waits, aborts, retries, stale settlements, lost answers, restarts."""

from __future__ import annotations

import json
import socket
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from harness.native import problem
from harness.tasks import Later, Session, Tasks


def test_a_waiting_claim_is_answered_when_a_task_comes(tasks: Tasks) -> None:
    waiting = Later(lambda: tasks.work(wait_s=60))
    (task,) = tasks.enqueue()
    assert waiting.take().ids == [task]


def test_a_claim_waits_no_longer_than_asked(tasks: Tasks) -> None:
    assert tasks.work(wait_s=0.2).got == []


def test_a_show_waits_for_the_end(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    waiting = Later(lambda: tasks.show(task, wait_s=60))
    tasks.work(wait_s=30).complete(task, result=7)
    assert waiting.take()["result"] == 7
    (other,) = tasks.enqueue()
    assert tasks.show(other, wait_s=0.2)["state"] == "pending"


def test_a_result_is_waited_for_too(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    waiting = Later(lambda: tasks.call("GET", f"/tasks/{task}/result?wait_s=60"))
    tasks.work(wait_s=30).complete(task)
    assert waiting.take().json() is None
    (failing,) = tasks.enqueue()
    problem(tasks.call("GET", f"/tasks/{failing}/result"), 409, "conflict")
    tasks.work(wait_s=30).settle(failures=[[failing, None]])
    problem(tasks.call("GET", f"/tasks/{failing}/result"), 409, "conflict")


def test_settle_claims_and_enqueues_in_one_request(tasks: Tasks) -> None:
    first, second = tasks.enqueue({"function": "f"}, {"function": "f"})
    worker = tasks.work(max=1)
    told = worker.settle(
        completed=[[first, {}]],
        enqueue=[{"of": first, "function": "next"}, {"function": "other", "after": [-1]}],
        claim={"max": 5},
    )
    assert told["completed"] == 1
    made = [entry["id"] for entry in told["enqueued"]]
    assert [task["id"] for task in told["tasks"]] in ([second], [second, made[0]])
    assert tasks.show(made[1])["state"] == "blocked"


def test_a_stale_outcome_changes_nothing_and_enqueues_nothing(tasks: Tasks) -> None:
    held, lost = tasks.enqueue({"function": "f"}, {"function": "f"})
    worker = tasks.work()
    worker.extend(holds=[held])  # lost goes back
    other = tasks.work()
    assert other.ids == [lost] and other.got[0]["fence"] == 2
    told = worker.settle(
        completed=[[held, 1], [lost, 1]],
        enqueue=[{"of": held, "function": "g"}, {"of": lost, "function": "g"}],
    )
    assert told["completed"] == 1 and told["stale"] == [lost]
    assert told["enqueued"][0]["id"] and told["enqueued"][1] is None
    assert tasks.state(lost) == "running"
    told = worker.settle(failures=[[lost, "no"]], enqueue=[{"function": "g"}])
    assert told["stale"] == [lost] and told["enqueued"] == [None]
    assert other.complete(lost)["completed"] == 1


def test_a_worker_learns_within_a_second_that_it_is_to_stop(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    worker = tasks.work()
    waiting = Later(lambda: (worker.extend(wait_s=30), time.monotonic()))
    asked = time.monotonic()
    assert tasks.change("cancel", ids=[task]) == (1, 1)
    told, at = waiting.take()
    assert told["aborts"] == [[task, "cancelled"]]
    assert at - asked < 1
    assert tasks.show(task)["abort"] == "cancelled"
    assert worker.claim()["aborts"] == [[task, "cancelled"]]  # until it is settled
    assert worker.settle(aborted=[task])["cancelled"] == 1
    assert tasks.state(task) == "cancelled"
    assert worker.extend()["aborts"] == []


def test_a_task_that_takes_too_long_is_aborted_and_has_failed(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(timeout_s=0.2)
    worker = tasks.work()
    assert worker.got[0]["timeout_s"] == 0.2
    assert worker.extend(wait_s=30)["aborts"] == [[task, "timeout"]]
    assert worker.settle(aborted=[task])["failed"] == 1
    shown = tasks.show(task)
    assert shown["state"] == "failed" and shown["error"]["type"] == "TimeoutError"


def test_a_task_that_was_to_stop_may_still_complete(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    worker = tasks.work()
    tasks.change("cancel", ids=[task])
    assert worker.complete(task)["completed"] == 1
    assert tasks.state(task) == "completed"


def test_progress_is_shown(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    worker = tasks.work(worker="host:1")
    worker.extend(progress=[[task, 0.5, "page 12"]])
    shown = tasks.show(task)
    assert (shown["progress"], shown["progress_text"]) == (0.5, "page 12")
    assert shown["worker"] == "host:1"
    assert tasks.ok("GET", "/tasks?state=running")["tasks"][0]["progress"] == 0.5


@pytest.mark.parametrize(
    ("retry", "reason", "outcome"),
    [
        (None, "no", "failed"),
        ({"kind": "fixed", "delay_s": 0}, "no", "retried"),
        ({"kind": "fixed", "delay_s": 0}, {"message": "no", "final": True}, "failed"),
        (
            {"delay_s": 0, "errors": [{"type": "ValueError", "retry": False}]},
            {"type": "ValueError"},
            "failed",
        ),
        ({"delay_s": 3600, "jitter": 0}, {"retry_after_s": 0}, "retried"),
    ],
)
def test_what_follows_a_failure(tasks: Tasks, retry: Any, reason: Any, outcome: str) -> None:
    (task,) = tasks.enqueue(retry=retry)
    worker = tasks.work()
    told = worker.settle(failures=[[task, reason]])
    assert told[outcome] == 1
    if outcome == "failed":
        assert tasks.state(task) == "failed"
    else:
        assert [t["attempt"] for t in worker.claim(wait_s=30)["tasks"]] == [2]


def test_attempts_are_spent_once(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(max_attempts=2, retry={"delay_s": 0})
    worker = tasks.work()
    assert worker.settle(failures=[[task, "1"]])["retried"] == 1
    worker.claim(wait_s=30)
    told = worker.settle(failures=[[task, {"message": "2", "type": "T", "traceback": "tb"}]])
    assert told["failed"] == 1
    shown = tasks.show(task)
    assert shown["attempts"] == 2
    error = shown["error"]
    assert (error["message"], error["type"], error["traceback"]) == ("2", "T", "tb")


def test_what_a_dead_worker_held_runs_elsewhere(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    worker = tasks.work(lease_s=1)
    other = tasks.work(wait_s=30)
    assert other.ids == [task]
    assert other.got[0]["attempt"] == 2 and other.got[0]["fence"] == 2
    problem(
        tasks.call("POST", "/work/settle", {"lease": worker.lease, "completed": [[task, 1]]}),
        409,
        "lease-ended",
    )
    assert tasks.show(task)["error"]["type"] == "WorkerLost"


def test_a_released_session_spends_attempts_only_when_it_died(tasks: Tasks) -> None:
    tasks.enqueue()
    tasks.work().release()
    worker = tasks.work()
    assert worker.got[0]["attempt"] == 1
    worker.release(died=True)
    assert tasks.work(wait_s=30).got[0]["attempt"] == 2
    problem(tasks.call("POST", "/work/release", {"lease": worker.lease}), 409, "lease-ended")


def test_requests_keep_a_session_alive(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    worker = tasks.work(lease_s=1)
    for _ in range(4):
        worker.extend(wait_s=0.5)
    assert worker.complete(task)["completed"] == 1


def test_a_first_claim_may_wait_longer_than_its_lease_lasts(tasks: Tasks) -> None:
    worker = tasks.work(wait_s=1.5, lease_s=1)
    assert worker.got == []
    worker.extend()


def test_a_session_lasts_as_its_first_claim_said(tasks: Tasks) -> None:
    def left_s(answer: Any) -> float:
        ends = datetime.fromisoformat(answer["lease"]["ends_at"])
        return (ends - datetime.now(timezone.utc)).total_seconds()  # noqa: UP017

    worker = tasks.work(lease_s=3600)
    assert left_s(worker.claim()) > 3000
    assert left_s(worker.extend()) > 3000
    worker.settle(claim={"max": 1})
    assert left_s(worker.extend()) > 3000
    assert 0 < left_s(worker.claim(lease_s=20)) <= 20


def test_one_runs_at_a_time_of_those_with_a_lock(tasks: Tasks) -> None:
    first, second = tasks.enqueue(*({"function": "f", "lock": "l"} for _ in range(2)))
    worker = tasks.work()
    assert worker.ids == [first]
    shown = tasks.show(second)
    assert shown["explain"]["hold"] == "lock" and shown["explain"]["by"] == first
    told = worker.settle(completed=[[first, None]], claim={"max": 10})
    assert [task["id"] for task in told["tasks"]] == [second]


def test_a_task_waits_for_its_time(tasks: Tasks) -> None:
    later, soon = tasks.enqueue(
        {"function": "f", "delay_s": 3600}, {"function": "f", "delay_s": 0.3}
    )
    shown = tasks.show(later)
    assert shown["state"] == "blocked" and shown["explain"]["hold"] == "time" and shown["run_at"]
    assert tasks.work().got == []
    assert tasks.work(wait_s=30).ids == [soon]


def http(body: bytes, path: bytes = b"/v1/work/claim") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def test_tasks_whose_answer_did_not_get_through_are_given_back(tasks: Tasks) -> None:
    """The client goes while its claim waits; its task is another's at once, no attempt spent."""
    with tasks.wire.socket() as s:
        s.sendall(http(b'{"max":10,"wait_s":60,"lease_s":3600}'))
        assert tasks.ok("GET", "/queues")  # the claim has been read meanwhile, or will be
    (task,) = tasks.enqueue()
    worker = tasks.work(wait_s=30)
    assert worker.ids == [task] and worker.got[0]["attempt"] == 1


def test_an_answer_that_breaks_off_gives_its_tasks_back(tasks: Tasks) -> None:
    text = "x" * (8 << 20)
    (task,) = tasks.enqueue(arguments={"text": text})
    with tasks.wire.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(http(b'{"max":10,"lease_s":3600}'))
        assert s.recv(100).startswith(b"HTTP/1.1 200")
    worker = tasks.work(wait_s=30)
    assert worker.ids == [task] and worker.got[0]["attempt"] == 1


def test_tasks_of_a_broken_settlement_come_back_to_the_session_no_more(tasks: Tasks) -> None:
    text = "x" * (8 << 20)
    first, second = tasks.enqueue({"function": "f"}, {"function": "g", "arguments": text})
    worker = tasks.work(functions=["f"], lease_s=3600)
    body = {"lease": worker.lease, "completed": [[first, None]], "claim": {"max": 10}}
    with tasks.wire.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(http(json.dumps(body).encode(), b"/v1/work/settle"))
        assert s.recv(100).startswith(b"HTTP/1.1 200")
    assert tasks.state(first) == "completed"
    assert tasks.work(wait_s=30).ids == [second]


def test_a_client_that_waits_and_goes_leaves_nothing_behind(tasks: Tasks) -> None:
    (task,) = tasks.enqueue(delay_s=3600)
    for body, path in ((b"", b"/v1/tasks/%d?wait_s=60" % task),):
        with tasks.wire.socket() as s:
            s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" + body)
    assert tasks.server.stop() == 0  # nobody is waited for


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_sessions_outlive_a_restart_of_the_server(tasks: Tasks, how: str) -> None:
    done, held, waiting = tasks.enqueue(*({"function": "f"} for _ in range(3)))
    worker = tasks.work(max=2, lease_s=20)
    worker.complete(done)
    getattr(tasks.server, how)()
    tasks.server.start()
    assert tasks.state(done) == "completed" and tasks.state(held) == "running"
    assert tasks.work().ids == [waiting]
    assert worker.extend()["aborts"] == []
    assert worker.complete(held)["completed"] == 1


def test_a_session_that_is_silent_after_a_restart_ends_then(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    tasks.work(lease_s=1)
    tasks.server.restart()
    assert tasks.work(wait_s=30).ids == [task]


def test_a_claim_ends_an_earlier_one_of_its_session(tasks: Tasks) -> None:
    worker = tasks.work()
    body = {"lease": worker.lease, "wait_s": 60}
    waiting = Later(lambda: tasks.call("POST", "/work/claim", body))
    answers = []
    while waiting.thread.is_alive():
        answers.append(worker.claim())
        waiting.thread.join(0.05)
    problem(waiting.take(), 409, "conflict")


def test_many_workers_run_each_task_once(tasks: Tasks) -> None:
    count = 2000
    for _ in range(count // 100):
        tasks.enqueue(*({"function": "f"} for _ in range(100)))

    def work() -> list[int]:
        done: list[int] = []
        worker = tasks.work(max=7)
        got = worker.got
        while got:
            done += [task["id"] for task in got]
            told = worker.settle(completed=[[task["id"], None] for task in got], claim={"max": 7})
            assert told["stale"] == []
            got = told["tasks"]
        return done

    done = [Later(work) for _ in range(8)]
    ids = [i for later in done for i in later.take(60)]
    assert len(ids) == len(set(ids)) == count
    assert Session(tasks, tasks.ok("POST", "/work/claim", {})).got == []
