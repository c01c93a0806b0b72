"""`penstock flow run` with #SHELL lists: order, retries, restart, selection, limits, its end."""

from __future__ import annotations

import contextlib
import email
import itertools
import json
import os
import re
import socket
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import pytest
from harness.flow_command import FlowApp
from harness.server_process import binary


@pytest.fixture
def app(tmp_path: Path) -> FlowApp:
    return FlowApp(tmp_path / "app")


def ran(number: int) -> str:
    return f"echo {number} >>$OUT/ran"


# ---- order, success, failure ----


def test_nodes_run_when_their_parents_are_completed(app: FlowApp) -> None:
    app.shell(
        f"6|4,5|1|0|Join|{ran(6)}",
        f"1|-1|1|0|Start|{ran(1)}",
        f"2|1|1|0|Left|{ran(2)}",
        f"3|1|1|0|Right|{ran(3)}",
        f"4|2|1|0|Left on|{ran(4)}",
        f"5|3|1|0|Right on|{ran(5)}",
    )
    done = app.run()
    assert done.returncode == 0, done.stderr
    order = app.ran()
    assert sorted(order) == list("123456")
    for before, after in ("12", "13", "24", "35", "46", "56"):
        assert order.index(before) < order.index(after)
    assert done.stdout == ""
    assert re.search(r"^done +1  Start  \d+\.\d+ s$", done.stderr, re.M)
    assert "completed in" in done.stderr
    assert "6 completed" in done.stderr


def test_independent_nodes_run_at_the_same_time(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|a|echo x >$OUT/a; while ! test -s $OUT/b; do sleep 0.01; done",
        "2|-1|1|0|b|echo x >$OUT/b; while ! test -s $OUT/a; do sleep 0.01; done",
    )
    assert app.run("-n", "2").returncode == 0


def test_the_first_of_the_list_starts_first_and_n_caps_what_runs(app: FlowApp) -> None:
    app.shell(*(f"{i}|-1|1|0|n{i}|echo +{i} >>$OUT/ran; echo -{i} >>$OUT/ran" for i in (3, 1, 2)))
    assert app.run("-n", "1").returncode == 0
    assert app.ran() == ["+3", "-3", "+1", "-1", "+2", "-2"]


def test_a_failure_defaults_its_descendants_and_nothing_else(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|Bad|echo the reason; exit 3",
        f"2|1|1|0|Child|{ran(2)}",
        f"3|2|1|0|Grandchild|{ran(3)}",
        f"4|-1|1|0|Other|{ran(4)}",
        f"5|4|1|0|Other on|{ran(5)}",
    )
    done = app.run()
    assert done.returncode == 1
    assert app.ran() == ["4", "5"]
    assert app.marks() == {1: "F", 2: "D", 3: "D", 4: "C", 5: "C"}
    assert "FAILED" in done.stderr
    assert "exit status 3" in done.stderr
    assert "    | the reason" in done.stderr, "the tail of its log"
    assert "2 completed, 1 failed, 2 defaulted" in done.stderr


def test_256_failures_do_not_look_well(app: FlowApp) -> None:
    app.shell(*(f"{i}|-1|1|0|n{i}|false" for i in range(1, 257)))
    assert app.run("--quiet").returncode == 1


def test_a_command_killed_by_a_signal_has_failed(app: FlowApp) -> None:
    app.shell("1|-1|1|0|Dies|kill -9 $$")
    done = app.run()
    assert done.returncode == 1
    assert "killed by signal 9" in done.stderr


def test_a_command_that_is_too_long_says_so(app: FlowApp) -> None:
    app.shell(f"1|-1|1|0|long|: {'x' * 300_000}", f"2|-1|1|0|other|{ran(2)}")
    done = app.run()
    assert done.returncode == 1
    assert "Argument list too long" in done.stderr
    assert app.ran() == ["2"]


def test_names_and_errors_move_no_cursor(app: FlowApp) -> None:
    app.shell("1|-1|1|0|red\x1b[31m|printf '\\033[2Jgone\\n'; exit 1")
    done = app.run()
    assert done.returncode == 1
    assert "red?[31m" in done.stderr and "?[2Jgone" in done.stderr
    assert "\x1b" not in done.stderr


