"""The module `pyrunner` of PyRunner's users, there inside a run of `penstock flow`."""

from penstock.flow.shell import ShellWorker
from penstock.flow.worker import Worker

__all__ = ["ShellWorker", "Worker"]
