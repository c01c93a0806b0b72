"""The commands of the queue, as people and programs use them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import Any

import pytest
from harness.server_process import ServerProcess, binary
from harness.tasks import Tasks


def good(server: ServerProcess, *args: str) -> str:
    done = server.run_cli(*args)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def lines(server: ServerProcess, *args: str) -> list[Any]:
    return [json.loads(line) for line in good(server, *args, "--json").splitlines()]


def rows(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def refused(server: ServerProcess, *args: str, status: int = 2) -> str:
    done = server.run_cli(*args)
    assert done.returncode == status, (args, done.stdout, done.stderr)
    assert done.stdout == ""
    return done.stderr


def piped(server: ServerProcess, text: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary(), *args, "--state", str(server.state)],
        input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_task_is_enqueued_with_all_that_it_may_have(tasks: Tasks) -> None:
    server = tasks.server
    parent = good(server, "task", "enqueue", "first").strip()
    args = [
        "--queue", "q", "--priority", "5", "--of", "d1", "--batch", "b", "--lock", "l",
        "--unique", "u", "--after", parent, "--max-attempts", "3", "--timeout", "2.5",
        "--retry", '{"kind":"fixed"}', "--at", "2020-01-01T00:00:00Z",
    ]  # fmt: skip
    task = int(good(server, "task", "enqueue", "parse", '{"a": [1]}', *args))
    shown = tasks.show(task)
    assert shown["function"] == "parse" and shown["arguments"] == {"a": [1]}
    assert (shown["queue"], shown["priority"], shown["key"]) == ("q", 5, "d1")
    assert (shown["batch"], shown["lock"], shown["unique"]) == ("b", "l", "u")
    assert shown["after"] == [int(parent)] and shown["max_attempts"] == 3
    assert shown["timeout_s"] == 2.5 and shown["retry"] == {"kind": "fixed"}
    assert good(server, "task", "enqueue", "parse", "--unique", "u").strip() == str(task)


def test_lines_become_tasks(tasks: Tasks) -> None:
    text = "".join(f'{{"n": {n}}}\n' for n in range(2500)) + "\n"
    done = piped(tasks.server, text, "task", "enqueue", "f", "--lines", "--queue", "q")
    ids = [int(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(set(ids)) == 2500
    assert tasks.show(ids[-1])["arguments"] == {"n": 2499}
    done = piped(tasks.server, '{"n":1}\n{"n":\n', "task", "enqueue", "f", "--lines")
    assert done.returncode == 2 and "line 2: byte" in done.stderr


def test_lists_are_tables_for_people_and_lines_for_programs(tasks: Tasks) -> None:
    server = tasks.server
    ids = tasks.enqueue(*({"function": f"f{n % 2}", "key": "k"} for n in range(4)))
    worker = tasks.work(max=2, worker="host:1")
    worker.extend(progress=[[ids[1], 0.25]])
    worker.settle(failures=[[ids[0], {"message": "no\x1b[2J way", "type": "ValueError"}]])
    told = rows(good(server, "task", "list"))
    assert told[0][:4] == ["ID", "FUNCTION", "QUEUE", "STATE"]
    assert [row[:4] for row in told[1:3]] == [
        [str(ids[0]), "f0", "default", "failed"], [str(ids[1]), "f1", "default", "running"],
    ]  # fmt: skip
    assert "ValueError: no?[2J way" in told[1][-1] and told[2][-1] == "host:1, 25 %"
    assert [t["id"] for t in lines(server, "task", "list", "--only", "pending")] == ids[2:]
    assert [t["id"] for t in lines(server, "task", "list", "--limit", "1")] == ids[:1]
    assert [t["id"] for t in lines(server, "task", "list", "--of", "k", "--after", str(ids[1]))]
    (group,) = lines(server, "task", "errors")
    assert (group["function"], group["type"], group["count"]) == ("f0", "ValueError", 1)
    assert "ValueError" in good(server, "task", "errors")
    (session,) = lines(server, "worker", "list")
    assert session["worker"] == "host:1" and session["tasks"] == [ids[1]]
    assert rows(good(server, "worker", "list"))[1][:4] == ["host:1", "all", "all", "1"]


def test_pages_are_followed_to_the_last(tasks: Tasks) -> None:
    for _ in range(3):
        tasks.enqueue(*({"function": "f"} for _ in range(800)))
    assert len(lines(tasks.server, "task", "list", "--limit", "0")) == 2400
    assert len(lines(tasks.server, "task", "list")) == 100


def test_one_task_is_shown_and_waited_for(tasks: Tasks) -> None:
    server = tasks.server
    (task,) = tasks.enqueue(arguments={"a": 1})
    text = good(server, "task", "show", str(task))
    assert re.search(r"^state +pending$", text, re.MULTILINE)
    assert re.search(r"^arguments +{\"a\": 1}$", text, re.MULTILINE)
    assert "no worker that takes such tasks" in text
    assert "has no result" in refused(server, "task", "show", str(task), "--result", status=1)
    waiting = subprocess.Popen(
        [binary(), "task", "show", str(task), "--wait", "60", "--result", "--state", server.state],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    tasks.work(wait_s=30).complete(task, result={"pages": 3})
    assert json.loads(waiting.communicate(timeout=60)[0]) == {"pages": 3}
    assert waiting.returncode == 0
    assert "no task 4711" in refused(server, "task", "show", "4711", status=1)
    assert "task: " in refused(server, "task", "show", "seven")


def test_a_failed_task_is_shown_with_its_traceback(tasks: Tasks) -> None:
    (task,) = tasks.enqueue()
    reason = {"message": "no", "type": "KeyError", "traceback": "Traceback:\n  line 7"}
    tasks.work().settle(failures=[[task, reason]])
    text = good(tasks.server, "task", "show", str(task))
    assert "KeyError: no" in text and "Traceback:\n  line 7" in text


def test_tasks_are_changed_by_id_and_by_filter(tasks: Tasks) -> None:
    server = tasks.server
    ids = tasks.enqueue(*({"function": "f", "key": f"k{n % 2}"} for n in range(4)))
    assert good(server, "task", "cancel", str(ids[0])).startswith("1 of 1 tasks cancelled")
    assert good(server, "task", "cancel", "--of", "k1").startswith("2 of 2 tasks cancelled")
    assert lines(server, "task", "retry", "--only", "cancelled") == [{"matched": 3, "changed": 3}]
    assert good(server, "task", "cancel", "--all").startswith("4 of 4")
    assert good(server, "task", "delete", "--only", "cancelled") == "4 of 4 tasks deleted\n"
    for verb in ("cancel", "retry", "delete"):
        assert "which tasks?" in refused(server, "task", verb)
        assert "goes without" in refused(server, "task", verb, "--all", "--queue", "q")


def test_the_status_is_a_tree(tasks: Tasks) -> None:
    server = tasks.server
    tasks.enqueue({"function": "f", "key": "d1", "batch": "b1"}, {"function": "g", "key": "d2"})
    text = good(server, "task", "status")
    assert [line.split()[0] for line in text.splitlines()[1:]] == [
        "all", "d1", "b1", "default", "f", "d2", "-", "default", "g",
    ]  # fmt: skip
    (tree,) = lines(server, "task", "status", "--of", "d1", "--batch", "b1", "--active")
    assert tree["remaining"] == 1


@pytest.mark.parametrize(("kind", "name"), [("queue", "default"), ("function", "f")])
def test_gates_are_shown_and_set(tasks: Tasks, kind: str, name: str) -> None:
    server = tasks.server
    tasks.enqueue()
    assert good(server, kind, "pause", name) == f"{name} is paused; limits: -\n"
    assert tasks.work().got == []
    assert good(server, kind, "resume", name) == f"{name} is open; limits: -\n"
    told = good(server, kind, "set", name, "--concurrency", "4", "--rpm", "600")
    assert told == f"{name} is open; limits: 4 at once, 600 a minute\n"
    head, row = rows(good(server, kind, "list"))
    assert head[0] == kind.upper() and row[:2] == [name, "open"]
    (told,) = lines(server, kind, "set", name, "--rpm", "none")
    assert told["rpm"] is None and told["concurrency"] == 4
    assert lines(server, kind, "list")[0]["counts"]["pending"] == 1
    assert "set what?" in refused(server, kind, "set", name)
    assert "neither a number" in refused(server, kind, "set", name, "--rpm", "fast")


def test_a_queue_is_fair_when_told_so(tasks: Tasks) -> None:
    server = tasks.server
    assert "fair" in good(server, "queue", "set", "q", "--fair", "yes")
    assert not lines(server, "queue", "set", "q", "--fair", "no")[0]["fair"]
    assert "neither yes nor no" in refused(server, "queue", "set", "q", "--fair", "5x")
    assert "no option --fair" in refused(server, "function", "set", "f", "--fair", "yes")


def test_limits_of_keys_are_set_listed_and_deleted(tasks: Tasks) -> None:
    server = tasks.server
    good(server, "limit", "set", "datasets", "dataset-*", "--concurrency", "2")
    assert lines(server, "limit", "list") == [
        {"name": "datasets", "pattern": "dataset-*", "concurrency": 2, "rpm": None}
    ]
    assert good(server, "limit", "delete", "datasets") == "datasets is deleted\n"
    assert rows(good(server, "limit", "list")) == [["LIMIT", "KEYS", "AT ONCE", "A MINUTE"]]


def test_events_are_printed_and_followed(tasks: Tasks) -> None:
    server = tasks.server
    (task,) = tasks.enqueue()
    tasks.work().complete(task)
    told = lines(server, "events", "--kind", "task.")
    assert told[0]["kind"] == "task.enqueued"
    assert told[-1]["kind"] == "task.completed"
    assert good(server, "events", "--after", str(told[-1]["id"])) == ""
    follower = subprocess.Popen(
        [binary(), "events", "--follow", "--after", str(told[-1]["id"]), "--json",
         "--state", server.state],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert follower.stdout
    tasks.enqueue(function="later")
    assert json.loads(follower.stdout.readline())["kind"] == "task.enqueued"
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=60)


def test_top_prints_what_is_when_nobody_looks(tasks: Tasks) -> None:
    server = tasks.server
    ids = tasks.enqueue(*({"function": "f"} for _ in range(3)))
    tasks.work(max=1, worker="host:1")
    text = good(server, "top")
    assert "QUEUE" in text and "host:1" in text and "WORKER" in text
    (told,) = lines(server, "top")
    assert told["queues"][0]["counts"]["pending"] == 2
    assert [task["id"] for task in told["running"]] == ids[:1]
    assert told["workers"][0]["worker"] == "host:1" and told["errors"] == []


class Terminal:
    """A command on a terminal of our own."""

    def __init__(self, rows: int, columns: int, *args: str) -> None:
        self.screen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(binary(), [binary(), *args])
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted: str, timeout: float = 30) -> str:
        """Reads until this text comes; what came, from the last drawing on."""
        end = time.monotonic() + timeout
        while wanted not in self.screen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {wanted!r} in {self.screen!r}"
            self.screen += os.read(self.fd, 65536).decode()
        before, _, self.screen = self.screen.rpartition(wanted)
        return before

    def key(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def status(self) -> int:
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_top_on_a_terminal_goes_on_until_q(tasks: Tasks) -> None:
    tasks.enqueue(*({"function": "f", "queue": "first"} for _ in range(3)))
    top = Terminal(40, 120, "top", "--every", "0.2", "--state", str(tasks.server.state))
    assert "\033[?1049h" in top.until("3 pending, 0 running")
    tasks.work(max=1, worker="host:1")
    top.until("2 pending, 1 running")
    top.resize(12, 40)
    os.kill(top.pid, signal.SIGWINCH)
    top.until("2 pending, 1 running")
    drawn = top.until("2 pending, 1 running")  # one that was drawn wholly since
    plain = re.sub(r"\033\[[0-9?]*[A-GI-Za-z]|\r", "", drawn)
    shown = re.split(r"\n|\033\[H", plain)
    assert max(map(len, shown)) <= 40
    top.key("xq")
    assert top.status() == 0


def test_top_waits_for_a_server_that_goes(tasks: Tasks) -> None:
    top = Terminal(40, 120, "top", "--every", "0.2", "--state", str(tasks.server.state))
    top.until("0 pending")
    tasks.server.kill()
    top.until("no server")
    tasks.server.start()
    top.until("0 pending")
    top.key("\x03")
    assert top.status() == 0


def test_commands_say_how_they_are_used(tasks: Tasks) -> None:
    for command in ("task list", "task enqueue", "queue set", "limit set", "worker list", "top"):
        done = tasks.server.run_cli(*command.split(), "--help")
        assert done.returncode == 0 and f"penstock {command}" in done.stdout
    assert 'do you mean "task list"' in refused(tasks.server, "task", "lst")
    assert "task what?" in refused(tasks.server, "task")
    refused(tasks.server, "queue", "set", "q", "--rpm", "1", "extra")
