"""`penstock run --exec`: any program over every record of a file, from end to end."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.native import Native
from harness.run_folder import RunFolder
from harness.server_process import ROOT, ServerProcess, binary

FILES = ("--input", "in.jsonl", "--output", "out.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = RunFolder(tmp_path / "run")
    yield made
    made.drop()


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": n} for n in range(count)]


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: int(record["id"]))


def python(folder: RunFolder, text: str) -> str:
    """The command of a program that says `say(text)` for each `record`."""
    head = "import json, os, sys, time\ndef say(text): print(text, flush=True)\n"
    path = folder.write("program.py", head + text)
    return shlex.join([sys.executable, "-S", "-E", str(path)])


def test_records_go_through_the_program_byte_for_byte(folder: RunFolder) -> None:
    text = '{"id": 1, "a":  [1.50, 1e400, "\\u00e4ä"]}\n{"id": 2}\n'
    folder.write("in.jsonl", text)
    folder.go("--exec", "cat", *FILES)
    assert folder.text("out.jsonl") == text


@pytest.mark.parametrize(
    "command", ["cat", "sed s/id/id/", "awk '{print}'", "cat | cat", "tr -s x y"]
)
def test_filters_as_they_are(folder: RunFolder, command: str) -> None:
    folder.write_records("in.jsonl", numbered(3000))
    folder.go("--exec", command, *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(3000)


def test_several_copies_share_the_records(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(400))
    copies = folder.path / "copies"
    copies.mkdir()
    # None answers before all have a record: however slowly they begin, each has its part.
    program = f"""
for line in sys.stdin:
    open(f"{copies}/{{os.getpid()}}", "w").close()
    while len(os.listdir({str(copies)!r})) < 3:
        time.sleep(0.002)
    say(json.dumps({{**json.loads(line), "pid": os.getpid()}}))
"""
    folder.go("--exec", python(folder, program), "--processes", "3", *FILES)
    out = folder.records("out.jsonl")
    assert [record["id"] for record in by_id(out)] == list(range(400))
    assert len({record["pid"] for record in out}) == 3


def test_ordered_output(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(5000))
    folder.go("--exec", "cat", "--processes", "2", "--ordered", *FILES)
    assert folder.records("out.jsonl") == numbered(5000)


def test_a_csv_file(folder: RunFolder) -> None:
    folder.write("in.csv", "id,name\n1,Ada\n2,Bob\n")
    folder.go("--exec", "cat", "--input", "in.csv", "--output", "out.jsonl")
    assert by_id(folder.records("out.jsonl")) == [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "Bob"},
    ]


def test_failures_and_skips_are_told_apart(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(6))
    program = """
for line in sys.stdin:
    n = json.loads(line)["id"]
    if n == 1: say("")
    elif n == 2: say("no json")
    elif n == 3: say(json.dumps({"penstock": {"fail": "why", "type": "Why", "final": True}}))
    elif n == 4: os._exit(9)
    else: say(line.strip())
"""
    done = folder.go("--exec", python(folder, program), *FILES, status=1)
    assert by_id(folder.records("out.jsonl")) == [{"id": 0}, {"id": 5}]
    errors = {e["original_record"]["id"]: e for e in folder.records("out.errors.jsonl")}
    assert {n: e["error_type"] for n, e in errors.items()} == {
        2: "NotJson",
        3: "Why",
        4: "ProgramDied",
    }
    assert errors[3]["error_message"] == "why"
    assert "no JSON" in done.err


def test_retries_are_claimed_again(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(20))
    seen = folder.path / "seen"
    program = f"""
for line in sys.stdin:
    n = json.loads(line)["id"]
    first = not os.path.exists(f"{seen}{{n}}")
    open(f"{seen}{{n}}", "w").close()
    say('{{"penstock":{{"fail":"once","retry_after_s":0.01}}}}' if first else line.strip())
"""
    folder.go("--exec", python(folder, program), "--retries", "1", *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(20)


def test_ids_and_a_second_run(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(10))
    folder.go("--exec", "cat", "--id-key", "id", *FILES)
    folder.write_records("in.jsonl", numbered(20))
    folder.go("--exec", "cat", "--id-key", "id", *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(20)


def test_concurrency_is_kept(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(30))
    program = """
