"""A worker whose server goes away says so, once, and says when it is back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.native import Native
from harness.run_command import environment
from harness.server_process import ROOT, ServerProcess, binary
from harness.step_worker import wait_until

STEPS = "import penstock\n@penstock.step\ndef one() -> int:\n    return 1\n"
APP = "import penstock\napp = penstock.App()\n@app.task\ndef one() -> int:\n    return 1\n"
RECORDS = "def process_record(record, context):\n    return record\n"

WORKERS = {
    "steps": (STEPS, ["it.py", "--processes", "2", "--python", sys.executable]),
    "tasks": (APP, ["it.py", "--python", sys.executable]),
    "records": (RECORDS, ["it.py", "--job", "j", "--python", sys.executable]),
    "programs": ("", ["--exec", "cat", "--job", "j"]),
}


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_says_that_its_server_is_away(
    server: ServerProcess, kind: str, tmp_path: Path
) -> None:
    source, arguments = WORKERS[kind]
    (tmp_path / "it.py").write_text(source)
    log = tmp_path / "log"
    if "--job" in arguments:
        # Records that never end: a worker of the job has something to wait for.
        (server.data / "in.jsonl").write_text('{"n":1}\n')
        job = {"name": "j", "source": {"path": "in.jsonl"}, "sink": {"path": "out.jsonl"}}
        Native(server).ok("POST", "/jobs", job, 201)
        Native(server).ok("POST", "/jobs/~j/pause")
    command = [binary(), "worker", "--server", server.url, *arguments]
    env = {**environment(), "PENSTOCK_BIN": binary(), "PYTHONPATH": str(ROOT / "python")}
    with log.open("w") as file:
        worker = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        if kind in ("steps", "tasks"):
            # They wait for a server that was never there, too.
            server.kill()
        else:
            path = "/v1/jobs/~j"
            wait_until(lambda: Native(server).ok("GET", path[3:])["workers"], "no worker came")
            server.kill()
        wait_until(lambda: "waiting for the server: " in log.read_text(), "nothing is said")
        assert "the server is back" not in log.read_text()
        server.start()
        wait_until(lambda: "the server is back, after " in log.read_text(), log.read_text())
        if "--processes" not in arguments:
            # Of several, one may just find it away when another finds it back.
            assert log.read_text().count("waiting for the server") == 1
            assert log.read_text().count("the server is back") == 1
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait(60)
