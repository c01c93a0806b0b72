"""What the writers write, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.data_files import metadata, numbered, read_bytes, read_jsonl, write_jsonl
from harness.planchet_peer import PlanchetPeer
from harness.server_process import ServerProcess
from harness.wire import Wire


def start(
    server: ServerProcess, wire: Wire, writer: str, output: str, count: int = 10, **more: Any
) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(count))
    told = metadata(source, server.data / output, **more)
    reply = wire.scramble("j", told, "JsonlReader", writer)
    assert reply.status == 200, reply
    wire.serve("j", count)


def send(wire: Wire, *items: Any, first: int = 0) -> None:
    reply = wire.receive("j", [[first + n, item] for n, item in enumerate(items)])
    assert reply.status == 200, reply


def test_nothing_is_created_before_the_first_batch(server: ServerProcess, wire: Wire) -> None:
    start(server, wire, "JsonlWriter", "out.jsonl")
    assert not (server.data / "out.jsonl").exists()


def test_the_client_s_items_are_written_as_python_writes_them(
    server: ServerProcess, wire: Wire, client: PlanchetPeer
) -> None:
    start(server, wire, "JsonlWriter", "out.jsonl")
    items = [
        {"a": 1, "b": [1, 2], "text": "žluť 🐈"},
        [1, 2.5, None, True],
        {"f": 1e22, "g": 1e-7, "big": 123456789012345678901234567890},
        {"z": 1, "a": {"deep": [{}]}},
    ]
    assert client.send("j", list(enumerate(items))).status == 200
    want = "".join(json.dumps(item) + "\n" for item in items)
    assert (server.data / "out.jsonl").read_text() == want


def test_lines_are_in_the_order_of_the_request(server: ServerProcess, wire: Wire) -> None:
    start(server, wire, "JsonlWriter", "out.jsonl")
    wire.receive("j", [[5, {"n": 5}], [2, {"n": 2}], [9, {"n": 9}]])
    wire.receive("j", [[0, {"n": 0}]])
    assert [r["n"] for r in read_jsonl(server.data / "out.jsonl")] == [5, 2, 9, 0]


def test_line_breaks_within_the_json_of_a_request_do_not_reach_the_output(
    server: ServerProcess, wire: Wire
) -> None:
    start(server, wire, "JsonlWriter", "out.jsonl")
    body = b'[\r\n [0,\n {"a":\n1,\r\n\t"b":"x y"}],\n[1,{"n":\n\n[ ]}]\n]\n'
    assert wire.call("POST", "/receive", {"job_name": "j", "overwrite": 0}, body).status == 200
    assert read_jsonl(server.data / "out.jsonl") == [{"a": 1, "b": "x y"}, {"n": []}]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("writer", ["JsonlWriter", "CsvWriter"])
def test_an_output_is_compressed_by_its_name(
    server: ServerProcess, wire: Wire, writer: str, suffix: str
) -> None:
    start(server, wire, writer, "out" + suffix, count=300)
    for first in range(0, 300, 50):
        send(wire, *[[n, f"x{n}"] for n in range(first, first + 50)], first=first)
        if first == 100:
            server.restart()
            assert len(wire.serve("j", 1000).json()) == 150
    text = read_bytes(server.data / ("out" + suffix)).decode()
    if writer == "JsonlWriter":
        assert [json.loads(line) for line in text.splitlines()] == [
            [n, f"x{n}"] for n in range(300)
        ]
    else:
        assert text == "".join(f"{n},x{n}\n" for n in range(300))


# CSV.


def csv(server: ServerProcess) -> str:
    return (server.data / "out.csv").read_bytes().decode()


def test_csv_rows_are_written_one_after_another(server: ServerProcess, wire: Wire) -> None:
    start(server, wire, "CsvWriter", "out.csv")
    send(wire, ["name", "n"], ["x", 1])
    send(wire, ["y", 2], ["z", 3], first=2)
    assert csv(server) == "name,n\nx,1\ny,2\nz,3\n"


def test_csv_rows_are_appended_to_what_is_there(server: ServerProcess, wire: Wire) -> None:
    (server.data / "out.csv").write_text("h,i\n")
    start(server, wire, "CsvWriter", "out.csv")
    send(wire, ["x", 1])
    assert csv(server) == "h,i\nx,1\n"


def test_csv_cells(server: ServerProcess, wire: Wire) -> None:
    start(server, wire, "CsvWriter", "out.csv")
    send(
        wire,
        ["a,b", 'say "hi"', "two\nlines", " blanks "],
        [None, True, False, "žluť"],
        [1, 1.5, 123456789012345678901234567890, ""],
    )
    assert csv(server) == (
        '"a,b","say ""hi""","two\nlines", blanks \n'
        ",True,False,žluť\n"
        "1,1.5,123456789012345678901234567890,\n"
    )


def test_csv_of_objects_has_a_header_of_the_first_one_s_keys(
    server: ServerProcess, wire: Wire
) -> None:
    start(server, wire, "CsvWriter", "out.csv")
    send(wire, {"n": 0, "t": "x"}, {"t": "y", "n": 1})
    send(wire, {"n": 2}, first=2)
    assert csv(server) == "n,t\n0,x\n1,y\n2,\n"


def test_a_scalar_item_is_refused_and_nothing_of_its_batch_is_written(
    server: ServerProcess, wire: Wire
) -> None:
    start(server, wire, "CsvWriter", "out.csv")
    reply = wire.receive("j", [[0, ["x", 1]], [1, 5]])
    assert reply.status == 422
    assert wire.report("j")["received"] == 0
    assert not (server.data / "out.csv").exists() or csv(server) == ""


@pytest.mark.parametrize("overwrite", [True, "False", 1, "yes"])
def test_overwrite_is_whatever_python_calls_true(
    server: ServerProcess, wire: Wire, overwrite: Any
) -> None:
    (server.data / "out.jsonl").write_text('{"old":1}\n')
    start(server, wire, "JsonlWriter", "out.jsonl", overwrite=overwrite)
    assert (server.data / "out.jsonl").read_text() == '{"old":1}\n'
    send(wire, {"n": 0})
    assert read_jsonl(server.data / "out.jsonl") == [{"n": 0}]


@pytest.mark.parametrize("overwrite", [False, 0, "", None, [], {}])
def test_otherwise_results_are_appended(server: ServerProcess, wire: Wire, overwrite: Any) -> None:
    (server.data / "out.jsonl").write_text('{"old":1}\n')
    start(server, wire, "JsonlWriter", "out.jsonl", overwrite=overwrite)
    send(wire, {"n": 0})
    assert read_jsonl(server.data / "out.jsonl") == [{"old": 1}, {"n": 0}]


def test_a_write_job_takes_any_ids_as_often_as_they_come(server: ServerProcess, wire: Wire) -> None:
    told = metadata(None, server.data / "dump.jsonl")
    assert wire.scramble("dump", told, "", "JsonlWriter", mode="write").status == 200
    for number in [7, 7, -3, 10**20]:
        reply = wire.receive("dump", [[number, {"n": 1}]])
        assert reply.status == 200, (number, reply)
    assert len(read_jsonl(server.data / "dump.jsonl")) == 4
