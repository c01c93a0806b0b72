"""Endpoints of the Planchet surface: paths, methods, and the form of every answer."""

from __future__ import annotations

import http.client

import pytest
from harness.data_files import metadata, numbered, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

POSTS = ["/scramble", "/serve", "/receive", "/mark-errors", "/mark_errors"]
GETS = ["/delete", "/clean", "/purge", "/report", "/health", "/health_check"]
JSON_TYPE = "application/json; charset=utf-8"


def is_null(reply: Reply) -> None:
    assert (reply.status, reply.body) == (200, b"null")
    assert reply.headers["content-type"] == JSON_TYPE


@pytest.fixture
def job(server: ServerProcess, wire: Wire) -> str:
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    is_null(
        wire.scramble(
            "j", metadata(source, server.data / "out.jsonl"), "JsonlReader", "JsonlWriter"
        )
    )
    return "j"


def test_every_endpoint_that_writes_answers_null(job: str, wire: Wire) -> None:
    assert [i for i, _ in wire.serve(job, 5).json()] == [0, 1, 2, 3, 4]
    is_null(wire.receive(job, [[0, {"n": 0}]]))
    is_null(wire.mark(job, [1]))
    is_null(wire.clean(job))
    is_null(wire.delete(job))
    is_null(wire.delete("never there"))
    is_null(wire.purge())


def test_serve_answers_pairs_in_compact_json(job: str, wire: Wire) -> None:
    reply = wire.serve(job, 2)
    assert reply.status == 200 and reply.headers["content-type"] == JSON_TYPE
    assert reply.json() == [[0, {"n": 0, "text": "record 0"}], [1, {"n": 1, "text": "record 1"}]]
    assert reply.body.startswith(b"[[0,") and b"],[1," in reply.body
    assert wire.serve(job, 100).status == 200
    assert wire.serve(job, 100).body == b"[]"


def test_text_is_served_unescaped_in_utf_8(server: ServerProcess, wire: Wire) -> None:
    source = server.data / "u.jsonl"
    source.write_text('{"t":"žluťoučký кот 🐈"}\n', encoding="utf-8")
    wire.scramble("u", metadata(source, server.data / "u.out"), "JsonlReader", "JsonlWriter")
    assert "žluťoučký кот 🐈".encode() in wire.serve("u").body


def test_report_of_a_job_and_of_none(job: str, wire: Wire) -> None:
    assert wire.report(job) == {"served": 0, "received": 0, "status": "IN_PROGRESS"}
    wire.serve(job, 3)
    wire.receive(job, [[0, {"n": 0}]])
    assert wire.report(job) == {"served": 2, "received": 1, "status": "IN_PROGRESS"}
    assert wire.report("never there") == {}


@pytest.mark.parametrize("path", ["/health", "/health_check"])
def test_health_has_three_members(job: str, wire: Wire, path: str) -> None:
    reply = wire.call("GET", path)
    assert reply.status == 200 and reply.headers["content-type"] == JSON_TYPE
    told = reply.json()
    assert told == {
        "Redis status": "Online",
        "Number of jobs": 1,
        "Number of finished jobs": told["Number of finished jobs"],
    }
    assert told["Number of finished jobs"] in ([], 0)


def test_both_spellings_of_mark_errors_do_the_same(job: str, wire: Wire) -> None:
    wire.serve(job, 2)
    is_null(wire.call("POST", "/mark-errors", {"job_name": job}, [0]))
    is_null(wire.call("POST", "/mark_errors", {"job_name": job}, [1]))


@pytest.mark.parametrize("path", POSTS)
def test_get_on_a_post_endpoint_is_405(wire: Wire, path: str) -> None:
    reply = wire.call("GET", path)
    assert (reply.status, reply.json()) == (405, {"detail": "Method Not Allowed"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", GETS)
def test_other_methods_on_a_get_endpoint_are_405(wire: Wire, path: str, method: str) -> None:
    reply = wire.call(method, path)
    assert (reply.status, reply.json()) == (405, {"detail": "Method Not Allowed"})


@pytest.mark.parametrize("path", ["/health", "/serve"])
def test_head_is_405_without_a_body(wire: Wire, path: str) -> None:
    reply = wire.call("HEAD", path)
    assert (reply.status, reply.body) == (405, b"")


@pytest.mark.parametrize("path", ["/nothing", "/serve/x", "/Serve", "/healthz/", "//"])
def test_an_unknown_path_is_404(wire: Wire, path: str) -> None:
    reply = wire.call("GET", path)
    assert (reply.status, reply.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("method,path", [("POST", "/serve/"), ("GET", "/report/")])
def test_a_slash_at_the_end_is_redirected_to_an_absolute_address(
    wire: Wire, method: str, path: str
) -> None:
    reply = wire.call(method, path, "job_name=a%20b")
    assert reply.status == 307
    assert reply.headers["location"] == f"{wire.url}{path[:-1]}?job_name=a%20b"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_pages_for_people_are_html(wire: Wire, path: str) -> None:
    reply = wire.call("GET", path)
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/html")


def test_the_schema_names_every_endpoint(wire: Wire) -> None:
    reply = wire.call("GET", "/openapi.json")
    assert reply.status == 200 and reply.headers["content-type"].startswith("application/json")
    told = set(reply.json()["paths"])
    assert told >= {"/scramble", "/serve", "/receive", "/mark-errors", "/delete", "/clean"}
    assert told >= {"/purge", "/report", "/health"}


def test_connections_are_kept_alive(job: str, wire: Wire) -> None:
    connection = wire.connect()
    try:
        for n in range(5):
            reply = wire.call("POST", "/serve", {"job_name": job, "batch_size": 1}, None,
                              connection=connection)  # fmt: skip
            assert reply.json()[0][0] == n
            assert connection.sock is not None
    finally:
        connection.close()


def test_a_chunked_body_is_taken(job: str, wire: Wire) -> None:
    wire.serve(job, 2)
    connection = wire.connect()
    try:
        pieces = iter([b'[[0,{"n"', b":0}],[1,", b'{"n":1}]]'])
        connection.request("POST", f"/receive?job_name={job}&overwrite=False", body=pieces)
        answer: http.client.HTTPResponse = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"null")
    finally:
        connection.close()
    assert wire.report(job)["received"] == 2


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x/y"])
def test_the_content_type_of_a_body_is_not_looked_at(job: str, wire: Wire, kind: str) -> None:
    wire.serve(job, 1)
    is_null(
        wire.call(
            "POST",
            "/receive",
            {"job_name": job, "overwrite": "no"},
            [[0, {"n": 0}]],
            headers={"Content-Type": kind},
        )
    )
