#!/usr/bin/env python3
"""Runs the tests, part by part, and counts them: run_tests.py [PART...] [--rounds N] [--list].

Each part says what it does while it does it. A part that fails does not stop the others; it fails
the whole. The last line is the true total over all parts: "N passed, N failed".
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build-test" / "reports"
BIN = ROOT / ".venv" / "bin"
JOBS = str(os.cpu_count() or 2)
ASAN = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfaults=true"]
RELEASE = ["-Dtests=false", "-Dfaults=false", "-Doptimization=3", "-Db_lto=true"]  # as make has it
TSAN = ["-Db_sanitize=thread", "-Db_lundef=false", "-Dfaults=true"]
# The tests whose clients come side by side.
RACED = ["planchet_client", "native", "cli", "step_races"]

Command = list[str]


def sanitizers(log: str = "") -> dict[str, str]:
    """Their options; with `log` their reports go to files of that name, else they end the test."""
    path = f":log_path={REPORTS / log}.sanitizer" if log else ":halt_on_error=1"
    return {
        "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1" + path,
        "UBSAN_OPTIONS": "print_stacktrace=1" + path,
        "TSAN_OPTIONS": "second_deadlock_stack=1" + path,
    }


@dataclass
class Part:
    name: str
    what: str
    commands: Callable[[argparse.Namespace], list[Command]]
    env: dict[str, str] = field(default_factory=dict)
    reports: list[Path] = field(default_factory=list)  # JUnit files, read when it has ended
    beside: bool = False  # started early, runs beside the parts that follow


@dataclass
class Outcome:
    part: Part
    status: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def sources(*endings: str) -> list[str]:
    """The files under version control with one of these endings."""
    patterns = [f"*{ending}" for ending in endings]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split() if (ROOT / name).exists()]


def build(folder: str, *options: str) -> Command:
    return ["tools/build.sh", folder, *options]


def meson_test(folder: str, *args: str) -> Command:
    return ["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", *args]


def meson_report(folder: str) -> Path:
    return ROOT / folder / "meson-logs" / "testlog.junit.xml"


def pytest(name: str, *args: str) -> Command:
    report = f"--junit-xml={REPORTS / name}.xml"
    return [str(BIN / "pytest"), "-q", "-c", "tests/pytest.ini", report, *args]


def python_checks(_: argparse.Namespace) -> list[Command]:
    folders = [f for f in ("python", "tests", "tools", "demo", "bench") if (ROOT / f).is_dir()]
    ruff = str(BIN / "ruff")
    checks = [[ruff, "check", *folders], [ruff, "format", "--check", *folders]]
    strict = [str(BIN / "mypy"), "--strict", "tools", "demo"]
    if (ROOT / "python" / "penstock").is_dir():
        strict.append("python/penstock")
    return [*checks, strict]


def tidy(_: argparse.Namespace) -> list[Command]:
    files = [f for f in sources(".c") if f.startswith("src/")]
    return [
        [
            "sh",
            "-c",
            'printf "%s\\n" "$@" | xargs -P ' + JOBS + " -n 4 clang-tidy -quiet -p build-asan",
            "tidy",
            *files,
        ]
    ]


PARTS = [
    Part(
        "layers", "the borders of the design", lambda _: [[sys.executable, "tools/check_layers.py"]]
    ),
    Part(
        "format",
        "spacing, as clang-format decides it",
        lambda _: [["clang-format", "--dry-run", "-Werror", *sources(".c", ".h")]],
    ),
    Part("python", "ruff and mypy --strict", python_checks),
    Part(
        "unit",
        "gcc with fault points: unit, store, simulation, fuzz corpora",
        lambda _: [build("build-test", "-Dfaults=true"), meson_test("build-test")],
        reports=[meson_report("build-test")],
    ),
    Part(
        "crash",
        "kills of server and workers, at random and at every crash point",
        lambda args: [
            build("build-test", "-Dfaults=true"),
            pytest("crash", "tests/crash"),
        ],
        reports=[REPORTS / "crash.xml"],
        beside=True,
    ),
    Part(
        "asan",
        "clang with address and undefined-behaviour sanitizers: the same suites",
        lambda _: [build("build-asan", *ASAN), meson_test("build-asan")],
        env={"CC": "clang", **sanitizers()},
        reports=[meson_report("build-asan")],
    ),
    Part(
        "tsan",
        "clang with the thread sanitizer: unit and store suites",
        lambda _: [
            build("build-tsan", *TSAN),
            meson_test("build-tsan", "--no-suite", "sim", "--no-suite", "fuzz"),
        ],
        env={"CC": "clang", **sanitizers()},
        reports=[meson_report("build-tsan")],
    ),
    Part("tidy", "clang-tidy", tidy),
    Part(
        "analyzer",
        "gcc -fanalyzer",
        lambda _: [
            build(
                "build-analyzer",
                "-Dtests=false",
                "-Dc_args=-fanalyzer -DPENSTOCK_ANALYZER -Wno-unused-value",
            )
        ],
    ),
    Part(
        "manual",
        "the manual page: groff's warnings, and that it says what --help says",
        lambda _: [[sys.executable, "tools/check_manual.py", "build-test/penstock"]],
    ),
    Part(
        "openapi",
        "docs/openapi.json against OpenAPI 3.1",
        lambda _: [[str(BIN / "openapi-spec-validator"), "docs/openapi.json"]],
    ),
    Part(
        "e2e",
        "the program from outside, with PlanchetClient from PyPI, under the address sanitizer",
        lambda _: [build("build-asan", *ASAN), pytest("e2e", "tests/e2e")],
        env={"CC": "clang", "PENSTOCK_BIN": str(ROOT / "build-asan/penstock"), **sanitizers("e2e")},
        reports=[REPORTS / "e2e.xml"],
    ),
    Part(
        "demo",
        "the main jobs on real data, as make demo, demo-queue, demo-flow and demo-steps run them",
        lambda _: [
            build("build", *RELEASE, "-Dbench=false"),
            [str(ROOT / ".venv-planchet" / "bin" / "python"), "demo/demo.py"],
            [str(ROOT / ".venv-openaleph" / "bin" / "python"), "demo/queue_demo.py"],
            [str(ROOT / ".venv-flow" / "bin" / "python"), "demo/flow_demo.py"],
            [str(ROOT / ".venv-pinexq" / "bin" / "python"), "demo/step_demo.py"],
        ],
    ),
    Part(
        "races",
        "the busier half of that under the thread sanitizer",
        lambda _: [
            build("build-tsan", *TSAN),
            pytest("races", *(f"tests/e2e/test_{name}.py" for name in RACED)),
        ],
        env={
            "CC": "clang",
            "PENSTOCK_BIN": str(ROOT / "build-tsan/penstock"),
            **sanitizers("races"),
        },
        reports=[REPORTS / "races.xml"],
    ),
]


def count(outcome: Outcome) -> None:
    """Adds up the reports. A cmocka program is one entry of Meson's; its cases are counted."""
    for report in outcome.part.reports:
        if not report.exists():
            continue
        # What a test prints stands in the report as it is, and XML has no control characters.
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "?", report.read_text(errors="replace"))
        for case in ElementTree.fromstring(text.encode()).iter("testcase"):
            output = case.findtext("system-out") or ""
            cases = sum(
                int(n) for n in re.findall(r"^\[=+\] Running (\d+) test", output, re.MULTILINE)
            )
            good = len(re.findall(r"^\[ +OK \]", output, re.MULTILINE))
            bad = case.find("failure") is not None or case.find("error") is not None
            if case.find("skipped") is not None:
                outcome.skipped += 1
            elif not cases:
                outcome.passed += not bad
                outcome.failed += bad
            else:
                outcome.passed += good
                outcome.failed += max(cases - good, int(bad))
    if outcome.status and not outcome.failed:
        outcome.failed = 1  # a check without cases of its own, or one that never got to them
    elif not outcome.part.reports:
        outcome.passed = 1


