"""Flows of Worker classes through `penstock flow run`: order, ends, context, logs, restarts."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest
from harness.flow_app import FlowApp


@pytest.fixture
def app(tmp_path: Path) -> FlowApp:
    return FlowApp(tmp_path)


def ends(pid: int) -> bool:
    """Waits for the end of a process that is no child of ours."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 30)[0])
    finally:
        os.close(fd)


# ---- order and ends ----


def test_a_node_waits_for_its_parents(app: FlowApp) -> None:
    app.rows("4|2,3|Mark|four", "2|1|Mark|two", "3|1|Mark|three", "1|-1|Mark|one")
    app.run()
    marks = app.marks()
    assert marks[0] == "one"
    assert marks[3] == "four"
    assert sorted(marks[1:3]) == ["three", "two"]


def test_independent_nodes_run_side_by_side(app: FlowApp) -> None:
    app.write(
        "class Meets(Worker):\n    def run(self):\n"
        "        Path(os.environ['APP_ROOT_DIR'], self.argv[0]).touch()\n"
        "        wait_for(self.argv[1])\n"
    )
    app.rows("1|-1|Meets|a,b", "2|-1|Meets|b,a")
    app.run()


def test_one_at_a_time_goes_in_the_order_of_the_list(app: FlowApp) -> None:
    app.rows(*(f"{number}|-1|Mark|{number}" for number in (7, 3, 9, 1)))
    app.run("-n", "1")
    assert app.marks() == ["7", "3", "9", "1"]


def test_a_failure_stops_its_descendants_only(app: FlowApp) -> None:
    app.rows("1|-1|Quiet", "2|1|Fails", "3|2|Mark|no", "4|3|Mark|no", "5|1|Mark|yes", "6|5|Mark|on")
    said = app.run(status=1)
    assert app.marks().count("no") == 0
    assert {"yes", "on"} < set(app.marks())
    assert app.states() == {1: "C", 2: "F", 3: "D", 4: "D", 5: "C", 6: "C"}
    assert "1 failed" in said


def test_256_failures_are_a_failure(app: FlowApp) -> None:
    """The original's status is their number, of which 8 bits count."""
    app.rows(*(f"{number}|-1|Fails" for number in range(1, 257)))
    app.run(status=1)
    assert set(app.states().values()) == {"F"}


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(3)",
        "os._exit(4)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "raise ValueError('bad')",
        "raise KeyboardInterrupt",
        "raise MemoryError",
        "return 'text'",
        "return -1",
        "return True",
        "self.retcode = 2",
    ],
)
def test_none_of_these_is_a_success(app: FlowApp, end: str) -> None:
    app.write(f"class Ends(Worker):\n    def run(self):\n        {end}\n")
    app.rows("1|-1|Ends", "2|1|Mark|no", "3|-1|Mark|yes")
    app.run(status=1)
    assert app.marks() == ["yes"]
    assert app.states() == {1: "F", 2: "D", 3: "C"}


@pytest.mark.parametrize("end", ["sys.exit(0)", "sys.exit()", "return 0", "os._exit(0)", "pass"])
def test_all_of_these_are(app: FlowApp, end: str) -> None:
    app.write(f"class Ends(Worker):\n    def run(self):\n        {end}\n")
    app.rows("1|-1|Ends", "2|1|Mark|yes")
    app.run()
    assert app.marks() == ["yes"]


@pytest.mark.parametrize(
    "row",
    [
        "1|-1|1|0|x|no_module|Quiet||",
        "1|-1|1|0|x|workers|Nobody||",
        "1|-1|1|0|x|workers|mark||",
        "1|-1|1|0|x|workers|Path||",
    ],
)
def test_what_cannot_be_started_fails_alone(app: FlowApp, row: str) -> None:
    app.rows(row, "2|1|Quiet", "3|-1|Mark|yes")
    said = app.run(status=1)
    assert app.states() == {1: "F", 2: "D", 3: "C"}
    assert app.marks() == ["yes"]
    assert row.split("|")[6] in said or "no_module" in said


