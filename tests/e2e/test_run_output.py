"""`penstock run` whose output is on a full disk, cannot be written, or is taken away."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.run_command import DEADLINE_S, RunCommand


def test_a_full_disk_is_waited_for(real: RunCommand, tmp_path: Path) -> None:
    shim = FaultShim(tmp_path)
    # The state lies elsewhere, so that only the output's disk is full.
    (real.folder / "elsewhere").mkdir(mode=0o700)
    (real.folder / "out.jsonl.penstock").symlink_to("elsewhere")
    shim.spoil("write", "out.jsonl", error=errno.ENOSPC)
    process = real.start(env=shim.env)
    assert process.stderr
    told = ""
    for line in process.stderr:
        told += line
        if line.startswith("the disk is full: make room"):
            break
    else:
        pytest.fail(told)
    shim.heal()
    _, rest = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, told + rest
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))


def test_a_disk_that_is_full_from_the_start_is_for_later(
    command: RunCommand, tmp_path: Path
) -> None:
    shim = FaultShim(tmp_path)
    shim.spoil("write", "out.jsonl", error=errno.ENOSPC)
    ended = command.run(env=shim.env)
    assert ended.returncode == 75
    assert "No space left on device" in ended.stderr
    shim.heal()
    assert command.run(env=shim.env).returncode == 0


@pytest.mark.parametrize("option", ["--output", "--errors", "--log"])
def test_a_file_that_cannot_be_written_is_named(command: RunCommand, option: str) -> None:
    ends = {"--input": "in.jsonl", "--output": "out.jsonl", option: "in.jsonl/none.jsonl"}
    args = [word for pair in ends.items() for word in pair]
    ended = command.run("task.py", *args, usual=False)
    assert ended.returncode == 2
    assert "in.jsonl/none.jsonl cannot be written: Not a directory" in ended.stderr


def test_a_state_folder_that_is_none_is_wrong_usage(command: RunCommand) -> None:
    (command.folder / "out.jsonl.penstock").write_text("")
    ended = command.run()
    assert ended.returncode == 2
    assert "out.jsonl.penstock cannot be written: Not a directory" in ended.stderr


# ---- outputs that are not there any more


@pytest.mark.parametrize("log", [[], ["--log", "run.log"]])
def test_an_output_that_is_removed_meanwhile_ends_the_run(real: RunCommand, log: list[str]) -> None:
    """No later attempt to write could succeed; a run that begins reads what is there."""
    real.task(
        "import os\n"
        "async def process_record(record, context):\n"
        "    if os.path.exists('out.jsonl') and not os.path.exists('once'):\n"
        "        open('once', 'w').close()\n"
        "        os.unlink('out.jsonl')\n"
        "    return record\n"
    )
    args = ["--concurrency", "1", "--rpm", "600", "--id-key", "id", *log]
    ended = real.run(*args)
    assert ended.returncode == 75, ended.stderr
    assert "out.jsonl was removed while it was being written; the same command" in ended.stderr
    assert real.run(*args).returncode == 0
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))


def test_an_output_that_is_gone_before_a_run_goes_on_ends_it(real: RunCommand) -> None:
    """Without ids what is done is known by its number: its lines must be there."""
    real.task("async def process_record(record, context):\n    return record\n")
    out = real.folder / "out.jsonl"
    assert real.run("--limit", "4").returncode == 0
    out.rename(real.folder / "away.jsonl")
    ended = real.run()
    assert ended.returncode == 75, ended.stderr
    assert "put it back" in ended.stderr
    (real.folder / "away.jsonl").rename(out)
    assert real.run().returncode == 0
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_output_that_is_removed_ends_a_run_of_programs(
    command: RunCommand, processes: str
) -> None:
    command.write("in.jsonl", ({"id": n} for n in range(10)))
    program = (
        "while read -r line; do"
        " if [ -s out.jsonl ] && mkdir once 2>/dev/null; then rm out.jsonl; fi;"
        ' echo "$line"; done'
    )
    args = ["--exec", program, "--id-key", "id", "--rpm", "600", "--processes", processes]
    ended = command.run(*args)
    assert ended.returncode == 75, ended.stderr
    assert "out.jsonl was removed while it was being written; the same command" in ended.stderr
    assert command.run(*args).returncode == 0
    assert sorted(line["id"] for line in command.read("out.jsonl")) == list(range(10))


def test_an_output_that_is_moved_away_ends_the_run_until_it_is_back(real: RunCommand) -> None:
    out, away = real.folder / "out.jsonl", real.folder / "away.jsonl"
    real.task(
        "import os\n"
        "async def process_record(record, context):\n"
        "    if os.path.exists('out.jsonl') and not os.path.exists('away.jsonl'):\n"
        "        os.rename('out.jsonl', 'away.jsonl')\n"
        "    return record\n"
    )
    args = ["--concurrency", "1", "--rpm", "600"]
    ended = real.run(*args)
    assert ended.returncode == 75, ended.stderr
    assert "moved away" in ended.stderr and "put it back" in ended.stderr
    real.task("async def process_record(record, context):\n    return record\n")
    away.rename(out)
    assert real.run().returncode == 0
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))


def test_another_file_in_the_output_s_place_is_not_written_over(real: RunCommand) -> None:
    out, away = real.folder / "out.jsonl", real.folder / "away.jsonl"
    assert real.run("--limit", "4").returncode == 0
    out.rename(away)
    text = "what somebody has put here, of quite some length\n" * 1000
    out.write_text(text)
    ended = real.run()
    assert ended.returncode == 75, ended.stderr
    assert "out.jsonl is not the file that results were written to" in ended.stderr
    assert "put it back" in ended.stderr
    assert out.read_text() == text
    away.rename(out)
    assert real.run().returncode == 0
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))
