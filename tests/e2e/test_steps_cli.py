"""`penstock step` and `penstock lineage`, and keys with owners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.server_process import ServerProcess
from harness.steps import Steps, manifest


def test_steps_are_listed_shown_registered_and_deprecated(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "add.json"
    file.write_text(json.dumps(manifest(version="2.0.0")))
    made = server.run_cli("step", "register", str(file))
    assert made.returncode == 0, made.stderr
    again = server.run_cli("step", "register", str(file), "--json")
    assert json.loads(again.stdout) == {"id": int(made.stdout), "existing": True}
    Steps(server).register()
    listed = server.run_cli("step", "list")
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        ["STEP", "VERSION"],
        ["add", "2.0.0"],
        ["add", "1.0.0"],
    ]
    shown = server.run_cli("step", "show", "add")
    assert "2.0.0" in shown.stdout and "data (text/csv), 0 to any number" in shown.stdout
    assert server.run_cli("step", "deprecate", "add:2.0.0", "--reason", "slow").returncode == 0
    assert "1.0.0" in server.run_cli("step", "show", "add").stdout
    assert len(server.run_cli("step", "list").stdout.splitlines()) == 2
    assert len(server.run_cli("step", "list", "--all").stdout.splitlines()) == 3
    assert server.run_cli("step", "deprecate", "add:2.0.0", "--restore").returncode == 0
    assert json.loads(server.run_cli("step", "show", "add", "--json").stdout)["version"] == "2.0.0"
    assert server.run_cli("step", "show", "none").returncode == 1
    file.write_text("{}")
    assert server.run_cli("step", "register", str(file)).returncode == 2


def test_a_job_that_no_worker_takes_says_so(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    draft = steps.make(step="add")
    assert "explain" not in draft
    job = steps.run()
    assert job["explain"]["hold"] == "no-worker" and job["explain"]["by"] is None
    assert "no worker" in steps.job(job["id"])["explain"]["text"]
    assert "no worker" in server.run_cli("task", "show", str(job["id"])).stdout
    assert "no worker" in server.run_cli("step", "show", "add").stdout
    # Neither who takes other steps nor who asks for all queues takes it.
    for members in ({"queues": ["steps"], "functions": ["add:2.0.0"]}, {}):
        lease = steps.ok("POST", "/work/claim", {"max": 1, **members})["lease"]["token"]
        assert steps.job(job["id"])["explain"]["hold"] == "no-worker"
        steps.ok("POST", "/work/release", {"lease": lease}, 204)
    assert steps.ok("GET", "/steps/add")["workers"] == 0
    steps.take(functions=["add:1.0.0"])
    second = steps.run()
    assert steps.job(job["id"])["explain"]["hold"] == "running"
    assert second["explain"]["hold"] == "next"
    assert steps.run()["explain"] == {
        "hold": "behind",
        "text": "another task comes before it",
        "by": second["id"],
    }
    assert steps.ok("GET", "/steps/add")["workers"] == 1
    assert "no worker" not in server.run_cli("step", "show", "add").stdout
    steps.complete(job["id"])
    assert "explain" not in steps.job(job["id"])
    assert all("explain" not in each for each in steps.ok("GET", "/step-jobs")["jobs"])


def test_several_manifests_are_registered(server: ServerProcess, tmp_path: Path) -> None:
    one, listed, lines, bad = (tmp_path / f"{name}.json" for name in ("a", "b", "c", "d"))
    one.write_text(json.dumps(manifest("one"), indent=1) + "\n")
    listed.write_text(json.dumps([manifest("two"), manifest("three")]))
    lines.write_text(json.dumps(manifest("four")) + "\n\n" + json.dumps(manifest("five")))
    made = server.run_cli("step", "register", str(one), str(listed), str(lines))
    names = ["one", "two", "three", "four", "five"]
    assert made.stderr.splitlines() == [f"{name}:1.0.0 is registered" for name in names]
    ids = [Steps(server).ok("GET", f"/steps/{name}")["id"] for name in names]
    assert [int(line) for line in made.stdout.split()] == ids
    for text, said in (
        ("[]5", "is no JSON"),
        ("nonsense", "is no JSON"),
        ("5", "a manifest is an object"),
        (" ", "has no manifest"),
        ('[{"version":"1"}]', "d.json: "),
    ):
        bad.write_text(text)
        refused = server.run_cli("step", "register", str(one), str(bad))
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
        assert int(refused.stdout) == ids[0] and "one:1.0.0 was registered before" in refused.stderr
    assert server.run_cli("step", "register", str(tmp_path / "none.json")).returncode != 0


def test_a_lineage_is_printed(server: ServerProcess) -> None:
    steps = Steps(server)
    steps.register()
    data = steps.upload(b"x", name="raw.csv")
    job = steps.run(inputs={"data": [data["id"]]})
    (task,) = steps.take()
    plot = steps.put(task, b"PNG").json()
    steps.complete(task["id"], 1)
    told = server.run_cli("lineage", str(plot["id"])).stdout
    for part in (f"job {job['id']}", "add:1.0.0", '{"x":5,"y":2}', "raw.csv", "image/png"):
        assert part in told, told
    whole: Any = json.loads(server.run_cli("lineage", str(data["id"]), "--json").stdout)
    assert whole["jobs"][0]["id"] == job["id"]
    assert server.run_cli("lineage", "99").returncode == 1


def test_a_key_has_an_owner(server: ServerProcess) -> None:
    secret = server.run_cli("key", "create", "lab-1", "--owner", "lab").stdout.strip()
    lab = Steps(server, secret)
    assert lab.make()["owner"] == "lab"
    assert lab.make()["created_by"] == "lab-1"
    assert server.run_cli("key", "create", "x", "--owner", "a b").returncode == 2
