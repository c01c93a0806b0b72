"""Calls to the native surface, and its event streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

RECORDS = 20


def problem(answer: Reply, status: int, code: str) -> dict[str, Any]:
    """That the answer is that problem, as RFC 9457 wants it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == f"urn:penstock:problem:{code}"
    assert told["status"] == status
    assert told["title"] and told["detail"]
    return dict(told)


def nothing(finished: bool) -> dict[str, Any]:
    """The answer to a claim that got nothing, of a job without limits."""
    answer = {"lease": None, "records": [], "finished": finished}
    return {**answer, "slots": None, "starts": None, "alone": False}


class Native:
    """Calls to /v1, answers as JSON."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.wire = Wire(server.url)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return self.wire.call(method, f"/v1{path}", body=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.call(method, path, body)
        assert answer.status == status, answer
        return answer.json() if answer.body else None

    def source(self, name: str = "in.jsonl", records: int = RECORDS) -> str:
        lines = [json.dumps({"n": n, "text": f"é {n}"}) for n in range(records)]
        (self.server.data / name).write_text("\n".join(lines) + "\n")
        return name

    def start(self, name: str = "titles", **members: Any) -> Any:
        body = {"name": name, "source": {"path": self.source()}, "sink": {"path": f"{name}.jsonl"}}
        return self.ok("POST", "/jobs", {**body, **members}, status=201)

    def claim(self, job: str = "~titles", **members: Any) -> Any:
        return self.ok("POST", f"/jobs/{job}/claim", members)

    def settle(self, claim: Any, results: Any = (), failures: Any = ()) -> Any:
        body = {"lease": claim["lease"]["token"], "results": results, "failures": failures}
        return self.ok("POST", "/jobs/~titles/settle", body)

    def output(self, name: str = "titles.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.server.data / name).read_text().splitlines()]


class Stream:
    """An event stream, read event by event."""

    def __init__(self, native: Native, path: str, **headers: str) -> None:
        self.connection = native.wire.connect()
        self.connection.request("GET", f"/v1{path}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"] == "text/event-stream"

    def __iter__(self) -> Iterator[tuple[int, str, Any]]:
        """The history's events: id, kind, data."""
        told: dict[str, str] = {}
        for line in self.answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                told[name] = value
            elif told:
                if "id" in told:
                    yield int(told["id"]), told["event"], json.loads(told["data"])
                told = {}

    def until(self, kind: str) -> list[tuple[int, str, Any]]:
        seen = []
        for event in self:
            seen.append(event)
            if event[1] == kind:
                return seen
        raise AssertionError(f"no {kind} among {seen}")

    def close(self) -> None:
        self.connection.close()


def finish(native: Native, job: str = "~titles") -> None:
    """Claims what is left of the job and settles it."""
    claim = native.claim(job, max=RECORDS)
    body = {
        "lease": claim["lease"]["token"],
        "results": [[number, 0] for number, _ in claim["records"]],
    }
    native.ok("POST", f"/jobs/{job}/settle", body)
    assert native.claim(job)["finished"]
