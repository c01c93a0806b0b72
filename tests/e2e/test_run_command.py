"""`penstock run` from its options to its exit status, with a fake worker where Python would be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from harness.run_command import RunCommand, numbers

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
    assert "records     10\n" in ended.stdout
    assert "to do       10\n" in ended.stdout
    assert "time        at least 10 s, at 60 starts a minute" in ended.stdout
    assert sorted(path.name for path in command.folder.rglob("*")) == before


def test_a_dry_run_knows_what_is_done_and_what_has_failed(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": n, "do": "fail" if n < 2 else ""} for n in range(10)])
    assert command.run("--limit", "6").returncode == 1
    ended = command.run("--dry-run", "--rpm", "60")
    assert "done        4, by the lines of the output\n" in ended.stdout
    assert "to do       6\n" in ended.stdout
    assert "time        at least 6 s" in ended.stdout
    assert "to do       2\n" in command.run("--dry-run", "--only-failed").stdout
    assert "to do       3\n" in command.run("--dry-run", "--limit", "3").stdout


def test_progress_comes_as_json_for_programs(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": n, "do": "fail" if n == 3 else ""} for n in range(10)])
    ended = command.run("--progress", "json", "--retries", "2", "--retry-delay", "0")
    assert ended.returncode == 1
    *told, reason = ended.stderr.splitlines()
    assert reason.startswith("penstock: 1 record failed")
    lines = [json.loads(line) for line in told]
    assert all(len(line) == 1 and set(line) <= {"progress", "text", "summary"} for line in lines)
    progress = [line["progress"] for line in lines if "progress" in line][-1]
    summary = lines[-1]["summary"]
    for name, count in (("done", 9), ("failed", 1), ("retried", 2)):
        assert (progress[name], summary[name]) == (count, count)
    assert (progress["in_flight"], progress["total"], progress["total_is_exact"]) == (0, 10, True)
    assert command.run("--progress", "loud").returncode == 2


def test_a_summary_counts_the_retries(command: RunCommand) -> None:
    command.write("in.jsonl", [{"id": 1, "do": "fail"}])
    ended = command.run("--retries", "2", "--retry-delay", "0", "--summary", "s.json")
    assert "retries   2" in ended.stderr
    assert json.loads((command.folder / "s.json").read_text())["retried"] == 2
