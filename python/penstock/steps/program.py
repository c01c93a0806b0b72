"""Steps that are programs in any language: one line in, one line out (docs/step-workers.md).

A copy of the program serves one job after the other. One that dies, or has a job that is to end, is
done with; the next job gets a new one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..context import TaskContext
from ..errors import InvalidError
from ..runtime.codec import dumps, loads
from .dataslot import SlotType, dataslot
from .declare import SlotUse
from .job_run import JobRun, job_of
from .program_copy import END_WITHIN_S, LineTooLong, ProgramCopy, kill_tree
from .slot_file import DataSlot, Slot
from .step_log import StepLog

LINE_MAX_BYTES = 64 << 20


class ProgramDied(Exception):  # noqa: N818
    """The program ended before it answered."""


class ProgramFailed(Exception):  # noqa: N818
    """What the program says that went wrong."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(str(told["fail"]))
        known = ("type", "final", "retry_after_s")
        self.__penstock_verdict__ = {name: told[name] for name in known if name in told}


class NotJson(Exception):  # noqa: N818
    """What the program printed is no answer."""


class Unchecked:
    """Parameters and results as they are: the server has checked the ones, nobody the others."""

    def read(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """As Parameters.read."""
        return dict(given or {})

    def write(self, result: Any) -> Any:
        """As Returns.write."""
        return result


class ProgramStep:
    """A step by its manifest, run by a program. InvalidError when it is no manifest."""

    executor = "thread"
    is_strict = True
    is_coroutine = False
    context_name: str | None = None
    returned: SlotUse | None = None

    def __init__(self, manifest: Mapping[str, Any], programs: Programs) -> None:
        try:
            self.name = str(manifest["function_name"])
            self.version = str(manifest["version"])
            self.slots = {
                use.slot.name: use
                for kind, name in (
                    (SlotType.INPUT, "input_dataslots"),
                    (SlotType.OUTPUT, "output_dataslots"),
                )
                for use in _uses(manifest.get(name) or (), kind)
            }
        except KeyError as error:
            whose = manifest.get("function_name") or "a step"
            raise InvalidError(f"the manifest of {whose} lacks {error}") from error
        except (TypeError, AttributeError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
            raise InvalidError(f"the manifest is not as it should be: {text}") from error
        self._manifest = dict(manifest)
        self.programs = programs
        self.parameters = Unchecked()
        self.returns = Unchecked()

    @property
    def key(self) -> str:
        """NAME:VERSION."""
        return f"{self.name}:{self.version}"

    def manifest(self) -> dict[str, Any]:
        """As it was given."""
        return self._manifest


def _uses(told: Iterable[Mapping[str, Any]], kind: SlotType) -> list[SlotUse]:
    return [
        SlotUse(
            dataslot(
                one["name"],
                slot_type=kind,
                media_type=one.get("mediatype") or "application/octet-stream",
                min_slots=one.get("minSlots", 1) or 0,
                max_slots=one.get("maxSlots", 1),
            ),
            DataSlot,
        )
        for one in told
    ]


def read_manifests(path: Path) -> list[dict[str, Any]]:
    """The manifests of a file: one, a list, or one in each line. InvalidError; OSError."""
    text = path.read_text(encoding="utf-8")
    try:
        told = json.loads(text)
    except ValueError:
        try:
            told = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InvalidError(f"{path} is no JSON: {error}") from None
    found = told if isinstance(told, list) else [told]
    if not found or not all(isinstance(one, dict) for one in found):
        raise InvalidError(f"{path} has no manifests of steps: it is to hold objects")
    return found


def run_program(step: ProgramStep, task: TaskContext) -> Any:
    """Runs a job of it in this thread; its result."""
    with job_of(step, task) as job:
        arguments = job.prepare()
        log = job.context.step_log
        result = step.programs.ask(dumps(_line(step, job, task, arguments)), task, log)
        for name, use in step.slots.items():
            if not use.slot.is_input and use.slot.collection:
                job.take_folder(arguments[name])
        return job.finish(result)


def _line(
    step: ProgramStep, job: JobRun, task: TaskContext, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What the program reads."""
    context, told = job.context, task.told
    inputs, outputs = {}, {}
    for name, use in step.slots.items():
        slots = arguments[name]
        if use.slot.is_input:
            inputs[name] = [_described(slot) for slot in slots]
            continue
        where = (
            {"folder": str(slots.folder)}
            if use.slot.collection
            else {"path": str(slots.slots[0].path)}
        )
        outputs[name] = {**where, **context.output_slots.get(name, {})}
    return {
        "id": context.job_id,
        "name": context.job_name,
        "function": step.key,
        "step": (told.get("arguments") or {}).get("step"),
        "attempt": context.attempt,
        "parameters": context.parameters,
        "inputs": inputs,
        "outputs": outputs,
        "server": context.server,
        "step_token": context.step_token,
    }


def _described(slot: Slot) -> dict[str, Any]:
    return {**(slot.artifact or {}), "path": str(slot.path)}


class Programs:
    """Copies of one program, each with one job at a time. From any thread."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._idle: list[ProgramCopy] = []

    def ask(self, line: bytes, task: TaskContext, log: StepLog) -> Any:
        """Gives a line to a copy; its answer. What it prints on standard error goes into the log.

        ProgramDied, ProgramFailed, NotJson; Aborted.
        """
        task.check()
        with self._lock:
            copy = self._idle.pop() if self._idle else None
        copy = copy or ProgramCopy(self._command, LINE_MAX_BYTES)
        usable = False
        try:
            with task.on_abort(lambda: kill_tree(copy.pid)):
                answer = _exchange(copy, line, task, log)
            usable = not task.should_abort()
        finally:
            if usable:
                with self._lock:
                    self._idle.append(copy)
            else:
                copy.end()
        return _read(answer)

    def close(self) -> None:
        """Ends the copies that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
        for copy in idle:
            copy.finish()
        for copy in idle:
            copy.end(END_WITHIN_S)


def _exchange(copy: ProgramCopy, line: bytes, task: TaskContext, log: StepLog) -> bytes:
    """What the copy answers to the line; what it says of progress before is passed on."""
    answer = b""

    def take(said: bytes) -> bool:
        nonlocal answer
        told = _progress(said)
        if told is not None:
            task.progress(*told)
            return False
        answer = said
        return True

    try:
        answered = copy.exchange(line + b"\n", take, lambda text: log.feed(text, "stderr"))
    except LineTooLong:
        raise NotJson(f"an answer has more than {LINE_MAX_BYTES} bytes") from None
    if not answered:
        task.check()
        raise ProgramDied(f"the program {copy.ended()} without an answer")
    return answer


def _progress(line: bytes) -> tuple[float, str | None] | None:
    """What a line says of progress; None when it is an answer."""
    if b'"progress"' not in line[:200]:
        return None
    try:
        told = loads(line)["penstock"]["progress"]
        fraction, text = told if isinstance(told, list) else (told, None)
        return float(fraction), None if text is None else str(text)
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _read(line: bytes) -> Any:
    """The result, or what went wrong."""
    if not line.strip():
        return None
    try:
        told = loads(line)
    except ValueError as error:
        shown = line[:100].decode("utf-8", "replace").rstrip()
        raise NotJson(f"the program printed no JSON: {error}: {shown}") from None
    if not isinstance(told, dict) or list(told) != ["penstock"]:
        return told
    said = told["penstock"]
    if isinstance(said, dict) and "fail" in said:
        raise ProgramFailed(said)
    return said.get("result") if isinstance(said, dict) else None
