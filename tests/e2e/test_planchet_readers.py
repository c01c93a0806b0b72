"""What the readers serve: ids, values and types, from plain, compressed and growing inputs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import zstandard
from harness.data_files import metadata, numbered
from harness.server_process import ServerProcess
from harness.wire import Wire


def start(
    server: ServerProcess, wire: Wire, name: str, content: bytes, reader: str, **more: Any
) -> str:
    """Starts job `name` over an input of these bytes; returns the name."""
    source = server.data / name
    source.write_bytes(content)
    told = metadata(source, server.data / f"{name}.out", **more)
    reply = wire.scramble(name, told, reader, "JsonlWriter")
    assert reply.status == 200, reply
    return name


def served(wire: Wire, job: str, batch: int = 100) -> list[list[Any]]:
    """All that the job serves, in batches."""
    got: list[list[Any]] = []
    while items := wire.serve(job, batch).json():
        assert len(items) <= batch
        got += items
    return got


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_bad_and_empty_lines_use_up_their_number(
    server: ServerProcess, wire: Wire, batch: int
) -> None:
    content = b'{"a":1}\n{bad\n\n{"a":2}\n   \n[1,2]\n'
    job = start(server, wire, "x.jsonl", content, "JsonlReader")
    assert served(wire, job, batch) == [[0, {"a": 1}], [3, {"a": 2}], [5, [1, 2]]]


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1}\r\n{"a":2}\r\n{"a":3}\r\n',
        b'{"a":1}\r{"a":2}\r{"a":3}\r',
        b'{"a":1}\n{"a":2}\n{"a":3}',
        b'  {"a":1} \t\n\t{"a":2}\n{"a":3}  \n',
        b'{"a":1}\r{"a":2}\n{"a":3}\r\n',
    ],
)
def test_line_ends_and_blanks(server: ServerProcess, wire: Wire, content: bytes) -> None:
    job = start(server, wire, "x.jsonl", content, "JsonlReader")
    assert served(wire, job) == [[0, {"a": 1}], [1, {"a": 2}], [2, {"a": 3}]]


def test_any_json_value_is_served(server: ServerProcess, wire: Wire) -> None:
    content = b'1\n"x"\nnull\ntrue\n[]\n[["a","b"]]\n{}\n"\xe2\x80\xa8"\n'
    job = start(server, wire, "x.jsonl", content, "JsonlReader")
    values = [1, "x", None, True, [], [["a", "b"]], {}, "\u2028"]
    assert served(wire, job) == [[n, v] for n, v in enumerate(values)]


def test_numbers_keep_all_their_digits(server: ServerProcess, wire: Wire) -> None:
    big = b"123456789012345678901234567890"
    job = start(
        server, wire, "x.jsonl", b'{"i":' + big + b',"f":3.141592653589793}\n', "JsonlReader"
    )
    body = wire.serve(job).body
    assert big in body and b"3.141592653589793" in body


def test_of_a_key_given_twice_the_last_counts(server: ServerProcess, wire: Wire) -> None:
    job = start(server, wire, "x.jsonl", b'{"a":1,"a":2}\n', "JsonlReader")
    assert served(wire, job) == [[0, {"a": 2}]]


def test_two_values_on_a_line_are_a_bad_line(server: ServerProcess, wire: Wire) -> None:
    job = start(server, wire, "x.jsonl", b"{} {}\n1 2\n{}\n", "JsonlReader")
    assert served(wire, job) == [[2, {}]]


def test_an_input_is_read_on_as_it_grows(server: ServerProcess, wire: Wire) -> None:
    job = start(server, wire, "x.jsonl", b'{"n":0}\n', "JsonlReader")
    assert served(wire, job) == [[0, {"n": 0}]]
    wire.receive(job, [[0, {"n": 0}]])
    assert wire.report(job)["status"] == "COMPLETE"
    with (server.data / "x.jsonl").open("ab") as f:
        f.write(b'{"n":1}\n{"n":')
    assert served(wire, job) == [[1, {"n": 1}]]
    with (server.data / "x.jsonl").open("ab") as f:
        f.write(b"2}\n")
    assert served(wire, job) == [[2, {"n": 2}]]
    wire.receive(job, [[1, {"n": 1}], [2, {"n": 2}]])
    assert wire.report(job) == {"served": 0, "received": 3, "status": "COMPLETE"}


def test_an_empty_input_serves_nothing_and_is_complete(server: ServerProcess, wire: Wire) -> None:
    job = start(server, wire, "x.jsonl", b"", "JsonlReader")
    assert served(wire, job) == []
    assert wire.report(job) == {"served": 0, "received": 0, "status": "COMPLETE"}


def compressed(content: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(content)
    if how == "gz of two members":
        return gzip.compress(content[:1000]) + gzip.compress(content[1000:])
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize("how", ["gz", "gz of two members", "zst"])
@pytest.mark.parametrize("reader", ["JsonlReader", "CsvReader"])
def test_compressed_inputs_are_read(
    server: ServerProcess, wire: Wire, how: str, reader: str
) -> None:
    count = 3000
    if reader == "JsonlReader":
        content = b"".join(b'{"n":%d}\n' % n for n in range(count))
    else:
        content = b"n\n" + b"".join(b"%d\n" % n for n in range(count))
    name = "x." + how.split()[0]
    job = start(server, wire, name, compressed(content, how), reader)
    got = served(wire, job, 700)
    want = [{"n": n} if reader == "JsonlReader" else [n] for n in range(count)]
    assert got == [[n, item] for n, item in enumerate(want)]


# CSV: the same column is typed alike within a chunk.


def rows(server: ServerProcess, wire: Wire, content: str, **more: Any) -> list[Any]:
    job = start(server, wire, "x.csv", content.encode(), "CsvReader", **more)
    got = served(wire, job)
    assert [i for i, _ in got] == list(range(len(got)))
    return [item for _, item in got]


def test_the_header_is_not_served_and_items_are_lists(server: ServerProcess, wire: Wire) -> None:
    assert rows(server, wire, "a,b\n1,x\n2,y\n") == [[1, "x"], [2, "y"]]


def test_quotes_and_line_breaks_within_them(server: ServerProcess, wire: Wire) -> None:
    content = 'a,b\n"x,1","say ""hi"""\n"two\nlines",plain\n'
    assert rows(server, wire, content) == [["x,1", 'say "hi"'], ["two\nlines", "plain"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_csv(server: ServerProcess, wire: Wire, end: str) -> None:
    assert rows(server, wire, end.join(["a,b", "x,y", "", "z,w", ""])) == [["x", "y"], ["z", "w"]]


def test_blank_lines_use_no_number_and_a_byte_order_mark_is_dropped(
    server: ServerProcess, wire: Wire
) -> None:
    assert rows(server, wire, "\ufeffa,b\n\nx,y\n   \nz,w") == [["x", "y"], ["z", "w"]]


@pytest.mark.parametrize(
    "cells,values",
    [
        (["1", " 2 ", "-3", "+4", "007"], [1, 2, -3, 4, 7]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["18446744073709551615", "0"], [2**64 - 1, 0]),
        (["1.5", ".5", "1.", "1e5"], [1.5, 0.5, 1.0, 100000.0]),
        (["3.141592653589793", "0.1"], [3.141592653589793, 0.1]),
        (["True", "false", "TRUE"], [True, False, True]),
        (["true", "FALSE", "False"], [True, False, False]),
        (["1", "foo"], ["1", "foo"]),
        (["True", "1"], ["True", "1"]),
        (["007", "x"], ["007", "x"]),
        (["x", " y "], ["x", " y "]),
        (["1", "NA", "3"], [1, None, 3]),
        (["1.5", "nan", "NULL"], [1.5, None, None]),
        (["x", "n/a", "#N/A"], ["x", None, None]),
        (["inf", "1.5"], [None, 1.5]),
    ],
)
def test_a_column_is_typed_as_a_whole(
    server: ServerProcess, wire: Wire, cells: list[str], values: list[Any]
) -> None:
    content = "a,b\n" + "".join(f"{cell},text{n}\n" for n, cell in enumerate(cells))
    got = rows(server, wire, content)
    assert [row[0] for row in got] == values
    assert [type(row[0]) for row in got] == [type(v) for v in values]


@pytest.mark.parametrize(
    "word",
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"],
)  # fmt: skip
def test_words_for_missing(server: ServerProcess, wire: Wire, word: str) -> None:
    assert rows(server, wire, f"a,b\n{word},x\nfoo,y\n") == [[None, "x"], ["foo", "y"]]


def test_a_column_is_typed_anew_in_each_chunk(server: ServerProcess, wire: Wire) -> None:
    content = "a,b\n1,x\nfoo,x\n1,x\n2,x\n"
    assert rows(server, wire, content, chunk_size=2) == [
        ["1", "x"], ["foo", "x"], [1, "x"], [2, "x"]
    ]  # fmt: skip


def test_the_chunk_size_may_be_a_text_of_digits(server: ServerProcess, wire: Wire) -> None:
    content = "a\n1\nfoo\n3\n"
    assert rows(server, wire, content, chunk_size="2") == [["1"], ["foo"], [3]]


@pytest.mark.parametrize("size", [0, -1, "x", None, [1]])
def test_other_chunk_sizes_are_refused(server: ServerProcess, wire: Wire, size: Any) -> None:
    source = server.data / "x.csv"
    source.write_text("a\n1\n")
    told = metadata(source, server.data / "out", chunk_size=size)
    reply = wire.scramble("j", told, "CsvReader", "JsonlWriter")
    assert reply.status == 400 and isinstance(reply.detail, str)
    assert wire.report("j") == {}


def test_a_short_row_is_filled_up_with_missing(server: ServerProcess, wire: Wire) -> None:
    assert rows(server, wire, "a,b,c\n1,2,3\n4\n") == [[1, 2, 3], [4, None, None]]


def test_items_do_not_depend_on_the_size_of_batches(server: ServerProcess, wire: Wire) -> None:
    content = (
        "a,b\n" + "".join(f"{'x' if n % 37 == 5 else n},{n / 2}\n" for n in range(500))
    ).encode()
    one = served(wire, start(server, wire, "one.csv", content, "CsvReader"), 1000)
    other = served(wire, start(server, wire, "other.csv", content, "CsvReader"), 7)
    assert one == other and len(one) == 500


def test_after_a_restart_ids_and_values_are_the_same(server: ServerProcess, wire: Wire) -> None:
    content = (
        "a,b\n" + "".join(f"{'x' if n % 37 == 5 else n},{n / 2}\n" for n in range(500))
    ).encode()
    job = start(server, wire, "x.csv", content, "CsvReader")
    before = served(wire, job, 70)
    server.restart()
    assert served(wire, job, 130) == before


def test_paths_may_be_relative_to_the_first_data_folder(server: ServerProcess, wire: Wire) -> None:
    (server.data / "sub").mkdir()
    (server.data / "sub" / "in.jsonl").write_text('{"n":0}\n')
    told = {"input_file_path": "sub/in.jsonl", "output_file_path": "sub/out.jsonl"}
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    assert served(wire, "j") == [[0, {"n": 0}]]
    wire.receive("j", [[0, {"n": 0}]])
    assert (server.data / "sub" / "out.jsonl").read_bytes() != b""


def test_ten_thousand_records_arrive_in_order(server: ServerProcess, wire: Wire) -> None:
    content = b"".join(b'{"n":%d}\n' % r["n"] for r in numbered(10_000))
    job = start(server, wire, "x.jsonl", content, "JsonlReader")
    assert served(wire, job, 999) == [[n, {"n": n}] for n in range(10_000)]


def test_an_input_below_a_data_folder_under_another_name_is_found(
    server: ServerProcess, wire: Wire, tmp_path: Path
) -> None:
    (server.data / "in.jsonl").write_text("{}\n")
    told = metadata(server.data / ".." / "data" / "." / "in.jsonl", server.data / "out")
    reply = wire.scramble("j", told, "JsonlReader", "JsonlWriter")
    assert reply.status in (200, 400, 403)
    outside = tmp_path / "outside.jsonl"
    outside.write_text("{}\n")
    reply = wire.scramble("k", metadata(outside, server.data / "o2"), "JsonlReader", "JsonlWriter")
    assert reply.status in (400, 403) and isinstance(reply.detail, str)
