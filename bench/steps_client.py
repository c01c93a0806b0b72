#!/usr/bin/env python3
"""pinexq's client setting up jobs in a row: steps_client.py URL STEP COUNT; tells its own time."""

from __future__ import annotations

import json
import sys
import time

import httpx
from pinexq.client.job_management import Job, ProcessingStep


def main() -> int:
    url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with httpx.Client(base_url=url) as client:
        step = ProcessingStep.from_name(client, name)
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            Job(client).create_and_configure_rapidly(
                name=f"job {number}",
                processing_step_instance=step,
                parameters='{"x": 5}',
                tags=["bench"],
            )
        told = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
