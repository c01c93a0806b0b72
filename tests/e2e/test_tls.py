"""The server over TLS: with its certificate everything, without it nothing."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.server_process import NotStarted, ServerProcess
from harness.wire import Wire

RECORDS = 20_000


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return cert, key


def test_records_go_out_and_come_back_over_tls(
    make_server: Callable[..., ServerProcess], certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    server = make_server("--tls-cert", str(cert), "--tls-key", str(key))
    assert server.url.startswith("https://")
    (server.data / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(RECORDS)))
    trusting = ssl.create_default_context(cafile=str(cert))

    def call(path: str, body: bytes) -> bytes:
        request = urllib.request.Request(f"{server.url}{path}", data=body, method="POST")
        with urllib.request.urlopen(request, context=trusting, timeout=30) as answer:
            return bytes(answer.read())

    metadata = {"input_file_path": "in.jsonl", "output_file_path": "out.jsonl"}
    call(
        "/scramble?job_name=tls&reader_name=JsonlReader&writer_name=JsonlWriter",
        json.dumps(metadata).encode(),
    )
    served = call(f"/serve?job_name=tls&batch_size={RECORDS}", b"")
    assert call("/receive?job_name=tls&overwrite=false", served) == b"null"
    assert (server.data / "out.jsonl").read_text() == (server.data / "in.jsonl").read_text()


def test_who_does_not_know_the_certificate_or_speaks_plainly_gets_nothing(
    make_server: Callable[..., ServerProcess], certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    server = make_server("--tls-cert", str(cert), "--tls-key", str(key))
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"{server.url}/v1/health", timeout=30)
    with pytest.raises((OSError, ValueError)):
        Wire(server.url.replace("https", "http")).call("GET", "/v1/health")
    assert server.alive()


def test_a_key_that_is_none_is_told_at_the_start(
    make_server: Callable[..., ServerProcess], certificate: tuple[Path, Path]
) -> None:
    cert, _ = certificate
    with pytest.raises(NotStarted):
        make_server("--tls-cert", str(cert), "--tls-key", str(cert))
