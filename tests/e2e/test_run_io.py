"""What a run reads and writes: files as users have them, pipes, and the order of results."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.data_files import read_bytes
from harness.run_folder import RunFolder
from harness.server_process import binary

DEADLINE_S = 60


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = RunFolder(tmp_path / "run")
    yield made
    made.drop()


def numbered(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": n} for n in range(first, first + count)]


def piped(folder: RunFolder, given: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    """With bytes on standard input."""
    return subprocess.run(
        [binary(), "run", "--exec", "cat", "--quiet", *args],
        cwd=folder.path,
        input=given,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_several_inputs_of_every_kind_are_one(folder: RunFolder) -> None:
    folder.write_records("a.jsonl", numbered(0, 3))
    folder.write("b.csv", "id,name\r\n3,x\r\n4,\r\n")
    folder.write("c.csv.gz", gzip.compress(b"id\n5\n") + gzip.compress(b"6\n"))
    folder.write("d.ndjson", b'\xef\xbb\xbf{"id":7}\r\n\r\nnull\n{"id":"\xff"}\n{"id":8}')
    inputs = [f"--input={name}" for name in ("a.jsonl", "b.csv", "c.csv.gz", "d.ndjson")]
    args = ("--exec", "cat", *inputs, "--output=out.jsonl", "--id-key=id", "--ordered")
    folder.go(*args, status=1)
    assert [record["id"] for record in folder.records("out.jsonl")] == list(range(9))
    assert folder.records("out.jsonl")[4] == {"id": 4, "name": None}
    errors = folder.records("out.errors.jsonl")
    assert [(Path(e["file"]).name, e["line"]) for e in errors] == [
        ("d.ndjson", n) for n in (2, 3, 4)
    ]


@pytest.mark.parametrize("name", ["a#1?b=2&c", "50%20off", "tab\tand\nline"])
def test_a_folder_may_have_any_name(folder: RunFolder, name: str) -> None:
    """An address of a socket is no URL that ends at the first # or ?."""
    folder.write_records("in.jsonl", numbered(0, 2))
    folder.write("task.py", "def process_record(record):\n    return record\n")
    folder.go("task.py", "--input=in.jsonl", f"--output={name}/out.jsonl")
    assert folder.records(f"{name}/out.jsonl") == numbered(0, 2)


def test_an_input_that_was_cut_short_ends_the_next_run(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(0, 3000))
    folder.write("task.py", "def process_record(record):\n    return record\n")
    args = ("task.py", "--input=in.jsonl", "--output=out.jsonl")
    folder.go(*args)
    folder.write_records("in.jsonl", numbered(0, 2000))
    done = folder.go(*args, status=1)
    assert "in.jsonl has become shorter" in done.err
    folder.write_records("in.jsonl", numbered(0, 3001))
    folder.go(*args)
    assert len(folder.records("out.jsonl")) == 3001


def test_a_quote_that_is_never_closed_is_no_success(folder: RunFolder) -> None:
    folder.write("in.csv", 'id,name\n0,x\n1,"y\n2,z\n3,w\n')
    args = ("--exec", "cat", "--input=in.csv", "--output=out.jsonl")
    for _ in range(2):
        done = folder.go(*args, status=1)
        assert "the end of the input was not taken: line 3: a quoted cell is not closed" in done.err
    assert [r["id"] for r in folder.records("out.jsonl")] == [0]
    folder.write("in.csv", 'id,name\n0,x\n1,"y\n2,z\n3,w\n"\n4,v\n')
    folder.go(*args)
    assert [r["id"] for r in folder.records("out.jsonl")] == [0, 1, 4]


def test_a_further_input_is_growth_and_a_changed_one_is_refused(folder: RunFolder) -> None:
    args = ("--exec", "cat", "--output=out.jsonl", "--ordered")
    folder.write_records("in/a.jsonl", numbered(0, 2))
    folder.write_records("in/b.jsonl", numbered(2, 2))
    folder.go(*args, "--input=in/*.jsonl")
    folder.write_records("in/b.jsonl", numbered(2, 3))
    folder.write_records("in/c.jsonl", numbered(5, 1))
    folder.go(*args, "--input=in/*.jsonl")
    assert folder.records("out.jsonl") == numbered(0, 6)
    folder.write_records("in/a.jsonl", numbered(0, 3))
    done = folder.go(*args, "--input=in/*.jsonl", status=None)
    assert done.status and "a.jsonl" in done.err, done
    assert folder.records("out.jsonl") == numbered(0, 6)


