"""What a person sees of `penstock run`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

from harness.run_command import DEADLINE_S, RunCommand, environment, wait_for
from harness.server_process import binary


def test_what_a_function_prints_goes_to_standard_error(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": 1, "do": "print", "text": "hello there"}])
    ended = command.run()
    assert ended.stdout == ""
    assert "hello there\n" in ended.stderr


def test_quiet_is_quiet(command: RunCommand) -> None:
    ended = command.run("--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_duplicates_are_named_but_for_quiet(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": "a"}, {"id": "b"}, {"id": "a"}])
    ended = command.run("--id-key", "id", "--quiet")
    assert (ended.returncode, ended.stderr) == (0, "")
    (command.folder / "out.jsonl").unlink()
    ended = command.run("--id-key", "id")
    assert ended.returncode == 0
    assert "record.duplicate" in ended.stderr
    assert 'id="\\"a\\""' in ended.stderr and "in.jsonl line=3" in ended.stderr


def test_on_a_terminal_progress_is_a_line_drawn_again(command: RunCommand) -> None:
    ours, theirs = pty.openpty()
    process = waiting_on(command, theirs)
    os.close(theirs)
    told = b""
    while b"in flight" not in told:
        told += os.read(ours, 65536)
    process.send_signal(signal.SIGTERM)
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # nobody has the other end any more
            break
        if not piece:
            break
        told += piece
    process.wait(DEADLINE_S)
    os.close(ours)
    assert b"\r" in told and b"\033[K" in told
    assert process.returncode == 143


def waiting_on(command: RunCommand, terminal: int) -> subprocess.Popen[bytes]:
    started = command.folder / "started"
    command.write("in.jsonl", [{"do": "wait", "started": str(started)}, {"id": 2}])
    process = subprocess.Popen(
        [binary(), "run", "task.py", "--python", command.python, "--input", "in.jsonl",
         "--output", "out.jsonl"],
        cwd=command.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    wait_for(started)
    return process


# ---- standard input and output


def test_a_run_can_stand_in_a_pipe(command: RunCommand, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with (command.folder / "in.jsonl").open() as records:
        ended = subprocess.run(
            [binary(), "run", "task.py", "--python", command.python, "--input", "-",
             "--output", "-"],
            cwd=command.folder, stdin=records, capture_output=True, text=True, timeout=DEADLINE_S,
            env={**environment(), "TMPDIR": str(temporary)}, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line)["n"] for line in ended.stdout.splitlines()] == list(range(10))
    assert "done      10" in ended.stderr
    assert list(temporary.iterdir()) == []
