"""`penstock flow check` and `flow graph`: task lists, without running anything."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from harness.server_process import binary

SAMPLE = """\
#PYTHON
#ID|PARENT_IDS|MAX_ATTEMPTS|RETRY_WAIT_TIME|PROCESS_NAME|MODULE_NAME|WORKER_NAME|ARGUMENTS|LOGFILE
1|-1|1|0|Start|workers|Start||$ENV{APP_LOG_DIR}/s
2  |1         |1           |0              |Left "one"  |workers    |Left       |         |
3  |1         |1           |0              |Right       |workers    |Right      |         |
4  |2,3       |1           |0              |End         |workers    |End        |         |
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app" / "config").mkdir(parents=True)
    (tmp_path / "app" / "config" / "my.lst").write_text(SAMPLE)
    return tmp_path / "app"


def flow(app: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
    return subprocess.run(
        [binary(), "flow", *args],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=app,
        env={**clean, **env},
        stdin=subprocess.DEVNULL,
        check=False,
    )


def write(app: Path, text: str) -> None:
    (app / "config" / "my.lst").write_text(text)


def one_row(log: str) -> str:
    return f"1|-1|1|0|a|m|W||{log}\n"


def test_a_good_list_is_told_so(app: Path) -> None:
    done = flow(app, "check", "config/my.lst")
    assert done.returncode == 0, done.stderr
    assert "4 nodes, 1 of them without parents, 4 dependencies" in done.stdout
    assert done.stderr == ""
    assert flow(app, "check", "-l", "config/my.lst").returncode == 0
    assert [path.name for path in app.iterdir()] == ["config"], "nothing is made"


def test_every_problem_is_told_with_its_place(app: Path) -> None:
    write(app, SAMPLE.replace("2,3", "2,9").replace("Right       |", "            |"))
    done = flow(app, "check", "config/my.lst")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[:2] == [
        "config/my.lst:5:45: error: PROCESS_NAME: is empty",
        "config/my.lst:6:5: error: PARENT_IDS: no row has the id 9",
    ]
    assert "2 errors, nothing was started" in done.stderr
    assert flow(app, "graph", "config/my.lst").returncode == 2


def test_warnings_do_not_refuse_a_list(app: Path) -> None:
    write(app, "1|-1|1|0|a|m|W\n2|1,1|1|0|a|m|W\n")
    done = flow(app, "check", "config/my.lst")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "config/my.lst:2:3: warning: PARENT_IDS: 1 is named twice",
        'config/my.lst:2:11: warning: PROCESS_NAME: "a" is the name of line 1, too',
    ]


def test_fifty_problems_are_shown_and_the_rest_counted(app: Path) -> None:
    write(app, "x|-1|1|0|a|m|W\n" * 60)
    lines = flow(app, "check", "config/my.lst").stderr.splitlines()
    assert len(lines) == 52
    assert lines[50] == "config/my.lst: 10 more problems"


@pytest.mark.parametrize("path", ["config/none.lst", "none/my.lst", "config"])
def test_a_list_that_cannot_be_read_is_a_problem_of_the_file(app: Path, path: str) -> None:
    done = flow(app, "check", path)
    assert done.returncode == 2
    assert f"{path}:1:1: error: FILE: " in done.stderr


def test_the_variables_of_the_application_have_defaults(app: Path) -> None:
    names = ["NAME", "ROOT_DIR", "CONFIG_DIR", "WORKER_DIR", "ROOT_LOG_DIR", "LOG_DIR", "TEMP_DIR"]
    names += ["EXEC_TIMESTAMP", "VERSION"]
    write(app, one_row("".join(f"$ENV{{APP_{name}}}" for name in names)))
    assert flow(app, "check", "config/my.lst").returncode == 0
    write(app, one_row("$ENV{APP_OTHER}"))
    assert flow(app, "check", "config/my.lst").returncode == 2
    assert flow(app, "check", "config/my.lst", APP_OTHER="x").returncode == 0
    assert flow(app, "check", "config/my.lst", "--env", "APP_OTHER=a=b").returncode == 0
    done = flow(app, "check", "config/my.lst", "--env", "APP_OTHER")
    assert (done.returncode, 'expected NAME=VALUE, not "APP_OTHER"' in done.stderr) == (2, True)


