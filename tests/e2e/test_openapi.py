"""/openapi.json is valid and true; /docs shows it without anything from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from harness.wire import Wire
from openapi_spec_validator import validate

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.json"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
SPEC: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = [
    (method, path, operation)
    for path, item in SPEC["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]


def resolved(thing: Any) -> Any:
    while isinstance(thing, dict) and "$ref" in thing:
        at: Any = SPEC
        for key in thing["$ref"].removeprefix("#/").split("/"):
            at = at[key]
        thing = at
    return thing


def named(method: str, path: str) -> str:
    return f"{method.upper()} {path}"


def test_the_document_is_valid_openapi() -> None:
    assert SPEC["openapi"].startswith("3.1")
    validate(SPEC)


def test_the_server_gives_the_document(wire: Wire) -> None:
    answer = wire.call("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    told = answer.json()
    assert told["info"].pop("version")
    expected = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    expected["info"].pop("version")
    assert told == expected


def test_every_operation_has_a_name_of_its_own_a_group_and_words() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    groups = {tag["name"] for tag in SPEC["tags"]}
    for method, path, operation in OPERATIONS:
        assert set(operation["tags"]) <= groups, named(method, path)
        assert operation["summary"] and operation["description"], named(method, path)


def test_every_part_of_a_path_is_described() -> None:
    for path, item in SPEC["paths"].items():
        for method in METHODS & set(item):
            parameters = item.get("parameters", []) + item[method].get("parameters", [])
            described = {p["name"] for p in map(resolved, parameters) if p["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path)), named(method, path)


@pytest.mark.parametrize(
    ("method", "path"), [(m, p) for m, p, _ in OPERATIONS], ids=lambda value: str(value)
)
def test_every_documented_path_takes_its_methods_and_no_other(
    wire: Wire, method: str, path: str
) -> None:
    at = re.sub(r"{\w+}", "~nobody", path)
    allowed = {name.upper() for name in METHODS & set(SPEC["paths"][path])}
    refused = wire.call("OPTIONS", at)
    assert refused.status == 405
    if "allow" in refused.headers:
        assert set(refused.headers["allow"].split(", ")) - {"HEAD"} == allowed
    if path.endswith("/events"):
        at += "?after=x"  # or it would go on and on
    answer = wire.call(method.upper(), at)
    assert answer.status != 405
    if answer.status == 404:
        assert "no such path" not in answer.text


def test_every_documented_answer_of_the_native_surface_is_a_known_problem() -> None:
    for method, path, operation in OPERATIONS:
        if not path.startswith("/v1/"):
            continue
        for status, reference in operation["responses"].items():
            if int(status) >= 400:
                content = resolved(reference)["content"]
                assert set(content) == {"application/problem+json"}, named(method, path)


def shape_faults(schema: Any, value: Any, where: str) -> list[str]:
    """What of a value the schema does not allow: as much of JSON Schema as the document uses."""
    schema = resolved(schema)
    if "oneOf" in schema:
        tried = [shape_faults(one, value, where) for one in schema["oneOf"]]
        return [] if any(not faults for faults in tried) else min(tried, key=len)
    faults: list[str] = []
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    wanted = schema.get("type")
    if wanted:
        names = [wanted] if isinstance(wanted, str) else wanted
        fits = any(
            isinstance(value, kinds[n]) and (n == "boolean" or not isinstance(value, bool))
            for n in names
        )
        if not fits:
            return [f"{where}: {value!r} is not {wanted}"]
    if "enum" in schema and value not in schema["enum"]:
        faults.append(f"{where}: {value!r} is not one of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        faults.append(f"{where}: {value!r} is not {schema['const']!r}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        faults.append(f"{where}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, dict):
        faults += object_faults(schema, value, where)
    if isinstance(value, list):
        for at, item in enumerate(value):
            prefix = schema.get("prefixItems", [])
            of_item = prefix[at] if at < len(prefix) else schema.get("items", {})
            faults += shape_faults(of_item, item, f"{where}[{at}]")
    return faults


def object_faults(schema: Any, value: dict[str, Any], where: str) -> list[str]:
    known = schema.get("properties", {})
    faults = [f"{where}: no {name}" for name in schema.get("required", []) if name not in value]
    for name, member in value.items():
        if name in known:
            faults += shape_faults(known[name], member, f"{where}.{name}")
        elif known and not schema.get("additionalProperties"):
            faults.append(f"{where}: {name} is not in the document")
    return faults


def check(wire: Wire, operation_id: str, at: str, body: Any = None, status: int = 200) -> Any:
    """Calls an operation and holds its answer against the document."""
    method, _, operation = next(o for o in OPERATIONS if o[2]["operationId"] == operation_id)
    answer = wire.call(method.upper(), at, body=body)
    assert answer.status == status, answer
    response = resolved(operation["responses"][str(status)])
    if "content" not in response:
        assert answer.body == b""
        return None
    media, content = next(iter(response["content"].items()))
    assert answer.headers["content-type"].startswith(media)
    told = answer.json()
    assert shape_faults(content["schema"], told, operation_id) == []
    return told


def test_what_the_native_surface_answers_has_the_documented_shape(wire: Wire, server: Any) -> None:
    (server.data / "in.jsonl").write_text('{"a":1}\n{"a":2}\nbad\n')
    body = {"name": "j", "source": {"path": "in.jsonl"}, "sink": {"path": "out.jsonl"}}
    check(wire, "createJob", "/v1/jobs", body, 201)
    check(wire, "createJob", "/v1/jobs", body, 409)
    check(wire, "createJob", "/v1/jobs", {"x": 1}, 400)
    check(wire, "createJob", "/v1/jobs", {**body, "source": {"path": "/etc/passwd"}}, 403)
    check(wire, "createJob", "/v1/jobs", {**body, "source": {"path": "none.jsonl"}}, 404)
    claim = check(wire, "claimRecords", "/v1/jobs/~j/claim", {})
    lease = claim["lease"]["token"]
    check(wire, "claimRecords", "/v1/jobs/~j/claim", {})
    check(wire, "extendLease", "/v1/jobs/~j/extend", {"lease": lease})
    done = {"lease": lease, "results": [[0, 1]], "failures": []}
    check(wire, "settleRecords", "/v1/jobs/~j/settle", done)
    check(wire, "listErrors", "/v1/jobs/~j/errors")
    check(wire, "releaseLease", "/v1/jobs/~j/release", {"lease": lease}, 204)
    done["results"] = [[1, 1]]
    check(wire, "settleRecords", "/v1/jobs/~j/settle", done, 409)
    for verb in ("pause", "resume", "repair", "clean", "cancel"):
        check(wire, f"{verb}Job", f"/v1/jobs/~j/{verb}")
    check(wire, "getJob", "/v1/jobs/~j")
    check(wire, "getJob", "/v1/jobs/~k", status=404)
    check(wire, "listJobs", "/v1/jobs")
    check(wire, "deleteJob", "/v1/jobs/~j", status=204)
    check(wire, "createKey", "/v1/keys", {"name": "k", "scopes": ["read"]}, 201)
    check(wire, "createKey", "/v1/keys", {"name": "k", "scopes": ["read"]}, 409)
    check(wire, "listKeys", "/v1/keys")
    check(wire, "revokeKey", "/v1/keys/k", status=204)
    check(wire, "nativeHealth", "/v1/health")
    check(wire, "doctor", "/v1/doctor")


def examples() -> list[tuple[str, Any, Any]]:
    """All examples of the document, each with its schema."""
    found = []
    for method, path, operation in OPERATIONS:
        parts = [operation.get("requestBody", {})]
        parts += [resolved(response) for response in operation["responses"].values()]
        for part in parts:
            for content in part.get("content", {}).values():
                if "example" in content and "schema" in content:
                    found.append((named(method, path), content["schema"], content["example"]))
    return found


def test_every_example_has_the_documented_shape() -> None:
    for where, schema, example in examples():
        assert shape_faults(schema, example, where) == []


def test_what_the_queue_answers_has_the_documented_shape(wire: Wire) -> None:
    task = {"function": "f", "key": "k", "unique": {"key": "u"}, "retry": {"delay_s": 1}}
    made = check(wire, "enqueueTasks", "/v1/tasks", {"tasks": [task, {"function": "g"}]}, 201)
    first, second = (entry["id"] for entry in made["tasks"])
    check(wire, "enqueueTasks", "/v1/tasks", {"tasks": [{}]}, 400)
    task["unique"] = {"key": "u", "on_clash": "refuse"}
    check(wire, "enqueueTasks", "/v1/tasks", {"tasks": [task]}, 409)
    claim = check(wire, "claimTasks", "/v1/work/claim", {"max": 2, "worker": "w"})
    lease = claim["lease"]["token"]
    check(wire, "getTask", f"/v1/tasks/{first}")
    check(wire, "getTask", "/v1/tasks/4711", status=404)
    check(wire, "listWorkers", "/v1/workers")
    check(wire, "cancelTasks", "/v1/tasks/cancel", {"ids": [second]})
    progress = [[first, 0.5, "half"]]
    told = check(wire, "extendSession", "/v1/work/extend", {"lease": lease, "progress": progress})
    assert told["aborts"] == [[second, "cancelled"]]
    check(wire, "listTasks", "/v1/tasks")
    settlement = {
        "lease": lease,
        "failures": [[first, {"message": "no", "type": "E", "final": True}], [4711, None]],
        "aborted": [second],
        "enqueue": [{"function": "h"}, {"of": 4711, "function": "h"}],
        "claim": {"max": 1},
    }
    told = check(wire, "settleTasks", "/v1/work/settle", settlement)
    assert told["stale"] == [4711] and len(told["tasks"]) == 1
    check(wire, "getTask", f"/v1/tasks/{first}")
    check(wire, "getTaskResult", f"/v1/tasks/{first}/result", status=409)
    check(wire, "listTaskErrors", "/v1/tasks/errors")
    check(wire, "taskStatus", "/v1/tasks/status")
    check(wire, "retryTasks", "/v1/tasks/retry", {"ids": [first]})
    check(wire, "deleteTasks", "/v1/tasks/delete", {"state": "cancelled"})
    check(wire, "deleteTasks", "/v1/tasks/delete", {}, 400)
    check(wire, "releaseSession", "/v1/work/release", {"lease": lease}, 204)
    check(wire, "settleTasks", "/v1/work/settle", {"lease": lease}, 409)
    check(wire, "listQueues", "/v1/queues")
    check(wire, "changeQueue", "/v1/queues/q", {"concurrency": 2, "fair": True})
    check(wire, "listFunctions", "/v1/functions")
    check(wire, "changeFunction", "/v1/functions/f", {"rpm": 60})
    check(wire, "putLimit", "/v1/limits/l", {"pattern": "*", "concurrency": 1})
    check(wire, "listLimits", "/v1/limits")
    check(wire, "deleteLimit", "/v1/limits/l", status=204)
    check(wire, "deleteLimit", "/v1/limits/l", status=404)


def test_what_the_planchet_surface_answers_has_the_documented_shape(
    wire: Wire, server: Any
) -> None:
    (server.data / "in.jsonl").write_text('{"a":1}\n{"a":2}\n')
    start = "/scramble?job_name=j&reader_name=JsonlReader&writer_name=JsonlWriter"
    files = {"input_file_path": "in.jsonl", "output_file_path": "out.jsonl"}
    check(wire, "scramble", start, files)
    check(wire, "scramble", start, files, 400)
    check(wire, "scramble", "/scramble", files, 422)
    items = check(wire, "serve", "/serve?job_name=j")
    check(wire, "serve", "/serve?job_name=k", status=400)
    check(wire, "receive", "/receive?job_name=j&overwrite=false", items[:1])
    check(wire, "receive", "/receive?job_name=j", items[:1], 422)
    check(wire, "markErrors", "/mark-errors?job_name=j", [1])
    check(wire, "markErrorsToo", "/mark_errors?job_name=j", [0], 400)
    check(wire, "report", "/report?job_name=j")
    check(wire, "report", "/report?job_name=k")
    check(wire, "health", "/health")
    check(wire, "healthToo", "/health_check")
    check(wire, "clean", "/clean?job_name=j")
    check(wire, "clean", "/clean?job_name=k", status=400)
    check(wire, "deletePlanchet", "/delete?job_name=j")
    check(wire, "purge", "/purge")


def test_the_page_needs_nothing_from_elsewhere(wire: Wire) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        answer = wire.call("GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        links = re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
        assert all(link.startswith(("/", "#", "data:,")) for link in links)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)
        for link in links:
            if link.startswith("/"):
                assert wire.call("GET", link).status == 200
    script = wire.call("GET", "/docs/docs.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", script.text)
    assert "http://" not in script.text and "https://" not in script.text
    assert wire.call("GET", "/docs/docs.css").headers["content-type"].startswith("text/css")
