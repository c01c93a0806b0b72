"""Processing steps, their jobs and their files, for those who make jobs (docs/steps.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import step_calls
from .calls import Call
from .queue_client import Content, pieces_of
from .step_calls import LIST_PAGE, LOGS_PAGE, Artifact, JobWait, PartFile, StepJobView

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class StepJob(StepJobView):
    """A step job as it was when it was asked for. The methods ask the server."""

    _client: Client

    def refresh(self) -> StepJob:
        """As it is now. NotFoundError."""
        return self._client.step_jobs.get(self.id)

    def change(self, **members: Any) -> StepJob:
        """See StepJobs.change."""
        return self._client.step_jobs.change(self.id, **members)

    def start(self) -> StepJob:
        """Starts it. ConflictError when it is not ready."""
        return self.change(start=True)

    def wait(self, timeout: float | None = None) -> StepJob:
        """Waits for its end, however it is. TimeoutError."""
        return self._client.step_jobs.wait(self.id, timeout)

    def get_result(self, timeout: float | None = None) -> Any:
        """Waits for its end; what the step returned. StepJobFailed, TimeoutError."""
        return self.wait(timeout).result_or_raise()

    def logs(self) -> Iterator[dict[str, Any]]:
        """See StepJobs.logs."""
        return self._client.step_jobs.logs(self.id)

    def cancel(self) -> None:
        """Asks it to end. ConflictError when it has."""
        self._client.step_jobs.cancel(self.id)

    def delete(self, outputs: bool = False) -> None:
        """Deletes it; with its outputs if so asked. ConflictError."""
        self._client.step_jobs.delete(self.id, outputs)


class Steps:
    """The steps of a server. One is meant by id, "name:version", or "name": its highest version."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def register(self, manifest: Mapping[str, Any]) -> int:
        """Makes a step known; the same again is fine. ConflictError when it is another."""
        return int(self._client.ask(step_calls.register_step(manifest))["id"])

    def get(self, step: int | str) -> dict[str, Any]:
        """A step as the server says it. NotFoundError."""
        told: dict[str, Any] = self._client.ask(step_calls.show_step(step))
        return told

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[dict[str, Any]]:
        """Steps by name, the highest version first; filters as in docs/steps.md."""
        offset, more = 0, True
        while more:
            found = self._client.ask(step_calls.list_steps(filter, offset, page))["steps"]
            yield from found
            offset += len(found)
            more = len(found) >= page

    def change(self, step: int | str, **members: Any) -> dict[str, Any]:
        """Edits title, tags, hidden, public, deprecated, defaults, code_hash, folder."""
        told: dict[str, Any] = self._client.ask(step_calls.change_step(step, members))
        return told

    def deprecate(self, step: int | str, reason: str = "") -> None:
        """Says that it should not be used for new jobs."""
        self.change(step, deprecated={"reason": reason})

    def delete(self, step: int | str) -> None:
        """Deletes it. ConflictError while a job has selected it."""
        self._client.ask(step_calls.delete_step(step))


