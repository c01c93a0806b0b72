"""The life of a job: starts, repeats, modes, repair, clean, delete, purge, restarts, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness.data_files import metadata, numbered, once_each, read_jsonl, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire


@pytest.fixture
def source(server: ServerProcess) -> Path:
    return write_jsonl(server.data / "in.jsonl", numbered(10))


@pytest.fixture
def output(server: ServerProcess) -> Path:
    return server.data / "out.jsonl"


def start(wire: Wire, source: Path | None, output: Path | None, name: str = "j", **q: Any) -> Reply:
    return wire.scramble(name, metadata(source, output), "JsonlReader", "JsonlWriter", **q)


def ids(reply: Reply) -> list[int]:
    assert reply.status == 200, reply
    return [i for i, _ in reply.json()]


def echo(wire: Wire, items: list[Any], name: str = "j", **q: Any) -> None:
    assert wire.receive(name, items, **q).status == 200


def detail(reply: Reply) -> str:
    assert reply.status == 400, reply
    text = reply.detail
    assert isinstance(text, str) and text
    return text


def test_a_job_from_start_to_complete(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    while items := wire.serve("j", 3).json():
        echo(wire, items)
    assert wire.report("j") == {"served": 0, "received": 10, "status": "COMPLETE"}
    assert read_jsonl(output) == numbered(10)
    assert wire.health() == {
        "Redis status": "Online",
        "Number of jobs": 1,
        "Number of finished jobs": ["j"],
    }


def test_what_is_in_flight_is_not_served_again(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    assert ids(wire.serve("j", 10)) == list(range(10))
    assert ids(wire.serve("j", 10)) == []
    assert wire.report("j") == {"served": 10, "received": 0, "status": "IN_PROGRESS"}


def test_a_result_sent_twice_is_written_once(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    items = wire.serve("j", 4).json()
    echo(wire, items)
    echo(wire, items)
    echo(wire, items + wire.serve("j", 1).json())
    once_each(read_jsonl(output), 5)


def test_overwrite_true_appends_again(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    items = wire.serve("j", 2).json()
    echo(wire, items)
    echo(wire, items, overwrite=True)
    assert [r["n"] for r in read_jsonl(output)] == [0, 1, 0, 1]
    assert wire.report("j")["received"] == 2


def test_a_missing_input_is_told_in_python_s_words(
    wire: Wire, server: ServerProcess, output: Path
) -> None:
    path = server.data / "nothing.jsonl"
    assert detail(start(wire, path, output)) == f"[Errno 2] No such file or directory: '{path}'"
    assert wire.report("j") == {}


def test_an_output_of_another_job_is_refused(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    assert detail(start(wire, source, output, "k")) == f"Output path not allowed `{output}`."
    assert wire.report("k") == {}


def test_a_known_name_is_refused(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    other = output.with_name("other.jsonl")
    assert detail(start(wire, source, other)) == "Job j already exists."


def test_serving_an_unknown_job(wire: Wire) -> None:
    assert detail(wire.serve("nope")) == "No known job: nope"


def test_a_write_job_is_not_served(wire: Wire, output: Path) -> None:
    wire.scramble("w", metadata(None, output), "", "JsonlWriter", mode="write")
    assert detail(wire.serve("w")) == "Trying to read from a write-only job"


def test_a_read_job_takes_no_results(wire: Wire, source: Path) -> None:
    assert wire.scramble("r", metadata(source, None), "JsonlReader", "", mode="read").status == 200
    assert ids(wire.serve("r", 4)) == [0, 1, 2, 3]
    assert detail(wire.receive("r", [[0, {}]])) == "Trying to send to a read-only job"


def test_a_job_without_writer_takes_no_results(wire: Wire, source: Path) -> None:
    reply = wire.scramble("n", metadata(source, None), "JsonlReader", "")
    assert reply.status == 200
    wire.serve("n", 1)
    assert detail(wire.receive("n", [[0, {}]])) == "No valid writer initialised"


def test_marking_what_is_received(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    items = wire.serve("j", 4).json()
    echo(wire, items[2:3])
    assert detail(wire.mark("j", [0, 2, 1])) == "Item already received: 2"
    assert wire.report("j")["received"] == 1
    echo(wire, [items[1], items[3]])
    # 0 came before the fault and stays marked: nothing but the rest is left to do.
    rest = wire.serve("j").json()
    assert [i for i, _ in rest] == [4, 5, 6, 7, 8, 9]
    echo(wire, rest)
    wire.serve("j")
    assert wire.report("j")["status"] == "COMPLETE"


def test_a_marked_item_s_result_is_still_taken(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    items = wire.serve("j", 1).json()
    assert wire.mark("j", [0]).status == 200
    echo(wire, items)
    assert read_jsonl(output) == [items[0][1]]
    assert wire.report("j")["received"] == 1


def test_cleaning_an_unknown_job(wire: Wire) -> None:
    assert detail(wire.clean("nope")) == 'Could not find a job name "nope"'


def test_cleaning_a_job_without_writer(wire: Wire, source: Path) -> None:
    wire.scramble("n", metadata(source, None), "JsonlReader", "")
    assert detail(wire.clean("n")) == (
        "No cleaning method found for writer type \"<class 'NoneType'>\""
    )


def test_clean_removes_the_output_unless_told_not_to(
    wire: Wire, source: Path, output: Path
) -> None:
    start(wire, source, output)
    echo(wire, wire.serve("j", 3).json())
    wire.serve("j", 2)
    assert wire.clean("j", output=False).status == 200
    assert output.exists()
    assert wire.report("j")["served"] == 0
    assert wire.clean("j").status == 200
    assert not output.exists()


def test_delete_forgets_the_job_and_keeps_the_output(
    wire: Wire, source: Path, output: Path
) -> None:
    start(wire, source, output)
    echo(wire, wire.serve("j", 10).json())
    assert wire.delete("j").status == 200
    assert wire.report("j") == {} and len(read_jsonl(output)) == 10
    assert wire.health()["Number of jobs"] == 0
    assert start(wire, source, output).status == 200
    assert ids(wire.serve("j", 2)) == [0, 1]


def test_purge_forgets_all_jobs(wire: Wire, source: Path, output: Path) -> None:
    other = output.with_name("other.jsonl")
    start(wire, source, output)
    start(wire, source, other, "k")
    echo(wire, wire.serve("j", 2).json())
    echo(wire, wire.serve("k", 2).json(), "k")
    assert wire.purge().status == 200
    assert wire.health()["Number of jobs"] == 0
    assert output.exists() and other.exists()
    start(wire, source, output)
    echo(wire, wire.serve("j", 2).json())
    assert wire.purge(output=True).status == 200
    assert not output.exists()


def test_clean_start_serves_everything_again(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    items = wire.serve("j", 5).json()
    echo(wire, items[:3])
    wire.mark("j", [4])
    assert start(wire, source, output, clean_start=True).status == 200
    assert wire.report("j") == {"served": 0, "received": 0, "status": "IN_PROGRESS"}
    assert len(read_jsonl(output)) == 3
    assert ids(wire.serve("j", 100)) == list(range(10))


def test_a_repair_serves_what_is_in_flight_and_keeps_the_rest(
    wire: Wire, source: Path, output: Path
) -> None:
    start(wire, source, output)
    items = wire.serve("j", 5).json()
    echo(wire, [items[0], items[2]])
    wire.mark("j", [4])
    assert start(wire, source, output, cont=True).status == 200
    assert wire.report("j")["served"] == 0
    assert ids(wire.serve("j", 100)) == [1, 3, 5, 6, 7, 8, 9]
    assert wire.report("j")["received"] == 2


def test_a_repair_of_a_job_that_is_not_there_is_a_new_job(
    wire: Wire, source: Path, output: Path
) -> None:
    assert start(wire, source, output, cont=True).status == 200
    assert ids(wire.serve("j", 2)) == [0, 1]


def test_a_repair_of_a_complete_job_serves_nothing(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    echo(wire, wire.serve("j", 10).json())
    wire.serve("j")
    assert start(wire, source, output, cont=True).status == 200
    assert wire.serve("j").json() == []
    assert wire.report("j") == {"served": 0, "received": 10, "status": "COMPLETE"}
    once_each(read_jsonl(output), 10)


def test_force_overwrite_takes_an_output_over(wire: Wire, source: Path, output: Path) -> None:
    start(wire, source, output)
    echo(wire, wire.serve("j", 10).json())
    wire.serve("j")
    assert start(wire, source, output, "k", force_overwrite=True).status == 200
    assert ids(wire.serve("k", 1)) == [0]


def test_any_other_mode_is_read_write_without_a_check_for_repeats(
    wire: Wire, source: Path, output: Path
) -> None:
    assert start(wire, source, output, mode="something").status == 200
    items = wire.serve("j", 1).json()
    echo(wire, items)
    echo(wire, items)
    assert len(read_jsonl(output)) == 2


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_restart_keeps_every_job(
    wire: Wire, server: ServerProcess, source: Path, output: Path, how: str
) -> None:
    start(wire, source, output)
    echo(wire, wire.serve("j", 4).json())
    wire.serve("j", 2)
    start(wire, source, output.with_name("k.out"), "k", token="t")
    start(wire, source, output.with_name("done.out"), "done")
    echo(wire, wire.serve("done", 10).json(), "done")
    wire.serve("done")
    if how == "stop":
        assert server.stop() == 0
        server.start()
    else:
        server.restart()
    assert wire.report("done") == {"served": 0, "received": 10, "status": "COMPLETE"}
    assert wire.report("j")["received"] == 4
    assert ids(wire.serve("j", 100)) == [4, 5, 6, 7, 8, 9]
    assert wire.serve("k").status == 403
    assert wire.health()["Number of jobs"] == 3


def test_results_of_before_a_crash_are_taken_after_it(
    wire: Wire, server: ServerProcess, source: Path, output: Path
) -> None:
    start(wire, source, output)
    items = wire.serve("j", 10).json()
    echo(wire, items[:2])
    server.restart()
    echo(wire, items[2:5])
    rest = wire.serve("j").json()
    assert [i for i, _ in rest] == [5, 6, 7, 8, 9]
    echo(wire, rest)
    once_each(read_jsonl(output), 10)


# Everything that was a 500: a 400 with a sentence, and nothing is written.


def test_receive_and_mark_of_an_unknown_job(wire: Wire) -> None:
    detail(wire.receive("nope", [[0, {}]]))
    detail(wire.mark("nope", [0]))


@pytest.mark.parametrize("reader,writer", [("red", "JsonlWriter"), ("JsonlReader", "pd"),
                                           ("None", "None"), ("jsonlreader", "JsonlWriter"),
                                           ("JsonlWriter", "JsonlReader")])  # fmt: skip
def test_unknown_readers_and_writers(
    wire: Wire, source: Path, output: Path, reader: str, writer: str
) -> None:
    reply = wire.scramble("j", metadata(source, output), reader, writer)
    if (reader, writer) == ("None", "None"):
        assert reply.status in (200, 400)
        return
    detail(reply)
    assert wire.report("j") == {}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"input_file_path": 5, "output_file_path": 5},
        {"input_file_path": None},
        {"input_file_path": ""},
        {"input_file_path": "in.jsonl", "output_file_path": ["x"]},
        {"input_file_path": "in.jsonl", "output_file_path": ""},
        {"input_file_path": "in.jsonl\u0000", "output_file_path": "out"},
        {"input_file_path": ".", "output_file_path": "out"},
        {"input_file_path": "in.jsonl", "output_file_path": "."},
        {"input_file_path": "in.jsonl", "output_file_path": "no/such/folder/out"},
    ],
)
def test_metadata_that_does_not_do(wire: Wire, source: Path, told: dict[str, Any]) -> None:
    detail(wire.scramble("j", told, "JsonlReader", "JsonlWriter"))
    assert wire.report("j") == {}


def test_an_empty_csv(wire: Wire, server: ServerProcess, output: Path) -> None:
    path = server.data / "empty.csv"
    path.write_bytes(b"")
    detail(wire.scramble("j", metadata(path, output), "CsvReader", "JsonlWriter"))
    assert wire.report("j") == {}


def test_input_and_output_may_not_be_the_same_file(wire: Wire, source: Path) -> None:
    before = source.read_bytes()
    detail(start(wire, source, source))
    assert source.read_bytes() == before


def test_doctor_is_content_after_a_clean_and_after_a_repair_to_another_output(
    wire: Wire, source: Path, output: Path
) -> None:
    start(wire, source, output)
    items = wire.serve("j", 4).json()
    echo(wire, items[:2])
    assert wire.clean("j").status == 200
    echo(wire, wire.serve("j", 1).json())
    assert wire.call("GET", "/v1/doctor").json()["faults"] == 0
    other = output.with_name("other.jsonl")
    assert start(wire, source, other, cont=True).status == 200
    echo(wire, wire.serve("j", 1).json())
    assert len(read_jsonl(output)) == len(read_jsonl(other)) == 1
    assert wire.call("GET", "/v1/doctor").json()["faults"] == 0
