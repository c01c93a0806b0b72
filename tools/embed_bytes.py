#!/usr/bin/env python3
"""Builds a file into the program: embed_bytes.py OUT.c NAME HEADER FILE.

It becomes NAME_bytes, and how many there are NAME_size, as HEADER declares them.
"""

from __future__ import annotations

import sys
from pathlib import Path

BYTES_A_LINE = 16


def main() -> None:
    out, name, header, file = sys.argv[1:]
    data = Path(file).read_bytes()
    lines = [
        ",".join(str(byte) for byte in data[at : at + BYTES_A_LINE]) + ","
        for at in range(0, len(data), BYTES_A_LINE)
    ]
    Path(out).write_text(
        f'#include "{header}"\n\nconst unsigned char {name}_bytes[] = {{\n'
        + "\n".join(lines)
        + f"\n}};\nconst size_t {name}_size = sizeof {name}_bytes;\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
