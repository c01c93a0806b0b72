"""The operator's own readers and writers: programs behind the same jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.data_files import once_each, read_jsonl
from harness.server_process import ServerProcess
from harness.wire import Wire

COUNT = 3000
NUMBERS = f"""numbers=seq 0 {COUNT - 1} | sed 's/.*/{{"n":&}}/'"""
DEADLINE_S = 30.0


def job_of(wire: Wire, name: str) -> dict[str, Any]:
    jobs = wire.call("GET", "/v1/jobs").json()["jobs"]
    return next(job for job in jobs if job["name"] == name)


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return found


def work(wire: Wire, job: str, batches: int = -1) -> None:
    """A worker's loop, to the end or for so many batches."""
    while batches and (items := wire.serve(job, 100).json()):
        assert wire.receive(job, items).status == 200
        batches -= 1


def start(make_server: Callable[..., ServerProcess], folder: Path, *args: str) -> ServerProcess:
    return make_server(
        "--reader", NUMBERS, "--writer", f"keep=cat > {folder / 'kept.jsonl'}", *args
    )


def test_records_go_from_a_program_to_a_program(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    wire = Wire(start(make_server, tmp_path).url)
    assert wire.scramble("p", {}, "numbers", "keep").status == 200
    work(wire, "p")
    wait_for(lambda: wire.report("p")["status"] == "COMPLETE")
    once_each(read_jsonl(tmp_path / "kept.jsonl"), COUNT)


def test_what_a_reader_prints_last_is_served_however_soon_it_ends(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server("--reader", """one=echo '{"n":0}'""")
    wire = Wire(server.url)
    for n in range(60):
        told = {"output_file_path": str(server.data / f"out{n}.jsonl")}
        assert wire.scramble(f"p{n}", told, "one", "JsonlWriter").status == 200
        assert wire.serve(f"p{n}", 100).json() == [[0, {"n": 0}]]


def test_a_killed_server_goes_on_and_its_writer_begins_anew(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start(make_server, tmp_path)
    wire = Wire(server.url)
    assert wire.scramble("p", {}, "numbers", "keep").status == 200
    work(wire, "p", 12)
    assert len(wire.serve("p", 100).json()) == 100  # in flight
    server.kill()
    wire = Wire(server.start().url)
    work(wire, "p")
    wait_for(lambda: wire.report("p")["status"] == "COMPLETE")
    once_each(read_jsonl(tmp_path / "kept.jsonl"), COUNT)


def test_a_reader_that_prints_something_else_after_a_restart_fails_the_job(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text('{"n":0}\n{"n":1}\n')
    server = make_server("--reader", f"lines=cat {tmp_path / 'lines'}; sleep 600")
    wire = Wire(server.url)
    told = {"output_file_path": str(server.data / "out.jsonl")}
    assert wire.scramble("p", told, "lines", "JsonlWriter").status == 200
    work(wire, "p", 1)
    server.kill()
    (tmp_path / "lines").write_text('{"n":0}\n{"n":7}\n')
    wire = Wire(server.start().url)
    job = wait_for(lambda: (j := job_of(wire, "p"))["state"] == "failed" and j)
    assert "something else than when it ran before, from byte 13 on" in job["failure"]


def test_a_reader_that_fails_fails_its_job(make_server: Callable[..., ServerProcess]) -> None:
    command = "echo '{\"n\":0}'; echo 'table gone' >&2; exit 3"
    server = make_server("--reader", f"three={command}")
    wire = Wire(server.url)
    told = {"output_file_path": str(server.data / "out.jsonl")}
    assert wire.scramble("p", told, "three", "JsonlWriter").status == 200
    wire.serve("p", 100)
    job = wait_for(lambda: (j := job_of(wire, "p"))["state"] == "failed" and j)
    assert job["failure"] == "reader three: exit status 3; it said: table gone"
    assert "\ntable gone\n" in server.log()
    assert "warn job.failed job=" in server.log() and "exit status 3" in server.log()


def test_a_writer_that_fails_fails_its_job(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server("--reader", NUMBERS, "--writer", "short=head -n 1 > /dev/null; exit 4")
    wire = Wire(server.url)
    assert wire.scramble("p", {}, "numbers", "short").status == 200
    work(wire, "p", 1)
    job = wait_for(lambda: (j := job_of(wire, "p"))["state"] == "failed" and j)
    assert "exit status 4" in job["failure"]


def test_a_program_that_was_not_named_is_refused(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    wire = Wire(start(make_server, tmp_path).url)
    for reader, writer in [("other", "keep"), ("numbers", "other"), ("keep", "numbers")]:
        reply = wire.scramble("p", {}, reader, writer)
        assert reply.status == 400, reply
        assert "JsonlReader, CsvReader, JsonlWriter and CsvWriter" in reply.json()["detail"]
    assert wire.call("GET", "/v1/jobs").json()["jobs"] == []


def test_secrets_do_not_reach_a_program(
    make_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    said = tmp_path / "environment"
    server = make_server(
        "--reader",
        f"""spy=env > {said}; echo '{{"n":0}}'""",
        env={"PENSTOCK_MASTER_TOKEN": "the-master-token", "SEEN": "yes"},
    )
    wire = Wire(server.url)
    told = {"output_file_path": str(server.data / "out.jsonl")}
    assert wire.scramble("p", told, "spy", "JsonlWriter").status == 200
    work(wire, "p")
    assert "SEEN=yes" in said.read_text()
    assert "the-master-token" not in said.read_text()