def test_retries_wait_and_log_into_one_file(app: FlowApp) -> None:
    app.shell(
        "1|-1|3|0.2|Flaky|date +%s.%N >>$OUT/at; echo try; test $(wc -l <$OUT/at) = 3",
        f"2|1|1|0|After|{ran(2)}",
    )
    done = app.run()
    assert done.returncode == 0, done.stderr
    at = [float(text) for text in app.ran("at")]
    assert len(at) == 3
    assert all(later - before >= 0.2 for before, later in itertools.pairwise(at))
    assert "retry" in done.stderr
    assert "attempt 2 of 3 in 0.2 s" in done.stderr
    log = app.log(1)
    assert log.count("try\n") == 3
    assert "attempt 2 of 3 starts after a wait of 0.2 s" in log
    assert "attempt 1 of 3 failed with code 1" in log
    assert "attempt 3 of 3 completed" in log


def test_who_waits_for_a_retry_holds_no_place(app: FlowApp) -> None:
    app.shell(
        f"1|-1|2|1|Flaky|{ran(1)}; test $(grep -c 1 $OUT/ran) = 2",
        f"2|-1|1|0|Other|{ran(2)}",
        f"3|2|1|0|Third|{ran(3)}",
    )
    assert app.run("-n", "1").returncode == 0
    assert app.ran() == ["1", "2", "3", "1"]


def test_a_code_that_says_do_not_retry(app: FlowApp) -> None:
    app.shell(f"1|-1|5|0|Bad|{ran(1)}; exit 17")
    done = app.run("--no-retry-code", "17")
    assert done.returncode == 1
    assert app.ran() == ["1"]


