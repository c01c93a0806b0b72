"""Artifacts, folders and lists of step jobs under many hands at once; the thread sanitizer runs
these, too."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from harness.server_process import ServerProcess
from harness.steps import Steps

HANDS = 6
ROUNDS = 6


def all_at_once(server: ServerProcess, work: Callable[[Steps, int], None]) -> None:
    """Each hand has connections of its own."""
    with ThreadPoolExecutor(HANDS) as pool:
        for done in [pool.submit(work, Steps(server), hand) for hand in range(HANDS)]:
            done.result()


def test_artifacts_come_are_read_and_go_under_many_hands(server: ServerProcess) -> None:
    shared = bytes(range(256)) * 1024

    def work(steps: Steps, hand: int) -> None:
        for i in range(ROUNDS):
            # The same bytes of several hands are one blob, which the last of them must not miss.
            data = shared + bytes([i % 2])
            made = steps.upload(data, name=f"{hand}.bin", query="&folder=/f/&tag=t")
            path = f"/artifacts/{made['id']}"
            part = steps.call("GET", f"{path}/content", Range="bytes=255-258")
            assert part.status == 206 and part.body == data[255:259]
            assert steps.call("GET", f"{path}/content").body == data
            listed = steps.ok("GET", f"/artifacts?name_contains={hand}.bin&total=1&tag=t")
            assert listed["total"] == 1 and listed["artifacts"][0]["id"] == made["id"]
            assert steps.call("DELETE", path).status == 204

    all_at_once(server, work)
    assert Steps(server).ok("GET", "/artifacts?total=1")["total"] == 0


def test_jobs_are_made_queried_and_moved_with_their_folders_under_many_hands(
    server: ServerProcess,
) -> None:
    Steps(server).register()

    def work(steps: Steps, hand: int) -> None:
        place = steps.ok("POST", "/folders", {"path": f"/h{hand}"}, 201)["id"]
        for i in range(ROUNDS):
            folder = steps.ok("GET", f"/folders/{place}")["path"]
            job = steps.make(step="add", folder=folder, tags=[f"h{hand}"], name=f"{hand}")
            steps.ok("PATCH", f"/folders/{place}", {"name": f"h{hand}-{i}"})
            assert steps.job(job["id"])["folder"] == f"/h{hand}-{i}/"
            found = steps.ok("GET", f"/step-jobs?tag=h{hand}&total=1&tags=1&limit=2")
            assert found["total"] == i + 1
            assert len(steps.ok("GET", "/step-jobs?state=draft&sort=name")["jobs"]) > i
            assert steps.ok("GET", "/folders?below=1&with=job")["total"] >= 1
        cleared = steps.ok("POST", f"/folders/{place}/clear")
        assert cleared["deleted"] == ROUNDS and not cleared["more"]

    all_at_once(server, work)
    assert Steps(server).ok("GET", "/step-jobs?total=1")["total"] == 0
