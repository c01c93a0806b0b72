"""python -m penstock.flow.helper: one warm interpreter, which forks the attempts of a flow's nodes.

`penstock flow run` starts it and speaks to it over descriptor 3, a SOCK_SEQPACKET socket of JSON
messages (docs/flow-run.md). It imports each module once, when the first node needs it: what an
import costs is paid once a run, and an import that kills or hangs takes nothing else along.

How quickly a flow runs is how quickly this forks. So little is imported, what is there is hidden
from the garbage collector of the attempts, which would copy its pages, and one attempt is forked
ahead (spare.py): a chain of short nodes does not wait for the fork.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

from .attempt import (
    NOT_STARTED,
    NotAWorkerError,
    Told,
    error_of,
    fork_attempt,
    open_log,
    run_attempt,
    traceback_of,
)
from .context import Context, preload
from .logger import Logger
from .spare import Spare
from .worker import Worker

CHANNEL = 3
# The status of an attempt that is waited for in vain: exit 255.
UNKNOWN = 255 << 8
MESSAGE_MAX_BYTES = 64 << 10


class Helper:
    def __init__(self, channel: int) -> None:
        self._channel = Channel(channel)
        self._setup: Told = {}
        #: Modules of nodes that are imported.
        self._modules: dict[str, Any] = {}
        #: Classes of theirs that have been looked at.
        self._kinds: dict[tuple[str, str], type[Worker]] = {}
        self._importing = self._reaping = self._again = False
        #: An attempt without a node yet; it has the modules of when it was forked.
        self._spare: Spare | None = None
        #: The attempts that run: process id to task.
        self._running: dict[int, int] = {}
        self._environment = dict(os.environ)
        self._variables: dict[str, str] = {}
        self._stopping = False
        self._wake, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake_end = end

    def run(self) -> None:
        """Until it is told to stop and the last attempt has ended, or the runner is gone."""
        gc.disable()
        self._listen_to_ends()
        poll = select.poll()
        poll.register(self._channel.fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._channel.say({"ready": {"pid": os.getpid()}})
        gc.freeze()
        while self._running or not self._stopping:
            for fd, _ in poll.poll():
                if fd == self._wake:
                    os.read(fd, 4096)
                elif not self._take():
                    self._abandon()
                    return
            self._reap()

    def _listen_to_ends(self) -> None:
        signal.signal(signal.SIGCHLD, self._on_end)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        # The loop does it, but for the time of an import, which may be long.
        if self._importing:
            self._reap_running()

    def _reap_running(self) -> None:
        """Tells of those that have ended, looking at each. A signal may come in the midst of it."""
        self._again = True
        while self._again and not self._reaping:
            self._reaping = True
            self._again = False
            for pid in list(self._running):
                self._reap_one(pid)
            self._reaping = False

    def _reap(self) -> None:
        """Tells of the attempts that have ended."""
        while self._running or self._spare:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self._reap_running()
                return
            if ended is None:
                return
            if ended.si_pid in self._running:
                self._reap_one(ended.si_pid)
            else:
                # A spare one, or some import started it and has forgotten it.
                os.waitpid(ended.si_pid, 0)

    def _reap_one(self, pid: int) -> None:
        """Does nothing when it has not ended."""
        try:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
        except ChildProcessError:
            # Some module has ignored the signal when it was imported: how it ended is not known.
            self._tell_end(pid, UNKNOWN)
            return
        # As long as it is not waited for, the number of its group cannot be another's.
        with suppress(OSError):  # nobody else is in it
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._tell_end(pid, status)

    def _tell_end(self, pid: int, status: int) -> None:
        task = self._running.pop(pid)
        self._channel.say({"exited": {"task": task, "pid": pid, "status": status}})

    def _abandon(self) -> None:
        """The runner is gone: nobody would settle what still runs."""
        self._dismiss()
        for pid in self._running:
            with suppress(OSError):  # it has ended
                os.killpg(pid, signal.SIGKILL)

    def _take(self) -> bool:
        """Takes one message; False: nobody is there any more."""
        packet = self._channel.hear()
        if not packet:
            return False
        message = json.loads(packet)
        if "run" in message:
            self._start(message["run"], packet)
        elif "setup" in message:
            self._set_up(message["setup"])
        elif "stop" in message:
            self._stopping = True
        return True

    def _set_up(self, setup: Told) -> None:
        self._setup = setup
        inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")
        sys.path[:0] = [*setup["path"], inside]

    def _start(self, told: Told, packet: bytes) -> None:
        try:
            self._set_variables(told["variables"])
            kind = self._class_of(told)
            spare, self._spare = self._spare, None
            pid = spare.take(packet) if spare is not None else 0
            pid = pid or fork_attempt(lambda: self._attempt(kind, told))
        except BaseException as error:
            self._refuse(told, error)
            return
        self._running[pid] = told["task"]
        self._channel.say({"started": {"task": told["task"], "pid": pid}})
        # The next one may wait for this one alone. Among many there is no time to be gained.
        if len(self._running) == 1:
            with suppress(OSError):
                self._spare = Spare(self._attempt_of)

    def _attempt(self, kind: type[Worker], told: Told) -> int:
        """In a process of its own: the attempt."""
        setup = self._setup
        context = Context(
            setup["server"],
            told["flow"],
            key=setup.get("key"),
            task=told["task"],
            fence=told["fence"],
            interactive=bool(setup.get("interactive")),
        )
        return run_attempt(kind, told, context, self._channel.say, setup.get("no_retry_code"))

    def _attempt_of(self, packet: bytes) -> int:
        """The same in a process that was forked before it was known what for."""
        told = json.loads(packet)["run"]
        self._set_variables(told["variables"])
        return self._attempt(self._class_of(told), told)

    def _refuse(self, told: Told, error: BaseException) -> None:
        problem = error_of(error)
        logger = Logger(told["logfile"])
        logger.error(f"{problem['type']}: {problem['message']}")
        if not isinstance(error, NotAWorkerError):
            logger.error(traceback_of(error))
        refused = {"task": told["task"], "code": NOT_STARTED, "error": problem}
        self._channel.say({"refused": refused})

    def _set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            for name in self._variables.keys() - variables.keys():
                if name in self._environment:
                    os.environ[name] = self._environment[name]
                else:
                    os.environ.pop(name, None)
            os.environ.update(variables)
            self._variables = variables

    def _class_of(self, told: Told) -> type[Worker]:
        """Raises what the import raises, or NotAWorkerError."""
        found = self._kinds.get((told["module"], told["worker"]))
        if found is None:
            found = self._find_class(told)
            self._kinds[told["module"], told["worker"]] = found
            if may_use_context(found):
                preload()
                self._dismiss()
                gc.freeze()
        return found

    def _find_class(self, told: Told) -> type[Worker]:
        name = told["module"]
        module = self._modules.get(name)
        if module is None:
            module = self._modules[name] = self._import(name, told)
        kind = getattr(module, told["worker"], None)
        where = f"{name} ({getattr(module, '__file__', None) or 'built in'})"
        if kind is None:
            raise NotAWorkerError(f"the module {where} has no {told['worker']}")
        if not isinstance(kind, type) or not issubclass(kind, Worker):
            raise NotAWorkerError(f"{told['worker']} of the module {where} is no Worker class")
        if kind.__abstractmethods__:
            raise NotAWorkerError(f"{told['worker']} of the module {where} has no run method")
        return kind

    def _dismiss(self) -> None:
        if self._spare is not None:
            self._spare.dismiss()
            self._spare = None

    def _import(self, name: str, told: Told) -> Any:
        self._channel.say({"importing": {"task": told["task"], "module": name}})
        kept = os.dup(1), os.dup(2)
        open_log(told["logfile"])
        self._importing = True
        # Of those that ended before this was set, the signal was for the loop.
        self._reap_running()
        try:
            __import__(name)
            return sys.modules[name]
        finally:
            self._importing = False
            self._dismiss()
            sys.stdout.flush()
            sys.stderr.flush()
            for number, fd in enumerate(kept, 1):
                os.dup2(fd, number)
                os.close(fd)
            # The module may have thought of these signals, too.
            self._listen_to_ends()
            gc.freeze()


dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def may_use_context(kind: type[Worker]) -> bool:
    """Whether a method of its own names the context. What it does otherwise is found out late."""
    codes = (getattr(method, "__code__", None) for method in vars(kind).values())
    return any("context" in code.co_names for code in codes if code is not None)


class Channel:
    """The socket to the runner. Attempts write to it, too: each message is one packet."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self.fd = fd
        self._file = os.fstat(fd).st_ino

    def hear(self) -> bytes:
        """The next message; nothing: nobody is there any more."""
        try:
            return os.read(self.fd, MESSAGE_MAX_BYTES)
        except ConnectionResetError:
            return b""

    def say(self, message: Told) -> None:
        """Without effect when the runner is gone, or a Worker has closed the descriptor."""
        try:
            # Whatever the Worker has opened in its place is not to get this.
            if os.fstat(self.fd).st_ino == self._file:
                os.write(self.fd, dumps(message).encode())
        except OSError:
            pass


def main() -> None:
    # Programs beside the flow are not to stand in for modules: -m has put the folder first.
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        # Logs are UTF-8 whatever the locale is; a line is there when it was printed.
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
    Helper(CHANNEL).run()


if __name__ == "__main__":
    main()
