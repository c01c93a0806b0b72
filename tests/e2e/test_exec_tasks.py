"""Programs that work on tasks of the queue: `penstock worker --exec`, and the example in C."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.fake_queue import FakeQueue
from harness.flow_command import is_alive
from harness.server_process import ROOT, binary
from harness.tasks import Later, Tasks

DEADLINE_S = 60.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Programs:
    """Programs in a folder, and workers that run them."""

    def __init__(self, tasks: Tasks, folder: Path) -> None:
        self.tasks, self.folder = tasks, folder

    def command(self, body: str) -> str:
        """A program that has each task as `task`, and prints what `body` says."""
        head = "import json, os, sys, time\nfor line in sys.stdin:\n    task = json.loads(line)\n"
        path = self.folder / "program.py"
        path.write_text(head + textwrap.indent(textwrap.dedent(body), "    "))
        return f"{sys.executable} {path} {self.folder}"

    def work(self, body: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary(), "worker", "--exec", self.command(body), "--server", self.tasks.server.url,
             "--one-shot", *args],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip


@pytest.fixture
def programs(tasks: Tasks, tmp_path: Path) -> Programs:
    return Programs(tasks, tmp_path)


def test_a_program_gets_whole_tasks_and_prints_results(programs: Programs) -> None:
    tasks = programs.tasks
    ids = tasks.enqueue(*[{"function": "add", "arguments": {"n": n}} for n in range(20)])
    done = programs.work(
        "print(json.dumps([task['function'], task['arguments']['n'] + 1]), flush=True)"
    )
    assert done.returncode == 0, done.stderr
    assert [tasks.show(i)["result"] for i in ids] == [["add", n + 1] for n in range(20)]


def test_only_the_queues_that_are_named(programs: Programs) -> None:
    tasks = programs.tasks
    mine, other = tasks.enqueue({"function": "f", "queue": "a"}, {"function": "f", "queue": "b"})
    assert programs.work("print(1, flush=True)", "--queues", "a,c").returncode == 0
    assert (tasks.state(mine), tasks.state(other)) == ("completed", "pending")


def test_a_task_asks_for_others(programs: Programs) -> None:
    tasks = programs.tasks
    (first,) = tasks.enqueue({"function": "first", "arguments": {"n": 2}})
    programs.work("""
        n = task["arguments"]["n"]
        more = [{"function": "more", "arguments": {"n": n - 1}}] if n else []
        print(json.dumps({"penstock": {"result": n, "enqueue": more}}), flush=True)
    """)
    listed = tasks.ok("GET", "/tasks")["tasks"]
    assert [(t["function"], t["state"]) for t in listed] == [
        ("first", "completed"), ("more", "completed"), ("more", "completed"),
    ]  # fmt: skip
    assert tasks.show(first)["result"] == 2


def test_what_cannot_be_enqueued_fails_its_task_alone(programs: Programs) -> None:
    tasks = programs.tasks
    ids = tasks.enqueue(*[{"function": "f", "arguments": {"n": n}} for n in range(3)])
    programs.work("""
        more = [{"queue": "no function"}] if task["arguments"]["n"] == 1 else []
        print(json.dumps({"penstock": {"enqueue": more}}), flush=True)
    """)
    assert [tasks.state(i) for i in ids] == ["completed", "failed", "completed"]
    assert tasks.show(ids[1])["error"]["type"] == "NotEnqueued"


def test_a_failure_is_told(programs: Programs) -> None:
    (task,) = programs.tasks.enqueue()
    programs.work("""print('{"penstock":{"fail":"no luck","type":"Luck"}}', flush=True)""")
    shown = programs.tasks.show(task)
    assert (shown["state"], shown["error"]["type"]) == ("failed", "Luck")


def test_a_program_that_dies_spends_an_attempt_of_its_own_task_only(programs: Programs) -> None:
    tasks = programs.tasks
    ids = tasks.enqueue(
        *[{"function": "f", "arguments": {"n": n}, "max_attempts": 1} for n in range(5)]
    )
    programs.work("""
        with open(sys.argv[1] + "/starts", "a") as starts:
            starts.write(f"{task['arguments']['n']}\\n")
        if task["arguments"]["n"] == 2:
            os._exit(4)
        print(1, flush=True)
    """)
    states = [tasks.state(i) for i in ids]
    assert states == ["completed", "completed", "failed", "completed", "completed"]
    assert sorted((programs.folder / "starts").read_text().split()) == list("01234")


def test_a_program_that_is_killed_has_lost_its_task(programs: Programs) -> None:
    """Without a policy a failure is final, and a death is none."""
    tasks = programs.tasks
    once, always, ended = tasks.enqueue(
        {"function": "once"}, {"function": "always", "max_attempts": 2}, {"function": "exit"}
    )
    done = programs.work(
        """
        if task["function"] == "exit":
            os._exit(3)
        if task["function"] == "always" or task["attempt"] == 1:
            os.kill(os.getpid(), 9)
        print(task["attempt"], flush=True)
        """
    )
    assert done.returncode == 0, done.stderr
    assert tasks.show(once)["result"] == 2
    for task, attempts in ((always, 2), (ended, 1)):
        told = tasks.show(task)
        assert (told["state"], told["attempts"]) == ("failed", attempts)
        assert told["error"]["type"] == "ProgramDied"


def test_what_a_program_has_started_ends_with_a_killed_supervisor(programs: Programs) -> None:
    """The kernel would end the program alone."""
    (task,) = programs.tasks.enqueue()
    note = programs.folder / "child"
    command = programs.command(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "3600"])
        with open(sys.argv[1] + "/pid", "w") as pid:
            pid.write(str(child.pid))
        os.rename(sys.argv[1] + "/pid", sys.argv[1] + "/child")
        child.wait()
        """
    )
    worker = subprocess.Popen(
        [binary(), "worker", "--exec", command, "--server", programs.tasks.server.url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(note.exists)
    worker.kill()
    worker.wait()
    child = int(note.read_text())
    until(lambda: not is_alive(child))
    until(lambda: programs.tasks.state(task) == "pending")


def test_a_failure_may_say_throttled(programs: Programs) -> None:
    """That is for jobs of records; of a task it means nothing."""
    tasks = programs.tasks
    (task,) = tasks.enqueue({"function": "f"})
    done = programs.work("""print('{"penstock":{"fail":"no","throttled":true}}', flush=True)""")
    assert done.returncode == 0, done.stderr
    assert tasks.show(task)["error"]["message"] == "no"


def test_time_runs_for_the_task_that_runs(programs: Programs) -> None:
    """None of them waits behind another in a worker's hands."""
    tasks = programs.tasks
    ids = tasks.enqueue(*[{"function": "f", "timeout_s": 2} for _ in range(6)])
    programs.work("time.sleep(0.5)\nprint(1, flush=True)")
    assert {tasks.state(i) for i in ids} == {"completed"}


def test_a_cancelled_task_ends_its_program_and_no_other_task(programs: Programs) -> None:
    tasks = programs.tasks
    running, waiting = tasks.enqueue(*[{"function": "f", "max_attempts": 1} for _ in range(2)])
    worker = Later(
        lambda: programs.work(f"""
            open(sys.argv[1] + "/started", "a").close()
            while task["id"] == {running}:
                time.sleep(1)
            print(1, flush=True)
        """)
    )
    while tasks.state(running) != "running" or not (programs.folder / "started").exists():
        tasks.show(waiting, wait_s=0.1)
    tasks.ok("POST", "/tasks/cancel", {"ids": [running]})
    assert worker.take().returncode == 0
    assert (tasks.state(running), tasks.state(waiting)) == ("cancelled", "completed")


@pytest.fixture(scope="module")
def worker_in_c(tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp("c") / "task_worker"
    source = str(ROOT / "examples" / "task_worker.c")
    subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", source, "-o", str(program), "-lcurl", "-ljansson"],
        check=True,
    )
    return str(program)


def test_the_worker_in_c_of_the_examples(tasks: Tasks, worker_in_c: str) -> None:
    good, bad = tasks.enqueue(
        {"function": "word_count", "arguments": {"text": "one  two three"}},
        {"function": "word_count", "arguments": {"n": 1}},
    )
    done = subprocess.run(
        [worker_in_c, tasks.server.url, "--one-shot"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "2 tasks\n"), done.stderr
    assert tasks.show(good)["result"] == {"words": 3}
    assert tasks.show(bad)["error"]["type"] == "ArgumentError"


def test_the_worker_in_c_gets_again_what_a_lost_answer_brought(worker_in_c: str) -> None:
    queue = FakeQueue()
    word = {"function": "word_count", "arguments": {"text": "one"}}
    with queue.lock:
        queue.enqueue([word])
    lost: list[Any] = []

    def loses(what: str, body: Any) -> bool:
        if what.endswith("/settle") and not lost:
            with queue.lock:
                queue.enqueue([word])
        if not what.endswith("/claim") or "lease" not in body or lost:
            return False
        lost.append(body)
        return True

    queue.loses = loses
    try:
        done = subprocess.run(
            [worker_in_c, queue.url, "--one-shot"], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    finally:
        queue.close()
    assert (done.returncode, done.stdout, len(lost)) == (0, "2 tasks\n", 1), done.stderr
    assert [task["state"] for task in queue.tasks.values()] == ["completed"] * 2


def test_what_fails_is_told_as_a_task(programs: Programs, tmp_path: Path) -> None:
    (task,) = programs.tasks.enqueue()
    done = programs.work("print('this is no JSON', flush=True)", "--log", str(tmp_path / "log"))
    told = done.stderr + (tmp_path / "log").read_text()
    assert f"task {task}: " in done.stderr and "record" not in told, told
    assert "task.log" in told


def test_one_shot_waits_for_what_a_rate_holds_back(programs: Programs) -> None:
    tasks = programs.tasks
    tasks.ok("PATCH", "/functions/slow", {"rpm": 120})
    tasks.ok("PUT", "/limits/keys", {"pattern": "k*", "rpm": 120})
    tasks.ok("PATCH", "/queues/closed", {"rpm": 120, "paused": True})
    ids = tasks.enqueue(
        *[{"function": "slow"} for _ in range(3)],
        *[{"function": "f", "key": "k1"} for _ in range(3)],
        {"function": "f", "queue": "closed"},
    )
    assert programs.work("print(1, flush=True)").returncode == 0
    assert [tasks.state(i) for i in ids] == ["completed"] * 6 + ["pending"]
