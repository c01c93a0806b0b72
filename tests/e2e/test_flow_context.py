"""What the nodes of a flow share: the dictionary of a Worker, against a real server."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.server_process import ROOT, ServerProcess
from harness.tasks import Session, Tasks

sys.path.insert(0, str(ROOT / "python"))

from penstock.errors import PenstockError
from penstock.flow import Context
from penstock.flow.context import key_of, key_text, unpack
from penstock.flow.context_file import read_file, write_file

NODE = {"after": [], "name": "n", "module": "m", "worker": "W", "arguments": [], "logfile": "/x"}


class Flow:
    """A flow whose nodes are held by a session of ours: as far as the server goes, they run."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.tasks = Tasks(server)
        nodes = [{**NODE, "id": number, "max_attempts": 1} for number in (1, 2)]
        body = {"name": "shared", "mode": "python", "nodes": nodes, "context": {"PRE": "set"}}
        self.id = int(self.tasks.ok("POST", "/flows", body, 201)["id"])
        self.session: Session = self.tasks.work(queues=["flow/shared"], functions=None)

    def context(self, node: int = 0, **more: Any) -> Context:
        run = self.session.got[node]
        return Context(self.server.url, self.id, task=run["id"], fence=run["fence"], **more)


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    server = ServerProcess(tmp_path)
    server.start()
    try:
        yield Flow(server)
    finally:
        server.kill()


def test_it_is_a_dictionary(flow: Flow) -> None:
    one, other = flow.context(), flow.context(1)
    with pytest.raises(KeyError):
        one["absent"]
    with pytest.raises(KeyError):
        del one["absent"]
    assert one.get("absent") is None
    assert one.get("absent", 4) == 4
    one["list"] = [1, {"two": 2.5}]
    assert other["list"] == [1, {"two": 2.5}], "seen at once"
    assert "list" in other
    assert "absent" not in other
    other.set("set", None)
    assert one.has_key("set")
    assert not one.has_key("absent")
    assert one["set"] is None
    assert one["PRE"] == "set", "preset with --cvar"
    assert sorted(one) == sorted(one.keys) == sorted(one.keys()) == ["PRE", "list", "set"]
    assert dict(one.items()) == {"PRE": "set", "list": [1, {"two": 2.5}], "set": None}
    assert len(one) == 3
    del other["list"]
    assert "list" not in one
    assert dict(one) == {"PRE": "set", "set": None}


