"""The crash loop as tests: PENSTOCK_CRASH_ROUNDS kills of each kind (150), seed PENSTOCK_CRASH_SEED
(drawn)."""

from __future__ import annotations

import os
import random

import pytest
from crash.crash_loop import KINDS, loop, missed_by, seek

PASSED: dict[str, set[str]] = {}


def drawn_seed() -> str:
    return os.environ.get("PENSTOCK_CRASH_SEED") or f"{random.randrange(1 << 32):08x}"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_kill_loses_or_doubles_a_record(kind: str) -> None:
    rounds = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "150"))
    seed = drawn_seed()
    outcome = loop(kind, rounds, seed)
    PASSED[kind] = outcome.points
    print(f"seed {seed}: {outcome.rounds} kills in {outcome.stories} stories")
    assert not outcome.broken, "\n".join(outcome.broken)


@pytest.mark.timeout(1200)
def test_every_crash_point_was_passed() -> None:
    assert set(PASSED) == set(KINDS), "the loops come first"
    passed = set().union(*PASSED.values())
    sought = seek(missed_by(passed), drawn_seed())
    assert not sought.broken, "\n".join(sought.broken)
    missed = missed_by(passed | sought.points)
    assert not missed, f"crash points never passed: {missed}"
