"""Fragments of entities: put in bulk, replaced, loaded by ids, walked in order, deleted."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from harness.native import Native, problem
from harness.server_process import ServerProcess

Line = list[Any]


def ndjson(lines: Iterable[Line]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def put(native: Native, lines: Iterable[Line], dataset: str = "d") -> Any:
    return native.ok("POST", f"/fragments/{quote(dataset, safe='')}", ndjson(lines))


def parsed(body: bytes) -> list[Line]:
    return [json.loads(line) for line in body.split(b"\n")[:-1]]


def load(native: Native, *ids: str, dataset: str = "d") -> list[Line]:
    answer = native.call("POST", f"/fragments/{quote(dataset, safe='')}/load", {"ids": ids})
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return parsed(answer.body)


def walk(native: Native, limit: int, dataset: str = "d") -> list[list[Line]]:
    """Portions, as one gets them by following Penstock-Next."""
    portions, after = [], ""
    while True:
        query = f"?limit={limit}" + (f"&after={after}" if after else "")
        answer = native.call("GET", f"/fragments/{dataset}{query}")
        assert answer.status == 200, answer
        portions.append(parsed(answer.body))
        after = answer.headers.get("penstock-next", "")
        if not after:
            return portions
        assert unquote(after) == portions[-1][-1][0]


def test_fragments_are_loaded_in_order_of_ids_and_absent_ones_left_out(native: Native) -> None:
    lines = [["b", "o", "1", {"n": 1}], ["a", "o", "2", {"n": 2}], ["a", "o", "1", {"n": 3}]]
    assert put(native, lines) == {"stored": 3}
    assert load(native, "b", "zzz", "a", "b") == [lines[2], lines[1], lines[0]]
    assert load(native, "zzz") == []
    assert load(native) == []
    problem(native.call("POST", "/fragments/e/load", {"ids": ["a"]}), 404, "not-found")


def test_the_same_triple_replaces_and_others_stand_beside_it(
    server: ServerProcess, native: Native
) -> None:
    put(native, [["a", "o", "f", {"n": 1}], ["a", "o", "g", {"n": 2}], ["a", "p", "f", {"n": 3}]])
    put(native, [["a", "o", "f", {"n": 4}], ["a", "o", "f", {"n": 5}]])
    put(native, [["a", "o", "f", {"n": 6}]], dataset="other")
    expected = [["a", "o", "f", {"n": 5}], ["a", "o", "g", {"n": 2}], ["a", "p", "f", {"n": 3}]]
    assert load(native, "a") == expected
    server.restart()
    assert load(native, "a") == expected
    assert load(native, "a", dataset="other") == [["a", "o", "f", {"n": 6}]]
    listed = native.ok("GET", "/fragments")
    assert [(one["name"], one["fragments"]) for one in listed["datasets"]] == [
        ("d", 3),
        ("other", 1),
    ]
    assert listed["more"] is False
    page = native.ok("GET", "/fragments?after=d&limit=1")
    assert [one["name"] for one in page["datasets"]] == ["other"]
    assert native.ok("GET", "/fragments?limit=1")["more"] is True


def test_names_may_be_anything_but_empty_ids(native: Native) -> None:
    odd = 'é /%?&#"\\\n\t☃𝄞'
    lines = [[odd, odd, odd, {"n": odd}], ["x", "", "", {}], ["y" * 512, "o", "f", {"": []}]]
    name = "Üñï/cödé %41"
    assert put(native, lines, dataset=name) == {"stored": 3}
    assert load(native, odd, "x", "y" * 512, dataset=name) == [lines[1], lines[2], lines[0]]
    walked = walk(native, 1, dataset=quote(name, safe=""))
    assert [portion[0][0] for portion in walked] == ["x", "y" * 512, odd]


def test_data_stays_as_it_came(native: Native) -> None:
    data = b'{ "b" : 1.10,\t"a":"\\u0000\\ud83d\\ude00","n":12345678901234567890123 }'
    native.ok("POST", "/fragments/d", b'\r\n["a","o","f",' + data + b"]\r\n\n")
    answer = native.call("POST", "/fragments/d/load", {"ids": ["a"]})
    assert answer.body == b'["a","o","f",' + data + b"]\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{}", "expected an array"),
        (b'["a","o","f"]', "not 3 values"),
        (b'["a","o","f",{},1]', "not 5 values"),
        (b'["a","o","f",{}', "ends too early"),
        (b'["a","o","f",{"n":NaN}]', "byte 18"),
        (b'["a","o","f",[]]', "data: expected an object"),
        (b'[1,"o","f",{}]', "id: expected a text"),
        (b'["","o","f",{}]', "id: it is empty"),
        (b'["a",null,"f",{}]', "origin: expected a text"),
        (b'["a","o","\\u0000",{}]', "fragment: it may not hold U+0000"),
        (b'["' + b"x" * 513 + b'","o","f",{}]', "id: it has more than 512 bytes"),
        (b'["\xff","o","f",{}]', "byte 2"),
        (b'["\\ud800","o","f",{}]', "byte "),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(native: Native, line: bytes, why: str) -> None:
    body = b'["good","o","f",{}]\n\n' + line + b'\n["good too","o","f",{}]\n'
    told = problem(native.call("POST", "/fragments/d", body), 400, "invalid")
    assert told["detail"].startswith("line 3: "), told
    assert why in told["detail"], told
    assert native.ok("GET", "/fragments")["datasets"] == []


def test_what_is_asked_for_wrongly_is_told(native: Native) -> None:
    put(native, [["a", "o", "f", {}]])
    bodies: list[Any] = [
        {},
        {"ids": "a"},
        {"ids": [1]},
        {"ids": ["a"], "x": 1},
        {"ids": ["\0"]},
        [],
    ]
    for body in bodies:
        problem(native.call("POST", "/fragments/d/load", body), 400, "invalid")
    for query in ("?limit=0", "?limit=x", "?limit=10001", "?x=1"):
        problem(native.call("GET", "/fragments/d" + query), 400, "invalid")
        problem(native.call("GET", "/fragments" + query), 400, "invalid")
    problem(native.call("GET", "/fragments/none"), 404, "not-found")
    problem(native.call("DELETE", "/fragments/none"), 404, "not-found")
    problem(native.call("DELETE", "/fragments/d?id="), 400, "invalid")
    problem(native.call("POST", "/fragments/" + "x" * 513, b""), 400, "invalid")
    problem(native.call("POST", "/fragments/a%0Ab", b""), 400, "invalid")
    assert native.ok("POST", "/fragments/empty", b"\n") == {"stored": 0}


def test_a_dataset_is_walked_in_portions_of_ids(native: Native) -> None:
    lines: list[Line] = [
        [f"{n:04}", "o", f"{k}", {"n": n, "k": k}] for n in range(25) for k in range(3)
    ]
    put(native, reversed(lines))
    for limit in (1, 7, 25, 26, 1000):
        portions = walk(native, limit)
        assert [line for portion in portions for line in portion] == lines
        assert all(len(portion) <= 3 * limit for portion in portions)
        assert len(portions) == -(-25 // limit)


def test_what_is_large_is_streamed(native: Native) -> None:
    """More than one portion of the engine's, also of a single id."""
    lines: list[Line] = [["a", "o", f"{n:05}", {"text": "x" * 1000}] for n in range(3000)]
    lines += [[f"b{n:05}", "o", "f", {"n": n}] for n in range(6000)]
    assert put(native, lines) == {"stored": 9000}
    assert load(native, *{line[0] for line in lines}) == lines
    assert walk(native, 10000) == [lines]


