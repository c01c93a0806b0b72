"""Worker: what a user derives the nodes of a flow from."""

# ruff: noqa: B027 - a Worker may leave them out

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from .logger import Logger

if TYPE_CHECKING:
    from .context import Context


class Worker(ABC):
    """One step of a flow. Each attempt is an object of its own in a process of its own.

    `run` must be there. It has succeeded when it returns None or 0 and `retcode` is 0; any other
    number, and an exception, is a failure. The other methods are called when they are there, once
    an attempt and in that process.
    """

    #: What the nodes of the flow share.
    context: Context
    #: Writes lines into the node's log.
    logger: Logger
    #: Path of that log.
    logfile: str | None
    #: ARGUMENTS of the list.
    argv: list[str]

    def __init__(
        self,
        context: Any = None,
        logfile: str | None = None,
        argv: list[str] | None = None,
    ) -> None:
        self.context = context
        self.logfile = logfile
        self.argv = argv if argv is not None else []
        self.logger = Logger(logfile)
        self._retcode = 0

    @property
    def retcode(self) -> int:
        """0: a success, so far. May be set; a negative one is a ValueError."""
        return self._retcode

    @retcode.setter
    def retcode(self, value: int) -> None:
        number = int(value)
        if number < 0:
            raise ValueError(f"retcode is 0 or more, not {number}")
        self._retcode = number

    def on_start(self) -> Any:
        """Before run, which is not called when this fails."""

    @abstractmethod
    def run(self) -> Any:
        """The work."""

    def on_success(self) -> Any:
        """When run succeeded. Another return than None or 0 makes the attempt fail."""

    def on_fail(self) -> Any:
        """When it did not. What it returns means nothing."""

    def on_exit(self) -> Any:
        """Always, after those."""

    def on_destroy(self) -> Any:
        """The same by its newer name; both are called."""
