"""Processes for plain functions that ask for one (executor="process"): one task at a time each.

A thread of the worker's waits for each; a task that is aborted is killed with its process. They
belong to the worker's process group, and end when the worker closes their socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import orjson

from ..scratch import sweep_all
from .codec import dumps, loads
from .task_run import TaskRun

#: What becomes of a call that it yielded.
Take = Callable[[TaskRun, dict[str, Any]], None]


class RemoteFailure(Exception):  # noqa: N818
    """What the function raised in its process; the failure is made already."""

    def __init__(self, failure: dict[str, Any]) -> None:
        super().__init__(failure["message"])
        self.failure = failure


class ProcessDied(Exception):  # noqa: N818
    """The process of a task ended before the task did."""


class Child:
    """One process."""

    def __init__(self, target: str) -> None:
        ours, theirs = socket.socketpair()
        fd = str(theirs.fileno())
        command = [sys.executable, "-m", "penstock.runtime.task_child", fd, target]
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.connection = Connection(ours.detach())

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        """It ends by itself; what it does not finish in time is killed with the group."""
        self.connection.close()

    def ended(self) -> str:
        """How, in words."""
        status = self.process.wait()
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


class Processes:
    """The processes of one worker. From any thread."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        # By run: a task that was lost may run here anew beside its earlier run.
        self._busy: dict[TaskRun, Child] = {}
        self._closed = False

    def call(self, run: TaskRun, take: Take) -> Callable[[], Any]:
        """What a thread is to do to run it. Gives the result; raises RemoteFailure."""
        return lambda: self._run(run, take)

    def kill(self, run: TaskRun) -> None:
        """Ends that run with its process."""
        with self._lock:
            child = self._busy.get(run)
            if child is not None:
                child.kill()

    def close(self) -> None:
        """Ends all of them."""
        with self._lock:
            self._closed = True
            for child in self._busy.values():
                child.kill()
            for child in self._idle:
                child.close()
            self._idle.clear()

    def _run(self, run: TaskRun, take: Take) -> Any:
        with self._lock:
            if self._closed or run.context.should_abort():
                run.context.check()
                raise ProcessDied("the worker ends")
            child = self._idle.pop() if self._idle else Child(self._target)
            self._busy[run] = child
        usable = False
        try:
            child.connection.send_bytes(dumps([run.context.app.moved(), run.told]))
            result = self._listen(child, run, take)
            usable = True
            return result
        except RemoteFailure:
            usable = True
            raise
        except (EOFError, OSError):
            raise ProcessDied(f"the task's process {child.ended()}") from None
        finally:
            with self._lock:
                del self._busy[run]
                if usable and not self._closed and not run.context.should_abort():
                    self._idle.append(child)
                else:
                    child.kill()
                    child.close()
            if not usable:
                _clean_up(child)

    def _listen(self, child: Child, run: TaskRun, take: Take) -> Any:
        while True:
            message = loads(child.connection.recv_bytes())
            if "done" in message:
                return message["done"]
            if "failed" in message:
                raise RemoteFailure(message["failed"])
            if "progress" in message:
                fraction, text = message["progress"]
                run.context.progress(fraction, text)
            elif "call" in message:
                take(run, message["call"])
                # It waits until there is room for more.
                child.connection.send_bytes(b"{}")


def _clean_up(child: Child) -> None:
    """Removes what a process that was killed has left; what cannot be removed stays."""
    child.ended()
    with contextlib.suppress(OSError):
        sweep_all()


def parent_of(descriptor: int) -> Connection:
    """The child's end."""
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)


def say(connection: Connection, **message: Any) -> None:
    """Tells the worker; who is not there any more hears nothing."""
    with contextlib.suppress(OSError):
        connection.send_bytes(orjson.dumps(message))