@pytest.mark.parametrize("header", ["id,nom", "id,surname"])
def test_a_header_that_was_edited_is_told(folder: RunFolder, header: str) -> None:
    """Without ids records are known by their numbers, which are the same."""
    args = ("--exec", "cat", "--input=in.csv", "--output=out.jsonl")
    folder.write("in.csv", "id,name\n0,a\n1,b\n")
    folder.go(*args)
    folder.write("in.csv", f"{header}\n0,a\n1,b\n2,c\n")
    done = folder.go(*args, status=1)
    was, now = '["id","name"]', f'["id","{header[3:]}"]'
    assert f"in.csv is {now} now, it was {was} when the job was started" in done.err
    assert len(folder.records("out.jsonl")) == 2
    folder.go(*args, "--id-key=id")
    assert folder.records("out.jsonl")[2] == {"id": 2, header[3:]: "c"}


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.csv"])
def test_an_output_of_every_kind_is_appended_to(folder: RunFolder, name: str) -> None:
    for count in (3, 5):
        folder.write_records("in.jsonl", numbered(0, count))
        folder.go("--exec", "cat", "--input=in.jsonl", f"--output={name}", "--ordered")
        text = read_bytes(folder.path / name).decode()
        want = "".join(json.dumps(record) + "\n" for record in numbered(0, count))
        csv = "id\n" + "".join(f"{n}\n" for n in range(count))
        assert text == (csv if name.endswith(".csv") else want)


def test_results_wait_for_their_turn_over_a_kill(folder: RunFolder) -> None:
    """The first record takes until the run is killed; the others are done, and are not lost."""
    task = """
import asyncio, pathlib

async def process_record(record, context):
    with open("seen", "a") as seen:
        seen.write("x\\n")
    if record["id"] == 0 and not pathlib.Path("killed").exists():
        await asyncio.sleep(1000)
    return record
"""
    folder.write("task.py", task)
    folder.write_records("in.jsonl", numbered(0, 200))
    args = ("task.py", "--input=in.jsonl", "--output=out.jsonl", "--ordered", "--concurrency=20")
    run = folder.start(*args, "--quiet")
    while folder.text("seen").count("\n") < 150:
        assert run.process.poll() is None
        time.sleep(0.02)
    # What has begun is not yet done and kept.
    show = [binary(), "job", "show", "run", "--json", "--state=out.jsonl.penstock"]
    while b'"held":0,' in subprocess.run(show, cwd=folder.path, stdout=subprocess.PIPE).stdout:
        time.sleep(0.02)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.end()
    assert folder.text("out.jsonl") == ""
    folder.write("killed", "")
    folder.write("seen", "")
    folder.go(*args)
    assert folder.records("out.jsonl") == numbered(0, 200)
    assert 0 < folder.text("seen").count("\n") < 200


def test_pipes_at_both_ends(folder: RunFolder) -> None:
    given = "".join(json.dumps(record) + "\n" for record in numbered(0, 2000)).encode()
    done = piped(folder, given, "--input=-", "--output=-", "--ordered")
    assert done.returncode == 0, done.stderr
    assert done.stdout == given


def test_a_pipe_that_is_given_again_goes_on(folder: RunFolder) -> None:
    lines = [json.dumps(record) + "\n" for record in numbered(0, 30)]
    args = ("--input=-", "--output=out.jsonl", "--ordered")
    assert piped(folder, "".join(lines[:20]).encode(), *args).returncode == 0
    assert piped(folder, "".join(lines).encode(), *args).returncode == 0
    assert folder.records("out.jsonl") == numbered(0, 30)
    other = piped(folder, b'{"id":"other"}\n' + "".join(lines[1:]).encode(), *args)
    assert other.returncode != 0
    assert b"not what was given before, from byte" in other.stderr, other.stderr
    assert folder.records("out.jsonl") == numbered(0, 30)


def test_a_closed_pipe_ends_the_run_at_once(folder: RunFolder) -> None:
    folder.write_records("in.jsonl", numbered(0, 200_000))
    command = f"'{binary()}' run --exec cat --quiet --input in.jsonl --output - | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command + "; exit ${PIPESTATUS[0]}"],
        cwd=folder.path,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode != 0
    assert b"the output was closed after" in done.stderr, done.stderr


def test_very_long_lines(folder: RunFolder) -> None:
    long = {"id": 0, "text": "ä" * 4_000_000}
    with (folder.path / "in.jsonl").open("w") as f:
        f.write(json.dumps(long, ensure_ascii=False) + "\n")
        f.write('{"id": 1, "text": "' + "x" * (65 << 20) + '"}\n{"id": 2}\n')
    folder.go("--exec", "cat", "--input=in.jsonl", "--output=out.jsonl", "--ordered", status=1)
    assert folder.records("out.jsonl") == [long, {"id": 2}]
    assert "longer than 64 MiB" in folder.text("out.errors.jsonl")
