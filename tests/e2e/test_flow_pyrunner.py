"""An application's folder as PyRunner's users have it, unchanged; drivers; a new application."""

from __future__ import annotations

import contextlib
import http.server
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness.flow_app import FlowApp, clean
from harness.server_process import binary

# As their documentation shows it: classes, the folder python, paths and log names. What it leaves
# to the reader is filled in: two addresses, a table, a file. pandas is a module of ours here.
WORKERS = """\
import urllib.request
import pandas as pd
from datetime import datetime
from pyrunner import Worker

LANDING = '{landing}'
URL = '{url}'

def emit_slack_message(message):
  with open(LANDING + '/slack', 'a') as f:
    f.write(message + '\\n')

def load_to_mysql(df):
  with open(LANDING + '/mysql', 'a') as f:
    f.write(df)

def write_as_parquet(df, path):
  with open(path, 'w') as f:
    f.write(df)

# Broadcast job start notification
class Start(Worker):
  def run(self):
    self.logger.info('Starting example batch process')

    run_date_str = datetime.now().strftime('%Y-%m-%d')
    emit_slack_message('Starting daily data download for {{}}'.format(run_date_str))

    self.context['run_date_str'] = run_date_str

# Download data file 1
class DownloadFile1(Worker):
  def run(self):
    self.logger.info('Initiating File Download 1')
    urllib.request.urlretrieve(URL + '/data1.csv', LANDING + '/data1.csv')

# Download data file 2
class DownloadFile2(Worker):
  def run(self):
    self.logger.info('Initiating File Download 2')
    urllib.request.urlretrieve(URL + '/data2.csv', LANDING + '/data2.csv')

# Load file 1 to MYSQL
class LoadMySQL(Worker):
  def run(self):
    self.logger.info('Loading MySQL table')
    df = pd.read_csv(LANDING + '/data1.csv')
    load_to_mysql(df)

# Write file 2 as parquet
class WriteParquet(Worker):
  def run(self):
    self.logger.info('Writing Parquet file')

    run_date_str = self.context['run_date_str']
    df = pd.read_csv(LANDING + '/data2.csv')
    write_as_parquet(df, LANDING + '/extract_{{}}.parquet'.format(run_date_str))

# Broadcast job end notification
class End(Worker):
  def run(self):
    self.logger.info('Completed example batch process')
    run_date_str = self.context['run_date_str']
    emit_slack_message('Successfully completed daily data download for {{}}'.format(run_date_str))
"""
LIST = """\
#PYTHON
#ID|PARENT_IDS|MAX_ATTEMPTS|RETRY_WAIT_TIME|PROCESS_NAME          |MODULE_NAME|WORKER_NAME  |ARGUMENTS|LOGFILE
1  |-1        |1           |0              |Start Job Notification|workers    |Start        |         |$ENV{APP_LOG_DIR}/start.log
2  |1         |1           |0              |Download File 1       |workers    |DownloadFile1|         |$ENV{APP_LOG_DIR}/download_1.log
3  |1         |1           |0              |Download File 2       |workers    |DownloadFile2|         |$ENV{APP_LOG_DIR}/download_2.log
4  |2         |1           |0              |Load MySQL Table      |workers    |LoadMySQL    |         |$ENV{APP_LOG_DIR}/load_mysql.log
5  |3         |1           |0              |Write Parquet File    |workers    |WriteParquet |         |$ENV{APP_LOG_DIR}/write_parquet.log
6  |4,5       |1           |0              |End Job Notification  |workers    |End          |         |$ENV{APP_LOG_DIR}/end.log
"""  # noqa: E501
PANDAS = """\
import os, time
with open(os.path.dirname(__file__) + '/imported', 'a') as f:
  f.write('x')
time.sleep(0.2)
def read_csv(path):
  return open(path).read()
"""


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[str]:
    """Files over HTTP, on loopback."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[FlowApp]:
    app = FlowApp(tmp_path, "my_sample_app")
    served, landing = tmp_path / "served", tmp_path / "landing"
    served.mkdir()
    landing.mkdir()
    with provider(served) as url:
        (served / "data1.csv").write_text("a,b\n1,2\n")
        (app.workers / "workers.py").write_text(WORKERS.format(landing=landing, url=url))
        (app.workers / "pandas.py").write_text(PANDAS)
        app.list.write_text(LIST)
        yield app


def test_the_sample_fails_and_goes_on_where_it_stopped(sample: FlowApp, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    said = sample.run(status=1)
    assert "HTTP Error 404" in said
    assert sample.states() == {1: "C", 2: "C", 3: "F", 4: "C", 5: "D", 6: "D"}
    (tmp_path / "served" / "data2.csv").write_text("c,d\n3,4\n")
    sample.run("-r")
    day = time.strftime("%Y-%m-%d")
    assert (landing / "slack").read_text().splitlines() == [
        f"Starting daily data download for {day}",
        f"Successfully completed daily data download for {day}",
    ]
    assert (landing / "mysql").read_text() == "a,b\n1,2\n", "loaded once"
    assert (landing / f"extract_{day}.parquet").read_text() == "c,d\n3,4\n"
    assert (sample.workers / "imported").read_text() == "xx", "imported once a run"
    logs = sample.folder / "logs" / day
    assert sorted(path.name for path in logs.glob("*.log")) == [
        "download_1.log",
        "download_2.log",
        "end.log",
        "load_mysql.log",
        "start.log",
        "write_parquet.log",
    ]
    assert " - Initiating File Download 2\n" in (logs / "download_2.log").read_text()
    assert not list(sample.folder.glob("temp/*.ctllog")), "nothing is left to go on from"


def test_the_picture_of_the_sample(sample: FlowApp) -> None:
    said = sample.flow("graph", "--format", "dot").stdout
    for edge in ("1 -> 2", "1 -> 3", "2 -> 4", "3 -> 5", "4 -> 6", "5 -> 6"):
        assert edge in said.replace("n", "").replace('"', "")


def test_the_states_of_a_failed_run_are_told(sample: FlowApp) -> None:
    sample.run(status=1)
    rows = [
        [field.strip() for field in line.split("|")]
        for line in next(sample.folder.glob("temp/*.ctllog")).read_text().splitlines()
        if line[:1] != "#"
    ]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[5][1] == "4,5"
    assert all(len(row[5].split(":")) == 3 for row in rows if row[4] == "C")
    assert rows[2][6] == "Download File 2"


# ---- a new application ----


def penstock(folder: Path, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120, **more}
    return subprocess.run(
        [binary(), *args], cwd=folder, env=FlowApp.python(clean()), check=False, **options
    )


def test_a_new_application_runs_at_once(tmp_path: Path) -> None:
    done = penstock(tmp_path, "flow", "setup", "My App")
    assert done.returncode == 0, done.stderr
    root = tmp_path / "my_app"
    made = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert made == ["config/app_profile", "config/my_app.lst", "my_app.py", "workers/steps.py"]
    done = penstock(tmp_path, "flow", "run", "my_app/config/my_app.lst")
    assert done.returncode == 0, done.stderr
    (log,) = root.glob("logs/*/end.log")
    assert "SUCCESS - " in log.read_text()
    assert "counted 2" in log.read_text()
    done = subprocess.run(
        [sys.executable, "my_app/my_app.py", "-n", "1"],
        cwd=tmp_path,
        env={**FlowApp.python(clean()), "PENSTOCK_BIN": binary()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_new_application_asks_for_what_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = penstock(tmp_path, "flow", "setup", input="asked\nthere\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "asked" / "config" / "asked.lst").exists()
    assert penstock(tmp_path, "flow", "setup", input="").returncode == 2


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["there"], "is there already"),
        (["a/b"], "has others"),
        ([""], "1 to 64"),
        (["x" * 65], "1 to 64"),
        (["penstock"], "is the name of a module"),
        (["x", "no/such/folder"], "No such file"),
    ],
)
def test_what_a_new_application_cannot_be_called(
    tmp_path: Path, args: list[str], says: str
) -> None:
    (tmp_path / "there").mkdir()
    done = penstock(tmp_path, "flow", "setup", *args)
    assert done.returncode != 0
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_variables_of_a_list(tmp_path: Path) -> None:
    app = FlowApp(tmp_path)
    done = app.flow("variables", "--env", "APP_VERSION=7")
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told["APP_NAME"] == "app"
    assert told["APP_VERSION"] == "7"
    assert told["APP_WORKER_DIR"] == str(app.workers)
    assert all(name.startswith("APP_") for name in told)
    done = app.flow("variables", "-0")
    assert (
        dict(text.split("=", 1) for text in done.stdout.split("\0") if text).keys() == told.keys()
    )


# ---- drivers ----


class Driver:
    """A script beside an application, run with this Python."""

    def __init__(self, app: FlowApp) -> None:
        self.app = app
        self.script = app.folder / "main.py"

    def write(self, text: str, made: str = "proc_file=LIST") -> None:
        self.script.write_text(
            "import os, sys\nfrom penstock.flow import NodeRegister, PyRunner\n\n"
            f"LIST = {str(self.app.list)!r}\n"
            f"def mark(text):\n    with open({str(self.app.folder / 'marks')!r}, 'a') as file:\n"
            f"        file.write(str(text) + '\\n')\n\n\n"
            f"app = PyRunner({made})\n{text}\nsys.exit(app.run())\n"
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.script), *args],
            cwd=self.app.folder,
            env={**FlowApp.python(clean()), "PENSTOCK_BIN": binary()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str, status: int = 0) -> str:
        child = self.start(*args)
        said = child.communicate(timeout=120)[0]
        assert child.returncode == status, said
        return said


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(FlowApp(tmp_path))


HOOKS = "".join(
    f"app.on_{name}(lambda: mark('{name}'))\n"
    for name in ("create", "restart", "start", "success", "fail", "destroy")
)


def test_hooks_of_a_driver(driver: Driver) -> None:
    app = driver.app
    app.rows("1|-1|FailsUnless|now")
    driver.write(HOOKS)
    driver.run("-r", status=1)
    assert app.marks() == ["create", "start", "now", "fail", "destroy"], "nothing to go on from yet"
    app.touch("now")
    (app.folder / "marks").unlink()
    driver.run("-r")
    assert app.marks() == ["restart", "start", "now", "success", "destroy"]
    (app.folder / "marks").unlink()
    driver.run()
    assert app.marks() == ["create", "start", "now", "success", "destroy"]


def test_no_hook_runs_after_an_abort(driver: Driver) -> None:
    app = driver.app
    app.rows("1|-1|Waits|never")
    driver.write(HOOKS)
    child = driver.start()
    app.wait_mark("waits")
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == 143
    assert app.marks()[:2] == ["create", "start"]
    assert len(app.marks()) == 3
    assert app.states() == {1: "A"}


def test_a_signal_from_a_person_at_the_terminal_comes_once(driver: Driver) -> None:
    """It goes to the whole group there; passed on again it would be the second one."""
    app = driver.app
    app.write(
        "class Counts(Worker):\n    def run(self):\n"
        "        signal.signal(signal.SIGTERM, lambda *_: (mark('terminated'), sys.exit(1)))\n"
        "        mark('waits')\n        wait_for('never')\n"
    )
    app.rows("1|-1|Counts")
    driver.write("")
    pid, terminal = os.forkpty()
    if not pid:
        os.chdir(app.folder)
        os.environ.update(FlowApp.python({"PENSTOCK_BIN": binary()}))
        os.execv(sys.executable, [sys.executable, str(driver.script)])
    app.wait_mark("waits")
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # its end
        while os.read(terminal, 1000):
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)
    assert "terminated" in app.marks()


def test_the_context_goes_there_and_comes_back(driver: Driver) -> None:
    app = driver.app
    app.write(
        "class Uses(Worker):\n    def run(self):\n"
        "        self.context['out'] = self.context['in'] + [self.context['key']]\n"
    )
    app.rows("1|-1|Uses")
    driver.write(
        "app.context['in'] = [1]\napp.context.set('key', 'k')\n"
        "app.on_success(lambda: mark(sorted(app.context.items())))\n"
    )
    driver.run()
    assert app.marks() == ["[('in', [1]), ('key', 'k'), ('out', [1, 'k'])]"]


def test_nodes_that_are_added(driver: Driver) -> None:
    app = driver.app
    driver.write(
        "app.config['app_name'] = 'made'\n"
        "add = app.add_node\n"
        "add(name='last', module='workers', worker='Mark', dependencies=['two', 'one'],"
        " arguments=['a, b'], logfile='$ENV{APP_LOG_DIR}/last.log')\n"
        "add(name='one', module='workers', worker='Mark', arguments='1')\n"
        "add(name='two', module='workers', worker='FailsUnless', arguments=['now'],"
        " max_attempts=2, retry_wait_time=0)\n",
        made="",
    )
    driver.run(status=1)
    assert sorted(app.marks()) == ["1", "now", "now"]
    app.touch("now")
    driver.run("-r")
    assert app.marks()[3:] == ["now", "a, b"]
    assert list(app.folder.glob("logs/*/last.log"))


def test_a_time_out_of_an_added_node(driver: Driver) -> None:
    driver.write(
        "app.add_node(name='hangs', module='workers', worker='Waits', arguments=['never'],"
        " timeout=0.5, logfile='hangs.log')\n",
        made="",
    )
    driver.run(status=1)


def test_selections_of_a_driver(driver: Driver) -> None:
    app = driver.app
    app.rows("1|-1|Mark|1", "2|1|Mark|2", "3|2|Mark|3", "4|1|Mark|4")
    for call, ran in [
        ("exec_only([2, 4])", {"2", "4"}),
        ("exec_disable([2])", {"1", "3", "4"}),
        ("exec_to(2)", {"1", "2"}),
        ("exec_from(2)", {"2", "3"}),
    ]:
        (app.folder / "marks").unlink(missing_ok=True)
        driver.write(f"app.{call}")
        driver.run()
        assert set(app.marks()) == ran, call


def test_command_lines_of_a_driver(driver: Driver) -> None:
    app = driver.app
    app.write(
        "class Shows(Worker):\n    def run(self):\n"
        "        mark(os.environ['APP_X'] + self.context['c'])\n"
    )
    app.rows("1|-1|Shows", "2|-1|Mark|no")
    driver.write("", made="")
    driver.run("-l", str(app.list), "-x", "1", "--env", "APP_X=a=b", "--cvar", "c=d=e")
    assert app.marks() == ["a=bd=e"]
    assert "usage" in driver.run("--nonsense", status=2)
    driver.write("", made="proc_file=LIST, parse_args=False, options=['-x', '2']")
    driver.run("--nonsense")
    assert app.marks()[-1] == "no"


def test_a_bad_list_is_told_and_no_hook_runs_after_it(driver: Driver) -> None:
    app = driver.app
    app.rows("1|-1|Mark|x", "2|9|Mark|x")
    driver.write("app.on_fail(lambda: mark('fail'))\napp.on_destroy(lambda: mark('destroy'))")
    said = driver.run(status=2)
    assert "PARENT_IDS" in said
    assert app.marks() == []


def test_what_a_driver_cannot_do_is_said_at_once(driver: Driver) -> None:
    for text, says in [
        ("", "no nodes"),
        ("app.add_node(name='a', module='m')", "lacks worker"),
        ("app.add_node(name='a', module='m', worker='W', colour='red')", "has no colour"),
        ("for _ in '12': app.add_node(name='a', module='m', worker='W')", "a node a already"),
        ("app.config['no_such'] = 1", "KeyError: 'no_such'"),
    ]:
        driver.write(text, made="")
        assert says in driver.run(status=1)
    driver.app.rows("1|-1|Quiet")
    driver.write("app.add_node(name='a', module='m', worker='W')")
    assert "not both" in driver.run(status=1)


def test_plugins(driver: Driver) -> None:
    app = driver.app
    app.list.write_text("Mark one\nMark two\n")
    driver.write(
        "class Reader:\n    def deserialize(self, proc_file, restart=False):\n"
        "        register = NodeRegister()\n        for line in open(proc_file):\n"
        "            worker, word = line.split()\n"
        "            register.add_node(name=word, module='workers', worker=worker,"
        " arguments=[word], dependencies=['one'] if word == 'two' else [])\n"
        "        return register\n\n\n"
        "class Notifier:\n    def emit_notification(self, config, register):\n"
        "        mark([config['app_name'], len(register), os.path.isdir(config['log_dir'])])\n"
        "\n\napp.plugin_serde(Reader())\napp.plugin_notification(Notifier())\n"
    )
    driver.run()
    assert app.marks() == ["one", "two", "['app', 2, True]"]


def test_the_context_file_of_the_command(tmp_path: Path) -> None:
    app = FlowApp(tmp_path)
    app.write("class Adds(Worker):\n    def run(self):\n        self.context.incr('n', 2)\n")
    app.rows("1|-1|Adds")
    path = tmp_path / "context"
    path.write_bytes(pickle.dumps({"n": 40}))
    app.run("--context", str(path))
    assert pickle.loads(path.read_bytes()) == {"n": 42}
    app.rows("1|-1|Mark|again")
    for wrong, why in ((b"nonsense", "cannot be read"), (pickle.dumps([1]), "but a list")):
        path.write_bytes(wrong)
        done = app.flow("run", "--context", str(path), **app.python({}))
        assert done.returncode == 2, "nothing was touched"
        assert str(path) in done.stderr
        assert why in done.stderr
        assert app.marks() == []
        assert path.read_bytes() == wrong
