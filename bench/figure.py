"""What a measure gives: figures, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
INPUTS = BUILD / "bench-data"
RECORD_BYTES = 250


@dataclass
class Figure:
    name: str
    value: float
    unit: str
    goal: float | None = None
    peer: float | None = None
    ratio: float | None = None
    limit: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.peer and self.ratio is None:
            self.ratio = self.value / self.peer


@dataclass
class Bench:
    folder: Path
    rounds: int
    jsonlbatch: Path | None = None  # folder of the original, for measures beside it
    peer_python: str = "python3"  # with what the original imports


def record_line(n: int, size: int = RECORD_BYTES) -> str:
    """One record of `size` bytes with its line end, different from all others."""
    title = f"record number {n * 7919 % 1000003}"
    head = f'{{"id": {n}, "title": "{title}", "score": {n % 997 / 8}, "text": "'
    words = "water turbine gate reservoir pipe flow " * 8
    return head + words[: size - len(head) - 3] + '"}\n'


def input_file(count: int, size: int = RECORD_BYTES) -> Path:
    """The input of so many records, made once."""
    path = INPUTS / (f"{count}.jsonl" if size == RECORD_BYTES else f"{count}x{size}.jsonl")
    if not path.exists():
        print(f"bench: making an input of {count:,} records", flush=True)
        INPUTS.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w") as f:
            for first in range(0, count, 10_000):
                f.writelines(record_line(n, size) for n in range(first, min(count, first + 10_000)))
        part.rename(path)
    return path


def shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def rows_of(figures: list[Figure]) -> list[list[str]]:
    """The rows of a table, each with its name first."""
    return [
        [f.name, shown(f.value), f.unit, shown(f.goal), shown(f.peer), shown(f.ratio),
         shown(f.limit), f.note]
        for f in figures
    ]  # fmt: skip


def table(rows: list[list[str]]) -> str:
    """The rows as a table in Markdown."""
    head = ["what", "value", "unit", "promised", "peer", "ratio", "limit", ""]
    wide = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = [head, ["-" * w for w in wide], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, wide, strict=True)) + " |"
        for line in lines
    )


def rows_in(text: str) -> list[list[str]]:
    """The rows of such a table again."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]
