"""The event loop of worker processes, beside asyncio's own."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))
from penstock.runtime import quick_loop


@pytest.fixture(params=[quick_loop.QuickLoop, asyncio.SelectorEventLoop])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    make: Callable[[], asyncio.AbstractEventLoop] = request.param
    made = make()
    yield made
    made.close()


def test_a_worker_gets_it_where_it_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> type:
        loop = quick_loop.new_loop()
        loop.close()
        return type(loop)

    assert made() is quick_loop.QuickLoop
    monkeypatch.setattr(quick_loop, "NEWEST", (3, 8))
    assert made() is asyncio.SelectorEventLoop
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    assert made() is asyncio.SelectorEventLoop


def test_timers_come_in_the_order_of_their_times(loop: asyncio.AbstractEventLoop) -> None:
    told: list[int] = []
    now = loop.time()
    for n in (3, 1, 4, 1, 5, 9, 2, 6):
        loop.call_at(now + n / 1000, told.append, n)
    loop.call_later(0.02, loop.stop)
    loop.call_soon(told.append, 0)
    loop.run_forever()
    assert told == [0, 1, 1, 2, 3, 4, 5, 6, 9]


def test_timers_of_one_delay_and_of_others_keep_their_order(
    loop: asyncio.AbstractEventLoop,
) -> None:
    told: list[str] = []
    for delay, name in ((0.004, "d"), (0.001, "a"), (0.002, "b"), (0.003, "c")):
        for n in range(3):
            loop.call_later(delay, told.append, f"{name}{n}")
    loop.call_at(loop.time() + 0.0025, told.append, "between")
    loop.call_soon(time.sleep, 0.02)  # all of them are due in one round
    loop.call_later(0.03, loop.stop)
    loop.run_forever()
    names = [f"{name}{n}" for name in "abcd" for n in range(3)]
    assert told == [*names[:6], "between", *names[6:]]


def test_any_number_of_delays_and_what_is_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    told: list[int] = []
    timers = [loop.call_later(0.001 + (n % 50) / 10000, told.append, n) for n in range(1000)]
    for n in range(0, 1000, 2):
        timers[n].cancel()
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    assert sorted(told) == list(range(1, 1000, 2))


def test_a_sleep_that_is_cancelled_in_time_is_not_fulfilled(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def both() -> list[Any]:
        tasks = [loop.create_task(asyncio.sleep(0.005, n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = loop.run_until_complete(both())
    assert (first, third) == (0, 2)
    assert isinstance(second, asyncio.CancelledError)


def test_no_timer_comes_early(loop: asyncio.AbstractEventLoop) -> None:
    async def nap() -> float:
        began = time.monotonic()
        await asyncio.sleep(0.0123)
        return time.monotonic() - began

    async def naps() -> list[float]:
        return await asyncio.gather(*[nap() for _ in range(50)])

    assert min(loop.run_until_complete(naps())) >= 0.0123


def test_cancelled_timers_do_not_come_and_do_not_stay(loop: asyncio.AbstractEventLoop) -> None:
    class Thing:
        pass

    told: list[str] = []
    things = [Thing() for _ in range(1000)]
    seen = [weakref.ref(thing) for thing in things]
    timers = [loop.call_later(3600, told.append, thing) for thing in things]
    due = loop.call_later(0, told.append, "due")
    due.cancel()
    due.cancel()
    for timer in timers:
        timer.cancel()
        assert timer.cancelled()
    timers.clear()
    things.clear()
    loop.run_until_complete(asyncio.sleep(0.001))
    gc.collect()
    assert told == []
    assert not any(thing() for thing in seen)
    assert len(loop._scheduled) < 200  # type: ignore[attr-defined]


def test_a_timeout_ends_what_takes_too_long(loop: asyncio.AbstractEventLoop) -> None:
    async def both() -> str:
        for _ in range(300):
            await asyncio.wait_for(asyncio.sleep(0), 60)
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        except TimeoutError:
            return "timeout"
        return ""

    assert loop.run_until_complete(both()) == "timeout"


def test_an_error_in_a_callback_is_told_and_stops_nobody(loop: asyncio.AbstractEventLoop) -> None:
    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append(context))

    def fail() -> None:
        raise ValueError("on purpose")

    loop.call_soon(fail)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert [str(context["exception"]) for context in told] == ["on purpose"]
    assert "fail" in told[0]["message"]


def test_an_exit_in_a_callback_ends_it(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(sys.exit, 3)
    with pytest.raises(SystemExit):
        loop.run_forever()


def test_other_threads_sockets_and_signals_wake_it(loop: asyncio.AbstractEventLoop) -> None:
    told: list[str] = []

    async def all_of_them() -> None:
        woken = asyncio.Event()
        thread = threading.Timer(0.02, loop.call_soon_threadsafe, [woken.set])
        thread.start()
        await asyncio.wait_for(woken.wait(), 10)
        told.append("thread")
        one, other = socket.socketpair()
        for end in (one, other):
            end.setblocking(False)
        asyncio.get_running_loop().call_later(0.02, one.send, b"x")
        assert await loop.sock_recv(other, 1) == b"x"
        told.append("socket")
        one.close()
        other.close()
        signalled = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, signalled.set)
        loop.call_later(0.02, os.kill, os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(signalled.wait(), 10)
        loop.remove_signal_handler(signal.SIGUSR1)
        told.append("signal")

    loop.run_until_complete(all_of_them())
    assert told == ["thread", "socket", "signal"]


def test_sockets_get_their_due_beside_callbacks_without_end(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def busy() -> None:
        while True:
            await asyncio.sleep(0)

    async def answer() -> bytes:
        one, other = socket.socketpair()
        for end in (one, other):
            end.setblocking(False)
        spinning = loop.create_task(busy())
        threading.Timer(0.02, one.send, [b"y"]).start()
        got = await asyncio.wait_for(loop.sock_recv(other, 1), 10)
        spinning.cancel()
        one.close()
        other.close()
        return got

    assert loop.run_until_complete(answer()) == b"y"


def test_a_closed_loop_takes_nothing(tmp_path: Path) -> None:
    loop = quick_loop.QuickLoop()
    loop.close()
    for call in (loop.call_soon, lambda f: loop.call_later(1, f), lambda f: loop.call_at(1, f)):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)


def test_a_context_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    from contextvars import ContextVar, copy_context

    name: ContextVar[str] = ContextVar("name", default="none")
    told: list[str] = []
    context = copy_context()
    context.run(name.set, "given")
    loop.call_soon(lambda: told.append(name.get()), context=context)
    loop.call_later(0.001, lambda: told.append(name.get()), context=context)
    loop.call_soon(lambda: told.append(name.get()))
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert told == ["given", "none", "given"]
