"""One run of a function by `python -m penstock.runtime` over records of a fake engine."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .fake_engine import FakeEngine
from .runtime_process import RuntimeProcess


class Json(str):
    """A record as the JSON that it is."""


class RuntimeCase:
    """Makes task files, engines and worker processes; ends them all with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[RuntimeProcess] = []
        self.engines: list[FakeEngine] = []

    def file(self, name: str, source: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def engine(self, records: Iterable[Any], **answer: Any) -> FakeEngine:
        texts = [record if isinstance(record, Json) else json.dumps(record) for record in records]
        engine = FakeEngine(texts, **answer)
        self.engines.append(engine)
        return engine

    def start(self, target: str = "task.py", *args: str, **env: str) -> RuntimeProcess:
        process = RuntimeProcess(self.folder, target, *args, **env)
        self.processes.append(process)
        return process

    def run(
        self,
        source: str,
        records: Iterable[Any],
        *args: str,
        go: dict[str, Any] | None = None,
        **answer: Any,
    ) -> FakeEngine:
        """Runs task.py of that source to its end."""
        self.file("task.py", source)
        engine = self.engine(records, **answer)
        process = self.start("task.py", *args).go(engine.url, **(go or {}))
        status = process.end()
        assert status == 0, f"{status}: {process.said} {process.output()}"
        assert process.said[-1]["bye"]["reason"] == "finished"
        return engine

    @property
    def last(self) -> RuntimeProcess:
        return self.processes[-1]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for engine in self.engines:
            engine.close()
