"""Runs one task here and now, for tests: the rules of task_runner.py without a worker."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextvars import copy_context
from typing import Any

from ..context import enter, leave
from ..outcome import Skip
from .task_run import TaskRun, no_result


def run_inline(run: TaskRun) -> Any:
    """What its function returns; what it yields is in `run.calls`. Raises what it raises."""
    token = enter(run.context)
    try:
        args, named = run.arguments()
        result = run.task.function(*args, **named)
        if inspect.isgenerator(result):
            return _iterate(run, result)
        if inspect.isasyncgen(result):
            return _wait_for(_iterate_async(run, result))
        if inspect.isawaitable(result):
            result = _wait_for(_awaited(result))
        return run.take_result(result)
    except Skip:
        return None
    finally:
        leave(token)


def _iterate(run: TaskRun, items: Any) -> None:
    try:
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                no_result(run, end.value)
                return
            run.take(item)
            run.context.check()
    finally:
        items.close()


async def _iterate_async(run: TaskRun, items: Any) -> None:
    try:
        async for item in items:
            run.take(item)
    finally:
        await items.aclose()


async def _awaited(result: Any) -> Any:
    return await result


def _wait_for(coroutine: Any) -> Any:
    """In a loop of its own; in a thread of its own where a loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append((asyncio.run(coroutine), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=copy_context().run, args=(call,))
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
