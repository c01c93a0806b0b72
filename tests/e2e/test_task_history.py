"""The checker of histories finds what it is there to find."""

from __future__ import annotations

import pytest
from harness.task_history import Event, Fact, Limit, TaskHistory

Told = list[tuple[str, float, list[tuple[int, int, int]]]]


def faults(told: Told, facts: dict[int, Fact], limits: list[Limit] | None = None) -> str:
    events = [Event(n, at, f"task.{kind}", tasks) for n, (kind, at, tasks) in enumerate(told)]
    history = TaskHistory(facts, limits or []).follow(events)
    return "\n".join(history.must_have_ended().faults)


def enqueued(*ids: int) -> tuple[str, float, list[tuple[int, int, int]]]:
    return ("enqueued", 0.0, [(i, 0, 0) for i in ids])


def test_a_good_history_has_no_faults() -> None:
    told: Told = [
        enqueued(1, 2, 3),
        ("started", 1.0, [(2, 1, 7)]),
        ("failed", 1.1, [(2, 1, 7)]),
        ("started", 2.0, [(1, 1, 7)]),
        ("lost", 3.0, [(1, 1, 7)]),
        ("started", 4.0, [(1, 2, 8)]),
        ("completed", 5.0, [(1, 2, 8)]),
        ("started", 6.0, [(2, 2, 8)]),
        ("dead", 7.0, [(2, 2, 8)]),
        ("retried", 7.0, [(2, 2, 0)]),
        ("started", 8.0, [(2, 3, 8)]),
        ("returned", 8.5, [(2, 3, 8)]),
        ("started", 9.0, [(2, 4, 8)]),
        ("started", 10.0, [(3, 1, 8)]),
        ("completed", 10.0, [(2, 4, 8)]),
        ("completed", 11.0, [(3, 1, 8)]),
    ]
    facts = {1: Fact(lock="l"), 2: Fact(lock="l", priority=5), 3: Fact(after=[1, 2])}
    limit = Limit("all", lambda fact: True, concurrency=1, rpm=60)
    assert faults(told, facts, [limit]) == ""


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([enqueued(1)], "task 1 is waiting at the end"),
        ([], "task 1 is unknown at the end"),
        ([enqueued(1), enqueued(1)], "it is waiting"),
        ([("started", 1.0, [(1, 1, 7)])], "it is unknown"),
        ([enqueued(1), ("started", 1.0, [(1, 1, 0)])], "no session has it"),
        (
            [enqueued(1), ("started", 1.0, [(1, 1, 7)]), ("started", 1.0, [(1, 2, 8)])],
            "it is running",
        ),
        (
            [
                enqueued(1),
                ("started", 1.0, [(1, 1, 7)]),
                ("lost", 1.0, [(1, 1, 7)]),
                ("started", 2.0, [(1, 1, 8)]),
            ],
            "its fence is 1 after 1",
        ),
        (
            [enqueued(1), ("started", 1.0, [(1, 1, 7)]), ("completed", 1.0, [(1, 1, 8)])],
            "started with 1 by 7",
        ),
        (
            [
                enqueued(1),
                ("started", 1.0, [(1, 1, 7)]),
                ("completed", 1.0, [(1, 1, 7)]),
                ("completed", 1.0, [(1, 1, 7)]),
            ],
            "it is completed",
        ),
        ([enqueued(1, 2), ("started", 1.0, [(1, 1, 7), (2, 1, 7)])], "task 1 has its lock"),
        ([enqueued(1, 2), ("started", 1.0, [(2, 1, 7)])], "task 1 of its lock comes before"),
        ([enqueued(3), ("started", 1.0, [(3, 1, 7)])], "its parent 1 is unknown"),
        ([("vanished", 1.0, [(1, 1, 7)])], "unknown kind"),
        ([enqueued(4, 5, 6), ("started", 1.0, [(n, 1, 7) for n in (4, 5, 6)])], "3 of all run"),
        (
            [
                enqueued(4, 5),
                ("started", 1.0, [(4, 1, 7)]),
                ("started", 1.9, [(5, 1, 7)]),
            ],
            "2 of all start within 1 s",
        ),
    ],
)
def test_each_fault_is_told(told: Told, says: str) -> None:
    facts = {1: Fact(lock="l"), 2: Fact(lock="l"), 3: Fact(after=[1])}
    facts |= {4: Fact(), 5: Fact(), 6: Fact()}
    limit = Limit("all", lambda fact: fact.lock is None, concurrency=2, rpm=60)
    assert says in faults(told, facts, [limit])
