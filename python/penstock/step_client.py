"""Processing steps, their jobs and their files, for those who make jobs (docs/steps.md)."""

from __future__ import annotations

import datetime
import mimetypes
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from .errors import PenstockError
from .event import instant
from .queue_client import Content, pieces_of

if TYPE_CHECKING:
    from .client import Client

LIST_PAGE = 500
#: How long one request waits for the end of a job.
WAIT_STEP_S = 30.0
ENDS = ("completed", "failed", "cancelled")
UNKNOWN_TYPE = "application/octet-stream"


class StepJobFailed(PenstockError):  # noqa: N818 - said by what it is
    """The step job failed or was cancelled; `job` has it whole."""

    code = "step-job-failed"

    def __init__(self, job: StepJob) -> None:
        error = job.error or {}
        text = error.get("message") or f"it is {job.state}"
        super().__init__(f"step job {job.id} ({job.name}): {text}")
        self.job = job


@dataclass(frozen=True)
class Artifact:
    """A file that the server keeps."""

    id: int
    name: str
    media_type: str
    bytes: int
    sha256: str
    #: All that the server says of it.
    told: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Artifact:
        """Of the server's answer."""
        return cls(
            told["id"], told["name"], told["media_type"], told["bytes"], told["sha256"], told
        )

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return list(self.told.get("tags") or ())

    @property
    def job_id(self) -> int | None:
        """The job whose output it is; None of an upload."""
        return self.told.get("job")


