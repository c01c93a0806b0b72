"""The module `pyrunner` of PyRunner's users, there inside a run of `penstock flow`."""

from typing import Any

from penstock.flow.shell import ShellWorker
from penstock.flow.worker import Worker

__all__ = ["PyRunner", "ShellWorker", "Worker"]  # noqa: F822


def __getattr__(name: str) -> Any:
    if name == "PyRunner":
        from penstock.flow.driver import PyRunner

        return PyRunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
