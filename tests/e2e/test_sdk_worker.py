"""The worker's life over its control channel: hooks, claims, limits, leases, stopping."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from harness.fake_engine import Refusal
from harness.runtime_case import RuntimeCase

RECORDS = [{"id": n} for n in range(200)]

HOOKS = """
    def note(*words):
        with open("notes.txt", "a") as notes:
            print(*words, file=notes)

    async def on_startup():
        note("startup")
        return {"n": 1}

    async def process_record(record, context):
        context["n"] += 1
        return None

    async def on_shutdown(context):
        note("shutdown", context.get("n"))
"""


def notes(case: RuntimeCase) -> list[str]:
    path = case.folder / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []


# ---- hooks


def test_hooks_are_called_once_and_share_the_context(case: RuntimeCase) -> None:
    case.run(HOOKS, RECORDS)
    assert notes(case) == ["startup", "shutdown 201"]
    assert {"ready": {}} in case.last.said


def test_without_work_no_hook_is_called(case: RuntimeCase) -> None:
    case.run(HOOKS, [])
    assert notes(case) == []
    assert {"ready": {}} not in case.last.said


def test_hooks_may_be_plain_and_startup_may_give_nothing(case: RuntimeCase) -> None:
    source = """
        def on_startup(): pass
        def process_record(record, context): context["seen"] = True
        def on_shutdown(context): open("notes.txt", "w").write(repr(context))
    """
    case.run(source, RECORDS[:1])
    assert notes(case) == ["{'seen': True}"]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("raise ValueError('no key')", "ValueError: no key"),
        ("return 5", "TypeError: on_startup must give a dict or None, not int"),
        ("raise SystemExit(4)", "SystemExit: 4"),
    ],
)
def test_a_startup_that_fails_is_told_and_shut_down(
    case: RuntimeCase, what: str, text: str
) -> None:
    case.file("task.py", HOOKS.replace('return {"n": 1}', what))
    engine = case.engine(RECORDS)
    process = case.start().go(engine.url)
    assert process.end() == 1
    failed = process.wait_for("failed")
    assert failed["where"] == "on_startup"
    assert failed["text"] == text and "Traceback" in failed["traceback"]
    assert notes(case) == ["startup", "shutdown None"]
    assert len(engine.todo) == 200, "what was claimed is given back"


def test_a_shutdown_that_fails_is_told_after_all_was_settled(case: RuntimeCase) -> None:
    case.file("task.py", HOOKS.replace('note("shutdown"', "raise OSError('late'"))
    engine = case.engine(RECORDS)
    process = case.start().go(engine.url)
    assert process.end() == 1
    assert process.wait_for("failed")["where"] == "on_shutdown"
    assert len(engine.skipped) == 200


def test_the_http_session_is_open_until_after_shutdown(case: RuntimeCase) -> None:
    source = """
        async def on_startup():
            return {"session": "mine"}

        async def process_record(record, context):
            return type(context["session"]).__name__

        async def on_shutdown(context):
            open("notes.txt", "w").write(str(context["session"].closed))
    """
    engine = case.run(source, RECORDS[:2])
    assert set(engine.results.values()) == {"ClientSession"}
    assert notes(case) == ["False"]
    assert case.last.output() == ""


def test_nobody_pays_for_an_http_session_that_is_not_spoken_of(case: RuntimeCase) -> None:
    source = """
        import sys
        def process_record(record, context): return ["aiohttp" in sys.modules, list(context)]
    """
    assert case.run(source, RECORDS[:1]).results == {0: [False, []]}


def test_a_session_that_a_module_beside_the_task_speaks_of_is_there(case: RuntimeCase) -> None:
    case.file("helper.py", 'async def kind(context): return type(context["session"]).__name__')
    source = """
        import helper
        async def process_record(record, context): return await helper.kind(context)
    """
    assert case.run(source, RECORDS[:1]).results == {0: "ClientSession"}


# ---- stopping

SLEEPS = """
    import asyncio, pathlib

    async def process_record(record, context):
        pathlib.Path(f"began-{record['id']}").touch()
        while not pathlib.Path("go-on").exists():
            await asyncio.sleep(0.005)
        return record["id"]

    async def on_shutdown(context):
        pathlib.Path("notes.txt").write_text("shutdown")
