"""What a power cut may leave of an output: anything, from the first byte on that was not synced."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from pathlib import Path


def sure_bytes(state: Path, job: str) -> int:
    """The committed length of the job's output without what the store has of it, from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("penstock.db", "penstock.db-wal"):
            if (state / name).exists():
                shutil.copy(state / name, folder)
        store = sqlite3.connect(Path(folder) / "penstock.db")
        try:
            query = "SELECT sink_bytes - tail_bytes FROM job WHERE name = ?"
            row = store.execute(query, (job,)).fetchone()
        except sqlite3.OperationalError:  # it died before there was a schema
            row = None
        finally:
            store.close()
    return max(0, row[0]) if row else 0


def power_cut(state: Path, job: str, output: Path, rng: random.Random) -> None:
    """Cuts and garbles the output of a job whose server was killed."""
    if not output.exists():
        return
    sure = sure_bytes(state, job)
    size = output.stat().st_size
    if size <= sure:
        return
    kept = rng.randrange(sure, size + 1)
    with output.open("r+b") as f:
        f.truncate(kept)
        f.seek(sure)
        f.write(rng.randbytes(rng.randrange(kept - sure + 1)))
