"""The embedded server: on a state folder, shared by all who use it, gone when nobody does.

Its address is embedded:///the/state/folder. Who connects finds the socket in the folder, or starts
`penstock serve --embedded` there; of two that start one at once, the folder's lock lets one live.

A server that is about to stop must not be given anything to do. It counts its connections, stops
only when there have been none for a while, and refuses what comes meanwhile (503). So the first
call on a new connection is one that can be repeated: once it is answered, the server stays as long
as the connection does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from .errors import NoServerError

SCHEME = "embedded"
SOCKET_NAME = "penstock.sock"
STATE_DEFAULT = ".penstock"
LOG_NAME = "embedded.log"
START_WITHIN_S = 30.0
# Whoever has the folder will listen soon, or has ended.
BUSY_PAUSE_S = 0.1
# `penstock serve` ends with it when another one has the folder.
STATUS_BUSY = 75


def default_state() -> Path:
    """The state folder of the environment, as `penstock serve` chooses it."""
    return Path(os.environ.get("PENSTOCK_STATE") or STATE_DEFAULT)


def embedded_url(state: str | os.PathLike[str]) -> str:
    """The address of the embedded server on that folder."""
    return f"{SCHEME}://{quote(os.path.abspath(os.fspath(state)))}"


def program() -> str:
    """The penstock program: $PENSTOCK_BIN, beside this Python, of this source tree, or on the PATH.

    NoServerError when there is none.
    """
    named = os.environ.get("PENSTOCK_BIN")
    if named:
        return named
    beside = Path(sys.executable).parent / "penstock"
    own = Path(__file__).resolve().parents[2] / "build" / "penstock"
    for path in (beside, own):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    found = shutil.which("penstock")
    if found is None:
        raise NoServerError(
            "no server is named (PENSTOCK_SERVER), and there is no penstock program to start one:"
            " it is part of the package's wheels; name it in PENSTOCK_BIN"
        )
    return found


class Starter:
    """Starts the server of one folder, as often as it takes. Never blocks."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        self._give_up_at = time.monotonic() + START_WITHIN_S
        self._again_at = 0.0

    def step(self) -> None:
        """Nobody answers: sees to it that somebody will. NoServerError says why not."""
        now = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is not None and status not in (0, STATUS_BUSY):
                raise NoServerError(f"{self._state}: {self._last_words(status)}")
            # It begins; or another one does, or has just ended: one of them will answer.
            if now > self._give_up_at:
                raise NoServerError(f"{self._state}: {self._last_words(status)}")
            if status is None or now < self._again_at:
                return
        self._process = self._start()
        self._again_at = now + BUSY_PAUSE_S

    def _start(self) -> subprocess.Popen[bytes]:
        # Read by nobody else: it holds what only the state folder's owner may see.
        os.makedirs(self._state, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = os.open(os.path.join(self._state, LOG_NAME), flags, 0o600)
        try:
            return subprocess.Popen(
                [program(), "serve", "--embedded", "--state", self._state, "--log-level", "warn"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=os.path.dirname(self._state),
                # It lives on when we and our terminal do not.
                start_new_session=True,
            )
        except OSError as error:
            raise NoServerError(f"the server cannot be started: {error}") from error
        finally:
            os.close(log)

    def _last_words(self, status: int | None) -> str:
        try:
            text = Path(self._state, LOG_NAME).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = text.strip().splitlines()
        why = f": {lines[-1]}" if lines else ""
        if status is None:
            return f"the server does not begin{why}"
        return f"the server ended with status {status}{why}"
