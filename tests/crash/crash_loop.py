#!/usr/bin/env python3
"""Kills servers, runs and workers until so many kills were survived.

A round is one kill; a story is a job that lives through several: of a server (story.py), of
`penstock run` (run_story.py), of a server of tasks (task_story.py), of workers of tasks and their
server (worker_story.py), or of processing steps (step_story.py). A story that breaks a promise is
printed with the words that play it again, and its folder is kept.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from crash.run_story import RunPlan, RunStory
from crash.step_plan import StepPlan
from crash.step_story import StepStory
from crash.story import Broken, Plan, Story
from crash.task_story import TaskPlan, TaskStory
from crash.worker_story import WorkerPlan, WorkerStory
from harness.fault_points import all_points

SIDE_BY_SIDE = 3
KILLS_MAX = 6  # of one story
SOUGHT_MAX = 60  # stories of a kind for points that no other story came by


@dataclass
class Outcome:
    rounds: int = 0
    stories: int = 0
    broken: list[str] = field(default_factory=list)
    points: set[str] = field(default_factory=set)


# Places that no story comes by, as blobs stay for a day and flows have kills of their own; tests of
# their own make them fail.
OTHERS = {"blob.remove", "flow.untold", "group.early"}
# Where the stories of each kind come by.
EVERYWHERE = ("blob.sync", "file.", "group.", "store.")
PLACES = {
    "serve": (*EVERYWHERE, "job.", "order.", "output.", "sink."),
    "run": (*EVERYWHERE, "held.", "order.", "rewrite.", "sink."),
    "tasks": EVERYWHERE,
    "workers": (*EVERYWHERE, "blob."),
    "steps": (*EVERYWHERE, "blob."),
}


def story_points(kind: str) -> list[str]:
    return [p for p in all_points() if p not in OTHERS and p.startswith(PLACES[kind])]


def points_of(points: list[str], seed: str, number: int) -> list[str]:
    """The crash points of one story: over the stories each gets its turn, in a drawn order."""
    order = random.Random(seed).sample(points, len(points))
    return [order[(number * KILLS_MAX + n) % len(order)] for n in range(KILLS_MAX)]


def serve_story(folder: Path, seed: str, points: list[str]) -> Story:
    return Story(folder, Plan.draw(seed), points)


def run_story(folder: Path, seed: str, points: list[str]) -> RunStory:
    return RunStory(folder, RunPlan.draw(seed), points)


def task_story(folder: Path, seed: str, points: list[str]) -> TaskStory:
    return TaskStory(folder, TaskPlan.draw(seed), points)


def worker_story(folder: Path, seed: str, points: list[str]) -> WorkerStory:
    return WorkerStory(folder, WorkerPlan.draw(seed), points)


def step_story(folder: Path, seed: str, points: list[str]) -> StepStory:
    return StepStory(folder, StepPlan.draw(seed), points)


KINDS: dict[str, Callable[[Path, str, list[str]], Story | RunStory | TaskStory]] = {
    "serve": serve_story,
    "run": run_story,
    "tasks": task_story,
    "workers": worker_story,
    "steps": step_story,
}


def play(kind: str, seed: str, number: int, outcome: Outcome) -> None:
    """One story, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-crash-"))
    story = KINDS[kind](folder, f"{seed}/{number}", points_of(story_points(kind), seed, number))
    try:
        story.run()
    except (Broken, OSError, ValueError, KeyError) as e:
        outcome.broken.append(
            f"story {number} of seed {seed}: {type(e).__name__} {e}\n"
            f"  again: crash_loop.py --kind {kind} --seed {seed} --story {number}\n"
            f"  {story.describe()}\n"
            f"  kept: {folder}\n" + "\n".join("  | " + line for line in story.lines[-12:])
        )
    outcome.rounds += story.killed
    outcome.stories += 1
    outcome.points |= story.points()
    if not outcome.broken:
        shutil.rmtree(folder)


def loop(kind: str, rounds: int, seed: str, story: int | None = None) -> Outcome:
    """Plays stories until `rounds` kills were made, or the one story."""
    outcome = Outcome()
    if story is not None:
        play(kind, seed, story, outcome)
        return outcome
    number = 0
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running: set[concurrent.futures.Future[None]] = set()
        while outcome.rounds < rounds and len(outcome.broken) < 3:
            while len(running) < SIDE_BY_SIDE:
                running.add(pool.submit(play, kind, seed, number, outcome))
                number += 1
                if number % 20 == 0:
                    took = time.monotonic() - began
                    print(f"crash: {outcome.rounds} of {rounds} rounds, {took:.0f} s", flush=True)
            done, running = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                future.result()
        for future in running:
            future.result()
    return outcome


def missed_by(passed: set[str]) -> list[str]:
    """The crash points that nobody came by."""
    return sorted(set(all_points()) - OTHERS - passed)


def seek(missed: list[str], seed: str) -> Outcome:
    """Plays on until every point of `missed` was passed: some need a rare turn of a story, which so
    many drawn ones may all lack."""
    outcome = Outcome()
    for number in range(SOUGHT_MAX):
        for kind in KINDS:
            left = set(missed) - outcome.points
            if not left or outcome.broken:
                return outcome
            if left & set(story_points(kind)):
                play(kind, f"{seed}/sought", number, outcome)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kind", choices=list(KINDS), help="only stories of this kind")
    parser.add_argument("--seed", default=f"{random.randrange(1 << 32):08x}")
    parser.add_argument("--story", type=int, help="only this one")
    args = parser.parse_args()
    passed: set[str] = set()
    broken = False
    for kind in [args.kind] if args.kind else KINDS:
        outcome = loop(kind, args.rounds, args.seed, args.story)
        print(*outcome.broken, sep="\n", end="\n" if outcome.broken else "")
        print(
            f"{kind}, seed {args.seed}: {outcome.rounds} kills in {outcome.stories} stories,"
            f" {len(outcome.points)} crash points, {len(outcome.broken)} broken"
        )
        passed |= outcome.points
        broken |= bool(outcome.broken)
    missed = missed_by(passed) if args.kind is None else []
    if missed:
        sought = seek(missed, args.seed)
        print(*sought.broken, sep="\n", end="\n" if sought.broken else "")
        broken |= bool(sought.broken)
        missed = missed_by(passed | sought.points)
    if missed:
        print("never passed:", " ".join(missed))
    return 1 if broken or missed else 0


if __name__ == "__main__":
    sys.exit(main())
