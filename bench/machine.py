"""What this machine can do at most: the limits beside which Penstock's figures stand."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def sync_rate(folder: Path, seconds: float = 1.0) -> float:
    """Appends of 4 KiB, each made durable, a second."""
    with tempfile.NamedTemporaryFile(dir=folder) as f:
        page, count, began = bytes(4096), 0, time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            os.write(f.fileno(), page)
            os.fdatasync(f.fileno())
            count += 1
        return count / took


def sync_p99_ms(folder: Path, group_bytes: int, rate: int, count: int = 4_000) -> float:
    """Of so many writes a second over bytes that a file has, each made durable: what 99 of a
    hundred take at most. A log that is written again and again, and nothing besides."""
    log_bytes, took = 16 << 20, []
    group = os.urandom(group_bytes)
    with tempfile.NamedTemporaryFile(dir=folder) as f:
        f.write(bytes(log_bytes))
        f.flush()
        os.fsync(f.fileno())
        due = time.perf_counter()
        for i in range(count):
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            os.pwrite(f.fileno(), group, i * group_bytes % (log_bytes - group_bytes))
            os.fdatasync(f.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[count * 99 // 100] * 1e3


def write_bytes_per_s(folder: Path, group_bytes: int, total_bytes: int = 1 << 29) -> float:
    """Bytes a second appended in groups of this size, each group made durable."""
    group = os.urandom(group_bytes)
    with tempfile.NamedTemporaryFile(dir=folder) as f:
        began = time.perf_counter()
        for _ in range(max(1, total_bytes // group_bytes)):
            os.write(f.fileno(), group)
            os.fdatasync(f.fileno())
        took = time.perf_counter() - began
        return max(1, total_bytes // group_bytes) * group_bytes / took


def memory_bytes_per_s(seconds: float = 0.5) -> float:
    """Bytes a second that one core copies."""
    source, target = bytearray(1 << 26), bytearray(1 << 26)
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        target[:] = source
        count += 1
    return count * len(source) / took


@contextlib.contextmanager
def _bare(*command: str) -> Iterator[int]:
    """A program that tells its port and ends with its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def bare_mhd(build: Path, body_bytes: int) -> contextlib.AbstractContextManager[int]:
    """libmicrohttpd that answers at once with so many bytes; gives its port."""
    return _bare(str(build / "bench" / "bare_mhd"), str(body_bytes))


def bare_streams(build: Path) -> contextlib.AbstractContextManager[int]:
    """An epoll loop that sends to many streams; gives its port."""
    return _bare(str(build / "bench" / "bare_streams"))
