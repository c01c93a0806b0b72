"""Others that run graphs of tasks: the same shapes of nodes that do nothing, written for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from figure import ROOT

#: What tools/setup.sh makes of bench/requirements-flow.txt.
PYTHON = ROOT / ".venv-flow-peers" / "bin" / "python"
TOGETHER = 8


@dataclass(frozen=True)
class Shape:
    """Nodes from 1 on: all at once, or each behind the one before."""

    name: str
    count: int

    def parent(self, number: int) -> int:
        """0: none."""
        return number - 1 if self.name == "chain" else 0


def seconds(command: list[str], folder: Path) -> float:
    """How long a command takes; it must succeed."""
    began = time.perf_counter()
    with (folder / "said").open("wb") as said:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={k: v for k, v in os.environ.items() if k[:4] != "APP_"} | {"USER": "bench"},
            check=False,
        )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}: {(folder / 'said').read_text()[-2000:]}")
    return took


def list_file(shape: Shape, what: str) -> str:
    """A task list; `what` stands for module and class, or the shell's command."""
    head = "#SHELL\n" if "|" not in what else "#PYTHON\n"
    behind = "/dev/null" if "|" not in what else "|/dev/null"
    rows = (
        f"{n}|{shape.parent(n) or -1}|1|0|node {n}|{what}|{behind}\n"
        for n in range(1, shape.count + 1)
    )
    return head + "".join(rows)


def pyrunner(shape: Shape, folder: Path) -> list[str]:
    """python-batch-runner 5.2.1. Its lists need a log for every node, and a profile."""
    for name in ("config", "workers", "temp", "logs"):
        (folder / name).mkdir()
    lists = list_file(shape, "noop|Noop").replace("||/dev/null", f"|{{}}|{folder}/logs/n.log")
    (folder / "config" / "bench.lst").write_text(lists.replace("{}", " "))
    (folder / "workers" / "noop.py").write_text(
        "from pyrunner import Worker\n\n\nclass Noop(Worker):\n    def run(self):\n        pass\n"
    )
    (folder / "config" / "app_profile").write_text(
        f"export APP_NAME=bench APP_ROOT_DIR={folder} APP_CONFIG_DIR={folder}/config\n"
        f"export APP_TEMP_DIR={folder}/temp APP_ROOT_LOG_DIR={folder}/logs\n"
        f"export APP_LOG_DIR={folder}/logs APP_WORKER_DIR={folder}/workers\n"
    )
    # Polled as often as it can be.
    (folder / "main.py").write_text(
        "import sys\nfrom pyrunner import PyRunner\n\nsys.exit(PyRunner().execute())\n"
    )
    options = ["-c", "config/app_profile", "-l", "config/bench.lst", "--nozip", "--silent"]
    return [str(PYTHON), "main.py", *options, "-n", str(TOGETHER), "-t", "1000000"]


def make(shape: Shape, folder: Path) -> list[str]:
    """GNU make; the recipe is one that it gives to a shell."""
    rules = [f"all: {' '.join(f't{n}' for n in range(1, shape.count + 1))}\n"]
    for n in range(1, shape.count + 1):
        before = shape.parent(n)
        rules.append(f"t{n}:{f' t{before}' if before else ''}\n\t@:;:\n")
    (folder / "Makefile").write_text(".PHONY: all\n" + "".join(rules))
    return ["make", "-j", str(TOGETHER), "all"]


def ninja(shape: Shape, folder: Path) -> list[str]:
    rules = ["rule nothing\n command = :;:\n"]
    for n in range(1, shape.count + 1):
        before = shape.parent(n)
        rules.append(f"build t{n}: nothing{f' t{before}' if before else ''}\n")
    (folder / "build.ninja").write_text("".join(rules))
    return ["ninja", "-j", str(TOGETHER), "--quiet"]


def luigi(shape: Shape, folder: Path) -> list[str]:
    (folder / "nodes.py").write_text(
        "import sys\nimport luigi\n\n\n"
        "class Node(luigi.Task):\n"
        "    number = luigi.IntParameter()\n    ran = False\n\n"
        "    def requires(self):\n"
        f"        return [Node(self.number - 1)] if {shape.name == 'chain'} and self.number > 1"
        " else []\n\n"
        "    def run(self):\n        self.ran = True\n"
        "        open(f'd{self.number}', 'w').close()\n\n"
        "    def complete(self):\n"
        "        import os\n        return os.path.exists(f'd{self.number}')\n\n\n"
        f"nodes = [Node(n) for n in range(1, {shape.count} + 1)]\n"
        f"done = luigi.build(nodes, local_scheduler=True, workers={TOGETHER}, log_level='ERROR')\n"
        "sys.exit(not done)\n"
    )
    return [str(PYTHON), "nodes.py"]


def snakemake(shape: Shape, folder: Path) -> list[str]:
    rules = [f"rule all:\n    input: [f'd{{n}}' for n in range(1, {shape.count} + 1)]\n"]
    for n in range(1, shape.count + 1):
        before = shape.parent(n)
        needs = f"    input: 'd{before}'\n" if before else ""
        rules.append(f"rule n{n}:\n{needs}    output: touch('d{n}')\n    shell: ':'\n")
    (folder / "Snakefile").write_text("".join(rules))
    program = PYTHON.parent / "snakemake"
    return [str(program), "--cores", str(TOGETHER), "--quiet", "all"]


PEERS: dict[str, Callable[[Shape, Path], list[str]]] = {
    "python-batch-runner": pyrunner,
    "make": make,
    "ninja": ninja,
    "luigi": luigi,
    "snakemake": snakemake,
}


def is_there(name: str) -> bool:
    return bool(shutil.which(name)) if name in ("make", "ninja") else PYTHON.exists()


def rate(name: str, shape: Shape, folder: Path) -> float | None:
    """Nodes a second, the command's start and end included; None when it is not there."""
    if not is_there(name):
        return None
    folder.mkdir()
    return shape.count / seconds(PEERS[name](shape, folder), folder)
