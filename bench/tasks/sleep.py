"""Ten milliseconds of somebody else's time."""

import asyncio


async def process_record(record, context):
    await asyncio.sleep(0.010)
    return {"id": record["id"]}
