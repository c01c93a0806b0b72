"""Steps, their jobs and their files: what can be asked of a server, as data (as calls.py), and what
it answers."""

from __future__ import annotations

import datetime
import mimetypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson

from .calls import Call
from .errors import PenstockError
from .event import instant

LIST_PAGE = 500
LOGS_PAGE = 1000
#: How long one request waits for the end of a job.
WAIT_STEP_S = 30.0
ENDS = ("completed", "failed", "cancelled")
UNKNOWN_TYPE = "application/octet-stream"

View = TypeVar("View", bound="StepJobView")


# ---- what is answered


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
class StepJobView:
    """A step job as it was when it was asked for."""

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
    _client: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls: type[View], client: Any, told: dict[str, Any]) -> View:
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

    def result_or_raise(self) -> Any:
        """What the step returned, of a job that has ended. StepJobFailed."""
        if self.state != "completed":
            raise StepJobFailed(self)
        return self.result


class StepJobFailed(PenstockError):  # noqa: N818 - said by what it is
    """The step job failed or was cancelled; `job` has it whole."""

    code = "step-job-failed"

    def __init__(self, job: StepJobView) -> None:
        error = job.error or {}
        text = error.get("message") or f"it is {job.state}"
        super().__init__(f"step job {job.id} ({job.name}): {text}")
        self.job = job


def _artifacts(told: Any) -> dict[str, list[Artifact]]:
    return {slot: [Artifact.of(one) for one in found] for slot, found in (told or {}).items()}


# ---- steps


def register_step(manifest: Mapping[str, Any]) -> Call:
    """The same again is the same."""
    return Call("POST", "/v1/steps", orjson.dumps(dict(manifest)))


def show_step(step: int | str) -> Call:
    return Call("GET", _step_path(step))


def list_steps(filter: Mapping[str, Any], offset: int, page: int) -> Call:
    return Call("GET", f"/v1/steps?{_query({**filter, 'offset': offset, 'limit': page})}")


def change_step(step: int | str, members: Mapping[str, Any]) -> Call:
    return Call("PATCH", _step_path(step), orjson.dumps(dict(members)))


def delete_step(step: int | str) -> Call:
    return Call("DELETE", _step_path(step))


def _step_path(step: int | str) -> str:
    return f"/v1/steps/{quote(str(step), safe='')}"


# ---- jobs


def create_job(members: Mapping[str, Any]) -> Call:
    """To send it twice would be two jobs."""
    given = {name: value for name, value in members.items() if value is not None}
    given = _with_ids(given)
    return Call("POST", "/v1/step-jobs", orjson.dumps(given), repeatable=False)


def show_job(job: int, wait_s: float) -> Call:
    query = f"?wait_s={wait_s:g}" if wait_s else ""
    return Call("GET", f"/v1/step-jobs/{job}{query}", wait_s=wait_s)


def change_job(job: int, members: Mapping[str, Any]) -> Call:
    return Call("PATCH", f"/v1/step-jobs/{job}", orjson.dumps(_with_ids(members)))


def list_jobs(filter: Mapping[str, Any], after: str | None, page: int) -> Call:
    return Call("GET", f"/v1/step-jobs?{_query({**filter, 'limit': page, 'after': after})}")


def cancel_job(job: int) -> Call:
    return Call("POST", f"/v1/step-jobs/{job}/cancel")


def delete_job(job: int) -> Call:
    return Call("DELETE", f"/v1/step-jobs/{job}")


def job_logs(job: int, offset: int, page: int) -> Call:
    return Call("GET", f"/v1/step-jobs/{job}/logs?offset={offset}&limit={page}")


def job_metrics(job: int) -> Call:
    return Call("GET", f"/v1/step-jobs/{job}/metrics")


class JobWait:
    """How long the next request waits for a job's end, when so long may be waited in all."""

    def __init__(self, job: int, timeout: float | None) -> None:
        self._job = job
        self._timeout = timeout
        self._ends_s = None if timeout is None else time.monotonic() + timeout

    def next_s(self) -> float:
        """For the next request."""
        if self._ends_s is None:
            return WAIT_STEP_S
        return round(min(max(self._ends_s - time.monotonic(), 0.0), WAIT_STEP_S), 3)

    def check(self, found: StepJobView) -> None:
        """TimeoutError when it has not ended in time."""
        if self._ends_s is not None and time.monotonic() >= self._ends_s:
            text = f"step job {self._job} is still {found.state} after {self._timeout:g} s"
            raise TimeoutError(text)


# ---- artifacts


def artifact_path(artifact: int | Artifact) -> str:
    """Of what is known of it; its bytes are at `/content` below."""
    return f"/v1/artifacts/{_id(artifact)}"


def upload_path(name: str, members: Mapping[str, Any]) -> str:
    """Where its bytes go."""
    return f"/v1/artifacts?{_query({'name': name, **members})}"


def type_of(name: str, media_type: str | None) -> str:
    """The media type that was given, or follows from the name."""
    return media_type or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE


def list_artifacts(filter: Mapping[str, Any], after: str | None, page: int) -> Call:
    return Call("GET", f"/v1/artifacts?{_query({**filter, 'limit': page, 'after': after})}")


def change_artifact(artifact: int | Artifact, members: Mapping[str, Any]) -> Call:
    return Call("PATCH", artifact_path(artifact), orjson.dumps(dict(members)))


def lineage(artifact: int | Artifact, up: int, down: int) -> Call:
    return Call("GET", f"{artifact_path(artifact)}/lineage?up={up}&down={down}")


class PartFile:
    """A file that is there whole or not at all: written beside, then moved into its place."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(f".{target.name}.{os.getpid()}.part")

    def __enter__(self) -> PartFile:
        self._file = self._part.open("wb")
        return self

    def write(self, piece: bytes) -> None:
        """OSError."""
        self._file.write(piece)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._part.replace(self._target)
        finally:
            self._part.unlink(missing_ok=True)


# ---- parts


def _id(artifact: int | Artifact) -> int:
    return artifact.id if isinstance(artifact, Artifact) else artifact


def _with_ids(members: Mapping[str, Any]) -> dict[str, Any]:
    """Artifacts of inputs by their ids."""
    made = dict(members)
    if made.get("inputs") is not None:
        made["inputs"] = {
            slot: [_id(one) for one in (given if isinstance(given, (list, tuple)) else [given])]
            for slot, given in made["inputs"].items()
        }
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
