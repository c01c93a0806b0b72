"""What a function may be, what it may give, and what is told of it: python -m penstock.runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness.runtime_case import Json, RuntimeCase

RECORDS = [{"id": n} for n in range(300)]


def test_a_coroutine_gets_each_record_once(case: RuntimeCase) -> None:
    source = """
        async def process_record(record, context):
            return {"twice": 2 * record["id"]}
    """
    engine = case.run(source, RECORDS)
    assert engine.results == {n: {"twice": 2 * n} for n in range(300)}
    assert case.last.said[0]["hello"] == {
        "pid": case.last.process.pid,
        "what": "task.py:process_record",
        "kind": "coroutine",
        "batch_size": 1,
        "retry": None,
        "settings": None,
    }
    assert case.last.said[-1] == {"bye": {"ran": 300, "reason": "finished"}}


def test_coroutines_that_wait_share_the_slots_and_no_more(case: RuntimeCase) -> None:
    source = """
        import asyncio
        live = 0

        async def process_record(record, context):
            global live
            live += 1
            most = live
            for _ in range(3):
                await asyncio.sleep(0.001)
                most = max(most, live)
            live -= 1
            return most
    """
    engine = case.run(source, RECORDS, slots=7)
    assert len(engine.results) == 300
    assert max(engine.results.values()) == 7


def test_plain_functions_run_in_threads_up_to_the_slots(case: RuntimeCase) -> None:
    source = """
        import threading
        together = threading.Barrier(5)

        def process_record(record, context):
            together.wait(30)
            return threading.current_thread() is threading.main_thread()
    """
    engine = case.run(source, RECORDS, slots=5)
    assert case.last.said[0]["hello"]["kind"] == "function"
    assert list(engine.results.values()) == [False] * 300


def test_a_plain_function_may_give_a_coroutine(case: RuntimeCase) -> None:
    source = """
        import asyncio

        async def slowly(record):
            await asyncio.sleep(0.001)
            return record["id"]

        process_record = lambda record, context: slowly(record)
    """
    assert case.run(source, RECORDS[:9]).results == {n: n for n in range(9)}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_batch_function_gets_lists_and_gives_lists(case: RuntimeCase, kind: str) -> None:
    source = f"""
        import penstock

        {kind} process_record(records, context):
            last = [record["id"] for record in records][-1]
            return [
                None if record["id"] == 3
                else penstock.Fail("four") if record["id"] == 4
                else [record["id"], len(records), last]
                for record in records
            ]
    """
    engine = case.run(source, RECORDS[:20], "--batch-size", "8", slots=8)
    assert case.last.said[0]["hello"]["batch_size"] == 8
    assert engine.skipped == [3]
    assert engine.failures == {4: {"message": "four", "type": "Fail", "final": True}}
    assert engine.results[0] == [0, 8, 7]
    assert sorted([*engine.results, 3, 4]) == list(range(20))


def test_batches_are_whole_though_records_come_one_by_one(case: RuntimeCase) -> None:
    source = """
        async def process_record(records, context):
            return [len(records)] * len(records)
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS[:50], starts={"first_s": 0.0, "every_s": 0.001})
    engine.most = 1
    assert case.start("task.py", "--batch-size", "10").go(engine.url).end() == 0
    assert len(engine.results) == 50
    assert list(engine.results.values()).count(10) >= 30


def test_a_batch_of_the_wrong_length_fails_its_records(case: RuntimeCase) -> None:
    source = "def process_record(records, context): return records[1:]"
    engine = case.run(source, RECORDS[:4], "--batch-size", "4")
    text = "a batch of 4 records must give a list of 4 results, not 3 results"
    assert [engine.failures[n]["message"] for n in range(4)] == [text] * 4


def test_a_batch_that_raises_fails_its_records(case: RuntimeCase) -> None:
    source = "async def process_record(records, context): return 1 / 0"
    engine = case.run(source, RECORDS[:4], "--batch-size", "3")
    assert {failure["type"] for failure in engine.failures.values()} == {"ZeroDivisionError"}
    assert len(engine.failures) == 4