def test_a_bad_list_touches_nothing(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true", "2|7|1|0|b|true")
    done = app.run()
    assert done.returncode == 2
    assert "config/my.lst:3:3: error: PARENT_IDS: no row has the id 7" in done.stderr
    assert sorted(path.name for path in app.folder.iterdir()) == ["config", "out", "python"]


# ---- environment, logs ----


def test_nodes_have_the_environment_and_the_variables(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|echo $APP_NAME $APP_ROOT_DIR $MINE $OTHER $PENSTOCK_KEY; pwd; cat")
    done = app.run("--env", "MINE=yes=no", env={"OTHER": "kept", "PENSTOCK_KEY": "secret"})
    assert done.returncode == 0, done.stderr
    lines = app.log(1).splitlines()
    assert lines[1:3] == [f"my {app.folder} yes=no kept", str(app.folder)]
    assert len(lines) == 4, "standard input is empty"


def test_a_log_is_made_with_its_folders_and_may_be_shared(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|echo one|deep/er/x.log", "2|1|1|0|b|echo two >&2|deep/er/x.log")
    assert app.run().returncode == 0
    lines = (app.folder / "deep/er/x.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("====")] == ["one", "two"]


def test_a_log_that_cannot_be_made_fails_its_node_alone(app: FlowApp) -> None:
    (app.folder / "file").write_text("")
    app.shell(f"1|-1|1|0|a|{ran(1)}|file/x.log", f"2|-1|1|0|b|{ran(2)}")
    done = app.run()
    assert done.returncode == 1
    assert app.ran() == ["2"]
    assert "Not a directory" in done.stderr


def test_a_full_disk_fails_who_writes_and_nobody_else(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|Full|set -e; head -c 100000 /dev/zero|/dev/full",
        f"2|-1|1|0|Other|{ran(2)}",
    )
    done = app.run()
    assert done.returncode == 1
    assert app.ran() == ["2"]
    assert app.marks() == {1: "F", 2: "C"}


def test_logs_of_failed_nodes_are_dumped(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|seq 100; false", "2|-1|1|0|b|echo fine")
    done = app.run("--dump-logs")
    assert "\n42\n" in done.stderr
    assert "fine" not in done.stderr


def test_logs_are_packed_when_asked_for(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|echo one", "2|-1|1|0|b|false")
    assert app.run("--nozip").returncode == 1
    assert not list(app.folder.glob("logs/*/*.zip"))
    assert app.run("--zip").returncode == 1
    (packed,) = app.folder.glob("logs/*/my_*_FAILURE.zip")
    assert sorted(zipfile.ZipFile(packed).namelist()) == ["1.log", "2.log", "my.ctllog"]
    assert "one" in app.log(1), "the plain files stay"


def test_old_logs_go_and_nothing_else(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true")
    old, mine = app.folder / "logs" / "old", app.folder / "logs" / "mine"
    mine.mkdir(parents=True)
    (mine / "1.log").write_text("not of this program\n")
    assert app.run(env={"APP_LOG_RETENTION": "3", "APP_LOG_DIR": str(old)}).returncode == 0
    (old / "keep.txt").write_text("mine\n")
    for path in (*old.iterdir(), mine / "1.log"):
        os.utime(path, (1, 1))
    assert app.run().returncode == 0
    assert (old / "1.log").exists(), "without the variable nothing goes"
    assert app.run(env={"APP_LOG_RETENTION": "3"}).returncode == 0
    assert [path.name for path in old.iterdir()] == ["keep.txt"]
    assert (mine / "1.log").exists()


# ---- restart ----


def flaky(app: FlowApp) -> None:
    app.shell(
        f"1|-1|1|0|a|{ran(1)}",
        f"2|1|1|0|b|{ran(2)}; test -e $OUT/good",
        f"3|2|1|0|c|{ran(3)}",
        f"4|1|1|0|d|{ran(4)}",
    )


def test_a_restart_runs_what_is_not_completed(app: FlowApp) -> None:
    flaky(app)
    assert app.run().returncode == 1
    assert sorted(app.ran()) == ["1", "2", "4"]
    assert app.run("-r").returncode == 1, "a second time"
    assert app.ran()[3:] == ["2"]
    app.out("good").write_text("")
    done = app.run("--restart")
    assert done.returncode == 0, done.stderr
    assert app.ran()[4:] == ["2", "3"]
    assert not app.ctllog.exists(), "after a full success"
    assert app.run("-r").returncode == 0
    assert sorted(app.ran()[6:]) == ["1", "2", "3", "4"], "then -r begins anew"


def test_without_r_all_begins_anew_and_it_is_said(app: FlowApp) -> None:
    flaky(app)
    assert app.run().returncode == 1
    done = app.run()
    assert sorted(app.ran()) == ["1", "1", "2", "2", "4", "4"]
    assert "-r would have gone on" in done.stderr


def test_r_without_a_state_is_a_fresh_run(app: FlowApp) -> None:
    app.shell(f"1|-1|1|0|a|{ran(1)}")
    assert app.run("-r").returncode == 0
    assert app.ran() == ["1"]


def test_a_list_edited_between_runs(app: FlowApp) -> None:
    flaky(app)
    assert app.run().returncode == 1
    app.shell(
        "1|-1|1|0|a|echo again >>$OUT/ran",
        f"2|1|1|0|b|{ran(22)}",
        f"5|2|1|0|new|{ran(5)}",
    )
    done = app.run("-r")
    assert done.returncode == 0, done.stderr
    assert app.ran()[3:] == ["22", "5"]
    assert re.search(r"edited since.*: 1$", done.stderr, re.M), done.stderr


def test_a_dry_run_says_what_and_why_and_leaves_no_trace(app: FlowApp) -> None:
    flaky(app)
    done = app.run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["run", str(i)] for i in range(1, 5)
    ]
    assert sorted(path.name for path in app.folder.iterdir()) == ["config", "out", "python"]
    assert app.run().returncode == 1
    done = app.run("-r", "--dryrun")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["keep", "run", "run", "keep"]
    assert "failed in run 1" in done.stdout
    assert sorted(app.ran()) == ["1", "2", "4"]


def test_a_restart_logs_where_the_first_run_did(app: FlowApp) -> None:
    flaky(app)
    # Where it is always another day.
    assert app.run(env={"TZ": "UTC+12"}).returncode == 1
    (first,) = (app.folder / "logs").iterdir()
    assert app.run("-r", env={"TZ": "UTC-14"}).returncode == 1
    assert list((app.folder / "logs").iterdir()) == [first]
    assert app.run(env={"TZ": "UTC-14"}).returncode == 1
    assert len(list((app.folder / "logs").iterdir())) == 2, "a fresh one does not"


# ---- selection ----


@pytest.mark.parametrize(
    ("args", "want"),
    [
        (["-x", "2,4"], "24"),
        (["--exec-only", "3"], "3"),
        (["--exec-proc-name", "c"], "3"),
        (["-N", "2"], "134"),
        (["--norun", "1,2"], "34"),
        (["-A", "3"], "123"),
        (["--to", "2"], "12"),
        (["--ancestors", "1"], "1"),
        (["-D", "2"], "23"),
        (["--from", "2"], "23"),
        (["--descendants", "3"], "3"),
        (["--descendents", "3"], "3"),
    ],
)
def test_selections(app: FlowApp, args: list[str], want: str) -> None:
    flaky(app)
    app.out("good").write_text("")
    done = app.run(*args)
    assert done.returncode == 0, done.stderr
    assert "".join(sorted(app.ran())) == want


@pytest.mark.parametrize("option", ["-x", "-N", "-A", "-D", "--always"])
def test_an_id_that_is_not_there(app: FlowApp, option: str) -> None:
    flaky(app)
    done = app.run(option, "9")
    assert done.returncode == 2
    assert "no id 9" in done.stderr
    assert app.ran() == []


@pytest.mark.parametrize(
    "args",
    [
        ["--exec-proc-name", "nobody"],
        ["--nonsense"],
        ["-x", "a"],
        ["-n", "many"],
        ["--pool", "x"],
        ["--cvar", "=x"],
        ["--env", "x"],
        ["--email-on-fail", "perhaps"],
        ["--serde", "xml"],
        ["--timeout", "-1"],
    ],
)
def test_wrong_options(app: FlowApp, args: list[str]) -> None:
    flaky(app)
    assert app.run(*args).returncode == 2
    assert app.ran() == []


def test_completed_nodes_run_again_from_a_node_on(app: FlowApp) -> None:
    flaky(app)
    assert app.run().returncode == 1
    app.out("good").write_text("")
    done = app.run("-r", "--from", "2")
    assert done.returncode == 0, done.stderr
    assert app.ran()[3:] == ["2", "3"]


# ---- limits ----


def test_a_pool_caps_its_nodes(app: FlowApp) -> None:
    count = "set -- $OUT/in/*; echo $# >>$OUT/ran"
    node = f"touch $OUT/in/$$; {count}; sleep 0.05; rm $OUT/in/$$"
    app.shell(*(f"{i}|-1|1|0|Load {i}|{node}" for i in range(1, 9)), "9|-1|1|0|Other|true")
    app.out("in").mkdir()
    assert app.run("--pool", "api=2:Load*", "-n", "8").returncode == 0
    assert len(app.ran()) == 8
    assert max(int(text) for text in app.ran()) <= 2


def test_nodes_that_always_run(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|Bad|false",
        f"2|1|1|0|Child|{ran(2)}",
        f"3|1,2|1|0|Clean up|{ran(3)}",
        f"4|3|1|0|After|{ran(4)}",
    )
    done = app.run("--always", "3")
    assert done.returncode == 1
    assert app.marks()[3] == "C"
    assert app.ran()[0] == "3"
    assert "2" not in app.ran()


def test_a_time_out_stops_a_node_and_its_children(app: FlowApp) -> None:
    app.shell("1|-1|2|0|Slow|sleep 1000 & echo $! >>$OUT/pids; wait", f"2|-1|1|0|b|{ran(2)}")
    begun = time.monotonic()
    done = app.run("--timeout", "0.3")
    assert done.returncode == 1
    assert time.monotonic() - begun < 20
    assert "took longer than 0.3 s" in done.stderr
    assert len(app.ran("pids")) == 2, "it is tried again"
    assert not any(Path(f"/proc/{pid}").exists() for pid in app.ran("pids"))
    assert app.ran() == ["2"]


def test_a_time_out_kills_who_does_not_listen(app: FlowApp) -> None:
    app.shell("1|-1|1|0|Deaf|trap '' TERM; echo x >$OUT/on; while :; do sleep 0.1; done")
    begun = time.monotonic()
    done = app.run("--timeout", "0.2")
    assert done.returncode == 1
    assert 9 < time.monotonic() - begun < 40, "SIGKILL comes 10 s after SIGTERM"
    assert "took longer than 0.2 s" in done.stderr


def test_time_between_starts(app: FlowApp) -> None:
    app.shell(*(f"{i}|-1|1|0|n{i}|true" for i in range(1, 4)))
    begun = time.monotonic()
    assert app.run("--time-between-tasks", "0.5").returncode == 0
    assert time.monotonic() - begun > 0.95, "the third begins a second after the first"


# ---- the end ----


def test_a_command_at_the_end_knows_what_happened(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true", "2|-1|1|0|b|false")
    command = "echo $FLOW_NAME $FLOW_STATE $FLOW_EXIT_STATUS $FLOW_FAILED $APP_NAME >$OUT/end"
    assert app.run("--on-finish", command).returncode == 1
    assert app.out("end").read_text() == "my failed 1 2 my\n"
    app.shell("1|-1|1|0|a|true")
    assert app.run("--on-finish", command + "; false").returncode == 0
    assert app.out("end").read_text() == "my completed 0 my\n"


def test_progress_as_json_lines(app: FlowApp) -> None:
    app.shell("1|-1|2|0|a|if ! test -e $OUT/x; then touch $OUT/x; exit 4; fi", "2|1|1|0|b|true")
    done = app.run("--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["event"], event.get("id")) for event in events] == [
        ("started", 1),
        ("retried", 1),
        ("started", 1),
        ("completed", 1),
        ("started", 2),
        ("completed", 2),
        ("ended", None),
    ]
    assert events[1]["code"] == 4
    assert events[-1]["state"] == "completed"
    assert events[-1]["counts"]["C"] == 2


def test_a_start_is_told_behind_the_ends_that_it_waited_for(app: FlowApp) -> None:
    """The next node runs by the time the end of the one before it is synced."""
    count = 30
    app.shell(*(f"{n}|{n - 1 or -1}|1|0|n{n}|{ran(n)}" for n in range(1, count + 1)))
    done = app.run("--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [(event["event"], event["id"]) for event in events[:-1]]
    assert told == [(what, n) for n in range(1, count + 1) for what in ("started", "completed")]
    assert app.ran() == [str(n) for n in range(1, count + 1)]


def test_quiet_runs_say_only_what_failed(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true")
    assert app.run("--silent").stderr == ""
    app.shell("1|-1|1|0|a|true", "2|-1|1|0|b|false")
    said = app.run("--quiet").stderr
    assert "FAILED" in said
    assert "start" not in said


def test_the_state_file_has_its_usual_form(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true|$ENV{OUT}/1.log", "2|1|3|0.5|b|false")
    assert app.run().returncode == 1
    assert app.ctllog.read_text().splitlines() == [
        "#SHELL",
        "#ID|PARENT_IDS|MAX_ATTEMPTS|RETRY_WAIT_TIME|STATUS|ELAPSED|PROCESS_NAME|SHELL_COMMAND|LOGFILE",
        f"1|-1|1|0|C|00:00:00|a|true|{app.folder}/out/1.log",
        "2|1|3|0.5|F|00:00:00|b|false|",
    ]


def test_options_of_pyrunner_that_change_nothing(app: FlowApp) -> None:
    app.shell(f"1|-1|1|0|a|{ran(1)}")
    done = app.run("-t", "1", "--nozip", "-d", "--preserve-context", "--cvar", "a=b")
    assert done.returncode == 0, done.stderr
    done = app.run("-v")
    assert done.stdout.startswith("penstock ")


def test_a_list_in_json(app: FlowApp, tmp_path: Path) -> None:
    done = app.run("--serde", "json")
    assert done.returncode == 2, "there is no list yet"
    app.list.write_text(
        '{"tasks":{"a":{"module":"m"},\n "b":{"module":"m","worker":"W","dependencies":["c"]}}}'
    )
    done = app.run("--serde", "json")
    assert done.returncode == 2
    assert "config/my.lst:1:15: error: WORKER_NAME: is missing" in done.stderr
    assert "config/my.lst:2:49: error: PARENT_IDS: expected the name of a task" in done.stderr


# ---- mail ----


class Post(threading.Thread):
    """An SMTP server that takes one mail."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self.socket.getsockname()[1]}"
        self.commands: list[str] = []
        self.text = ""
        self.start()

    def run(self) -> None:
        line, _ = self.socket.accept()
        with line, line.makefile("rwb") as file:

            def say(text: str) -> None:
                file.write(f"{text}\r\n".encode())
                file.flush()

            say("220 here")
            for raw in file:
                self.commands.append(raw.decode().strip())
                if raw.startswith(b"DATA"):
                    say("354 go on")
                    for part in file:
                        if part == b".\r\n":
                            break
                        self.text += part.decode()
                    say("250 taken")
                elif raw.startswith(b"QUIT"):
                    say("221 bye")
                    return
                else:
                    say("250 well")


def test_a_mail_tells_what_happened(app: FlowApp) -> None:
    app.shell("1|-1|1|0|Bad one|echo the reason; false", "2|1|1|0|b|true")
    post = Post()
    done = app.run("-e", "ops@example.org, me@example.org", env={"PENSTOCK_SMTP": post.url})
    assert done.returncode == 1, done.stderr
    post.join(timeout=30)
    assert "RCPT TO:<ops@example.org>" in post.commands
    assert "RCPT TO:<me@example.org>" in post.commands
    mail = email.message_from_string(post.text)
    assert mail["Subject"] == "my: failed"
    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    names = [part.get_filename() for part in mail.walk() if not part.is_multipart()]
    assert names == [None, "my.ctllog", "1.log"]
    assert b"Bad one" in parts[0]  # type: ignore[operator]
    assert b"the reason" in parts[2]  # type: ignore[operator]


def test_mail_is_sent_when_it_is_wanted(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true")
    nobody = {"PENSTOCK_SMTP": "smtp://127.0.0.1:1", "APP_EMAIL": "ops@example.org"}
    done = app.run("--email-on-success", "no", env=nobody)
    assert (done.returncode, done.stderr.count("mail")) == (0, 0)
    done = app.run(env=nobody)
    assert done.returncode == 0, "a mail that cannot be sent changes nothing"
    assert "the mail could not be sent" in done.stderr


# ---- who looks on ----


def test_a_terminal_shows_what_runs(app: FlowApp) -> None:
    app.shell("1|-1|1|0|Long one|while ! test -e $OUT/good; do sleep 0.05; done", "2|1|1|0|b|true")
    main, end = os.openpty()
    process = subprocess.Popen(
        app.command(),
        cwd=app.folder,
        env=app.environment({"TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = b""
    while b"1 running: Long one" not in shown:
        shown += os.read(main, 4096)
    app.out("good").write_text("")
    with contextlib.suppress(OSError):  # how a terminal ends
        while piece := os.read(main, 4096):
            shown += piece
    os.close(main)
    assert process.wait() == 0
    assert b"1 to come" in shown
    assert b"2 completed" in shown.splitlines()[-1]


def test_nothing_turns_while_a_node_sleeps(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|echo x >$OUT/on; exec sleep 1000")
    process = app.start()
    app.await_out("on")

    def switches() -> int:
        """How often a thread of it has slept."""
        count = 0
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            found = re.search(
                r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M
            )
            count += int(found[1]) if found else 0
        return count

    # Until it is quiet for 2 s: what the start leaves behind comes to an end.
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        before = switches()
        time.sleep(2)
        if switches() == before:
            break
    else:
        raise AssertionError("something turns")
    process.terminate()
    process.communicate(timeout=60)


# ---- the application's name and folders ----


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "two\nlines", "a\x7fb"])
def test_a_name_that_no_file_can_have_is_refused(app: FlowApp, name: str) -> None:
    app.shell("1|-1|1|0|a|true")
    done = app.run("--env", f"APP_NAME={name}")
    assert done.returncode == 2, done.stderr
    shown = name.replace("\n", " ")
    assert f'APP_NAME: "{shown}" cannot be part of a file\'s name' in done.stderr
    assert not (app.folder / "temp").exists()


def test_status_shows_wide_and_long_names_in_columns(app: FlowApp) -> None:
    app.shell("1|-1|1|0|漢字|true", "2|-1|1|0|plain|true", f"3|-1|1|0|{'n' * 300}|exit 3")
    assert app.run().returncode == 1
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            [binary(), "flow", "status", str(app.list)],
            env=app.environment({"LC_ALL": locale}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        wide, plain, long = done.stdout.splitlines()[-3:]
        assert "n" * 48 + "..." in long
        assert "n" * 49 not in long
        # Each of the two takes two columns.
        assert wide.index(" s") == plain.index(" s") - 2 == long.index(" s") - 2


def test_status_says_what_a_node_failed_of_once(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|exit 3")
    assert app.run().returncode == 1
    done = subprocess.run(
        [binary(), "flow", "status", str(app.list)],
        env=app.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "ExitStatus: exit status 3" in done.stdout


def test_what_is_no_text_in_a_log_does_not_reach_the_terminal(app: FlowApp) -> None:
    app.shell(r"1|-1|1|0|a|printf 'caf\303\251 \377\200 \033[2J end\n'; exit 1")
    done = app.run()
    assert done.returncode == 1
    assert "    | café ?? ?[2J end\n" in done.stderr


def test_the_folder_of_the_state_may_be_named_from_where_we_are(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|test -e $OUT/ok")
    assert app.run("--env", "APP_TEMP_DIR=kept/here").returncode == 1
    assert (app.folder / "kept/here/my.ctllog").exists()
    app.out("ok").touch()
    assert app.run("-r", "--env", "APP_TEMP_DIR=kept/here").returncode == 0


def test_a_byte_0_does_not_cut_a_command_off(app: FlowApp) -> None:
    app.list.write_bytes(b"#SHELL\n1|-1|1|0|a|true\0; false|\n")
    done = app.run()
    assert done.returncode == 2, done.stderr
    assert ":2:16: error: FILE: a byte that is 0, or no UTF-8" in done.stderr
