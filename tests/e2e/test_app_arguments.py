"""Arguments of tasks: what annotations let through, what they make of it, and what is told."""

# ruff: noqa: UP007, UP045 - both forms are to be read

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import sys
import typing
import uuid
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))
import penstock
from penstock.arguments import ArgumentsError, Signature


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    next: Point | None = None


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Shape(TypedDict, total=False):
    name: str
    points: typing.List[Point]  # noqa: UP006


def signature(annotation: Any) -> Signature:
    def function(a: Any) -> None: ...

    function.__annotations__["a"] = annotation
    return Signature("function", function)


NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
GOOD: list[tuple[Any, Any, Any]] = [
    (int, 5, 5),
    (int, 1 << 70, 1 << 70),
    (float, 5, 5),
    (float, 0.1, 0.1),
    (str, "\0\n\u00e9", "\0\n\u00e9"),
    (bool, True, True),
    (None, None, None),
    (Any, {"x": [1, None]}, {"x": [1, None]}),
    (Optional[int], None, None),
    (Union[int, str], "5", "5"),
    (Union[datetime.datetime, str], NOON, "2026-01-02T12:00:00+00:00"),
    (Optional[datetime.datetime], NOON, "2026-01-02T12:00:00+00:00"),
    (datetime.date, NOON.date(), "2026-01-02"),
    (datetime.timedelta, datetime.timedelta(minutes=1), 60.0),
    (uuid.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal, decimal.Decimal("1.10"), "1.10"),
    (pathlib.Path, pathlib.Path("/a/b"), "/a/b"),
    (bytes, b"\xff", "/w=="),
    (Color, Color.BLUE, 2),
    (Literal["a", 1], 1, 1),
    (typing.List[int], [1, 2], [1, 2]),  # noqa: UP006
    (list[Point], [Point(1)], [{"x": 1, "y": 0.5, "next": None}]),
    (Point, Point(1, 2.0, Point(3)), None),
    (tuple[int, ...], (1, 2), [1, 2]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (set[int], {1}, [1]),
    (dict[str, Point], {"p": Point(1)}, {"p": {"x": 1, "y": 0.5, "next": None}}),
    (Pair, Pair(1, "x"), [1, "x"]),
    (Shape, {"name": "n", "points": [Point(1)]}, None),
]


@pytest.mark.parametrize(("annotation", "value", "told"), GOOD)
def test_what_fits_comes_back_as_it_was(annotation: Any, value: Any, told: Any) -> None:
    sign = signature(annotation)
    packed = sign.pack({"a": value})
    if told is not None:
        assert packed == {"a": told}
    made = sign.unpack(packed)["a"]
    first_of_union = annotation == Union[datetime.datetime, str]
    assert first_of_union or ((made == value and type(made) is type(value)) or annotation is float)


BAD: list[tuple[Any, Any, str]] = [
    (int, "5", "a must be a whole number, not '5'"),
    (int, True, "a must be a whole number, not True"),
    (int, 5.0, "a must be a whole number, not 5.0"),
    (float, "x", "a must be a number, not 'x'"),
    (str, 5, "a must be a text, not 5"),
    (Optional[int], "x", "a must be int or null, not 'x'"),
    (list[int], [1, "x"], "a[1] must be a whole number, not 'x'"),
    (dict[str, list[int]], {"k": [None]}, "a.k[0] must be a whole number, not None"),
    (Point, {"x": "1"}, "a.x must be a whole number, not '1'"),
    (Point, {"y": 1}, "a must be a Point, which needs 'x'"),
    (Point, {"x": 1, "z": 1}, "a must be a Point, which has no 'z'"),
    (Point, {"x": 1, "next": {"x": None}}, "a.next.x must be a whole number, not None"),
    (Color, "green", "a must be one of 'red', 2, not 'green'"),
    (Literal["a", "b"], "c", "a must be one of 'a', 'b', not 'c'"),
    (tuple[int, str], [1], "a must be a list of 2, not [1]"),
    (datetime.datetime, "tomorrow", "a must be a date and time (ISO 8601), not 'tomorrow'"),
    (Any, math.nan, "a is nan, which is no JSON"),
    (Any, {"deep": [math.inf]}, "a.deep[0] is inf, which is no JSON"),
    (Any, object, "is a type, which is no JSON"),
    (Any, {1: 2}, "a has a key that is no text: 1"),
    (Any, "\ud800", "a is no text: it has half of a surrogate pair"),
    (str, "x" * 1000, ""),
]


@pytest.mark.parametrize(("annotation", "value", "told"), BAD)
def test_what_does_not_fit_is_told_by_function_argument_and_value(
    annotation: Any, value: Any, told: str
) -> None:
    sign = signature(annotation)
    if not told:
        sign.pack({"a": value})
        return
    with pytest.raises(ArgumentsError) as caught:
        sign.pack({"a": value})
    assert str(caught.value).startswith("function: argument ") or "function: a" in str(caught.value)
    assert told in str(caught.value) and len(str(caught.value)) < 400


def test_names_are_looked_at() -> None:
    def function(a: int, *, b: int = 2, **rest: str) -> None: ...

    sign = Signature("function", function)
    assert sign.pack({"a": 1, "c": "x"}) == {"a": 1, "c": "x"}
    with pytest.raises(ArgumentsError, match="argument c must be a text"):
        sign.pack({"a": 1, "c": 5})
    with pytest.raises(ArgumentsError, match="argument 'a' is missing"):
        sign.pack({"b": 1})
    with pytest.raises(ArgumentsError, match="arguments are an object, not 5"):
        sign.unpack(5)

    def strict(a: int) -> None: ...

    with pytest.raises(ArgumentsError, match="there is no argument 'b', 'c'"):
        Signature("strict", strict).pack({"a": 1, "b": 1, "c": 2})


def test_a_type_that_no_json_makes_is_an_error_where_the_task_is_made() -> None:
    app = penstock.App("http://127.0.0.1:1")
    with pytest.raises(TypeError, match=r"argument 'a': a .*object_ cannot be made of JSON"):

        class object_:
            pass

        def function(a: Any) -> None: ...

        function.__annotations__["a"] = object_
        app.task(name="function")(function)
    with pytest.raises(TypeError, match="argument 'a' cannot be given by name"):
        app.task(name="other")(eval("lambda a, /: a"))


def test_what_cannot_be_evaluated_is_left_unchecked() -> None:
    def function(a: Nowhere, b: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    sign = Signature("function", function)
    assert sign.pack({"a": [1], "b": 1}) == {"a": [1], "b": 1}
    with pytest.raises(ArgumentsError):
        sign.pack({"a": 1, "b": "x"})


def test_settings_are_checked() -> None:
    app = penstock.App("http://127.0.0.1:1")
    task = app.configure_task("f")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"priority": 1 << 20}, "priority is a whole number from -32768 to 32767"),
        ({"queue": ""}, "queue is 1 to 512 bytes"),
        ({"queue": "a\nb"}, "queue is 1 to 512 bytes"),
        ({"run_at": datetime.datetime(2026, 1, 1)}, "run_at is a datetime with a time zone"),
        ({"run_at": NOON, "delay": 5}, "run_at and delay exclude each other"),
        ({"delay": -1}, "delay is seconds or a timedelta, not negative"),
        ({"timeout": math.nan}, "timeout is seconds"),
        ({"colour": 1}, "there is no setting 'colour'"),
        ({"retry": "often"}, "retry is a bool, a number, a penstock.RetryPolicy or a dict"),
        ({"retry": {"colour": 1}}, "retry: there is no 'colour'; there are: retries, kind"),
        ({"retry": {"kind": "odd"}}, "retry: kind is fixed, linear or exponential"),
        ({"retry": {"errors": [1]}}, "retry: errors is a mapping or a list of rules"),
        ({"retry": {"delay_s": math.inf}}, "retry: delay_s is a number, not inf"),
        ({"retry": {"factor": "2"}}, "retry: factor is a number, not '2'"),
        ({"retry": {"jitter": True}}, "retry: jitter is a number, not True"),
        ({"retry": {"errors": {ValueError: math.nan}}}, "retry: errors: ValueError is a number"),
        ({"after": "x"}, "after names tasks by handle or id"),
        ({"unique": 5}, "unique is a text or a penstock.Unique"),
        ({"after_when": "later"}, "after_when is completed or ended"),
    ]
    for settings, told in wrong:
        with pytest.raises(penstock.InvalidError, match=told.replace("(", r"\(")):
            task.configure(**settings)
    call = task.configure(queue="\u00e9" * 200, delay=datetime.timedelta(minutes=1), after=[1, 2])
    assert call.call().told()["delay_s"] == 60 and call.call().told()["after"] == [1, 2]


