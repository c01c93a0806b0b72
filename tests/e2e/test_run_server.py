"""`penstock run` and `penstock worker` for a job of a server."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from harness.run_command import DEADLINE_S, RunCommand, environment, wait_for
from harness.server_process import ServerProcess, binary


def test_a_job_of_a_server_gets_its_hands_from_here(
    command: RunCommand, server: ServerProcess
) -> None:
    (server.data / "theirs.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    args = ["task.py", "--server", server.url, "--input", "theirs.jsonl", "--output", "o.jsonl"]
    ended = command.run(*args, "--processes", "2", usual=False)
    assert ended.returncode == 0, ended.stderr
    assert len((server.data / "o.jsonl").read_text().splitlines()) == 2
    assert not list(command.folder.glob("*.penstock"))
    listed = server.run_cli("job", "list")
    assert "run:o.jsonl" in listed.stdout
    again = command.run(*args, usual=False)
    assert again.returncode == 0, again.stderr
    assert "\nnothing to do\n" in again.stderr


def test_a_job_may_be_made_here_and_worked_on_elsewhere(
    command: RunCommand, server: ServerProcess
) -> None:
    (server.data / "theirs.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    maker = command.start(
        "task.py", "--server", server.url, "--input", "theirs.jsonl", "--output", "o.jsonl",
        "--processes", "0", "--job", "titles", usual=False,
    )  # fmt: skip
    assert maker.stderr
    first = maker.stderr.readline()
    assert first == f'job titles is on {server.url}; "penstock worker" adds hands\n'
    worker = subprocess.run(
        [binary(), "worker", "task.py", "--python", command.python, "--job", "titles"],
        cwd=command.folder, env={**environment(), "PENSTOCK_SERVER": server.url},
        capture_output=True, text=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert worker.returncode == 0, worker.stderr
    _, told = maker.communicate(timeout=DEADLINE_S)
    assert maker.returncode == 0, told
    assert "done      2" in told
    assert len((server.data / "o.jsonl").read_text().splitlines()) == 2


def test_stopping_the_command_leaves_the_job_of_a_server(
    command: RunCommand, server: ServerProcess
) -> None:
    started = command.folder / "started"
    (server.data / "theirs.jsonl").write_text(
        json.dumps({"do": "wait", "started": str(started)}) + '\n{"id": 2}\n'
    )
    process = command.start(
        "task.py", "--server", server.url, "--input", "theirs.jsonl", "--output", "o.jsonl",
        usual=False,
    )  # fmt: skip
    wait_for(started)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    shown = server.run_cli("job", "show", "run:o.jsonl")
    assert "running" in shown.stdout
    assert len((server.data / "o.jsonl").read_text().splitlines()) == 1


def test_a_server_that_is_away_is_tried_later(command: RunCommand) -> None:
    ended = command.run("--server", "http://127.0.0.1:9")
    assert ended.returncode == 75
    assert "http://127.0.0.1:9 cannot be reached" in ended.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["task.py", "--job", "x"], "worker --job needs --server"),
        (["--server", "http://127.0.0.1:9", "--job", "x"], "name what to run"),
        (["task.py", "--server", "nonsense", "--job", "x"], "no URL"),
    ],
)
def test_a_worker_must_know_where_to_work(command: RunCommand, args: list[str], told: str) -> None:
    ended = subprocess.run(
        [binary(), "worker", *args], cwd=command.folder, env=environment(), capture_output=True,
        text=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_worker_for_a_job_that_is_not_there_says_so(
    command: RunCommand, server: ServerProcess
) -> None:
    ended = subprocess.run(
        [binary(), "worker", "task.py", "--python", command.python, "--server", server.url,
         "--job", "none"],
        cwd=command.folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "none" in ended.stderr
