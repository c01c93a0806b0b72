"""The command `penstock openaleph`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import orjson
from followthemoney.exc import InvalidData

from .. import errors
from ..task_call import TaskCall
from . import manage
from .app import OpenAlephApp, make_app
from .exceptions import SettingsError
from .job_status import StatusCounts
from .model import DatasetJob, job_of
from .settings import Settings

#: Jobs that are sent at a time.
PORTION = 500
STATUS_OTHER, STATUS_USAGE = 1, 2


def _version() -> str:
    try:
        return metadata.version("penstock")
    except metadata.PackageNotFoundError:
        return "of a source tree"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="penstock openaleph",
        description="Jobs of datasets and their entities: deferred, shown, put back, cancelled.",
        epilog="Where the server is say PENSTOCK_SERVER and the variables of docs/openaleph.md.",
    )
    parser.add_argument("--version", action="version", version=f"penstock {_version()}")
    parser.add_argument("--settings", action="store_true", help="print the settings as JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what)

    command("init-db", "Nothing is to be prepared: sees whether the server answers")
    one = command("ensure-indexes", "As init-db")
    one.add_argument("--force", action="store_true", help="makes no difference")
    one = command("defer-entities", "Defer a job for each entity of a stream of JSON lines")
    _input_option(one)
    one.add_argument("-d", "--dataset", required=True)
    one.add_argument("-q", "--queue", required=True)
    one.add_argument("-t", "--task", required=True)
    one.add_argument("-b", "--batch")
    one = command("defer-jobs", "Defer a job for each JSON line; with a dataset a job of that")
    _input_option(one)
    for name, what in (
        ("requeue-failed", "Put failed jobs back, with all their attempts"),
        ("requeue-stalled", "Nothing is to be put back: the server does that by itself"),
    ):
        _filter_options(command(name, what))
    one = command("status", "Show how jobs stand: dataset, batch, queue, task")
    one.add_argument("-d", "--dataset")
    one.add_argument("--all", action="store_true", help="datasets that have ended, too")
    one.add_argument("--json", action="store_true")
    one = command("cancel", "Cancel what has not ended")
    _filter_options(one)
    one.add_argument("--all", action="store_true", help="all of it, without a filter")
    return parser


def _input_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i", "--input", default="-", metavar="URI", help="a path or file:// (standard input)"
    )


def _filter_options(parser: argparse.ArgumentParser) -> None:
    for short, name in (("-d", "dataset"), ("-b", "batch"), ("-q", "queue"), ("-t", "task")):
        parser.add_argument(short, "--" + name)


def _filter(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("dataset", "batch", "queue", "task")}


@contextlib.contextmanager
def _lines(uri: str) -> Iterator[IO[bytes]]:
    if uri in ("-", ""):
        yield sys.stdin.buffer
        return
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise SettingsError(f"{uri}: only files and standard input are read")
    with open(unquote(parts.path) if parts.scheme else uri, "rb") as source:
        yield source


def _defer_lines(app: OpenAlephApp, uri: str, call_of: Callable[[Any], TaskCall]) -> int:
    """Defers what the lines say; the bad ones are told, and the rest goes on."""
    deferred = bad = 0
    waiting: list[TaskCall] = []
    with _lines(uri) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                waiting.append(call_of(orjson.loads(line)))
            except (ValueError, InvalidData, errors.InvalidError) as why:
                bad += 1
                print(f"{uri}: line {number}: {_one_line(why)}", file=sys.stderr)
            if len(waiting) >= PORTION:
                deferred += len(app.defer(*waiting))
                waiting = []
    if waiting:
        deferred += len(app.defer(*waiting))
    print(f"{deferred} jobs deferred" + (f", {bad} lines refused" if bad else ""))
    return STATUS_OTHER if bad else 0


def _one_line(why: Exception) -> str:
    return " ".join(str(why).split())


def _init_db(args: argparse.Namespace, app: OpenAlephApp) -> int:
    app.client.health()
    print("nothing to prepare: the server keeps its store in order by itself, and it answers")
    return 0


def _defer_entities(args: argparse.Namespace, app: OpenAlephApp) -> int:
    def call_of(entity: Any) -> TaskCall:
        # All of the entity travels: the store need not know it.
        job = DatasetJob.from_entities(
            args.dataset, args.queue, args.task, [entity], dehydrate=False, batch=args.batch
        )
        return job.call(app)

    return _defer_lines(app, args.input, call_of)


def _defer_jobs(args: argparse.Namespace, app: OpenAlephApp) -> int:
    return _defer_lines(app, args.input, lambda told: job_of(told).call(app))


def _requeue_failed(args: argparse.Namespace, app: OpenAlephApp) -> int:
    print(f"{manage.requeue_failed(app=app, **_filter(args))} jobs wait again")
    return 0


def _requeue_stalled(args: argparse.Namespace, app: OpenAlephApp) -> int:
    app.client.health()
    print("0 jobs put back: the server itself puts back what a dead worker held, within 15 seconds")
    return 0


def _status(args: argparse.Namespace, app: OpenAlephApp) -> int:
    if args.dataset:
        one = manage.get_dataset_status(args.dataset, active_only=False, app=app)
        trees = [one] if one else []
    else:
        trees = list(manage.get_status(active_only=not args.all, app=app))
    if args.json:
        told = [tree.model_dump(mode="json") for tree in trees]
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return 0
    if not trees:
        print("no jobs" if args.dataset or args.all else "no unfinished jobs (--all: the others)")
    for line in status_lines(trees):
        print(line)
    return 0


def _cancel(args: argparse.Namespace, app: OpenAlephApp) -> int:
    filter = _filter(args)
    if not args.all and not any(filter.values()):
        raise SettingsError("cancel what? A filter, or --all")
    print(f"{manage.cancel_jobs(app=app, **filter)} jobs cancelled")
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace, OpenAlephApp], int]] = {
    "init-db": _init_db,
    "ensure-indexes": _init_db,
    "defer-entities": _defer_entities,
    "defer-jobs": _defer_jobs,
    "requeue-failed": _requeue_failed,
    "requeue-stalled": _requeue_stalled,
    "status": _status,
    "cancel": _cancel,
}


def status_lines(trees: Iterable[StatusCounts]) -> list[str]:
    """The tree for a terminal, a line a node."""
    rows = [row for tree in trees for row in _rows(tree, 0)]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}".rstrip() for name, text in rows]


def _rows(node: StatusCounts, depth: int) -> Iterator[tuple[str, str]]:
    told = [f"{getattr(node, name)} {name}" for name in ("todo", "doing", "succeeded")]
    told += [f"{n} {name}" for name in ("failed", "cancelled") if (n := getattr(node, name))]
    if node.is_active() and node.rate:
        told.append(f"{node.rate:.1f}/s")
    if node.is_active() and node.remaining_time is not None:
        told.append(f"{_span(node.remaining_time)} left")
    elif not node.is_active():
        told.append(f"took {_span(node.took)}")
    yield "  " * depth + node.name, ", ".join(told)
    for member in ("batches", "queues", "tasks"):
        for part in getattr(node, member, ()):
            yield from _rows(part, depth + 1)


def _span(span: datetime.timedelta) -> str:
    if span < datetime.timedelta(seconds=10):
        return f"{span.total_seconds():.1f} s"
    return str(datetime.timedelta(seconds=round(span.total_seconds())))


def main(argv: list[str] | None = None) -> int:
    """Runs the command; its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        if args.settings:
            print(orjson.dumps(Settings().shown(), option=orjson.OPT_INDENT_2).decode(), flush=True)
            return 0
        if args.command is None:
            parser.print_usage(sys.stderr)
            return STATUS_USAGE
        status = _COMMANDS[args.command](args, make_app())
        sys.stdout.flush()
        return status
    except (SettingsError, errors.InvalidError) as why:
        print(f"penstock openaleph: {why}", file=sys.stderr)
        return STATUS_USAGE
    except BrokenPipeError:
        # Who read this has seen enough. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STATUS_OTHER
    except (errors.PenstockError, OSError) as why:
        print(f"penstock openaleph: {why}", file=sys.stderr)
        return STATUS_OTHER
