"""The queue on a full disk: it says so, loses nothing, and goes on when there is room."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.native import problem
from harness.run_command import environment
from harness.server_process import ROOT, ServerProcess, binary
from harness.tasks import Tasks

SHOP = """
import penstock

app = penstock.App()

@app.task(queue="py")
async def double(n: int) -> int:
    return 2 * n
"""
ECHO = r"""sed -u -E 's/.*"n": ?([0-9]+).*/\1/'"""
COUNT = 200
DEADLINE_S = 60.0


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


@pytest.fixture
def shaky(make_server: Callable[..., ServerProcess], shim: FaultShim) -> Tasks:
    """A server whose disk fills up on demand."""
    return Tasks(make_server(env=shim.env))


def fill_up(shim: FaultShim) -> None:
    shim.spoil("write", "/state/", error=errno.ENOSPC)


def test_nothing_is_taken_and_nothing_is_lost(shaky: Tasks, shim: FaultShim) -> None:
    one, two = shaky.enqueue({"function": "f"}, {"function": "f"})
    worker = shaky.work(max=1)
    assert worker.ids == [one]
    fill_up(shim)
    problem(shaky.call("POST", "/tasks", {"tasks": [{"function": "f"}]}), 507, "no-space")
    settlement = {"lease": worker.lease, "completed": [[one, "r"]]}
    problem(shaky.call("POST", "/work/settle", settlement), 507, "no-space")
    problem(shaky.call("POST", "/tasks/cancel", {"all": True}), 507, "no-space")
    assert shaky.list() == [one, two]
    assert (shaky.state(one), shaky.state(two)) == ("running", "pending")
    shim.heal()
    assert shaky.until(lambda: worker.tasks.call("POST", "/work/settle", settlement).status == 200)
    assert shaky.show(one)["result"] == "r"
    assert worker.claim()["tasks"][0]["id"] == two


def test_workers_go_on_when_there_is_room_again(
    shaky: Tasks, shim: FaultShim, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    python = shaky.enqueue(
        *[{"function": "shop.double", "queue": "py", "arguments": {"n": n}} for n in range(COUNT)]
    )
    program = shaky.enqueue(
        *[{"function": "echo", "queue": "sh", "arguments": {"n": n}} for n in range(COUNT)]
    )
    # So few a second that the disk fills up in the middle.
    for queue in ("py", "sh"):
        shaky.ok("PATCH", f"/queues/{queue}", {"rpm": 6000})
    command = [binary(), "worker", "--server", shaky.server.url]
    workers = [
        subprocess.Popen(
            [*command, *args], cwd=tmp_path, stdin=subprocess.DEVNULL,
            env={**environment(), "PYTHONPATH": str(ROOT / "python")},
        )
        for args in (
            ["shop:app", "--python", sys.executable, "--queues", "py"],
            ["--exec", ECHO, "--queues", "sh"],
        )
    ]  # fmt: skip
    try:
        for task in (python[10], program[10]):
            assert shaky.show(task, wait_s=DEADLINE_S)["state"] == "completed"
        fill_up(shim)
        shaky.until(
            lambda: shaky.call("POST", "/tasks", {"tasks": [{"function": "f"}]}).status == 507
        )
        shim.heal()
        for n in range(COUNT):
            assert shaky.show(python[n], wait_s=DEADLINE_S)["result"] == 2 * n
            assert shaky.show(program[n], wait_s=DEADLINE_S)["result"] == n
    finally:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(DEADLINE_S) for worker in workers] == [0, 0]


def test_a_worker_that_comes_while_the_disk_is_full_waits(
    shaky: Tasks, shim: FaultShim, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    ids = shaky.enqueue(
        *[{"function": "shop.double", "queue": "py", "arguments": {"n": n}} for n in range(3)]
    )
    fill_up(shim)
    worker = subprocess.Popen(
        [
            *[binary(), "worker", "--server", shaky.server.url, "shop:app", "--one-shot"],
            *["--python", sys.executable],
        ],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**environment(), "PYTHONPATH": str(ROOT / "python")},
    )  # fmt: skip
    try:
        assert worker.stderr is not None
        assert any("nothing can be claimed until there is room" in line for line in worker.stderr)
        shim.heal()
        worker.stderr.read()
        assert worker.wait(DEADLINE_S) == 0
        assert [shaky.show(one)["result"] for one in ids] == [0, 2, 4]
    finally:
        worker.kill()
        worker.communicate()
