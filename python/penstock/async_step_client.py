"""The steps' part of AsyncClient: the same calls as step_client.py, awaited."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import step_calls
from .calls import Call
from .queue_client import Content, pieces_of
from .step_calls import LIST_PAGE, LOGS_PAGE, Artifact, JobWait, PartFile, StepJobView

if TYPE_CHECKING:
    from .async_client import AsyncClient


@dataclass(frozen=True)
class AsyncStepJob(StepJobView):
    """As StepJob."""

    _client: AsyncClient

    async def refresh(self) -> AsyncStepJob:
        """As StepJob.refresh."""
        return await self._client.step_jobs.get(self.id)

    async def change(self, **members: Any) -> AsyncStepJob:
        """As StepJob.change."""
        return await self._client.step_jobs.change(self.id, **members)

    async def start(self) -> AsyncStepJob:
        """As StepJob.start."""
        return await self.change(start=True)

    async def wait(self, timeout: float | None = None) -> AsyncStepJob:
        """As StepJob.wait."""
        return await self._client.step_jobs.wait(self.id, timeout)

    async def get_result(self, timeout: float | None = None) -> Any:
        """As StepJob.get_result."""
        return (await self.wait(timeout)).result_or_raise()

    def logs(self) -> AsyncIterator[dict[str, Any]]:
        """As StepJob.logs."""
        return self._client.step_jobs.logs(self.id)

    async def cancel(self) -> None:
        """As StepJob.cancel."""
        await self._client.step_jobs.cancel(self.id)

    async def delete(self, outputs: bool = False) -> None:
        """As StepJob.delete."""
        await self._client.step_jobs.delete(self.id, outputs)


class AsyncSteps:
    """As Steps."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def register(self, manifest: Mapping[str, Any]) -> int:
        """As Steps.register."""
        return int((await self._client.ask(step_calls.register_step(manifest)))["id"])

    async def get(self, step: int | str) -> dict[str, Any]:
        """As Steps.get."""
        told: dict[str, Any] = await self._client.ask(step_calls.show_step(step))
        return told

    async def list(self, page: int = LIST_PAGE, **filter: Any) -> AsyncIterator[dict[str, Any]]:
        """As Steps.list."""
        offset, more = 0, True
        while more:
            found = (await self._client.ask(step_calls.list_steps(filter, offset, page)))["steps"]
            for one in found:
                yield one
            offset += len(found)
            more = len(found) >= page

    async def change(self, step: int | str, **members: Any) -> dict[str, Any]:
        """As Steps.change."""
        told: dict[str, Any] = await self._client.ask(step_calls.change_step(step, members))
        return told

    async def deprecate(self, step: int | str, reason: str = "") -> None:
        """As Steps.deprecate."""
        await self.change(step, deprecated={"reason": reason})

    async def delete(self, step: int | str) -> None:
        """As Steps.delete."""
        await self._client.ask(step_calls.delete_step(step))


