"""The helper that forks the attempts of Python nodes, alone: Workers, their ends, their logs."""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.flow_helper import FlowHelper, wait_for

WORKERS = '''
import os, sys, signal, threading, time
from pyrunner import ShellWorker, Worker
import penstock

with open(os.path.join(os.path.dirname(__file__), "imports"), "a") as file:
    file.write("once\\n")
print("said at the import")
state = []


class Base(Worker):
    def mark(self, text):
        with open(self.argv[0], "a") as file:
            file.write(text + "\\n")


class Quiet(Worker):
    def run(self):
        pass


class Returns(Worker):
    def run(self):
        return eval(self.argv[0])


class Sets(Worker):
    def run(self):
        self.retcode = int(self.argv[0])


class Hooks(Base):
    def on_start(self):
        self.mark("start")

    def run(self):
        self.mark("run")
        return eval(self.argv[1])

    def on_success(self):
        self.mark("success")
        return eval(self.argv[2])

    def on_fail(self):
        self.mark(f"fail {self.retcode}")
        return 77

    def on_exit(self):
        self.mark("exit")

    def on_destroy(self):
        self.mark(f"destroy {self.retcode}")


class Raises(Worker):
    """In the method that the first argument names."""
    def _at(self, name):
        if self.argv[0] == name:
            raise RuntimeError(f"in {name}")

    def on_start(self):
        self._at("on_start")

    def run(self):
        self._at("run")
        return int(self.argv[1]) if len(self.argv) > 1 else 0

    def on_success(self):
        self._at("on_success")

    def on_fail(self):
        self._at("on_fail")

    def on_exit(self):
        self._at("on_exit")

    def on_destroy(self):
        self._at("on_destroy")


class Forgives(Worker):
    def run(self):
        return 5

    def on_fail(self):
        self.retcode = 0


class Final(Worker):
    def run(self):
        raise penstock.Fail("no use")


class Skips(Worker):
    def run(self):
        raise penstock.Skip


class Ends(Worker):
    def run(self):
        eval(self.argv[0])


class Says(Worker):
    def run(self):
        self.logger.info("an info")
        self.logger.success("a success")
        self.logger.warn("a warn")
        self.logger.warning("a warning")
        self.logger.error("an error")
        self.logger.debug("a %s", "debug")
        print("printed")
        print("to standard error", file=sys.stderr)
        os.system("echo of a program")
        os.write(1, b"of the descriptor\\n")
        try:
            1 / 0
        except ZeroDivisionError:
            self.logger.exception("an exception")


class Remembers(Worker):
    kept = []

    def run(self):
        state.append(1)
        self.kept.append(1)
        return 0 if len(state) == len(self.kept) == 1 else 9


class Environment(Worker):
    def run(self):
        print(os.environ.get("APP_ONE"), os.environ.get("APP_TWO"), os.environ.get("HOME"))


class Stands(Base):
    def run(self):
        self.mark(f"{os.getpid()} {os.getpgrp()} {os.readlink('/proc/self/fd/0')}")


class Waits(Base):
    def run(self):
        self.mark(str(os.getpid()))
        time.sleep(1000)


class Leaves(Base):
    """A program that outlives the attempt, in its group."""
    def run(self):
        pid = os.fork()
        if not pid:
            time.sleep(1000)
        self.mark(str(pid))


class Threads(Worker):
    def run(self):
        def later():
            time.sleep(0.2)
            print("of the thread", flush=True)
        threading.Thread(target=later).start()


class Queues(Worker):
    def run(self):
        import atexit, multiprocessing
        atexit.register(print, "at exit")
        process = multiprocessing.Process(target=print, args=("of the process",))
        process.start()


class ClosesAll(Worker):
    def run(self):
        os.closerange(0, 256)
        for number in range(3):
            os.open(self.argv[0], os.O_RDWR | os.O_CREAT)
        for _ in range(10):
            os.open(self.argv[0], os.O_RDWR)
        self.logger.info("still here")
        return int(self.argv[1])


class NoRun(Worker):
    pass


class NoWorker:
    def run(self):
        pass


class OwnInit(Worker):
    def __init__(self, context, logfile, argv):
        super().__init__(context, logfile, argv)
        self.seen = (logfile, list(argv))

    def run(self):
        return 0 if self.seen == (self.logfile, self.argv) else 1


class BadInit(Worker):
    def __init__(self, *args):
        raise ValueError("not today")

    def run(self):
        pass


class Shell(ShellWorker):
    pass


class BadText(Worker):
    def run(self):
        class Broken(Exception):
            def __str__(self):
                raise ValueError
        if self.argv == ["broken"]:
            raise Broken()
        raise ValueError("\\ud800 \\x00 " + "x" * 100000)


class Lines(Worker):
    def run(self):
        for number in range(300):
            self.logger.info(self.argv[0] * 2000)


class Full(Worker):
    def run(self):
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        for _ in range(50):
            self.logger.info("a line that will not fit for ever")
        with open(self.logfile + ".big", "w") as file:
            file.write("x" * 1000)


number = 7
'''


