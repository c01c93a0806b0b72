"""Nothing that a worker has started outlives it, however it ends.

A worker that ends takes its process group along: its supervisor sees to that. When the supervisor
is killed, its workers are killed with it, and nobody is left to do so. For that a shell of the
group waits at a pipe whose other end is the worker's, and kills the group when that is gone:
processes of tasks, whatever they are doing, and what functions have started. What has left the
group is on its own.
"""

from __future__ import annotations

import contextlib
import os

_SHELL = "/bin/sh"
_SCRIPT = 'trap "" HUP INT TERM; read -r nothing; kill -KILL 0'


def guard_group() -> None:
    """Begins to, when the group is the process's own. Without a shell it goes without."""
    if os.getpgrp() != os.getpid():
        return
    theirs, ours = os.pipe()
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_DUP2, theirs, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    with contextlib.suppress(OSError):
        os.posix_spawn(_SHELL, [_SHELL, "-c", _SCRIPT], {}, file_actions=actions)
    os.close(theirs)
    # Ours stays open until the very end of the process; what is forked from it must not hold it.
    os.register_at_fork(after_in_child=lambda: os.close(ours))
