"""Steps, step jobs and artifacts over the native surface, with a worker by hand."""

from __future__ import annotations

from typing import Any

from harness.native import Native
from harness.server_process import ServerProcess
from harness.wire import Reply


def manifest(name: str = "add", version: str = "1.0.0", **members: Any) -> dict[str, Any]:
    return {
        "function_name": name,
        "version": version,
        "short_description": "adds",
        "parameters": {
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 2}},
            "required": ["x"],
            "additionalProperties": False,
        },
        "input_dataslots": [
            {"name": "data", "mediatype": "text/csv", "minSlots": 0, "maxSlots": None}
        ],
        "output_dataslots": [
            {"name": "plot", "mediatype": "image/png", "minSlots": 1, "maxSlots": 1}
        ],
        **members,
    }


class Steps(Native):
    """Calls to /v1, with a key if there is one, and a worker's session."""

    def __init__(self, server: ServerProcess, key: str | None = None) -> None:
        super().__init__(server)
        self.key = key
        self.lease: str | None = None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if self.key:
            headers.setdefault("x-api-key", self.key)
        return super().call(method, path, body, **headers)

    def register(self, status: int = 201, **members: Any) -> int:
        return int(self.ok("POST", "/steps", manifest(**members), status)["id"])

    def upload(self, data: bytes, name: str = "a.csv", query: str = "", **headers: str) -> Any:
        headers.setdefault("Content-Type", "text/csv")
        answer = self.call("POST", f"/artifacts?name={name}{query}", data, **headers)
        assert answer.status == 201, answer
        assert answer.headers["location"] == f"/v1/artifacts/{answer.json()['id']}"
        return answer.json()

    def make(self, status: int = 201, **members: Any) -> Any:
        return self.ok("POST", "/step-jobs", {"name": "job", **members}, status)

    def run(self, step: Any = "add", x: int = 5, **members: Any) -> Any:
        """A rapid set-up."""
        return self.make(step=step, parameters={"x": x}, start=True, **members)

    def job(self, id: int, wait_s: float = 0) -> Any:
        return self.ok("GET", f"/step-jobs/{id}" + (f"?wait_s={wait_s}" if wait_s else ""))

    def take(self, count: int = 1, **members: Any) -> list[Any]:
        """Claims as the session's worker."""
        body = {"max": count, "worker": "hand", **members}
        if not self.key:
            body.setdefault("queues", ["steps"])
        if self.lease:
            body["lease"] = self.lease
        answer = self.ok("POST", "/work/claim", body)
        self.lease = answer["lease"]["token"]
        return list(answer["tasks"])

    def complete(self, id: int, result: Any = None) -> Any:
        return self.ok("POST", "/work/settle", {"lease": self.lease, "completed": [[id, result]]})

    def fail(self, id: int, message: str = "no") -> Any:
        failure = {"message": message, "type": "ValueError"}
        return self.ok("POST", "/work/settle", {"lease": self.lease, "failures": [[id, failure]]})

    def put(self, task: Any, data: bytes, slot: str = "plot", query: str = "") -> Reply:
        path = f"/step-jobs/{task['id']}/outputs/{slot}?fence={task['fence']}{query}"
        return self.call("PUT", path, data, **{"Content-Type": "image/png"})
