"""What a story of step_story.py is about: what is uploaded, which jobs are made of it, how, and how
they are to end. All of it is a function of the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from crash.task_story import RETRY

STAGES = (
    ("fetched", "copy digest turn"),
    ("half-stored", "copy digest turn"),
    ("stored", "copy digest turn"),
    ("copy-began", "copy"),
    ("copy-written", "copy"),
    ("digest-began", "digest"),
    ("digest-written", "digest"),
    ("parent-began", "parent"),
    ("parent-started", "parent"),
    ("child-began", "parent"),
)
FUNCTIONS = {
    "copy": "copy:1.0.0",
    "digest": "digest:2.0.0",
    "turn": "turn:1.0.0",
    "parent": "parent:1.0.0",
    "refuse": "refuse:1.0.0",
    "idle": "idle:1.0.0",  # that no worker has
}
SLOTS = {"copy": "table", "digest": "tables", "turn": "table"}
OUTPUTS = {"copy": "copy", "digest": "digest", "turn": "turned"}
FINAL = ("completed", "failed", "cancelled")
OPTIONS = {"priority": 0, "max_attempts": 1000, "retry": RETRY, "timeout_s": None}


def slot(name: str, most: int | None = 1) -> dict[str, Any]:
    return {"name": name, "mediatype": "application/octet-stream", "minSlots": 1, "maxSlots": most}


def manifest(name: str, **members: Any) -> dict[str, Any]:
    number = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return {"function_name": name, "version": "1.0.0", "parameters": number, **members}


TURN = manifest("turn", input_dataslots=[slot("table")], output_dataslots=[slot("turned")])


@dataclass
class Upload:
    n: int
    data: bytes = field(repr=False)
    way: str
    kept: bool
    tags: list[str]
    folder: str
    deeds: list[str] = field(default_factory=list)
    again: bool = False  # it may have been done, and nobody has heard
    id: int = 0

    @property
    def name(self) -> str:
        return f"upload {self.n}."


@dataclass
class Wanted:
    """A job as it is to be."""

    n: int
    function: str
    way: str
    sources: list[int]  # uploads; or, negative, -1 - the job whose output it is
    tags: list[str]
    folder: str
    hidden: bool
    fate: str  # how it is to end
    deeds: list[str] = field(default_factory=list)
    again: bool = False
    id: int = 0

    @property
    def name(self) -> str:
        return f"job {self.n}."


@dataclass
class StepPlan:
    """What the story is about; a function of its seed alone."""

    seed: str
    kills: int
    uploads: int
    jobs: int
    processes: int
    concurrency: int
    deaths: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)

    @staticmethod
    def draw(seed: str) -> StepPlan:
        rng = random.Random(seed)
        plan = StepPlan(
            seed,
            kills=rng.randint(5, 9),
            uploads=rng.randint(2, 5),
            jobs=rng.choice([6, 12, 24]),
            processes=rng.randint(1, 2),
            concurrency=rng.choice([1, 4]),
        )
        there = {wanted.function for wanted in plan.draw_jobs()}
        stages = [stage for stage, of in STAGES if there & set(of.split())]
        plan.deaths = rng.sample(stages, min(2, len(stages)))
        plan.fails = rng.sample(stages, min(2, len(stages)))
        return plan

    def draw_uploads(self) -> list[Upload]:
        rng = random.Random(self.seed + "/uploads")
        drawn = []
        for n in range(self.uploads):
            size = rng.choice([0, 7, 3000, 300_000, 2_500_000])
            drawn.append(
                Upload(
                    n,
                    rng.randbytes(size),
                    way=rng.choice(["native", "siren"]),
                    kept=n < 2 or rng.random() < 0.5,
                    tags=rng.choice([[], ["raw"], ["raw", "k=v"]]),
                    folder=rng.choice(["/", "/in/", "/in/deep/"]),
                )
            )
            drawn[-1].deeds = ["upload", *rng.sample(["tags", "folder"], 2)]
            drawn[-1].deeds += [] if drawn[-1].kept else ["delete"]
        return drawn

    def draw_jobs(self) -> list[Wanted]:
        rng = random.Random(self.seed + "/jobs")
        kept = [upload.n for upload in self.draw_uploads() if upload.kept]
        drawn: list[Wanted] = []
        for n in range(self.jobs):
            function = rng.choice(
                ["copy", "copy", "digest", "digest", "turn", "parent", "refuse", "idle"]
            )
            made = [
                -1 - w.n for w in drawn
                if w.function in OUTPUTS and w.fate == "completed" and w.way != "siren-rapid"
            ]  # fmt: skip
            count = rng.choice([1, 2]) if function == "digest" else int(function in SLOTS)
            wanted = Wanted(
                n,
                function,
                way=rng.choice(["native-rapid", "native-draft", "siren-rapid", "siren-draft"]),
                sources=[rng.choice(kept + made[-3:]) for _ in range(count)],
                tags=rng.choice([[], ["odd"], ["odd", "ö=1"]]),
                folder=rng.choice(["/", "/jobs/", "/jobs/a/", "/in/"]),
                hidden=rng.random() < 0.3,
                fate="completed",
            )
            if function == "refuse":
                wanted.fate = "failed"
            elif function == "idle":
                wanted.fate = rng.choice(["failed", "cancelled", "draft"])
            elif function != "parent" and rng.random() < 0.25:
                wanted.fate = "deleted"
            wanted.deeds = self.deeds_of(wanted, rng)
            drawn.append(wanted)
        return drawn

    def deeds_of(self, wanted: Wanted, rng: random.Random) -> list[str]:
        if wanted.fate == "draft":
            wanted.way = wanted.way.replace("rapid", "draft")
        fills = ["fill"] if wanted.sources else []
        deeds = {
            "native-rapid": ["source", "create"],
            "native-draft": ["create", "select", *fills, "configure", "options"],
            "siren-rapid": ["source", "create"],
            "siren-draft": ["create", "select", *fills, "configure", "options"],
        }[wanted.way]
        if wanted.fate != "draft" and wanted.way.endswith("draft"):
            deeds.append("start")
        late = rng.sample(["tags", "folder", "hide"], 3)
        ends = {"idle": ["end"]}.get(wanted.function, []) if wanted.fate != "draft" else []
        return [*deeds, *late, *ends, *(["delete"] if wanted.fate == "deleted" else [])]
