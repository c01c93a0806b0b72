"""`penstock openaleph`: what it prints, what it refuses, and what it leaves behind."""

from __future__ import annotations

import json

import pytest
from harness.openaleph_case import OpenAlephCase
from penstock.openaleph.model import DatasetJob

ENTITIES = [
    {"id": f"e{n}", "schema": "Person", "properties": {"name": [f"Person {n}"]}} for n in range(3)
]


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_it_says_what_it_is(openaleph: OpenAlephCase) -> None:
    assert openaleph.command("--version").stdout.startswith("penstock ")
    settings = json.loads(openaleph.command("--settings").stdout)
    assert openaleph.server is not None and settings["server"] == openaleph.server.url
    assert settings["stages"]["index"]["min_priority"] == 70
    assert "defer-entities" in openaleph.command("--help").stdout
    assert "--dataset" in openaleph.command("status", "--help").stdout


@pytest.mark.parametrize("name", ["init-db", "ensure-indexes", "requeue-stalled"])
def test_what_nobody_needs_here_says_so(openaleph: OpenAlephCase, name: str) -> None:
    done = openaleph.command(name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_entities_become_jobs_with_all_that_they_have(openaleph: OpenAlephCase) -> None:
    options = ("-d", "d", "-q", "q", "-t", "mylib.t", "-b", "B")
    done = openaleph.command("defer-entities", *options, stdin=lines(*ENTITIES))
    assert (done.returncode, done.stdout) == (0, "3 jobs deferred\n")
    tasks = openaleph.tasks()
    assert [task.arguments["payload"]["entities"] for task in tasks] == [[e] for e in ENTITIES]
    assert {(task.key, task.queue, task.function, task.batch) for task in tasks} == {
        ("d", "q", "mylib.t", "B")
    }


def test_jobs_become_jobs_and_bad_lines_are_told(openaleph: OpenAlephCase) -> None:
    (openaleph.folder / "jobs.jsonl").write_text(
        lines(
            {"queue": "q", "task": "mylib.t", "payload": {"n": 1}},
            {"queue": "q"},
            {"queue": "q", "task": "mylib.t", "dataset": "d"},
        )
        + "{broken\n\n[1]\n"
        + lines({"queue": "q", "task": "mylib.t"})
    )
    done = openaleph.command("defer-jobs", "-i", "jobs.jsonl")
    assert (done.returncode, done.stdout) == (1, "3 jobs deferred, 3 lines refused\n")
    told = done.stderr.splitlines()
    assert [line.partition(":")[2].split(":")[0] for line in told] == [
        " line 2",
        " line 4",
        " line 6",
    ]
    assert [task.key for task in openaleph.tasks()] == [None, "d", None]


def test_status_cancel_and_requeue_go_by_filters(openaleph: OpenAlephCase) -> None:
    openaleph.write(
        """
        @task(app=app)
        def t(job: DatasetJob) -> None:
            raise ValueError("no")
        """
    )
    for dataset in "de":
        DatasetJob(dataset=dataset, queue="q", task="mylib.t").defer(openaleph.app)
    openaleph.work()
    DatasetJob(dataset="d", queue="q", task="mylib.t").defer(openaleph.app)
    shown = openaleph.command("status").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["d", "default", "q", "mylib.t"]
    assert "1 todo" in shown[0] and "1 failed" in shown[0]
    told = json.loads(openaleph.command("status", "--all", "--json").stdout)
    assert [(one["name"], one["todo"], one["failed"]) for one in told] == [("d", 1, 1), ("e", 0, 1)]
    assert openaleph.command("status", "-d", "nobody").stdout == "no jobs\n"
    assert openaleph.command("requeue-failed", "-d", "e").stdout == "1 jobs wait again\n"
    assert openaleph.command("cancel", "-d", "d", "-t", "mylib.t").stdout == "1 jobs cancelled\n"
    assert openaleph.states() == ["failed", "pending", "cancelled"]
    refused = openaleph.command("cancel")
    assert refused.returncode == 2 and "--all" in refused.stderr
    assert openaleph.command("cancel", "--all").stdout == "1 jobs cancelled\n"


def test_what_cannot_be_is_told_in_one_line(
    openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for args, status in (
        (("defer-jobs", "-i", "missing.jsonl"), 1),
        (("defer-jobs", "-i", "s3://bucket/x"), 2),
        (("cancel", "-d", "__system__"), 2),
    ):
        done = openaleph.command(*args)
        assert done.returncode == status, args
        assert done.stderr.startswith("penstock openaleph: ") and done.stderr.count("\n") == 1
    assert openaleph.command("defer-entities", "-d", "d").returncode == 2
    assert openaleph.command("odd").returncode == 2
    assert openaleph.command().returncode == 2
    monkeypatch.delenv("PENSTOCK_SERVER")
    monkeypatch.setenv("PROCRASTINATE_DB_URI", "postgresql:///openaleph")
    done = openaleph.command("status")
    assert done.returncode == 2 and "PROCRASTINATE_DB_URI" in done.stderr


def test_without_its_packages_it_says_what_to_install(
    openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (openaleph.folder / "followthemoney").mkdir()
    (openaleph.folder / "followthemoney" / "__init__.py").write_text(
        "raise ModuleNotFoundError('no', name='followthemoney')"
    )
    done = openaleph.command("status")
    assert done.returncode == 1
    assert "pip install 'penstock[openaleph]'" in done.stderr
