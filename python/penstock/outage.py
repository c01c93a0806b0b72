"""A server that is away: who waits for it says so, ever more rarely, and says when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable

#: A server that is started anew is away for less; nobody need hear of that.
FIRST_S = 1.0
AGAIN_S = 30.0
AGAIN_MAX_S = 600.0

#: Takes a text for people, and whether the server is away.
Say = Callable[[str, bool], None]


class Outage:
    """What all connections to one server have seen of it. For one thread."""

    def __init__(self, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        #: Since when it is away; None: it is there, or nobody has asked yet.
        self.since_s: float | None = None
        self._next_s = 0.0
        self._pause_s = 0.0

    def failed(self, problem: Exception) -> None:
        """A try has failed: it could not be reached, or the connection was lost."""
        now_s = self._clock()
        if self.since_s is None:
            self.since_s, self._next_s, self._pause_s = now_s, now_s + FIRST_S, 0.0
        if now_s < self._next_s:
            return
        away = f", away for {_duration(now_s - self.since_s)}" if self._pause_s else ""
        self._pause_s = min(self._pause_s * 2 or AGAIN_S, AGAIN_MAX_S)
        self._next_s = now_s + self._pause_s
        self._say(f"waiting for the server{away}: {problem}", True)

    def answered(self) -> None:
        """It has answered."""
        if self.since_s is not None and self._pause_s:
            took_s = self._clock() - self.since_s
            self._say(f"the server is back, after {_duration(took_s)}", False)
        self.since_s = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
