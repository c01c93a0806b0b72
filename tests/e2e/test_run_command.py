"""`penstock run` from its options to its exit status, with a fake worker where Python would be."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.run_command import DEADLINE_S, RunCommand, environment
from harness.server_process import ServerProcess, binary


@pytest.fixture
def command(tmp_path: Path) -> RunCommand:
    made = RunCommand(tmp_path / "work")
    made.write("in.jsonl", ({"id": n} for n in range(10)))
    return made


def wait_for(path: Path) -> None:
    """Until the file is there."""
    ends = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < ends, f"{path} never came"
        time.sleep(0.01)


def numbers(command: RunCommand) -> list[int]:
    return sorted(line["n"] for line in command.read("out.jsonl"))


# ---- the whole way


def test_a_run_writes_every_result_once_and_says_so(command: RunCommand) -> None:
    ended = command.run("--summary", "summary.json")
    assert ended.returncode == 0, ended.stderr
    assert numbers(command) == list(range(10))
    assert ended.stdout == ""
    assert re.search(r"^done\n  done      10\n  failed    0\n  time ", ended.stderr, re.M)
    summary = json.loads((command.folder / "summary.json").read_text())
    assert (summary["outcome"], summary["exit_status"]) == ("done", 0)
    assert (summary["done"], summary["failed"], summary["left"]) == (10, 0, 0)
    assert summary["output"] == "out.jsonl"
    assert summary["errors"] is None


def test_the_same_command_again_has_nothing_to_do(command: RunCommand) -> None:
    assert command.run().returncode == 0
    again = command.run()
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("nothing to do\n  done      0\n")
    assert "before    10" in again.stderr
    assert numbers(command) == list(range(10))


def test_records_appended_to_the_input_are_what_the_next_run_does(command: RunCommand) -> None:
    assert command.run().returncode == 0
    with (command.folder / "in.jsonl").open("a") as file:
        file.write('{"id": 10}\n')
    assert command.run().returncode == 0
    assert numbers(command) == list(range(11))


def test_several_processes_share_the_work(command: RunCommand) -> None:
    trace = command.folder / "trace"
    ended = command.run("--processes", "3", plan={"trace": str(trace)})
    assert ended.returncode == 0, ended.stderr
    assert len(trace.read_text().splitlines()) == 3
    assert numbers(command) == list(range(10))


def test_several_inputs_are_found_by_a_pattern(command: RunCommand) -> None:
    command.write("part-1.jsonl", [{"id": 100}])
    command.write("part-2.jsonl", [{"id": 200}])
    ended = command.run(
        "task.py", "--input", "part-*.jsonl", "--input", "in.jsonl", "--output", "out.jsonl",
        usual=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [line["in"]["id"] for line in command.read("out.jsonl")] == [100, 200, *range(10)]


def test_folders_of_output_errors_and_log_are_made(command: RunCommand) -> None:
    ended = command.run(
        "task.py", "--input", "in.jsonl", "--output", "a/b/out.jsonl", "--errors", "c/errors.jsonl",
        "--log", "d/e/run.log", usual=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert len((command.folder / "a/b/out.jsonl").read_text().splitlines()) == 10
    assert " info " in (command.folder / "d/e/run.log").read_text()
    assert (command.folder / "a/b/out.jsonl.penstock").stat().st_mode & 0o777 == 0o700


def test_a_path_longer_than_a_socket_address_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    command = RunCommand(deep)
    command.write("in.jsonl", [{"id": 1}])
    ended = command.run()
    assert ended.returncode == 0, ended.stderr


# ---- failures


def test_records_that_fail_make_the_status_one_and_are_told(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": 1}, *({"id": n, "do": "fail"} for n in range(5))])
    ended = command.run("--summary", "summary.json")
    assert ended.returncode == 1
    assert ended.stderr.count("ValueError: no") == 3
    assert "record 3: ValueError: no (more are not shown)" in ended.stderr
    assert ended.stderr.endswith("penstock: 5 records failed; the list is in out.errors.jsonl\n")
    summary = json.loads((command.folder / "summary.json").read_text())
    assert (summary["outcome"], summary["exit_status"]) == ("failed", 1)
    assert (summary["done"], summary["failed"]) == (1, 5)
    assert summary["errors"] == "out.errors.jsonl"


def test_a_target_that_cannot_be_loaded_is_wrong_usage(command: RunCommand) -> None:
    ended = command.run(plan={"error": "task.py: no process_record"})
    assert ended.returncode == 2
    assert "Traceback: here" in ended.stderr
    assert ended.stderr.endswith("penstock: task.py: no process_record\n")
    assert not (command.folder / "out.jsonl").exists()


def test_a_worker_that_says_nothing_is_told_with_its_last_words(command: RunCommand) -> None:
    ended = command.run(plan={"print": "no such thing", "die": 3})
    assert ended.returncode == 1
    assert (
        "the worker process ended with status 3 before it said a word: no such thing"
        in ended.stderr
    )


def test_a_python_without_penstock_is_named(command: RunCommand) -> None:
    ended = command.run(plan={"print": "fake: No module named penstock", "die": 1})
    assert ended.returncode == 2
    assert f"penstock: {command.python} cannot import penstock: install it there" in ended.stderr


def test_a_failed_on_startup_ends_the_run(command: RunCommand) -> None:
    ended = command.run("--processes", "2", plan={"startup_fails": True})
    assert ended.returncode == 1
    assert ended.stderr.endswith("penstock: RuntimeError: no\n")


def test_a_failed_on_shutdown_is_told_after_all_is_done(command: RunCommand) -> None:
    ended = command.run(plan={"shutdown_fails": True})
    assert ended.returncode == 1
    assert ended.stderr.endswith("penstock: on_shutdown failed: RuntimeError: late\n")
    assert numbers(command) == list(range(10))


# ---- processes that die


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
    assert "WorkerLost" in (command.folder / "out.errors.jsonl").read_text()


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


# ---- stopping


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


# ---- options and settings


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["task.py", "--output", "out.jsonl"], "run needs --input"),
        (["task.py", "--input", "in.jsonl"], "run needs --output"),
        ([], "name what to run: a file, a folder, module:function, or --exec"),
        (["task.py", "--exec", "cat"], "TARGET and --exec name two functions"),
        (
            ["task.py", "--input", "none.jsonl", "--output", "o"],
            "input none.jsonl: No such file or directory",
        ),
        (["task.py", "--input", "no-*.jsonl", "--output", "o"], "no file matches no-*.jsonl"),
        (["task.py", "--input", ".", "--output", "o"], "input . is a folder"),
        (["task.py", "--input", "in.jsonl", "--output", "."], "output . is a folder"),
        (["task.py", "--concurrency", "0"], "--concurrency: "),
        (["task.py", "--concurrency", "many"], "--concurrency: "),
        (["task.py", "--rpm", "-1"], '--rpm: "-1" is no number from 0 to 60000000'),
        (["task.py", "--rpm", "nan"], '--rpm: "nan" is no number'),
        (["task.py", "--retries", "-1"], "--retries: "),
        (["task.py", "--retry-delay", "x"], "--retry-delay: "),
        (["task.py", "--timeout", "-1"], "--timeout: "),
        (["task.py", "--processes", "0"], "--processes: "),
        (["task.py", "--limit", "0"], "--limit: "),
        (["task.py", "--limit", "1", "--sample", "1"], "--limit and --sample exclude each other"),
        (["task.py", "--seed", "1"], "--seed goes with --sample"),
        (["task.py", "--config", "none.py"], "--config: none.py cannot be read"),
        (
            ["task.py", "--input", "in.jsonl", "--output", "o", "--rerun-key", "again"],
            "--rerun-key goes with --id-key",
        ),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(command: RunCommand, args: list[str], told: str) -> None:
    ended = command.run(*args, usual=False)
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr
    assert not list(command.folder.glob("*.jsonl.penstock/penstock.db"))


def test_a_python_that_is_none_is_named(command: RunCommand) -> None:
    command.python = "none-such-python"
    ended = command.run()
    assert ended.returncode == 2
    assert "--python: none-such-python is no program" in ended.stderr


def test_a_folder_with_settings_has_the_usual_ones(command: RunCommand) -> None:
    (command.folder / "config.py").write_text("")
    (command.folder / "data").mkdir()
    command.write("data/input.jsonl", [{"id": 1}, {"id": 2}])
    ended = command.run(".", usual=False)
    assert ended.returncode == 0, ended.stderr
    assert len((command.folder / "data/output.jsonl").read_text().splitlines()) == 2
    assert (command.folder / "logs/processor.log").exists()


def test_settings_are_taken_and_options_win(command: RunCommand) -> None:
    (command.folder / "config.py").write_text("")
    hello = {
        "settings": {"INPUT_FILE": "in.jsonl", "OUTPUT_FILE": "theirs.jsonl", "LOG_FILE": None}
    }
    ended = command.run(".", "--output", "ours.jsonl", plan={"hello": hello}, usual=False)
    assert ended.returncode == 0, ended.stderr
    assert (command.folder / "ours.jsonl").exists()
    assert not (command.folder / "theirs.jsonl").exists()
    assert not (command.folder / "logs").exists()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("MAX_CONCURRENCY", 0, "MAX_CONCURRENCY in ./config.py is 0: it must be a whole number"),
        ("MAX_CONCURRENCY", "ten", 'MAX_CONCURRENCY in ./config.py is "ten"'),
        ("REQUESTS_PER_MINUTE", -5, "REQUESTS_PER_MINUTE in ./config.py is -5"),
        ("MAX_RETRIES", 1.5, "MAX_RETRIES in ./config.py is 1.5"),
        ("RETRY_INITIAL_DELAY", "x", 'RETRY_INITIAL_DELAY in ./config.py is "x"'),
        ("OUTPUT_FILE", None, "OUTPUT_FILE in ./config.py is null"),
        ("INPUT_FILE", 7, "INPUT_FILE in ./config.py is 7"),
        ("ID_KEY", 7, "ID_KEY in ./config.py is 7"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_file(
    command: RunCommand, key: str, value: object, told: str
) -> None:
    (command.folder / "config.py").write_text("")
    ended = command.run(".", plan={"hello": {"settings": {key: value}}}, usual=False)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_dry_run_says_what_would_run_and_changes_nothing(command: RunCommand) -> None:
    before = sorted(path.name for path in command.folder.rglob("*"))
    ended = command.run("--dry-run", "--rpm", "60", "--id-key", "id", "--log", "l/run.log")
    assert ended.returncode == 0, ended.stderr
    assert "records     10, without those that are done" in ended.stdout
    assert "time        at least 10 s, at 60 starts a minute" in ended.stdout
    assert sorted(path.name for path in command.folder.rglob("*")) == before


# ---- what is seen


def test_what_a_function_prints_goes_to_standard_error(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": 1, "do": "print", "text": "hello there"}])
    ended = command.run()
    assert ended.stdout == ""
    assert "hello there\n" in ended.stderr


def test_quiet_is_quiet(command: RunCommand) -> None:
    ended = command.run("--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


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


# ---- a server elsewhere


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
        [binary(), "worker", "task.py", "--python", command.python, "--server", server.url,
         "--job", "titles"],
        cwd=command.folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL, check=False,
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
        (["task.py", "--job", "x"], "worker needs --server"),
        (["task.py", "--server", "http://127.0.0.1:9"], "worker needs --job"),
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


# ---- disks


@pytest.fixture
def real(tmp_path: Path) -> RunCommand:
    """With Python where Python belongs."""
    made = RunCommand(tmp_path / "real", fake=False)
    made.write("in.jsonl", ({"id": n} for n in range(10)))
    made.task(
        "async def process_record(record, context):\n    return {**record, 'x': 'y' * 9000}\n"
    )
    return made


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
