"""One attempt of a node: a process of its own, from its fork to its end.

The codes of what goes wrong around a Worker's return are numbered as PyRunner has them.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

# Not by the module signal, for the enums that it puts around these: a short attempt takes as long
# as it has pages to copy.
from _signal import SIG_DFL, SIGCHLD, set_wakeup_fd  # type: ignore[import-not-found]
from _signal import signal as set_handler
from contextlib import suppress
from typing import Any, Callable

from .logger import Logger
from .worker import Worker

RUN_RAISED = 901
ON_SUCCESS_RAISED = 902
ON_FAIL_RAISED = 903
ON_EXIT_RAISED = 904
NOT_STARTED = 905

MESSAGE_MAX = 4000
TRACEBACK_MAX = 8000

Told = dict[str, Any]


def fork_attempt(run: Callable[[], int]) -> int:
    """Forks a process that leads a group of its own and ends with run's status. Returns its id.

    Raises OSError. Not in the helper's own module: run by -m, that is where Python would warn of
    threads that some import has started.
    """
    pid = os.fork()
    if pid:
        # Both do it: whoever is told of the process may kill the group at once.
        with suppress(OSError):  # it was quicker, or has ended
            os.setpgid(pid, pid)
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        set_wakeup_fd(-1)
        set_handler(SIGCHLD, SIG_DFL)
        gc.enable()
        # What modules asked for when they were imported is the helper's, not each attempt's.
        atexit._clear()
        status = run()
    except BaseException as error:
        print(traceback_of(error), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


class NotAWorkerError(Exception):
    """The module has no such class, or what is there is none."""


def run_attempt(
    kind: type[Worker],
    told: Told,
    context: Any,
    say: Callable[[Told], None],
    no_retry_code: int | None,
) -> int:
    """Calls the Worker's methods, tells the outcome unless it is a success, returns the status."""
    logfile = told["logfile"]
    life = Life(logfile)
    try:
        open_log(logfile)
        worker = kind(context, logfile, told["argv"])
    except BaseException as error:
        life.failed("", error)
        life.code = NOT_STARTED
    else:
        life.live(worker)
        life.wind_up()
    if life.code:
        say({"outcome": life.outcome(told["task"], no_retry_code)})
    return life.code if 0 <= life.code < 256 else 1


def open_log(logfile: str) -> None:
    """Puts standard output and error on the log. Raises OSError."""
    fd = os.open(logfile, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    if fd > 2:
        os.close(fd)


def error_of(error: BaseException) -> Told:
    """Type, message and traceback as they are told, cut to what a message may be."""
    kind = type(error).__name__
    try:
        text = str(error) or kind
    except Exception as broken:
        text = f"its text cannot be had: {type(broken).__name__}"
    return {
        "type": kind,
        "message": _clean(text)[:MESSAGE_MAX],
        "traceback": _clean(traceback_of(error))[-TRACEBACK_MAX:],
    }


def traceback_of(error: BaseException) -> str:
    """The traceback without the calls of this package, through which all of them came."""
    import traceback

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") in _OWN:
        frames = frames.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, frames)).rstrip("\n")
    except Exception as broken:
        return f"its traceback cannot be had: {type(broken).__name__}"


_OWN = (__name__, "penstock.flow.helper", "__main__")


def _clean(text: str) -> str:
    """Without what is no JSON, or makes it long: lone surrogates, control characters."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROLS)


_CONTROLS = {code: "?" for code in range(32) if code not in (9, 10)}


class Life:
    """The calls of one Worker's methods in their order, and what becomes of them."""

    def __init__(self, logfile: str) -> None:
        self.code = 0
        self._logger = Logger(logfile)
        self._error: Told | None = None
        self._final = False
        #: What made the code another than 0, when no exception did.
        self._why = "retcode was set"

    def live(self, worker: Worker) -> None:
        """From on_start to on_destroy. Afterwards `code` is the attempt's."""
        kind = type(worker)
        # What is not there is not called: most Workers have a run, and nothing else.
        if kind.on_start is not Worker.on_start:
            self._call(worker, "on_start", RUN_RAISED)
        if not worker.retcode:
            self._call(worker, "run", RUN_RAISED)
        if worker.retcode:
            self._call(worker, "on_fail", ON_FAIL_RAISED, counts=False)
        elif kind.on_success is not Worker.on_success:
            self._call(worker, "on_success", ON_SUCCESS_RAISED)
        if kind.on_exit is not Worker.on_exit:
            self._call(worker, "on_exit", ON_EXIT_RAISED)
        if kind.on_destroy is not Worker.on_destroy:
            self._call(worker, "on_destroy", ON_EXIT_RAISED)
        self.code = worker.retcode

    def failed(self, where: str, error: BaseException) -> None:
        """Writes the exception into the log. The first one is what the attempt failed of."""
        told = error_of(error)
        before = f"{where}: " if where else ""
        self._logger.error(f"{before}{told['type']}: {told['message']}")
        self._logger.error(traceback_of(error))
        if self._error is None:
            self._error = told
        outcome = sys.modules.get("penstock.outcome")
        if outcome is not None and isinstance(error, outcome.Fail):
            self._final = True

    def outcome(self, task: int, no_retry_code: int | None) -> Told:
        error = self._error
        if error is None:
            text = f"{self._why}: {self.code}"
            error = {"type": "ReturnCode", "message": text, "traceback": ""}
        final = self._final or self.code == no_retry_code
        return {"task": task, "code": self.code, "final": final, "error": error}

    def wind_up(self) -> None:
        """What Python does at the end of a program: threads end, queues and files are written."""
        try:
            threading = sys.modules.get("threading")
            if threading is not None:
                threading._shutdown()
            util = sys.modules.get("multiprocessing.util")
            if util is not None:
                util._exit_function()
            atexit._run_exitfuncs()
            logging = sys.modules.get("logging")
            if logging is not None:
                logging.shutdown()
        except BaseException as error:
            self.failed("at the end", error)
            self.code = self.code or ON_EXIT_RAISED
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()  # type: ignore[union-attr]
            except Exception:
                continue  # closed by the Worker, or the disk is full

    def _call(self, worker: Worker, name: str, raised: int, counts: bool = True) -> None:
        try:
            value = getattr(worker, name)()
            number = 0 if value is None else _number(name, value)
        except SystemExit as end:
            number = self._exit_code(name, end)
        except BaseException as error:
            outcome = sys.modules.get("penstock.outcome")
            if name == "run" and outcome is not None and isinstance(error, outcome.Skip):
                return
            self.failed(name, error)
            worker.retcode = raised
            return
        if number and counts:
            worker.retcode = number
            self._why = f"{name} returned"

    def _exit_code(self, name: str, end: SystemExit) -> int:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) if (end.code or 0) >= 0 else 1
        self._logger.error(f"{name}: {end.code}")
        return 1


def _number(name: str, value: Any) -> int:
    """A method's return as a code. ValueError: it is negative, or no number."""
    try:
        number = int(value) if not isinstance(value, (str, bytes)) else -1
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise ValueError(f"{name} returned {shown}; None, 0 and positive numbers mean something")
    return number or int(bool(value))
