"""What can be asked of a server, as data: Client and AsyncClient send the same calls."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import orjson


class Call(NamedTuple):
    """One request. Not repeatable: to send it twice would do it twice."""

    method: str
    path: str
    body: bytes | None = None
    repeatable: bool = True
    #: How long the server may wait before it answers.
    wait_s: float = 0.0
    content_type: str = "application/json"


def given(**members: Any) -> bytes:
    """JSON of the members that are not None."""
    return orjson.dumps({name: value for name, value in members.items() if value is not None})


def job_path(job: int | str) -> str:
    """The path of a job, by id or by name."""
    return f"/v1/jobs/{job}" if isinstance(job, int) else f"/v1/jobs/~{quote(job, safe='')}"


def create_job(**members: Any) -> Call:
    # A flag that is off is left to the server.
    wanted = {name: None if value is False else value for name, value in members.items()}
    return Call("POST", "/v1/jobs", given(**wanted), repeatable=False)


def list_jobs(state: str | None, page: int) -> Call:
    narrowed = "" if state is None else f"&state={quote(state, safe='')}"
    return Call("GET", f"/v1/jobs?limit={page}{narrowed}")


def claim(path: str, max: int, wait_s: float, lease_s: float | None) -> Call:
    body = given(max=max, wait_s=wait_s, lease_s=lease_s)
    return Call("POST", f"{path}/claim", body, wait_s=wait_s)


def list_errors(path: str, after: int, page: int) -> Call:
    return Call("GET", f"{path}/errors?after={after}&limit={page}")


def create_key(name: str, scopes: list[str]) -> Call:
    return Call("POST", "/v1/keys", given(name=name, scopes=scopes), repeatable=False)


def revoke_key(name: str) -> Call:
    return Call("DELETE", f"/v1/keys/{quote(name, safe='')}")


LIST_KEYS = Call("GET", "/v1/keys")
HEALTH = Call("GET", "/v1/health")
DOCTOR = Call("GET", "/v1/doctor")
WORKERS = Call("GET", "/v1/workers")
