"""Folders of JsonlBatch, unchanged, under `penstock run .`; and what users must not meet again, by
the numbers of the contract's list of defects. Each of those would fail on the original."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.run_folder import RunFolder

TASK = """
from typing import Dict, Any
from utils import retry_with_backoff
from logging_config import logger
from config import settings


async def on_startup() -> Dict[str, Any]:
    await logger.info("starting up")
    return {"factor": 2}


async def on_shutdown(context: Dict[str, Any]):
    await logger.info("shutting down")


@retry_with_backoff(retries=2, initial_delay=0.01)
async def process_record(record: Dict[str, Any], context: Dict[str, Any]) -> Dict[str, Any]:
    record["double"] = record["n"] * context["factor"]
    record["key"] = settings.ID_KEY
    return record
"""

ECHO = """
async def on_startup():
    return {}

async def on_shutdown(context):
    pass

async def process_record(record, context):
    return {"id": record["id"]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = RunFolder(tmp_path / "job")
    yield made
    made.drop()


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": n, "n": n, **more} for n in range(count)]


def ids(records: list[dict[str, Any]]) -> list[Any]:
    return sorted((r["id"] for r in records), key=repr)


def prepare(
    folder: RunFolder, task: str = ECHO, records: list[Any] | None = None, **settings: Any
) -> None:
    folder.config(ID_KEY="id", **settings)
    folder.write("task.py", task)
    folder.write_records("data/input.jsonl", numbered(20) if records is None else records)


def test_an_unchanged_folder_runs(folder: RunFolder) -> None:
    prepare(folder, TASK)
    folder.go(".")
    out = folder.records("data/output.jsonl")
    assert ids(out) == ids(numbered(20))
    assert all(r["double"] == 2 * r["n"] and r["key"] == "id" for r in out)
    log = folder.text("logs/processor.log")
    assert "starting up" in log and "shutting down" in log
    assert folder.records("data/error.jsonl") == []


def test_settings_that_are_left_out_have_the_original_defaults(folder: RunFolder) -> None:
    folder.write(
        "config.py", "class Settings:\n    MAX_CONCURRENCY: int = 7\nsettings = Settings()\n"
    )
    folder.write("task.py", TASK)
    folder.write_records("data/input.jsonl", numbered(3))
    folder.go(".")
    assert len(folder.records("data/output.jsonl")) == 3
    assert folder.text("logs/processor.log")


def test_paths_of_the_settings_are_taken_and_flags_win(folder: RunFolder) -> None:
    prepare(folder, INPUT_FILE="data/input.jsonl", OUTPUT_FILE="o/settings.jsonl")
    folder.go(".")
    assert len(folder.records("o/settings.jsonl")) == 20
    folder.go(".", "--output", "o/flag.jsonl")
    assert len(folder.records("o/flag.jsonl")) == 20


def test_a_second_run_has_nothing_to_do_and_calls_no_hook(folder: RunFolder) -> None:
    task = ECHO.replace(
        "    return {}\n", "    open('started', 'a').write('x')\n    return {}\n", 1
    )
    prepare(folder, task)
    folder.go(".")
    folder.go(".")
    assert folder.text("started") == "x"
    assert len(folder.records("data/output.jsonl")) == 20


def test_input_that_has_grown_and_was_reordered_is_run_by_id(folder: RunFolder) -> None:
    prepare(folder)
    folder.go(".")
    folder.write_records("data/input.jsonl", list(reversed(numbered(30))))
    folder.go(".")
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(30))


def test_a_marked_line_is_run_again_and_replaced(folder: RunFolder) -> None:
    prepare(folder, RERUN_KEY="force_rerun")
    folder.go(".")
    lines = folder.records("data/output.jsonl")
    for line in lines:
        if line["id"] in (3, 11):
            line.update(force_rerun=False, old=True)
    folder.write_records("data/output.jsonl", lines)
    folder.go(".")
    out = folder.records("data/output.jsonl")
    assert ids(out) == ids(numbered(20))
    assert not any("old" in line for line in out)


def test_the_line_of_a_rerun_that_fails_stays(folder: RunFolder) -> None:
    failing = ECHO.replace(
        '    return {"id"',
        '    if os.path.exists("fail"):\n        raise ValueError("no")\n    return {"id"',
    )
    prepare(folder, "import os\n" + failing, RERUN_KEY="again", MAX_RETRIES=0)
    folder.go(".")
    lines = folder.records("data/output.jsonl")
    lines[4]["again"] = 1
    folder.write_records("data/output.jsonl", lines)
    folder.write("fail", "")
    folder.go(".", status=1)
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))
    assert len(folder.records("data/error.jsonl")) == 1
    (folder.path / "fail").unlink()
    folder.go(".")
    out = folder.records("data/output.jsonl")
    assert ids(out) == ids(numbered(20)) and not any("again" in line for line in out)
    assert folder.records("data/error.jsonl") == []