@pytest.fixture
def workers(tmp_path: Path) -> Path:
    folder = tmp_path / "workers"
    folder.mkdir()
    (folder / "workers.py").write_text(WORKERS)
    return folder


@pytest.fixture
def helper(workers: Path, tmp_path: Path) -> Iterator[FlowHelper]:
    with FlowHelper(workers, tmp_path / "logs") as helper:
        yield helper


def code_of(helper: FlowHelper, worker: str, *argv: str) -> int:
    """0, or the code that it told; its status agrees."""
    status, outcome = helper.run(worker, *argv)
    code = outcome["code"] if outcome else 0
    told = os.waitstatus_to_exitcode(status)
    assert told == (code if code < 256 else 1)
    return int(code)


def ends(pid: int) -> bool:
    """Waits for the end of a process that is no child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 30)[0])
    finally:
        os.close(fd)


# ---- what counts as a success ----


@pytest.mark.parametrize("value", ["None", "0", "False", "0.0"])
def test_these_returns_are_a_success(helper: FlowHelper, value: str) -> None:
    assert helper.run("Returns", value) == (0, None)


@pytest.mark.parametrize(("value", "code"), [("3", 3), ("True", 1), ("255", 255), ("700", 700)])
def test_numbers_are_the_code_of_a_failure(helper: FlowHelper, value: str, code: int) -> None:
    status, outcome = helper.run("Returns", value)
    assert os.waitstatus_to_exitcode(status) == (code if code < 256 else 1)
    assert outcome is not None
    assert outcome["code"] == code
    assert not outcome["final"]
    assert outcome["error"]["message"] == f"run returned: {code}"


@pytest.mark.parametrize("value", ["'text'", "'0'", "-1", "[]", "object()", "float('nan')"])
def test_what_is_no_number_or_below_zero_is_a_failure(helper: FlowHelper, value: str) -> None:
    assert code_of(helper, "Returns", value) == 901
    assert "run returned" in helper.log()


def test_retcode_makes_a_failure_and_is_never_negative(helper: FlowHelper) -> None:
    assert code_of(helper, "Sets", "0") == 0
    assert code_of(helper, "Sets", "12") == 12
    status, outcome = helper.run("Sets", "-1")
    assert status
    assert outcome is not None
    assert outcome["error"]["type"] == "ValueError"


def test_on_fail_may_forgive(helper: FlowHelper) -> None:
    assert code_of(helper, "Forgives") == 0


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("on_start", 901),
        ("run", 901),
        ("on_success", 902),
        ("on_exit", 904),
        ("on_destroy", 904),
    ],
)
def test_an_exception_is_a_failure_wherever_it_is(
    helper: FlowHelper, where: str, code: int
) -> None:
    status, outcome = helper.run("Raises", where)
    assert os.waitstatus_to_exitcode(status) == 1
    assert outcome is not None
    assert outcome["code"] == code
    assert outcome["error"]["type"] == "RuntimeError"
    assert outcome["error"]["message"] == f"in {where}"
    assert "workers.py" in outcome["error"]["traceback"]
    assert "attempt.py" not in outcome["error"]["traceback"], "our own calls are of no interest"
    assert re.search(rf"^ERROR - .* - {where}: RuntimeError: in {where}$", helper.log(), re.M)
    assert "Traceback (most recent call last)" in helper.log()


def test_an_exception_of_on_fail_is_told_behind_what_it_is_about(helper: FlowHelper) -> None:
    _, outcome = helper.run("Raises", "on_fail", "4")
    assert outcome is not None
    assert outcome["code"] == 903


@pytest.mark.parametrize(
    ("call", "code"),
    [("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit('why')", 1)],
)
def test_sys_exit_is_a_return(helper: FlowHelper, call: str, code: int) -> None:
    assert code_of(helper, "Ends", call) == code


def test_the_text_of_sys_exit_is_in_the_log(helper: FlowHelper) -> None:
    code_of(helper, "Ends", "sys.exit('why')")
    assert "run: why" in helper.log()


def test_os_exit_and_signals_are_told_by_the_status(helper: FlowHelper) -> None:
    assert helper.run("Ends", "os._exit(5)") == (5 << 8, None)
    assert helper.run("Ends", "os._exit(0)") == (0, None)
    status, outcome = helper.run("Ends", "os.kill(os.getpid(), signal.SIGKILL)")
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert outcome is None
    status, _ = helper.run("Ends", "os.kill(os.getpid(), signal.SIGSEGV)")
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert helper.run("Quiet") == (0, None), "the next one is not impressed"


def test_fail_is_final(helper: FlowHelper) -> None:
    _, outcome = helper.run("Final")
    assert outcome is not None
    assert outcome["final"]
    assert outcome["error"]["message"] == "no use"


def test_skip_is_a_success(helper: FlowHelper) -> None:
    assert helper.run("Skips") == (0, None)


def test_a_code_may_mean_do_not_retry(workers: Path, tmp_path: Path) -> None:
    with FlowHelper(workers, tmp_path / "logs", no_retry_code=99) as helper:
        _, outcome = helper.run("Returns", "99")
        assert outcome is not None
        assert outcome["final"]
        _, outcome = helper.run("Returns", "98")
        assert outcome is not None
        assert not outcome["final"]


# ---- hooks ----


def hooks(helper: FlowHelper, tmp_path: Path, returned: str, then: str = "None") -> list[str]:
    marks = tmp_path / "marks"
    helper.run("Hooks", str(marks), returned, then)
    return marks.read_text().split("\n")[:-1]


def test_hooks_are_called_by_the_outcome(helper: FlowHelper, tmp_path: Path) -> None:
    assert hooks(helper, tmp_path, "0") == ["start", "run", "success", "exit", "destroy 0"]


def test_hooks_of_a_failure(helper: FlowHelper, tmp_path: Path) -> None:
    assert hooks(helper, tmp_path, "4") == ["start", "run", "fail 4", "exit", "destroy 4"]


def test_hooks_after_sys_exit(helper: FlowHelper, tmp_path: Path) -> None:
    made = hooks(helper, tmp_path, "sys.exit(6)")
    assert made == ["start", "run", "fail 6", "exit", "destroy 6"]


def test_on_success_may_make_it_a_failure(helper: FlowHelper, tmp_path: Path) -> None:
    assert hooks(helper, tmp_path, "0", "8")[-1] == "destroy 8"
    status, _ = helper.run("Hooks", str(tmp_path / "m"), "0", "8")
    assert os.waitstatus_to_exitcode(status) == 8


# ---- the log ----


def test_lines_have_the_form_of_pyrunner(helper: FlowHelper) -> None:
    assert code_of(helper, "Says") == 0
    lines = [line for line in helper.log().splitlines() if re.match("[A-Z]+ - ", line)]
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
    levels = ["INFO", "SUCCESS", "WARN", "WARN", "ERROR", "DEBUG", "ERROR", "ERROR"]
    for level, line in zip(levels, lines, strict=True):
        assert re.fullmatch(rf"{level} - {when} - .+", line)
    assert "DEBUG - " in helper.log()
    assert " - a debug\n" in helper.log()
    assert "ZeroDivisionError" in helper.log()


def test_all_that_is_printed_is_in_the_log_in_its_order(helper: FlowHelper) -> None:
    code_of(helper, "Says")
    words = ["a warning", "printed", "to standard error", "of a program", "of the descriptor"]
    places = [helper.log().index(word) for word in words]
    assert places == sorted(places)


def test_lines_of_two_writers_of_one_log_are_whole(helper: FlowHelper) -> None:
    both = str(helper.logs / "both.log")
    tasks = [helper.start("Lines", letter, logfile=both) for letter in "ab"]
    for task in tasks:
        assert helper.until("exited", task)["status"] == 0
    lines = Path(both).read_text().splitlines()
    texts = [line.rpartition(" - ")[2] for line in lines if line.startswith("INFO")]
    assert sorted(set(texts)) == ["a" * 2000, "b" * 2000]
    assert len(texts) == 600


def test_an_error_that_cannot_be_written_is_told_all_the_same(helper: FlowHelper) -> None:
    _, outcome = helper.run("BadText", "broken")
    assert outcome is not None
    assert "its text cannot be had" in outcome["error"]["message"]
    _, outcome = helper.run("BadText")
    assert outcome is not None
    assert outcome["error"]["message"].startswith("? ? xxx")
    assert len(outcome["error"]["message"]) == 4000


def test_a_log_that_cannot_be_written_fails_the_attempt(helper: FlowHelper, tmp_path: Path) -> None:
    (tmp_path / "logs" / "folder").mkdir()
    task = helper.start("Quiet", logfile=str(tmp_path / "logs" / "folder"))
    assert helper.until("refused", task)["error"]["type"] == "IsADirectoryError"
    assert helper.run("Quiet") == (0, None)
    task = helper.start("Quiet", logfile=str(tmp_path / "logs" / "folder"))
    helper.until("exited", task)
    outcome = helper.find("outcome", task)
    assert outcome is not None
    assert outcome["code"] == 905


def test_a_full_disk_stops_the_log_and_what_writes_files(helper: FlowHelper) -> None:
    _, outcome = helper.run("Full")
    assert outcome is not None
    assert outcome["error"]["message"].endswith("File too large")
    assert helper.run("Quiet") == (0, None)


# ---- processes ----


def test_a_module_is_imported_once(helper: FlowHelper, workers: Path) -> None:
    for _ in range(3):
        helper.run("Quiet")
    assert (workers / "imports").read_text() == "once\n"
    assert "said at the import" in helper.log(1)
    assert helper.find("importing", 1) == {"task": 1, "module": "workers"}
    assert helper.find("importing", 2) is None


def test_nothing_survives_between_attempts(helper: FlowHelper) -> None:
    for _ in range(4):
        assert code_of(helper, "Remembers") == 0


def test_variables_are_the_environment(helper: FlowHelper) -> None:
    home = os.environ.get("HOME")
    for one in ({"APP_ONE": "1", "APP_TWO": "2"}, {"APP_TWO": "zwei"}, {}):
        helper.run("Environment", variables=one)
        said = f"{one.get('APP_ONE')} {one.get('APP_TWO')} {home}"
        assert helper.log().endswith(said + "\n")


def test_an_attempt_leads_a_group_and_reads_nothing(helper: FlowHelper, tmp_path: Path) -> None:
    for _ in range(2):
        helper.run("Stands", str(tmp_path / "stands"))
    for line in (tmp_path / "stands").read_text().splitlines():
        pid, group, stdin = line.split()
        assert pid == group != str(helper.process.pid)
        assert stdin == "/dev/null"


def test_what_an_attempt_leaves_in_its_group_is_killed(helper: FlowHelper, tmp_path: Path) -> None:
    assert code_of(helper, "Leaves", str(tmp_path / "pid")) == 0
    assert ends(int((tmp_path / "pid").read_text()))


def test_threads_processes_and_exit_functions_end_first(helper: FlowHelper) -> None:
    code_of(helper, "Threads")
    assert "of the thread" in helper.log()
    code_of(helper, "Queues")
    assert "of the process" in helper.log()
    assert "at exit" in helper.log()


def test_attempts_run_side_by_side_and_may_be_killed(helper: FlowHelper, tmp_path: Path) -> None:
    tasks = [helper.start("Waits", str(tmp_path / f"{i}")) for i in range(5)]
    pids = [int(wait_for(tmp_path / f"{i}")) for i in range(5)]
    assert [helper.until("started", task)["pid"] for task in tasks] == pids
    assert helper.run("Quiet") == (0, None)
    for task, pid in zip(tasks, pids, strict=True):
        os.killpg(pid, signal.SIGTERM)
        assert helper.until("exited", task)["status"] == signal.SIGTERM


def test_closed_descriptors_harm_nobody(helper: FlowHelper, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert helper.run("ClosesAll", str(data), "0") == (0, None)
    assert " - still here\n" in helper.log()
    status, outcome = helper.run("ClosesAll", str(data), "6")
    assert os.waitstatus_to_exitcode(status) == 6, "the status says what the message cannot"
    assert outcome is None
    assert data.read_bytes() == b"", "nothing of ours landed in the Worker's file"


def test_stop_waits_for_what_runs(helper: FlowHelper, tmp_path: Path) -> None:
    task = helper.start("Waits", str(tmp_path / "pid"))
    pid = int(wait_for(tmp_path / "pid"))
    helper.say({"stop": {}})
    assert helper.process.poll() is None
    os.kill(pid, signal.SIGKILL)
    helper.until("exited", task)
    assert helper.hear() is None
    assert helper.process.wait(30) == 0


def test_attempts_end_when_the_runner_is_gone(workers: Path, tmp_path: Path) -> None:
    with FlowHelper(workers, tmp_path / "logs") as helper:
        helper.run("Quiet")
        helper.start("Waits", str(tmp_path / "pid"))
        pid = int(wait_for(tmp_path / "pid"))
    assert helper.process.returncode == 0
    assert ends(pid)


# ---- what cannot be started ----


@pytest.mark.parametrize(
    ("worker", "says"),
    [
        ("Nobody", "has no Nobody"),
        ("NoWorker", "NoWorker of the module workers .* is no Worker class"),
        ("number", "is no Worker class"),
        ("NoRun", "has no run method"),
    ],
)
def test_what_is_no_worker_is_refused(helper: FlowHelper, worker: str, says: str) -> None:
    refused = helper.refused(worker)
    assert refused["code"] == 905
    assert re.search(says, refused["error"]["message"])
    assert refused["error"]["message"] in helper.log()
    assert helper.run("Quiet") == (0, None)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_a_module_that_cannot_be_imported(
    helper: FlowHelper, workers: Path, source: str, kind: str
) -> None:
    (workers / "broken.py").write_text(f"print('begun')\n{source}\n")
    refused = helper.refused("Any", module="broken")
    assert refused["code"] == 905
    assert refused["error"]["type"] == kind
    log = helper.log()
    assert "begun" in log or kind == "SyntaxError"
    assert kind in log
    assert "Traceback" in log or kind == "SyntaxError"
    assert helper.run("Quiet") == (0, None)
    helper.refused("Any", module="no.such.module")


def test_attempts_end_while_a_module_is_imported(
    helper: FlowHelper, workers: Path, tmp_path: Path
) -> None:
    """An import that takes long holds up no other node's end."""
    go_on = tmp_path / "go_on"
    (workers / "slow.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
        "from workers import Quiet\n"
    )
    waiting = helper.start("Waits", str(tmp_path / "pid"))
    pid = int(wait_for(tmp_path / "pid"))
    slow = helper.start("Quiet", module="slow")
    helper.until("importing", slow)
    os.kill(pid, signal.SIGKILL)
    assert helper.until("exited", waiting)["status"] == signal.SIGKILL
    go_on.touch()
    assert helper.until("exited", slow)["status"] == 0