def test_a_value_larger_than_the_server_takes_is_refused(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--max-blob", "200000")
    server.start()
    try:
        context = Flow(server).context()
        context["fits"] = "x" * 190_000
        with pytest.raises(PenstockError) as refused:
            context["large"] = "x" * 300_000
        assert refused.value.status == 413
        assert "large" not in context
        context["after"] = 1
        assert context["fits"] == "x" * 190_000
    finally:
        server.kill()


def test_what_is_read_is_a_copy(flow: Flow) -> None:
    context = flow.context()
    context["list"] = [1]
    context["list"].append(2)
    assert context["list"] == [1]


KEYS = [
    "plain",
    "with / and ? and % and # and é and \n",
    "",
    ".",
    "..",
    "~tilde",
    "~p",
    1,
    2.5,
    b"bytes\xff",
    ("tuple", 1, ("nested", 2.5)),
    None,
    datetime.date(2026, 11, 22),
    "\ud800",
    "x" * 300,
    frozenset([1]),
]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_any_picklable_object_is_a_key(flow: Flow, key: Any) -> None:
    context = flow.context()
    context[key] = f"value of {key!a}"
    assert context[key] == f"value of {key!a}"
    assert key in context
    assert key in context.keys
    del context[key]
    assert key not in context


def test_keys_that_are_equal_are_one(flow: Flow) -> None:
    context = flow.context()
    context[1] = "one"
    assert context[True] == context[1.0] == "one"
    letters = "".join(["a", "b"])
    context[(letters, letters)] = "pair"
    assert context[("ab", "".join(["a", "b"]))] == "pair"
    names = [key_text(key) for key in KEYS]
    assert len(set(names)) == len(names)
    assert [key_of(name) for name in names] == KEYS


def test_a_key_that_is_none_is_refused_at_once(flow: Flow) -> None:
    context = flow.context()
    with pytest.raises(TypeError):
        context[[1]] = 1
    with pytest.raises(TypeError, match="no key"):
        context[threading.Lock()] = 1
    with pytest.raises(PenstockError, match="a key has 1 to"):
        context["x" * 5000] = 1


def test_what_cannot_be_pickled_is_told_with_its_key(flow: Flow) -> None:
    context = flow.context()
    with pytest.raises(TypeError, match=r"context\['f'\]: a value of type function cannot be"):
        context["f"] = lambda: 1
    with pytest.raises(TypeError, match="generator"):
        context["g"] = (n for n in ())
    assert "f" not in context
    context["f"] = 1
    assert context["f"] == 1


def test_a_hundred_megabytes(flow: Flow) -> None:
    context = flow.context()
    value = os.urandom(1 << 20) * 100
    context["big"] = value
    assert flow.context(1)["big"] == value
    context["small"] = 1
    assert context["small"] == 1


def test_increments_of_many_processes_are_all_counted(flow: Flow) -> None:
    context = flow.context()

    def count() -> None:
        mine = flow.context()
        for _ in range(50):
            mine.incr("n")

    processes = [multiprocessing.get_context("fork").Process(target=count) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert context["n"] == 200
    assert context.incr("n", -200) == 0
    assert context.incr("ratio", by=0.5) == 0.5
    context["text"] = "no number"
    with pytest.raises(TypeError):
        context.incr("text")


def test_a_connection_is_not_shared_with_a_child(flow: Flow) -> None:
    context = flow.context()
    context["n"] = 0
    pid = os.fork()
    if not pid:
        try:
            for number in range(200):
                context[f"child {number}"] = number
        finally:
            os._exit(0)
    for number in range(200):
        context[f"parent {number}"] = number
    assert os.waitpid(pid, 0)[1] == 0
    assert len(context) == 402


def test_threads_share_a_context(flow: Flow) -> None:
    context = flow.context()

    def count() -> None:
        for _ in range(25):
            context.incr("n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert context["n"] == 100


def test_the_lock_lets_one_in_at_a_time(flow: Flow) -> None:
    inside: list[str] = []
    seen: list[str] = []

    def enter(name: str, context: Context) -> None:
        for _ in range(10):
            with context.lock():
                inside.append(name)
                seen.append("".join(inside))
                inside.pop()

    one, other = flow.context(0), flow.context(1)
    threads = [
        threading.Thread(target=enter, args=(name, context))
        for name, context in (("a", one), ("b", one), ("c", other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == ["a"] * 10 + ["b"] * 10 + ["c"] * 10


def test_who_has_the_lock_may_take_it_again(flow: Flow) -> None:
    one, other = flow.context(0), flow.context(1)
    with one.lock():
        with one.lock():
            pass
        held = threading.Event()

        def take() -> None:
            with other.lock():
                held.set()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        assert not held.wait(0.2), "it is let go at the outermost end"
    assert held.wait(30)
    thread.join(30)
    with pytest.raises(RuntimeError):
        one.lock().release()


def test_the_lock_goes_with_the_attempt(flow: Flow) -> None:
    one, other = flow.context(0), flow.context(1)
    one.lock().acquire()
    held = threading.Event()

    def take() -> None:
        with other.lock():
            held.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert not held.is_set()
    flow.session.complete(flow.session.ids[0])
    assert held.wait(30)
    thread.join(30)


def test_values_are_there_after_a_crash_of_the_server(flow: Flow) -> None:
    flow.context()["kept"] = {"a": [1]}
    flow.session.complete(flow.session.ids[0])
    flow.server.kill()
    flow.server.start()
    assert flow.context(1)["kept"] == {"a": [1]}


def test_text_of_others_is_read_as_text(flow: Flow) -> None:
    path = f"/v1/flows/@{flow.id}/context/note"
    answer = flow.tasks.wire.call("PUT", path, body="grüß".encode())
    assert answer.status == 200, answer
    assert flow.context()["note"] == "grüß"
    assert unpack(b"") == ""


# ---- files ----


def carry(flow: Flow, verb: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "penstock.flow.context_file",
            verb,
            str(path),
            "--server",
            flow.server.url,
            "--flow",
            "shared",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        check=False,
    )


def test_a_context_comes_from_a_file_and_goes_to_one(flow: Flow, tmp_path: Path) -> None:
    path = tmp_path / "context"
    assert carry(flow, "load", path).returncode == 0, "there need not be one"
    write_file(str(path), {"day": "monday", 7: [1, 2]})
    assert carry(flow, "load", path).returncode == 0
    context = flow.context()
    assert context["day"] == "monday"
    assert context[7] == [1, 2]
    context["more"] = 3
    assert carry(flow, "save", path).returncode == 0
    assert read_file(str(path)) == {"PRE": "set", "day": "monday", 7: [1, 2], "more": 3}


def test_a_file_that_is_no_context_is_told_in_a_line(flow: Flow, tmp_path: Path) -> None:
    path = tmp_path / "context"
    path.write_bytes(b"nonsense")
    done = carry(flow, "load", path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr
    path.write_bytes(pickle.dumps([1]))
    assert "is no pickled dictionary but a list" in carry(flow, "load", path).stderr
    done = carry(flow, "save", tmp_path / "no" / "such" / "folder")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


# ---- the terminal ----


def test_a_get_asks_at_the_terminal(flow: Flow) -> None:
    """From a process group that is not in front, as an attempt is."""
    program = (
        "import os, sys\n"
        "from penstock.flow import Context\n"
        "c = Context(sys.argv[1], int(sys.argv[2]), task=int(sys.argv[3]), fence=int(sys.argv[4]),"
        " interactive=True)\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "os.setpgid(0, 0)\n"
        "assert c.get('known', 'default') == 'default'\n"
        "assert c.get('asked') == c.get('asked') == 'an answer', c.get('asked')\n"
    )
    run = flow.session.got[0]
    arguments = [flow.server.url, str(flow.id), str(run["id"]), str(run["fence"])]
    pid, terminal = os.forkpty()
    if not pid:
        os.environ["PYTHONPATH"] = str(ROOT / "python")
        os.execv(sys.executable, [sys.executable, "-c", program, *arguments])
    shown = b""
    while b"context['asked']: " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"an answer\n")
    status = os.waitpid(pid, 0)[1]
    os.close(terminal)
    assert status == 0, shown
    assert flow.context()["asked"] == "an answer"


def test_without_a_terminal_to_ask_is_an_error(flow: Flow) -> None:
    program = (
        "import sys\nfrom penstock.flow import Context\n"
        "c = Context(sys.argv[1], int(sys.argv[2]), task=int(sys.argv[3]), fence=int(sys.argv[4]),"
        " interactive=True)\n"
        "try:\n    c.get('asked')\nexcept OSError as error:\n    print(error.filename)\n"
    )
    run = flow.session.got[0]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            flow.server.url,
            str(flow.id),
            str(run["id"]),
            str(run["fence"]),
        ],
        capture_output=True,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        check=False,
    )
    assert done.stdout == "/dev/tty\n", done.stderr
