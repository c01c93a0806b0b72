"""The pinexq surface by raw HTTP: work data up and down, its documents, actions, queries, tags, and
manifests of steps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from harness.forms import BOUNDARY, TYPE, file_form, form, parameters, part
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps, manifest
from harness.wire import Reply, Wire

SIREN = "application/vnd.siren+json"
UPLOAD = "/api/WorkDataRoot/Upload"
REGISTER = "/api/ProcessingStepsRoot/RegisterNewProcessingStep"


class Files:
    """Calls to work data as a client makes them: what is not an entry is found by links."""

    def __init__(self, server: ServerProcess, key: str | None = None) -> None:
        self.wire = Wire(server.url)
        self.url = server.url
        self.headers = {"x-api-key": key} if key else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        target = urlsplit(path)
        local = target.path + (f"?{target.query}" if target.query else "")
        return self.wire.call(method, local, body=body, headers={**self.headers, **headers})

    def siren(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == SIREN
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def post_form(self, body: bytes, path: str = UPLOAD, type: str = TYPE) -> Reply:
        return self.call("POST", path, body, **{"Content-Type": type})

    def upload(self, data: bytes = b"a,b\n", *args: Any, **members: Any) -> str:
        answer = self.post_form(file_form(data, *args, **members))
        assert answer.status == 201, answer
        assert answer.headers["location"].startswith(self.url + "/api/WorkData/")
        return str(answer.headers["location"])

    def query(self, **members: Any) -> Any:
        answer = self.call("POST", "/api/WorkDataRoot/CreateWorkDataQuery", members)
        assert answer.status == 201, answer
        return self.siren(answer.headers["location"])

    def names(self, **filter: Any) -> list[str]:
        found = self.query(Filter=filter)
        return [e["properties"]["Name"] for e in found.get("entities", [])]

    def act(self, url: str, action: str, body: Any = b"") -> Reply:
        return self.call("POST", f"{url}/{action}", body)


def link(document: Any, rel: str) -> Any:
    return next(each for each in document["links"] if each["rel"] == [rel])


def actions(document: Any) -> set[str]:
    return {each["name"] for each in document.get("actions", [])}


@pytest.fixture
def files(server: ServerProcess) -> Files:
    return Files(server)


def test_a_file_goes_up_and_down(files: Files) -> None:
    data = os.urandom(300_000) + b"\r\n--" + BOUNDARY[:-1] + b"\r\n"
    url = files.upload(data, 'caf\u00e9 "x" \u6570\u636e.csv', Tags=["a", "k = 5"], Secret=True)
    document = files.siren(url)
    assert document["class"] == ["WorkData"]
    told = document["properties"]
    assert told["Name"] == 'caf\u00e9 "x" \u6570\u636e.csv'
    assert told["MediaType"] == "text/csv"
    assert told["SizeInBytes"] == len(data)
    assert told["Kind"] == "ClientUpload"
    assert told["Tags"] == ["a", "k=5"]
    assert told["TagDetails"][1] == {"Key": "k", "Value": "5", "Type": "Integer"}
    assert told["Secret"] is True and told["IsDeletable"] is True
    assert told["IsUsedAsJobInput"] is False and told["Hidden"] is False
    assert link(document, "self")["href"] == url
    download = link(document, "Download")
    assert download["type"] == "text/csv"
    got = files.call("GET", download["href"])
    assert got.status == 200 and got.body == data
    assert got.headers["content-type"] == "text/csv"
    assert got.headers["cache-control"] == "no-store"
    some = files.call("GET", download["href"], Range="bytes=10-19")
    assert some.status == 206 and some.body == data[10:20]
    assert files.call("GET", download["href"], Range=f"bytes={len(data)}-").status == 416
    assert files.call("HEAD", download["href"]).headers["content-length"] == str(len(data))


def test_files_of_any_length_and_framing(files: Files) -> None:
    for data in (b"", b"\r", b"\r\n", b"x" * 65536, b"\r\n--" * 1000):
        document = files.siren(files.upload(data))
        assert files.call("GET", link(document, "Download")["href"]).body == data
    # In chunks, as the client sends what has no length.
    body = file_form(b"in chunks")
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
    head += "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    answer = files.wire.exchange(head.encode() + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert files.query()["properties"]["TotalEntities"] == 6


def test_no_file_is_taken_for_a_document(files: Files) -> None:
    document = files.siren(files.upload(b"{}", "a", "Application/vnd.siren+json; x=y"))
    download = link(document, "Download")
    assert download["type"] == "application/octet-stream"
    got = files.call("GET", download["href"])
    assert got.headers["content-type"] == "application/octet-stream" and got.body == b"{}"
    bare = files.siren(files.upload(b"", "a", None))
    assert bare["properties"]["MediaType"] == "application/octet-stream"


def test_what_is_wrong_with_an_upload_is_told_and_nothing_is_stored(files: Files) -> None:
    file = part("upload-file", b"x", "a.csv", "text/csv")
    bad = {
        "no file": form(parameters(Tags=["a"])),
        "nothing": b"",
        "no end": file,
        "half a boundary": file + b"--" + BOUNDARY,
        "no name": form(part("upload-file", b"x")),
        "an empty name": form(part("upload-file", b"x", "")),
        "a control character": form(part("upload-file", b"x", "a\x07b")),
        "no UTF-8": form(
            b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="upload-file";'
            b' filename="\xff"\r\n\r\nx\r\n'
        ),
        "a media type": form(part("upload-file", b"x", "a", "not a type\x01")),
        "two files": form(file, file),
        "two parameters": form(parameters(Secret=True), parameters(Secret=True), file),
        "an unknown part": form(part("other", b"x"), file),
        "10000 tags": file_form(b"x", Tags=[f"t{n}" for n in range(10_000)]),
        "an empty tag": file_form(b"x", Tags=[""]),
        "tags of numbers": file_form(b"x", Tags=[1]),
        "tags in no list": file_form(b"x", Tags="a"),
        "a folder": file_form(b"x", Folder=f"{files.url}/api/Folder/{'0' * 8}"),
        "no JSON": form(part("UploadWorkDataParameters", b"{"), file),
        "odd JSON": form(part("UploadWorkDataParameters", b"[" * 100), file),
        "late parameters": form(file, parameters(Tags=[""])),
        "long headers": form(part("upload-file", b"x", "a" * 20_000)),
        "many parts": form(*[part("UploadWorkDataParameters", b"{}")] * 10_000),
        "large parameters": form(part("UploadWorkDataParameters", b" " * (5 << 20)), file),
    }
    for name, body in bad.items():
        answer = files.post_form(body)
        assert answer.status in (400, 413), (name, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status
    for type in ("text/plain", "multipart/form-data", "multipart/form-data; boundary="):
        assert files.post_form(file_form(b"x"), type=type).status == 400
    assert files.query()["properties"]["TotalEntities"] == 0
    assert files.upload(b"x", Tags=["\u6807\u7b7e", "k\u00e9y = v"], Secret=False)


def test_an_upload_that_breaks_off_leaves_nothing(files: Files, server: ServerProcess) -> None:
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
    body = file_form(b"x" * 100_000)
    with files.wire.socket() as s:
        s.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:-40])
    # Less than was told, and an end in order: the server waits for the rest, then it is gone.
    with files.wire.socket() as s:
        s.sendall(head.encode() + f"Content-Length: {len(body) + 9}\r\n\r\n".encode() + body)
    assert files.query()["properties"]["TotalEntities"] == 0
    assert files.upload(b"x")
    server.restart()
    left = [f for f in (server.state / "blobs" / "new").iterdir() if "." not in f.name]
    assert left == []


def test_work_data_is_changed_by_its_actions(files: Files) -> None:
    url = files.upload()
    offered = {"Delete", "AllowDeletion", "DisallowDeletion", "EditTags", "Rename", "EditComment"}
    offered.add("MoveToFolder")
    assert actions(files.siren(url)) == offered | {"Hide", "MarkAsSecret"}
    assert files.act(url, "Rename", {"NewName": "\u043d\u043e\u0432\u043e\u0435"}).status == 200
    assert files.act(url, "EditTags", {"Tags": ["b", "a"]}).status == 200
    assert files.act(url, "EditComment", {"Comment": "good"}).status == 200
    for action in ("Hide", "MarkAsSecret", "DisallowDeletion"):
        answer = files.act(url, action)
        assert answer.status == 200 and answer.body == b""
    document = files.siren(url)
    told = document["properties"]
    assert told["Name"] == "\u043d\u043e\u0432\u043e\u0435" and told["Comments"] == "good"
    assert told["Tags"] == ["b", "a"]
    assert told["Hidden"] and told["Secret"] and not told["IsDeletable"]
    assert actions(document) == (offered | {"UnHide"}) - {"Delete"}
    problem(files.call("DELETE", url), 409, "conflict")
    for action in ("UnHide", "AllowDeletion"):
        assert files.act(url, action).status == 200
    assert files.act(url, "EditComment", {"Comment": None}).status == 200
    assert files.siren(url)["properties"]["Comments"] is None
    assert files.call("DELETE", url).status == 200
    problem(files.call("GET", url), 404, "not-found")
    problem(files.call("DELETE", url), 404, "not-found")


def test_work_data_lies_in_a_folder(files: Files) -> None:
    made = files.call("POST", "/api/FolderRoot/CreateFolder", {"Name": "raw"})
    folder = made.headers["location"]
    url = files.upload(Folder=folder)
    assert files.siren(url)["properties"]["FolderPath"] == "/raw/"
    assert files.act(url, "MoveToFolder").status == 200
    assert files.siren(url)["properties"]["FolderPath"] == "/"
    assert files.act(url, "MoveToFolder", {"Folder": folder}).status == 200
    assert files.siren(url)["properties"]["FolderPath"] == "/raw/"
    nowhere = folder[:-12] + "0" * 8 + "ffff"
    problem(files.act(url, "MoveToFolder", {"Folder": nowhere}), 404, "not-found")
    problem(files.post_form(file_form(b"x", Folder=nowhere)), 404, "not-found")
    problem(files.post_form(file_form(b"x", Folder="raw")), 400, "invalid")
    assert files.query()["properties"]["TotalEntities"] == 1


def test_odd_bodies_of_actions_are_refused(files: Files) -> None:
    url = files.upload()
    for action, body in (
        ("Rename", b""),
        ("Rename", {}),
        ("Rename", {"NewName": ""}),
        ("Rename", {"NewName": 5}),
        ("Rename", {"NewName": "a\nb"}),
        ("Rename", {"NewName": "x" * 5000}),
        ("Rename", b"[]"),
        ("Rename", b'{"NewName":"\\ud800"}'),
        ("EditTags", {}),
        ("EditTags", {"Tags": None}),
        ("EditTags", {"Tags": [["a"]]}),
        ("EditTags", {"Tags": [f"t{n}" for n in range(10_000)]}),
        ("EditTags", {"Tags": ["k" * 1025]}),
        ("EditTags", b'{"Tags":["a"'),
        ("EditTags", b"\xff"),
    ):
        problem(files.act(url, action, body), 400, "invalid")
    problem(files.act(url, "Nothing"), 404, "not-found")
    assert files.siren(url)["properties"]["Name"] == "a.csv"


def test_inputs_stay_and_outputs_tell_who_made_them(files: Files, server: ServerProcess) -> None:
    steps = Steps(server)
    step = steps.register()
    given = files.upload()
    taken = steps.ok("GET", "/artifacts")["artifacts"][0]["id"]
    job = steps.run(inputs={"data": [taken]})["id"]
    assert "Delete" not in actions(files.siren(given))
    assert files.siren(given)["properties"]["IsUsedAsJobInput"] is True
    problem(files.call("DELETE", given), 409, "conflict")
    (task,) = steps.take()
    assert steps.put(task, b"plot").status == 201
    steps.complete(job)
    (made,) = files.query(Filter={"IsKind": "ProcessingArtefact"})["entities"]
    assert made["properties"]["MediaType"] == "image/png"
    assert link(made, "ProducedByJob")["href"].endswith(f"{job:012x}")
    by = link(made, "ProducedByProcessingStep")["href"]
    assert by.endswith(f"{step:012x}")
    assert files.names(ProducerProcessingStepUrl=by) == [made["properties"]["Name"]]
    assert files.names(IsUsed=True) == ["a.csv"]


def test_queries_filter_sort_and_page(files: Files) -> None:
    for n in range(7):
        files.upload(b"x" * n, f"{n}-data.csv", Tags=[f"n={n % 2}", "all"])
    first = files.query(Pagination={"PageSize": 3})
    assert first["class"] == ["WorkDataQueryResult"]
    assert first["properties"]["TotalEntities"] == 7
    assert first["properties"]["CurrentEntitiesCount"] == 3
    assert first["properties"]["PreviousEntitiesCount"] == 0
    assert [e["rel"] for e in first["entities"]] == [["item"]] * 3
    rels = {each["rel"][0] for each in first["links"]}
    assert rels == {"self", "first", "last", "all", "next"}
    last = files.siren(link(first, "last")["href"])
    assert [e["properties"]["Name"][0] for e in last["entities"]] == ["0"]
    assert last["properties"]["PreviousEntitiesCount"] == 6
    before = files.siren(link(last, "previous")["href"])
    assert [e["properties"]["Name"][0] for e in before["entities"]] == ["3", "2", "1"]
    assert len(files.siren(link(first, "all")["href"])["entities"]) == 7
    assert files.siren(link(first, "self")["href"]) == first
    assert files.names(NameContains="5-d") == ["5-data.csv"]
    assert files.names(TagsByAnd=["n=1", "all"]) == ["5-data.csv", "3-data.csv", "1-data.csv"]
    assert len(files.names(TagsByOr=["n=0", "n=1"])) == 7
    assert files.names(MediaTypeContains="png") == []
    assert files.names(IsKind="Monitoring") == []
    for sort in ("Name", "MediaType", "Kind", "SizeInBytes", "CreatedAt"):
        for kind in ("Ascending", "Descending"):
            names = []
            found = files.query(
                SortBy={"PropertyName": sort, "SortType": kind}, Pagination={"PageSize": 2}
            )
            while True:
                names += [e["properties"]["Name"] for e in found["entities"]]
                if not any(each["rel"] == ["next"] for each in found["links"]):
                    break
                found = files.siren(link(found, "next")["href"])
            assert sorted(names) == sorted(files.names()), (sort, kind)
            if sort in ("Name", "SizeInBytes", "CreatedAt"):
                assert names == sorted(names, reverse=kind == "Descending")
    past = files.query(Pagination={"PageSize": 5, "PageOffset": 50})
    assert past["properties"]["TotalEntities"] == 7 and "entities" not in past
    when = files.siren(files.upload(b"", "late"))["properties"]["CreatedAt"]
    assert files.names(CreatedAfter=when) == ["late"]
    assert "late" not in files.names(CreatedBefore=when)


def test_pages_do_not_shift_while_their_entities_go(files: Files) -> None:
    for n in range(10):
        files.upload(b"", f"{n}")
    found = files.query(Pagination={"PageSize": 3})
    seen = []
    while True:
        for each in found.get("entities", []):
            seen.append(each["properties"]["Name"])
            assert files.call("DELETE", link(each, "self")["href"]).status == 200
        if not any(each["rel"] == ["next"] for each in found["links"]):
            break
        found = files.siren(link(found, "next")["href"])
    assert seen == [f"{n}" for n in reversed(range(10))]
    assert files.query()["properties"]["TotalEntities"] == 0


def test_queries_that_cannot_be_right_are_refused(files: Files) -> None:
    wrong: list[Any] = [
        {"Filter": {"Nothing": 1}},
        {"Filter": {"TagQueryExpression": "a and b"}},
        {"Filter": {"IsKind": "Odd"}},
        {"Filter": {"CreatedAfter": "2026-01-01T00:00:00"}},
        {"Filter": {"TagsByAnd": "a"}},
        {"Filter": {"ProducerProcessingStepUrl": "x"}},
        {"Filter": []},
        {"SortBy": {"PropertyName": "Odd", "SortType": "Ascending"}},
        {"SortBy": {"PropertyName": "Name", "SortType": "Odd"}},
        {"Pagination": {"PageSize": 0}},
        {"Pagination": {"PageSize": -1}},
        b"[]",
        b"{",
    ]
    for body in wrong:
        answer = files.call("POST", "/api/WorkDataRoot/CreateWorkDataQuery", body)
        problem(answer, 400, "invalid")
    large = {"Filter": {"TagsByAnd": [f"tag-{n}" for n in range(10_000)]}}
    assert files.call("POST", "/api/WorkDataRoot/CreateWorkDataQuery", large).status == 413
    for query in ("query=%5B", "offset=-1", "size=x", "after=0", "total=a"):
        assert files.call("GET", f"/api/WorkDataQueryResult?{query}").status == 400


def test_owners_do_not_see_each_other_s_files(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()
    keys = {}
    for who in ("ada", "bob"):
        body = {"name": who, "scopes": ["work"], "owner": who}
        keys[who] = Steps(server).ok("POST", "/keys", body, status=201)["secret"]
    ada, bob = Files(server, keys["ada"]), Files(server, keys["bob"])
    url = ada.upload()
    assert bob.call("GET", url).status == 404
    assert bob.call("GET", url + "/Content").status == 404
    assert bob.call("DELETE", url).status == 404
    assert bob.act(url, "Hide").status == 404
    assert bob.names() == [] and ada.names() == ["a.csv"]


def test_used_tags_are_told(files: Files, server: ServerProcess) -> None:
    steps = Steps(server)
    files.upload(b"", Tags=["b", "a"])
    files.upload(b"", Tags=["b", "c=1"])
    steps.ok("PATCH", f"/steps/{steps.register()}", {"tags": ["of a step"]})
    steps.make(tags=["of a job"])
    for root, kind, tags in (
        ("WorkDataRoot", "WorkDataUsedTagsQueryResult", ["a", "b", "c=1"]),
        ("ProcessingStepsRoot", "ProcessingStepUsedTags", ["of a step"]),
        ("JobsRoot", "JobUsedTags", ["of a job"]),
    ):
        document = files.siren(link(files.siren(f"/api/{root}"), "UsedTags")["href"])
        assert document["class"] == [kind]
        assert document["properties"]["Tags"] == tags
    assert files.call("GET", "/api/Nothing/UsedTags").status == 404


def test_the_root_offers_what_the_client_looks_for(files: Files) -> None:
    root = files.siren("/api/WorkDataRoot")
    upload = next(each for each in root["actions"] if each["name"] == "Upload")
    assert set(upload["class"]) == {"FileUploadAction", "FileUploadActionWithParameter"}
    assert upload["type"] == "multipart/form-data"
    assert upload["fields"][0]["type"] == "file"
    assert upload["fields"][1]["name"] == "UploadWorkDataParameters"
    assert actions(root) >= {"Upload", "CreateWorkDataQuery"}


def test_a_step_is_registered_by_its_manifest(files: Files, server: ServerProcess) -> None:
    text = json.dumps(manifest()).encode()
    answer = files.post_form(file_form(text, "m.json", "application/json"), REGISTER)
    assert answer.status == 201, answer
    listed = Steps(server).ok("GET", "/steps")["steps"]
    assert [each["name"] for each in listed] == ["add"]
    assert answer.headers["location"].endswith(f"{listed[0]['id']:012x}")
    again = files.post_form(file_form(text, "m.json", "application/json"), REGISTER)
    problem(again, 409, "conflict")
    for body in (b"", b"{}", b"{", json.dumps(manifest(function_name="")).encode()):
        problem(files.post_form(file_form(body), REGISTER), 400, "invalid")
    assert files.post_form(file_form(b" " * (17 << 20)), REGISTER).status == 413
    assert files.post_form(file_form(text, Tags=["a"]), REGISTER).status == 400