def test_each_attempt_is_a_fresh_process_and_adds_to_the_log(app: FlowApp) -> None:
    app.write(
        "tries = []\n\n\nclass Tries(Worker):\n    def run(self):\n        tries.append(1)\n"
        "        mark(f'{os.getpid()} {len(tries)}')\n"
        "        print('try of', os.getpid())\n"
        "        return 0 if len(MARKS.read_text().splitlines()) == 3 else 7\n"
    )
    app.rows("1|-1|5|0|tries|workers|Tries||")
    app.run()
    pids = [line.split()[0] for line in app.marks()]
    assert len(set(pids)) == 3
    assert all(line.endswith(" 1") for line in app.marks()), "nothing is kept in the module"
    log = app.log(1)
    for attempt, pid in enumerate(pids, 1):
        assert f"attempt {attempt} of 5" in log
        assert f"try of {pid}" in log


def test_a_retry_waits_from_the_end_of_the_attempt_and_holds_no_place(app: FlowApp) -> None:
    app.write(
        "class Tries(Worker):\n    def run(self):\n        mark(f'try {time.monotonic()}')\n"
        "        return 0 if MARKS.read_text().count('try') == 2 else 7\n"
    )
    app.rows("1|-1|2|0.7|tries|workers|Tries||", "2|-1|Mark|other")
    app.run("-n", "1")
    marks = app.marks()
    assert marks[1] == "other", "its place is another's meanwhile"
    first, second = (float(line.split()[1]) for line in marks if line.startswith("try"))
    assert second - first >= 0.7


def test_fail_and_a_code_that_says_so_are_not_tried_again(app: FlowApp) -> None:
    app.write(
        "import penstock\n\n\nclass Final(Worker):\n    def run(self):\n        mark('final')\n"
        "        raise penstock.Fail('no use')\n\n\n"
        "class Code(Worker):\n    def run(self):\n        mark('code')\n        return 42\n"
    )
    app.rows("1|-1|9|0|a|workers|Final||", "2|-1|9|0|b|workers|Code||")
    said = app.run("--no-retry-code", "42", status=1)
    assert sorted(app.marks()) == ["code", "final"]
    assert "no use" in said


def test_a_chain_of_1200_has_no_bottom(app: FlowApp) -> None:
    """The original dies of its recursion."""
    app.rows("1|-1|Quiet", *(f"{number}|{number - 1}|Quiet" for number in range(2, 1201)))
    assert "1200 completed" in app.run().replace(",", "")


def test_22_linked_layers_cost_nothing(app: FlowApp) -> None:
    """In the original each layer doubles the time."""
    rows = ["1|-1|Quiet", "2|-1|Quiet"]
    for layer in range(1, 22):
        above = f"{2 * layer - 1},{2 * layer}"
        rows += [f"{2 * layer + 1}|{above}|Quiet", f"{2 * layer + 2}|{above}|Quiet"]
    app.rows(*rows)
    assert "44 completed" in app.run()


# ---- stopping ----


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_flow_and_leaves_nobody(
    app: FlowApp, number: signal.Signals, status: int
) -> None:
    app.rows("1|-1|Quiet", "2|1|Waits|go", "3|2|Mark|three")
    running = app.start()
    pid = int(app.wait_mark("waits").split()[1])
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode in (status, 143, 130)
    assert ends(pid)
    assert app.states() == {1: "C", 2: "A", 3: "P"}
    app.touch("go")
    app.run("-r")
    assert app.marks()[-1] == "three"


def test_a_worker_that_ignores_sigterm_is_killed(app: FlowApp) -> None:
    app.write(
        "class Stubborn(Worker):\n    def run(self):\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        mark(f'waits {os.getpid()}')\n        wait_for('never')\n"
    )
    app.rows("1|-1|Stubborn")
    running = app.start()
    pid = int(app.wait_mark("waits").split()[1])
    running.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    running.send_signal(signal.SIGTERM)  # the second one does not wait
    running.communicate(timeout=60)
    assert running.returncode == 143
    assert ends(pid)


