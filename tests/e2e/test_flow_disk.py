"""Flows on a full disk: it is said, nothing that was done is lost, and all goes on with room."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from harness.fault_shim import FaultShim
from harness.flow_command import DEADLINE_S, FlowApp, wait_until

FULL = "No space left on device"


@pytest.fixture
def app(tmp_path: Path) -> FlowApp:
    app = FlowApp(tmp_path / "app")
    os.mkfifo(app.out("go"))
    app.shell(
        "1|-1|1|0|First|echo 1 >>$OUT/ran",
        "2|1|1|0|Waits|echo 2 >>$OUT/ran; read go <$OUT/go",
        "3|2|1|0|Last|echo 3 >>$OUT/ran",
    )
    return app


@pytest.fixture
def shim(tmp_path: Path) -> FaultShim:
    return FaultShim(tmp_path)


def fill_up(shim: FaultShim) -> None:
    shim.spoil("write", "/temp/", error=errno.ENOSPC)


def until_it_says(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def start_and_fill_up(app: FlowApp, shim: FaultShim) -> subprocess.Popen[str]:
    """Node 1 is complete; what became of node 2 cannot be written down, and that is said."""
    process = app.start(env=shim.env)
    wait_until(lambda: app.ran() == ["1", "2"])
    fill_up(shim)
    app.out("go").write_text("go\n")
    until_it_says(process, "told again until it is taken")
    return process


def test_a_disk_that_is_full_from_the_start_is_told(app: FlowApp, shim: FaultShim) -> None:
    fill_up(shim)
    done = app.run(env=shim.env)
    assert done.returncode == 3
    assert FULL in done.stderr
    assert app.ran() == []


def test_a_run_goes_on_when_there_is_room_again(app: FlowApp, shim: FaultShim) -> None:
    process = start_and_fill_up(app, shim)
    shim.heal()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert app.ran() == ["1", "2", "3"]


def test_what_was_complete_before_stays_so(app: FlowApp, shim: FaultShim) -> None:
    process = start_and_fill_up(app, shim)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    again = app.start("-r")
    app.out("go").write_text("go\n")
    again.communicate(timeout=DEADLINE_S)
    assert again.returncode == 0
    # That node 2 was done was told nowhere.
    assert app.ran() == ["1", "2", "2", "3"]
