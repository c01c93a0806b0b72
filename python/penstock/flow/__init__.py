"""Flows: task lists whose nodes are Worker classes, as PyRunner (python-batch-runner) has them.

worker.py, shell.py    what a user derives from
context.py, logger.py  what a Worker has
helper.py              the warm process that `penstock flow run` starts, and that forks attempts
attempt.py             one of them, from its fork to its end
driver.py              PyRunner: a flow made and run from a script
context_file.py        a flow's context from and to a file
inside/                the module `pyrunner`, which is there inside a run
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Context
    from .driver import PyRunner
    from .logger import Logger
    from .register import NodeRegister
    from .shell import ShellWorker
    from .worker import Worker

__all__ = ["Context", "Logger", "NodeRegister", "PyRunner", "ShellWorker", "Worker"]

_MODULE_OF = {
    "Context": "context",
    "Logger": "logger",
    "NodeRegister": "register",
    "PyRunner": "driver",
    "ShellWorker": "shell",
    "Worker": "worker",
}


def __getattr__(name: str) -> Any:
    """When it is asked for: the helper is to be there at once."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value