def test_a_function_may_take_the_record_alone(case: RuntimeCase) -> None:
    case.file(
        "mine.py", "class Do:\n    @staticmethod\n    async def it(record): return record['id']"
    )
    engine = case.engine(RECORDS[:3])
    process = case.start("mine:Do.it").go(engine.url)
    assert process.end() == 0
    assert process.hello()["what"] == "mine:Do.it"
    assert engine.results == {0: 0, 1: 1, 2: 2}


def test_a_function_of_a_file_can_be_named(case: RuntimeCase) -> None:
    case.file("json.py", "def other(record, context): return 7")  # a name of the library's
    engine = case.engine(RECORDS[:1])
    assert case.start("json.py:other").go(engine.url).end() == 0
    assert engine.results == {0: 7}


OUTCOMES = """
    import asyncio, penstock

    async def nothing(): return None
    async def skip(): raise penstock.Skip
    async def fail(): raise penstock.Fail("never again")
    async def later(): raise penstock.RetryAfter(7.5, "busy")
    async def key(): return {}["missing"]
    async def bare(): raise ValueError
    async def timeout():
        await asyncio.wait_for(asyncio.sleep(60), 0.02)
    async def leave(): raise SystemExit(3)
    async def interrupt(): raise KeyboardInterrupt
    async def generator(): raise GeneratorExit
    async def cancel(): asyncio.current_task().cancel(); await asyncio.sleep(0)
    async def surrogate(): raise ValueError("\\ud800 luck")
    async def unprintable():
        class Odd(Exception):
            def __str__(self): raise ZeroDivisionError
        raise Odd

    async def process_record(record, context):
        return await globals()[record]()
"""


def test_every_way_to_end_is_told(case: RuntimeCase) -> None:
    names = "skip nothing fail later key bare timeout leave interrupt cancel surrogate unprintable"
    names += " generator"
    engine = case.run(OUTCOMES, names.split())
    told = {names.split()[number]: failure for number, failure in engine.failures.items()}
    assert sorted(engine.skipped) == [0, 1]
    assert told["fail"] == {"message": "never again", "type": "Fail", "final": True}
    assert told["later"] == {
        "message": "busy",
        "type": "RetryAfter",
        "throttled": True,
        "retry_after_s": 7.5,
    }
    assert told["key"] == {"message": "'missing'", "type": "KeyError"}
    assert told["bare"] == {"message": "ValueError", "type": "ValueError"}
    assert told["timeout"]["type"] == "TimeoutError"
    assert told["timeout"]["message"].startswith("timed out after 0.0")
    assert told["leave"] == {"message": "3", "type": "SystemExit"}
    assert told["interrupt"]["type"] == "KeyboardInterrupt"
    assert told["generator"]["type"] == "GeneratorExit"
    assert told["cancel"]["type"] == "CancelledError"
    assert told["surrogate"]["message"] == "? luck"
    assert "ZeroDivisionError" in told["unprintable"]["message"]
    first = next(message["log"] for message in case.last.said if "KeyError" in str(message))
    assert first["record"] == 4
    assert "task.py:" in first["text"] and 'return {}["missing"]' in first["traceback"]
    assert "penstock/runtime" not in first["traceback"]


def test_an_error_with_a_very_long_text_fits_the_control_channel(case: RuntimeCase) -> None:
    source = """
        def process_record(record, context):
            raise ValueError("\\0" * 2_000_000)
    """
    engine = case.run(source, [1])
    assert engine.failures[0]["type"] == "ValueError"
    logged = [message["log"] for message in case.last.said if "log" in message]
    assert logged[0]["text"].startswith("ValueError: \0")
    assert all(len(json.dumps(log)) < 1_000_000 for log in logged)


HTTP_ERRORS = """
    import aiohttp, httpx, requests, urllib.error, multidict, yarl

    def aiohttp_error(status, headers):
        url = yarl.URL("http://x")
        none = multidict.CIMultiDictProxy(multidict.CIMultiDict())
        info = aiohttp.RequestInfo(url, "GET", none, url)
        headers = multidict.CIMultiDict(headers)
        return aiohttp.ClientResponseError(info, (), status=status, message="m", headers=headers)

    def httpx_error(status, headers):
        request = httpx.Request("GET", "http://x")
        response = httpx.Response(status, headers=headers)
        return httpx.HTTPStatusError("m", request=request, response=response)

    def requests_error(status, headers):
        response = requests.Response()
        response.status_code = status
        response.headers.update(headers)
        return requests.HTTPError("m", response=response)

    def urllib_error(status, headers):
        import email.message
        told = email.message.Message()
        for name, text in headers.items():
            told[name] = text
        return urllib.error.HTTPError("http://x", status, "m", told, None)

    def process_record(record, context):
        error = globals()[record["kind"] + "_error"](record["status"], record["headers"])
        if record["wrapped"]:
            raise RuntimeError("of mine") from error
        raise error
"""