def sanitizer_reports(part: Part) -> list[Path]:
    """What sanitizers had to say of processes whose output nobody saw."""
    return sorted(REPORTS.glob(f"{part.name}.sanitizer*"))


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


class Run:
    """One part on its way."""

    def __init__(self, part: Part, args: argparse.Namespace) -> None:
        self.part = part
        self.began = time.monotonic()
        self.log = (REPORTS / f"{part.name}.log").open("w+") if part.beside else None
        self.env = {**os.environ, **part.env, "PENSTOCK_CRASH_ROUNDS": str(args.rounds)}
        for old in [*part.reports, *sanitizer_reports(part)]:
            old.unlink(missing_ok=True)
        heading(f"{part.name}: {part.what}" + (" (beside the rest)" if part.beside else ""))
        script = " && ".join(quote(command) for command in part.commands(args))
        self.process = subprocess.Popen(
            ["sh", "-c", script],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT if self.log else None,
        )

    def end(self) -> Outcome:
        status = self.process.wait()
        if self.log:
            heading(f"{self.part.name}: {self.part.what}, output")
            self.log.seek(0)
            sys.stdout.write(self.log.read())
            self.log.close()
        for report in sanitizer_reports(self.part):
            print(report.read_text(errors="replace"))
            status = status or 1
        outcome = Outcome(self.part, status, time.monotonic() - self.began)
        count(outcome)
        return outcome


def quote(command: Command) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)


def choose(names: list[str]) -> list[Part]:
    known = {part.name: part for part in PARTS}
    for name in names:
        if name not in known:
            sys.exit(f"no part {name!r}; there are: {' '.join(known)}")
    return [part for part in PARTS if not names or part.name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--rounds", type=int, default=150, help="of the crash loop, of each kind")
    parser.add_argument("--list", action="store_true", help="say which parts there are")
    args = parser.parse_args()
    if args.list:
        for part in PARTS:
            print(f"{part.name:8} {part.what}")
        return 0
    REPORTS.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    running: list[Run] = []
    parts = choose(args.parts)
    for part in parts:
        run = Run(part, args)
        if part.beside and len(parts) > 1:
            running.append(run)
        else:
            outcomes.append(run.end())
    outcomes += [run.end() for run in running]
    return say_total(outcomes)


def say_total(outcomes: list[Outcome]) -> int:
    heading("summary")
    for o in outcomes:
        word = "FAILED" if o.status else "ok"
        figures = f"{o.passed:6} passed {o.failed:4} failed {o.skipped:4} skipped"
        print(f"{o.part.name:8} {word:7} {figures} {o.seconds:7.1f} s")
    total = [sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped")]
    line = f"{total[0]} passed, {total[1]} failed"
    print(line + (f", {total[2]} skipped" if total[2] else ""))
    return 1 if any(o.status for o in outcomes) or total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