left = b""
while got := os.read(0, 1 << 20):
    lines = (left + got).split(b"\\n")
    left = lines.pop()
    for line in lines: say(json.dumps({**json.loads(line), "at_once": len(lines)}))
"""
    folder.go("--exec", python(folder, program), "--concurrency", "2", *FILES)
    out = folder.records("out.jsonl")
    assert len(out) == 30
    assert {record["at_once"] for record in out} <= {1, 2}


def test_a_program_with_a_buffer_and_a_limit_is_helped_along(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(4))
    folder.go("--exec", "sed s/a/b/", "--concurrency", "2", *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(4)


def test_a_typing_mistake_is_told_and_costs_nothing(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(10))
    done = folder.go("--exec", "./no-such-program", *FILES, status=None)
    assert done.status == 2
    assert "cannot be run: ./no-such-program" in done.err
    assert folder.text("out.errors.jsonl") == ""
    folder.go("--exec", "cat", *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(10)


def test_a_stop_finishes_what_runs_and_a_second_run_the_rest(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(3000))
    program = """
for line in sys.stdin:
    time.sleep(0.002)
    say(line.strip())
"""
    command = python(folder, program)
    running = folder.start("--exec", command, *FILES)
    until = time.monotonic() + 60
    while not folder.text("out.jsonl"):
        assert time.monotonic() < until
        time.sleep(0.01)
    running.tell(signal.SIGINT)
    assert running.end().status == 130
    before = len(folder.records("out.jsonl"))
    assert 0 < before < 3000
    folder.go("--exec", "cat", *FILES)
    assert by_id(folder.records("out.jsonl")) == numbered(3000)


@pytest.mark.parametrize("victim", ["run", "worker", "program"])
def test_whoever_is_killed_no_record_is_lost_or_doubled(folder: RunFolder, victim: str) -> None:
    folder.write_records("in.jsonl", numbered(2000))
    pids = folder.path / "pids"
    program = f"""
open({str(pids)!r}, "w").write(f"{{os.getppid()}} {{os.getpid()}}")
for line in sys.stdin:
    time.sleep(0.002)
    say(line.strip())
"""
    running = folder.start("--exec", python(folder, program), *FILES)
    until = time.monotonic() + 60
    while not folder.text("out.jsonl"):
        assert time.monotonic() < until
        time.sleep(0.01)
    worker, own = pids.read_text().split()
    pid = {"run": running.process.pid, "worker": int(worker), "program": int(own)}[victim]
    os.kill(pid, signal.SIGKILL)
    done = running.end()
    if victim == "run":
        assert done.status == -signal.SIGKILL
        until = time.monotonic() + 60
        while any(Path(f"/proc/{one}").exists() for one in (worker, own)):
            assert time.monotonic() < until, "it outlived the run"
            time.sleep(0.01)
        folder.go("--exec", "cat", *FILES)
    else:
        assert done.status == 0, str(done)
    assert by_id(folder.records("out.jsonl")) == numbered(2000)


def test_a_worker_for_a_server(native: Native, server: ServerProcess) -> None:
    native.start("j")
    done = subprocess.run(
        [binary(), "worker", "--exec", "cat", "--server", server.url, "--job", "j"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (server.data / "j.jsonl").read_text() == (server.data / "in.jsonl").read_text()


ORDERS = [{"id": 1, "price": 2, "count": 3}, {"id": 2}, {"id": 3, "price": 1}]


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_example_in_shell(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", ORDERS)
    folder.go("--exec", str(ROOT / "examples" / "totals.sh"), *FILES, status=1)
    assert folder.records("out.jsonl") == [{"id": 1, "total": 6}]
    assert [e["error_type"] for e in folder.records("out.errors.jsonl")] == ["NoPrice"]


def test_the_example_in_c(folder: RunFolder) -> None:
    source, program = ROOT / "examples" / "line_lengths.c", folder.path / "line_lengths"
    subprocess.run(["cc", "-Wall", "-Werror", "-o", program, source], check=True)
    folder.write("in.jsonl", f'{{}}\n["{"x" * 100_000}"]\n[1, 2]\n')
    folder.go("--exec", "./line_lengths", *FILES, status=1)
    assert folder.records("out.jsonl") == [{"bytes": 2}, {"bytes": 6}]
    assert folder.records("out.errors.jsonl")[0]["error_message"] == "too long to be true"
