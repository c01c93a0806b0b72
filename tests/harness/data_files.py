"""Inputs that tests make, and outputs that they read back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zstandard


def write_jsonl(path: Path, records: Iterable[Any]) -> Path:
    with path.open("w", encoding="utf-8") as f:
        for record in records:
            f.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def numbered(count: int) -> list[dict[str, Any]]:
    """Records that tell their own number."""
    return [{"n": n, "text": f"record {n}"} for n in range(count)]


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed as its name says."""
    raw = path.read_bytes() if path.exists() else b""
    if path.suffix == ".gz":
        return gzip.decompress(raw) if raw else b""
    if path.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as f:
            return f.read()
    return raw


def read_jsonl(path: Path) -> list[Any]:
    """Every line parsed; a broken one raises, an empty one too, and so does a torn last one."""
    raw = read_bytes(path)
    assert raw == b"" or raw.endswith(b"\n"), raw[-100:]
    return [json.loads(line) for line in raw.split(b"\n")[:-1]]


def metadata(source: Path | None, output: Path | None, **more: Any) -> dict[str, Any]:
    """What a Planchet user sends along when a job is started."""
    told: dict[str, Any] = dict(more)
    if source is not None:
        told["input_file_path"] = str(source)
    if output is not None:
        told["output_file_path"] = str(output)
    return told


def once_each(output: list[Any], count: int, key: str = "n") -> None:
    """Asserts that every number below `count` is there exactly once."""
    got = sorted(record[key] for record in output)
    assert got == list(range(count)), (
        f"{len(got)} records, {len(set(got))} different, of {count};"
        f" missing {sorted(set(range(count)) - set(got))[:10]}"
    )
