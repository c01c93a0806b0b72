"""How a program with pinexq's client ends: its event thread holds up the exit until it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness.server_process import ServerProcess
from harness.steps import Steps

DEADLINE_S = 60

#: The client's own times, which are 5 and 30 seconds, made short.
PROGRAM = """
import sys
import httpx
from pinexq.client.job_management import Job
from pinexq.client.job_management.enterjma import create_pinexq_client
from pinexq.client.core.api_event_manager import ApiEventManagerSingleton

manager = ApiEventManagerSingleton()
manager.reconnect_time_s = 0.05
manager.sse_connection_cooldown_s = 0
url, kind, end = sys.argv[1:]
client = httpx.Client(base_url=url) if kind == "plain" else create_pinexq_client(url, "k")
job = Job(client).create("j").select_processing("add", "1.0.0").configure_parameters(x=5).start()
print("waits", flush=True)
job.wait_for_completion(timeout_s=60)
print("done", flush=True)
sys.stdin.readline()
if end == "closes":
    client.close()
"""


@pytest.mark.parametrize(("kind", "end"), [("cached", "closes"), ("plain", "leaves")])
def test_a_program_ends_though_its_server_died(server: ServerProcess, kind: str, end: str) -> None:
    steps = Steps(server)
    steps.register()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, kind, end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin and program.stdout
    try:
        assert program.stdout.readline() == "waits\n"
        (task,) = steps.take(wait_s=30)
        steps.complete(task["id"], 7)
        assert program.stdout.readline() == "done\n"
        server.kill()
        program.stdin.write("\n")
        program.stdin.flush()
        if end == "leaves":
            # It knows no other end than an event of the server's.
            server.start()
        assert program.wait(DEADLINE_S) == 0
    finally:
        program.kill()
        program.communicate()
