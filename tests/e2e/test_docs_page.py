"""The documentation page in a real browser: what it shows, and that calls can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.browser import Browser, chromium
from harness.server_process import ServerProcess
from harness.wire import Wire

pytestmark = pytest.mark.skipif(chromium() is None, reason="no chromium here")

READY = "document.querySelector('details.operation')"


@pytest.fixture
def page(server: ServerProcess, tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"{server.url}/docs")
        browser.until(READY + " !== null")
        yield browser
        assert browser.complaints == []
        assert all(url.startswith((server.url, "data:,", "about:")) for url in browser.requests)


def open_call(page: Browser, name: str) -> None:
    page.run(f"location.hash = '{name}'")
    page.until(f"document.getElementById('{name}').open")


def send(page: Browser, name: str) -> str:
    """Sends the form of a call; the status line of the answer."""
    page.run(f"document.querySelector('#{name} form').requestSubmit()")
    status = page.until(
        f"(() => {{ const s = document.querySelector('#{name} .answer .status');"
        " return s && /^(No answer|[0-9])/.test(s.textContent)"
        f" && !document.querySelector('#{name} button[type=submit]').disabled"
        " ? s.textContent : ''; })()"
    )
    return str(status)


def body_shown(page: Browser, name: str) -> str:
    return str(page.run(f"document.querySelector('#{name} .answer pre').textContent"))


def test_all_calls_of_the_document_are_listed(page: Browser, wire: Wire) -> None:
    paths = wire.call("GET", "/openapi.json").json()["paths"]
    wanted = {
        operation["operationId"]
        for item in paths.values()
        for method, operation in item.items()
        if method != "parameters"
    }
    shown = page.run("[...document.querySelectorAll('details.operation')].map((e) => e.id)")
    assert set(shown) == wanted
    links = page.run("[...document.querySelectorAll('nav li a')].map((e) => e.hash.slice(1))")
    assert set(links) == wanted


def test_a_call_can_be_tried(page: Browser, server: ServerProcess) -> None:
    (server.data / "in.jsonl").write_text('{"a":1}\n')
    open_call(page, "createJob")
    page.run(
        "document.getElementById('createJob-body').value ="
        """ '{"name":"<img src=/x onerror=alert(1)>","mode":"read","source":{"path":"in.jsonl"}}'"""
    )
    assert send(page, "createJob").startswith("201")
    assert "location" in page.run("document.querySelector('#createJob .answer').textContent")
    open_call(page, "getJob")
    page.run("document.getElementById('getJob-path-job').value = '1'")
    assert send(page, "getJob").startswith("200")
    assert '"name": "<img src=/x onerror=alert(1)>"' in body_shown(page, "getJob")
    assert page.run("document.querySelectorAll('img').length") == 0


def test_a_refusal_is_shown_with_its_problem(page: Browser) -> None:
    open_call(page, "getJob")
    page.run("document.getElementById('getJob-path-job').value = '~no/body'")
    assert send(page, "getJob").startswith("404")
    assert "there is no job named no/body" in body_shown(page, "getJob")
    page.complaints.clear()  # the browser logs every 404


def test_it_works_from_the_keyboard_alone(page: Browser) -> None:
    page.run("location.hash = 'listJobs'")
    page.until("document.getElementById('listJobs').open")
    assert page.run("document.activeElement.tagName") == "SUMMARY"
    page.press("Tab")
    page.press("Tab")
    assert page.run("document.activeElement.id") == "listJobs-query-after"
    page.type("5")
    page.press("Tab")
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Send"
    page.press("Enter", "\r")
    page.until("document.querySelector('#listJobs .status')?.textContent.startsWith('200')")
    page.until("""document.querySelector('#listJobs .answer pre').textContent.includes('"jobs"')""")


def test_events_are_shown_as_they_come_until_stopped(page: Browser, wire: Wire) -> None:
    open_call(page, "followEvents")
    page.run("document.getElementById('followEvents-query-after').value = '0'")
    page.run("document.querySelector('#followEvents form').requestSubmit()")
    page.until("document.querySelector('#followEvents .status')?.textContent.startsWith('200')")
    job = {"name": "j", "mode": "write", "sink": {"path": "out.jsonl"}}
    assert wire.call("POST", "/v1/jobs", body=job).status == 201
    shown = "document.querySelector('#followEvents .answer pre').textContent"
    page.until(shown + ".includes('job.created')")
    page.run("document.querySelector('#followEvents button.plain').click()")
    page.until("document.querySelector('#followEvents .status').textContent.includes('stopped')")


def test_calls_are_found_by_words(page: Browser) -> None:
    page.run(
        "(() => { const f = document.getElementById('find'); f.value = 'LEASE extend';"
        " f.dispatchEvent(new Event('input')); })()"
    )
    left = "[...document.querySelectorAll('details.operation:not([hidden])')].map((e) => e.id)"
    assert page.run(left) == ["extendLease"]


def test_every_field_has_a_label_and_every_table_a_caption(page: Browser) -> None:
    unlabelled = page.run(
        "[...document.querySelectorAll('input, select, textarea')]"
        ".filter((e) => !e.labels.length).map((e) => e.id)"
    )
    assert unlabelled == []
    assert page.run("[...document.querySelectorAll('table')].every((t) => t.caption)")
    assert page.run("[...document.querySelectorAll('th')].every((h) => h.scope)")


def test_a_narrow_window_scrolls_nothing_sideways(page: Browser) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
