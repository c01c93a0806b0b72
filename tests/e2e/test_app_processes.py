"""Runs in processes of their own: a task that was lost may run anew beside its earlier run."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))
import penstock
from penstock.runtime import task_processes
from penstock.runtime.task_run import TaskRun

DEADLINE_S = 30.0


class FakeChild:
    """A process that answers when it is told to."""

    def __init__(self, target: str) -> None:
        self.connection = self
        self.asked, self.answers, self.killed = threading.Event(), threading.Event(), False

    def send_bytes(self, _: bytes) -> None:
        self.asked.set()

    def recv_bytes(self) -> bytes:
        assert self.answers.wait(DEADLINE_S)
        if self.killed:
            raise EOFError
        return b'{"done":7}'

    def kill(self) -> None:
        self.killed = True
        self.answers.set()

    def close(self) -> None: ...

    def ended(self) -> str:
        return "was killed"


def test_two_runs_of_one_task_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[FakeChild] = []

    def child(target: str) -> FakeChild:
        children.append(FakeChild(target))
        return children[-1]

    monkeypatch.setattr(task_processes, "Child", child)
    app = penstock.App("http://127.0.0.1:1")
    task = app.task(name="f", executor="process")(lambda: None)
    told: Any = {"id": 5, "function": "f", "arguments": {}, "attempt": 1, "fence": 1}
    runs = [TaskRun(task, told, penstock.TaskContext(app, told)) for _ in range(2)]
    processes = task_processes.Processes("app")
    ended: list[Any] = [None, None]

    def run(place: int) -> None:
        try:
            ended[place] = processes.call(runs[place], lambda *_: None)()
        except Exception as error:
            ended[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(2)]
    for place, thread in enumerate(threads):
        thread.start()
        while len(children) == place:
            thread.join(0.01)
        assert children[place].asked.wait(DEADLINE_S)
    processes.kill(runs[0])
    threads[0].join(DEADLINE_S)
    assert isinstance(ended[0], task_processes.ProcessDied)
    children[1].answers.set()
    threads[1].join(DEADLINE_S)
    assert ended[1] == 7 and not children[1].killed