"""


def wait_until(true: Any) -> None:
    give_up_at = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_a_stop_lets_what_runs_end_and_gives_back_the_rest(case: RuntimeCase) -> None:
    case.file("task.py", SLEEPS)
    engine = case.engine(RECORDS, slots=3)
    process = case.start().go(engine.url)
    wait_until(lambda: len(list(case.folder.glob("began-*"))) == 3)
    process.tell(stop={"grace_s": 60})
    assert process.wait_for("log", "stopping")["text"] == "stopping: 3 are running and have 60 s"
    (case.folder / "go-on").touch()
    assert process.end() == 0
    assert process.said[-1] == {"bye": {"ran": 3, "reason": "stopped"}}
    assert engine.results == {0: 0, 1: 1, 2: 2}
    assert len(engine.todo) == 197 and not engine.held
    assert notes(case) == ["shutdown"]


def test_what_outlasts_the_grace_is_given_back(case: RuntimeCase) -> None:
    case.file("task.py", SLEEPS)
    engine = case.engine(RECORDS, slots=3)
    process = case.start().go(engine.url)
    wait_until(lambda: len(list(case.folder.glob("began-*"))) == 3)
    process.tell(stop={"grace_s": 60})
    process.tell(stop={"grace_s": 0.1})
    assert process.end() == 0
    assert process.said[-1] == {"bye": {"ran": 0, "reason": "stopped"}}
    assert len(engine.todo) == 200
    assert notes(case) == ["shutdown"]


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_stop_at_once_does_not_wait_for_what_cannot_be_stopped(
    case: RuntimeCase, kind: str
) -> None:
    waits = "threading.Event().wait"
    call = f"await asyncio.to_thread({waits})" if kind == "async def" else f"{waits}()"
    source = f"""
        import asyncio, pathlib, threading

        {kind} process_record(record, context):
            pathlib.Path(f"began-{{record['id']}}").touch()
            {call}
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS, slots=3)
    process = case.start().go(engine.url)
    wait_until(lambda: len(list(case.folder.glob("began-*"))) == 3)
    process.tell(stop={"grace_s": 0})
    assert process.end() == 0
    assert len(engine.todo) == 200


def test_a_supervisor_that_is_gone_is_a_stop_at_once(case: RuntimeCase) -> None:
    case.file("task.py", SLEEPS)
    engine = case.engine(RECORDS, slots=3)
    process = case.start().go(engine.url)
    wait_until(lambda: len(list(case.folder.glob("began-*"))) == 3)
    process.socket.close()
    process.process.wait(60)
    assert len(engine.todo) == 200
    assert notes(case) == ["shutdown"]


def test_a_stop_ends_a_claim_that_waits(case: RuntimeCase) -> None:
    case.file("task.py", "def process_record(record, context): pass")
    engine = case.engine([])
    engine.held[7] = "{}"  # somebody else's: it may come back
    process = case.start().go(engine.url)
    wait_until(lambda: any(verb == "claim" for verb, _, _ in engine.calls))
    process.tell(stop={"grace_s": 60})
    assert process.end() == 0
    assert process.said[-1]["bye"]["reason"] == "stopped"


# ---- recycling


def test_after_so_many_records_a_fresh_process_is_asked_for(case: RuntimeCase) -> None:
    case.file("task.py", HOOKS)
    engine = case.engine(RECORDS, slots=5)
    process = case.start().go(engine.url, max_records=30)
    assert process.end() == 0
    assert process.said[-1] == {"bye": {"ran": 30, "reason": "recycle"}}
    assert len(engine.skipped) == 30 and len(engine.todo) == 170
    assert notes(case) == ["startup", "shutdown 31"]


