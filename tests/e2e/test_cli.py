"""The command line, as people and programs use it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.server_process import ServerProcess, binary
from harness.wire import Wire

Made = Callable[..., ServerProcess]

HEAD = ["RECORD", "LINE", "ATTEMPTS", "REASON"]


def run(*args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """A command without a state folder of its own."""
    return subprocess.run(
        [binary(), *args],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        check=False,
    )


def commands() -> list[str]:
    listed = run("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+(?: \S+)?)  ", listed, re.MULTILINE)


def write_records(server: ServerProcess, count: int) -> None:
    lines = "".join(f'{{"n": {n}}}\n' for n in range(count))
    (server.data / "in.jsonl").write_text(lines)


def start(server: ServerProcess, *args: str, count: int = 10) -> None:
    write_records(server, count)
    made = server.run_cli(
        "job", "start", "--name", "t", "--input", "in.jsonl", "--output", "out.jsonl", *args
    )
    assert made.returncode == 0, made.stderr


def finish(server: ServerProcess) -> None:
    """Works the job off through the Planchet surface."""
    wire = Wire(server.url)
    while items := wire.call("POST", "/serve", {"job_name": "t", "batch_size": 1000}).json():
        wire.call("POST", "/receive", {"job_name": "t", "overwrite": "false"}, body=items)


# Words.


def test_help_names_every_command_and_each_has_examples() -> None:
    names = commands()
    assert {"serve", "job start", "job watch", "key create", "doctor"} <= set(names)
    for name in names:
        shown = run(*name.split(), "--help")
        assert shown.returncode == 0, name
        assert shown.stdout.startswith(f"Usage: penstock {name}")
        assert f"  penstock {name}" in shown.stdout.split("Examples:")[1]
        assert all(len(line) <= 100 for line in shown.stdout.splitlines()), name
        assert run("help", *name.split()).stdout == shown.stdout


def test_a_slip_of_the_fingers_is_answered_with_the_nearest_word() -> None:
    for words, wanted in (
        (["serv"], 'do you mean "serve"?'),
        (["jbo", "list"], 'do you mean "job list"?'),
        (["job", "lits"], 'do you mean "job list"?'),
        (["job", "start", "--inptu", "x"], "do you mean --input?"),
        (["serve", "--prot", "1"], "do you mean --port?"),
    ):
        got = run(*words)
        assert got.returncode == 2, words
        assert wanted in got.stderr
        assert not got.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--port", "70000"],
        ["serve", "--port"],
        ["serve", "--auth", "perhaps"],
        ["serve", "--tls-cert", "x"],
        ["serve", "extra"],
        ["job", "show"],
        ["job", "start"],
        ["job", "start", "--input", "a"],
        ["job", "start", "--input", "a", "--reader", "b", "--output", "c"],
        ["job", "start", "--input", "a", "--output", "b", "--lease", "soon"],
        ["job", "start", "--input", "a", "--input", "b"],
        ["job", "start", "--input", "a", "--output", "b", "--lease", "604801"],
        ["job", "start", "--input", "a", "--output", "b", "--mode", "read"],
        ["job", "start", "--input", "a", "--output", "b", "--mode", "write"],
        ["job", "start", "--input", "a", "--output", "b", "--input-format", "xml"],
        ["job", "list", "--json=yes"],
        ["job", "list", "--server", "host:1"],
        ["job", "list", "--server", "http://x", "--state", "y"],
        ["job", "list", "-x"],
        ["key", "create", "no/slash"],
        ["key", "create", "k", "--scope", "root"],
        ["job"],
        [],
    ],
)
def test_wrong_usage_ends_with_2_and_says_what(words: list[str], tmp_path: Path) -> None:
    got = run(*words, cwd=tmp_path)
    assert got.returncode == 2, got.stderr
    assert got.stderr.startswith("penstock: ")
    assert got.stderr.count("\n") == 1


def test_a_group_of_commands_asks_for_one_of_them() -> None:
    assert run("help", "job").stdout.startswith("Usage: penstock job COMMAND [OPTIONS]\n")
    assert not any(line.endswith(" ") for line in run("help", "serve").stdout.splitlines())


def test_a_killed_server_is_no_server(make_server: Made) -> None:
    server = make_server()
    server.kill()
    got = server.run_cli("job", "list")
    assert got.returncode == 75
    assert f"no server runs on {server.state}" in got.stderr


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--input", "none.jsonl", "--output", "o.jsonl"], "none.jsonl: No such file"),
        (["--input", "in.jsonl", "--output", "none/o.jsonl"], "none/o.jsonl: there is no such"),
        (["--input", "in.jsonl", "--output", "/o.jsonl"], "/o.jsonl is outside"),
    ],
)
def test_a_refused_path_comes_with_the_folder_it_was_looked_for_in(
    server: ServerProcess, words: list[str], wanted: str
) -> None:
    write_records(server, 1)
    got = server.run_cli("job", "start", *words)
    assert got.returncode == 1
    assert got.stderr.startswith(f"penstock: data folder {server.data}: {wanted}")


def test_watch_tells_of_an_end_that_was_not_served(server: ServerProcess) -> None:
    (server.data / "in.csv").write_text('a,b\n1,2\n3,"x\n4,5\n')
    words = ["--name", "t", "--input", "in.csv", "--output", "out.jsonl"]
    assert server.run_cli("job", "start", *words).returncode == 0
    finish(server)
    watched = server.run_cli("job", "watch", "t")
    assert watched.returncode == 0
    assert "not served: line 3: a quoted cell is not closed" in watched.stdout


def test_no_server_is_75_and_says_what_to_do(tmp_path: Path) -> None:
    got = run("job", "list", cwd=tmp_path)
    assert got.returncode == 75
    assert "penstock serve" in got.stderr
    assert run("job", "list", "--server", "http://127.0.0.1:1").returncode == 75
    assert run("job", "list", PENSTOCK_SERVER="http://127.0.0.1:1").returncode == 75


def test_a_full_disk_behind_standard_output_is_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        got = subprocess.run([binary(), "help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert got.returncode == 75
    assert b"standard output" in got.stderr


# The server.


def test_serve_says_where_it_is_and_ends_in_order(make_server: Made) -> None:
    server = make_server()
    info = server.info()
    assert info["pid"] == server.pid
    assert info["url"] == server.url
    assert info["data"] == [str(server.data)]
    assert server.lines[0].startswith(f"penstock 0.1.0 serves {server.url} ")
    assert f"{server.url}/docs" in server.lines[0]
    assert server.stop() == 0
    assert "pid" not in server.info()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(make_server: Made, number: signal.Signals) -> None:
    server = make_server()
    os.kill(server.pid, number)
    assert server.join(20) == 0


def test_a_second_server_on_the_folder_is_refused_with_the_first_ones_number(
    server: ServerProcess,
) -> None:
    got = server.run_cli("serve", "--port", "0", "--data", str(server.data))
    assert got.returncode == 75
    assert str(server.pid) in got.stderr


def test_a_taken_port_is_said(server: ServerProcess, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "other")]
    got = run("serve", "--port", str(server.port), "--data", str(tmp_path), *state)
    assert got.returncode == 1
    assert str(server.port) in got.stderr


def test_a_missing_data_folder_is_said(tmp_path: Path) -> None:
    got = run("serve", "--data", str(tmp_path / "no"), "--state", str(tmp_path / "s"))
    assert got.returncode == 1
    assert str(tmp_path / "no") in got.stderr


def test_the_state_folder_cannot_be_named_by_requests(tmp_path: Path, make_server: Made) -> None:
    server = make_server(data=tmp_path / "srv")
    assert server.state.is_relative_to(server.data)
    for name in ("state/penstock.db", "state/lock", "state/new.jsonl"):
        got = server.run_cli("job", "start", "--mode", "write", "--output", name)
        assert got.returncode == 1, got.stdout
        assert "state folder" in got.stderr


def test_a_long_state_path_has_a_socket_all_the_same(tmp_path: Path, make_server: Made) -> None:
    server = make_server(name="/".join(["d" * 60] * 3))
    assert len(str(server.state)) > 108
    assert server.run_cli("job", "list").returncode == 0


def test_the_defaults_are_the_current_folder(tmp_path: Path, make_server: Made) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n")
    process = subprocess.Popen(
        [binary(), "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        assert str(tmp_path) in process.stdout.readline()
        made = run("job", "start", "--input", "in.jsonl", "--output", "o.jsonl", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        assert (tmp_path / ".penstock" / "server.json").exists()
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close() if process.stdout else None


# Jobs.


def test_a_job_from_start_to_delete(server: ServerProcess) -> None:
    start(server, "--lease", "2.5", "--max-attempts", "7")
    job = json.loads(server.run_cli("job", "show", "t", "--json").stdout)
    assert (job["lease_s"], job["max_attempts"], job["mode"]) == (2.5, 7, "read-write")
    by_id = server.run_cli("job", "show", f"@{job['id']}", "--json")
    assert json.loads(by_id.stdout)["name"] == "t"

    assert server.run_cli("job", "pause", "t").stdout == "t is paused\n"
    assert server.run_cli("job", "resume", "t").returncode == 0
    finish(server)
    watched = server.run_cli("job", "watch", "t")
    assert watched.returncode == 0
    assert "100.0 %  10 of 10 done" in watched.stdout
    assert server.run_cli("job", "repair", "t").returncode == 0
    assert server.run_cli("doctor").returncode == 0
    assert server.run_cli("job", "delete", "t").returncode == 0
    gone = server.run_cli("job", "show", "t")
    assert gone.returncode == 1
    assert "t" in gone.stderr


def test_a_job_twice_is_refused_unless_said_how(server: ServerProcess) -> None:
    start(server)
    words = ["job", "start", "--name", "t", "--input", "in.jsonl", "--output", "out.jsonl"]
    refused = server.run_cli(*words)
    assert refused.returncode == 1
    assert "t exists already: --repair goes on with it, --clean-start" in refused.stderr
    assert server.run_cli(*words, "--clean-start").returncode == 0
    assert server.run_cli(*words, "--repair").returncode == 0


def test_list_is_a_table_for_people_and_lines_for_programs(server: ServerProcess) -> None:
    names = ["plain", "mit blank", "北京", "a/b&c?d#e%41"]
    for name in names:
        made = server.run_cli(
            "job",
            "start",
            "--name",
            name,
            "--mode",
            "write",
            "--output",
            f"{names.index(name)}.jsonl",
        )
        assert made.returncode == 0, made.stderr
        assert server.run_cli("job", "show", name).returncode == 0
    listed = [
        json.loads(line) for line in server.run_cli("job", "list", "--json").stdout.splitlines()
    ]
    assert [job["name"] for job in listed] == names
    table = server.run_cli("job", "list").stdout.splitlines()
    assert len(table) == 1 + len(names)
    assert table[0].split() == ["ID", "NAME", "STATE", "PROGRESS"]
    assert "\x1b" not in "".join(table)
    assert server.run_cli("job", "list", "--only", "failed", "--json").stdout == ""


def test_failed_records_are_listed(server: ServerProcess) -> None:
    lines = ['{"n": 0}', "bad", '{"n": 2}']
    (server.data / "in.jsonl").write_text("\n".join(lines) + "\n")
    words = ["--input", "in.jsonl", "--output", "out.jsonl", "--max-attempts", "1"]
    assert server.run_cli("job", "start", "--name", "t", *words).returncode == 0
    assert server.run_cli("job", "errors", "t").stdout.split() == HEAD
    wire = Wire(server.url)
    claim = wire.call("POST", "/v1/jobs/~t/claim", body={"max": 9}).json()
    body = {"lease": claim["lease"]["token"], "failures": [[0, "no\x1b[31m\nsuch book"], [2, "x"]]}
    assert wire.call("POST", "/v1/jobs/~t/settle", body=body).status == 200
    shown = server.run_cli("job", "errors", "t").stdout
    assert "\x1b" not in shown
    rows = [line.split(None, 3) for line in shown.splitlines()]
    assert rows[0] == HEAD
    assert [row[0] for row in rows[1:]] == ["1", "0", "2"]
    assert rows[1][1:3] == ["2", "-"]
    assert rows[2][2:] == ["1", "no [31m such book"]
    told = server.run_cli("job", "errors", "t", "--json").stdout.splitlines()
    listed = (server.data / "out.jsonl.errors.jsonl").read_text().splitlines()
    assert told == listed
    few = server.run_cli("job", "errors", "t", "--json", "--limit", "2").stdout.splitlines()
    assert few == listed[:2]
    assert server.run_cli("job", "errors", "t", "--limit", "0").returncode == 2
    assert server.run_cli("job", "errors", "nobody").returncode == 1


def test_many_failed_records_come_page_by_page(server: ServerProcess) -> None:
    (server.data / "in.jsonl").write_text("bad\n" * 2500 + "1\n")
    words = ["--input", "in.jsonl", "--output", "out.jsonl"]
    assert server.run_cli("job", "start", "--name", "t", *words).returncode == 0
    Wire(server.url).call("POST", "/v1/jobs/~t/claim", body={"max": 9})
    told = server.run_cli("job", "errors", "t", "--json").stdout.splitlines()
    assert [json.loads(line)["record"] for line in told] == list(range(2500))
    assert len(server.run_cli("job", "errors", "t").stdout.splitlines()) == 2501


def test_a_token_opens_its_job_over_the_network(server: ServerProcess) -> None:
    body = {"name": "t", "mode": "write", "sink": {"path": "o.jsonl"}, "token": "s3cret"}
    assert Wire(server.url).call("POST", "/v1/jobs", body=body).status == 201
    there = ["--server", server.url]
    assert run("job", "show", "t", *there).returncode == 0
    for verb in ("errors", "watch", "cancel"):
        shut = run("job", verb, "t", *there)
        assert shut.returncode == 1
        assert "give the token by --token" in shut.stderr, shut.stderr
    assert run("job", "errors", "t", *there, "--token", "x").returncode == 1
    assert run("job", "errors", "t", *there, "--token", "s3cret").returncode == 0
    assert run("job", "cancel", "t", *there, PENSTOCK_TOKEN="s3cret").returncode == 0
    assert run("job", "watch", "t", *there, PENSTOCK_TOKEN="s3cret").returncode == 1


def test_watch_tells_a_cancelled_job_by_its_status(server: ServerProcess) -> None:
    start(server)
    watch = subprocess.Popen(
        [binary(), "job", "watch", "t", "--json", "--state", str(server.state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout
    assert json.loads(watch.stdout.readline())["name"] == "t"
    assert server.run_cli("job", "cancel", "t").returncode == 0
    out, err = watch.communicate(timeout=20)
    assert json.loads(out.splitlines()[-1])["state"] == "cancelled"
    assert watch.returncode == 1
    assert "cancelled" in err


def test_watch_waits_for_a_server_that_is_started_again(server: ServerProcess) -> None:
    start(server)
    watch = subprocess.Popen(
        [binary(), "job", "watch", "t", "--every", "0.2", "--state", str(server.state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout and watch.stderr
    watch.stdout.readline()
    server.kill()
    assert "waiting" in watch.stderr.readline()
    server.start()
    finish(server)
    out, _ = watch.communicate(timeout=30)
    assert watch.returncode == 0
    assert "10 of 10 done" in out


def test_watch_draws_one_line_on_a_terminal(server: ServerProcess) -> None:
    start(server)
    finish(server)
    ours, theirs = pty.openpty()
    got = subprocess.run(
        [binary(), "job", "watch", "t", "--state", str(server.state)],
        stdout=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
        timeout=30,
        check=False,
    )
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert got.returncode == 0
    assert drawn.startswith("\rt ")
    assert "[####" in drawn
    assert "\x1b[3" not in drawn


# Keys.


def test_keys_are_made_before_the_first_start_and_open_the_server(
    tmp_path: Path, make_server: Made
) -> None:
    server = make_server("--auth", "keys", start=False)
    made = server.run_cli("key", "create", "boss", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"pk_[A-Za-z0-9_-]{43}", key)
    server.start()
    there = ["--server", server.url]
    assert run("job", "list", *there).returncode == 1
    assert "give one by --key or PENSTOCK_KEY" in run("job", "list", *there).stderr
    assert run("job", "list", *there, "--key", "pk_wrong").returncode == 1
    assert run("job", "list", *there, "--key", key).returncode == 0
    assert run("job", "list", *there, PENSTOCK_KEY=key).returncode == 0
    (tmp_path / "key").write_text(key + "\n")
    assert run("job", "list", *there, "--key", f"@{tmp_path / 'key'}").returncode == 0

    second = server.run_cli("key", "create", "eye", "--scope", "read", "--json")
    eye = json.loads(second.stdout)["secret"]
    assert run("job", "list", *there, "--key", eye).returncode == 0
    write = ["job", "start", "--mode", "write", "--output", "o.jsonl"]
    assert run(*write, *there, "--key", eye).returncode == 1
    listed = json.loads(server.run_cli("key", "list", "--json").stdout)
    assert [k["scopes"] for k in listed] == [["admin"], ["read"]]
    assert server.run_cli("key", "revoke", "eye").returncode == 0
    assert run("job", "list", *there, "--key", eye).returncode == 1
    server.stop()
    table = server.run_cli("key", "list").stdout
    assert "boss" in table and "eye" in table
    assert key not in server.log() + table


def test_another_address_needs_a_key_first(make_server: Made) -> None:
    server = make_server("--host", "0.0.0.0", start=False)
    server.start(wait=False)
    assert server.join(20) == 2
    assert "key create" in server.log()
    assert server.run_cli("key", "create", "k").returncode == 0
    server.start()
    assert server.stop() == 0


# The doctor.


def test_the_doctor_finds_a_shortened_output(server: ServerProcess) -> None:
    start(server)
    finish(server)
    assert server.run_cli("doctor").stdout.endswith("all is well\n")
    server.stop()
    assert server.run_cli("doctor").returncode == 0
    output = server.data / "out.jsonl"
    output.write_text("".join(output.read_text().splitlines(keepends=True)[:5]))
    sick = server.run_cli("doctor", "--json")
    assert sick.returncode == 1
    assert any(f["level"] == "error" and f["job"] == "t" for f in json.loads(sick.stdout))


# The texts.


def test_the_minute_of_the_readme_is_true(tmp_path: Path, make_server: Made) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    first, second = re.findall(r"```sh\n(.*?)```", readme.split("## One minute")[1], re.DOTALL)[:2]
    lines = first.splitlines()
    assert lines[0] == "make build"
    assert lines[-1] == "build/penstock serve"
    data = tmp_path / "clone"
    (tmp_path / "srv").mkdir()
    server = make_server(data=data)
    (data / "build").mkdir()
    (data / "build" / "penstock").symlink_to(binary())
    subprocess.run(["sh", "-e", "-c", "\n".join(lines[1:-1])], cwd=data, check=True)
    shown = subprocess.run(
        ["sh", "-e", "-c", second.replace("http://127.0.0.1:5005", server.url)],
        cwd=data,
        env={**os.environ, "PENSTOCK_STATE": str(server.state)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.splitlines()[-1]) == {"n": 10000, "square": 100000000}
