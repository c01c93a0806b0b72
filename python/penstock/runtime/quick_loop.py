"""An event loop for thousands of short waits.

It is asyncio's own, with three things done another way, because a worker that waits for its
services spends most of its time in the loop:

* Timers are compared as numbers, by the heap itself, and not by a method of each timer.
* Handles are made and called without the questions that only a loop in debug mode has.
* It wakes when it is time, not up to a millisecond later: epoll takes milliseconds, and Python
  rounds up, which takes 5 % off a function that waits for 10 ms. select takes microseconds, and can
  wait for the one descriptor of epoll.

It overrides private methods of asyncio's loop, which have been the same for years: new_loop() gives
asyncio's own loop to a Python that is newer than those it was tried with, and in debug mode.
"""

from __future__ import annotations

import asyncio
import heapq
import select
import sys
from asyncio import events
from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic
from typing import Any

NEWEST = (3, 14)
# Readiness of sockets is asked for so often, however much there is to do.
POLL_EVERY_S = 0.0002
# Timers that were cancelled are swept out when they are more than these, and the half of all.
CANCELLED_MIN = 100
WAIT_MOST_S = 86400.0


class _Soon(events.Handle):
    __slots__ = ()

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], loop: Any, context: Any
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Later(events.TimerHandle):
    __slots__ = ()

    def __init__(
        self, when: float, callback: Callable[..., Any], args: Any, loop: Any, context: Any
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop: Any = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]
            if self._scheduled:
                self._loop._timer_cancelled_count += 1


class QuickLoop(asyncio.SelectorEventLoop):
    """See above. As asyncio's loop to whoever uses it."""

    # Of asyncio's loop.
    _ready: Any
    _selector: Any
    _closed: bool
    _stopping: bool
    _timer_cancelled_count: int
    _process_events: Callable[[Any], None]
    _check_closed: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        #: A heap of (when, number, handle); the number keeps handles from being compared.
        self._scheduled: list[tuple[float, int, _Later]] = []
        self._timers = 0
        self._polled_s = 0.0
        self._epoll_fd = self._selector.fileno()

    def time(self) -> float:
        return monotonic()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> events.Handle:
        if self._closed:
            self._check_closed()
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        return self._set_timer(monotonic() + delay, callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        return self._set_timer(when, callback, args, context)

    def _set_timer(self, when: float, callback: Any, args: Any, context: Any) -> _Later:
        if self._closed:
            self._check_closed()
        handle = _Later(when, callback, args, self, context)
        self._timers = number = self._timers + 1
        heapq.heappush(self._scheduled, (when, number, handle))
        return handle

    def _run_once(self) -> None:
        """One round: waits for what comes first, then calls all that is ready by then."""
        scheduled, ready = self._scheduled, self._ready
        if self._timer_cancelled_count:
            self._sweep()
        if ready or self._stopping:
            now = monotonic()
            if now - self._polled_s >= POLL_EVERY_S:
                self._poll(0, now)
        elif not scheduled:
            self._poll(None, 0.0)
        elif (wait_s := scheduled[0][0] - monotonic()) <= 0 or select.select(
            [self._epoll_fd], (), (), min(wait_s, WAIT_MOST_S)
        )[0]:
            self._poll(0, monotonic())
        now = monotonic()
        while scheduled and scheduled[0][0] <= now:
            due = heapq.heappop(scheduled)[2]
            due._scheduled = False
            if due._cancelled:
                self._timer_cancelled_count -= 1
            else:
                ready.append(due)
        handle = None
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                message = f"Exception in callback {handle!r}"
                self.call_exception_handler(
                    {"message": message, "exception": error, "handle": handle}
                )
        del handle  # it may be all that keeps an exception's frames

    def _poll(self, timeout: float | None, now: float) -> None:
        self._polled_s = now
        events_ = self._selector.select(timeout)
        if events_:
            self._process_events(events_)

    def _sweep(self) -> None:
        """Forgets cancelled timers: those that are next, and all when there are many."""
        scheduled = self._scheduled
        if self._timer_cancelled_count > max(CANCELLED_MIN, len(scheduled) // 2):
            for timer in scheduled:
                if timer[2]._cancelled:
                    timer[2]._scheduled = False
            scheduled[:] = [timer for timer in scheduled if not timer[2]._cancelled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)[2]._scheduled = False
            self._timer_cancelled_count -= 1


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop for a worker."""
    loop = asyncio.SelectorEventLoop()
    if loop.get_debug() or sys.version_info[:2] > NEWEST or sys.platform != "linux":
        return loop
    loop.close()
    return QuickLoop()
