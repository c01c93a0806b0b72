"""Requests whose end two readers could see at different places, and pages of other sites."""

from __future__ import annotations

import pytest
from harness.data_files import metadata, numbered, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Wire

HEAD = b"POST /receive?job_name=j&overwrite=0 HTTP/1.1\r\nHost: localhost\r\n"
BODY = b'[[0,{"n":0}]]'
CHUNKED = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"
# What a smuggler would have taken for the next client's request.
NEXT = b"GET /delete?job_name=j HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

UNCLEAR = {
    "two lengths": b"Content-Length: 13\r\nContent-Length: 2\r\n\r\n" + BODY,
    "two lengths that agree": b"Content-Length: 13\r\nContent-Length: 13\r\n\r\n" + BODY,
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "an unknown coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "no coding": b"Transfer-Encoding: identity\r\n\r\n",
    "a blank behind the name": b"Content-Length : 13\r\n\r\n" + BODY,
    "two hosts": b"Host: localhost\r\nContent-Length: 13\r\n\r\n" + BODY,
}


@pytest.fixture
def job(server: ServerProcess, wire: Wire) -> str:
    source = write_jsonl(server.data / "in.jsonl", numbered(10))
    told = metadata(source, server.data / "out.jsonl")
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    assert len(wire.serve("j", 5).json()) == 5
    return "j"


@pytest.mark.parametrize("what", UNCLEAR)
def test_a_request_without_a_clear_end_is_refused_and_nothing_behind_it_read(
    wire: Wire, job: str, what: str
) -> None:
    try:
        answer = wire.exchange(HEAD + UNCLEAR[what] + NEXT, timeout=20)
    except ConnectionResetError:
        answer = b""  # the refusal crossed what was behind it
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert wire.report(job) == {"served": 5, "received": 0, "status": "IN_PROGRESS"}


def test_a_coding_in_any_case_is_known(wire: Wire, job: str) -> None:
    answer = wire.exchange(
        HEAD + b"Connection: close\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKED
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert wire.report(job)["received"] == 1


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/delete?job_name=j", "/clean?job_name=j", "/purge?output=true"])
def test_a_picture_in_a_page_of_another_site_changes_nothing(
    wire: Wire, job: str, site: str, path: str
) -> None:
    """Browsers send no Origin with it, and Planchet changes things by GET."""
    reply = wire.call("GET", path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
    assert reply.status == 403
    assert wire.report(job)["served"] == 5
    for method, other in [("POST", "/serve?job_name=j&batch_size=1"), ("DELETE", "/v1/jobs/1")]:
        assert wire.call(method, other, headers={"Sec-Fetch-Site": site}).status == 403
    assert wire.report(job)["served"] == 5


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_a_typed_address_are_answered(wire: Wire, job: str, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert wire.call("GET", "/report", {"job_name": job}, headers=headers).status == 200
    assert wire.call("GET", "/delete", {"job_name": job}, headers=headers).body == b"null"


def test_a_link_from_another_site_leads_to_the_docs(wire: Wire) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert wire.call("GET", "/docs", headers=headers).status == 200
