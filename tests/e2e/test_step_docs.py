"""The examples of docs/step-workers.md, run as they stand there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.server_process import ROOT, ServerProcess
from harness.step_worker import StepWorker, wait_until

DEADLINE_S = 60


def examples() -> dict[str, str]:
    """The page's Python, by the names of the files."""
    text = (ROOT / "docs" / "step-workers.md").read_text(encoding="utf-8")
    sources = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    return {source.splitlines()[0][2:]: source for source in sources}


def test_the_examples_run(server: ServerProcess, tmp_path: Path) -> None:
    worker = StepWorker(tmp_path / "work", server)
    for name, source in examples().items():
        (worker.folder / name).write_text(source, encoding="utf-8")
    worker.start()
    try:
        wait_until(lambda: list(worker.client.steps.list()), worker.log())
        done = subprocess.run(
            [sys.executable, "client.py"],
            cwd=worker.folder,
            env={**worker.env(), "PENSTOCK_SERVER": server.url},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "{'rows': 3, 'kept': 2}\n"
        assert (worker.folder / "clean.csv").read_bytes() == b"a,1\nb,3\n"
    finally:
        worker.close()
