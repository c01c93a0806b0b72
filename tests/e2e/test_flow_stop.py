"""How runs of flows are stopped, killed and kept apart; no process is left, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.flow_command import DEADLINE_S, FlowApp, is_alive, stop, wait_until
from harness.server_process import ServerProcess, binary


@pytest.fixture
def app(tmp_path: Path) -> FlowApp:
    return FlowApp(tmp_path / "app")


SLEEP = "echo $$ >$OUT/pid; exec sleep 1000"


def long_flow(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|a|echo 1 >>$OUT/ran",
        f"2|1|1|0|b|echo 2 >>$OUT/ran; test -e $OUT/good && exit 0; {SLEEP}",
        "3|2|1|0|c|echo 3 >>$OUT/ran",
    )


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)],
)
def test_a_signal_stops_what_runs_and_a_restart_goes_on(
    app: FlowApp, number: int, status: int
) -> None:
    long_flow(app)
    process = app.start()
    pid = int(app.await_out("pid"))
    code, said = stop(process, number)
    assert code == status, said
    assert not is_alive(pid)
    assert app.marks() == {1: "C", 2: "A", 3: "P"}
    assert "aborted" in app.log(2)
    app.out("good").write_text("")
    done = app.run("-r")
    assert done.returncode == 0, done.stderr
    assert app.ran() == ["1", "2", "2", "3"]


def test_a_second_signal_kills(app: FlowApp) -> None:
    app.shell("1|-1|1|0|Deaf|trap '' TERM; echo $$ >$OUT/pid; while :; do sleep 0.05; done")
    process = app.start()
    pid = int(app.await_out("pid"))
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    for line in process.stderr:
        if "stopping" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=8)  # it would take 10 s with one
    assert process.returncode == 143
    assert not is_alive(pid)
    assert app.marks() == {1: "A"}


def test_the_command_at_the_end_runs_after_an_abort_too(app: FlowApp) -> None:
    long_flow(app)
    process = app.start("--on-finish", "echo $FLOW_STATE $FLOW_EXIT_STATUS $FLOW_ABORTED >$OUT/end")
    app.await_out("pid")
    assert stop(process)[0] == 143
    assert app.out("end").read_text() == "aborted 143 2\n"


# ---- killed ----

LEAVES = (
    # A child in the group; one of a session of its own; one whose parents are gone.
    "sleep 1000 & echo $! >$OUT/child;"
    "setsid sh -c 'echo $$ >$OUT/session; exec sleep 1000' &"
    "(setsid sh -c 'sleep 1000 & echo $! >$OUT/orphan' &);"
    "echo $$ >$OUT/pid; wait"
)


def pids(app: FlowApp) -> list[int]:
    return [int(app.await_out(name)) for name in ("child", "session", "orphan", "pid")]


def test_no_process_is_left_when_the_engine_is_killed(app: FlowApp) -> None:
    app.shell(f"1|-1|1|0|a|{LEAVES}")
    process = app.start()
    left = pids(app)
    assert all(is_alive(pid) for pid in left)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    for pid in left:
        wait_until(lambda pid=pid: not is_alive(pid), f"{pid} lives on")  # type: ignore[misc]


def test_no_process_is_left_when_it_is_stopped(app: FlowApp) -> None:
    app.shell(f"1|-1|1|0|a|{LEAVES}")
    process = app.start()
    left = pids(app)
    assert stop(process)[0] == 143
    assert not any(is_alive(pid) for pid in left)


def test_what_a_node_left_in_its_group_ends_with_it(app: FlowApp) -> None:
    app.shell(
        "1|-1|1|0|a|sleep 1000 & echo $! >$OUT/child",
        "2|1|1|0|b|if kill -0 $(cat $OUT/child); then exit 1; fi",
    )
    done = app.run()
    assert done.returncode == 0, done.stderr


def test_after_a_kill_what_was_completed_does_not_run_again(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    pid = int(app.await_out("pid"))
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    wait_until(lambda: not is_alive(pid))
    app.out("good").write_text("")
    done = app.run("-r")
    assert done.returncode == 0, done.stderr
    assert app.ran() == ["1", "2", "2", "3"]


def test_without_r_a_flow_that_was_killed_begins_anew(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    app.await_out("pid")
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    app.out("good").write_text("")
    done = app.run()
    assert done.returncode == 0, done.stderr
    assert app.ran() == ["1", "2", "1", "2", "3"]


def test_a_keeper_that_is_killed_ends_the_run(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    pid = int(app.await_out("pid"))
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert keeper != process.pid
    os.kill(keeper, signal.SIGKILL)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 70, said
    assert "keeper" in said
    wait_until(lambda: not is_alive(pid))
    app.out("good").write_text("")
    assert app.run("-r").returncode == 0
    assert app.ran() == ["1", "2", "2", "3"]


def test_what_a_killed_keeper_leaves_is_killed_too(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|setsid sh -c 'echo $$ >$OUT/pid; exec sleep 1000' & wait")
    process = app.start()
    pid = int(app.await_out("pid"))
    keeper = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    os.kill(keeper, signal.SIGKILL)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 70, said
    assert not is_alive(pid)


def test_a_run_that_was_killed_before_it_told_of_its_end_is_not_run_again(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|echo 1 >>$OUT/ran")
    killed = app.run(env={"PENSTOCK_FAULT": "flow.untold:1:kill"})
    assert killed.returncode == -signal.SIGKILL
    told = app.run("-r")
    assert told.returncode == 0, told.stderr
    assert "had completed" in told.stderr
    assert "1 completed" in told.stderr
    assert app.ran() == ["1"]
    again = app.run("-r")
    assert again.returncode == 0, again.stderr
    assert app.ran() == ["1", "1"]


# ---- two at once ----


def test_a_second_run_is_refused_and_the_first_goes_on(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    app.await_out("pid")
    done = app.run("-r")
    assert done.returncode == 3
    assert "runs already" in done.stderr
    assert str(process.pid) in done.stderr
    dry = app.run("-r", "--dry-run")
    assert process.poll() is None, dry.stderr
    assert app.ran() == ["1", "2"]
    assert stop(process)[0] == 143


def test_a_second_run_beside_the_first_when_it_is_asked_for(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    app.await_out("pid")
    app.out("good").write_text("")
    done = app.run("--allow-duplicate-jobs")
    assert done.returncode == 0, done.stderr
    assert process.poll() is None
    wait_until(lambda: app.marks()[2] == "R", "the state file is the first one's")
    assert stop(process)[0] == 143


def test_a_run_is_aborted_from_elsewhere(app: FlowApp) -> None:
    long_flow(app)
    process = app.start()
    pid = int(app.await_out("pid"))
    done = app.run("--abort")
    assert done.returncode == 0, done.stderr
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143, said
    assert not is_alive(pid)
    assert app.marks() == {1: "C", 2: "A", 3: "P"}
    done = app.run("--abort")
    assert done.returncode == 1
    assert "flow my does not run: it is cancelled" in done.stderr


def test_an_abort_of_what_never_ran_says_so(app: FlowApp) -> None:
    long_flow(app)
    done = app.run("--abort")
    assert done.returncode == 1
    assert "flow my has not run" in done.stderr
    assert not (app.folder / "temp").exists()


def test_a_state_folder_that_cannot_be_made(app: FlowApp) -> None:
    (app.folder / "temp").write_text("a file")
    app.shell("1|-1|1|0|a|true")
    done = app.run()
    assert done.returncode == 3
    assert "temp" in done.stderr
    assert app.ran() == []


def test_the_number_of_the_last_run_that_was_told_is_replaced_whole(app: FlowApp) -> None:
    app.shell("1|-1|1|0|a|true")
    assert app.run().returncode == 0
    told = app.folder / "temp" / "my.penstock" / "told"
    assert told.read_text() == "1"
    (told.parent / "told.tmp").mkdir()  # in the way
    done = app.run()
    assert done.returncode == 0
    assert "told" in done.stderr
    assert told.read_text() == "1"
    (told.parent / "told.tmp").rmdir()
    assert app.run().returncode == 0
    assert told.read_text() == "3"
    assert not (told.parent / "told.tmp").exists()


# ---- on a server ----


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "server").start()
    yield process
    process.stop()


def hands(app: FlowApp, *server: str, **variables: str) -> subprocess.Popen[str]:
    options = ["--workers", ".", "--python", sys.executable, "-n", "4"]
    return subprocess.Popen(
        [binary(), "flow", "worker", *server, *options],
        cwd=app.folder,
        env={**app.environment(), **variables},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_flow_on_a_server_with_a_worker_beside(app: FlowApp, server: ServerProcess) -> None:
    app.shell(
        *(f"{i}|-1|1|0|n{i}|echo {i} >>$OUT/ran; echo $APP_NAME" for i in range(1, 21)),
        f"21|{','.join(str(i) for i in range(1, 21))}|1|0|end|echo 21 >>$OUT/ran",
    )
    worker = hands(app, "--server", server.url)
    done = app.run("--server", server.url)
    assert done.returncode == 0, done.stderr
    code, said = stop(worker)
    assert code == 143, said
    assert sorted(app.ran(), key=int) == [str(i) for i in range(1, 22)]
    assert app.ran()[-1] == "21"


def test_a_worker_that_goes_gives_its_nodes_back(app: FlowApp, server: ServerProcess) -> None:
    app.shell(
        "1|-1|1|0|a|echo $PPID >$OUT/keeper1; while ! test -e $OUT/good; do sleep 0.05; done",
        "2|-1|1|0|b|echo $PPID >$OUT/keeper2; while ! test -e $OUT/good; do sleep 0.05; done",
    )
    worker = hands(app, PENSTOCK_SERVER=server.url)
    # One node for each of them.
    run = app.start("--server", server.url, "-n", "1", "--time-between-tasks", "0.2")
    app.await_out("keeper1")
    assert stop(worker)[0] == 143
    app.out("good").write_text("")
    _, said = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0, said
    assert "2 completed" in said


# ---- Python nodes that do not begin ----


def test_an_import_that_hangs_does_not_hold_up_a_stop(app: FlowApp) -> None:
    (app.folder / "python" / "slow.py").write_text(
        "import os, time\nopen(os.environ['OUT'] + '/on', 'w').write('x')\ntime.sleep(1000)\n"
    )
    app.list.write_text("1|-1|1|0|a|slow|W\n2|-1|1|0|b|slow|W\n")
    process = app.start()
    app.await_out("on")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    for line in process.stderr:
        if "stopping" in line:
            break
    code, said = stop(process)
    assert code == 143, said
    assert app.marks() == {1: "A", 2: "A"}


def test_an_import_that_hangs_fails_its_nodes_and_nobody_else(app: FlowApp) -> None:
    (app.folder / "python" / "slow.py").write_text("import time\ntime.sleep(1000)\n")
    (app.folder / "python" / "quick.py").write_text(
        "from pyrunner import Worker\nclass W(Worker):\n    def run(self):\n        pass\n"
    )
    app.list.write_text("1|-1|1|0|a|slow|W\n2|-1|1|0|b|quick|W\n3|2|1|0|c|quick|W\n")
    done = app.run("--import-timeout", "2")
    assert done.returncode == 1
    assert "the import of its module took too long" in done.stderr
    assert app.marks() == {1: "F", 2: "C", 3: "C"}
