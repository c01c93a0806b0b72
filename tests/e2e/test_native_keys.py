"""The native surface: keys, their scopes, and the tokens of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness.native import Native, Stream, problem
from harness.server_process import ServerProcess
from harness.wire import Reply


def test_keys_are_made_shown_once_and_revoked(native: Native) -> None:
    made = native.call("POST", "/keys", {"name": "laptop", "scopes": ["work", "read"]})
    assert made.status == 201
    assert made.headers["location"] == "/v1/keys/laptop"
    key = made.json()
    assert key["secret"].startswith("pk_")
    assert len(key["secret"]) == 3 + 43
    assert key["scopes"] == ["read", "work"]
    listed = native.call("GET", "/keys")
    assert key["secret"] not in listed.text
    assert [one["name"] for one in listed.json()["keys"]] == ["laptop"]
    problem(native.call("POST", "/keys", {"name": "laptop", "scopes": ["read"]}), 409, "conflict")
    assert native.call("DELETE", "/keys/laptop").status == 204
    problem(native.call("DELETE", "/keys/laptop"), 404, "not-found")
    assert native.ok("GET", "/keys")["keys"][0]["revoked_at"]
    assert key["secret"] not in native.server.log()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"scopes": ["read"]},
        {"name": "a b", "scopes": ["read"]},
        {"name": "x" * 65, "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": ["read", 1]},
        {"name": "x", "scopes": "read"},
        {"name": "x", "scopes": ["read"], "secret": "pk_mine"},
    ],
)
def test_a_key_that_cannot_be_right_is_refused(native: Native, body: Any) -> None:
    problem(native.call("POST", "/keys", body), 400, "invalid")
    assert native.ok("GET", "/keys")["keys"] == []


def test_a_protected_job_takes_only_its_token(native: Native) -> None:
    job = native.start(token="s3cret")
    assert job["protected"] is True
    answer = native.call("POST", "/jobs/~titles/claim", {})
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    wrong = native.call("POST", "/jobs/~titles/claim", {}, **{"Penstock-Token": "x"})
    problem(wrong, 403, "forbidden")
    right = native.call("POST", "/jobs/~titles/claim", {}, **{"Penstock-Token": "s3cret"})
    assert right.status == 200
    problem(native.call("DELETE", "/jobs/~titles"), 401, "unauthorized")
    assert "s3cret" not in native.server.log()


class Keyed(Native):
    """Calls with a key."""

    def __init__(self, server: ServerProcess, key: str | None) -> None:
        super().__init__(server)
        self.key = key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return super().call(method, path, body, **headers)


def test_each_scope_allows_what_it_says_and_no_more(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    native = Native(server)
    keys = {
        scope: native.ok("POST", "/keys", {"name": scope, "scopes": [scope]}, status=201)["secret"]
        for scope in ("read", "work", "admin")
    }
    native.start()
    server.kill()
    server.args += ["--auth", "keys"]
    server.start()
    read, work, admin = (Keyed(server, keys[scope]) for scope in ("read", "work", "admin"))
    nobody, stranger = Keyed(server, None), Keyed(server, "pk_" + "x" * 43)

    assert nobody.call("GET", "/health").status == 200
    problem(nobody.call("GET", "/jobs"), 401, "unauthorized")
    problem(stranger.call("GET", "/jobs"), 401, "unauthorized")
    problem(nobody.call("POST", "/jobs/~titles/claim", {}), 401, "unauthorized")
    assert read.call("GET", "/jobs").status == 200
    problem(read.call("POST", "/jobs/~titles/claim", {}), 403, "forbidden")
    assert work.call("POST", "/jobs/~titles/claim", {"max": 1}).status == 200
    assert work.call("GET", "/jobs/~titles").status == 200
    problem(work.call("POST", "/jobs/~titles/pause"), 403, "forbidden")
    problem(work.call("GET", "/keys"), 403, "forbidden")
    assert admin.call("POST", "/jobs/~titles/pause").status == 200
    assert admin.call("DELETE", "/keys/read").status == 204
    problem(read.call("GET", "/jobs"), 401, "unauthorized")


def test_what_a_protected_job_holds_needs_its_token(native: Native) -> None:
    native.start(token="s3cret", max_attempts=1)
    token = {"Penstock-Token": "s3cret"}
    claim = native.call("POST", "/jobs/~titles/claim", {"max": 1}, **token).json()
    body = {"lease": claim["lease"]["token"], "failures": [[0, "private"]]}
    assert native.call("POST", "/jobs/~titles/settle", body, **token).status == 200
    for path in ("errors", "events"):
        problem(native.call("GET", f"/jobs/~titles/{path}"), 401, "unauthorized")
        problem(
            native.call("GET", f"/jobs/~titles/{path}", **{"Penstock-Token": "x"}), 403, "forbidden"
        )
    told = native.call("GET", "/jobs/~titles/errors", **token).json()["errors"]
    assert [entry["reason"] for entry in told] == ["private"]
    mine = Stream(native, "/jobs/~titles/events?after=0", **token).until("job.running")
    assert mine[0][2]["detail"]["sink"]["path"] == "titles.jsonl"


def test_that_a_protected_job_is_there_and_how_far_is_no_secret(native: Native) -> None:
    native.start(token="s3cret")
    native.start("other", source={"path": native.source()})
    assert native.ok("GET", "/jobs/~titles")["state"] == "pending"
    assert [job["name"] for job in native.ok("GET", "/jobs")["jobs"]] == ["titles", "other"]
    events = Stream(native, "/events?after=0")
    told = [next(iter(events)) for _ in range(2)]
    events.close()
    assert [(data["name"], data["detail"] is None) for _, _, data in told] == [
        ("titles", True),
        ("other", False),
    ]
