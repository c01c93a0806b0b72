"""The server or a worker is killed while pinexq's own client waits, uploads or downloads: it gets
its answer or its error, and files are whole or absent."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.server_process import ServerProcess
from harness.step_worker import wait_until
from harness.steps import Steps
from pinexq.client.core.exceptions import ClientException
from pinexq.client.job_management import Job, WorkData
from pinexq.client.job_management.tool.job import ApiEventManagerSingleton


@pytest.fixture
def steps(server: ServerProcess) -> Steps:
    made = Steps(server)
    made.register()
    return made


@pytest.fixture
def client(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    # Five seconds, otherwise.
    monkeypatch.setattr(ApiEventManagerSingleton(), "reconnect_time_s", 0.3)
    with httpx.Client(base_url=server.url) as made:
        yield made


class Waiter:
    """Waits for a job in a thread of its own. A server that is killed while the client asks it is a
    connection's error there, as always; then it waits again."""

    def __init__(self, client: httpx.Client, job: Job) -> None:
        self.told: Any = None
        self.job = job
        follows = threading.Event()
        client.event_hooks["response"].append(
            lambda answer: follows.set() if answer.url.path == "/api/Events" else None
        )
        self.thread = threading.Thread(target=self.wait)
        self.thread.start()
        # Before its stream is there, a kill would end its thread for good.
        assert follows.wait(60)

    def wait(self) -> None:
        while self.told is None:
            try:
                self.job.wait_for_completion(timeout_s=100)
                self.told = self.job.get_result()
            except (httpx.TransportError, ClientException):
                continue
            except Exception as error:
                self.told = str(error)

    def end(self) -> Any:
        self.thread.join(60)
        assert not self.thread.is_alive(), "it waits for its time-out"
        return self.told


def started(client: httpx.Client) -> Job:
    job = Job(client).create("killed").select_processing("add", "1.0.0")
    return job.configure_parameters(x=5).start()


def test_a_server_that_comes_back_tells_the_client_that_waits(
    steps: Steps, client: httpx.Client
) -> None:
    waiter = Waiter(client, started(client))
    (task,) = steps.take(lease_s=60)
    steps.server.restart()
    steps.complete(task["id"], {"sum": 7})
    assert waiter.end() == {"sum": 7}


def test_a_job_whose_worker_is_lost_begins_again(steps: Steps, client: httpx.Client) -> None:
    waiter = Waiter(client, started(client))
    (lost,) = steps.take(lease_s=1)
    steps.lease = None
    (again,) = wait_until(steps.take, "nobody gave it back")
    assert again["fence"] > lost["fence"]
    steps.complete(again["id"], 7)
    assert waiter.end() == 7


def test_a_job_that_loses_all_its_workers_is_an_error(steps: Steps, client: httpx.Client) -> None:
    job = Job(client).create("killed").select_processing("add", "1.0.0").configure_parameters(x=5)
    number = int(str(job.self_link().get_url())[-12:], 16)
    options = {"max_attempts": 1, "priority": 0, "retry": None, "timeout_s": None}
    steps.ok("PATCH", f"/step-jobs/{number}", options)
    waiter = Waiter(client, job.start())
    assert steps.take(lease_s=1)
    assert "no sign of life" in waiter.end()


class Deadly(io.BytesIO):
    """A file at whose middle the server is killed."""

    def __init__(self, data: bytes, server: ServerProcess) -> None:
        super().__init__(data)
        self.server = server

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > len(self.getbuffer()) // 2:
            self.server.kill()
        return super().read(size)


def test_an_upload_that_is_cut_off_is_an_error_and_leaves_nothing(
    steps: Steps, client: httpx.Client
) -> None:
    data = os.urandom(8 << 20)
    with pytest.raises(ClientException, match=r"disconnected|reset|Broken pipe"):
        WorkData(client).create(filename="big", file=Deadly(data, steps.server))
    new = steps.server.state / "blobs" / "new"
    assert any(new.glob("[0-9]*"))
    steps.server.start()
    assert not any(new.glob("[0-9]*"))
    assert steps.ok("GET", "/artifacts?total=1")["total"] == 0
    again = WorkData(client).create(filename="big", file=io.BytesIO(data))
    assert again.download() == data


def test_a_download_that_is_cut_off_is_an_error(steps: Steps, client: httpx.Client) -> None:
    data = os.urandom(16 << 20)
    id = steps.upload(data)["id"]
    path = f"/api/WorkData/00000000-0000-8000-8000-{id:012x}/Content"
    with client.stream("GET", path) as answer, pytest.raises(httpx.TransportError):
        for number, _ in enumerate(answer.iter_raw()):
            if number == 0:
                steps.server.kill()
    steps.server.start()
    assert hashlib.sha256(client.get(path).content).digest() == hashlib.sha256(data).digest()