class AsyncStepJobs:
    """As StepJobs."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self,
        name: str,
        *,
        step: int | str | None = None,
        parameters: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        parent: int | None = None,
        start: bool = False,
        **members: Any,
    ) -> AsyncStepJob:
        """As StepJobs.create."""
        body = {
            "name": name,
            "step": step,
            "parameters": parameters,
            "inputs": inputs,
            "tags": tags,
            "parent": parent,
            "start": start or None,
            **members,
        }
        told = await self._client.ask(step_calls.create_job(body))
        return AsyncStepJob.of(self._client, told)

    async def run(
        self,
        step: int | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        **members: Any,
    ) -> AsyncStepJob:
        """As StepJobs.run."""
        return await self.create(
            name or str(step), step=step, parameters=parameters, start=True, **members
        )

    async def get(self, job: int, *, wait_s: float = 0.0) -> AsyncStepJob:
        """As StepJobs.get."""
        told = await self._client.ask(step_calls.show_job(job, wait_s))
        return AsyncStepJob.of(self._client, told)

    async def wait(self, job: int, timeout: float | None = None) -> AsyncStepJob:
        """As StepJobs.wait."""
        wait = JobWait(job, timeout)
        while True:
            found = await self.get(job, wait_s=wait.next_s())
            if found.ended:
                return found
            wait.check(found)

    async def change(self, job: int, **members: Any) -> AsyncStepJob:
        """As StepJobs.change."""
        told = await self._client.ask(step_calls.change_job(job, members))
        return AsyncStepJob.of(self._client, told)

    async def list(self, page: int = LIST_PAGE, **filter: Any) -> AsyncIterator[AsyncStepJob]:
        """As StepJobs.list."""
        after, more = None, True
        while more:
            told = await self._client.ask(step_calls.list_jobs(filter, after, page))
            for one in told["jobs"]:
                yield AsyncStepJob.of(self._client, one)
            after = told.get("next")
            more = after is not None

    async def logs(
        self, job: int, offset: int = 0, page: int = LOGS_PAGE
    ) -> AsyncIterator[dict[str, Any]]:
        """As StepJobs.logs."""
        more = True
        while more:
            found = (await self._client.ask(step_calls.job_logs(job, offset, page)))["lines"]
            for one in found:
                yield one
            offset += len(found)
            more = len(found) >= page

    async def metrics(self, job: int) -> dict[str, Any]:
        """As StepJobs.metrics."""
        told: dict[str, Any] = (await self._client.ask(step_calls.job_metrics(job)))["metrics"]
        return told

    async def cancel(self, job: int) -> None:
        """As StepJobs.cancel."""
        await self._client.ask(step_calls.cancel_job(job))

    async def delete(self, job: int, outputs: bool = False) -> None:
        """As StepJobs.delete."""
        if outputs:
            for slot in (await self.get(job)).outputs.values():
                for artifact in slot:
                    await self._client.artifacts.delete(artifact.id)
        await self._client.ask(step_calls.delete_job(job))


class AsyncArtifacts:
    """As Artifacts. What is uploaded is read and sent by a thread."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def upload(
        self,
        content: Content,
        *,
        name: str | None = None,
        media_type: str | None = None,
        tags: list[str] | None = None,
        comment: str | None = None,
        **members: Any,
    ) -> Artifact:
        """As Artifacts.upload."""
        members = {"tag": tags, "comment": comment, **members}
        if isinstance(content, (str, os.PathLike)):
            with Path(content).open("rb") as file:
                return await self._upload(file, name or Path(content).name, media_type, members)
        return await self._upload(content, name or "data", media_type, members)

    async def _upload(
        self, content: Any, name: str, media_type: str | None, members: Mapping[str, Any]
    ) -> Artifact:
        path = step_calls.upload_path(name, members)
        kind = step_calls.type_of(name, media_type)
        return Artifact.of(await self._client.upload(path, pieces_of(content), kind))

    async def get(self, artifact: int | Artifact) -> Artifact:
        """As Artifacts.get."""
        return Artifact.of(await self._client.ask(Call("GET", step_calls.artifact_path(artifact))))

    async def list(self, page: int = LIST_PAGE, **filter: Any) -> AsyncIterator[Artifact]:
        """As Artifacts.list."""
        after, more = None, True
        while more:
            told = await self._client.ask(step_calls.list_artifacts(filter, after, page))
            for one in told["artifacts"]:
                yield Artifact.of(one)
            after = told.get("next")
            more = after is not None

    def stream(self, artifact: int | Artifact) -> AsyncIterator[bytes]:
        """As Artifacts.stream."""
        return self._client.download(f"{step_calls.artifact_path(artifact)}/content")

    async def read(self, artifact: int | Artifact) -> bytes:
        """As Artifacts.read."""
        return b"".join([piece async for piece in self.stream(artifact)])

    async def download(self, artifact: int | Artifact, path: str | os.PathLike[str]) -> Path:
        """As Artifacts.download."""
        target = Path(path)
        if target.is_dir():
            found = artifact if isinstance(artifact, Artifact) else await self.get(artifact)
            target = target / Path(found.name).name
        with PartFile(target) as file:
            async for piece in self.stream(artifact):
                file.write(piece)
        return target

    async def change(self, artifact: int | Artifact, **members: Any) -> Artifact:
        """As Artifacts.change."""
        return Artifact.of(await self._client.ask(step_calls.change_artifact(artifact, members)))

    async def delete(self, artifact: int | Artifact) -> None:
        """As Artifacts.delete."""
        await self._client.ask(Call("DELETE", step_calls.artifact_path(artifact)))

    async def lineage(
        self, artifact: int | Artifact, up: int = 20, down: int = 20
    ) -> dict[str, Any]:
        """As Artifacts.lineage."""
        told: dict[str, Any] = await self._client.ask(step_calls.lineage(artifact, up, down))
        return told