def test_attempts_that_an_import_has_made_unknown_have_failed(
    helper: FlowHelper, workers: Path, tmp_path: Path
) -> None:
    """The kernel forgets children of a process that ignores their signal."""
    (workers / "ignores.py").write_text(
        "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"pid = int(open({str(tmp_path / 'pid')!r}).read())\nos.kill(pid, signal.SIGKILL)\n"
        "while os.path.exists(f'/proc/{pid}'): time.sleep(0.01)\nfrom workers import Quiet\n"
    )
    waiting = helper.start("Waits", str(tmp_path / "pid"))
    wait_for(tmp_path / "pid")
    assert helper.run("Quiet", module="ignores") == (0, None)
    assert helper.until("exited", waiting)["status"] == 255 << 8


def test_an_import_that_kills_the_helper_is_told_before(workers: Path, tmp_path: Path) -> None:
    (workers / "deadly.py").write_text("import os\nos._exit(3)\n")
    with FlowHelper(workers, tmp_path / "logs") as helper:
        task = helper.start("Any", module="deadly")
        helper.until("importing", task)
        assert helper.hear() is None
    assert helper.process.returncode == 3


def test_an_import_may_run_programs_and_handle_signals(helper: FlowHelper, workers: Path) -> None:
    (workers / "busy.py").write_text(
        "import signal, subprocess\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_DFL)\n"
        "assert subprocess.run(['false']).returncode == 1\n"
        "subprocess.Popen(['true'])\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from workers import Quiet, Ends\n"
    )
    for _ in range(3):
        assert helper.run("Quiet", module="busy") == (0, None)
    call = "__import__('subprocess').run(['false'], check=True)"
    _, outcome = helper.run("Ends", call, module="busy")
    assert outcome is not None
    assert outcome["error"]["type"] == "CalledProcessError"


