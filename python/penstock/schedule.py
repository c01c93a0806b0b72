"""Tasks at certain times: what an app says of them, and, for tests, when they are due.

The server has its own reader of cron lines, which is the one that counts (docs/queue.md); this one
is for `app.testing()`, where there is no server.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InvalidError

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: No line is due less often than on a 29th of February.
SEARCH_DAYS = 366 * 9


@dataclass(frozen=True)
class Schedule:
    """A task at certain times, as `App.schedule` was told."""

    name: str
    #: The task as the server takes it: function, arguments, queue, ...
    task: Mapping[str, Any] = field(default_factory=dict)
    cron: str | None = None
    every_s: float | None = None
    zone: str | None = None
    #: Ticks while the server was down: "skip", "once" or "all"; None: as the server chooses.
    missed: str | None = None
    #: The arguments get `timestamp`, the time of the tick.
    pass_time: bool = False

    def told(self) -> dict[str, Any]:
        """As the server takes it."""
        told = dict(self.task)
        members = (("cron", self.cron), ("every_s", self.every_s), ("zone", self.zone))
        told.update({name: value for name, value in members if value is not None})
        if self.missed is not None:
            told["missed"] = self.missed
        if self.pass_time:
            told["pass_time"] = True
        return told

    def ticks(self, after: datetime.datetime) -> Iterator[datetime.datetime]:
        """The times behind that one, in order."""
        if self.every_s is not None:
            number = after.timestamp() // self.every_s
            while True:
                number += 1
                yield datetime.datetime.fromtimestamp(number * self.every_s, datetime.timezone.utc)
        assert self.cron is not None
        yield from CronLine(self.cron).ticks(after, self.zone)


class CronLine:
    """A cron line: five fields, or six with seconds first."""

    def __init__(self, line: str) -> None:
        words = SHORT.get(line.strip().lower(), line).lower().split()
        if len(words) == 5:
            words = ["0", *words]
        if len(words) != 6:
            raise InvalidError(f"a cron line has five or six fields: {line!r}")
        try:
            self._seconds = _numbers(words[0], 0, 59)
            self._minutes = _numbers(words[1], 0, 59)
            self._hours = _numbers(words[2], 0, 23)
            self._last_day = "l" in words[3].split(",")
            days = ",".join(word for word in words[3].split(",") if word != "l")
            self._days = _numbers(days, 1, 31) if days else set()
            self._months = _numbers(words[4], 1, 12, MONTHS, 1)
            self._weekdays = {day % 7 for day in _numbers(words[5], 0, 7, DAYS)}
        except ValueError:
            raise InvalidError(f"no cron line: {line!r}") from None
        self._any_day = words[3][0] == "*"
        self._any_weekday = words[5][0] == "*"

    def ticks(
        self, after: datetime.datetime, zone: str | None = None
    ) -> Iterator[datetime.datetime]:
        """The times behind that one. A local time that does not exist is that after the gap."""
        place = _zone(zone)
        local = after.astimezone(place)
        day, last = local.date(), after
        end = day + datetime.timedelta(days=SEARCH_DAYS)
        while day < end:
            if self._has_day(day):
                for at in sorted({self._at(day, time, place) for time in self._times()}):
                    if at > last:
                        last, end = at, day + datetime.timedelta(days=SEARCH_DAYS)
                        yield at
            day += datetime.timedelta(days=1)

    def _times(self) -> Iterator[tuple[int, int, int]]:
        for hour in sorted(self._hours):
            for minute in sorted(self._minutes):
                for second in sorted(self._seconds):
                    yield hour, minute, second

    def _at(
        self, day: datetime.date, time: tuple[int, int, int], place: datetime.tzinfo
    ) -> datetime.datetime:
        local = datetime.datetime(day.year, day.month, day.day, *time, tzinfo=place)
        at = local.astimezone(datetime.timezone.utc)
        wanted = local.replace(tzinfo=None)
        if at.astimezone(place).replace(tzinfo=None) != wanted:
            # The clocks leave it out: the first moment after the gap.
            at = at.replace(second=0) - datetime.timedelta(hours=4)
            while at.astimezone(place).replace(tzinfo=None) < wanted:
                at += datetime.timedelta(minutes=1)
        return at

    def _has_day(self, day: datetime.date) -> bool:
        if day.month not in self._months:
            return False
        by_day = day.day in self._days or (
            self._last_day and day.day == calendar.monthrange(day.year, day.month)[1]
        )
        by_weekday = day.isoweekday() % 7 in self._weekdays
        # As cron has it: when both are given, either is enough.
        if self._any_day or self._any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday


def _numbers(
    text: str, least: int, most: int, names: list[str] | None = None, first: int = 0
) -> set[int]:
    """The numbers of one field: lists of ranges with steps. ValueError."""

    def number(word: str) -> int:
        value = names.index(word) + first if names and word in names else int(word)
        if not least <= value <= most:
            raise ValueError(word)
        return value

    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            start, end = least, most
        else:
            start = number(low)
            end = number(high) if dash else (most if step else start)
        if end < start or (step and int(step) < 1):
            raise ValueError(part)
        found.update(range(start, end + 1, int(step or 1)))
    return found


def _zone(name: str | None) -> datetime.tzinfo:
    if name is None or name.upper() == "UTC":
        return datetime.timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidError(f"no time zone: {name!r}") from error