def test_a_process_that_grows_too_large_asks_for_a_fresh_one(case: RuntimeCase) -> None:
    source = """
        kept = []
        def process_record(record, context):
            kept.append(b"x" * (4 << 20))
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS, slots=1)
    engine.most = 2
    process = case.start().go(engine.url, max_memory_bytes=150 << 20)
    assert process.end() == 0
    assert process.said[-1]["bye"]["reason"] == "recycle"
    assert 10 < len(engine.skipped) < 200
    assert len(engine.skipped) + len(engine.todo) == 200


# ---- the protocol


def test_one_lease_is_kept_and_named(case: RuntimeCase) -> None:
    source = "async def process_record(record, context): return 1"
    engine = case.run(source, RECORDS, slots=5)
    claims = [body for verb, body, _ in engine.calls if verb == "claim"]
    assert claims[0]["keep"] and claims[0]["worker"] == "test:1" and "lease" not in claims[0]
    assert all(claim["lease"] == "lease-1" and "keep" not in claim for claim in claims[1:])
    assert all(claim["running"] <= 5 for claim in claims)
    assert [message for message in case.last.said if "lease" in message] == [{"lease": "lease-1"}]
    assert engine.calls[-1][0] == "release"


def test_a_lease_that_ended_is_made_anew_and_late_results_are_dropped(case: RuntimeCase) -> None:
    case.file("task.py", SLEEPS)
    engine = case.engine(RECORDS[:3])
    lost = threading.Event()

    def before(verb: str, body: Any) -> None:
        if verb == "settle" and not lost.is_set():
            lost.set()
            engine.end_lease()

    engine.before = before
    process = case.start().go(engine.url)
    wait_until(lambda: len(list(case.folder.glob("began-*"))) == 3)
    (case.folder / "go-on").touch()
    assert process.end() == 0
    assert engine.results == {0: 0, 1: 1, 2: 2}
    assert any("lease has ended" in text for text in process.logs())
    assert [message for message in process.said if "lease" in message] == [
        {"lease": "lease-1"},
        {"lease": "lease-2"},
    ]


def test_a_lease_that_ends_under_a_claim_is_made_anew(case: RuntimeCase) -> None:
    source = "async def process_record(record, context): return 1"
    case.file("task.py", source)
    engine = case.engine(RECORDS)
    engine.most = 10
    claims: list[Any] = []

    def before(verb: str, body: Any) -> None:
        if verb == "claim":
            claims.append(body)
            if len(claims) in (3, 7):
                engine.end_lease()

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert engine.results == dict.fromkeys(range(200), 1)


def test_a_lease_is_extended_while_a_record_takes_long(case: RuntimeCase) -> None:
    case.file("task.py", SLEEPS)
    engine = case.engine(RECORDS[:1], slots=1)  # no free slot, so nothing to claim for
    engine.lease_s = 0.6
    extended = threading.Event()
    engine.before = lambda verb, body: extended.set() if verb == "extend" else None
    process = case.start().go(engine.url)
    assert extended.wait(60)
    (case.folder / "go-on").touch()
    assert process.end() == 0
    assert engine.results == {0: 0}


def test_a_server_that_is_away_for_a_moment_loses_nothing(case: RuntimeCase) -> None:
    source = "async def process_record(record, context): return 1"
    case.file("task.py", source)
    engine = case.engine(RECORDS)
    engine.most = 20
    refused: list[str] = []

    def before(verb: str, body: Any) -> None:
        refused.append(verb)
        if refused.count(verb) in (2, 3) and verb in ("claim", "settle"):
            raise Refusal(503, "busy")

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert len(engine.results) == 200


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_records_of_an_answer_that_was_lost_are_not_nobody_s(case: RuntimeCase, kind: str) -> None:
    case.file("task.py", f"{kind} process_record(record, context): return record['id']")
    engine = case.engine(RECORDS, slots=20)
    engine.most = 20
    claims: list[Any] = []

    def loses(verb: str, body: Any) -> bool:
        claims.extend([body] if verb == "claim" else [])
        return verb == "claim" and len(claims) in (3, 6, 7)

    engine.loses = loses
    assert case.start().go(engine.url).end() == 0
    assert engine.results == {n: n for n in range(200)}
    assert [("holds" in claim) for claim in claims[:8]] == [False] * 3 + [True, False, False] + [
        True
    ] * 2


def test_a_failure_that_was_taken_is_not_told_twice(case: RuntimeCase) -> None:
    source = """
        seen = set()

        async def process_record(record, context):
            if record["id"] not in seen:
                seen.add(record["id"])
                raise OSError("the first time")
            return record["id"]
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:1])
    engine.attempts = 2
    # The answer to the settle is lost, and the server busy until the record is served again.
    lost = threading.Event()
    served_again = threading.Event()

    def loses(verb: str, body: Any) -> bool:
        if verb == "claim" and lost.is_set():
            served_again.set()
        return verb == "settle" and not lost.is_set() and (lost.set() or True)

    def before(verb: str, body: Any) -> None:
        if verb == "settle" and lost.is_set() and not served_again.is_set():
            raise Refusal(503, "busy")

    engine.loses, engine.before = loses, before
    assert case.start().go(engine.url).end() == 0
    assert engine.results == {0: 0} and not engine.failures
    assert engine.tried == {0: 1}


