"""A worker as users write them, in a process of its own: worker_process.py URL JOB BATCH [SEND].

Gets batches with PlanchetClient until nothing comes, sends each back as it came, SEND times (1).
With the word `slow` as SEND it says what it holds and waits for a line before it sends, so that a
test can kill it there.
"""

from __future__ import annotations

import logging
import sys

from planchet import PlanchetClient


def main() -> None:
    url, job, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    how = sys.argv[4] if len(sys.argv) > 4 else "1"
    logging.getLogger().setLevel(logging.WARNING)
    client = PlanchetClient(url)
    while items := client.get(job, batch):
        if how == "slow":
            print(" ".join(str(i) for i, _ in items), flush=True)
            sys.stdin.readline()
        for _ in range(1 if how == "slow" else int(how)):
            answer = client.send(job, items)
            if answer.status_code != 200:
                sys.exit(f"{answer.status_code} {answer.text}")


main()
