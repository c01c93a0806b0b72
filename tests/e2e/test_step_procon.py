"""Functions that were declared for pinexq's ProCon run unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.server_process import ServerProcess
from harness.step_worker import StepWorker

PROCON = '''
import json
from enum import Enum
from typing import Any

from pinexq.procon.core.exceptions import ProConException
from pinexq.procon.dataslots import DataSlot, MediaTypes, dataslot
from pinexq.procon.jobmanagement import get_client
from pinexq.procon.step import Step, version
from pinexq.procon.step.step import ExecutionContext


class Kind(Enum):
    LOUD = "loud"
    QUIET = "quiet"


def read_all(files):
    return "".join(file.read() for file in files)


def write_each(files, values):
    for file, value in zip(files, values):
        file.write(value)


class Texts(Step):
    def calculate_square(self, x: float) -> float:
        """Calculate the square of x

        :param x: a float number
        :returns: the square of x
        """
        return x**2

    @version("1.2.3-beta")
    @dataslot.input("text", media_type=MediaTypes.TEXT)
    @dataslot.returns(alias="shouted", media_type=MediaTypes.TEXT)
    def shout(self, text: str, kind: Kind = Kind.LOUD) -> str:
        return text.upper() if kind is Kind.LOUD else text

    @version(major=2, minor=1)
    @dataslot.input("data", alias="numbers", reader=json.load, media_type=MediaTypes.JSON)
    @dataslot.output(
        "table", media_type=MediaTypes.JSON, writer=lambda file, value: json.dump(value, file)
    )
    def double(self, data: list, table: list) -> int:
        table.extend(2 * number for number in data)
        return len(table)

    @dataslot.input_collection("parts", media_type=MediaTypes.TEXT, collection_reader=read_all)
    @dataslot.output_collection(
        "letters", media_type="text/plain", collection_writer=write_each, min_slots=2, max_slots=2
    )
    def split(self, parts: str, letters: list) -> None:
        letters.extend(parts)

    @dataslot.returns_collection(
        media_type=MediaTypes.TEXT, collection_writer=write_each, min_slots=1, max_slots=3
    )
    def many(self, count: int) -> list[str]:
        return [str(number) for number in range(count)]

    @dataslot.input("source", media_type=MediaTypes.OCTETSTREAM)
    @dataslot.output("target", media_type=MediaTypes.CSV)
    @dataslot.output("empty")
    def copies(self, source: DataSlot, target: DataSlot, empty: DataSlot) -> dict[str, Any]:
        (theirs,) = source.slots
        with theirs, target.slots[0] as ours:
            ours.file.write(theirs.file.read().decode())
            ours.meta.filename = "copied.csv"
            ours.meta.comment = "a copy"
            ours.meta.tags = ["copy", *theirs.meta.tags]
        return {"name": theirs.meta.filename, "slots": len(source)}

    def refuses(self) -> None:
        raise ProConException("inside", user_message="not on a Sunday")

    def context(self) -> dict[str, Any]:
        context = self.step_context
        offer = context.current_job_offer
        token = offer.job_execution_context.access_token.get_secret_value()
        return {
            "function": context.function_name,
            "url": offer.job_execution_context.job_url,
            "token": token[:3],
            "version": offer.algorithm_version,
        }

    def _not_a_step(self) -> None:
        raise AssertionError


if __name__ == "__main__":
    Texts()
'''


@pytest.fixture
def worker(server: ServerProcess, tmp_path: Path) -> Iterator[StepWorker]:
    made = StepWorker(tmp_path / "work", server)
    yield made
    made.close()


def test_functions_of_procon_run_unchanged(worker: StepWorker) -> None:
    (worker.folder / "texts.py").write_text(PROCON, encoding="utf-8")
    worker.serve("", "texts.py", steps=8)
    client = worker.client
    names = {f"{one['name']}:{one['version']}" for one in client.steps.list()}
    assert names == {
        "calculate_square:0.0.0",
        "shout:1.2.3-beta",
        "double:2.1.0",
        "split:0.0.0",
        "many:0.0.0",
        "copies:0.0.0",
        "refuses:0.0.0",
        "context:0.0.0",
    }
    square = client.steps.get("calculate_square")
    assert square["short_description"] == "Calculate the square of x"
    assert square["parameters"]["properties"]["x"]["description"] == "a float number"
    assert square["returns"]["properties"]["value"]["description"] == "the square of x"
    assert worker.result("calculate_square", parameters={"x": 5}) == 25.0

    text = client.artifacts.upload(b"hello", name="a.txt", tags=["raw"])
    job = worker.run("shout:1.2.3-beta", inputs={"text": text})
    assert job.result is None and worker.read(job, "shouted") == [b"HELLO"], job.error
    job = worker.run("shout:1.2.3-beta", inputs={"text": text}, parameters={"kind": "quiet"})
    assert worker.read(job, "shouted") == [b"hello"]

    numbers = client.artifacts.upload(b"[1,2]", name="n.json")
    job = worker.run("double", inputs={"numbers": numbers})
    assert job.result == 2 and worker.read(job, "table") == [b"[2, 4]"], job.error

    more = client.artifacts.upload(b"ab", name="b.txt")
    part = client.artifacts.upload(b"x", name="c.txt")
    job = worker.run("split", inputs={"parts": [part, part]})
    assert worker.read(job, "letters") == [b"x", b"x"], job.error
    job = worker.run("split", inputs={"parts": [more]})
    assert worker.read(job, "letters") == [b"a", b"b"], job.error

    job = worker.run("many", parameters={"count": 2})
    assert worker.read(job, "__returns__") == [b"0", b"1"], job.error

    job = worker.run("copies", inputs={"source": text})
    assert job.result == {"name": "a.txt", "slots": 1}, job.error
    (copy,) = job.outputs["target"]
    assert (copy.name, copy.tags) == ("copied.csv", ["copy", "raw"])
    assert client.artifacts.get(copy).told["comment"] == "a copy"
    assert job.outputs["empty"] == []

    refused = worker.run("refuses")
    assert refused.error and refused.error["message"] == "not on a Sunday"
    assert refused.error["type"] == "ProConException"

    job = worker.run("context")
    told = job.result
    assert told["function"] == "context" and told["version"] == "0.0.0" and told["token"] == "st:"
    assert told["url"] == f"{worker.server.url}/api/Job/00000000-0000-8000-8000-{job.id:012x}"
    assert worker.files() == []