def test_a_full_disk_keeps_results_until_there_is_room(case: RuntimeCase) -> None:
    source = "async def process_record(record, context): return 1"
    case.file("task.py", source)
    engine = case.engine(RECORDS)
    refused: list[str] = []

    def before(verb: str, body: Any) -> None:
        if verb == "settle" and len(refused) < 2:
            refused.append(verb)
            raise Refusal(507, "no-space")

    engine.before = before
    process = case.start().go(engine.url)
    assert process.end() == 0
    assert len(engine.results) == 200
    assert any("results are not taken" in text for text in process.logs())


def test_a_job_that_is_not_there_is_an_error(case: RuntimeCase, server: Any) -> None:
    case.file("task.py", "def process_record(record, context): pass")
    process = case.start().go(server.url, job="nowhere")
    assert process.end() == 1
    assert "nowhere" in process.wait_for("error")["text"]


def test_shares_may_shrink_and_grow(case: RuntimeCase) -> None:
    source = """
        import asyncio
        live = 0

        async def process_record(record, context):
            global live
            live += 1
            await asyncio.sleep(0.005)
            seen, live = live, live - 1
            return seen
    """
    case.file("task.py", source)
    # So many that it does not matter how far ahead of its work the worker claims.
    engine = case.engine([{"id": n} for n in range(600)], slots=20)
    engine.most = 20

    def before(verb: str, body: Any) -> None:
        given = 600 - len(engine.todo)
        engine.answer["slots"] = 20 if given < 60 else 2 if given < 460 else 9

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert max(engine.results.values()) == 20
    assert max(engine.results[n] for n in range(250, 350)) <= 2
    assert max(engine.results[n] for n in range(560, 600)) > 2


def test_a_worker_without_a_slot_waits_for_one(case: RuntimeCase) -> None:
    case.file("task.py", "async def process_record(record, context): return record['id']")
    engine = case.engine(RECORDS[:40], slots=5)
    engine.most = 10
    claims: list[Any] = []

    def before(verb: str, body: Any) -> None:
        if verb == "claim":
            claims.append(body)
            # None for a while, and nothing to do meanwhile.
            engine.answer["slots"] = 0 if 2 <= len(claims) < 8 else 5
            engine.most = 0 if 2 <= len(claims) < 8 else 10

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert len(engine.results) == 40 and len(claims) > 8


