"""Calls about tasks of the queue, and a worker's session by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from harness.native import Native
from harness.server_process import ServerProcess


class Session:
    """What a worker has: a lease, and the tasks it was handed."""

    def __init__(self, tasks: Tasks, answer: Any) -> None:
        self.tasks = tasks
        self.lease = str(answer["lease"]["token"])
        self.got: list[Any] = answer["tasks"]

    @property
    def ids(self) -> list[int]:
        return [task["id"] for task in self.got]

    def claim(self, **members: Any) -> Any:
        return self.tasks.ok("POST", "/work/claim", {"lease": self.lease, "max": 10, **members})

    def settle(self, status: int = 200, **members: Any) -> Any:
        return self.tasks.ok("POST", "/work/settle", {"lease": self.lease, **members}, status)

    def complete(self, *ids: int, result: Any = None) -> Any:
        return self.settle(completed=[[i, result] for i in ids or self.ids])

    def extend(self, **members: Any) -> Any:
        return self.tasks.ok("POST", "/work/extend", {"lease": self.lease, **members})

    def release(self, **members: Any) -> None:
        self.tasks.ok("POST", "/work/release", {"lease": self.lease, **members}, 204)


class Tasks(Native):
    """Calls to /v1 about tasks."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server)

    def enqueue(self, *tasks: Any, **members: Any) -> list[int]:
        """Enqueues the tasks, or one of these members; their ids."""
        body = {"tasks": list(tasks) or [{"function": "f", **members}]}
        return [task["id"] for task in self.ok("POST", "/tasks", body, 201)["tasks"]]

    def work(self, **members: Any) -> Session:
        """A session begins with this claim."""
        return Session(self, self.ok("POST", "/work/claim", {"max": 10, "worker": "w", **members}))

    def show(self, task: int, wait_s: float = 0) -> Any:
        return self.ok("GET", f"/tasks/{task}?wait_s={wait_s}")

    def state(self, task: int) -> str:
        return str(self.show(task)["state"])

    def list(self, query: str = "") -> list[int]:
        return [task["id"] for task in self.ok("GET", f"/tasks?{query}")["tasks"]]

    def change(self, verb: str, **members: Any) -> tuple[int, int]:
        told = self.ok("POST", f"/tasks/{verb}", members)
        return told["matched"], told["changed"]

    def until(self, true: Callable[[], bool], timeout: float = 30) -> bool:
        """Asks again and again; whether it came true in time."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            if true():
                return True
            self.call("GET", "/tasks?limit=1")
        return False


class Later:
    """A call in a thread of its own, whose answer is taken when it is there."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.got: list[Any] = []
        self.thread = threading.Thread(target=lambda: self.got.append(call()), daemon=True)
        self.thread.start()

    def take(self, timeout: float = 30) -> Any:
        self.thread.join(timeout)
        assert self.got, "no answer came"
        return self.got[0]