@dataclass(frozen=True)
class StepJob:
    """A step job as it was when it was asked for. The methods ask the server."""

    id: int
    name: str
    #: draft, ready, pending, running, completed, failed, cancelled
    state: str
    tags: list[str]
    #: None: nothing was configured.
    parameters: dict[str, Any] | None
    inputs: dict[str, list[Artifact]]
    outputs: dict[str, list[Artifact]]
    #: JSON, once it is completed.
    result: Any
    #: Of the last attempt that failed: `message`, `type`, `traceback`.
    error: dict[str, Any] | None
    #: All that the server says of it.
    told: dict[str, Any] = field(repr=False, compare=False)
    _client: Client = field(repr=False, compare=False)

    @classmethod
    def of(cls, client: Client, told: dict[str, Any]) -> StepJob:
        """Of the server's answer."""
        return cls(
            told["id"],
            told["name"],
            told["state"],
            list(told.get("tags") or ()),
            told.get("parameters"),
            _artifacts(told.get("inputs")),
            _artifacts(told.get("outputs")),
            told.get("result"),
            told.get("error"),
            told,
            client,
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ENDS

    @property
    def ended_at(self) -> datetime.datetime | None:
        """When it ended."""
        text = self.told.get("ended_at")
        return instant(text) if text else None

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
        job = self.wait(timeout)
        if job.state != "completed":
            raise StepJobFailed(job)
        return job.result

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
        told = self._client.send("POST", "/v1/steps", orjson.dumps(dict(manifest)))
        return int(told["id"])

    def get(self, step: int | str) -> dict[str, Any]:
        """A step as the server says it. NotFoundError."""
        told: dict[str, Any] = self._client.send("GET", f"/v1/steps/{quote(str(step), safe='')}")
        return told

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[dict[str, Any]]:
        """Steps by name, the highest version first; filters as in docs/steps.md."""
        offset = 0
        while True:
            query = _query({**filter, "offset": offset, "limit": page})
            found = self._client.send("GET", f"/v1/steps?{query}")["steps"]
            yield from found
            offset += len(found)
            if len(found) < page:
                return

    def change(self, step: int | str, **members: Any) -> dict[str, Any]:
        """Edits title, tags, hidden, public, deprecated, defaults, code_hash, folder."""
        path = f"/v1/steps/{quote(str(step), safe='')}"
        told: dict[str, Any] = self._client.send("PATCH", path, orjson.dumps(members))
        return told

    def deprecate(self, step: int | str, reason: str = "") -> None:
        """Says that it should not be used for new jobs."""
        self.change(step, deprecated={"reason": reason})

    def delete(self, step: int | str) -> None:
        """Deletes it. ConflictError while a job has selected it."""
        self._client.send("DELETE", f"/v1/steps/{quote(str(step), safe='')}")


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
            "inputs": _ids(inputs),
            "tags": tags,
            "parent": parent,
            "start": start or None,
            **members,
        }
        given = {one: value for one, value in body.items() if value is not None}
        # Twice would be two jobs.
        told = self._client.send("POST", "/v1/step-jobs", orjson.dumps(given), repeatable=False)
        return StepJob.of(self._client, told)

    def run(self, step: int | str, name: str = "", **members: Any) -> StepJob:
        """Makes and starts a job of that step: see create."""
        return self.create(name or str(step), step=step, start=True, **members)

    def get(self, job: int, *, wait_s: float = 0.0) -> StepJob:
        """A job; waits up to `wait_s` (60 at most) for its end. NotFoundError."""
        query = f"?wait_s={wait_s:g}" if wait_s else ""
        told = self._client.send("GET", f"/v1/step-jobs/{job}{query}", wait_s=wait_s)
        return StepJob.of(self._client, told)

    def wait(self, job: int, timeout: float | None = None) -> StepJob:
        """Waits for the end of a job, however it is. TimeoutError."""
        ends_s = None if timeout is None else time.monotonic() + timeout
        while True:
            left_s = WAIT_STEP_S if ends_s is None else max(ends_s - time.monotonic(), 0.0)
            found = self.get(job, wait_s=round(min(left_s, WAIT_STEP_S), 3))
            if found.ended:
                return found
            if ends_s is not None and time.monotonic() >= ends_s:
                raise TimeoutError(f"step job {job} is still {found.state} after {timeout:g} s")

    def change(self, job: int, **members: Any) -> StepJob:
        """Sets name, step, parameters, inputs, tags, ...; `start=True` starts it. ConflictError."""
        if "inputs" in members:
            members["inputs"] = _ids(members["inputs"])
        told = self._client.send("PATCH", f"/v1/step-jobs/{job}", orjson.dumps(members))
        return StepJob.of(self._client, told)

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[StepJob]:
        """Jobs, the newest first unless `sort` says otherwise; filters as in docs/steps.md."""
        after: str | None = None
        while True:
            query = _query({**filter, "limit": page, "after": after})
            told = self._client.send("GET", f"/v1/step-jobs?{query}")
            for one in told["jobs"]:
                yield StepJob.of(self._client, one)
            after = told.get("next")
            if after is None:
                return

    def cancel(self, job: int) -> None:
        """Asks it to end. ConflictError when it neither waits nor runs."""
        self._client.send("POST", f"/v1/step-jobs/{job}/cancel")

    def delete(self, job: int, outputs: bool = False) -> None:
        """Deletes it; with `outputs` these first. ConflictError."""
        if outputs:
            for slot in self.get(job).outputs.values():
                for artifact in slot:
                    self._client.artifacts.delete(artifact.id)
        self._client.send("DELETE", f"/v1/step-jobs/{job}")


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
        if isinstance(content, (str, os.PathLike)):
            with Path(content).open("rb") as file:
                return self.upload(
                    file,
                    name=name or Path(content).name,
                    media_type=media_type,
                    tags=tags,
                    comment=comment,
                    **members,
                )
        name = name or "data"
        kind = media_type or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
        query = _query({"name": name, "tag": tags, "comment": comment, **members})
        told = self._client.upload(f"/v1/artifacts?{query}", pieces_of(content), kind)
        return Artifact.of(told)

    def get(self, artifact: int | Artifact) -> Artifact:
        """What is known of it. NotFoundError."""
        return Artifact.of(self._client.send("GET", f"/v1/artifacts/{_id(artifact)}"))

    def list(self, page: int = LIST_PAGE, **filter: Any) -> Iterator[Artifact]:
        """Artifacts, the newest first unless `sort` says otherwise; filters as in docs/steps.md."""
        after: str | None = None
        while True:
            query = _query({**filter, "limit": page, "after": after})
            told = self._client.send("GET", f"/v1/artifacts?{query}")
            for one in told["artifacts"]:
                yield Artifact.of(one)
            after = told.get("next")
            if after is None:
                return

    def stream(self, artifact: int | Artifact) -> Iterator[bytes]:
        """The bytes, piece by piece. NotFoundError; ConnectionLostError."""
        return self._client.download(f"/v1/artifacts/{_id(artifact)}/content")

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
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                for piece in self.stream(artifact):
                    file.write(piece)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def change(self, artifact: int | Artifact, **members: Any) -> Artifact:
        """Sets name, comment, tags, hidden, deletable, secret, folder."""
        path = f"/v1/artifacts/{_id(artifact)}"
        return Artifact.of(self._client.send("PATCH", path, orjson.dumps(members)))

    def delete(self, artifact: int | Artifact) -> None:
        """Deletes it. ConflictError when it may not be."""
        self._client.send("DELETE", f"/v1/artifacts/{_id(artifact)}")

    def lineage(self, artifact: int | Artifact, up: int = 20, down: int = 20) -> dict[str, Any]:
        """What made it, and what was made from it: see docs/steps.md."""
        path = f"/v1/artifacts/{_id(artifact)}/lineage?up={up}&down={down}"
        told: dict[str, Any] = self._client.send("GET", path)
        return told


def _artifacts(told: Any) -> dict[str, list[Artifact]]:
    return {slot: [Artifact.of(one) for one in found] for slot, found in (told or {}).items()}


def _id(artifact: int | Artifact) -> int:
    return artifact.id if isinstance(artifact, Artifact) else artifact


def _ids(inputs: Mapping[str, Any] | None) -> dict[str, list[int]] | None:
    if inputs is None:
        return None
    made = {}
    for slot, given in inputs.items():
        listed = given if isinstance(given, (list, tuple)) else [given]
        made[slot] = [_id(one) for one in listed]
    return made


def _query(members: Mapping[str, Any]) -> str:
    """As the server reads it: lists are repeated, None is left out, flags are true and false."""
    pairs = []
    for name, value in members.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                pairs.append((name, "true" if one else "false"))
            elif one is not None:
                pairs.append((name, str(one)))
    return urlencode(pairs, quote_via=quote)