def test_settings_are_made_of_arguments() -> None:
    app = penstock.App("http://127.0.0.1:1", queue="q")

    @app.task(name="t", lock="d-{dataset}", key=lambda dataset, **_: dataset.upper(), retry=2)
    def task(dataset: str, n: int = 1) -> None: ...

    told = task.call(dataset="x").told()
    assert told["lock"] == "d-x" and told["key"] == "X" and told["max_attempts"] == 3
    assert told["queue"] == "q" and told["retry"]["kind"] == "exponential"
    changed = task.configure(lock="other", max_attempts=9, retry=2).call(dataset="x").told()
    assert changed["lock"] == "other" and changed["key"] == "X" and changed["max_attempts"] == 9
    by_name = app.configure_task("t", priority=3).call(dataset="y").told()
    assert by_name["lock"] == "d-y" and by_name["priority"] == 3
    with pytest.raises(ArgumentsError):
        app.configure_task("t").call(dataset=5)


def test_the_retry_decorator_is_the_server_s_policy() -> None:
    app = penstock.App("http://127.0.0.1:1")

    @app.task(name="t")
    @penstock.retry(retries=4, initial_delay=2, backoff_factor=3)
    def task() -> None: ...

    told = task.call().told()
    assert told["max_attempts"] == 5
    assert told["retry"]["delay_s"] == 2 and told["retry"]["factor"] == 3
    rules = [{"type": "A", "retry": False}, {"type": "B", "delay_s": 3}]
    for errors in (rules, {"A": False, "B": 3}):
        given = {"retries": 2, "kind": "fixed", "delay_s": 5, "errors": errors}
        told = task.configure(retry=given).call().told()
        assert told["max_attempts"] == 3 and told["retry"]["kind"] == "fixed"
        assert told["retry"]["delay_s"] == 5 and told["retry"]["errors"] == rules
    policy = penstock.RetryPolicy(errors={ValueError: False, "Busy": 5.0, KeyError: True})
    told = task.configure(retry=policy).call().told()
    assert told["retry"]["errors"] == [
        {"type": "ValueError", "retry": False},
        {"type": "Busy", "delay_s": 5.0},
        {"type": "KeyError", "retry": True},
    ]
