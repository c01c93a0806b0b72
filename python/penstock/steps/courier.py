"""Fetches the inputs of a step's run, and stores its outputs: streamed, and asked again when the
server is away for a while.

It shows the run's token, so that what is stored is stored for the job's owner, and only while this
run is the one that the queue knows of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from ..client import Client
from ..errors import BusyError, ConnectionLostError, PenstockError

PIECE_BYTES = 1 << 20
PATIENCE_S = 60.0
PAUSE_MAX_S = 2.0


class Courier:
    """Carries files for one run. For one thread at a time.

    `check` is called now and then, and raises when the run is to end.
    """

    def __init__(self, client: Client, check: Callable[[], None]) -> None:
        self.client = client
        self._check = check

    def fetch(self, artifact: dict[str, Any], path: Path) -> None:
        """Writes the bytes of an artifact to a file. PenstockError; OSError."""
        self._again(lambda: self._fetch(artifact, path))

    def store(
        self, job: int, fence: int, slot: str, place: int, path: Path, name: str, media_type: str
    ) -> dict[str, Any]:
        """Stores a file as the output at that place; the artifact. PenstockError; OSError."""
        where = f"/v1/step-jobs/{job}/outputs/{quote(slot, safe='')}"
        query = f"?fence={fence}&place={place}&name={quote(name, safe='')}"
        stored: dict[str, Any] = {}

        def send() -> None:
            with path.open("rb") as file:
                size = path.stat().st_size
                answer = self.client.put_stream(
                    where + query, self._pieces(file, size), size, media_type
                )
                stored.update(answer)

        # The same place again is the same output: it may be sent twice.
        self._again(send)
        return stored

    def describe(self, artifact: int, **members: Any) -> None:
        """Sets the members of an artifact that are given: comment, tags."""
        given = {name: value for name, value in members.items() if value}
        if given:
            self.client.send("PATCH", f"/v1/artifacts/{artifact}", orjson.dumps(given))

    def _fetch(self, artifact: dict[str, Any], path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            for piece in self.client.download(f"/v1/artifacts/{artifact['id']}/content"):
                self._check()
                file.write(piece)
                size += len(piece)
        if size != artifact.get("bytes", size):
            text = f"artifact {artifact['id']} ended after {size} of {artifact['bytes']} bytes"
            raise ConnectionLostError(text)

    def _pieces(self, file: Any, size: int) -> Iterator[bytes]:
        left = size
        while left > 0:
            self._check()
            piece = file.read(min(PIECE_BYTES, left))
            if not piece:
                raise OSError(f"{file.name} became shorter while it was read")
            left -= len(piece)
            yield piece

    def _again(self, call: Callable[[], None]) -> None:
        """Calls it until it succeeds, as long as the server is merely away or busy."""
        ends_s = time.monotonic() + PATIENCE_S
        pause_s = 0.05
        while True:
            self._check()
            try:
                call()
                return
            except (BusyError, ConnectionLostError) as error:
                problem: PenstockError = error
            if time.monotonic() + pause_s > ends_s:
                raise problem
            # Nothing announces a server's return.
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
