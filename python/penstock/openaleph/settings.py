"""What the environment says: variables, else the lines of a `.env` file in the working folder.

Read when asked for, not when modules are imported: a program may still set its environment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from ..embedded import STATE_DEFAULT
from .exceptions import SettingsError

log = logging.getLogger(__name__)

#: Who is asked for the queue's place, in this order.
QUEUE_VARIABLES = ("PROCRASTINATE_DB_URI", "OPENALEPH_DB_URI", "ALEPH_DATABASE_URI")
FRAGMENTS_VARIABLES = ("FTM_FRAGMENTS_URI", "FTM_STORE_URI")
SERVER_VARIABLE = "PENSTOCK_SERVER"

_TRUE = frozenset(("1", "true", "yes", "on", "t", "y"))
_FALSE = frozenset(("0", "false", "no", "off", "f", "n"))

#: What `.env` said, and which file it was: device, inode, time, size.
_env_known: tuple[tuple[int, ...], dict[str, str]] = ((), {})


def _env_file() -> dict[str, str]:
    """The lines of `.env`, read again when it is another; {} when there is none."""
    global _env_known
    try:
        found = os.stat(".env")
    except OSError:
        return {}
    which = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
    if _env_known[0] != which:
        _env_known = (which, _parse_env(Path(".env").read_text(encoding="utf-8")))
    return _env_known[1]


def _parse_env(text: str) -> dict[str, str]:
    told = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        name = name.removeprefix("export ").strip()
        if not equals or not name or name.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in ("'", '"'):
            value = value[1:].partition(value[0])[0]
        else:
            value = value.partition(" #")[0].rstrip()
        told[name] = value
    return told


def variable(name: str) -> str | None:
    """One variable; an empty one is none."""
    value = os.environ.get(name)
    if value is None:
        value = _env_file().get(name)
    return value or None


def as_bool(name: str, value: Any) -> bool:
    folded = str(value).strip().lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise SettingsError(f"{name}={value!r} is neither true nor false")


def as_int(name: str, value: Any) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{name}={value!r} is not a whole number") from None


def as_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{name}={value!r} is not a text")
    return value


def flag(name: str, default: bool) -> bool:
    value = variable(name)
    return default if value is None else as_bool(name, value)


# --- where the server is ---


def server_url(variables: tuple[str, ...]) -> str | None:
    """The address that the first of the variables which is set tells; None for none.

    http://, https://, unix:// and penstock:// (for http://) are a server's. What else may stand in
    these variables names a database that nothing of this would be found in: SettingsError, unless
    PENSTOCK_SERVER tells the address.
    """
    ours = variable(SERVER_VARIABLE)
    for name in variables:
        value = variable(name)
        if value is None:
            continue
        scheme = urlsplit(value).scheme
        if scheme == "penstock":
            return "http" + value[len("penstock") :]
        if scheme in ("http", "https", "unix"):
            return value
        if ours is None:
            raise SettingsError(
                f"{name} names {scheme or 'something'}: jobs and fragments are kept by a Penstock"
                f" server. Name it there (penstock://host:port) or in {SERVER_VARIABLE};"
                " with neither set, one is started on this machine"
            )
    return ours


# --- stages ---


@dataclass(frozen=True)
class Stage:
    """A known stage: where its jobs go, and whether at all."""

    name: str
    queue: str
    task: str
    defer: bool = True
    min_priority: int = 0
    max_priority: int = 100
    #: Runs after a failed one, at most; -1: without end. For the stage's service.
    max_retries: int = 5

    @property
    def retries(self) -> int | bool:
        """What a task's `retry` takes."""
        return True if self.max_retries < 0 else self.max_retries


_ALEPH = "aleph.procrastinate.tasks."
_KNOWN = (
    Stage("ingest", "ingest", "ingestors.tasks.ingest"),
    Stage("analyze", "analyze", "ftm_analyze.tasks.analyze"),
    Stage("transcribe", "transcribe", "ftm_transcribe.tasks.transcribe", False),
    Stage("translate", "translate", "ftm_translate.tasks.translate", False),
    Stage("geocode", "geocode", "ftm_geocode.tasks.geocode", False),
    Stage("assets", "assets", "ftm_assets.tasks.resolve", False),
    Stage("vectorize", "vectorize", "ftm_vectorize.tasks.vectorize", False),
    Stage("index", "openaleph", _ALEPH + "index_entities", True, 70),
    Stage("reindex", "openaleph", _ALEPH + "reindex_collection", True, 50),
    Stage("xref", "openaleph", _ALEPH + "xref_collection", True, 50),
    Stage("load_mapping", "openaleph", _ALEPH + "load_mapping", True, 90),
    Stage("flush_mapping", "openaleph", _ALEPH + "flush_mapping", True, 40),
    Stage("export_search", "openaleph", _ALEPH + "export_search", True, 0, 50),
    Stage("export_xref", "openaleph", _ALEPH + "export_xref", True, 0, 50),
    Stage("update_entity", "openaleph", _ALEPH + "update_entity", True, 99),
    Stage("prune_entity", "openaleph", _ALEPH + "prune_entity", True, 99),
    Stage("cancel_dataset", "openaleph-management", _ALEPH + "cancel_dataset", True, 101, 101),
)
STAGES = {stage.name: stage for stage in _KNOWN}