class StepJobs:
    """The step jobs of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
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
    ) -> StepJob:
        """Makes a job, all of it or nothing; `start` starts it.

        `inputs`: by slot an artifact, or a list of them (or of their ids). Further members as in
        docs/steps.md: max_attempts, retry, timeout_s, priority, folder, hidden, output_deletable.
        """
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
        return StepJob.of(self._client, self._client.ask(step_calls.create_job(body)))

    def run(
        self,
        step: int | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        **members: Any,
    ) -> StepJob:
        """Makes and starts a job of that step: see create."""
        return self.create(
            name or str(step), step=step, parameters=parameters, start=True, **members
        )

    def get(self, job: int, *, wait_s: float = 0.0) -> StepJob:
        """A job; waits up to `wait_s` (60 at most) for its end. NotFoundError."""
        return StepJob.of(self._client, self._client.ask(step_calls.show_job(job, wait_s)))

    def wait(self, job: int, timeout: float | None = None) -> StepJob:
        """Waits for the end of a job, however it is. TimeoutError."""
        wait = JobWait(job, timeout)
        while True:
            found = self.get(job, wait_s=wait.next_s())
            if found.ended:
                return found
            wait.check(found)

    def change(self, job: int, **members: Any) -> StepJob:
        """Sets name, step, parameters, inputs, tags, ...; `start=True` starts it. ConflictError."""
        return StepJob.of(self._client, self._client.ask(step_calls.change_job(job, members)))

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[StepJob]:
        """Jobs, the newest first unless `sort` says otherwise; filters as in docs/steps.md."""
        after, more = None, True
        while more:
            told = self._client.ask(step_calls.list_jobs(filter, after, page))
            for one in told["jobs"]:
                yield StepJob.of(self._client, one)
            after = told.get("next")
            more = after is not None

    def logs(self, job: int, offset: int = 0, page: int = LOGS_PAGE) -> Iterator[dict[str, Any]]:
        """What its runs have logged and printed, line by line: `number`, `at`, `fence`, `level`,
        `source`, `message`. `offset` lines are left out. NotFoundError."""
        more = True
        while more:
            found = self._client.ask(step_calls.job_logs(job, offset, page))["lines"]
            yield from found
            offset += len(found)
            more = len(found) >= page

    def metrics(self, job: int) -> dict[str, Any]:
        """What its last run has measured. NotFoundError."""
        told: dict[str, Any] = self._client.ask(step_calls.job_metrics(job))["metrics"]
        return told

    def cancel(self, job: int) -> None:
        """Asks it to end. ConflictError when it neither waits nor runs."""
        self._client.ask(step_calls.cancel_job(job))

    def delete(self, job: int, outputs: bool = False) -> None:
        """Deletes it; with `outputs` these first. ConflictError."""
        if outputs:
            for slot in self.get(job).outputs.values():
                for artifact in slot:
                    self._client.artifacts.delete(artifact.id)
        self._client.ask(step_calls.delete_job(job))


class Artifacts:
    """The files that a server keeps for steps. Streamed, never held."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def upload(
        self,
        content: Content,
        *,
        name: str | None = None,
        media_type: str | None = None,
        tags: list[str] | None = None,
        comment: str | None = None,
        **members: Any,
    ) -> Artifact:
        """Stores what is in a file (a path or an open one), bytes, or pieces of them.

        `name`: the file's own unless given; the media type follows from it.
        """
        members = {"tag": tags, "comment": comment, **members}
        if isinstance(content, (str, os.PathLike)):
            with Path(content).open("rb") as file:
                return self._upload(file, name or Path(content).name, media_type, members)
        return self._upload(content, name or "data", media_type, members)

    def _upload(
        self, content: Any, name: str, media_type: str | None, members: Mapping[str, Any]
    ) -> Artifact:
        path = step_calls.upload_path(name, members)
        kind = step_calls.type_of(name, media_type)
        return Artifact.of(self._client.upload(path, pieces_of(content), kind))

    def get(self, artifact: int | Artifact) -> Artifact:
        """What is known of it. NotFoundError."""
        return Artifact.of(self._client.ask(Call("GET", step_calls.artifact_path(artifact))))

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[Artifact]:
        """Artifacts, the newest first unless `sort` says otherwise; filters as in docs/steps.md."""
        after, more = None, True
        while more:
            told = self._client.ask(step_calls.list_artifacts(filter, after, page))
            yield from map(Artifact.of, told["artifacts"])
            after = told.get("next")
            more = after is not None

    def stream(self, artifact: int | Artifact) -> Iterator[bytes]:
        """The bytes, piece by piece. NotFoundError; ConnectionLostError."""
        return self._client.download(f"{step_calls.artifact_path(artifact)}/content")

    def read(self, artifact: int | Artifact) -> bytes:
        """The bytes at once."""
        return b"".join(self.stream(artifact))

    def download(self, artifact: int | Artifact, path: str | os.PathLike[str]) -> Path:
        """Writes the bytes to a file, or into a folder under the artifact's name; the file.

        It is there whole or not at all.
        """
        target = Path(path)
        if target.is_dir():
            found = artifact if isinstance(artifact, Artifact) else self.get(artifact)
            target = target / Path(found.name).name
        with PartFile(target) as file:
            for piece in self.stream(artifact):
                file.write(piece)
        return target

    def change(self, artifact: int | Artifact, **members: Any) -> Artifact:
        """Sets name, comment, tags, hidden, deletable, secret, folder."""
        return Artifact.of(self._client.ask(step_calls.change_artifact(artifact, members)))

    def delete(self, artifact: int | Artifact) -> None:
        """Deletes it. ConflictError when it may not be."""
        self._client.ask(Call("DELETE", step_calls.artifact_path(artifact)))

    def lineage(self, artifact: int | Artifact, up: int = 20, down: int = 20) -> dict[str, Any]:
        """What made it, and what was made from it: see docs/steps.md."""
        told: dict[str, Any] = self._client.ask(step_calls.lineage(artifact, up, down))
        return told
