"""An event loop for thousands of short waits.

It is asyncio's own, with a few things done another way, because a worker that waits for its
services spends most of its time in the loop:

* Timers are compared as numbers, by the heap itself, and not by a method of each timer.
* Handles are made and called without the questions that only a loop in debug mode has; asyncio's
  own tasks, which drop theirs unseen, get none at all.
* Timers of one delay stand in line as they came, without a heap, and what only fulfils a future, as
  asyncio.sleep has it, is done when it is due, without a round through the loop.
* It wakes when it is time, not up to a millisecond later: epoll takes milliseconds, and Python
  rounds up, which takes 5 % off a function that waits for 10 ms. select takes microseconds, and can
  wait for the one descriptor of epoll.

It overrides private methods of asyncio's loop, which have been the same for years: new_loop() gives
asyncio's own loop to a Python that is newer than those it was tried with, and in debug mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import select
import sys
from asyncio import events, futures
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from types import BuiltinFunctionType
from typing import Any

NEWEST = (3, 14)
# Readiness of sockets is asked for so often, however much there is to do.
POLL_EVERY_S = 0.0002
# Timers that were cancelled are swept out when they are more than these, and the half of all.
CANCELLED_MIN = 100
WAIT_MOST_S = 86400.0
# So many delays have a line of their own; timers of others stand in the heap.
LINES_MAX = 8
_fulfil = futures._set_result_unless_cancelled  # type: ignore[attr-defined]


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


#: (when, number, handle)
Timer = tuple[float, int, _Later]


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
        self._scheduled: list[Timer] = []
        #: The same of one delay each, in order.
        self._lines: dict[float, deque[Timer]] = {}
        self._timers = 0
        self._polled_s = 0.0
        self._epoll_fd = self._selector.fileno()
        # As asyncio's method does, without a frame.
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

    def set_debug(self, enabled: bool) -> None:
        super().set_debug(enabled)
        # Every future asks.
        self.get_debug = partial(bool, enabled)  # type: ignore[method-assign]

    def time(self) -> float:
        return monotonic()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> events.Handle:
        if self._closed:
            self._check_closed()
        if context is not None and (
            type(callback) is BuiltinFunctionType and callback.__name__ == "task_wakeup"
        ):
            self._ready.append((context, callback, args))
            return None  # type: ignore[return-value] # C code asks, and looks at no answer
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> events.TimerHandle:
        when = monotonic() + delay
        line = self._lines.get(delay)
        if line is None and (line := self._new_line(delay)) is None:
            return self._set_timer(when, callback, args, context)
        if self._closed:
            self._check_closed()
        handle = _Later(when, callback, args, self, context)
        self._timers = number = self._timers + 1
        line.append((when, number, handle))
        return handle

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

    def _new_line(self, delay: float) -> deque[Timer] | None:
        """A line for that delay, if one is left."""
        lines = self._lines
        if len(lines) >= LINES_MAX:
            empty = next((of for of, line in lines.items() if not line), None)
            if empty is None:
                return None
            del lines[empty]
        line = lines[delay] = deque()
        return line

    def _run_once(self) -> None:
        """One round: waits for what comes first, then calls all that is ready by then."""
        ready = self._ready
        if self._timer_cancelled_count:
            self._sweep()
        if ready or self._stopping:
            now = monotonic()
            if now - self._polled_s >= POLL_EVERY_S:
                self._poll(0, now)
        else:
            self._sleep()
        self._take_due(monotonic())
        handle = None
        for _ in range(len(ready)):
            handle = ready.popleft()
            try:
                if type(handle) is tuple:
                    handle[0].run(handle[1], *handle[2])
                elif not handle._cancelled:
                    handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                if type(handle) is tuple:
                    handle = _Soon(handle[1], handle[2], self, handle[0])
                message = f"Exception in callback {handle!r}"
                self.call_exception_handler(
                    {"message": message, "exception": error, "handle": handle}
                )
        del handle  # it may be all that keeps an exception's frames

    def _take_due(self, now: float) -> None:
        """Does what timers are due for, or makes it ready, in the order of their times."""
        scheduled = self._scheduled
        due: list[Timer] = []
        while scheduled and scheduled[0][0] <= now:
            due.append(heapq.heappop(scheduled))
        for line in self._lines.values():
            while line and line[0][0] <= now:
                due.append(line.popleft())
        due.sort()  # it is in order but for where lines meet
        for _, _, timer in due:
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            elif timer._callback is _fulfil:
                future, result = timer._args
                if not future.cancelled():
                    future.set_result(result)
            else:
                self._ready.append(timer)

    def _sleep(self) -> None:
        """Until the first timer is due, or a descriptor is ready."""
        heads = [line[0] for line in self._lines.values() if line]
        if self._scheduled:
            heads.append(self._scheduled[0])
        if not heads:
            self._poll(None, 0.0)
            return
        wait_s = min(heads)[0] - monotonic()
        if wait_s <= 0 or select.select([self._epoll_fd], (), (), min(wait_s, WAIT_MOST_S))[0]:
            self._poll(0, monotonic())

    def _poll(self, timeout: float | None, now: float) -> None:
        self._polled_s = now
        events_ = self._selector.select(timeout)
        if events_:
            self._process_events(events_)

    def _sweep(self) -> None:
        """Forgets cancelled timers: those that are next, and all when there are many."""
        scheduled, lines = self._scheduled, self._lines.values()
        count = len(scheduled) + sum(map(len, lines))
        if self._timer_cancelled_count > max(CANCELLED_MIN, count // 2):
            scheduled[:] = self._not_cancelled(scheduled)
            heapq.heapify(scheduled)
            for delay, line in self._lines.items():
                self._lines[delay] = deque(self._not_cancelled(line))
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)[2]._scheduled = False
            self._timer_cancelled_count -= 1
        for line in self._lines.values():
            while line and line[0][2]._cancelled:
                line.popleft()[2]._scheduled = False
                self._timer_cancelled_count -= 1

    def _not_cancelled(self, timers: Iterable[Timer]) -> list[Timer]:
        left = []
        for timer in timers:
            if timer[2]._cancelled:
                timer[2]._scheduled = False
            else:
                left.append(timer)
        return left


def _wake_in_time() -> None:
    """Asks the kernel not to gather the ends of our waits, 50 us of them."""
    with contextlib.suppress(OSError), open("/proc/self/timerslack_ns", "wb") as slack:
        slack.write(b"1")


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop for a worker."""
    loop = asyncio.SelectorEventLoop()
    if loop.get_debug() or sys.version_info[:2] > NEWEST or sys.platform != "linux":
        return loop
    loop.close()
    _wake_in_time()
    return QuickLoop()
