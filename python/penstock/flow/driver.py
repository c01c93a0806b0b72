"""PyRunner: a flow run from a script, with its hooks, as PyRunner's users write their drivers.

It starts `penstock flow run` and waits for it: what a flow is and how it is kept is the program's
business. The context goes there and comes back in a file.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ..embedded import program
from .config import Config
from .context import Keys
from .context_file import read_file, write_file
from .register import NodeRegister

Hook = Callable[[], Any]

INVALID = 2
# What the program ends with when it was stopped, or did not begin: no hook runs then.
STOPPED = (128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM)
NOT_RUN = (INVALID, 3, 70)
# From the terminal a signal goes to the whole group.
SI_KERNEL = 0x80


class ListReader(Protocol):
    """What plugin_serde takes."""

    def deserialize(self, proc_file: str, restart: bool = False) -> NodeRegister: ...


class Notifier(Protocol):
    """What plugin_notification takes."""

    def emit_notification(self, config: Config, register: NodeRegister) -> Any: ...


class DriverContext(dict):  # type: ignore[type-arg]
    """The context outside of the run: what is put in before it is there for the nodes, and what is
    there at its end is here."""

    #: Whether a node's get of what is not there asks at the terminal.
    interactive = False

    @property
    def keys(self) -> Keys:  # type: ignore[override]
        return Keys(self)

    def set(self, key: Any, value: Any) -> None:
        self[key] = value

    def has_key(self, key: Any) -> bool:
        return key in self


class PyRunner:
    """A flow: a task list, or nodes that are added here.

    With `parse_args` the options of the script's command line count, those of `penstock flow run`.
    `options` are further ones of that command. A wrong command line ends the program, status 2.
    """

    def __init__(
        self,
        *,
        config_file: str | os.PathLike[str] | None = None,
        proc_file: str | os.PathLike[str] | None = None,
        restart: bool = False,
        parse_args: bool = True,
        options: Sequence[str] = (),
    ) -> None:
        self.config = Config()
        self.config["config_file"] = config_file
        self.config["proc_file"] = proc_file
        self.config["restart"] = restart
        self.context = DriverContext()
        self.register = NodeRegister()
        self._options = list(options)
        self._environment: list[str] = []
        self._hooks: dict[str, Hook] = {}
        self._reader: ListReader | None = None
        self._notifier: Notifier | None = None
        if parse_args:
            self._take(_parser().parse_args())

    # ---- what it is to do ----

    def add_node(self, **node: Any) -> bool:
        """See NodeRegister.add_node."""
        return self.register.add_node(**node)

    def exec_only(self, ids: Iterable[int]) -> None:
        self.config["exec_only_list"] = [int(number) for number in ids]

    def exec_disable(self, ids: Iterable[int]) -> None:
        self.config["exec_disable_list"] = [int(number) for number in ids]

    def exec_to(self, number: int) -> None:
        self.config["exec_to_id"] = number

    def exec_from(self, number: int) -> None:
        self.config["exec_from_id"] = number

    def plugin_serde(self, reader: ListReader) -> None:
        """Reads proc_file in place of the program; it returns a NodeRegister."""
        self._reader = reader

    def plugin_notification(self, notifier: Notifier) -> None:
        """Is called at the end in place of the mail."""
        self._notifier = notifier

    def on_create(self, hook: Hook) -> Hook:
        """Before a run that begins anew. All of these may be used as decorators."""
        return self._hook("create", hook)

    def on_restart(self, hook: Hook) -> Hook:
        """Before a run that goes on from a point of failure."""
        return self._hook("restart", hook)

    def on_start(self, hook: Hook) -> Hook:
        """Before both, after those."""
        return self._hook("start", hook)

    def on_success(self, hook: Hook) -> Hook:
        """When all selected nodes are completed."""
        return self._hook("success", hook)

    def on_fail(self, hook: Hook) -> Hook:
        """When one has failed."""
        return self._hook("fail", hook)

    def on_destroy(self, hook: Hook) -> Hook:
        """At the end, after those; not when the run was stopped."""
        return self._hook("destroy", hook)

    # ---- run ----

    def run(self) -> int:
        """Runs it; returns the status of `penstock flow run`: 0 when all is completed, 1 when a
        node failed. ValueError: there are no nodes, or both a list and added ones."""
        with tempfile.TemporaryDirectory(prefix="penstock-flow-") as folder:
            where = self._list(Path(folder))
            self.config.variables = self._variables(where)
            if not self.config.variables:
                return INVALID
            self.config["app_start_time"] = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
            return self._run(where, os.path.join(folder, "context"))

    execute = run

    @property
    def restart(self) -> bool:
        return bool(self.config["restart"])

    def _run(self, where: list[str], context_file: str) -> int:
        if self.config["dryrun"]:
            return _wait(self._start([*self._command(where)]))
        self._call("restart" if self._is_restart() else "create")
        self._call("start")
        write_file(context_file, dict(self.context.items()))
        status = _wait(self._start([*self._command(where), "--context", context_file]))
        values = read_file(context_file)
        self.context.clear()
        self.context.update(values)
        if status in STOPPED or status in NOT_RUN or status < 0:
            return status
        self._call("fail" if status else "success")
        self._call("destroy")
        wanted = self.config["email_on_fail" if status else "email_on_success"]
        if self._notifier is not None and wanted:
            self._notifier.emit_notification(self.config, self.register)
        return status

    def _hook(self, name: str, hook: Hook) -> Hook:
        self._hooks[name] = hook
        return hook

    def _call(self, name: str) -> None:
        hook = self._hooks.get(name)
        if hook is not None:
            hook()

    def _list(self, folder: Path) -> list[str]:
        """The options that say where the list is, and what is named after its place."""
        given = self.config["proc_file"]
        register = self.register
        if given and register.tasks:
            raise ValueError("a flow has a task list, or nodes that are added, not both")
        if given and self._reader is not None:
            register = self.register = self._reader.deserialize(given, self.restart)
        elif given:
            where = ["-l", given]
            return [*where, "--serde", "json"] if given.endswith(".json") else where
        if not register.tasks:
            raise ValueError("there are no nodes: neither a proc_file nor added ones")
        written = folder / "nodes.json"
        written.write_text(register.text(), encoding="utf-8")
        script = Path(given or sys.argv[0] or "flow.py").resolve()
        root = script.parent.parent if script.parent.name == "config" else script.parent
        defaults = {"app_name": script.stem, "app_root_dir": str(root), "config_dir": str(root)}
        # They belong to where the script is, not to where this list is for the moment.
        for name, value in defaults.items():
            if self.config[name] is None and not self.config["config_file"]:
                self.config[name] = value
        return ["-l", str(written), "--serde", "json"]

    def _place(self, where: list[str]) -> list[str]:
        profile = self.config["config_file"]
        named = [*self.config.environment(), *self._environment]
        variables = [word for text in named for word in ("--env", text)]
        return [*where[:2], *(["-c", profile] if profile else []), *variables]

    def _variables(self, where: list[str]) -> dict[str, str]:
        """The flow's APP_ variables; nothing when the program has said what is wrong."""
        done = subprocess.run(
            [program(), "flow", "variables", "-0", *self._place(where)],
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode != 0:
            return {}
        pairs = (text.partition("=") for text in os.fsdecode(done.stdout).split("\0") if text)
        return {name: value for name, _, value in pairs}

    def _is_restart(self) -> bool:
        """Whether there is a state to go on from: as long as a run is not complete, it is told."""
        config = self.config
        state = Path(config["temp_dir"] or ".", f"{config['app_name']}.ctllog")
        return self.restart and state.exists()

    def _command(self, where: list[str]) -> list[str]:
        config = self.config
        command = [program(), "flow", "run", *self._place(where), *where[2:]]
        for flag, name in _FLAGS.items():
            if config[name]:
                command.append(flag)
        if self.context.interactive:
            command.append("--interactive")
        for option, name in _VALUES.items():
            value = config.by_hand(name)
            if isinstance(value, list):
                value = ",".join(map(str, value))
            if value not in (None, ""):
                command += [option, str(value)]
        if self._notifier is not None:
            command += ["--env", "APP_EMAIL="]
        elif config.by_hand("email"):
            command += ["-e", config["email"]]
        for name, value in config["cvar_list"]:
            command += ["--cvar", f"{name}={value}"]
        return [*command, *self._options]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        # Nodes find this package, and what stands beside the script.
        package = Path(__file__).resolve().parents[2]
        here = [str(package), *([environment["PYTHONPATH"]] if "PYTHONPATH" in environment else [])]
        beside = [sys.path[0]] if sys.path and sys.path[0] else []
        environment["PYTHONPATH"] = os.pathsep.join([*here, *beside])
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.Popen(command, env=environment)

    def _take(self, args: argparse.Namespace) -> None:
        for name, value in vars(args).items():
            if value is None or value is False:
                continue
            if name == "environment":
                self._environment += value
            elif name == "version":
                sys.exit(subprocess.call([program(), "version"]))
            elif name == "interactive":
                self.context.interactive = True
            elif name == "further":
                self._options += value
            elif name == "abort":
                self._options.append("--abort")
            else:
                self.config[name] = value


# Options of the program that the config stands for.
_FLAGS = {
    "--restart": "restart",
    "--nozip": "nozip",
    "--dump-logs": "dump_logs",
    "--silent": "silent",
    "--debug": "debug",
    "--dry-run": "dryrun",
}
_VALUES = {
    "--max-procs": "max_procs",
    "--exec-proc-name": "exec_proc_name",
    "--exec-only": "exec_only_list",
    "--norun": "exec_disable_list",
    "--from": "exec_from_id",
    "--to": "exec_to_id",
    "--time-between-tasks": "time_between_tasks",
    "--email-on-fail": "email_on_fail",
    "--email-on-success": "email_on_success",
}


def _wait(running: subprocess.Popen[bytes]) -> int:
    """Its status; signals that are for the flow are handed on."""
    if threading.current_thread() is not threading.main_thread():
        return running.wait()
    caught = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    # A signal that is ignored is not even kept for who waits for it.
    handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        while running.poll() is None:
            told = signal.sigwaitinfo(caught)
            from_terminal = told.si_signo == signal.SIGINT and told.si_code == SI_KERNEL
            if told.si_signo != signal.SIGCHLD and not from_terminal:
                running.send_signal(told.si_signo)
    finally:
        signal.signal(signal.SIGCHLD, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return running.returncode


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(text)
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Runs a flow. What stands behind -- is for `penstock flow run` alone.",
    )
    add = parser.add_argument
    add("-c", dest="config_file", metavar="FILE", help="app_profile")
    add("-l", dest="proc_file", metavar="FILE", help="task list")
    add("-r", "--restart", action="store_true", help="from the point of failure")
    add("-n", "--max-procs", type=int, metavar="N", help="how many nodes at once")
    add("-x", "--exec-only", dest="exec_only_list", type=_numbers, metavar="IDS")
    add("--exec-proc-name", metavar="NAME", help="only the node of that name")
    add("-N", "--norun", dest="exec_disable_list", type=_numbers, metavar="IDS")
    add("-A", "--to", "--ancestors", dest="exec_to_id", type=int, metavar="ID")
    add(
        "-D",
        "--from",
        "--descendants",
        "--descendents",
        dest="exec_from_id",
        type=int,
        metavar="ID",
    )
    add("-e", "--email", metavar="ADDRESS")
    add("--email-on-fail", metavar="BOOL")
    add("--email-on-success", metavar="BOOL")
    add("--env", dest="environment", action="append", metavar="NAME=VALUE")
    add("--cvar", dest="cvar_list", action="append", type=_pair, metavar="NAME=VALUE")
    add("-t", "--tickrate", metavar="N", help="accepted; nothing polls")
    add("--time-between-tasks", type=int, metavar="S")
    for flag in ("--nozip", "--dump-logs", "--silent", "--abort"):
        add(flag, action="store_true")
    add("-d", "--debug", action="store_true")
    add("--dryrun", "--dry-run", action="store_true")
    add("-i", "--interactive", action="store_true")
    add("-v", "--version", action="store_true")
    add("further", nargs="*", help=argparse.SUPPRESS)
    return parser
