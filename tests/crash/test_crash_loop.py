"""The crash loop as a test: PENSTOCK_CRASH_ROUNDS kills (200), seed PENSTOCK_CRASH_SEED (drawn)."""

from __future__ import annotations

import os
import random

import pytest
from crash.crash_loop import loop


@pytest.mark.timeout(3600)
def test_no_kill_loses_or_doubles_a_record() -> None:
    rounds = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "200"))
    seed = os.environ.get("PENSTOCK_CRASH_SEED") or f"{random.randrange(1 << 32):08x}"
    outcome = loop(rounds, seed)
    print(f"seed {seed}: {outcome.rounds} kills in {outcome.stories} stories")
    assert not outcome.broken, "\n".join(outcome.broken)
    assert not outcome.missed, f"seed {seed}: crash points never passed: {outcome.missed}"
