"""What becomes of each entity of a task: waits, is in work, has failed.

Kept by the server, as fragments of datasets of its own; so it is durable, and anybody may look. It
costs two calls a job, and is there only for tasks that ask for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .app import app_of
from .exceptions import SettingsError
from .model import DatasetJob
from .store import Fragments
from .wrapping import wrapped

TODO, DOING, FAILED = "todo", "doing", "failed"
SUCCEEDED = "succeeded"
_OURS = ("penstock:", "http:", "https:", "unix:", "memory:")


class Tracer:
    """The entities of one task in one queue and dataset.

    `uri` names who keeps it: None, or the address of a Penstock server (the app's is the one that
    is asked). An entity of which nothing is known has succeeded, or was never seen.
    """

    def __init__(
        self, dataset: str, queue: str, task: str, uri: str | None = None, app: Any = None
    ) -> None:
        check_uri(uri)
        self.dataset = dataset
        self._origin = f"{queue}/{task}"
        self._app = app
        # Counters are kept a process each: nobody has to wait for anybody to add to his own.
        self._counter = f"{socket.gethostname()}:{os.getpid()}"
        self._counts = {SUCCEEDED: 0, FAILED: 0}

    @property
    def _entities(self) -> Fragments:
        return app_of(self._app).fragments(f"tracer/{self.dataset}")

    @property
    def _counters(self) -> Fragments:
        return app_of(self._app).fragments(f"tracer-counters/{self.dataset}")

    def _mark(self, ids: Iterable[str], status: str) -> None:
        data = {"status": status}
        self._entities.put((id, self._origin, "status", data) for id in ids)

    def add(self, *ids: str) -> None:
        """They wait."""
        self._mark(ids, TODO)

    def start(self, *ids: str) -> None:
        """They are in work."""
        self._mark(ids, DOING)

    def finish(self, *ids: str) -> None:
        """They are done: nothing is kept of them but that they were."""
        for id in ids:
            self._entities.delete(id, self._origin)
        self._count(SUCCEEDED, len(ids))

    def fail(self, *ids: str) -> None:
        """They have failed."""
        self._mark(ids, FAILED)
        self._count(FAILED, len(ids))

    def status(self, id: str) -> str | None:
        """todo, doing, failed; None."""
        for fragment in self._entities.fragments_of([id]):
            if fragment.origin == self._origin:
                return str(fragment.data["status"])
        return None

    def is_processing(self, id: str) -> bool:
        """Whether it waits or is in work."""
        return self.status(id) in (TODO, DOING)

    def counts(self) -> dict[str, int]:
        """How many have succeeded and failed, over all processes."""
        totals = {SUCCEEDED: 0, FAILED: 0}
        for fragment in self._counters.fragments_of([self._origin]):
            for name in totals:
                totals[name] += fragment.data.get(name, 0)
        return totals

    def clear(self) -> None:
        """Forgets all of it."""
        self._entities.delete(origin=self._origin)
        self._counters.delete(self._origin)

    def _count(self, name: str, count: int) -> None:
        if not count:
            return
        self._counts[name] += count
        row = (self._origin, self._counter, "counts", dict(self._counts))
        self._counters.put([row])


def check_uri(uri: str | None) -> None:
    if uri is not None and not uri.startswith(_OURS):
        raise SettingsError(
            f"tracer_uri={uri!r}: the Penstock server keeps it; say penstock://, or nothing"
        )


def traced(function: Callable[..., Any], app: Any, uri: str) -> Callable[..., Any]:
    """The function, with its entities marked while it is at them. Of the same kind."""
    check_uri(uri)
    tracers: dict[tuple[int, str, str, str], Tracer] = {}

    def tracer_of(job: DatasetJob) -> Tracer:
        named = (os.getpid(), job.dataset, job.queue, job.task)
        if named not in tracers:
            tracers[named] = Tracer(*named[1:], app=app)
        return tracers[named]

    @contextlib.contextmanager
    def marked(args: tuple[Any, ...]) -> Iterator[None]:
        job = args[-1]
        ids = []
        if isinstance(job, DatasetJob) and "entities" in job.payload:
            ids = [str(entity.id) for entity in job.get_entities()]
        if not ids:
            yield
            return
        tracer = tracer_of(job)
        tracer.start(*ids)
        try:
            yield
        except BaseException:
            tracer.fail(*ids)
            raise
        tracer.finish(*ids)

    return wrapped(function, marked)
