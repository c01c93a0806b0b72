"""Links behind a proxy: by the configured public root, and by nothing that a request says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness.server_process import NotStarted, ServerProcess
from harness.steps import Steps
from test_pinexq_events import Events

ROOT = "https://work.example"


def hrefs(document: Any) -> list[str]:
    found = [link["href"] for link in document.get("links", [])]
    found += [action["href"] for action in document.get("actions", [])]
    for entity in document.get("entities", []):
        found += hrefs(entity)
    return found


def test_all_links_begin_with_the_public_root(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--public-url", "HTTPS://Work.Example:443/", "--auth", "none")
    steps = Steps(server)
    job = steps.make()
    stream = Events(server)
    for headers in ({}, {"X-Forwarded-Host": "other", "X-Forwarded-Proto": "http"}):
        with httpx.Client(base_url=server.url, headers=headers) as client:
            for path in ("EntryPoint", "Info", "JobsRoot", "FolderRoot", "JobQuery"):
                found = hrefs(client.get(f"/api/{path}").json())
                assert found and all(href.startswith(ROOT + "/api/") for href in found)
            query = client.post("/api/JobsRoot/CreateJobQuery", json={})
            assert query.headers["location"].startswith(ROOT + "/api/JobQuery")
            upload = client.post("/api/WorkDataRoot/Upload", files={"upload-file": ("a", b"x")})
            assert upload.status_code == 201, upload.text
            assert upload.headers["location"].startswith(ROOT + "/api/WorkData/")
    event = next(event for event in stream if event)
    assert event["ResourceLink"].startswith(ROOT + "/api/Job/")
    assert event["ResourceLink"].endswith(f"{job['id']:012x}")
    # Who comes by the local socket is no client of the proxy's.
    transport = httpx.HTTPTransport(uds=f"{server.state}/penstock.sock")
    with httpx.Client(base_url="http://localhost", transport=transport) as local:
        assert all(h.startswith("http://localhost/") for h in hrefs(local.get("/api/Info").json()))


def test_the_public_name_is_let_in_and_no_other(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--public-url", ROOT, "--auth", "none")
    with httpx.Client(base_url=server.url) as client:

        def status(**headers: str) -> int:
            return client.get("/api/Info", headers=headers).status_code

        assert status(Host="work.example") == status(Host="WORK.example") == 200
        assert status(Origin=ROOT) == status(Origin=ROOT, Host="work.example") == 200
        assert status(Host="evil.example") == status(Host="work.example.evil.example") == 403
        assert status(Origin="https://evil.example") == status(Origin="http://work.example") == 403


def test_a_public_server_asks_for_keys(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--public-url", ROOT, start=False)
    with pytest.raises(NotStarted, match=r"others can reach https://work\.example.*no key"):
        server.start()
    made = server.run_cli("key", "create", "k")
    assert made.returncode == 0, made.stderr
    server.start()
    assert httpx.get(f"{server.url}/api/Info").status_code == 401


@pytest.mark.parametrize("url", ["ftp://h", "https://h/path", "work.example", "https://", ""])
def test_what_is_no_root_is_refused(make_server: Callable[..., ServerProcess], url: str) -> None:
    with pytest.raises(NotStarted, match="--public-url: expected http"):
        make_server("--public-url", url)
