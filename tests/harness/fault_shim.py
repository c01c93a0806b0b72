"""The test's side of fault_shim.c: makes a running server's system calls fail."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import pytest

from harness.server_process import binary

KINDS = ("write", "sync", "cut", "read")
SHORT, INTERRUPT = 1, 2
RULE = struct.Struct("=5i")
WHERE_BYTES = 64
SIZE = RULE.size * len(KINDS) + WHERE_BYTES


def library() -> Path:
    return Path(binary()).parent / "tests" / "crash" / "libfault_shim.so"


class FaultShim:
    """Give `env` to the server; then `spoil` and `heal`, while it runs."""

    def __init__(self, folder: Path) -> None:
        if not library().exists():
            pytest.skip("needs a build with tests: libfault_shim.so")
        path = folder / "shim"
        path.write_bytes(bytes(SIZE))
        with path.open("r+b") as f:
            self.map = mmap.mmap(f.fileno(), SIZE)
        self.env = {"LD_PRELOAD": str(library()), "FAULT_SHIM_FILE": str(path)}

    def spoil(
        self,
        kind: str,
        where: str,
        *,
        error: int = 0,
        quirk: int = 0,
        after: int = 0,
        times: int = -1,
    ) -> None:
        """Calls of this kind on files whose path contains `where` fail with an errno, or are odd:
        `times` of them (-1: all) after `after` that go well."""
        place = SIZE - WHERE_BYTES
        self.map[place:SIZE] = where.encode().ljust(WHERE_BYTES, b"\0")
        RULE.pack_into(self.map, KINDS.index(kind) * RULE.size, error, quirk, after, times, 0)

    def heal(self) -> None:
        """Everything goes well again."""
        self.map[0 : SIZE - WHERE_BYTES] = bytes(SIZE - WHERE_BYTES)

    def seen(self, kind: str) -> int:
        """How many calls were spoiled since the rule was set."""
        return int(RULE.unpack_from(self.map, KINDS.index(kind) * RULE.size)[4])
