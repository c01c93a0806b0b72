"""What a step may ask of the job that runs: StepContext."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import orjson

from ..client import Client
from ..context import TaskContext
from ..errors import InvalidError
from .capture import show
from .step_log import LEVELS, StepLog

if TYPE_CHECKING:
    from ..step_client import StepJob

#: A run waits no longer than that for its log to be taken.
LOG_TIMEOUT_S = 10.0
LOG_PATIENCE_S = 5.0


class StepContext:
    """The job that runs. A parameter that is annotated with it gets it;
    `penstock.current_step()` has it anywhere below.

    Any thread of the step's may use it, `client` and what asks the server one thread at a time.
    """

    def __init__(self, task: TaskContext) -> None:
        self._task = task
        told = task.told
        arguments: dict[str, Any] = told.get("arguments") or {}
        #: The job's id.
        self.job_id: int = arguments.get("job", told["id"])
        #: The job's name.
        self.job_name: str = arguments.get("name") or ""
        step = arguments.get("step") or {}
        self.step_name: str = step.get("name", "")
        self.step_version: str = step.get("version", "")
        #: As configured, defaults filled in: JSON.
        self.parameters: dict[str, Any] = arguments.get("parameters") or {}
        #: By slot, the artifacts that come in: `id`, `name`, `media_type`, `bytes`, `sha256`.
        self.inputs: dict[str, list[dict[str, Any]]] = arguments.get("inputs") or {}
        #: By slot, what is said of its outputs: `media_type`, `min`, `max`.
        self.output_slots: dict[str, dict[str, Any]] = arguments.get("outputs") or {}
        #: Acts for the job's owner as long as this run goes on.
        self.step_token: str | None = told.get("step_token")
        self._client: Client | None = None
        #: What it has printed and logged. For the runtime.
        self.step_log = StepLog(self.job_id, self.fence, self._log_client)

    @property
    def attempt(self) -> int:
        """Which start of the job this is, from 1 on."""
        return self._task.attempt

    @property
    def fence(self) -> int:
        """Grows with every start."""
        return int(self._task.told.get("fence", 0))

    @property
    def server(self) -> str:
        """The server's address."""
        return self._task.app.url

    @property
    def client(self) -> Client:
        """All that may be asked of the server on behalf of the job's owner."""
        if self._client is None:
            self._client = self.new_client()
        return self._client

    def new_client(self, **members: Any) -> Client:
        """Another one, for another thread. The caller closes it. `members`: further ones of it."""
        app = self._task.app
        # Who may ask without a token is on the server's own machine.
        key = None if self.step_token else app.key
        return Client(app.url, key, step_token=self.step_token, tls=app.tls, **members)

    def _log_client(self) -> Client:
        return self.new_client(timeout_s=LOG_TIMEOUT_S, patience_s=LOG_PATIENCE_S)

    def job(self) -> StepJob:
        """The job as the server has it now."""
        return self.client.step_jobs.get(self.job_id)

    @property
    def tags(self) -> list[str]:
        """The job's tags, asked of the server."""
        return list(self.job().tags)

    def set_tags(self, tags: list[str]) -> None:
        """Gives the job these tags in place of those it has."""
        self.client.step_jobs.change(self.job_id, tags=tags)

    def start(self, step: str | int, name: str = "", **members: Any) -> StepJob:
        """Makes and starts a sub job: see StepJobs.create."""
        members.setdefault("parent", self.job_id)
        return self.client.step_jobs.create(name or str(step), step=step, start=True, **members)

    def log(self, text: str, level: str = "info") -> None:
        """A line for the job's log, which is printed, too. Told within about a second.

        `level`: debug, info, warning, error or critical. InvalidError.
        """
        if level not in LEVELS:
            raise InvalidError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
        show(text)
        self.step_log.add(text, level)

    def set_metrics(self, **figures: Any) -> None:
        """Figures of this run, any JSON, in place of those told before. PenstockError."""
        path = f"/v1/step-jobs/{self.job_id}/metrics?fence={self.fence}"
        self.client.send("PUT", path, orjson.dumps(figures))

    def progress(self, fraction: float, text: str | None = None) -> None:
        """Says how far it is, 0.0 to 1.0. In a plain function Aborted, when it is to end."""
        self._task.progress(fraction, text)

    def should_abort(self) -> bool:
        """Whether it is to end: it was cancelled, its time is over, the worker stops."""
        return self._task.should_abort()

    @property
    def abort_reason(self) -> str | None:
        """Why: "cancelled", "timeout", "lost" (in other hands), "stop"; None: it is not."""
        return self._task.abort_reason

    def wait_for_abort(self, timeout: float | None = None) -> bool:
        """Sleeps so long, or until it is to end; whether it is. For plain functions."""
        return self._task.wait_for_abort(timeout)

    def check(self) -> None:
        """Aborted when it is to end."""
        self._task.check()

    def close(self) -> None:
        """Closes the client. For the runtime."""
        if self._client is not None:
            self._client.close()


_current: ContextVar[StepContext | None] = ContextVar("penstock_step", default=None)


def enter(context: StepContext) -> Token[StepContext | None]:
    """Makes it the current one; the token is for leave. For what runs steps."""
    return _current.set(context)


def leave(token: Token[StepContext | None]) -> None:
    """The other way."""
    _current.reset(token)


def current_step() -> StepContext | None:
    """The context of the step in which this is called; None outside of one."""
    return _current.get()
