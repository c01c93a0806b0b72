"""Files that hold pydantic's models as JSON: readers and writers for data slots."""

from __future__ import annotations

import io
import json
from typing import IO, Any


class DefaultReaderWriter:
    """Of one model, and of a list of them. The file is open as text or as bytes."""

    @staticmethod
    def pydantic_base_writer(filehandle: IO[Any], d: Any) -> None:
        """Writes a model."""
        _write(filehandle, d.model_dump(mode="json", by_alias=True))

    @staticmethod
    def pydantic_base_reader(filehandle: IO[Any], target_type: Any) -> Any:
        """Reads a model of that class."""
        return target_type.model_validate_json(filehandle.read())

    @staticmethod
    def pydantic_list_base_writer(filehandle: IO[Any], d: list[Any]) -> None:
        """Writes a list of models."""
        _write(filehandle, [one.model_dump(mode="json", by_alias=True) for one in d])

    @staticmethod
    def pydantic_list_base_reader(filehandle: IO[Any], target_type: Any) -> list[Any]:
        """Reads a list of models of that class."""
        return [target_type.model_validate(one) for one in json.loads(filehandle.read())]


def _write(file: IO[Any], tree: Any) -> None:
    text = json.dumps(tree)
    file.write(text if isinstance(file, io.TextIOBase) else text.encode("utf-8"))
