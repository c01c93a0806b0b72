"""One call of a task to come: its function, its arguments and how it is to be run."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict, Union

from .errors import InvalidError
from .outcome import RetryPlan

if TYPE_CHECKING:
    from .handle import TaskHandle

#: Seconds, or a timedelta.
Seconds = Union[float, datetime.timedelta]

# The server's own limits, told here with names.
NAME_MAX_BYTES = 512
PRIORITY_MIN, PRIORITY_MAX = -32768, 32767
ATTEMPTS_DEFAULT = 5
ATTEMPTS_MAX = 1_000_000


@dataclass(frozen=True)
class RetryPolicy:
    """When an attempt that has failed is followed by another.

    `retries` is how often at most (None: as often as max_attempts says). The n-th pause is
    `delay_s` (fixed), n times that (linear), or `factor` times as long each time (exponential), up
    to `max_delay_s`; `jitter` is how much more or less at random. `errors` says what an error of a
    class (or of a class of that name) means instead: False: final; True: as usual; a number: so
    many seconds.
    """

    retries: int | None = None
    kind: str = "exponential"
    delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 3600.0
    jitter: float = 0.1
    errors: Mapping[type[BaseException] | str, bool | float] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As the server takes it."""
        if self.kind not in ("fixed", "linear", "exponential"):
            raise InvalidError(f"retry: kind is fixed, linear or exponential, not {self.kind!r}")
        told: dict[str, Any] = {
            "kind": self.kind,
            "delay_s": _number("delay_s", self.delay_s),
            "factor": _number("factor", self.factor),
            "max_delay_s": _number("max_delay_s", self.max_delay_s),
            "jitter": _number("jitter", self.jitter),
        }
        if self.errors:
            told["errors"] = [_rule(kind, means) for kind, means in self.errors.items()]
        return told


def _number(name: str, value: object) -> float:
    # What JSON has no number for would go as null, which means the server's own.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidError(f"retry: {name} is a number, not {value!r}")
    return value


def _rule(kind: type[BaseException] | str, means: bool | float) -> dict[str, Any]:
    name = kind if isinstance(kind, str) else kind.__name__
    if isinstance(means, bool):
        return {"type": name, "retry": means}
    return {"type": name, "delay_s": _number(f"errors: {name}", means)}


@dataclass(frozen=True)
class Unique:
    """At most one task of that key.

    `during` is how long the key is taken: "pending": until the task runs; "unfinished": until it
    ends; "stored": as long as the server has it. `on_clash` says what becomes of another one:
    "refuse": NameTakenError or ConflictError; "existing": its handle is that of the task that is
    there; "replace": the one that is there, unless it runs or has ended, becomes the new one.
    """

    key: str
    during: str = "unfinished"
    on_clash: str = "existing"

    def told(self) -> dict[str, Any]:
        """As the server takes it."""
        return {"key": self.key, "while": self.during, "on_clash": self.on_clash}


#: None or False: what fails has failed. True: the server's usual policy. A number: so many retries.
#: A mapping has members of RetryPolicy, `errors` perhaps as the server takes it.
Retries = Union[None, bool, int, RetryPolicy, RetryPlan, Mapping[str, Any]]


class TaskSettings(TypedDict, total=False):
    """How a call is to be run. What is left out is left to the task, then to the server."""

    #: Where it waits.
    queue: str
    #: -32768 to 32767, higher runs first.
    priority: int
    #: Not before: an aware datetime. Or `delay`, from now.
    run_at: datetime.datetime | None
    delay: Seconds | None
    #: Whose work it is: limits and fair shares go by it. A label for status and bulk verbs.
    key: str | None
    batch: str | None
    #: Of all tasks with this lock in one queue one runs at a time.
    lock: str | None
    #: A text is the key of a Unique.
    unique: Unique | str | None
    #: Tasks that must have completed before it begins: handles or ids.
    after: Iterable[TaskHandle | int] | TaskHandle | int | None
    #: "completed" or "ended": in any way.
    after_when: str
    #: Starts in all, those that ended with a dead worker too.
    max_attempts: int
    retry: Retries
    #: A run that takes longer is aborted, and has failed with TimeoutError.
    timeout: Seconds | None
    #: How long it is kept after its end.
    keep: Seconds | None


#: The same for a decorator: the three texts may have names of arguments in braces, as
#: "dataset-{dataset}", or be made by a function of the arguments.
Named = Union[str, Callable[..., Any], None]


@dataclass(frozen=True)
class TaskCall:
    """A call that can be deferred: what `task.call(...)` gives, and what generators yield."""

    function: str
    #: JSON, checked.
    arguments: Any
    #: Members of a task as the server takes them.
    members: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """The task as the server takes it."""
        return {"function": self.function, "arguments": self.arguments, **self.members}


