"""A logger that says which job speaks."""

from __future__ import annotations

import logging
from typing import Any


class JobLog:
    """`job.log.info("parsed", pages=3)`: the fields, then those of the job, go behind the text."""

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self._log = logging.getLogger(name)
        self._fields = fields

    def bind(self, **fields: Any) -> JobLog:
        """The same with more fields."""
        return JobLog(self._log.name, {**self._fields, **fields})

    def debug(self, event: str, *args: Any, **fields: Any) -> None:
        self._say(logging.DEBUG, event, args, fields)

    def info(self, event: str, *args: Any, **fields: Any) -> None:
        self._say(logging.INFO, event, args, fields)

    def warning(self, event: str, *args: Any, **fields: Any) -> None:
        self._say(logging.WARNING, event, args, fields)

    warn = warning

    def error(self, event: str, *args: Any, **fields: Any) -> None:
        self._say(logging.ERROR, event, args, fields)

    def critical(self, event: str, *args: Any, **fields: Any) -> None:
        self._say(logging.CRITICAL, event, args, fields)

    def exception(self, event: str, *args: Any, **fields: Any) -> None:
        """Says the exception that is being handled, too."""
        self._say(logging.ERROR, event, args, {"exc_info": True, **fields})

    def _say(self, level: int, event: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        if not self._log.isEnabledFor(level):
            return
        trace = fields.pop("exc_info", None)
        said = {**self._fields, **fields}
        text = event % args if args else event
        told = " ".join(f"{name}={value!r}" for name, value in said.items() if value is not None)
        self._log.log(level, f"{text}  {told}" if told else text, exc_info=trace)
