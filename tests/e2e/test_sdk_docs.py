"""The examples of README and docs/run.md, as the worker runs them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.runtime_case import RuntimeCase
from harness.server_process import ROOT


def examples(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]


@pytest.fixture
def titles() -> Iterator[str]:
    """A service of titles: 404 for id 3, 503 with Retry-After for id 4."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(parse_qs(urlsplit(self.path).query)["id"][0])
            self.send_response({3: 404, 4: 503}.get(number, 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Retry-After", "9")
            self.end_headers()
            self.wfile.write(json.dumps({"title": f"title {number}"}).encode())

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}/titles"
    http.shutdown()
    http.server_close()


def test_the_readme_s_function_runs(case: RuntimeCase) -> None:
    engine = case.run(examples("python/README.md")[0], [{"title": "four"}])
    assert engine.results == {0: {"title": "four", "length": 4}}


def test_the_function_of_the_page_runs(case: RuntimeCase, titles: str) -> None:
    (source,) = (text for text in examples("docs/run.md") if "penstock.Fail" in text)
    source = source.replace("https://api.example.com/titles", titles)
    engine = case.run(source, [{"id": number} for number in range(5)])
    assert engine.results == {n: {"id": n, "title": f"title {n}"} for n in range(3)}
    assert engine.failures[3] == {
        "message": "there is no such title",
        "type": "Fail",
        "final": True,
    }
    assert engine.failures[4]["type"] == "ClientResponseError"
    assert engine.failures[4]["throttled"] and engine.failures[4]["retry_after_s"] == 9
    assert case.last.hello()["retry"] == {"retries": 3, "delay_s": 2, "factor": 2.0}