def test_dotted_modules_and_own_constructors(helper: FlowHelper, workers: Path) -> None:
    (workers / "package").mkdir()
    (workers / "package" / "__init__.py").write_text("")
    (workers / "package" / "inner.py").write_text("from workers import Quiet\n")
    assert helper.run("Quiet", module="package.inner") == (0, None)
    assert helper.run("OwnInit", "x") == (0, None)
    _, outcome = helper.run("BadInit")
    assert outcome is not None
    assert outcome["code"] == 905
    assert outcome["error"]["message"] == "not today"


def test_the_worker_folder_stands_before_installed_packages(
    helper: FlowHelper, workers: Path
) -> None:
    (workers / "orjson.py").write_text("from workers import Quiet\n")
    assert helper.run("Quiet", module="orjson") == (0, None)


def test_penstock_worker_is_the_same_class(helper: FlowHelper, workers: Path) -> None:
    (workers / "other.py").write_text(
        "import pyrunner\nfrom penstock import ShellWorker, Worker\n"
        "from pyrunner import PyRunner\n"
        "assert Worker is pyrunner.Worker and ShellWorker is pyrunner.ShellWorker\n"
        "class Mine(Worker):\n    def run(self): return 0\n"
    )
    assert helper.run("Mine", module="other") == (0, None)


# ---- ShellWorker ----


def test_a_shell_worker_logs_what_its_command_says(helper: FlowHelper) -> None:
    assert helper.run("Shell", "echo out; echo err >&2; printf last") == (0, None)
    texts = [line.rpartition(" - ")[2] for line in helper.log().splitlines() if " - " in line]
    assert texts == ["out", "err", "last"]


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("false", 1)])
def test_a_shell_workers_status_is_its_commands(
    helper: FlowHelper, command: str, code: int
) -> None:
    assert code_of(helper, "Shell", command) == code


def test_a_shell_worker_without_a_command_says_so(helper: FlowHelper) -> None:
    _, outcome = helper.run("Shell")
    assert outcome is not None
    assert "needs a command" in outcome["error"]["message"]