@pytest.mark.parametrize("kind", ["aiohttp", "httpx", "requests", "urllib"])
def test_what_http_libraries_say_of_too_much_is_understood(case: RuntimeCase, kind: str) -> None:
    cases = [
        (429, {"Retry-After": "2.5"}, False),
        (503, {}, False),
        (503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, True),
        (429, {"Retry-After": "soon"}, False),
        (500, {"Retry-After": "1"}, False),
        (429, {"Retry-After": "nan"}, False),
    ]
    records = [{"kind": kind, "status": s, "headers": h, "wrapped": w} for s, h, w in cases]
    engine = case.run(HTTP_ERRORS, records)
    told = [engine.failures[number] for number in range(len(cases))]
    assert [failure.get("throttled") for failure in told] == [True, True, True, True, None, True]
    assert [failure.get("retry_after_s") for failure in told] == [2.5, None, 0, None, None, 0]


# ---- JSON in and out

EXACT = [
    '{"n":123456789012345678901234567890}',
    "-9999999999999999999",
    '{"n":-9223372036854775808,"m":18446744073709551615}',
    '{"f":0.1,"g":1e300,"h":-0.0,"i":123456789.12345678901234567890}',
    '{"t":"é\\u0000\\ud83d\\ude00","n":null,"b":[true,false]}',
]


def test_every_digit_comes_in_and_goes_out(case: RuntimeCase, tmp_path: Path) -> None:
    source = """
        async def process_record(record, context):
            with open("seen.txt", "a") as seen:
                print(repr(record), file=seen)
            return record
    """
    engine = case.run(source, map(Json, EXACT))
    seen = (tmp_path / "seen.txt").read_text().splitlines()
    assert seen == [repr(json.loads(text)) for text in EXACT]
    assert {n: repr(engine.results[n]) for n in range(5)} == dict(enumerate(seen))


def test_lone_surrogates_come_in_and_go_out(case: RuntimeCase) -> None:
    source = "async def process_record(record, context): return [len(record['t']), record]"
    engine = case.run(source, map(Json, ['{"t":"\\ud800"}', '{"t":"x"}']))
    assert engine.results == {0: [1, {"t": "\ud800"}], 1: [1, {"t": "x"}]}


NO_JSON = """
    import datetime
    circle = []
    circle.append(circle)
    values = {
        "set": {1}, "object": object(), "nan": [float("nan")], "inf": {"x": float("-inf")},
        "circle": circle, "bytes": b"x", "none": [None], "good": 1, "keys": {1: 2, None: 3},
        "date": datetime.date(2026, 11, 22), "empty": (),
    }

    async def process_record(record, context):
        return values[record]
"""


def test_a_result_that_is_no_json_fails_its_record_alone(case: RuntimeCase) -> None:
    names = [
        "set",
        "object",
        "nan",
        "inf",
        "circle",
        "bytes",
        "none",
        "good",
        "keys",
        "date",
        "empty",
    ]
    engine = case.run(NO_JSON, names)
    good = {names[number]: value for number, value in engine.results.items()}
    assert good == {
        "none": [None],
        "good": 1,
        "keys": {"1": 2, "null": 3},
        "date": "2026-11-22",
        "empty": [],
    }
    for number, failure in engine.failures.items():
        assert failure["message"].startswith("result is no JSON: "), names[number]
        assert failure["final"]
    assert len(engine.failures) == 6


def test_nan_is_found_among_nulls(case: RuntimeCase) -> None:
    source = """
        async def process_record(record, context):
            return {"null": None, "x": float("nan") if record["id"] == 150 else 1.5}
    """
    engine = case.run(source, RECORDS)
    assert list(engine.failures) == [150]
    assert engine.results[7] == {"null": None, "x": 1.5}


