"""How data jobs end: what is left over is told, and nobody is kept waiting for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness.server_process import ServerProcess
from harness.wire import Wire


def start(server: ServerProcess, wire: Wire, name: str, content: bytes) -> None:
    (server.data / name).write_bytes(content)
    body = {"name": "job", "source": {"path": name}, "sink": {"path": "out.jsonl"}}
    assert wire.call("POST", "/v1/jobs", body=body).status == 201


def work_to_the_end(wire: Wire) -> None:
    while True:
        claim = wire.call("POST", "/v1/jobs/~job/claim", body={"max": 100}).json()
        if claim["records"]:
            body = {
                "lease": claim["lease"]["token"],
                "results": [[number, {"n": number}] for number, _ in claim["records"]],
            }
            assert wire.call("POST", "/v1/jobs/~job/settle", body=body).status == 200
        elif claim["finished"]:
            return


def job(wire: Wire) -> dict[str, Any]:
    return dict(wire.call("GET", "/v1/jobs/~job").json())


def error_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("in.csv", b'a,b\n1,2\n3,"4\n5,6\n7,8\n', "line 3"),
        ("in.jsonl", b'{"a": 1}\n{"a": ', "line 2"),
    ],
)
def test_an_end_that_is_no_record_is_told_in_the_error_file(
    server: ServerProcess, name: str, content: bytes, line: str
) -> None:
    wire = Wire(server.url)
    start(server, wire, name, content)
    work_to_the_end(wire)
    ended = job(wire)
    assert ended["state"] == "completed"
    assert ended["records"]["done"] == 1
    assert line in ended["tail"]
    (told,) = error_lines(server.data / "out.jsonl.errors.jsonl")
    assert told["kind"] == "unfinished"
    assert told["record"] == 1
    assert line in told["reason"]


def test_a_repair_with_nothing_to_do_ends_by_itself(server: ServerProcess) -> None:
    wire = Wire(server.url)
    start(server, wire, "in.jsonl", b'{"a": 1}\n{"a": 2}\n')
    work_to_the_end(wire)
    assert job(wire)["state"] == "completed"
    assert wire.call("POST", "/v1/jobs/~job/repair").status == 200
    assert job(wire)["state"] == "completed"