def members_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What TaskSettings mean on the wire. InvalidError names the setting."""
    members: dict[str, Any] = {}
    for name in settings:
        if name not in _WRITERS:
            known = ", ".join(sorted(_WRITERS))
            raise InvalidError(f"there is no setting {name!r}; there are: {known}")
    for name, write in _WRITERS.items():
        if name in settings:
            write(members, name, settings[name])
    if "run_at" in members and "delay_s" in members:
        raise InvalidError("run_at and delay exclude each other")
    return members


def check_name(what: str, name: Any) -> str:
    """A name of a function or a queue, as the server takes them."""
    if not isinstance(name, str):
        raise InvalidError(f"{what} must be a text, not {name!r}")
    size = len(name.encode("utf-8", "replace"))
    if not 1 <= size <= NAME_MAX_BYTES or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InvalidError(
            f"{what} is 1 to {NAME_MAX_BYTES} bytes without control characters, not {name[:80]!r}"
        )
    return name


def _queue(members: dict[str, Any], name: str, value: Any) -> None:
    members[name] = check_name(name, value)


def _text(members: dict[str, Any], name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidError(f"{name} must be a text, not {value!r}")
    members[name] = value


def _priority(members: dict[str, Any], name: str, value: Any) -> None:
    members[name] = _whole(name, value, PRIORITY_MIN, PRIORITY_MAX)


def _attempts(members: dict[str, Any], name: str, value: Any) -> None:
    members[name] = _whole(name, value, 1, ATTEMPTS_MAX)


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidError(f"{name} is a whole number from {least} to {most}, not {value!r}")
    return value


def _run_at(members: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, datetime.datetime) or value.utcoffset() is None:
        raise InvalidError(f"run_at is a datetime with a time zone, not {value!r}")
    members[name] = value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _seconds(to: str) -> Callable[[dict[str, Any], str, Any], None]:
    def write(members: dict[str, Any], name: str, value: Any) -> None:
        if value is None:
            return
        seconds = value.total_seconds() if isinstance(value, datetime.timedelta) else value
        if not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
            raise InvalidError(f"{name} is seconds or a timedelta, not negative, not {value!r}")
        members[to] = float(seconds)

    return write


def _unique(members: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        value = Unique(value)
    if not isinstance(value, Unique):
        raise InvalidError(f"unique is a text or a penstock.Unique, not {value!r}")
    members[name] = value.told()


def _after(members: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    several = isinstance(value, Iterable) and not hasattr(value, "id")
    ids = [getattr(one, "id", one) for one in (value if several else [value])]
    for one in ids:
        if not isinstance(one, int) or isinstance(one, bool):
            raise InvalidError(f"after names tasks by handle or id, not {one!r}")
    members[name] = ids


def _after_when(members: dict[str, Any], name: str, value: Any) -> None:
    if value not in ("completed", "ended"):
        raise InvalidError(f"after_when is completed or ended, not {value!r}")
    members[name] = value


def _policy_of(given: Mapping[str, Any]) -> RetryPolicy:
    known = [member.name for member in fields(RetryPolicy)]
    for name in given:
        if name not in known:
            raise InvalidError(f"retry: there is no {name!r}; there are: {', '.join(known)}")
    told = dict(given)
    rules = told.get("errors")
    if rules is not None and not isinstance(rules, Mapping):
        try:
            told["errors"] = {one["type"]: one.get("retry", one.get("delay_s")) for one in rules}
        except (TypeError, KeyError, AttributeError):
            raise InvalidError(
                f"retry: errors is a mapping or a list of rules, not {rules!r}"
            ) from None
    return RetryPolicy(**told)


def _retry(members: dict[str, Any], name: str, value: Any) -> None:
    """How often, too, unless max_attempts says it."""
    if value is None or value is False:
        members[name] = None
        return
    retries: int | None = None
    if isinstance(value, RetryPlan):
        retries = value.retries
        value = RetryPolicy(delay_s=value.delay_s, factor=value.factor)
    elif value is True:
        value = RetryPolicy()
    elif isinstance(value, int):
        retries = _whole(name, value, 0, ATTEMPTS_MAX - 1)
        value = RetryPolicy()
    elif isinstance(value, Mapping):
        value = _policy_of(value)
    elif not isinstance(value, RetryPolicy):
        what = "a bool, a number, a penstock.RetryPolicy or a dict of its members"
        raise InvalidError(f"retry is {what}, not {value!r}")
    if value.retries is not None:
        retries = value.retries
    members[name] = value.told()
    if retries is not None:
        members.setdefault("max_attempts", retries + 1)


_WRITERS: dict[str, Callable[[dict[str, Any], str, Any], None]] = {
    # First, so that it is stronger than what retry says of the same.
    "max_attempts": _attempts,
    "queue": _queue,
    "priority": _priority,
    "run_at": _run_at,
    "delay": _seconds("delay_s"),
    "key": _text,
    "batch": _text,
    "lock": _text,
    "unique": _unique,
    "after": _after,
    "after_when": _after_when,
    "retry": _retry,
    "timeout": _seconds("timeout_s"),
    "keep": _seconds("keep_s"),
}
