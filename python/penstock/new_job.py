"""What a job is made of, as `jobs.create` takes it. For type checkers; nothing here runs."""

from __future__ import annotations

from typing import Any, TypedDict


class NewJob(TypedDict, total=False):
    """The members of a new job. What is left out, or None, is left to the server.

    /openapi.json of the server has every member with its limits.
    """

    #: {"path": ...}, {"paths": [...]} or {"program": ...}, with "format" and "chunk_rows".
    source: dict[str, Any] | None
    #: {"path": ...} or {"program": ...}, with "format", "overwrite" and "ordered".
    sink: dict[str, Any] | None
    #: "read-write", "read" or "write".
    mode: str | None
    lease_s: float | None
    max_attempts: int | None
    allow_repeats: bool | None
    #: {"concurrency": ..., "rpm": ..., "adaptive": ...}
    limits: dict[str, Any] | None
    #: {"delay_s": ..., "factor": ...}
    retry: dict[str, Any] | None
    #: {"key": ..., "rerun_key": ...}
    identity: dict[str, Any] | None
    #: {"path": ..., "records": ...}
    errors: dict[str, Any] | None
    #: {"limit": ...} and what else narrows what one run takes, with resume.
    portion: dict[str, Any] | None
    #: Protects the job: who has no key needs it from now on, as Client(..., token=...).
    token: str | None
    clean_start: bool | None
    repair: bool | None
    resume: bool | None
    force_overwrite: bool | None