def test_workers_die_with_a_killed_engine(app: FlowApp) -> None:
    app.write(
        "class Forks(Worker):\n    def run(self):\n"
        "        if os.fork() == 0:\n            os.setsid()\n"
        "            if os.fork() == 0:\n                os.setpgid(0, 0)\n"
        "                mark(f'child {os.getpid()}')\n                wait_for('never')\n"
        "            os._exit(0)\n"
        "        mark(f'waits {os.getpid()}')\n        wait_for('never')\n"
    )
    app.rows("1|-1|Mark|one", "2|1|Forks")
    running = app.start()
    pids = [int(app.wait_mark(name).split()[1]) for name in ("waits", "child")]
    running.kill()
    running.communicate(timeout=60)
    assert all(ends(pid) for pid in pids)
    app.write("class Forks(Worker):\n    def run(self):\n        pass\n")
    app.run("-r")
    assert app.marks().count("one") == 1, "what was complete stays so"


def test_a_second_run_is_refused_and_harms_nobody(app: FlowApp) -> None:
    app.rows("1|-1|Waits|go")
    running = app.start()
    pid = app.wait_mark("waits").split()[1]
    for _ in range(2):
        app.run(status=3)
    app.touch("go")
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert app.marks() == [f"waits {pid}"]


def test_a_time_out_stops_a_worker_that_hangs(app: FlowApp) -> None:
    app.rows("1|-1|Waits|never", "2|-1|Mark|yes", "3|1|Mark|no")
    said = app.run("--timeout", "1", status=1)
    assert app.states() == {1: "F", 2: "C", 3: "D"}
    assert ends(int(app.wait_mark("waits").split()[1]))
    assert re.search("time", said)


def test_a_time_out_holds_when_the_helper_hangs(app: FlowApp) -> None:
    """Whose child the Worker is: nobody else could say that it has ended."""
    app.write(
        "class Stops(Worker):\n    def run(self):\n        mark(f'stops {os.getpid()}')\n"
        "        os.kill(os.getppid(), signal.SIGSTOP)\n        time.sleep(600)\n"
    )
    app.rows("1|-1|Stops", "2|-1|Mark|yes", "3|-1|Waits|go")
    running = app.start("--timeout", "5")
    pid = int(app.wait_mark("stops").split()[1])
    said = running.communicate(timeout=100)[0]
    assert running.returncode == 1, said
    assert app.states()[1] == "F"
    assert "took longer than 5 s" in said
    assert ends(pid)


# ---- what Workers do to others ----


def test_an_import_that_kills_the_helper_fails_that_node(app: FlowApp) -> None:
    (app.workers / "deadly.py").write_text("import os\nos._exit(0)\n")
    app.rows(
        "1|-1|Waits|go",
        "2|-1|1|0|deadly|deadly|Any||",
        "3|2|Mark|no",
        "4|-1|2|0|deadly again|deadly|Any||",
        "5|-1|Mark|yes",
    )
    running = app.start()
    app.wait_mark("waits")
    app.wait_mark("yes")
    app.touch("go")
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 1, said
    assert app.states() == {1: "C", 2: "F", 3: "D", 4: "F", 5: "C"}


