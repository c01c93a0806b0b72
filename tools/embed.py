#!/usr/bin/env python3
"""Builds files into the program: embed.py OUT.c VERSION FILE...

Each becomes a `struct page_file` named after it: docs.html is page_docs_html. JSON loses its
blanks, and an OpenAPI document gets the program's version.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

BYTES_A_LINE = 16


def content(path: Path, version: str) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    document = json.loads(path.read_text(encoding="utf-8"))
    if "openapi" in document:
        document["info"]["version"] = version
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def definition(path: Path, version: str) -> str:
    name = "page_" + re.sub(r"[^a-z0-9]", "_", path.name.lower())
    data = content(path, version)
    lines = [
        ",".join(str(byte) for byte in data[at : at + BYTES_A_LINE]) + ","
        for at in range(0, len(data), BYTES_A_LINE)
    ]
    return (
        f"static const unsigned char {name}_bytes[] = {{\n" + "\n".join(lines) + "\n};\n"
        f"const struct page_file {name} = {{(const char *){name}_bytes, sizeof {name}_bytes}};\n"
    )


def main() -> None:
    out, version, *files = sys.argv[1:]
    parts = ['#include "http/native/native_pages.h"\n']
    parts += [definition(Path(file), version) for file in files]
    Path(out).write_text("\n".join(parts), encoding="ascii")


if __name__ == "__main__":
    main()
