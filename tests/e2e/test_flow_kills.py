"""Runs of flows ended at random points, again and again: what was reported complete runs once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path

from harness.flow_command import DEADLINE_S, FlowApp, is_alive, wait_until
from harness.server_process import binary

# More of them: FLOW_KILL_ROUNDS=200.
ROUNDS = int(os.environ.get("FLOW_KILL_ROUNDS", "8"))
NODES = 40
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def write_flow(app: FlowApp, dice: random.Random) -> None:
    rows = []
    for node in range(1, NODES + 1):
        parents = dice.sample(range(1, node), min(node - 1, dice.randrange(3))) or [-1]
        after = ",".join(str(parent) for parent in parents)
        nap = dice.choice(["0", "0.01", "0.05"])
        work = f"echo {node} $$ >>$OUT/begun; sleep {nap}; echo {node} >>$OUT/done"
        rows.append(f"{node}|{after}|1|0|n{node}|{work}")
    app.shell(*rows)


def begun(app: FlowApp) -> list[tuple[int, int]]:
    words = [int(word) for word in app.ran("begun")]
    return list(zip(words[::2], words[1::2], strict=True))


def is_complete(app: FlowApp) -> bool:
    """Whether all was completed, though the run was ended before it could say so: then -r begins
    anew."""
    done = subprocess.run(
        [binary(), "flow", "status", str(app.list), "--json"],
        cwd=app.folder,
        env=app.environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode == 0 and json.loads(done.stdout)["flow"]["state"] == "completed"


def test_what_was_reported_complete_runs_once(tmp_path: Path) -> None:
    for seed in range(ROUNDS):
        dice = random.Random(seed)
        app = FlowApp(tmp_path / f"app{seed}")
        write_flow(app, dice)
        starts_at_report: dict[int, int] = {}
        for life in range(60):
            args = ["-r"] if life else []
            process = app.start(*args, "--json", "-n", "6")
            assert process.stdout is not None
            last = life > 50  # it must come to an end once
            stop_after = 10**9 if last else dice.randrange(1, 25)
            for seen, line in enumerate(process.stdout, 1):
                event = json.loads(line)
                if event["event"] == "completed":
                    assert event["id"] not in starts_at_report, f"seed {seed}: it ran again"
                    starts_at_report[event["id"]] = sum(n == event["id"] for n, _ in begun(app))
                if seen == stop_after:
                    process.send_signal(dice.choice(SIGNALS))
                    break
            process.communicate(timeout=DEADLINE_S)
            for _, pid in begun(app):
                wait_until(lambda pid=pid: not is_alive(pid), f"{pid} is left")  # type: ignore[misc]
            complete = process.returncode == 0 or is_complete(app)
            if complete:
                break
        assert complete, f"seed {seed}"
        for node, count in starts_at_report.items():
            assert sum(n == node for n, _ in begun(app)) == count, f"seed {seed}: node {node}"
        assert {int(word) for word in app.ran("done")} == set(range(1, NODES + 1))


def test_a_kill_before_the_sync_of_what_was_told_early(tmp_path: Path) -> None:
    """Killed when a node was told to start and the disk has not synced that, nor the end of the one
    before it: the flow goes on from there."""
    for told in (1, 3):
        app = FlowApp(tmp_path / f"app{told}")
        app.shell(*(f"{n}|{n - 1 or -1}|1|0|n{n}|echo {n} >>$OUT/ran" for n in range(1, 7)))
        killed = app.run(env={"PENSTOCK_FAULT": f"group.early:{told}:kill"})
        assert killed.returncode == -signal.SIGKILL
        before = app.ran() if app.out("ran").exists() else []
        again = app.run("-r")
        assert again.returncode == 0, again.stderr
        after = [int(node) for node in app.ran()[len(before) :]]
        at = after[0]
        assert after == list(range(at, 7))
        # What was told to start may have begun before the kill.
        assert [int(node) for node in before] in (list(range(1, at)), list(range(1, at + 1)))
