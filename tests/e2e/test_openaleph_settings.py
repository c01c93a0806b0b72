"""The environment: where the server is, the stages, the archive; and what cannot be is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from followthemoney import model
from harness.recording_app import recording_app
from penstock.archive import FolderArchive, ServerArchive
from penstock.openaleph import defer
from penstock.openaleph.app import make_app
from penstock.openaleph.exceptions import SettingsError
from penstock.openaleph.settings import STAGES, Settings, stage

PERSON = model.get_proxy({"id": "p", "schema": "Person", "properties": {"name": ["Jane"]}})
WITHOUT_ENTITIES = (
    "reindex",
    "xref",
    "load_mapping",
    "flush_mapping",
    "export_xref",
    "update_entity",
    "prune_entity",
    "cancel_dataset",
)
NAMES = ("PENSTOCK_", "PROCRASTINATE_", "OPENALEPH_", "ALEPH_", "FTM_", "ARCHIVE_", "LAKEHOUSE_")


@pytest.fixture(autouse=True)
def nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(NAMES) or name == "DEBUG":
            monkeypatch.delenv(name)


# --- the server ---


def test_with_nothing_set_jobs_go_to_the_store_on_the_state_folder(tmp_path: Path) -> None:
    app = make_app()
    assert app.url == f"embedded://{tmp_path}/.penstock"
    assert app.fragments("d")._client() is app.client
    assert make_app() is app
    assert make_app(sync=True) is app
    assert make_app("my.tasks") is not app
    assert make_app("my.tasks").import_paths == ["my.tasks"]


@pytest.mark.parametrize(
    "name", ["PROCRASTINATE_DB_URI", "OPENALEPH_DB_URI", "ALEPH_DATABASE_URI", "PENSTOCK_SERVER"]
)
def test_the_server_is_named_by_any_of_its_variables(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://queue.example:5005")
    assert make_app().url == "http://queue.example:5005"
    if name != "PENSTOCK_SERVER":
        monkeypatch.setenv(name, "penstock://queue.example:5006")
        assert make_app().url == "http://queue.example:5006"


def test_the_first_variable_wins_and_fragments_may_be_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENALEPH_DB_URI", "http://second:1")
    monkeypatch.setenv("PROCRASTINATE_DB_URI", "http://first:1")
    monkeypatch.setenv("FTM_STORE_URI", "http://entities:1")
    app = make_app()
    assert app.url == "http://first:1"
    assert app.fragments("d")._client().url == "http://entities:1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROCRASTINATE_DB_URI", "postgresql:///openaleph"),
        ("PROCRASTINATE_DB_URI", "sqlite:///:memory:"),
        ("OPENALEPH_DB_URI", "memory:"),
        ("FTM_FRAGMENTS_URI", "sqlite:///fragments.db"),
    ],
)
def test_a_database_that_is_not_ours_is_refused_and_nothing_goes_to_memory(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        make_app()
    monkeypatch.setenv("PENSTOCK_SERVER", "http://ours:1")
    assert make_app().url == "http://ours:1"


def test_the_env_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n\nexport PENSTOCK_SERVER='http://file:1'  # where\n"
        'OPENALEPH_INDEX_QUEUE = "from file"\nOPENALEPH_INDEX_DEFER=false # not now\nodd line\n'
    )
    assert make_app().url == "http://file:1"
    assert stage("index").queue == "from file"
    assert stage("index").defer is False
    monkeypatch.setenv("OPENALEPH_INDEX_DEFER", "1")
    assert stage("index").defer is True
    (tmp_path / ".env").write_text("OPENALEPH_INDEX_QUEUE=changed\n")
    assert stage("index").queue == "changed"


# --- stages ---


def test_every_member_of_a_stage_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for member, value in (
        ("QUEUE", "other"),
        ("TASK", "other.tasks.index"),
        ("DEFER", "no"),
        ("MIN_PRIORITY", "75"),
        ("MAX_PRIORITY", "80"),
        ("MAX_RETRIES", "-1"),
    ):
        monkeypatch.setenv(f"OPENALEPH_INDEX_{member}", value)
    got = stage("index")
    assert (got.queue, got.task, got.defer) == ("other", "other.tasks.index", False)
    assert (got.min_priority, got.max_priority, got.max_retries) == (75, 80, -1)
    assert got.retries is True


def test_a_stage_may_be_told_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"min_priority": 75, "queue": "j", "odd": 1}
    monkeypatch.setenv("OPENALEPH_INDEX", json.dumps(told))
    monkeypatch.setenv("OPENALEPH_INDEX_QUEUE", "stronger")
    got = stage("index")
    assert (got.min_priority, got.max_priority, got.queue) == (75, 100, "stronger")


def test_one_end_of_a_range_moves_the_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALEPH_INDEX_MAX_PRIORITY", "10")
    assert (stage("index").min_priority, stage("index").max_priority) == (10, 10)
    monkeypatch.setenv("OPENALEPH_INDEX_MIN_PRIORITY", "20")
    with pytest.raises(SettingsError, match="OPENALEPH_INDEX"):
        stage("index")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENALEPH_INDEX", "{"),
        ("OPENALEPH_INDEX", "[]"),
        ("OPENALEPH_INDEX", '{"min_priority": "many"}'),
        ("OPENALEPH_INDEX_MIN_PRIORITY", "7.5"),
        ("OPENALEPH_INDEX_DEFER", "perhaps"),
    ],
)
def test_what_cannot_be_names_its_variable_where_it_is_used(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    app, tasks = recording_app()
    with pytest.raises(SettingsError, match=name):
        defer.index(app, "d", [PERSON])
    defer.ingest(app, "d", [PERSON])
    assert len(tasks) == 1


def test_what_is_of_other_programs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALEPH_INDEX_SHARDS", "7")
    monkeypatch.setenv("OPENALEPH_SEARCH_URI", "http://localhost:9200")
    assert stage("index") == STAGES["index"]


@pytest.mark.parametrize("name", ["ingest", "analyze", "index"])
def test_stages_that_are_on_get_a_job_of_the_entities(name: str) -> None:
    app, tasks = recording_app()
    getattr(defer, name)(app, "d", [PERSON], batch="B", languages=["en"])
    (told,) = tasks
    of = STAGES[name]
    assert (told["function"], told["queue"]) == (of.task, of.queue)
    assert of.min_priority <= told["priority"] <= of.max_priority
    assert (told["key"], told["batch"], told["max_attempts"]) == ("d", "B", 6)
    assert told["arguments"]["payload"]["context"] == {"languages": ["en"]}
    assert told["arguments"]["payload"]["entities"][0]["id"] == "p"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("transcribe", "transcribe"),
        ("translate", "translate"),
        ("geocode", "geocode"),
        ("assets", "resolve_assets"),
        ("vectorize", "vectorize"),
    ],
)
def test_stages_that_are_off_can_be_turned_on(
    name: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, tasks = recording_app()
    getattr(defer, function)(app, "d", [PERSON])
    assert tasks == []
    monkeypatch.setenv(f"OPENALEPH_{name.upper()}_DEFER", "1")
    getattr(defer, function)(app, "d", [PERSON])
    assert [told["function"] for told in tasks] == [STAGES[name].task]


@pytest.mark.parametrize("name", WITHOUT_ENTITIES)
def test_stages_of_a_dataset_take_no_entities(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, tasks = recording_app()
    getattr(defer, name)(app, "d", mapping_id=7)
    (told,) = tasks
    of = STAGES[name]
    assert told["arguments"] == {
        "queue": of.queue,
        "task": of.task,
        "dataset": "d",
        "payload": {"context": {"mapping_id": 7}},
    }
    assert of.min_priority <= told["priority"] <= of.max_priority
    monkeypatch.setenv(f"OPENALEPH_{name.upper()}_DEFER", "0")
    getattr(defer, name)(app, "d")
    assert len(tasks) == 1


def test_an_export_of_a_search_is_of_no_dataset() -> None:
    app, tasks = recording_app()
    defer.export_search(app, export_id=3)
    (told,) = tasks
    assert told["arguments"]["payload"] == {"context": {"export_id": 3}}
    assert "dataset" not in told["arguments"] and told.get("key") is None


def test_a_priority_in_the_context_is_used_and_handed_on() -> None:
    app, tasks = recording_app()
    defer.index(app, "d", [PERSON], priority=0)
    (told,) = tasks
    assert told["priority"] == 0
    assert told["arguments"]["payload"]["context"] == {"priority": 0}
    with pytest.raises(SettingsError):
        defer.index(app, "d", [PERSON], priority="soon")


def test_retries_of_a_stage_are_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    app, tasks = recording_app()
    monkeypatch.setenv("OPENALEPH_INGEST_MAX_RETRIES", "0")
    defer.ingest(app, "d", [PERSON])
    monkeypatch.setenv("OPENALEPH_INGEST_MAX_RETRIES", "-1")
    defer.ingest(app, "d", [PERSON])
    assert [told["max_attempts"] for told in tasks] == [1, 1_000_000]


# --- the archive ---


def archive_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Any:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return make_app().archive("my_dataset")


def test_the_archive_is_the_servers_unless_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(make_app().archive(), ServerArchive)
    for variables in (
        {"ARCHIVE_PATH": str(tmp_path / "a")},
        {"ARCHIVE_TYPE": "file", "ARCHIVE_PATH": str(tmp_path / "a")},
        {"ARCHIVE_URI": f"file://{tmp_path}/a", "ARCHIVE_PATH": ""},
        {"ARCHIVE_TYPE": "anystore", "ARCHIVE_URI": str(tmp_path / "a")},
    ):
        archive = archive_of(monkeypatch, **variables)
        assert isinstance(archive, FolderArchive)
        assert archive.root == tmp_path / "a"


def test_a_lakehouse_keeps_files_by_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENALEPH_LAKEHOUSE", "1")
    archive = archive_of(monkeypatch, LAKEHOUSE_URI=str(tmp_path / "lake"))
    content_hash = archive.store(io.BytesIO(b"bytes"), "x.pdf")
    assert (
        (tmp_path / "lake" / "my_dataset" / "archive")
        .joinpath(*[content_hash[i : i + 2] for i in (0, 2, 4)], content_hash, "blob")
        .exists()
    )
    with pytest.raises(SettingsError, match="dataset"):
        make_app().archive()


@pytest.mark.parametrize(
    "variables",
    [
        {"ARCHIVE_TYPE": "s3", "ARCHIVE_BUCKET": "b"},
        {"ARCHIVE_TYPE": "gs"},
        {"ARCHIVE_TYPE": "file"},
        {"ARCHIVE_URI": "s3://bucket"},
    ],
)
def test_an_archive_that_is_not_to_be_had_is_told(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="ARCHIVE_"):
        archive_of(monkeypatch, **variables)


def test_settings_are_shown_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER", "http://me:secret@queue:1")
    shown = Settings().shown()
    assert shown["server"] == "http://me:***@queue:1"
    assert shown["stages"]["ingest"]["queue"] == "ingest"
    assert "secret" not in str(shown)
