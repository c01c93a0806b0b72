"""The app whose tasks are jobs of steps: what `penstock worker module:steps` runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from ..app import App, Task
from ..async_connection import AsyncConnection
from ..calls import Call
from ..client import Client
from ..context import TaskContext
from ..errors import BusyError, ConflictError, ConnectionLostError, PenstockError
from ..outage import Outage
from ..runtime.codec import loads
from ..scratch import sweep_all
from ..wire import Reach
from .declare import AnyStep, Step, by_key
from .job_run import run_coroutine, run_plain
from .program import Programs, ProgramStep, read_manifests, run_program

RETRY_MAX_S = 2.0
# A server that is away comes back, or the supervisor ends us.
PATIENCE_S = 86400.0
QUEUE = "steps"


class StepApp(App):
    """Steps, each as the task NAME:VERSION. Arguments as of App."""

    owns_queues = False

    def __init__(self, steps: Iterable[AnyStep], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.steps = by_key(steps)
        for key, step in self.steps.items():
            self.tasks[key] = _task(self, key, step)

    async def begin_work(self, outage: Outage) -> list[str] | None:
        """Registers the steps; the queue in which their jobs wait. PenstockError."""
        with contextlib.suppress(OSError):
            sweep_all()  # what a killed worker has left
        reach = Reach(self.url, self.key, patience_s=PATIENCE_S, tls=self.tls)
        self._connection = AsyncConnection(reach, outage)
        owner = ""
        try:
            for step in self.steps.values():
                owner = await self._register(step)
        finally:
            self._connection.close()
        return [f"{QUEUE}/{owner}" if owner else QUEUE]

    def end_work(self) -> None:
        for step in self.steps.values():
            if isinstance(step, ProgramStep):
                step.programs.close()

    async def _register(self, step: AnyStep) -> str:
        """Whose step it is now."""
        call = Call("POST", "/v1/steps", orjson.dumps(step.manifest()))
        try:
            told = await self._ask(call)
        except ConflictError as error:
            text = f"{step.key} is registered with another manifest: give it another version"
            raise ConflictError(text, error.status, error.problem) from None
        shown = await self._ask(Call("GET", f"/v1/steps/{told['id']}"))
        return str(shown.get("owner") or "")

    async def _ask(self, call: Call) -> Any:
        """Asks until the server answers: one that is away comes back, or the supervisor ends us."""
        pause_s = 0.05
        while True:
            try:
                answer = await self._connection.call(
                    call.method, call.path, call.body, repeatable=True
                )
                return loads(answer.body)
            except (BusyError, ConnectionLostError):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_MAX_S)


def program_app(manifest: str, command: str) -> StepApp:
    """The app of the steps of a manifest's file, which a program runs. InvalidError; OSError."""
    programs = Programs(command)
    return StepApp(ProgramStep(one, programs) for one in read_manifests(Path(manifest)))


def register(steps: Iterable[AnyStep], client: Client) -> list[tuple[AnyStep, int, bool]]:
    """Registers steps from a program; each with its id, and whether it was there before."""
    made = []
    for step in steps:
        try:
            told = client.send("POST", "/v1/steps", orjson.dumps(step.manifest()))
        except PenstockError as error:
            raise type(error)(f"{step.key}: {error}", error.status, error.problem) from None
        made.append((step, int(told["id"]), bool(told.get("existing"))))
    return made


def _task(app: App, key: str, step: AnyStep) -> Task[Any, Any]:
    function: Callable[[TaskContext, Any], Any]
    if isinstance(step, ProgramStep):
        program = step

        def run_other(context: TaskContext, _: Any) -> Any:
            return run_program(program, context)

        function = run_other
    elif isinstance(step, Step) and step.is_coroutine:
        waiting = step

        async def run_waiting(context: TaskContext, _: Any) -> Any:
            return await run_coroutine(waiting, context)

        function = run_waiting
    else:
        assert isinstance(step, Step)
        plain = step

        def run(context: TaskContext, _: Any) -> Any:
            return run_plain(plain, context)

        function = run
    return Task(app, function, name=key, pass_context=True, executor=step.executor, model=dict)