def test_whose_import_killed_the_helper_is_known_whenever_it_is_read(app: FlowApp) -> None:
    """The runner is stopped from before the import until the helper is gone."""
    app.write(
        "STOPPED = Path(os.environ['APP_ROOT_DIR'], 'stopped')\n"
        "def field(pid, number):\n"
        "    return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[number]\n"
        "if not STOPPED.exists():\n"
        "    runner = int(field(os.getppid(), 1))\n"
        "    while field(runner, 0) != 'S':\n"  # it has told all that it has to
        "        pass\n"
        "    os.kill(runner, signal.SIGSTOP)\n"
        "    STOPPED.write_text(str(os.getpid()))\n"
    )
    (app.workers / "deadly.py").write_text(
        "import os\nfrom workers import mark\nmark('dies')\nos._exit(0)\n"
    )
    app.rows("1|-1|Quiet", "2|-1|1|0|deadly|deadly|Any||", "3|-1|Mark|yes", "4|-1|Mark|on")
    running = app.start()
    app.wait_mark("dies")
    assert ends(int((app.folder / "stopped").read_text()))
    running.send_signal(signal.SIGCONT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 1, said
    assert app.states() == {1: "C", 2: "F", 3: "C", 4: "C"}
    assert app.marks().count("dies") == 1
    assert "the import of its module ended the Python helper" in said


def test_an_import_that_hangs_is_given_up(app: FlowApp) -> None:
    (app.workers / "hangs.py").write_text("import time\ntime.sleep(600)\n")
    app.rows("1|-1|Quiet", "2|1|1|0|hangs|hangs|Any||", "3|1|Mark|yes")
    app.run("--import-timeout", "1", status=1)
    assert app.states() == {1: "C", 2: "F", 3: "C"}
    assert app.marks() == ["yes"]


def test_a_worker_may_close_all_descriptors(app: FlowApp) -> None:
    app.write(
        "class Closes(Worker):\n    def run(self):\n        os.closerange(0, 1024)\n"
        "        self.logger.info('closed')\n        return int(self.argv[0])\n"
    )
    app.rows("1|-1|Closes|0", "2|-1|Closes|5", "3|1|Mark|yes")
    app.run(status=1)
    assert app.states() == {1: "C", 2: "F", 3: "C"}
    assert " - closed" in app.log(1)


def test_a_full_disk_fails_what_writes_and_nothing_else(app: FlowApp) -> None:
    app.write(
        "class Full(Worker):\n    def run(self):\n"
        "        with open('/dev/full', 'w') as file:\n            file.write('x')\n"
    )
    app.rows("1|-1|Full", "2|-1|Mark|yes")
    said = app.run(status=1)
    assert "No space left on device" in said
    assert "No space left on device" in app.log(1)
    assert app.states() == {1: "F", 2: "C"}


def test_processes_that_a_worker_leaves_are_gone(app: FlowApp) -> None:
    app.write(
        "class Leaves(Worker):\n    def run(self):\n        if os.fork() == 0:\n"
        "            mark(f'left {os.getpid()}')\n            wait_for('never')\n"
        "        while 'left' not in (MARKS.read_text() if MARKS.exists() else ''):\n"
        "            time.sleep(0.01)\n"
    )
    app.rows("1|-1|Leaves")
    app.run()
    assert ends(int(app.wait_mark("left").split()[1]))


# ---- the context ----


def test_the_context_is_seen_at_once_by_who_runs(app: FlowApp) -> None:
    app.write(
        "class Puts(Worker):\n    def run(self):\n        self.context['a'] = [1]\n"
        "        while 'b' not in self.context:\n            time.sleep(0.01)\n\n\n"
        "class Answers(Worker):\n    def run(self):\n        while 'a' not in self.context:\n"
        "            time.sleep(0.01)\n        self.context['b'] = self.context['a'] + [2]\n\n\n"
        "class Reads(Worker):\n    def run(self):\n"
        "        mark(sorted(self.context.items()))\n"
        "        mark(self.context.get('absent', 'default'))\n"
        "        self.context['absent']\n"
    )
    app.rows("1|-1|Puts", "2|-1|Answers", "3|1,2|Reads")
    said = app.run(status=1)
    assert app.marks() == ["[('a', [1]), ('b', [1, 2])]", "default"]
    assert "KeyError: 'absent'" in said


def test_cvar_presets_a_text_with_all_its_equals_signs(app: FlowApp) -> None:
    app.write("class Reads(Worker):\n    def run(self):\n        mark(self.context['NAME'])\n")
    app.rows("1|-1|Reads")
    app.run("--cvar", "NAME=a=b=c")
    assert app.marks() == ["a=b=c"]


def test_counting_and_locking_in_many_nodes(app: FlowApp) -> None:
    app.write(
        "class Counts(Worker):\n    def run(self):\n        for _ in range(10):\n"
        "            self.context.incr('n')\n"
        "            with self.context.lock():\n"
        "                self.context['m'] = self.context.get('m', 0) + 1\n\n\n"
        "class Reads(Worker):\n    def run(self):\n"
        "        mark((self.context['n'], self.context['m']))\n"
    )
    app.rows(*(f"{n}|-1|Counts" for n in range(1, 9)), "9|1,2,3,4,5,6,7,8|Reads")
    app.run()
    assert app.marks() == ["(80, 80)"]


def test_the_lock_of_a_killed_worker_is_let_go(app: FlowApp) -> None:
    app.write(
        "class Holds(Worker):\n    def run(self):\n        self.context.lock().acquire()\n"
        "        mark('held')\n        os.kill(os.getpid(), signal.SIGKILL)\n\n\n"
        "class Takes(Worker):\n    def run(self):\n        wait_for('marks')\n"
        "        with self.context.lock():\n            mark('taken')\n"
    )
    app.rows("1|-1|Holds", "2|-1|Takes")
    app.run(status=1)
    assert app.marks() == ["held", "taken"]


def test_values_that_cannot_be_stored_fail_their_attempt_only(app: FlowApp) -> None:
    app.write(
        "class Lambda(Worker):\n    def run(self):\n        self.context['x'] = lambda: 1\n\n\n"
        "class Big(Worker):\n    def run(self):\n        self.context['big'] = b'x' * 100_000_000\n"
        "\n\nclass Reads(Worker):\n    def run(self):\n        mark(len(self.context['big']))\n"
    )
    app.rows("1|-1|Lambda", "2|-1|Big", "3|2|Reads")
    said = app.run(status=1)
    assert "context['x']: a value of type function cannot be stored" in said
    assert app.states()[1] == "F"
    assert app.marks() == ["100000000"]


# ---- logs ----


def test_what_is_printed_is_in_the_log_between_its_banners(app: FlowApp) -> None:
    app.write(
        "class Says(Worker):\n    def run(self):\n        print('printed')\n"
        "        os.system('echo of a program; echo of its errors >&2')\n"
        "        self.logger.info('logged')\n"
    )
    app.rows("1|-1|Says")
    app.run()
    lines = app.log(1).splitlines()
    assert lines[1:4] == ["printed", "of a program", "of its errors"]
    assert re.fullmatch(r"INFO - \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} - logged", lines[4])
    assert "starts" in lines[0]
    assert "completed" in lines[5]


def test_two_nodes_of_one_log_write_whole_lines(app: FlowApp) -> None:
    app.write(
        "class Says(Worker):\n    def run(self):\n        for _ in range(200):\n"
        "            self.logger.info(self.argv[0] * 1000)\n"
    )
    both = "$ENV{APP_LOG_DIR}/both.log"
    app.rows(f"1|-1|1|0|a|workers|Says|a|{both}", f"2|-1|1|0|b|workers|Says|b|{both}")
    app.run()
    (path,) = app.folder.glob("logs/*/both.log")
    texts = [
        line.rpartition(" - ")[2]
        for line in path.read_text().splitlines()
        if line.startswith("INFO")
    ]
    assert sorted(texts) == ["a" * 1000] * 200 + ["b" * 1000] * 200


def test_a_log_folder_that_is_not_there_is_made(app: FlowApp) -> None:
    """The original runs such a node without a log."""
    app.rows("1|-1|1|0|a|workers|Quiet||$ENV{APP_LOG_DIR}/deep/er/one.log")
    app.run()
    assert list(app.folder.glob("logs/*/deep/er/one.log"))


def test_an_empty_logfile_has_a_default(app: FlowApp) -> None:
    """The original ends with 99."""
    app.rows("1|-1|1|0|a|workers|Quiet||")
    app.run()
    assert "completed" in app.log(1)


# ---- restarts ----


def test_a_restart_runs_what_is_not_complete_and_brings_the_context(app: FlowApp) -> None:
    app.write(
        "class Puts(Worker):\n    def run(self):\n        mark('puts')\n"
        "        self.context['day'] = {'is': 'monday'}\n\n\n"
        "class Uses(Worker):\n    def run(self):\n"
        "        self.context['tried'] = self.context.get('tried', 0) + 1\n"
        "        wait = Path(os.environ['APP_ROOT_DIR'], 'now').exists()\n"
        "        mark(self.context['day']['is'])\n        return 0 if wait else 1\n\n\n"
        "class Ends(Worker):\n    def run(self):\n        mark(self.context['tried'])\n"
    )
    app.rows("1|-1|Puts", "2|1|Uses", "3|2|Ends")
    app.run(status=1)
    for _ in range(2):
        app.run("-r", status=1)
    app.touch("now")
    app.run("-r")
    assert app.marks() == ["puts"] + ["monday"] * 4 + ["4"], "what a failed attempt wrote stays"


def test_without_r_all_is_forgotten(app: FlowApp) -> None:
    app.write(
        "class Puts(Worker):\n    def run(self):\n        mark(self.context.get('was'))\n"
        "        self.context['was'] = 'there'\n"
    )
    app.rows("1|-1|Puts", "2|1|Fails")
    app.run(status=1)
    said = app.run(status=1)
    assert app.marks() == ["None", "fails", "None", "fails"]
    assert "-r" in said or "before" in said, "a note says that there was a state"


def test_after_a_success_r_is_a_fresh_run(app: FlowApp) -> None:
    app.rows("1|-1|Mark|one")
    app.run("-r")
    app.run("-r")
    assert app.marks() == ["one", "one"]


def test_an_edited_list_counts_on_restart(app: FlowApp) -> None:
    """The original looks at what it wrote down at the first run."""
    app.rows("1|-1|Mark|one", "2|1|Fails", "3|2|Mark|three")
    app.run(status=1)
    app.rows("1|-1|Mark|one again", "2|1|Mark|two", "3|2|Mark|three", "4|3|Mark|four")
    said = app.run("-r")
    assert app.marks() == ["one", "fails", "two", "three", "four"]
    assert re.search(r"\b1\b.*", said), "a notice names the completed row that was edited"


def test_a_comma_in_quotes_survives_a_restart(app: FlowApp) -> None:
    """The original makes two arguments of it."""
    app.write(
        "class Shows(Worker):\n    def run(self):\n        mark(self.argv)\n"
        "        return 0 if Path(os.environ['APP_ROOT_DIR'], 'now').exists() else 1\n"
    )
    app.rows('1|-1|1|0|a|workers|Shows|"a, b",c|')
    app.run(status=1)
    app.touch("now")
    app.run("-r")
    assert app.marks() == ["['a, b', 'c']"] * 2


def test_completed_nodes_run_again_when_they_are_named(app: FlowApp) -> None:
    app.rows("1|-1|Mark|1", "2|1|Mark|2", "3|2|Mark|3", "4|3|FailsUnless|now")
    app.run(status=1)
    app.touch("now")
    app.run("-r", "--from", "2")
    assert app.marks() == ["1", "2", "3", "now", "2", "3", "now"]


def test_selections(app: FlowApp) -> None:
    rows = ["1|-1|Mark|1", "2|1|Mark|2", "3|2|Mark|3", "4|1|Mark|4"]
    for options, ran in [
        (["-x", "2,4"], {"2", "4"}),
        (["-N", "2"], {"1", "3", "4"}),
        (["--to", "2"], {"1", "2"}),
        (["--descendants", "2"], {"2", "3"}),
        (["--exec-proc-name", "Mark 3"], {"3"}),
    ]:
        app.rows(*rows)
        (app.folder / "marks").unlink(missing_ok=True)
        app.run(*options)
        assert set(app.marks()) == ran, options
    for options in (["-x", "9"], ["-N", "9"], ["-A", "9"], ["-D", "9"]):
        app.run(*options, status=2)


# ---- names ----


def test_penstock_worker_works_as_well(app: FlowApp) -> None:
    (app.workers / "other.py").write_text(
        "from penstock import ShellWorker, Worker\n\n\n"
        "class Mine(Worker):\n    def run(self):\n        self.context['x'] = 1\n\n\n"
        "class Shell(ShellWorker):\n    pass\n"
    )
    app.rows("1|-1|1|0|a|other|Mine||", '2|1|1|0|b|other|Shell|"echo it says, $0",hi|')
    app.run()
    assert " - it says, hi\n" in app.log(2)


def test_shell_workers_of_pyrunner(app: FlowApp) -> None:
    app.rows("1|-1|ShellWorker|echo hello", "2|1|ShellWorker|exit 9")
    app.run(status=1)
    assert app.states() == {1: "C", 2: "F"}
    assert " - hello\n" in app.log(1)


def test_variables_are_there_when_a_module_is_imported(app: FlowApp) -> None:
    (app.workers / "early.py").write_text(
        "import os\nfrom pyrunner import Worker\n\nLOGS = os.environ['APP_LOG_DIR']\n"
        "assert os.path.isdir(LOGS) and os.path.isdir(os.environ['APP_TEMP_DIR'])\n\n\n"
        "class Early(Worker):\n    def run(self):\n"
        "        assert LOGS == os.environ['APP_LOG_DIR']\n"
        "        assert os.environ['OUTER'] == 'kept'\n"
    )
    app.rows("1|-1|1|0|a|early|Early||")
    app.run(OUTER="kept")
