"""Folders as pinexq's client reads and changes them."""

from __future__ import annotations

from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.steps import Steps
from harness.wire import Reply, Wire


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    return Steps(server)


def siren(answer: Reply) -> Any:
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/vnd.siren+json"
    document = answer.json()
    assert set(document) <= {"class", "title", "properties", "entities", "actions", "links"}
    return document


def local(href: str) -> str:
    return "/api" + href.split("/api", 1)[1]


def links(document: Any) -> dict[str, str]:
    return {link["rel"][0]: local(link["href"]) for link in document["links"]}


class Folders:
    """The folders of a server, by what documents link to and offer."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        entry = siren(wire.call("GET", "/api/EntryPoint"))
        self.root = siren(wire.call("GET", links(entry)["FolderRoot"]))

    def act(self, document: Any, name: str, body: Any = None) -> Reply:
        action = next(a for a in document["actions"] if a["name"] == name)
        return self.wire.call(action["method"], local(action["href"]), body=body)

    def create(self, name: str, parent: Any = None) -> Any:
        body = {"Name": name}
        if parent:
            body["ParentFolder"] = self.url(parent)
        answer = self.act(self.root, "CreateFolder", body)
        assert answer.status == 201, answer
        return siren(self.wire.call("GET", local(answer.headers["location"])))

    def url(self, document: Any) -> str:
        return next(str(link["href"]) for link in document["links"] if link["rel"] == ["self"])

    def refresh(self, document: Any) -> Any:
        return siren(self.wire.call("GET", links(document)["self"]))

    def page(self, document: Any, part: str, query: str = "") -> Any:
        return siren(self.wire.call("GET", links(document)[part] + query))


def paths(page: Any) -> list[str]:
    return [entity["properties"]["Path"] for entity in page.get("entities", [])]


def test_folders_are_made_moved_and_listed(wire: Wire) -> None:
    folders = Folders(wire)
    assert folders.root["class"] == ["FolderRoot"]
    a = folders.create("a")
    below = folders.create("b", a)
    assert below["class"] == ["Folder"]
    assert below["properties"]["Path"] == "/a/b/" and below["properties"]["Name"] == "b"
    assert links(below)["self"].endswith(below["links"][0]["href"].rsplit("/", 1)[1])
    assert below["properties"]["ParentId"] == links(a)["self"].rsplit("/", 1)[1]
    assert links(below)["Parent"] == links(a)["self"]
    assert a["properties"]["ParentId"] is None and "Parent" not in links(a)
    problem(folders.act(folders.root, "CreateFolder", {"Name": "a"}), 409, "conflict")
    problem(folders.act(folders.root, "CreateFolder", {"Name": "a/b"}), 400, "invalid")
    problem(folders.act(folders.root, "CreateFolder", {}), 400, "invalid")
    assert paths(folders.page(folders.root, "Children")) == ["/a/"]
    assert folders.act(below, "Rename", {"NewName": "c"}).status == 200
    assert folders.refresh(below)["properties"]["Path"] == "/a/c/"
    assert folders.act(below, "Move", {}).status == 200
    assert folders.refresh(below)["properties"]["Path"] == "/c/"
    assert folders.act(below, "Move", {"NewParentFolder": folders.url(a)}).status == 200
    problem(folders.act(a, "Move", {"NewParentFolder": folders.url(below)}), 409, "conflict")
    suggested = folders.page(folders.root, "Suggest", "?prefix=/a/")
    assert suggested["class"] == ["FolderSuggestions"]
    assert suggested["properties"] == {"Prefix": "/a/", "Suggestions": ["/a/", "/a/c/"]}
    problem(folders.act(a, "Delete"), 409, "conflict")
    assert folders.act(below, "Delete").status == 200
    problem(wire.call("GET", links(below)["self"]), 404, "not-found")
    assert folders.act(a, "Delete").status == 200


def test_children_come_page_by_page_and_by_what_they_hold(steps: Steps, wire: Wire) -> None:
    folders = Folders(wire)
    for n in range(5):
        folders.create(f"f{n}")
    steps.make(folder="/f1/x")
    seen: list[str] = []
    page = folders.page(folders.root, "Children", "?size=2")
    while True:
        assert page["class"] == ["FolderChildrenResult"]
        assert page["properties"]["TotalEntities"] == 5
        seen += paths(page)
        if "next" not in links(page):
            break
        page = siren(wire.call("GET", links(page)["next"]))
    assert seen == [f"/f{n}/" for n in range(5)]
    holding = folders.page(folders.root, "Children", "?Filter.Contains=job")
    assert paths(holding) == ["/f1/"] and holding["properties"]["TotalEntities"] == 1
    assert paths(siren(wire.call("GET", links(holding)["all"]))) == ["/f1/"]
    for none in ("workdata", "processingstep", "actiontemplate", "actiontrigger"):
        assert paths(folders.page(folders.root, "Children", f"?Filter.Contains={none}")) == []
    odd = wire.call("GET", links(folders.root)["Children"] + "?Filter.Contains=stone")
    problem(odd, 400, "invalid")


def test_things_are_put_into_folders_and_cleared(steps: Steps, wire: Wire) -> None:
    folders = Folders(wire)
    a = folders.create("a")
    steps.register()
    kept = steps.upload(b"x", query="&folder=/a")
    steps.ok("PATCH", f"/artifacts/{kept['id']}", {"deletable": False})
    job_path = f"/api/Job/00000000-0000-8000-8000-{steps.make()['id']:012x}"
    job = siren(wire.call("GET", job_path))
    assert folders.act(job, "MoveToFolder", {"Folder": folders.url(a)}).status == 200
    assert siren(wire.call("GET", job_path))["properties"]["FolderPath"] == "/a/"
    problem(folders.act(job, "MoveToFolder", {"Folder": folders.url(job)}), 400, "invalid")
    contents = folders.page(a, "Contents")
    assert contents["class"] == ["FolderContentsResult"]
    assert [entity["class"][0] for entity in contents["entities"]] == ["Job", "WorkData"]
    first = folders.page(a, "Contents", "?size=1")
    rest = siren(wire.call("GET", links(first)["next"]))
    assert [entity["class"][0] for entity in rest["entities"]] == ["WorkData"]
    assert "next" not in links(rest)
    for far in (f"offset={2**63 - 1}", f"after=1&before={2**63 - 1}&total={2**63 - 1}"):
        path = f"{links(a)['Contents']}?size=1&{far}"
        assert "is not a whole number" in problem(wire.call("GET", path), 400, "invalid")["detail"]
    cleared = folders.act(a, "Clear")
    assert cleared.status == 200 and cleared.headers["content-type"] == "application/json"
    report = cleared.json()
    assert (report["DeletedCount"], report["SkippedCount"]) == (1, 1)
    outcomes = {outcome["ItemType"]: outcome for outcome in report["Outcomes"]}
    assert outcomes["Job"]["Status"] == "Deleted" and outcomes["Job"]["Reason"] is None
    assert outcomes["WorkData"]["Status"] == "Skipped" and outcomes["WorkData"]["Reason"]
    made = wire.call(
        "POST", "/api/JobsRoot/CreateJob", body={"Name": "in a", "Folder": folders.url(a)}
    )
    assert made.status == 201, made
    there = siren(wire.call("GET", local(made.headers["location"])))
    assert there["properties"]["FolderPath"] == "/a/"
    assert folders.act(there, "MoveToFolder", {}).status == 200
    moved = siren(wire.call("GET", local(made.headers["location"])))
    assert moved["properties"]["FolderPath"] == "/"
