"""One job of a step: inputs fetched, the function called, outputs stored, files removed."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..context import TaskContext
from ..scratch import held_folder
from .capture import captured
from .context import StepContext, enter, leave
from .courier import Courier
from .declare import AnyStep, SlotUse, Step, is_data_slot
from .slot_file import DataSlot, Metadata, Slot, safe_name
from .slot_value import empty_output, is_path, read_slots, write_slots

Result = TypeVar("Result")


class SlotError(Exception):
    """A file that came in cannot be read, or one that goes out is missing."""


def run_plain(step: Step, task: TaskContext) -> Any:
    """Runs a job of a plain function in this thread; its result as JSON."""
    with job_of(step, task) as job:
        arguments = job.prepare()
        result = step.call(**arguments)
        return job.finish(result)


async def run_coroutine(step: Step, task: TaskContext) -> Any:
    """The same of a coroutine function; files and the log are carried by threads."""
    with job_of(step, task) as job:
        try:
            arguments = await _in_thread(job.prepare)
            result = await step.call(**arguments)
            return await _in_thread(partial(job.finish, result))
        finally:
            log = job.context.step_log
            if log.is_used:
                await _in_thread(log.close)


async def _in_thread(call: Callable[[], Result]) -> Result:
    """Who is cancelled waits for the thread, which sees it, too: its files are about to go."""
    surroundings = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(None, surroundings.run, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@contextmanager
def job_of(step: AnyStep, task: TaskContext) -> Iterator[JobRun]:
    """The job, with its files and its context, for as long as it runs."""
    with ExitStack() as stack:
        context = StepContext(task)
        stack.callback(context.close)
        stack.callback(context.step_log.close)
        client = context.new_client()
        stack.callback(client.close)
        place = stack.enter_context(held_folder())
        token = enter(context)
        stack.callback(leave, token)
        stack.enter_context(captured(context.step_log))
        job = JobRun(step, context, Courier(client, task.check), place)
        stack.callback(job.close)
        try:
            yield job
        except Exception as error:
            _speak_for(error)
            raise


def _speak_for(error: Exception) -> None:
    """A text that is meant for the user (as of ProCon's exceptions) is what the user reads."""
    text = getattr(error, "user_message", None)
    if isinstance(text, str) and text and not hasattr(error, "__penstock_verdict__"):
        error.__penstock_verdict__ = {"message": text}  # type: ignore[attr-defined]


class JobRun:
    """What one run of a job has in its hands."""

    def __init__(self, step: AnyStep, context: StepContext, courier: Courier, place: Path) -> None:
        self.step = step
        self.context = context
        self._courier = courier
        self._place = place
        self._outputs: dict[str, DataSlot] = {}
        self._arguments: dict[str, Any] = {}
        self._slots: list[DataSlot] = []

    # ---- before the call

    def prepare(self) -> dict[str, Any]:
        """What the function is to be called with: parameters checked, then inputs fetched."""
        step = self.step
        arguments = step.parameters.read(self.context.parameters)
        if step.context_name is not None:
            arguments[step.context_name] = self.context
        for name, use in step.slots.items():
            slots = self._fetched(use) if use.slot.is_input else self._empty(use)
            arguments[name] = self._argument(slots, use)
            if not use.slot.is_input:
                self._outputs[name] = slots
        self._arguments = arguments
        return dict(arguments)

    def _folder(self, kind: str) -> Path:
        made = self._place / f"{kind}-{len(self._slots)}"
        made.mkdir()
        return made

    def _fetched(self, use: SlotUse) -> DataSlot:
        artifacts = self.context.inputs.get(use.slot.shown_name, [])
        slots: list[Slot] = []
        made = DataSlot(use.slot, self._folder("in"), slots)
        self._slots.append(made)
        for place, artifact in enumerate(artifacts):
            path = made.folder / str(place) / safe_name(artifact.get("name") or "")
            path.parent.mkdir()
            self._courier.fetch(artifact, path)
            load = partial(self._show, artifact["id"])
            meta = Metadata(artifact.get("name") or "", load=load)
            kind = artifact.get("media_type") or use.slot.media_type
            slots.append(Slot(use.slot, path, place, kind, meta, artifact))
        return made

    def _show(self, artifact: int) -> dict[str, Any]:
        told: dict[str, Any] = self._courier.client.send("GET", f"/v1/artifacts/{artifact}")
        return told

    def _empty(self, use: SlotUse) -> DataSlot:
        made = DataSlot(use.slot, self._folder("out"))
        self._slots.append(made)
        return made

    def _argument(self, slots: DataSlot, use: SlotUse) -> Any:
        if is_data_slot(use.kind):
            if not use.slot.is_input:
                # A file is there to be written; of a collection as many as there must be.
                for _ in range(self._count(slots)):
                    slots.add()
            return slots
        if not use.slot.is_input:
            return empty_output(slots, use.kind)
        read: list[Slot] = []
        try:
            return read_slots(slots, use.kind, read.append)
        except Exception as error:
            file = f", file {read[-1].meta.filename!r}," if read else ""
            what = f"{self.step.name}: input {use.slot.shown_name!r}{file} cannot be read"
            raise SlotError(f"{what}: {type(error).__name__}: {error}") from error

    def _count(self, slots: DataSlot) -> int:
        annotation = slots.annotation
        if self.step.is_strict:
            return 0 if annotation.collection else 1
        # As ProCon does it, where a job brings the places for all files.
        return annotation.max_slots or max(annotation.min_slots, 1)

    # ---- after the call

    def finish(self, result: Any) -> Any:
        """Stores the outputs; what the job's result is, as JSON."""
        step = self.step
        told = None
        if step.returned is None:
            told = step.returns.write(result)
        for name, slots in self._outputs.items():
            self._written(slots, step.slots[name].kind, self._arguments[name])
        stored = list(self._outputs.values())
        if step.returned is not None:
            slots = self._empty(step.returned)
            self._write(slots, result)
            stored.append(slots)
        for slots in stored:
            self._check_files(slots)
        for slots in stored:
            self._store(slots)
        return told

    def _written(self, slots: DataSlot, kind: Any, value: Any) -> None:
        for slot in slots:
            slot.close()
        if is_data_slot(kind) or (slots.slots and not hasattr(value, "__len__")):
            return
        if is_path(kind):
            if slots.annotation.collection:
                self.take_folder(slots)
            return
        if not slots.slots:
            self._write(slots, value)

    def take_folder(self, slots: DataSlot) -> None:
        """What the function has put into the folder, in the order of names."""
        for path in sorted(slots.folder.iterdir()):
            if path.is_file():
                slot = slots.add(path.name)
                path.replace(slot.path)

    def _write(self, slots: DataSlot, value: Any) -> None:
        try:
            write_slots(slots, value)
        except Exception as error:
            what = f"{self.step.name}: output {slots.annotation.shown_name!r} cannot be written"
            raise SlotError(f"{what}: {type(error).__name__}: {error}") from error

    def _files(self, slots: DataSlot) -> list[Slot]:
        """The files that are there. ProCon knows no empty ones."""
        there = [slot for slot in slots if slot.path.is_file()]
        return there if self.step.is_strict else [s for s in there if s.path.stat().st_size > 0]

    def _check_files(self, slots: DataSlot) -> None:
        count, annotation = len(self._files(slots)), slots.annotation
        if self.step.is_strict and count < annotation.min_slots:
            text = f"output {annotation.shown_name!r} has {count} files, it needs"
            raise SlotError(f"{self.step.name}: {text} {annotation.min_slots}")
        if annotation.max_slots is not None and count > annotation.max_slots:
            text = f"output {annotation.shown_name!r} has {count} files, it takes"
            raise SlotError(f"{self.step.name}: {text} {annotation.max_slots}")

    def _store(self, slots: DataSlot) -> None:
        context = self.context
        for place, slot in enumerate(self._files(slots)):
            artifact = self._courier.store(
                context.job_id,
                context.fence,
                slots.annotation.shown_name,
                place,
                slot.path,
                slot.meta.filename or slot.path.name,
                slot.media_type,
            )
            meta = slot.meta
            self._courier.describe(artifact["id"], comment=meta.comment, tags=list(meta.tags))

    def close(self) -> None:
        """Closes files that were left open."""
        for slots in self._slots:
            for slot in slots:
                slot.close()
