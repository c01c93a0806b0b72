"""What can go wrong with jobs, entities and files, besides what the SDK itself raises."""

from __future__ import annotations

from followthemoney.exc import InvalidData

from ..archive import BlobNotFoundError


class SettingsError(ValueError):
    """A variable of the environment, or a line of `.env`, says what cannot be."""


class InvalidEntity(InvalidData, ValueError):  # noqa: N818 - as its users know it
    """An entity that is none: no id, a schema that nobody knows, or fragments that do not fit."""


class InvalidJob(ValueError):  # noqa: N818
    """A job that is none, or arguments that are no job's."""


class UnexpectedResult(TypeError):  # noqa: N818
    """A task returned or yielded something that is no job."""


class ArchiveFileNotFound(BlobNotFoundError):  # noqa: N818 - as its users know it
    """The archive does not have the file of that content hash."""