def test_a_result_that_the_server_refuses_fails_its_record_alone(case: RuntimeCase) -> None:
    from harness.fake_engine import Refusal

    source = "async def process_record(record, context): return record['id']"
    case.file("task.py", source)
    engine = case.engine(RECORDS)

    def refuse(verb: str, body: Any) -> None:
        if verb == "settle" and any(result == 77 for _, result in body["results"]):
            raise Refusal(413, "limit")

    engine.before = refuse
    assert case.start().go(engine.url).end() == 0
    assert list(engine.failures) == [77]
    assert "refused" in engine.failures[77]["message"] and engine.failures[77]["final"]
    assert len(engine.results) == 299


# ---- retries


def test_a_retry_around_the_function_is_the_engine_s(case: RuntimeCase) -> None:
    source = """
        import penstock

        def named(function):
            import functools
            @functools.wraps(function)
            async def wrapper(*args):
                return await function(*args)
            return wrapper

        @penstock.retry(2, initial_delay=0.5, backoff_factor=3)
        async def process_record(record, context):
            raise ValueError("no")

        inside = named(process_record)
    """
    engine = case.run(source, RECORDS[:1])
    assert case.last.hello()["retry"] == {"retries": 2, "delay_s": 0.5, "factor": 3}
    assert engine.failures[0]["message"] == "no"  # one call: the engine says when the next is
    assert case.start("task.py:inside").hello()["retry"] is None


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_retry_inside_waits_in_place(case: RuntimeCase, kind: str) -> None:
    call = "await helper(record)" if kind == "async def" else "helper(record)"
    source = f"""
        import penstock
        calls = []

        @penstock.retry(3, 0.001)
        {kind} helper(record):
            calls.append(record)
            if record == "fail":
                raise penstock.Fail("at once")
            if record == "skip":
                raise penstock.Skip
            if calls.count(record) == 2:
                raise penstock.RetryAfter(0)
            if calls.count(record) < 4 or record == "never":
                raise OSError(calls.count(record))
            return calls.count(record)

        @penstock.retry
        {kind} bare():
            pass

        {kind} process_record(record, context):
            return {call}
    """
    engine = case.run(source, ["good", "never", "fail", "skip"], slots=1)
    assert engine.results == {0: 4}
    assert engine.failures[1] == {"message": "4", "type": "OSError"}
    assert engine.failures[2]["final"]
    assert engine.skipped == [3]


# ---- what cannot be run


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1", "task.py has no process_record"),
        ("process_record = 1", "process_record of task.py is no function"),
        ("async def process_record(r, c): yield r", "yields"),
        ("def process_record(a, b, c): pass", "takes neither"),
        ("import nowhere", "No module named 'nowhere'"),
        ("def process_record(", "SyntaxError"),
        ("raise SystemExit('off')", "SystemExit: off"),
        ("print('hi')\n1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_done(
    case: RuntimeCase, source: str, text: str
) -> None:
    case.file("task.py", source)
    process = case.start()
    error = process.wait_for("error")
    assert text in error["text"] and "\n" not in error["text"]
    assert process.end() == 2


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere.py", "nowhere.py: no such file"),
        (".", "task.py: no such file"),
        ("nowhere:function", "no module 'nowhere' can be found"),
        ("os.path:nothing", "os.path has no nothing"),
    ],
)
def test_a_target_that_is_not_there_is_told(case: RuntimeCase, target: str, text: str) -> None:
    process = case.start(target)
    assert text in process.wait_for("error")["text"]
    assert process.end() == 2


def test_without_a_supervisor_it_says_who_starts_it(case: RuntimeCase) -> None:
    process = case.start(PENSTOCK_CONTROL_FD="")
    assert process.process.wait(60) == 2
    assert "`penstock run` starts this program" in process.output()


def test_a_supervisor_that_only_wants_to_know_lets_it_go(case: RuntimeCase) -> None:
    case.file("task.py", "def process_record(r, c): pass")
    process = case.start()
    process.hello()
    process.socket.close()
    assert process.process.wait(60) == 0