def test_1_sigterm_loses_nothing_and_is_told_by_the_status(folder: RunFolder) -> None:
    task = ECHO.replace(
        '    return {"id"',
        '    if record["id"] == 10:\n'
        '        open("at10", "w").close()\n'
        "        await asyncio.sleep(3600)\n"
        '    return {"id"',
    ).replace("    pass\n", '    open("down", "w").close()\n')
    prepare(folder, "import asyncio\n" + task)
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        running = folder.start(".", "--grace", "0.2")
        wait_for(folder.path / "at10")
        running.tell(number)
        done = running.end()
        assert done.status == status, str(done)
        assert "Traceback" not in done.err
        assert (folder.path / "down").exists()
        for name in ("at10", "down"):
            (folder.path / name).unlink()
    out = folder.records("data/output.jsonl")
    assert Counter(ids(out)).most_common(1)[0][1] == 1
    folder.write("task.py", ECHO)
    folder.go(".")
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))


def test_1_a_torn_last_line_is_not_glued_to_the_next(folder: RunFolder) -> None:
    prepare(folder)
    folder.write("data/output.jsonl", '{"id": 0}\n{"id": 1}\n{"id": 2, "te')
    folder.go(".")
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))


def test_3_a_result_that_is_no_json_fails_alone(folder: RunFolder) -> None:
    task = ECHO.replace(
        '    return {"id"', '    if record["id"] == 5:\n        return {1, 2}\n    return {"id"'
    )
    prepare(folder, task, MAX_RETRIES=0)
    folder.go(".", status=1)
    assert ids(folder.records("data/output.jsonl")) == ids(
        [r for r in numbered(20) if r["id"] != 5]
    )
    (failed,) = folder.records("data/error.jsonl")
    assert failed["record_id"] == 5 and "JSON" in failed["error_message"]


@pytest.mark.parametrize(
    "line", [b"[1]", b"5", b"null", b'{"id": "\xff"}', b'{"id": [1]}', b"{broken", b'{"n": 1}']
)
def test_4_one_bad_line_stops_nobody(folder: RunFolder, line: bytes) -> None:
    prepare(folder)
    good = (folder.path / "data/input.jsonl").read_bytes()
    folder.write("data/input.jsonl", good[:100] + good[100:].split(b"\n", 1)[0] + b"\n" + line
                 + b"\n" + good[100:].split(b"\n", 1)[1])  # fmt: skip
    folder.go(".", status=None)
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))
    (bad,) = folder.records("data/error.jsonl")
    assert bad["line"] > 1 and bad["file"].endswith("input.jsonl")


def test_4_a_byte_order_mark_loses_no_record(folder: RunFolder) -> None:
    prepare(folder)
    path = folder.path / "data/input.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    folder.go(".")
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))


@pytest.mark.parametrize("line", ["[1]", "5", "no json", ""])
def test_4_a_strange_line_in_the_output_stops_nobody(folder: RunFolder, line: str) -> None:
    prepare(folder)
    folder.write("data/output.jsonl", f'{{"id": 0}}\n{line}\n{{"id": 1}}\n')
    folder.go(".")
    got = [
        json.loads(t) for t in folder.text("data/output.jsonl").splitlines() if t.startswith("{")
    ]
    assert ids(got) == ids(numbered(20))


def test_5_an_error_of_on_startup_is_told(folder: RunFolder) -> None:
    task = ECHO.replace("    return {}\n", '    raise RuntimeError("no such key: PAINT")\n', 1)
    prepare(folder, task)
    done = folder.go(".", status=None)
    assert done.status not in (0, 130, 143) and "no such key: PAINT" in done.err
    assert "UnboundLocalError" not in done.err
    assert folder.records("data/output.jsonl") == []


def test_5_an_error_of_on_shutdown_leaves_the_summary(folder: RunFolder) -> None:
    prepare(folder, ECHO.replace("    pass\n", '    raise RuntimeError("cannot close")\n'))
    done = folder.go(".", "--summary", "s.json", status=None)
    assert "cannot close" in done.err
    assert json.loads(folder.text("s.json"))["done"] == 20
    assert len(folder.records("data/output.jsonl")) == 20


