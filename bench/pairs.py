#!/usr/bin/env python3
"""Compares builds of penstock on a machine that is never quiet: pairs.py OLD NEW... [options].

All servers run at once and get short bursts of load in turn, so that what disturbs one disturbs the
others; a burst counts only where the disk made enough small syncs a second before and after it.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import machine  # noqa: E402
from figure import INPUTS, Bench  # noqa: E402
from harness.server_process import ServerProcess  # noqa: E402

import run  # noqa: E402


class Burst(NamedTuple):
    batch: int
    connections: int
    records: int


BURSTS = {"1": Burst(1, 32, 5_000), "100": Burst(100, 4, 40_000), "1000": Burst(1000, 4, 80_000)}
INPUT_RECORDS = 2_000_000


class Build:
    """One of those that are compared: its server, with a job of its own, and what it did."""

    def __init__(self, program: str, s: ServerProcess) -> None:
        self.program = program
        self.server = s
        self.rates: list[float] = []
        self.cpu_us: list[float] = []

    def burst(self, b: Burst) -> tuple[float, float]:
        before = self.server.cpu_s()
        told = run.load(
            self.server.port, batch=b.batch, connections=b.connections, records=b.records
        )
        cpu_us = (self.server.cpu_s() - before) / b.records * 1e6
        return b.records / told["seconds"], cpu_us

    def line(self, first: Build) -> str:
        if not self.rates or not first.rates:
            return f"{self.program}: no burst on a disk that was free"
        rate, cpu_us = statistics.median(self.rates), statistics.mean(self.cpu_us)
        return (
            f"{self.program}: {len(self.rates)} bursts, median {rate:,.0f} records/s,"
            f" best {max(self.rates):,.0f}, {cpu_us:.2f} us of server CPU a record;"
            f" {rate / statistics.median(first.rates):.3f} of the first's rate"
        )


def take_turns(builds: list[Build], b: Burst, bursts: int, least_syncs: float) -> None:
    """The first burst of each is not counted: files are new then."""
    bursts = min(bursts, INPUT_RECORDS // b.records)
    for turn in range(bursts):
        before = machine.sync_rate(INPUTS, 0.02)
        for build in random.sample(builds, len(builds)):
            rate, cpu_us = build.burst(b)
            after = machine.sync_rate(INPUTS, 0.02)
            if turn and min(before, after) >= least_syncs:
                build.rates.append(rate)
                build.cpu_us.append(cpu_us)
            before = after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM", help="paths of builds")
    parser.add_argument("--batch", choices=BURSTS, default="100", help="records a batch")
    parser.add_argument("--bursts", type=int, default=25, help="of each build")
    parser.add_argument("--least-syncs", type=float, default=0.0, help="a second; 0: any")
    args = parser.parse_args()
    bench = Bench(INPUTS, 1)
    INPUTS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    builds: list[Build] = []
    with ExitStack() as servers:
        for program in args.programs:
            os.environ["PENSTOCK_BIN"] = str(Path(program).resolve())
            s = servers.enter_context(run.server(bench, INPUT_RECORDS))
            run.start(s)
            builds.append(Build(program, s))
        take_turns(builds, BURSTS[args.batch], args.bursts, args.least_syncs)
    for build in builds:
        print(build.line(builds[0]))
    print(f"batches of {args.batch}, {time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
