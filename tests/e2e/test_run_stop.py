"""`penstock run` that is stopped, killed, or started twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.run_command import DEADLINE_S, RunCommand, numbers, wait_for


def waiting(command: RunCommand, *args: str) -> subprocess.Popen[str]:
    """A run whose first record is in flight."""
    started = command.folder / "started"
    command.write("in.jsonl", [{"do": "wait", "started": str(started)}, {"id": 2}])
    process = command.start(*args)
    wait_for(started)
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_in_flight_finish(
    command: RunCommand, number: signal.Signals, status: int
) -> None:
    process = waiting(command, "--summary", "summary.json")
    process.send_signal(number)
    _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == status
    assert numbers(command) == [0]
    assert f"penstock: stopped by {number.name}; the same command goes on from here" in told
    assert json.loads((command.folder / "summary.json").read_text())["outcome"] == "stopped"
    command.write("in.jsonl", command.read("in.jsonl"))
    assert command.run().returncode == 0
    assert numbers(command) == [0, 1]


def test_a_second_signal_does_not_wait(command: RunCommand) -> None:
    started = command.folder / "started"
    command.write("in.jsonl", [{"do": "hang", "started": str(started)}])
    process = command.start(plan={"trace": str(command.folder / "trace")})
    wait_for(command.folder / "trace")
    process.send_signal(signal.SIGINT)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("stopping"):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130


def test_no_process_outlives_a_run_that_is_killed(command: RunCommand) -> None:
    trace = command.folder / "trace"
    started = command.folder / "started"
    command.write("in.jsonl", [{"do": "wait", "started": str(started)}])
    process = command.start(plan={"trace": str(trace)})
    wait_for(started)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    pid = json.loads(trace.read_text())["pid"]
    ends = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_second_run_on_the_same_output_is_refused(command: RunCommand) -> None:
    process = waiting(command)
    second = command.run()
    assert second.returncode == 75
    assert f"in use by process {process.pid}" in second.stderr
    assert "another run works on out.jsonl" in second.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)


def test_runs_with_different_outputs_do_not_meet(command: RunCommand) -> None:
    process = waiting(command)
    command.write("other.jsonl", [{"id": 5}])
    other = command.run(
        "task.py", "--input", "other.jsonl", "--output", "other-out.jsonl", usual=False
    )
    assert other.returncode == 0, other.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
