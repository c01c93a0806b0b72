"""Folders and tags by queries, and who sees whose, through pinexq's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.server_process import ServerProcess
from harness.steps import Steps
from pinexq.client.core import ApiException
from pinexq.client.core.hco.unavailable import UnavailableAction, UnavailableLink
from pinexq.client.job_management import Job
from pinexq.client.job_management.enterjma import enter_jma
from pinexq.client.job_management.hcos.folder_hco import FolderHco
from pinexq.client.job_management.model import (
    FolderSortProperties,
    SortTypes,
    WorkDataUsedTagsFilterParameter,
)
from pinexq.client.job_management.tool.folder import Folder

# The client's own queries of folders by a URL make its models warn.
pytestmark = [
    pytest.mark.filterwarnings("error::UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer:UserWarning"),
]


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as made:
        yield made


def paths(folders: Iterator[FolderHco]) -> list[str | None]:
    return [folder.path for folder in folders]


def tree(client: httpx.Client) -> tuple[Folder, Folder]:
    """/b/, /a/, /a/c/, /a/b/: made in this order."""
    Folder(client).create(name="b")
    a = Folder(client).create(name="a")
    Folder(client).create(name="c", parent=a)
    return a, Folder(client).create(name="b", parent=a)


def test_folders_are_queried(client: httpx.Client) -> None:
    a, _ = tree(client)
    everything = Folder.query(client)
    assert paths(everything.iter_flat()) == ["/a/", "/a/b/", "/a/c/", "/b/"]
    assert everything.total_entities == 4
    assert paths(Folder.query(client, parent=a).iter_flat()) == ["/a/b/", "/a/c/"]
    assert paths(Folder.query(client, name_contains="b").iter_flat()) == ["/a/b/", "/b/"]
    assert paths(Folder.query(client, path_prefix="/a/").iter_flat()) == ["/a/", "/a/b/", "/a/c/"]
    assert paths(Folder.query(client, path_prefix="/x").iter_flat()) == []
    root = enter_jma(client).folder_root_link.navigate()
    assert not isinstance(root.all_link, UnavailableLink)
    assert paths(root.all_link.navigate().iter_flat()) == ["/a/", "/a/b/", "/a/c/", "/b/"]


@pytest.mark.parametrize(
    "sort_by, up, down",
    [
        (FolderSortProperties.path, ["/a/", "/a/b/", "/a/c/", "/b/"], None),
        (FolderSortProperties.created_at, ["/b/", "/a/", "/a/c/", "/a/b/"], None),
        # Equal names keep the order of creation, either way.
        (
            FolderSortProperties.name,
            ["/a/", "/b/", "/a/b/", "/a/c/"],
            ["/a/c/", "/b/", "/a/b/", "/a/"],
        ),
    ],
)
def test_pages_of_folders_do_not_shift_in_any_order(
    client: httpx.Client, sort_by: FolderSortProperties, up: list[str], down: list[str] | None
) -> None:
    tree(client)
    for sort_type, expected in (
        (SortTypes.ascending, up),
        (SortTypes.descending, down or up[::-1]),
    ):
        pages = Folder.query(client, page_size=1, sort_by=sort_by, sort_type=sort_type)
        seen = [paths(iter(page.folders))[0] for page in pages.iter()]
        assert seen == expected
    # A folder goes while the pages are read: what is behind it is still found.
    query = Folder.query(client, page_size=1, sort_by=sort_by, sort_type=SortTypes.ascending)
    seen = []
    for page in query.iter():
        (folder,) = page.folders
        seen.append(folder.path)
        if folder.path != "/a/":
            folder.delete_action.execute()
    assert seen == up


def test_a_query_of_folders_is_checked(client: httpx.Client) -> None:
    create = "/api/FolderRoot/CreateFolderQuery"
    for wrong in (
        {"Filter": {"ParentFolder": "/api/Job/x"}},
        {"Filter": {"UserUrl": "/api/User/x"}},
        {"Filter": {"Stone": 1}},
        {"SortBy": {"PropertyName": "Size"}},
    ):
        assert client.post(create, json=wrong).status_code == 400
    gone = Folder(client).create(name="a")
    url = str(gone.self_link().get_url())
    gone.delete()
    with pytest.raises(ApiException) as caught:
        Folder.query(client, parent=url)  # type: ignore[arg-type]
    assert caught.value.problem_details and caught.value.problem_details.status == 404


def test_things_tell_the_folder_they_are_in(server: ServerProcess, client: httpx.Client) -> None:
    steps = Steps(server)
    steps.register()
    steps.upload(b"x", query="&folder=/a")
    folder = Folder.from_hco(Folder.query(client).folders[0])
    job = Job(client).create("j")
    assert job.job_hco and isinstance(job.job_hco.parent_folder_link, UnavailableLink)
    steps.ok("PATCH", "/steps/add", {"folder": "/a/"})
    steps.ok("PATCH", f"/step-jobs/{steps.make(folder='/a/')['id']}", {"hidden": True})
    things: list[Any] = list(folder.contents().iter_flat())
    assert len(things) == 3
    for thing in things:
        assert thing.parent_folder_link.navigate().path == "/a/"
    folder.rename("b").move(Folder(client).create(name="c"))
    for thing in folder.contents().iter_flat():
        assert thing.parent_folder_link.navigate().path == "/c/b/"
        assert thing.parent_folder_link.get_url() == folder.self_link().get_url()
    # Also when nothing of it is in memory.
    server.restart()
    with httpx.Client(base_url=server.url) as later:
        (found,) = Folder.query(later, name_contains="b").folders
        for thing in Folder.from_hco(found).contents().iter_flat():
            assert thing.parent_folder_link.get_url() == found.self_link.get_url()
        work = later.get("/api/WorkDataRoot").json()
        assert "all" in {link["rel"][0] for link in work["links"]}


def test_tags_of_work_data_that_has_others(server: ServerProcess, client: httpx.Client) -> None:
    steps = Steps(server)
    for tags in (["a", "b"], ["a", "c=1"], ["d", "ü&?"]):
        made = steps.upload(b"x")
        steps.ok("PATCH", f"/artifacts/{made['id']}", {"tags": tags})
    root = enter_jma(client).work_data_root_link.navigate()
    assert not isinstance(root.query_tags_action, UnavailableAction)

    def narrowed(*required: str) -> list[str] | None:
        parameters = root.query_tags_action.default_parameters()
        assert isinstance(parameters, WorkDataUsedTagsFilterParameter)
        parameters.required_tags = list(required)
        return root.query_tags_action.execute(parameters).navigate().tags

    assert narrowed() == ["a", "b", "c=1", "d", "ü&?"]
    assert narrowed("a") == ["b", "c=1"] and narrowed("a", "b") == []
    assert narrowed("ü&?") == ["d"] and narrowed("none") == []
    too_long = {"RequiredTags": ["x" * 1000] * 12}
    assert (
        client.post("/api/WorkDataRoot/CreateWorkDataTagsQuery", json=too_long).status_code == 413
    )
    assert root.all_link.navigate().total_entities == 3
    steps.register()
    step_root = enter_jma(client).processing_step_root_link.navigate()
    assert step_root.all_link.navigate().total_entities == 1


def test_only_the_local_socket_sees_folders_of_all_owners(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server()
    house = Steps(server)
    keys = {
        owner: house.ok(
            "POST", "/keys", {"name": owner, "scopes": ["admin"], "owner": owner}, status=201
        )["secret"]
        for owner in ("ann", "bob")
    }
    for owner, key in keys.items():
        with httpx.Client(base_url=server.url, headers={"x-api-key": key}) as own:
            Folder(own).create(name=f"of-{owner}")
            assert paths(Folder.query(own).iter_flat()) == [f"/of-{owner}/"]
            root = enter_jma(own).folder_root_link.navigate()
            assert isinstance(root.admin_query_action, UnavailableAction)
            assert isinstance(root.all_admin_link, UnavailableLink)
            refused = own.post("/api/FolderRoot/CreateAdminFolderQuery", json={})
            assert refused.status_code == 403
            assert own.get("/api/AdminFolderQuery").status_code == 403
            assert own.get(f"/api/User/{owner}").json()["properties"]["UserId"] == owner
            assert own.get("/api/User/other").status_code == 404
            assert own.get(f"/v1/step-jobs?owner={owner}").status_code == 400
    house.ok("POST", "/folders", {"path": "/house"}, 201)
    transport = httpx.HTTPTransport(uds=f"{server.state}/penstock.sock")
    with httpx.Client(base_url="http://localhost", transport=transport) as trusted:
        everything = Folder.admin_query(trusted, page_size=1)
        assert paths(everything.iter_flat()) == ["/house/", "/of-ann/", "/of-bob/"]
        assert everything.total_entities == 3
        of_bob = Folder.admin_query(trusted, user_url="http://localhost/api/User/bob")
        assert paths(of_bob.iter_flat()) == ["/of-bob/"]
        house_user = enter_jma(trusted).info_link.navigate().current_user.self_link.get_url()
        assert paths(Folder.admin_query(trusted, user_url=house_user).iter_flat()) == ["/house/"]
        assert paths(Folder.query(trusted).iter_flat()) == ["/house/"]
        root = enter_jma(trusted).folder_root_link.navigate()
        assert len(list(root.all_admin_link.navigate().iter_flat())) == 3
        bad = trusted.post(
            "/api/FolderRoot/CreateAdminFolderQuery", json={"Filter": {"UserUrl": "/x"}}
        )
        assert bad.status_code == 400
        # The native lists say whose they are to be.
        listed = trusted.get("/v1/folders?owner=ann").json()["folders"]
        assert [folder["path"] for folder in listed] == ["/of-ann/"]
        for things in ("steps", "step-jobs", "artifacts"):
            assert trusted.get(f"/v1/{things}?owner=ann").json()[things.split("-")[-1]] == []
        assert trusted.get("/api/User/bob").json()["properties"]["UserId"] == "bob"
        assert trusted.get("/api/User/b%20b").status_code == 404


def test_the_storage_that_is_used_is_told(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()
    house = Steps(server)
    body = {"name": "ann", "scopes": ["admin"], "owner": "ann"}
    ann = Steps(server, house.ok("POST", "/keys", body, status=201)["secret"])

    def used(key: str | None = None) -> int | None:
        with httpx.Client(base_url=server.url, headers={"x-api-key": key} if key else {}) as made:
            return enter_jma(made).info_link.navigate().used_storage_in_bytes

    assert used() == 0
    first, second = house.upload(b"12345"), house.upload(b"12345")
    ann.upload(b"123")
    assert used() == 10 and used(ann.key) == 3
    server.restart()
    assert used() == 10 and used(ann.key) == 3

    # What is deleted is out of it at once; its bytes go when an operator says so, else in a day.
    def files() -> list[Path]:
        name = first["sha256"][4:]
        return [file for file in (server.state / "blobs").rglob("*") if name in file.name]

    assert house.call("DELETE", f"/artifacts/{first['id']}").status == 204
    assert used() == 5
    assert house.call("DELETE", f"/blobs/{first['sha256']}").status == 409
    assert house.call("DELETE", f"/artifacts/{second['id']}").status == 204
    assert used() == 0 and len(files()) == 1
    assert house.call("DELETE", f"/blobs/{first['sha256']}").status in (200, 204)
    assert files() == []