_MEMBERS: dict[str, Callable[[str, Any], Any]] = {
    "queue": as_text,
    "task": as_text,
    "defer": as_bool,
    "min_priority": as_int,
    "max_priority": as_int,
    "max_retries": as_int,
}
_stages_read: dict[str, tuple[tuple[str | None, ...], Stage]] = {}


def stage(name: str) -> Stage:
    """A stage as OPENALEPH_<STAGE> (JSON) and OPENALEPH_<STAGE>_<MEMBER> (which win) have it."""
    prefix = "OPENALEPH_" + name.upper()
    told = (variable(prefix), *(variable(f"{prefix}_{member.upper()}") for member in _MEMBERS))
    known = _stages_read.get(name)
    if known is None or known[0] != told:
        known = (told, _read_stage(STAGES[name], prefix, told))
        _stages_read[name] = known
    return known[1]


def _read_stage(default: Stage, prefix: str, told: tuple[str | None, ...]) -> Stage:
    changes: dict[str, Any] = {}
    for member, value in _stage_json(prefix, told[0]).items():
        changes[member] = _MEMBERS[member](f"{prefix}: {member}", value)
    for member, text in zip(_MEMBERS, told[1:]):
        if text is not None:
            changes[member] = _MEMBERS[member](f"{prefix}_{member.upper()}", text)
    made = replace(default, **changes)
    # One end alone moves the other along, where they would cross.
    if made.min_priority > made.max_priority:
        if "min_priority" in changes and "max_priority" in changes:
            raise SettingsError(f"{prefix}: min_priority is above max_priority")
        bound = made.min_priority if "min_priority" in changes else made.max_priority
        made = replace(made, min_priority=bound, max_priority=bound)
    return made


def _stage_json(prefix: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as why:
        raise SettingsError(f"{prefix} is not JSON: {why}") from None
    if not isinstance(told, dict):
        raise SettingsError(f"{prefix} is not a JSON object")
    for member in sorted(told.keys() - _MEMBERS.keys()):
        log.warning("%s: nothing is called %r there; there is %s", prefix, member, list(_MEMBERS))
        del told[member]
    return told


# --- all of it ---


@dataclass(frozen=True)
class Settings:
    """Everything that is not of one stage, as it is now."""

    server: str | None = field(default_factory=lambda: server_url(QUEUE_VARIABLES))
    fragments: str | None = field(
        default_factory=lambda: server_url(FRAGMENTS_VARIABLES + QUEUE_VARIABLES)
    )
    #: The embedded server's folder, used when no server is named.
    state: str = field(
        default_factory=lambda: os.path.abspath(variable("PENSTOCK_STATE") or STATE_DEFAULT)
    )
    debug: bool = field(default_factory=lambda: flag("DEBUG", False))
    sync: bool = field(default_factory=lambda: flag("PROCRASTINATE_SYNC", False))
    dehydrate_entities: bool = field(default_factory=lambda: dehydrates())
    lakehouse: bool = field(default_factory=lambda: flag("OPENALEPH_LAKEHOUSE", False))
    lakehouse_uri: str = field(default_factory=lambda: variable("LAKEHOUSE_URI") or "data")
    archive_type: str | None = field(default_factory=lambda: variable("ARCHIVE_TYPE"))
    archive_path: str | None = field(default_factory=lambda: variable("ARCHIVE_PATH"))
    archive_uri: str | None = field(default_factory=lambda: variable("ARCHIVE_URI"))
    archive_bucket: str | None = field(default_factory=lambda: variable("ARCHIVE_BUCKET"))
    instance: str = field(default_factory=lambda: variable("OPENALEPH_INSTANCE") or "openaleph")

    def shown(self) -> dict[str, Any]:
        """All of it and the stages, for people; passwords in addresses left out."""
        told: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            told[one.name] = _without_password(value) if isinstance(value, str) else value
        told["stages"] = {name: vars(stage(name)) for name in STAGES}
        return told


def dehydrates() -> bool:
    """Whether from_entities leaves to the store what the store has."""
    return flag("OPENALEPH_PROCRASTINATE_DEHYDRATE_ENTITIES", True)


def runs_inline() -> bool:
    """Whether who defers runs the job, too."""
    return flag("DEBUG", False) and flag("PROCRASTINATE_SYNC", False)


def _without_password(value: str) -> str:
    parts = urlsplit(value)
    if parts.password is None:
        return value
    return value.replace(f":{parts.password}@", ":***@", 1)