def test_a_record_that_must_run_alone_does(case: RuntimeCase) -> None:
    source = """
        import asyncio
        live = set()

        async def process_record(record, context):
            live.add(record["id"])
            seen = sorted(live)
            await asyncio.sleep(0.01)
            seen = sorted({*seen, *live})
            live.discard(record["id"])
            return seen
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:30], slots=5)

    def before(verb: str, body: Any) -> None:
        if verb == "claim":
            alone = 10 in engine.todo and min(engine.todo) == 10
            engine.answer["alone"] = alone
            engine.most = 1 if alone else 10
        if verb == "claim" and 10 in engine.held:
            raise AssertionError("claimed beside a record that runs alone")

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert engine.results[10] == [10]
    assert max(len(seen) for seen in engine.results.values()) > 1
    assert len(engine.results) == 30


def test_starts_keep_their_times(case: RuntimeCase) -> None:
    source = """
        import time
        async def process_record(record, context):
            return time.monotonic()
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:60])
    engine.most = 15
    given: dict[int, float] = {}
    every_s = 0.01

    def before(verb: str, body: Any) -> None:
        if verb == "claim":
            engine.answer["starts"] = {"first_s": 0.02, "every_s": every_s}
            given.update({number: time.monotonic() for number in list(engine.todo)[:15]})

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    starts = [engine.results[n] for n in range(60)]
    for n, start in enumerate(starts):
        assert start - given[n] >= 0.02 + (n % 15) * every_s
    for before_it, start in itertools.pairwise(starts):
        assert start - before_it >= 0.996 * every_s - 0.0045


def test_the_rate_holds_when_places_come_free_together(case: RuntimeCase) -> None:
    source = """
        import asyncio, time
        async def process_record(record, context):
            began = time.monotonic()
            if record["id"] < 2:
                await asyncio.sleep(0.3)
            return began
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:12], slots=2, starts={"first_s": 0.0, "every_s": 0.02})
    assert case.start().go(engine.url).end() == 0
    starts = [engine.results[n] for n in range(12)]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert min(gaps) >= 0.996 * 0.02 - 0.0045, gaps


@pytest.mark.parametrize("others", [False, True])
def test_what_is_late_is_given_back_when_others_are_about(case: RuntimeCase, others: bool) -> None:
    source = """
        import time
        async def process_record(record, context):
            began = time.monotonic()
            if record["id"] == 3:
                time.sleep(0.2)
            return began
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:30])
    engine.most = 10
    engine.alone_s = 0.0 if others else 600.0
    holds: list[Any] = []

    def before(verb: str, body: Any) -> None:
        if verb == "claim":
            engine.answer["starts"] = {"first_s": 0.05, "every_s": 0.002}
            holds.extend([body["holds"]] if "holds" in body else [])

    engine.before = before
    assert case.start().go(engine.url).end() == 0
    assert sorted(engine.results) == list(range(30))
    if others:
        # Those that came with record 3 were overdue when it had ended, and went back.
        assert holds and 4 not in holds[0]
        assert engine.results[4] - engine.results[3] > 0.2 + 0.05
    else:
        assert not holds


def test_a_stop_during_startup_is_no_failure(case: RuntimeCase) -> None:
    source = """
        import asyncio, pathlib
        async def on_startup():
            pathlib.Path("began-0").touch()
            await asyncio.sleep(600)
        async def process_record(record, context): pass
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:3])
    process = case.start().go(engine.url)
    wait_until((case.folder / "began-0").exists)
    process.tell(stop={"grace_s": 60})
    assert process.end() == 0
    assert process.said[-1]["bye"]["reason"] == "stopped"
    assert len(engine.todo) == 3


def test_large_records_are_not_held_in_numbers(case: RuntimeCase, tmp_path: Path) -> None:
    source = "async def process_record(record, context): return len(record)"
    case.file("task.py", source)
    large = "x" * (1 << 20)
    engine = case.engine([large] * 30, slots=10)
    assert case.start().go(engine.url).end() == 0
    claims = [body["max"] for verb, body, _ in engine.calls if verb == "claim"]
    assert len(engine.results) == 30
    assert max(claims[1:]) <= 2


# ---- what the task prints


def test_what_a_task_prints_comes_line_by_line(case: RuntimeCase) -> None:
    source = """
        import os, sys
        def process_record(record, context):
            print("seen", record["id"])
            os._exit(9) if record["id"] == 1 else None
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:2], slots=1)
    process = case.start().go(engine.url)
    assert process.end() == 9
    assert process.output().splitlines() == ["seen 0", "seen 1"]
    assert json.dumps(process.said[-1]) != '"bye"'
