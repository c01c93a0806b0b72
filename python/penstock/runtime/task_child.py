"""python -m penstock.runtime.task_child FD TARGET: runs tasks that asked for a process."""

from __future__ import annotations

import inspect
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ..context import TaskContext, enter, leave
from ..outcome import Skip
from .codec import dumps, loads
from .target import AppTarget, load
from .task_failure import task_failure
from .task_processes import parent_of, say
from .task_run import TaskRun, no_result

if TYPE_CHECKING:
    from ..app import App
    from .task_session import Told


def main() -> None:
    # The worker decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = parent_of(int(sys.argv[1]))
    target = load(sys.argv[2], None, 0)
    assert isinstance(target, AppTarget)
    while True:
        try:
            moved, told = loads(worker.recv_bytes())
        except (EOFError, OSError):
            return
        # What tasks defer goes where they came from.
        if tuple(moved) != target.app.moved():
            target.app.move(*moved)
        _run(worker, target.app, told)


def _run(worker: Connection, app: App, told: Told) -> None:
    began_s = time.monotonic()

    def on_progress(context: TaskContext) -> None:
        say(worker, progress=context.reported)

    run = TaskRun(app.tasks[told["function"]], told, TaskContext(app, told, on_progress))
    token = enter(run.context)
    try:
        args, named = run.arguments()
        result = run.task.function(*args, **named)
        if inspect.isgenerator(result):
            _iterate(worker, run, result)
            result = None
        else:
            result = run.take_result(result)
            for call in run.calls:
                _tell(worker, call)
        message = b'{"done":%b}' % dumps(result)
    except Skip:
        say(worker, done=None)
    except BaseException as error:
        failure = task_failure(error, time.monotonic() - began_s)
        say(worker, failed=failure)
    else:
        worker.send_bytes(message)
    finally:
        leave(token)


def _iterate(worker: Connection, run: TaskRun, items: Any) -> None:
    try:
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                no_result(run, end.value)
                return
            _tell(worker, run.call_of(item).told())
    finally:
        items.close()


def _tell(worker: Connection, call: Told) -> None:
    worker.send_bytes(b'{"call":%b}' % dumps(call))
    worker.recv_bytes()


if __name__ == "__main__":
    main()
