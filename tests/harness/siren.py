"""The pinexq surface by raw HTTP, and what a Siren document may look like: pinexq's client refuses
the whole document for one member more."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from harness.server_process import ServerProcess
from harness.steps import Steps
from harness.wire import Reply, Wire

SIREN = "application/vnd.siren+json"
ENTITY = {"class", "rel", "title", "properties", "entities", "actions", "links"}
LINK = {"rel", "href", "class", "title", "type"}
ACTION = {"name", "href", "method", "class", "title", "type", "fields"}
FIELD = {"name", "type", "value", "class", "title", "accept", "maxFileSizeBytes", "allowMultiple"}


def check(entity: Any, embedded: bool = False) -> Any:
    """That a document has a form which the client reads. Returns it."""
    assert set(entity) <= ENTITY, entity
    assert isinstance(entity["class"], list) and isinstance(entity["properties"], dict)
    assert ("rel" in entity) == embedded
    for link in entity.get("links", []):
        assert set(link) <= LINK and isinstance(link["rel"], list)
        assert link["href"].startswith("http://")
    for action in entity.get("actions", []):
        assert set(action) <= ACTION and action["method"] in ("POST", "DELETE")
        assert action["href"].startswith("http://")
        assert action.get("fields") != []
        for field in action.get("fields", []):
            assert set(field) <= FIELD and field["name"] and field["type"]
    for inner in entity.get("entities", []):
        check(inner, embedded=True)
    return entity


def links(entity: Any) -> dict[str, str]:
    return {link["rel"][0]: link["href"] for link in entity.get("links", [])}


def actions(entity: Any) -> dict[str, Any]:
    return {action["name"]: action for action in entity.get("actions", [])}


def embedded(entity: Any, rel: str) -> list[Any]:
    return [e for e in entity.get("entities", []) if e["rel"] == [rel]]


class Siren:
    """Calls to /api, by the addresses that documents tell."""

    def __init__(self, server: ServerProcess, key: str | None = None) -> None:
        self.url = server.url
        self.wire = Wire(server.url)
        self.steps = Steps(server, key)
        self.headers = {"x-api-key": key} if key else {}

    def address(self, kind: str, id: int) -> str:
        return f"{self.url}/api/{kind}/00000000-0000-8000-8000-{id:012x}"

    def call(self, method: str, href: str, body: Any = None) -> Reply:
        at = urlsplit(href)
        path = at.path + (f"?{at.query}" if at.query else "")
        return self.wire.call(method, path, body=body, headers=self.headers)

    def get(self, href: str) -> Any:
        answer = self.call("GET", href)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == SIREN
        assert answer.headers["cache-control"] == "no-store"
        return check(answer.json())

    def act(self, entity: Any, name: str, body: Any = None) -> Reply:
        action = actions(entity)[name]
        return self.call(action["method"], action["href"], body)

    def done(self, entity: Any, name: str, body: Any = None) -> Any:
        """An action without a result; the document after it."""
        answer = self.act(entity, name, body)
        assert (answer.status, answer.body) == (200, b""), answer
        return self.get(links(entity)["self"])

    def made(self, entity: Any, name: str, body: Any = None) -> Any:
        """An action with a result: that."""
        answer = self.act(entity, name, body)
        assert answer.status == 201, answer
        assert answer.headers["location"].startswith(self.url + "/api/")
        return self.get(answer.headers["location"])

    def root(self, name: str) -> Any:
        return self.get(links(self.get("/api/EntryPoint"))[name])

    def job(self, name: str = "a job") -> Any:
        return self.made(self.root("JobsRoot"), "CreateJob", {"Name": name})

    def rapid(self, step: int, **members: Any) -> Any:
        body = {
            "Name": "rapid",
            "ProcessingStepUrl": self.address("ProcessingStep", step),
            "Parameters": '{"x": 5}',
            **members,
        }
        return self.made(self.root("JobsRoot"), "RapidSetupJob", body)

    def pages(self, root: str, action: str, **query: Any) -> list[Any]:
        """All pages of a query's result."""
        page = self.made(self.root(root), action, query)
        found = [page]
        while "next" in links(page):
            page = self.get(links(page)["next"])
            found.append(page)
        return found

    def names(self, **filter: Any) -> list[str]:
        found = self.pages("JobsRoot", "CreateJobQuery", Filter=filter)
        return [e["properties"]["Name"] for page in found for e in page.get("entities", [])]