def row_named(app: Path, variable: str, *args: str, **env: str) -> str:
    """What the variable is, as the name of the only node."""
    write(app, f"1|-1|1|0|$ENV{{{variable}}}|m|W\n")
    done = flow(app, "graph", "config/my.lst", "--format", "text", *args, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().removeprefix("* 1 ")


def test_folders_follow_from_where_the_list_is(app: Path) -> None:
    assert row_named(app, "APP_NAME") == "my"
    assert row_named(app, "APP_ROOT_DIR") == str(app)
    assert row_named(app, "APP_CONFIG_DIR") == str(app / "config")
    assert row_named(app, "APP_WORKER_DIR") == str(app / "python")
    (app / "worker").mkdir()
    (app / "workers").mkdir()
    assert row_named(app, "APP_WORKER_DIR") == str(app / "workers")
    assert row_named(app, "APP_TEMP_DIR", APP_ROOT_DIR="/r") == "/r/temp"
    assert row_named(app, "APP_LOG_DIR", APP_ROOT_LOG_DIR="/l").startswith("/l/20")


def test_a_profile_is_sourced_and_its_app_variables_hold(app: Path) -> None:
    profile = app / "config" / "app_profile"
    profile.write_text("export APP_X=$(echo made)\nOTHER=no\necho talk\nAPP_NAME=named\n")
    assert row_named(app, "APP_X") == "made"
    assert row_named(app, "APP_X", APP_X="outside") == "made"
    assert row_named(app, "APP_X", "--env", "APP_X=by hand") == "by hand"
    profile.write_text("APP_X=made\nAPP_Y=of-$APP_X-$BY_HAND\nAPP_NAME=named\n")
    assert row_named(app, "APP_Y", APP_X="outside") == "of-made-", "the profile decides"
    by_hand = ("--env", "APP_X=no matter", "--env", "BY_HAND=seen")
    assert row_named(app, "APP_Y", *by_hand) == "of-made-seen"
    assert row_named(app, "APP_X", *by_hand) == "no matter"
    assert row_named(app, "APP_NAME") == "named"
    write(app, one_row("$ENV{OTHER}"))
    assert flow(app, "check", "config/my.lst").returncode == 2
    other = app / "other_profile"
    other.write_text("APP_X=other\nexit 0\n")
    assert row_named(app, "APP_X", "-c", str(other)) == "other"


def test_a_check_as_json(app: Path) -> None:
    done = flow(app, "check", "config/my.lst", "--json", APP_LOG_DIR="/l")
    assert done.returncode == 0
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said == {
        "list": "config/my.lst",
        "good": True,
        "nodes": 4,
        "roots": 1,
        "dependencies": 4,
        "problems": [],
    }
    write(app, "#SHELL\n1|-1|0|0|a|true\n1|9|1|0|a|true\n")
    done = flow(app, "check", "config/my.lst", "--json")
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert (said["good"], said["nodes"]) == (False, 0)
    places = [(p["line"], p["column"], p["kind"], p["field"]) for p in said["problems"]]
    assert (2, 6, "error", "MAX_ATTEMPTS") in places
    assert (3, 1, "error", "ID") in places
    assert (3, 3, "error", "PARENT_IDS") in places
    assert all(p["text"] for p in said["problems"])
    done = flow(app, "check", "config/none.lst", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"][0]["field"] == "FILE"


def test_a_profile_that_fails_is_an_error(app: Path) -> None:
    profile = app / "config" / "app_profile"
    profile.write_text("APP_X=1\nexit 3\n")
    done = flow(app, "check", "config/my.lst")
    assert done.returncode == 2
    assert "app_profile ended with status 3" in done.stderr
    profile.write_text("kill -9 $$\n")
    assert "was killed by signal 9" in flow(app, "check", "config/my.lst").stderr
    done = flow(app, "check", "config/my.lst", "-c", "none")
    assert (done.returncode, "profile none: No such file" in done.stderr) == (2, True)


def test_the_list_is_named_once(app: Path) -> None:
    assert "which task list?" in flow(app, "check").stderr
    assert "named twice" in flow(app, "check", "a.lst", "--list", "b.lst").stderr
    assert "--list needs a value" in flow(app, "check", "-l").stderr


def test_text_shows_layers(app: Path) -> None:
    done = flow(app, "graph", "config/my.lst", "--format", "text")
    assert done.stdout.splitlines() == [
        "  * 1 Start",
        "  |",
        '  * 2 Left "one"  <- 1',
        "  + 3 Right  <- 1",
        "  |",
        "  * 4 End  <- 2, 3",
    ]


def test_dot_and_mermaid_escape_names(app: Path) -> None:
    dot = flow(app, "graph", "config/my.lst").stdout
    assert '  2 [label="2\\nLeft \\"one\\""];' in dot
    assert dot.count(" -> ") == 4
    mermaid = flow(app, "graph", "config/my.lst", "--format", "mermaid").stdout
    assert '  n2["2<br>Left #34;one#34;"]' in mermaid
    assert mermaid.count(" --> ") == 4


def test_svg_is_drawn_by_graphviz(app: Path) -> None:
    done = flow(app, "graph", "config/my.lst", "--format", "svg")
    assert done.returncode == 0, done.stderr
    assert "<svg" in done.stdout
    assert "Right" in done.stdout


def test_svg_without_graphviz_says_what_to_install(app: Path, tmp_path: Path) -> None:
    done = flow(app, "graph", "config/my.lst", "--format", "svg", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "install graphviz" in done.stderr


# ---- what the original lets pass, or dies of ----

GOOD = "1|-1|1|0|a|m|W\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Rows that the original drops without a word, and ends with 0.
        (GOOD + "2|9|1|0|b|m|W\n", "2:3: error: PARENT_IDS: no row has the id 9"),
        (GOOD + "2|2|1|0|b|m|W\n", "2:3: error: PARENT_IDS: "),
        (GOOD + "2|3|1|0|b|m|W\n3|2|1|0|c|m|W\n", "2:3: error: PARENT_IDS: cycle: 2 -> 3 -> 2"),
        # 5, without saying which.
        (GOOD + "1|-1|1|0|b|m|W\n", "2:1: error: ID: "),
        # 0.
        ("#PYTHON\n#ID|PARENT_IDS\n", "1:1: error: FILE: "),
        ("", "1:1: error: FILE: "),
        # Fields that it loses.
        ("1|-1|1|0|a|m|W|x|l|more\n", "1:20: error: EXTRA: "),
        ("1|-1|||a||W\n", "1:10: error: MODULE_NAME: "),
        ("1|-1|1|0|a|m\n", "1:13: error: WORKER_NAME: "),
        # Numbers that it takes.
        ("0|-1|1|0|a|m|W\n", "1:1: error: ID: "),
        ("1|-1|0|0|a|m|W\n", "1:6: error: MAX_ATTEMPTS: "),
        ("1|-1|1|-1|a|m|W\n", "1:8: error: RETRY_WAIT_TIME: "),
        ("1||1|0|a|m|W\n", "1:3: error: PARENT_IDS: "),
        # Variables that it makes nonsense of.
        ("1|-1|1|0|a|m|W||$ENV{NO_SUCH_VARIABLE}\n", "1:17: error: LOGFILE: "),
        ("1|-1|1|0|a|m|W||$ENV{HOME\n", "1:17: error: LOGFILE: "),
        ("1|-1|1|0|a|m|W||$ENV{A-B}\n", "1:17: error: LOGFILE: "),
    ],
)
def test_what_is_wrong_is_told_and_nothing_starts(app: Path, text: str, problem: str) -> None:
    write(app, text)
    for command in ("check", "run"):
        done = flow(app, command, "config/my.lst")
        assert done.returncode == 2
        assert f"config/my.lst:{problem}" in done.stderr
        assert "Traceback" not in done.stderr
    assert [path.name for path in app.iterdir()] == ["config"], "no log, no state"


@pytest.mark.parametrize(
    "text",
    [
        "2|1|1|0|b|m|W\n" + GOOD,  # parents may stand below
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD[:-1],
        "  \t \n   # a comment\n" + GOOD + "\n#the end",
        "1|-1|||a|m|W|||\n",
        "1|-1|1|0|It's done|m|W|it's, so|\n",
        "1|-1|1|0|a|m|W|\"x|y\",'p|q'|\n",
        "1|-1|1|0.5|a|m|W|$HOME ${X} ~ {x}|$ENV{HOME}/{x}\n",
        "001|-1|1|0|a|m|W\n2| 1 , 001 |1|0|b|m|W\n",
        "3|-1,1|1|0|c|m|W\n" + GOOD,
        "#python | whatever\n" + GOOD,
        "#SHELL\n1|-1|1|0|a|echo 'a|b'|\n",
        "".join(f"{n}|-1|1|0|n{n}|m|W\n" for n in range(1, 2001))
        + f"2001|{','.join(map(str, range(1, 2001)))}|1|0|join|m|W\n",
    ],
)
def test_these_lists_are_good(app: Path, text: str) -> None:
    (app / "config" / "my.lst").write_bytes(text.encode())
    done = flow(app, "check", "config/my.lst")
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
