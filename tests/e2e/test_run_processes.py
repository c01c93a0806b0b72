"""Worker processes of `penstock run` that die, hang, grow or leave others behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.run_command import RunCommand, numbers


@pytest.mark.parametrize(
    ("do", "how"), [("exit", "status 7"), ("kill", "was killed by signal 9 (Killed)")]
)
def test_a_process_that_dies_is_replaced_and_its_record_fails(
    command: RunCommand, do: str, how: str
) -> None:
    command.write("in.jsonl", [{"id": 1}, {"id": 2, "do": do}, {"id": 3}])
    ended = command.run("--log", "run.log")
    assert ended.returncode == 1, ended.stderr
    assert [line["in"]["id"] for line in command.read("out.jsonl")] == [1, 3]
    assert how in ended.stderr
    assert "another takes its place" in ended.stderr
    assert "warn worker.died worker=1 how=" in (command.folder / "run.log").read_text()
    (lost,) = command.read("out.errors.jsonl")
    assert lost["error_type"] == "WorkerLost"
    assert how in lost["error_message"]


def test_a_process_that_dies_before_it_is_ready_is_not_started_for_ever(
    command: RunCommand,
) -> None:
    ended = command.run(plan={"die_at_start": True})
    assert ended.returncode == 1
    assert "died 5 times before it was ready (ended with status 9)" in ended.stderr


def test_a_process_that_hangs_is_killed_and_its_record_fails(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": 1, "do": "hang"}, {"id": 2}])
    ended = command.run("--timeout", "0.1", "--grace", "0.1")
    assert ended.returncode == 1, ended.stderr
    assert [line["in"]["id"] for line in command.read("out.jsonl")] == [2]
    assert "worker process 1 was killed: it gave no sign of life for longer" in ended.stderr
    (lost,) = command.read("out.errors.jsonl")
    assert lost["error_type"] == "WorkerLost"
    assert lost["error_message"].startswith("its worker was killed: it gave no sign of life")


def test_a_process_that_asks_for_it_is_replaced(command: RunCommand) -> None:
    trace = command.folder / "trace"
    ended = command.run(
        "--log", "run.log", plan={"trace": str(trace), "recycle_after": 4, "max": 2}
    )
    assert ended.returncode == 0, ended.stderr
    assert numbers(command) == list(range(10))
    assert len(trace.read_text().splitlines()) == 3
    assert "worker.recycled worker=1 ran=4" in (command.folder / "run.log").read_text()


def test_what_a_process_started_dies_with_it(command: RunCommand) -> None:
    """The whole group is killed; the pipe that a grandchild held open does not hold the run up."""
    script = command.folder / "prog.py"
    script.write_text(
        "#!/bin/sh\nsleep 3600 &\necho $! >sleeper\nexec " + command.python + ' "$@"\n'
    )
    script.chmod(0o755)
    command.python = str(script)
    assert command.run().returncode == 0
    pid = (command.folder / "sleeper").read_text().strip()
    assert not Path(f"/proc/{pid}").exists() or (
        "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    )


# ---- with Python itself


def test_a_function_that_blocks_its_process_is_found(real: RunCommand) -> None:
    """The loop cannot turn: no timeout within it helps."""
    real.task(
        "import time\n"
        "async def process_record(record, context):\n"
        "    if record['id'] == 3:\n"
        "        time.sleep(3600)\n"
        "    return record\n"
    )
    ended = real.run("--timeout", "0.5", "--grace", "0.5", "--id-key", "id")
    assert ended.returncode == 1, ended.stderr
    assert [line["id"] for line in real.read("out.jsonl")].count(3) == 0
    assert len(real.read("out.jsonl")) == 9
    assert "another takes its place" in ended.stderr


def test_a_process_that_grows_is_replaced(real: RunCommand) -> None:
    real.task(
        "import asyncio\n"
        "hoard = []\n"
        "async def process_record(record, context):\n"
        "    hoard.append(b'x' * (8 << 20))\n"
        "    await asyncio.sleep(0.12)\n"  # longer than it takes until memory is looked at again
        "    return record\n"
    )
    ended = real.run("--max-memory-per-process", "70M", "--concurrency", "1", "--log", "run.log")
    assert ended.returncode == 0, ended.stderr
    assert sorted(line["id"] for line in real.read("out.jsonl")) == list(range(10))
    assert "worker.recycled" in (real.folder / "run.log").read_text()


def test_hooks_are_called_once_and_only_when_there_is_work(real: RunCommand) -> None:
    real.task(
        "def on_startup():\n    print('hello')\n    return {}\n"
        "async def process_record(record, context):\n    return record\n"
        "def on_shutdown(context):\n    print('goodbye')\n"
    )
    first, again = real.run("--id-key", "id"), real.run("--id-key", "id")
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert first.stderr.count("hello") == first.stderr.count("goodbye") == 1
    assert "hello" not in again.stderr and "goodbye" not in again.stderr
    assert again.stderr.startswith("nothing to do\n")
