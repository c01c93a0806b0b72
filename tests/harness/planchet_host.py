"""Runs PlanchetClient for a test in a process of its own: one JSON object a line in and out.

So a test can use the client with the requests that is installed, and with the old one that the
client pins, and as many workers as it likes, each a real process.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import requests
from planchet import PlanchetClient


def run(call: dict[str, Any]) -> dict[str, Any]:
    client = PlanchetClient(call["url"])
    try:
        value = getattr(client, call["method"])(*call["args"], **call["kwargs"])
    except Exception as e:  # the test is told which
        return {"raised": type(e).__name__, "text": str(e)}
    if isinstance(value, requests.Response):
        return {"response": [value.status_code, value.text, dict(value.headers), value.encoding]}
    return {"value": value}


def main() -> None:
    out = sys.stdout
    print(json.dumps({"value": requests.__version__}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=out, flush=True)


main()
