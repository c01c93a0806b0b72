"""Says when it began."""

import time


async def process_record(record, context):
    return {"id": record["id"], "at": time.clock_gettime(time.CLOCK_MONOTONIC)}
