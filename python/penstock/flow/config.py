"""What a driver's flow is to do, by the names that PyRunner gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import Any

#: Name: kind, variable of the profile or the environment, default.
_KNOWN: dict[str, tuple[type, str | None, Any]] = {
    "config_file": (str, None, None),
    "proc_file": (str, None, None),
    "restart": (bool, None, False),
    "cvar_list": (list, None, []),
    "exec_proc_name": (str, None, None),
    "exec_only_list": (list, None, []),
    "exec_disable_list": (list, None, []),
    "exec_from_id": (int, None, None),
    "exec_to_id": (int, None, None),
    "app_version": (str, "APP_VERSION", "0.0.0"),
    "app_name": (str, "APP_NAME", None),
    "app_start_time": (str, None, None),
    "app_root_dir": (str, "APP_ROOT_DIR", None),
    "config_dir": (str, "APP_CONFIG_DIR", None),
    "temp_dir": (str, "APP_TEMP_DIR", None),
    "log_dir": (str, "APP_LOG_DIR", None),
    "root_log_dir": (str, "APP_ROOT_LOG_DIR", None),
    "worker_dir": (str, "APP_WORKER_DIR", None),
    "nozip": (bool, "APP_NOZIP", False),
    "dump_logs": (bool, "APP_DUMP_LOGS", False),
    "email": (str, "APP_EMAIL", None),
    "silent": (bool, "APP_SILENT", False),
    "debug": (bool, "APP_DEBUG", False),
    "tickrate": (int, "APP_TICKRATE", 1),
    "time_between_tasks": (int, "APP_TIME_BETWEEN_TASKS", 0),
    "save_interval": (int, "APP_SAVE_INTERVAL", 10),
    "max_procs": (int, "APP_MAX_PROCS", None),
    "log_retention": (int, "APP_LOG_RETENTION", None),
    "dryrun": (bool, "APP_DRYRUN", False),
    "email_on_fail": (bool, "APP_EMAIL_ON_FAIL", True),
    "email_on_success": (bool, "APP_EMAIL_ON_SUCCESS", True),
    "test_mode": (bool, "APP_TEST_MODE", False),
}


class Config(MutableMapping[str, Any]):
    """Values set by hand, else of the environment, else defaults. KeyError: there is no such."""

    def __init__(self) -> None:
        self._by_hand: dict[str, Any] = {}
        #: APP_ variables as the flow has them.
        self.variables: dict[str, str] = {}

    def __getitem__(self, key: str) -> Any:
        kind, variable, default = _KNOWN[key]
        if key in self._by_hand:
            return self._by_hand[key]
        text = self.variables.get(variable, os.environ.get(variable)) if variable else None
        return default if text is None else _of(kind, text)

    def __setitem__(self, key: str, value: Any) -> None:
        kind = _KNOWN[key][0]
        if value is None:
            self._by_hand.pop(key, None)
        else:
            self._by_hand[key] = _of(kind, value)

    def __delitem__(self, key: str) -> None:
        self[key] = None

    def __iter__(self) -> Iterator[str]:
        return iter(_KNOWN)

    def __len__(self) -> int:
        return len(_KNOWN)

    def by_hand(self, key: str) -> Any:
        """Only what was set; None for what was not."""
        return self._by_hand.get(key)

    def environment(self) -> Iterator[str]:
        """NAME=VALUE of what was set and has a variable."""
        for key, value in self._by_hand.items():
            variable = _KNOWN[key][1]
            if variable is not None:
                text = str(value).upper() if isinstance(value, bool) else str(value)
                yield f"{variable}={text}"


def _of(kind: type, value: Any) -> Any:
    if kind is bool and isinstance(value, str):
        return value.strip().upper() not in ("FALSE", "")
    if kind is str:
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return kind(value)
