"""Query parameters and bodies of the Planchet surface, right ones and wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from harness.data_files import metadata, numbered, read_jsonl, write_jsonl
from harness.server_process import ServerProcess
from harness.wire import Reply, Wire

MISSING = {"msg": "field required", "type": "value_error.missing"}
NO_BOOL = {"msg": "value could not be parsed to a boolean", "type": "type_error.bool"}
NO_INT = {"msg": "value is not a valid integer", "type": "type_error.integer"}
NO_DICT = {"msg": "value is not a valid dict", "type": "type_error.dict"}
NO_LIST = {"msg": "value is not a valid list", "type": "type_error.list"}
NO_TUPLE = {"msg": "value is not a valid tuple", "type": "type_error.tuple"}
NONE = {"msg": "none is not an allowed value", "type": "type_error.none.not_allowed"}


def wrong_length(length: int) -> dict[str, Any]:
    return {
        "msg": f"wrong tuple length {length}, expected 2",
        "type": "value_error.tuple.length",
        "ctx": {"actual_length": length, "expected_length": 2},
    }


def refused(reply: Reply, *faults: tuple[list[Any], dict[str, Any]]) -> None:
    """422 with exactly these entries, in this order."""
    assert reply.status == 422, reply
    assert reply.json() == {"detail": [{"loc": loc, **fault} for loc, fault in faults]}


@pytest.fixture
def job(server: ServerProcess, wire: Wire) -> str:
    source = write_jsonl(server.data / "in.jsonl", numbered(30))
    told = metadata(source, server.data / "out.jsonl")
    assert wire.scramble("j", told, "JsonlReader", "JsonlWriter").status == 200
    return "j"


def test_missing_parameters_and_body_are_all_told(wire: Wire) -> None:
    names = ["job_name", "reader_name", "writer_name"]
    refused(
        wire.call("POST", "/scramble"),
        *[(["query", name], MISSING) for name in names],
        (["body", "metadata"], MISSING),
    )
    refused(
        wire.call("POST", "/receive"),
        (["query", "job_name"], MISSING),
        (["query", "overwrite"], MISSING),
        (["body", "items"], MISSING),
    )
    refused(
        wire.call("POST", "/mark-errors"), (["query", "job_name"], MISSING),
        (["body", "ids"], MISSING),
    )  # fmt: skip
    for method, path in [("POST", "/serve"), ("GET", "/delete"), ("GET", "/clean"),
                         ("GET", "/report")]:  # fmt: skip
        refused(wire.call(method, path), (["query", "job_name"], MISSING))


TRUE = ["true", "True", "TRUE", "1", "on", "On", "yes", "YES", "t", "T", "y", "Y"]
FALSE = ["false", "False", "FALSE", "0", "off", "OFF", "no", "No", "f", "F", "n", "N"]


def test_booleans_are_taken_in_all_their_spellings(job: str, wire: Wire) -> None:
    wire.serve(job, 1)
    assert wire.receive(job, [[0, {"n": 0}]], overwrite="False").status == 200
    for word in TRUE + FALSE:
        assert wire.receive(job, [], overwrite=word).status == 200, word


@pytest.mark.parametrize("word", ["", "None", "2", "tru", "-1", "да"])
def test_what_is_no_boolean_is_refused(job: str, wire: Wire, word: str) -> None:
    refused(wire.receive(job, [], overwrite=word), (["query", "overwrite"], NO_BOOL))
    refused(wire.clean(job, output=word), (["query", "output"], NO_BOOL))
    refused(wire.purge(output=word), (["query", "output"], NO_BOOL))
    refused(
        wire.scramble(job, {}, "JsonlReader", "JsonlWriter", clean_start=word, cont=word),
        (["query", "clean_start"], NO_BOOL),
        (["query", "cont"], NO_BOOL),
    )


@pytest.mark.parametrize(
    "text,count", [("3", 3), ("+3", 3), (" 3 ", 3), ("1_0", 10), ("0", 0), ("-4", 0), ("007", 7)]
)
def test_integers_are_taken_as_python_takes_them(
    job: str, wire: Wire, text: str, count: int
) -> None:
    assert len(wire.serve(job, text).json()) == count


def test_an_integer_may_have_any_size(job: str, wire: Wire) -> None:
    assert wire.serve(job, "-" + "9" * 40).json() == []
    assert len(wire.serve(job, "9" * 40).json()) == 30


@pytest.mark.parametrize("text", ["", "None", "1.5", "1e3", "x", "1__0", "_1", "0x10", "+"])
def test_what_is_no_integer_is_refused(job: str, wire: Wire, text: str) -> None:
    refused(wire.serve(job, text), (["query", "batch_size"], NO_INT))
    assert wire.report(job)["served"] == 0


def test_batches_have_100_items_unless_told(server: ServerProcess, wire: Wire) -> None:
    source = write_jsonl(server.data / "big.jsonl", numbered(150))
    wire.scramble("big", metadata(source, server.data / "b.out"), "JsonlReader", "JsonlWriter")
    assert len(wire.call("POST", "/serve", "job_name=big").json()) == 100


def test_of_a_parameter_given_twice_the_last_counts(job: str, wire: Wire) -> None:
    reply = wire.call("POST", "/serve", f"job_name=other&batch_size=x&job_name={job}&batch_size=2")
    assert len(reply.json()) == 2


def test_unknown_parameters_are_ignored(job: str, wire: Wire) -> None:
    assert wire.call("POST", "/serve", f"job_name={job}&colour=red&&=&x").status == 200


NAMES = ["two words", "a/b", 'with "quotes"', "кот", "猫", "naïve", "🐈‍⬛", "a+b", "100%", "a:b",
         "a*", "a?", "[a]", "None", "..", "/", "a&b#c", "'; drop table job; --"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_be_any_text(server: ServerProcess, wire: Wire, name: str) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(2))
    told = metadata(source, server.data / "out.jsonl")
    assert wire.scramble(name, told, "JsonlReader", "JsonlWriter").body == b"null"
    assert [i for i, _ in wire.serve(name).json()] == [0, 1]
    assert wire.receive(name, [[0, {"n": 0}], [1, {"n": 1}]]).status == 200
    assert wire.serve(name).json() == []
    assert wire.report(name) == {"served": 0, "received": 2, "status": "COMPLETE"}
    assert wire.health()["Number of finished jobs"] == [name]
    server.restart()
    assert wire.report(name)["received"] == 2
    assert wire.delete(name).status == 200
    assert wire.report(name) == {}


def test_a_plus_is_a_blank_and_percent_41_an_A(server: ServerProcess, wire: Wire) -> None:
    source = write_jsonl(server.data / "in.jsonl", numbered(2))
    told = metadata(source, server.data / "out.jsonl")
    query = "job_name=a+%41&reader_name=JsonlReader&writer_name=JsonlWriter"
    assert wire.call("POST", "/scramble", query, told).status == 200
    assert wire.report("a A") != {}


def test_a_body_that_is_no_json(job: str, wire: Wire) -> None:
    for body in [b"{", b"[[0,{}]", b"[1,]", b"nul", b"\xff", b"[1] 2", b'[[0,{"a":NaN]]', b"'x'"]:
        reply = wire.call("POST", "/receive", {"job_name": job, "overwrite": "no"}, body)
        assert reply.status == 400, body
        assert reply.json() == {"detail": "There was an error parsing the body"}, body


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "[[1,2]]"])
def test_metadata_must_be_an_object(wire: Wire, body: str) -> None:
    reply = wire.call(
        "POST",
        "/scramble",
        "job_name=j&reader_name=JsonlReader&writer_name=JsonlWriter",
        body.encode(),
    )
    refused(reply, (["body", "metadata"], NO_DICT))


@pytest.mark.parametrize("body", [{}, {"a": 1}, "x", 1])
def test_items_and_ids_must_be_lists(job: str, wire: Wire, body: Any) -> None:
    refused(wire.receive(job, body), (["body", "items"], NO_LIST))
    refused(wire.mark(job, body), (["body", "ids"], NO_LIST))


def test_entries_must_be_pairs_of_an_integer_and_an_item(job: str, wire: Wire) -> None:
    wire.serve(job, 10)
    items = [
        [0, {"n": 0}],
        7,
        [1, {}, 3],
        ["x", {}],
        [2, "scalar"],
        [3, None],
        [None, {}],
        [4],
        [],
        {"a": 1},
        None,
    ]
    at = ["body", "items"]
    refused(
        wire.receive(job, items),
        ([*at, 1], NO_TUPLE),
        ([*at, 2], wrong_length(3)),
        ([*at, 3, 0], NO_INT),
        ([*at, 4, 1], NO_DICT),
        ([*at, 4, 1], NO_LIST),
        ([*at, 5, 1], NONE),
        ([*at, 6, 0], NONE),
        ([*at, 7], wrong_length(1)),
        ([*at, 8], wrong_length(0)),
        ([*at, 9], NO_TUPLE),
        ([*at, 10], NONE),
    )
    assert wire.report(job)["received"] == 0


def test_ids_to_mark_must_be_integers(job: str, wire: Wire) -> None:
    wire.serve(job, 5)
    refused(
        wire.mark(job, [0, "x", None, [1], {}]),
        (["body", "ids", 1], NO_INT),
        (["body", "ids", 2], NONE),
        (["body", "ids", 3], NO_INT),
        (["body", "ids", 4], NO_INT),
    )
    assert wire.report(job)["served"] == 5


def test_ids_may_be_texts_of_digits_and_true(job: str, wire: Wire, server: ServerProcess) -> None:
    wire.serve(job, 10)
    items: list[Any] = [["3", {"n": 3}], [True, {"n": 1}], [False, {"n": 0}], [" 4 ", {"n": 4}]]
    assert wire.receive(job, items).status == 200
    assert [r["n"] for r in read_jsonl(server.data / "out.jsonl")] == [3, 1, 0, 4]
    assert wire.mark(job, ["5", 6]).status == 200
    assert wire.report(job) == {"served": 4, "received": 4, "status": "IN_PROGRESS"}


@pytest.mark.parametrize("number", [-1, 30, 10**6, 10**30, -(10**30)])
def test_an_id_that_was_never_served_is_a_400(job: str, wire: Wire, number: int) -> None:
    wire.serve(job, 100)
    reply = wire.receive(job, [[0, {"n": 0}], [number, {"n": 1}]])
    assert reply.status == 400 and isinstance(reply.detail, str)
    assert wire.report(job) == {"served": 30, "received": 0, "status": "IN_PROGRESS"}


def test_empty_lists_are_fine(job: str, wire: Wire, server: ServerProcess) -> None:
    assert wire.receive(job, []).body == b"null"
    assert wire.mark(job, []).body == b"null"
    assert read_jsonl(server.data / "out.jsonl") == []


def test_query_faults_come_before_those_of_the_body(wire: Wire) -> None:
    refused(
        wire.receive("j", [1], overwrite="x"),
        (["query", "overwrite"], NO_BOOL),
        (["body", "items", 0], NO_TUPLE),
    )
