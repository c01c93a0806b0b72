"""What the workers of step_story.py run: steps with files in and out, one that makes a sub job, and
one that refuses.

Runs are killed, and fail, at the stages that $STORY_DEATHS and $STORY_FAILS name, the first time
that one comes there.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import penstock
from penstock import StepContext, dataslot
from penstock.steps import job_run
from penstock.steps.courier import Courier

HERE = Path(os.environ["STORY_FOLDER"])
DEATHS = os.environ["STORY_DEATHS"].split()
FAILS = os.environ["STORY_FAILS"].split()


def pass_by(stage: str) -> None:
    if stage in DEATHS and is_first(f"died {stage}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if stage in FAILS and is_first(f"failed {stage}"):
        raise ValueError(stage)


def is_first(name: str) -> bool:
    try:
        os.close(os.open(HERE / "steps" / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class StagedCourier(Courier):
    """Passes by before and after files are carried, and in the middle of them."""

    def _fetch(self, artifact: dict[str, Any], path: Path) -> None:
        super()._fetch(artifact, path)
        pass_by("fetched")

    def _pieces(self, file: Any, size: int) -> Iterator[bytes]:
        for piece in super()._pieces(file, size):
            yield piece[: len(piece) // 2]
            pass_by("half-stored")
            yield piece[len(piece) // 2 :]

    def store(self, *arguments: Any) -> dict[str, Any]:
        made = super().store(*arguments)
        pass_by("stored")
        return made


job_run.Courier = StagedCourier  # type: ignore[misc]


@penstock.step(version="1.0.0")
@dataslot.input("table")
@dataslot.output("copy")
@dataslot.output_collection("parts")
def copy(table: Path, copy: Path, parts: Path, context: StepContext, n: int = 0) -> dict[str, int]:
    pass_by("copy-began")
    context.log(f"copies {n}")
    context.set_metrics(n=n)
    copy.write_bytes(table.read_bytes())
    pass_by("copy-written")
    for i in range(n % 3):
        (parts / f"{i}.txt").write_text(f"part {i} of {n}")
    return {"n": n, "bytes": copy.stat().st_size}


@penstock.step(version="2.0.0", executor="process")
@dataslot.input_collection("tables")
@dataslot.output("digest", media_type="text/plain")
def digest(tables: list[Path], digest: Path, n: int = 0) -> int:
    pass_by("digest-began")
    sums = [hashlib.sha256(table.read_bytes()).hexdigest() for table in tables]
    digest.write_text("\n".join(sums))
    pass_by("digest-written")
    return n


@penstock.step(version="1.0.0")
def parent(context: StepContext, n: int = 0) -> dict[str, int]:
    pass_by("parent-began")
    sub = context.start("child", name=f"sub {n}", parameters={"n": n})
    pass_by("parent-started")
    return {"n": n, "sub": sub.id}


@penstock.step(version="1.0.0")
def child(n: int = 0) -> int:
    pass_by("child-began")
    return n


@penstock.step(version="1.0.0")
def refuse(n: int = 0) -> None:
    raise penstock.Fail(f"refused {n}")
