#!/usr/bin/env python3
"""Holds the borders of the design: prints each breach and ends with status 1 when there is one.

A file includes only headers of its own layer or of one below; names of files are unique in src/;
SQL and SQLite stay in store/, processes are started in one file, main.c alone has main().
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

# From the bottom up. store/ keeps what core/ defines; core/ knows of no store.
LAYERS = ["base", "core", "store", "io", "engine", "http", "run", "cli"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
SQL = re.compile(
    r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|PRAGMA)\s[^"]*', re.IGNORECASE
)
PROCESS = re.compile(
    r"\b(fork|vfork|posix_spawnp?|execv[pe]*|execl[pe]*|execveat|popen|system)\s*\("
)
# Where a process may be started.
SPAWNERS = {"src/base/spawn.c"}


def breaches(root: Path) -> list[str]:
    found: list[str] = []
    names: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "src").rglob("*.[ch]*")):
        name = path.relative_to(root).as_posix()
        layer = path.relative_to(root / "src").parts[0]
        names[path.name].append(name)
        if layer not in LAYERS:
            found.append(f"{name}: {layer}/ is no layer of the design")
            continue
        text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), path.read_text())
        found += file_breaches(name, layer, text)
    for base, places in names.items():
        if len(places) > 1:
            found.append(f"{base}: the name is taken more than once: {', '.join(places)}")
    return found


def file_breaches(name: str, layer: str, text: str) -> list[str]:
    found: list[str] = []

    def say(at: int, what: str) -> None:
        found.append(f"{name}:{text.count(chr(10), 0, at) + 1}: {what}")

    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    for match in INCLUDE.finditer(text):
        quote, header = match.groups()
        target = header.split("/")[0]
        if quote == '"' and "/" not in header:
            say(match.start(), f'"{header}": write includes from src/ on, "{layer}/{header}"')
        elif quote == '"' and target not in allowed:
            say(match.start(), f'"{header}" stands above {layer}/')
        if header in {"sqlite3.h", "libpq-fe.h"} and layer != "store":
            say(match.start(), f"<{header}> belongs to store/")
        if header == "openssl/ssl.h" and layer != "http":
            say(match.start(), f"<{header}> belongs to http/")
    if layer != "store":
        for match in SQL.finditer(text):
            say(match.start(), f"SQL outside store/: {match.group().strip()[:40]}")
    if name not in SPAWNERS:
        for match in PROCESS.finditer(text):
            say(match.start(), f"{match.group(1)}() outside {' or '.join(sorted(SPAWNERS))}")
    return found


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    found = breaches(root)
    for line in found:
        print(line)
    print(f"layers: {len(found)} breaches" if found else "layers: every border holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
