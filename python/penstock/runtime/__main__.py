"""python -m penstock.runtime TARGET: started by `penstock run` and `penstock worker`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import traceback

from .both import BothWorker
from .channel import VARIABLE, Channel, Message
from .group_guard import guard_group
from .quick_loop import new_loop
from .target import AppTarget, Target, TargetError, load, load_program
from .task_worker import TaskWorker
from .worker import Worker

USAGE = 2
# How long the threads and the exit functions of a task may take when all is done.
END_WITHIN_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m penstock.runtime", description=__doc__)
    parser.add_argument(
        "target", metavar="TARGET", help="task.py, a folder, module:function or module:app"
    )
    parser.add_argument("--config", metavar="FILE", help="its settings, as JsonlBatch's config.py")
    parser.add_argument("--batch-size", metavar="N", type=int, default=0, help="records a call")
    parser.add_argument(
        "--exec", metavar="COMMAND", help="the program of the steps in the manifest TARGET"
    )
    args = parser.parse_args()
    channel = Channel.of_environment()
    if channel is None:
        parser.error(f"{VARIABLE} is not set: `penstock run` starts this program")
    # The supervisor decides what an interrupt means; it says so over the channel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        target: Target | AppTarget
        if args.exec is not None:
            target = load_program(args.target, args.exec)
        else:
            target = load(args.target, args.config, max(args.batch_size, 0))
    except TargetError as error:
        channel.say(error={"text": str(error), "traceback": ""})
        return USAGE
    except BaseException as error:
        # Whatever stands in somebody's file, SystemExit too: it cannot be run.
        text = f"{args.target} cannot be imported: {type(error).__name__}: {error}"
        channel.say(error={"text": text.replace("\n", " "), "traceback": traceback.format_exc()})
        return USAGE
    channel.say(hello=target.hello())
    message = channel.listen()
    if message is None or "go" not in message:
        return 0  # nothing more was wanted than to know what it is
    try:
        return _run(channel, target, args.target, message["go"])
    except TargetError as error:
        channel.say(error={"text": str(error), "traceback": ""})
        return USAGE


def _run(channel: Channel, target: Target | AppTarget, name: str, go: Message) -> int:
    worker: list[Worker | TaskWorker | BothWorker] = []

    async def work() -> int:
        if isinstance(target, AppTarget) and go.get("job"):
            worker.append(BothWorker(channel, target, name, go))
        elif isinstance(target, AppTarget):
            worker.append(TaskWorker(channel, target, name, go))
        else:
            worker.append(Worker(channel, target, go))
        return await worker[0].run()

    with contextlib.suppress(OSError), open("/proc/self/timerslack_ns", "w") as slack:
        slack.write("1000")  # a wait of 10 ms is to take no 50 us more
    guard_group()
    loop = new_loop()
    asyncio.set_event_loop(loop)
    status = loop.run_until_complete(work())
    if worker[0].stuck:
        # What cannot be stopped must not hold up the end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    # A thread of the task's that never ends would be waited for without end.
    threading.Thread(target=_end_soon, args=(status,), daemon=True).start()
    return status


def _end_soon(status: int) -> None:
    time.sleep(END_WITHIN_S)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
