#!/usr/bin/env python3
"""A worker: takes places from the server, works out their daylight, sends it back, until the end.

worker.py URL JOB DAY. The client is the one from PyPI, unmodified. The only care taken here is what
any worker needs whose server may be killed: a call whose connection broke is made again.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import date

import requests
from daylight import daylight
from planchet import PlanchetClient

BATCH = 500
PATIENCE_S = 60.0


def main() -> int:
    url, job, day = sys.argv[1], sys.argv[2], date.fromisoformat(sys.argv[3])
    logging.getLogger().setLevel(logging.WARNING)  # importing the client sets it to DEBUG
    client = PlanchetClient(url)
    heard = time.monotonic()
    while True:
        try:
            items = client.get(job, BATCH)
            if not items:
                return 0
            client.send(job, [(number, daylight(place, day)) for number, place in items])
            heard = time.monotonic()
        except requests.exceptions.ConnectionError:
            # The batch is not lost: its lease ends and it is served again. Nor can it be in the
            # output twice, should the results have arrived and only the answer not.
            if time.monotonic() - heard > PATIENCE_S:
                return 1


if __name__ == "__main__":
    sys.exit(main())