def test_6_none_and_results_without_their_id_are_not_done_again(folder: RunFolder) -> None:
    task = ECHO.replace(
        '    return {"id"',
        '    open("calls", "a").write("x")\n'
        '    if record["id"] == 1:\n        return None\n'
        '    if record["id"] == 2:\n        return {"other": 1}\n'
        '    if record["id"] == 3:\n        return {"id": 333}\n'
        '    return {"id"',
    )
    prepare(folder, task)
    folder.go(".")
    folder.go(".")
    assert folder.text("calls") == "x" * 20
    assert len(folder.records("data/output.jsonl")) == 19
    folder.go(".", "--retry-skipped")
    assert folder.text("calls") == "x" * 21


def test_7_a_repeated_id_is_run_once(folder: RunFolder) -> None:
    prepare(folder, records=[*numbered(10), *numbered(5)])
    folder.go(".")
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(10))


def test_7_a_second_run_on_the_same_output_is_refused(folder: RunFolder) -> None:
    task = ECHO.replace(
        '    return {"id"',
        '    open("began", "w").close()\n'
        '    while not os.path.exists("go"):\n        await asyncio.sleep(0.01)\n'
        '    return {"id"',
    )
    prepare(folder, "import asyncio, os\n" + task)
    first = folder.start(".")
    wait_for(folder.path / "began")
    second = folder.go(".", status=75)
    assert str(first.process.pid) in second.err
    folder.write("go", "")
    done = first.end()
    assert done.status == 0, str(done)
    assert ids(folder.records("data/output.jsonl")) == ids(numbered(20))


def test_9_each_attempt_gets_the_record_as_it_was_read(folder: RunFolder) -> None:
    task = """
import asyncio
async def on_startup():
    return {}
async def on_shutdown(context):
    pass
async def process_record(record, context):
    assert "touched" not in record
    record["touched"] = True
    if record["id"] == 1:
        raise asyncio.TimeoutError()
    raise KeyError("x")
"""
    prepare(folder, task, records=numbered(2), MAX_RETRIES=1, RETRY_INITIAL_DELAY=0.01)
    folder.go(".", status=1)
    failed = {f["record_id"]: f for f in folder.records("data/error.jsonl")}
    assert failed[0]["original_record"] == {"id": 0, "n": 0}
    assert failed[0]["error_type"] == "KeyError" and failed[0]["attempts"] == 2
    assert failed[1]["error_message"] and failed[1]["error_type"] == "TimeoutError"
    assert re.match(r"\d{4}-\d\d-\d\dT", failed[0]["at"])


def test_10_a_decorated_task_is_not_retried_twice_over(folder: RunFolder) -> None:
    task = ECHO.replace(
        "async def process_record",
        "@retry_with_backoff(retries=2, initial_delay=0.01)\nasync def process_record",
    ).replace(
        '    return {"id"',
        '    open("calls", "a").write("x")\n    raise ValueError("no")\n    return {"id"',
    )
    prepare(folder, "from utils import retry_with_backoff\n" + task, records=numbered(1))
    folder.go(".", status=1)
    assert folder.text("calls") == "xxx"


def test_10_a_record_that_waits_for_its_retry_holds_nobody_up(folder: RunFolder) -> None:
    task = ECHO.replace(
        '    return {"id"',
        '    if record["id"] == 0 and not os.path.exists("others"):\n'
        '        raise ValueError("not yet")\n'
        '    if record["id"] == 19:\n        open("others", "w").close()\n'
        '    return {"id"',
    )
    prepare(folder, "import os\n" + task, MAX_CONCURRENCY=1, MAX_RETRIES=5,
            RETRY_INITIAL_DELAY=0.5)  # fmt: skip
    folder.go(".")
    out = folder.records("data/output.jsonl")
    assert ids(out) == ids(numbered(20)) and out[-1]["id"] == 0


def test_12_stdout_may_be_a_file_and_the_status_tells(folder: RunFolder) -> None:
    failing = ECHO.replace('    return {"id"', '    raise ValueError("no")\n    return {"id"')
    prepare(folder, failing, records=numbered(2), MAX_RETRIES=0)
    with (folder.path / "out.txt").open("wb") as out:
        done = folder.start(".", out=out).end()
    assert done.status == 1, str(done)


def test_12_a_missing_input_is_an_error(folder: RunFolder) -> None:
    prepare(folder)
    (folder.path / "data/input.jsonl").unlink()
    done = folder.go(".", status=2)
    assert "data/input.jsonl" in done.err


def test_12_progress_is_not_redrawn_for_every_record(folder: RunFolder) -> None:
    prepare(folder, records=numbered(5000))
    done = folder.go(".")
    assert len(done.err) < 5000


def wait_for(path: Path, seconds: float = 60.0) -> None:
    """Until a file is there: what tells us stands in another process."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.01)