def test_deletion_by_id_by_origin_and_of_all(native: Native) -> None:
    lines: list[Line] = [[f"{n:05}", origin, "f", {}] for n in range(4000) for origin in ("o", "p")]
    put(native, lines)
    assert native.ok("DELETE", "/fragments/d?id=00007&origin=o") == {"deleted": 1}
    assert native.ok("DELETE", "/fragments/d?id=00007") == {"deleted": 1}
    assert native.ok("DELETE", "/fragments/d?id=00007") == {"deleted": 0}
    assert native.ok("DELETE", "/fragments/d?origin=o") == {"deleted": 3999}
    assert load(native, "00006", "00007", "00008") == [
        ["00006", "p", "f", {}],
        ["00008", "p", "f", {}],
    ]
    assert native.ok("GET", "/fragments")["datasets"][0]["fragments"] == 3999
    assert native.ok("DELETE", "/fragments/d") == {"deleted": 3999}
    assert native.ok("GET", "/fragments")["datasets"] == []
    put(native, [["a", "o", "f", {}]])
    assert load(native, "a") == [["a", "o", "f", {}]]


@pytest.mark.parametrize("point", ["group.written:2", "store.commit:3", "store.committed:3"])
def test_after_a_kill_what_was_answered_is_there(
    make_server: Callable[..., ServerProcess], point: str
) -> None:
    server = make_server()
    native = Native(server)
    server.restart(env={"PENSTOCK_FAULT": f"{point}:kill"})
    answered: list[Line] = []
    for n in range(20):
        lines: list[Line] = [[f"{n}-{k}", "o", "f", {"n": n}] for k in range(50)]
        try:
            put(native, lines)
        except (OSError, http.client.HTTPException):
            break
        answered += lines
    assert len(answered) < 1000, "it was to be killed"
    server.join()
    server.restart(env={})
    if answered:
        assert load(native, *(line[0] for line in answered)) == sorted(answered)
    put(native, lines)
    assert len(load(native, *(line[0] for line in lines))) == 50
