"""The pinexq surface by raw HTTP: processing steps, what is done with them, and their queries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.siren import Siren, actions, links
from harness.steps import manifest


@pytest.fixture
def siren(server: ServerProcess) -> Siren:
    return Siren(server)


def found(siren: Siren, **filter: Any) -> list[str]:
    pages = siren.pages("ProcessingStepsRoot", "CreateProcessingStepQuery", Filter=filter)
    steps = [e["properties"] for page in pages for e in page.get("entities", [])]
    return [f"{s['FunctionName']}:{s['Version']}" for s in steps]


def test_a_step_is_shown_with_its_manifest(siren: Siren) -> None:
    step = siren.get(siren.address("ProcessingStep", siren.steps.register()))
    told = step["properties"]
    assert (told["FunctionName"], told["Version"], told["HasParameters"]) == ("add", "1.0.0", True)
    assert json.loads(told["ParameterSchema"]) == manifest()["parameters"]
    assert told["ReturnSchema"] is None and told["DefaultParameters"] is None
    slot = told["InputDataSlotSpecification"][0]
    assert (slot["IsCollection"], slot["MinSlots"], slot["MaxSlots"]) == (True, 0, None)
    answer = siren.call("GET", links(step)["Download"])
    assert answer.headers["content-type"] == "application/json" and answer.json() == manifest()
    problem(siren.call("GET", siren.address("ProcessingStep", 99)), 404, "not-found")
    problem(siren.call("GET", "/api/ProcessingStep/1"), 404, "not-found")


def test_steps_are_edited(siren: Siren) -> None:
    step = siren.get(siren.address("ProcessingStep", siren.steps.register()))

    def edit(name: str, property: str, body: Any = None) -> Any:
        nonlocal step
        step = siren.done(step, name, body)
        return step["properties"][property]

    assert edit("EditTags", "Tags", {"Tags": ["a", "b"]}) == ["a", "b"]
    assert edit("EditTitle", "Title", {"Title": "Adds"}) == "Adds"
    assert edit("Hide", "Hidden") is True and "Hide" not in actions(step)
    assert edit("UnHide", "Hidden") is False
    assert edit("Deprecate", "ReasonForDeprecation", {"Reason": "slow"}) == "slow"
    assert step["properties"]["IsDeprecated"] and step["properties"]["DeprecatedAt"]
    assert edit("Restore", "IsDeprecated") is False
    assert edit("ConfigureDefaultParameters", "DefaultParameters", {"x": 1}) == '{"x": 1}'
    assert edit("ClearDefaultParameters", "DefaultParameters") is None
    assert edit("MakePublic", "IsPublic") is True and edit("MakePrivate", "IsPublic") is False
    assert edit("AssignCodeHash", "CodeHash", {"CodeHash": "abc"}) == "abc"
    assert edit("ClearCodeHash", "CodeHash") is None
    bad = {"x": "text"}
    problem(siren.act(step, "ConfigureDefaultParameters", bad), 400, "invalid")
    problem(siren.act(step, "AssignCodeHash", {}), 400, "invalid")
    problem(siren.call("POST", links(step)["self"] + "/Nothing"), 404, "not-found")


def test_a_step_in_use_is_not_deleted(siren: Siren) -> None:
    id = siren.steps.register()
    job = siren.rapid(id, Start=False)
    step = siren.get(siren.address("ProcessingStep", id))
    assert "Delete" not in actions(step)
    problem(siren.call("DELETE", links(step)["self"]), 409, "conflict")
    assert siren.act(job, "Delete").status == 200
    assert siren.act(siren.get(links(step)["self"]), "Delete").status == 200
    problem(siren.call("GET", links(step)["self"]), 404, "not-found")


def test_queries_find_steps_the_highest_version_first(siren: Siren) -> None:
    for version in ("1.0.0", "10.0.0", "9.0.0", "9.1.0-beta"):
        siren.steps.register(version=version)
    siren.steps.register(name="adder")
    exact = {"FunctionName": "add", "FunctionNameMatchType": "MatchExact"}
    add = ["add:10.0.0", "add:9.1.0-beta", "add:9.0.0", "add:1.0.0"]
    assert found(siren) == [*add, "adder:1.0.0"] == found(siren, FunctionName="add")
    assert found(siren, **exact) == add
    assert found(siren, **exact, Version="9.*", ShowPrerelease=False) == ["add:9.0.0"]
    assert found(siren, Version="1.0.0") == ["add:1.0.0", "adder:1.0.0"]
    assert found(siren, DeploymentState="Platform") == []
    assert found(siren, DescriptionContains="add") == [*add, "adder:1.0.0"]
    root = siren.root("ProcessingStepsRoot")
    for filter in ({"Version": "odd!"}, {"FunctionNameMatchType": "x"}, {"DeploymentState": "x"}):
        query = siren.act(root, "CreateProcessingStepQuery", {"Filter": filter})
        problem(query, 400, "invalid")


@pytest.mark.parametrize("order", ["Title", "CreatedAt", "LastModifiedAt", "Version", None])
def test_pages_of_steps_do_not_shift_while_steps_go(siren: Siren, order: str | None) -> None:
    for n in range(5):
        siren.steps.register(version=f"{n}.0.0", title=f"t{n}")
    query: dict[str, Any] = {"Pagination": {"PageSize": 2}}
    if order:
        query["SortBy"] = {"PropertyName": order, "SortType": "Descending"}
    page = siren.made(siren.root("ProcessingStepsRoot"), "CreateProcessingStepQuery", query)
    seen = []
    while True:
        for step in page["entities"]:
            seen.append(step["properties"]["Version"])
            assert siren.act(step, "Delete").status == 200
        if "next" not in links(page):
            break
        page = siren.get(links(page)["next"])
    assert seen == [f"{n}.0.0" for n in reversed(range(5))]
