"""The steps of a daily job: of two files one goes into a database, the other becomes Parquet."""

from __future__ import annotations

import os
import sqlite3
import urllib.request
from datetime import date
from pathlib import Path

import pandas as pd
from pyrunner import Worker

LANDING = Path(os.environ["APP_ROOT_DIR"], "landing")
DATABASE = Path(os.environ["APP_ROOT_DIR"], "countries.sqlite")


def announce(message: str) -> None:
    """Where others read along; here it is a file."""
    with Path(os.environ["APP_ROOT_DIR"], "announced.txt").open("a") as file:
        file.write(message + "\n")


class Start(Worker):
    def run(self) -> None:
        self.logger.info("The daily job begins")
        day = date.today().isoformat()
        announce(f"Downloads of {day} begin")
        LANDING.mkdir(exist_ok=True)
        self.context["day"] = day


class Download(Worker):
    def run(self) -> None:
        name = self.argv[0]
        self.logger.info(f"Fetching {name}")
        urllib.request.urlretrieve(f"{os.environ['APP_SOURCE']}/{name}", LANDING / name)
        size = (LANDING / name).stat().st_size
        self.context[f"bytes of {name}"] = size
        self.logger.success(f"{name} has {size:,} bytes")


class LoadTable(Worker):
    def run(self) -> None:
        table = pd.read_csv(LANDING / self.argv[0], keep_default_na=False)
        with sqlite3.connect(DATABASE) as database:
            rows = table.to_sql("country", database, if_exists="replace", index=False)
        self.logger.success(f"{rows} rows loaded")


class WriteParquet(Worker):
    def run(self) -> None:
        # What the first step has put there, in another process and, after a restart, another run.
        day = self.context["day"]
        table = pd.read_csv(LANDING / self.argv[0], keep_default_na=False)
        path = Path(os.environ["APP_ROOT_DIR"], f"extract_{day}.parquet")
        table.to_parquet(path, index=False)
        self.context["extract"] = str(path)
        self.logger.success(f"{len(table):,} rows in {path.name}")


class End(Worker):
    def run(self) -> None:
        announce(f"Downloads of {self.context['day']} are done: {self.context['extract']}")
        self.logger.info("The daily job is done")
