"""The examples of docs/tasks.md, run as they stand there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.fake_queue import FakeQueue
from harness.run_command import environment
from harness.server_process import ROOT, binary

DEADLINE_S = 60


def examples() -> dict[str, str]:
    """The page's Python, by the names of the files; the one without a name is defer.py."""
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    found = {}
    for part in text.split("```python\n")[1:]:
        source = part.split("```")[0]
        first = source.splitlines()[0]
        found[first[2:] if first.startswith("# ") else "defer.py"] = source
    return found


@pytest.fixture
def queue() -> Iterator[FakeQueue]:
    made = FakeQueue()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in examples().items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    return tmp_path


def run(folder: Path, queue: FakeQueue, *command: str) -> str:
    env = {**environment(), "PENSTOCK_SERVER": queue.url, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        text=True,
        timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def work(folder: Path, queue: FakeQueue, app: str) -> None:
    run(folder, queue, binary(), "worker", app, "--python", sys.executable, "--one-shot")


def test_a_program_defers_and_a_worker_in_another_terminal_works(
    folder: Path, queue: FakeQueue
) -> None:
    command = [binary(), "worker", "shop:app", "--python", sys.executable]
    env = {**environment(), "PENSTOCK_SERVER": queue.url}
    worker = subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        told = run(folder, queue, sys.executable, "defer.py")
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)
    assert told == "1 {'path': 'cat.png', 'width': 400}\n"


def test_what_a_generator_yields_runs(folder: Path, queue: FakeQueue) -> None:
    defer = "from stages import parse; parse.defer(path='a')"
    run(folder, queue, sys.executable, "-c", defer)
    work(folder, queue, "stages:app")
    ended = [(task["function"], task.get("result")) for task in queue.tasks.values()]
    assert ended == [("stages.parse", None), *[("stages.index", 1)] * 3]
    assert queue.tasks[4]["arguments"] == {"pages": ["a/2"]}


def test_the_context_tells_progress(folder: Path, queue: FakeQueue) -> None:
    defer = "from report import report; report.defer(rows=250)"
    run(folder, queue, sys.executable, "-c", defer)
    work(folder, queue, "report.py:app")
    assert queue.tasks[1]["result"] == "attempt 1 of task 1"
    assert queue.tasks[1]["timeout_s"] == 600


def test_the_test_of_the_page_passes(folder: Path, queue: FakeQueue) -> None:
    told = run(folder, queue, sys.executable, "-m", "pytest", "-q", "test_shop.py")
    assert "1 passed" in told and not queue.tasks
    assert not os.path.lexists(folder / ".penstock")


def test_the_schedule_is_due_at_its_times(folder: Path, queue: FakeQueue) -> None:
    check = """
import datetime
from nightly import app, report
with app.testing(now=datetime.datetime(2026, 3, 27, 12, tzinfo=datetime.timezone.utc)) as queue:
    queue.travel(datetime.timedelta(days=4))
    print([task.result for task in queue.tasks(report)])
"""
    assert run(folder, queue, sys.executable, "-c", check) == "['Monday', 'Tuesday']\n"
