"""The native surface: events as they happen, and the history."""

from __future__ import annotations

from collections.abc import Callable

from harness.native import Native, Stream, finish, problem
from harness.server_process import ServerProcess


def test_events_are_told_as_they_happen(native: Native) -> None:
    stream = Stream(native, "/events")
    native.start()
    finish(native)
    events = stream.until("job.completed")
    stream.close()
    assert [kind for _, kind, _ in events] == ["job.created", "job.running", "job.completed"]
    assert all(data["name"] == "titles" and data["id"] == number for number, _, data in events)


def test_events_are_resumed_where_they_were_cut(native: Native) -> None:
    native.start()
    finish(native)
    whole = Stream(native, "/events?after=0").until("job.completed")
    first = whole[0][0]
    by_header = Stream(native, "/events", **{"Last-Event-ID": str(first)}).until("job.completed")
    by_query = Stream(native, f"/events?after={first}").until("job.completed")
    both = Stream(native, "/events?after=0", **{"Last-Event-ID": str(first)}).until("job.completed")
    assert by_header == by_query == both == whole[1:]


def test_the_history_outlives_the_server(
    native: Native, make_server: Callable[..., ServerProcess]
) -> None:
    native.start()
    finish(native)
    before = Stream(native, "/events?after=0").until("job.completed")
    native.server.restart()
    assert Stream(native, "/events?after=0").until("job.completed") == before


def test_a_job_s_events_are_its_own(native: Native) -> None:
    native.start("other")
    native.start()
    stream = Stream(native, "/jobs/~titles/events?after=0")
    finish(native, "~other")
    finish(native)
    events = stream.until("job.completed")
    stream.close()
    assert {data["name"] for _, _, data in events} == {"titles"}


def test_a_long_history_comes_whole_and_in_order(native: Native) -> None:
    native.start()
    for _ in range(1500):
        native.ok("POST", "/jobs/~titles/pause")
        native.ok("POST", "/jobs/~titles/resume")
    finish(native)
    events = Stream(native, "/events?after=0").until("job.completed")
    numbers = [number for number, _, _ in events]
    assert numbers == sorted(set(numbers))
    assert len(events) == 3 + 2 * 1500


def test_odd_starting_points_of_events_are_refused(native: Native) -> None:
    problem(native.call("GET", "/events?after=-1"), 400, "invalid")
    problem(native.call("GET", "/events?since=1"), 400, "invalid")
    problem(native.call("GET", "/events", **{"Last-Event-ID": "x"}), 400, "invalid")
    problem(native.call("GET", "/jobs/~nobody/events"), 404, "not-found")


def test_followers_that_have_gone_do_no_harm(native: Native) -> None:
    native.start()
    for _ in range(50):
        Stream(native, "/events?after=0").close()
    finish(native)
    assert native.ok("GET", "/health")["status"] == "ok"
