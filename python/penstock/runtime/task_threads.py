"""Threads for plain functions: started as they are needed, one for each call that runs at once.

They are daemons: a call that never ends must not hold up the end of the process. The loop is woken
once for all calls that have ended since it last looked.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Ended = tuple["asyncio.Future[Any]", Any, "BaseException | None"]


class Threads:
    """Runs calls in threads. For the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._todo: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]]] = (
            queue.SimpleQueue()
        )
        self._ended: deque[Ended] = deque()
        self._woken = False
        self._count = 0
        self._running = 0

    def run(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Calls it in a thread; its result or its error, StopIteration and its like too."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._running += 1
        if self._running > self._count:
            self._count += 1
            threading.Thread(target=self._serve, daemon=True).start()
        self._todo.put((future, call))
        return future

    def _serve(self) -> None:
        while True:
            future, call = self._todo.get()
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            self._ended.append((future, result, error))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:
                    return  # the loop has ended

    def _collect(self) -> None:
        self._woken = False
        while self._ended:
            future, result, error = self._ended.popleft()
            self._running -= 1
            if future.done():
                continue
            if error is None:
                future.set_result((result, None))
            else:
                # As a value: a future refuses StopIteration, others would end the loop.
                future.set_result((None, error))
