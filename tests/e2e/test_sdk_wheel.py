"""The wheel: installed into a fresh environment, it gives the command and all that it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from harness.server_process import ROOT, binary


def run(*command: str | Path, **env: str) -> str:
    ran = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(folder: Path, program: str) -> Path:
    """A wheel, made of a copy: building leaves things beside the sources."""
    copy = folder / "python"
    shutil.copytree(ROOT / "python", copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", folder / "wheels", copy, PENSTOCK_BINARY=program)
    (wheel,) = (folder / "wheels").glob("*.whl")
    return wheel


def test_an_installed_wheel_gives_the_command(tmp_path: Path) -> None:
    wheel = build(tmp_path, binary())
    assert "-py3-none-linux_" in wheel.name
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    # What it depends on is taken from here, not from the network.
    (site,) = (venv / "lib").glob("python*/site-packages")
    assert (site / "penstock" / "py.typed").exists()
    shutil.copytree(Path(orjson.__file__).parent, site / "orjson")
    (tmp_path / "task.py").write_text("async def process_record(r, c): return {'n': r['n'] + 1}")
    (tmp_path / "in.jsonl").write_text('{"n":1}\n{"n":2}\n')
    command = (venv / "bin" / "penstock", "run", tmp_path / "task.py")
    paths = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    # No environment is active: the command takes the Python beside it.
    run(*command, *paths, VIRTUAL_ENV="", PYTHONPATH="")
    assert sorted((tmp_path / "out.jsonl").read_text().splitlines()) == ['{"n":2}', '{"n":3}']


def test_the_python_part_alone_is_for_every_platform(tmp_path: Path) -> None:
    assert build(tmp_path, "none").name.endswith("-py3-none-any.whl")


def test_without_the_program_the_build_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="build the program first"):
        build(tmp_path, str(tmp_path / "nowhere"))
