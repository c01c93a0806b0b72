"""The pinexq surface by raw HTTP: its roots, jobs, their slots, actions and queries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.native import problem
from harness.server_process import ServerProcess
from harness.siren import Siren, actions, embedded, links


@pytest.fixture
def siren(server: ServerProcess) -> Siren:
    return Siren(server)


def test_the_entry_leads_to_the_roots(siren: Siren) -> None:
    entry = siren.get("/api/EntryPoint")
    assert entry["class"] == ["EntryPoint"] and entry["properties"] == {}
    wanted = {"self", "Info", "JobsRoot", "WorkDataRoot", "ProcessingStepsRoot"}
    assert wanted <= set(links(entry))
    info = siren.root("Info")
    assert info["properties"]["ApiVersion"] == "11.2.0"
    assert links(info)["ApiEventsEndpoint"].startswith(siren.url)
    (user,) = embedded(info, "CurrentUser")
    assert user["class"] == ["User"]
    assert siren.get(links(user)["self"])["properties"] == user["properties"]
    jobs = siren.root("JobsRoot")
    assert set(actions(jobs)) == {"CreateJobQuery", "CreateJob", "CreateSubJob", "RapidSetupJob"}
    assert siren.root("ProcessingStepsRoot")["class"] == ["ProcessingStepRoot"]
    problem(siren.call("GET", "/api/Nothing"), 404, "not-found")
    problem(siren.call("POST", "/api/EntryPoint"), 405, "method-not-allowed")


def test_addresses_begin_as_the_client_called_us(siren: Siren) -> None:
    host = f"LOCALHOST:{siren.wire.port}"
    answer = siren.wire.call("GET", "/api/EntryPoint", headers={"Host": host})
    told = links(answer.json())["self"]
    assert told == f"http://localhost:{siren.wire.port}/api/EntryPoint"


def test_a_job_goes_its_way(siren: Siren) -> None:
    step = siren.steps.register()
    data = siren.steps.upload(b"1,2\n")
    job = siren.job("né ☃")
    assert job["properties"]["Name"] == "né ☃" and job["properties"]["State"] == "Created"
    assert job["properties"]["Processing"] is None and not job.get("entities")
    assert "StartProcessing" not in actions(job) and "ConfigureProcessing" not in actions(job)
    job = siren.done(
        job, "SelectProcessing", {"ProcessingStepUrl": siren.address("ProcessingStep", step)}
    )
    assert job["properties"]["Processing"]["FunctionName"] == "add"
    assert links(job)["SelectedProcessingStep"] == siren.address("ProcessingStep", step)
    (slot,) = embedded(job, "InputDataSlot")
    assert slot["properties"]["Name"] == "data" and "Clear" not in actions(slot)
    urls = {"WorkDataUrls": [siren.address("WorkData", data["id"])]}
    assert siren.act(slot, "SelectWorkDataCollection", urls).status == 200
    job = siren.done(job, "ConfigureProcessing", {"x": 5})
    assert job["properties"]["State"] == "ReadyForProcessing"
    assert job["properties"]["ConfiguredParameters"] == '{"x": 5}'
    (slot,) = embedded(job, "InputDataSlot")
    assert embedded(slot, "Selected")[0]["properties"]["Name"] == "a.csv"
    job = siren.done(job, "StartProcessing")
    assert job["properties"]["State"] == "Pending" and job["properties"]["ScheduledAt"]
    gone = {"SelectProcessing", "ConfigureProcessing", "StartProcessing", "Delete"}
    assert not gone & set(actions(job))
    assert not embedded(job, "InputDataSlot")[0].get("actions")
    (task,) = siren.steps.take()
    assert siren.get(links(job)["self"])["properties"]["State"] == "Processing"
    assert siren.steps.put(task, b"PNG").status == 201
    siren.steps.complete(task["id"], {"sum": 7})
    job = siren.get(links(job)["self"])
    told = job["properties"]
    assert (told["State"], json.loads(told["Result"])) == ("Completed", {"sum": 7})
    assert told["ErrorDescription"] is None and told["CompletedAt"].endswith("Z")
    (slot,) = embedded(job, "OutputDataSlot")
    (plot,) = embedded(slot, "Assigned")
    assert plot["properties"]["Kind"] == "ProcessingArtefact"
    assert links(plot)["ProducedByJob"] == links(job)["self"]
    assert "Delete" in actions(plot) and "Delete" not in actions(job)


def test_what_the_state_does_not_allow_is_refused_and_not_offered(siren: Siren) -> None:
    step = siren.steps.register()
    at = siren.address("ProcessingStep", step)
    draft = siren.done(siren.job(), "SelectProcessing", {"ProcessingStepUrl": at})
    self_ = links(draft)["self"]
    problem(siren.call("POST", self_ + "/StartProcessing"), 409, "conflict")
    ready = siren.done(draft, "ConfigureProcessing", {"x": 1})
    siren.done(ready, "StartProcessing")
    for name, body in {
        "SelectProcessing": {"ProcessingStepUrl": at},
        "ConfigureProcessing": {"x": 2},
        "StartProcessing": None,
        "InputDataSlot/0/Clear": None,
    }.items():
        problem(siren.call("POST", f"{self_}/{name}", body), 409, "conflict")
    problem(siren.call("DELETE", self_), 409, "conflict")
    failed = siren.done(siren.get(self_), "SetJobToErrorState", {"Message": "no worker é"})
    assert failed["properties"]["State"] == "Error"
    assert failed["properties"]["ErrorDescription"] == "no worker é"
    assert siren.act(failed, "Delete").status == 200
    problem(siren.call("GET", self_), 404, "not-found")
    problem(siren.call("POST", self_ + "/Hide"), 404, "not-found")


def test_what_is_always_allowed_is_done(siren: Siren) -> None:
    job = siren.job()
    job = siren.done(job, "EditTags", {"Tags": ["a", " b = 3 ", "ü"]})
    assert job["properties"]["Tags"] == ["a", "b=3", "ü"]
    assert job["properties"]["TagDetails"][1] == {"Key": "b", "Value": "3", "Type": "Integer"}
    assert siren.done(job, "Rename", {"NewName": "other"})["properties"]["Name"] == "other"
    hidden = siren.done(job, "Hide")
    assert hidden["properties"]["Hidden"] and "Hide" not in actions(hidden)
    assert "Hide" in actions(siren.done(hidden, "UnHide"))
    kept = siren.done(job, "DisallowOutputDataDeletion")
    assert kept["properties"]["OutputIsDeletable"] is False
    allowed = siren.done(job, "AllowOutputDataDeletion")
    assert allowed["properties"]["OutputIsDeletable"] is True


def test_bad_bodies_are_told_by_the_member(siren: Siren) -> None:
    root, job = siren.root("JobsRoot"), siren.job()
    step = siren.address("ProcessingStep", siren.steps.register())
    rapid = {"Name": "r", "ProcessingStepUrl": step, "Parameters": '{"x": 1}'}
    work = siren.address("WorkData", 99)
    for entity, action, body, said in (
        (root, "CreateJob", {}, "Name"),
        (root, "CreateJob", {"Name": 5}, "Name"),
        (root, "CreateJob", b"{", "byte"),
        (root, "CreateJob", b"[]", "byte"),
        (root, "CreateJob", b'{"Name":"a","Name":"b"}', "twice"),
        (root, "CreateJob", {"Name": "a", "Colour": "red"}, "Colour"),
        (root, "CreateSubJob", {"Name": "a", "ParentJobUrl": step}, "ParentJobUrl"),
        (job, "SelectProcessing", {"ProcessingStepUrl": "x"}, "ProcessingStepUrl"),
        (job, "EditTags", {"Tags": "a"}, "Tags"),
        (job, "EditTags", {"Tags": [1]}, "Tags"),
        (root, "RapidSetupJob", {**rapid, "Parameters": "{"}, "Parameters"),
        (root, "RapidSetupJob", {**rapid, "Parameters": '{"x": "a"}'}, "x"),
        (root, "RapidSetupJob", {**rapid, "Parameters": "{}"}, "x"),
        (root, "RapidSetupJob", {**rapid, "InputDataSlots": [{"Index": 3}]}, "3"),
        (
            root,
            "RapidSetupJob",
            {**rapid, "InputDataSlots": [{"Index": 0, "WorkDataUrls": [work]}]},
            "99",
        ),
        (
            root,
            "RapidSetupJob",
            {**rapid, "InputDataSlots": [{"Index": 0, "WorkDataUrls": [step]}]},
            "InputDataSlots[0].WorkDataUrls",
        ),
        (root, "CreateJobQuery", {"Filter": {"State": "Odd"}}, "Filter.State"),
        (root, "CreateJobQuery", {"Filter": {"CreatedAfter": "2026-01-01"}}, "CreatedAfter"),
        (root, "CreateJobQuery", {"Filter": {"TagQueryExpression": "a"}}, "TagQueryExpression"),
        (root, "CreateJobQuery", {"SortBy": {"PropertyName": "Odd"}}, "PropertyName"),
    ):
        told = problem(siren.act(entity, action, body), 400, "invalid")
        assert said in told["detail"], (action, body, told)
    assert siren.names() == ["a job"]  # nothing was made of all that


def test_sub_jobs_belong_to_their_parent(siren: Siren) -> None:
    root, parent = siren.root("JobsRoot"), siren.job("parent")
    siren.steps.ok("PATCH", "/step-jobs/1", {"folder": "/a/"})
    body = {"Name": "sub", "ParentJobUrl": links(parent)["self"]}
    sub = siren.made(root, "CreateSubJob", {**body, "InheritParentFolder": False})
    assert links(sub)["ParentJob"] == links(parent)["self"]
    assert sub["properties"]["FolderPath"] == "/"
    heir = siren.made(root, "CreateSubJob", {**body, "InheritParentFolder": True})
    assert heir["properties"]["FolderPath"] == "/a/"
    problem(siren.act(parent, "Delete"), 409, "conflict")
    assert "Delete" not in actions(siren.get(links(parent)["self"]))
    assert siren.names(IsSubJob=False) == ["parent"]
    assert siren.names(ParentJobUrl=links(parent)["self"]) == ["sub", "sub"]
    for job in (sub, heir, parent):
        assert siren.act(job, "Delete").status == 200


def test_a_rapid_job_is_all_or_nothing(siren: Siren) -> None:
    step = siren.steps.register()
    data = siren.address("WorkData", siren.steps.upload(b"1\n")["id"])
    slots = [{"Index": 0, "WorkDataUrls": [data, data]}]
    job = siren.rapid(step, Tags=["t"], InputDataSlots=slots, AllowOutputDataDeletion=False)
    told = job["properties"]
    assert (told["State"], told["Tags"], told["OutputIsDeletable"]) == ("Pending", ["t"], False)
    assert len(embedded(embedded(job, "InputDataSlot")[0], "Selected")) == 2
    draft = siren.rapid(step, Start=False, Parameters=None)
    assert draft["properties"]["State"] == "Created"


def test_pages_do_not_shift_while_jobs_go(siren: Siren) -> None:
    for n in range(7):
        siren.job(f"job {n}")
    root = siren.root("JobsRoot")
    page = siren.made(root, "CreateJobQuery", {"Pagination": {"PageSize": 2}})
    seen = []
    while True:
        told = page["properties"]
        assert told["TotalEntities"] == 7 and told["PreviousEntitiesCount"] == len(seen)
        for job in embedded(page, "item"):
            seen.append(job["properties"]["Name"])
            assert siren.act(job, "Delete").status == 200
        if "next" not in links(page):
            break
        page = siren.get(links(page)["next"])
    assert seen == [f"job {n}" for n in reversed(range(7))]


def test_queries_filter_and_sort(siren: Siren) -> None:
    step = siren.steps.register()
    siren.done(siren.job("b"), "EditTags", {"Tags": ["x", "y"]})
    siren.done(siren.job("a"), "EditTags", {"Tags": ["x"]})
    siren.done(siren.job("c"), "Hide")
    run = siren.rapid(step)
    assert siren.names() == ["rapid", "c", "a", "b"]
    assert siren.names(State="Pending") == ["rapid"] and siren.names(State="DataMissing") == []
    assert siren.names(Name="a") == ["rapid", "a"]
    assert siren.names(TagsByAnd=["x", "y"]) == ["b"] and siren.names(TagsByOr=["y"]) == ["b"]
    assert siren.names(ShowHidden=True) == ["c"]
    assert siren.names(ProcessingStepUrl=siren.address("ProcessingStep", step)) == ["rapid"]
    at = run["properties"]["CreatedAt"]
    assert siren.names(CreatedAfter=at) == ["rapid"]
    assert siren.names(CreatedBefore=at) == ["c", "a", "b"]
    (page,) = siren.pages(
        "JobsRoot",
        "CreateJobQuery",
        SortBy={"PropertyName": "Name", "SortType": "Ascending"},
        Pagination={"PageSize": 10, "PageOffset": 1},
        IncludeRemainingTags=True,
    )
    assert [e["properties"]["Name"] for e in page["entities"]] == ["b", "c", "rapid"]
    assert page["properties"]["RemainingTags"] == ["x", "y"]
    first = siren.get(links(page)["first"])
    assert first["properties"]["CurrentEntitiesCount"] == 4 and "previous" in links(page)
    far = siren.made(siren.root("JobsRoot"), "CreateJobQuery", {"Pagination": {"PageOffset": 1000}})
    assert far["properties"]["TotalEntities"] == 4 and not far.get("entities")


def keys(server: ServerProcess, *words: str) -> str:
    made = server.run_cli("key", "create", *words)
    assert made.returncode == 0, made.stderr
    return next(word for word in made.stdout.split() if word.startswith("pk_"))


@pytest.fixture
def owners(make_server: Callable[..., ServerProcess]) -> dict[str, Any]:
    server = make_server("--auth", "keys")
    return {
        "lab": Siren(server, keys(server, "lab-1", "--scope", "work", "--owner", "lab")),
        "other": Siren(server, keys(server, "other-1", "--scope", "work", "--owner", "other")),
        "reads": Siren(server, keys(server, "lab-2", "--scope", "read", "--owner", "lab")),
        "nobody": Siren(server),
    }


def test_owners_do_not_see_each_other(owners: dict[str, Any]) -> None:
    lab, other, reads = owners["lab"], owners["other"], owners["reads"]
    job = lab.job("mine")
    assert job["properties"]["OwnerId"] == "lab" and job["properties"]["CreatedBy"] == "lab-1"
    self_ = links(job)["self"]
    problem(other.call("GET", self_), 404, "not-found")
    for name in ("Hide", "StartProcessing", "SetJobToErrorState"):
        body = {"Message": "x"} if name == "SetJobToErrorState" else None
        problem(other.call("POST", f"{self_}/{name}", body), 404, "not-found")
    problem(other.call("DELETE", self_), 404, "not-found")
    assert other.names() == [] and lab.names() == ["mine"]
    body = {"Name": "sub", "ParentJobUrl": self_, "InheritParentFolder": True}
    problem(other.act(other.root("JobsRoot"), "CreateSubJob", body), 404, "not-found")
    seen = reads.get(self_)
    assert not seen.get("actions") and set(actions(reads.root("JobsRoot"))) == {"CreateJobQuery"}
    problem(reads.call("POST", self_ + "/Hide"), 403, "forbidden")
    problem(owners["nobody"].call("GET", self_), 401, "unauthorized")
    grants = embedded(lab.root("Info"), "CurrentUser")[0]["properties"]
    assert grants == {"UserId": "lab", "UserGrants": ["grant:codeContributor"]}
