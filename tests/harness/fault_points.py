"""The named places where a test build can be made to fail or to die (src/base/fault.h)."""

from __future__ import annotations

import re
from pathlib import Path

from harness.server_process import ROOT

POINT = re.compile(r'\bFAULT\("([^"]+)"\)')


def all_points() -> list[str]:
    """Every name in the source, sorted."""
    found: set[str] = set()
    for path in sorted((ROOT / "src").rglob("*.c")):
        found.update(POINT.findall(path.read_text()))
    return sorted(found)


def visited(log: Path) -> set[str]:
    """The names that a server with PENSTOCK_FAULT_LOG=log has passed."""
    return set(log.read_text().split()) if log.exists() else set()
