"""One file under several names, and files that other people touch: no output is lost to another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness.data_files import metadata, numbered, read_jsonl, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire


def start(server: ServerProcess, wire: Wire, job: str, source: str, output: str) -> Reply:
    told = metadata(server.data / source, server.data / output, overwrite=True)
    return wire.scramble(job, told, "JsonlReader", "JsonlWriter")


def other_name(file: Path, name: str, kind: str) -> None:
    if kind == "symbolic":
        (file.parent / name).symlink_to(file.name)
    else:
        os.link(file, file.parent / name)


KINDS = pytest.mark.parametrize("kind", ["symbolic", "hard"])


@KINDS
def test_an_input_is_not_its_own_output_by_a_link(
    server: ServerProcess, wire: Wire, kind: str
) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(20))
    other_name(source, "link.jsonl", kind)
    assert start(server, wire, "j", "in.jsonl", "link.jsonl").status == 400
    assert len(read_jsonl(source)) == 20


@KINDS
def test_two_jobs_do_not_share_an_output_by_a_link(
    server: ServerProcess, wire: Wire, kind: str
) -> None:
    write_jsonl(server.data / "in.jsonl", numbered(20))
    (server.data / "a.out").touch()
    other_name(server.data / "a.out", "b.out", kind)
    assert start(server, wire, "a", "in.jsonl", "a.out").status == 200
    assert start(server, wire, "b", "in.jsonl", "b.out").status == 400
    server.restart()
    assert start(server, wire, "b", "in.jsonl", "b.out").status == 400


def test_a_link_to_nothing_is_no_output(server: ServerProcess, wire: Wire) -> None:
    write_jsonl(server.data / "in.jsonl", numbered(2))
    (server.data / "link").symlink_to("a.out")
    assert start(server, wire, "a", "in.jsonl", "link").status == 400
    assert not (server.data / "a.out").exists()


def write_input_with_a_bad_line(path: Path) -> None:
    path.write_text('{"n":0}\nbroken\n{"n":1}\n')


def test_an_error_file_does_not_replace_the_output_of_another_job(
    server: ServerProcess, wire: Wire
) -> None:
    write_input_with_a_bad_line(server.data / "bad.jsonl")
    write_jsonl(server.data / "in.jsonl", numbered(2))
    errors = server.data / "x.errors.jsonl"
    assert start(server, wire, "first", "in.jsonl", errors.name).status == 200
    assert wire.receive("first", wire.serve("first").json()).status == 200
    assert wire.serve("first").json() == []
    assert start(server, wire, "second", "bad.jsonl", "x").status == 400
    assert read_jsonl(errors) == numbered(2)


def test_an_output_does_not_replace_the_error_file_of_another_job(
    server: ServerProcess, wire: Wire
) -> None:
    write_input_with_a_bad_line(server.data / "bad.jsonl")
    write_jsonl(server.data / "in.jsonl", numbered(2))
    assert start(server, wire, "first", "bad.jsonl", "x").status == 200
    items = wire.serve("first").json()
    assert wire.receive("first", items).status == 200
    assert start(server, wire, "second", "in.jsonl", "x.errors.jsonl").status == 400
    server.restart()
    assert start(server, wire, "second", "in.jsonl", "x.errors.jsonl").status == 400
    assert [line["record"] for line in read_jsonl(server.data / "x.errors.jsonl")] == [1]


def test_an_error_file_that_could_not_be_written_is_told_at_the_start(
    server: ServerProcess, wire: Wire
) -> None:
    write_jsonl(server.data / "in.jsonl", numbered(2))
    (server.data / "x.errors.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(server.data / "y.errors.jsonl")
    assert start(server, wire, "x", "in.jsonl", "x").status == 403
    assert start(server, wire, "y", "in.jsonl", "y").status == 400


def test_an_output_that_was_cut_while_it_was_written_is_told_of(
    server: ServerProcess, wire: Wire
) -> None:
    write_jsonl(server.data / "in.jsonl", numbered(20))
    assert start(server, wire, "j", "in.jsonl", "out").status == 200
    assert wire.receive("j", wire.serve("j", 10).json()).status == 200
    items = wire.serve("j", 10).json()
    os.truncate(server.data / "out", 5)
    reply = wire.receive("j", items)
    assert reply.status == 400 and "was cut" in reply.detail
    assert b"\0" not in (server.data / "out").read_bytes()
    assert wire.report("j")["received"] == 10
