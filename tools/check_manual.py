#!/usr/bin/env python3
"""Holds docs/penstock.1 against the program and against groff: check_manual.py PENSTOCK."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MANUAL = Path(__file__).resolve().parent.parent / "docs" / "penstock.1"


def main() -> int:
    penstock = sys.argv[1]
    made = subprocess.run([penstock, "help", "--man"], check=True, capture_output=True, text=True)
    if made.stdout != MANUAL.read_text():
        print("docs/penstock.1 does not say what --help says; make it again:")
        print(f"  {penstock} help --man >docs/penstock.1")
        return 1
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-Z", str(MANUAL)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if shown.returncode or shown.stderr:
        print(shown.stderr, end="")
        return 1
    print("manual: says what --help says, and groff has no complaint")
    return 0


if __name__ == "__main__":
    sys.exit(main())
