"""One story of the crash loop: processing steps, whose server and workers are killed all the time.

A producer uploads files, makes jobs by the native and by the pinexq surface, at once and by drafts,
edits them, uses what one made as the input of another, deletes some, and does again what was not
answered. Python steps and a program do them. Two followers listen. Whoever is killed with SIGKILL,
workers, their processes, programs and servers, is started again; steps also kill their own process.
At the end every job has one result or an explained error, every artifact is whole, what made what
is told both ways, lists say what was asked for, nothing temporary is left, and what the followers
heard is what has happened.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import threading
from pathlib import Path
from typing import Any

from crash.step_actors import Follower, Listener, StepProducer
from crash.step_plan import FINAL, FUNCTIONS, OUTPUTS, SLOTS, TURN, StepPlan, Wanted, manifest
from crash.story import AWAY, Broken
from crash.task_story import Actor
from crash.worker_story import Worker, WorkerStory
from harness.server_process import binary
from harness.task_history import Fact, TaskHistory, read_events, read_lines
from harness.wire import Wire

HERE = Path(__file__).resolve().parent
# Twenty a second: what stands still together with this process costs none.
END_LOOKS, HEARD_LOOKS = 2400, 600


class StepStory(WorkerStory):
    """Runs one plan. `points` are the crash points of the server to be died at."""

    plan: StepPlan  # type: ignore[assignment]

    def __init__(self, folder: Path, plan: StepPlan, points: list[str]) -> None:
        super().__init__(folder, plan, points)  # type: ignore[arg-type]
        self.uploads = plan.draw_uploads()
        self.jobs = plan.draw_jobs()
        self.follower = Follower(self)
        self.listener = Listener(self)

    def actors(self) -> list[Actor]:
        return [StepProducer(self), self.follower, self.listener]

    def hire(self) -> None:
        """Makes the workers, once it is known where the server is."""
        (self.folder / "turn.json").write_text(json.dumps(TURN))
        command = [binary(), "worker", "--server", self.server.url, "--grace", "20"]
        steps = [*command, str(HERE / "stage_steps.py"), "--concurrency"]
        program = f"{sys.executable} {HERE / 'stage_program.py'}"
        self.workers = [
            Worker(
                self, "steps",
                [*steps, str(self.plan.concurrency), "--processes", str(self.plan.processes)],
            ),
            Worker(self, "program", [*command, "--exec", program, "--manifest", "turn.json"]),
        ]  # fmt: skip

    def set_limits(self) -> None:
        """What the producer uses is registered before it begins."""
        for told in (manifest("idle"), TURN):
            reply = Wire(self.server.url).call("POST", "/v1/steps", body=told)
            if reply.status not in (200, 201):
                raise Broken(f"registering: {reply}")

    def registered(self) -> bool:
        reply = Wire(self.server.url).call("GET", "/v1/steps")
        return {f"{s['name']}:{s['version']}" for s in reply.json()["steps"]} >= set(
            FUNCTIONS.values()
        )

    # Lives.

    def run(self) -> None:
        if not self.bring_up({}):
            raise Broken("the server died by itself")
        self.hire()
        self.look_after()
        while not self.registered():
            self.work_for(0.05)
        threads = [threading.Thread(target=actor.run, daemon=True) for actor in self.actors()]
        for thread in threads:
            thread.start()
        try:
            for _ in range(self.plan.kills):
                self.work_for(self.rng.choice([0.02, 0.1, 0.3, 1.0]))
                self.kill_somebody()
            self.work_to_the_end()
            self.check_end()
        finally:
            with self.change:
                self.over = True
                self.change.notify_all()
            for worker in self.workers:
                for pid in reversed(worker.processes()):
                    self.kill(pid)
                if worker.process:
                    worker.process.wait()
            self.server.kill()
            for thread in threads:
                thread.join()
        if self.trouble:
            raise Broken(self.trouble[0])

    def work_to_the_end(self) -> None:
        """Until all is done, and nobody is killed any more."""
        for look in itertools.count():
            self.look_after()
            busy = [thing for thing in [*self.uploads, *self.jobs] if thing.deeds]
            try:
                jobs = self.all_of("step-jobs") if not busy else []
            except AWAY:
                continue
            running = [job for job in jobs if job["state"] in ("pending", "running")]
            if not busy and not running:
                break
            if self.trouble or look > END_LOOKS:
                raise Broken(f"{self.trouble or 'it takes too long'}: {busy[:3] or running[:3]}")
            with self.change:
                self.change.wait(0.05)
        self.killed += len(list(self.steps.glob("died *")))
        self.start_without_fault()

    # What must hold at the end.

    def all_of(self, what: str) -> list[Any]:
        found: list[Any] = []
        wire, query = Wire(self.server.url), {"limit": 100}
        while True:
            told = wire.call("GET", f"/v1/{what}", query).json()
            found += told[what.rpartition("-")[2]]
            if not told.get("next"):
                return found
            query["after"] = told["next"]

    def check_end(self) -> None:
        artifacts = {each["id"]: each for each in self.all_of("artifacts")}
        jobs = {each["id"]: each for each in self.all_of("step-jobs")}
        self.check_uploads(artifacts)
        self.check_jobs(jobs)
        self.check_outputs(jobs, artifacts)
        self.check_lineage(jobs)
        self.check_lists(jobs, artifacts)
        self.check_tasks()
        self.check_heard(jobs, artifacts)
        self.look_after()  # who was killed last may be seen to be dead only now
        wrong = [told for told in (worker.stop() for worker in self.workers) if told]
        if wrong:
            raise Broken("; ".join(wrong))
        self.check_nothing_left()
        left = list((self.server.state / "blobs" / "new").glob("[0-9]"))
        if left:
            raise Broken(f"half of a blob is left: {left}")

    def must(self, got: Any, want: Any, what: str) -> None:
        if got != want:
            raise Broken(f"{what}: {got!r:.300} instead of {want!r:.300}")

    def content(self, artifact: Any) -> bytes:
        reply = Wire(self.server.url).call("GET", f"/v1/artifacts/{artifact['id']}/content")
        self.must(reply.status, 200, f"artifact {artifact['id']}")
        told = (artifact["bytes"], artifact["sha256"])
        self.must((len(reply.body), hashlib.sha256(reply.body).hexdigest()), told, "content")
        return reply.body

    def check_uploads(self, artifacts: dict[int, Any]) -> None:
        there = {a["name"]: a for a in artifacts.values() if a["kind"] == "upload"}
        kept = {upload.name: upload for upload in self.uploads if upload.kept}
        self.must(sorted(there), sorted(kept), "uploads")
        self.must(sum(a["kind"] == "upload" for a in artifacts.values()), len(kept), "uploads")
        for name, upload in kept.items():
            got = there[name]
            self.must(self.content(got) == upload.data, True, f"{name} as it was sent")
            self.must(
                (got["id"], got["tags"], got["folder"], got["media_type"]),
                (upload.id, upload.tags, upload.folder, "text/x-story"),
                name,
            )

    def check_jobs(self, jobs: dict[int, Any]) -> None:
        there = {wanted.id: wanted for wanted in self.jobs if wanted.fate != "deleted"}
        subs = {id for id, job in jobs.items() if job["parent"]}
        self.must(set(jobs) - subs, set(there), "the jobs")
        for id, wanted in there.items():
            job = jobs[id]
            self.must(
                (job["name"], job["tags"], job["folder"], job["hidden"]),
                (wanted.name, wanted.tags, wanted.folder, wanted.hidden),
                "a job",
            )
            self.must(job["parameters"], {"n": wanted.n}, f"parameters of {wanted.name}")
            self.check_result(job, wanted, jobs)
        for id in subs:
            number = jobs[id]["parameters"]["n"]
            self.must(jobs[id]["parent"], self.jobs[number].id, "the parent of a sub job")
            # It has five attempts, each of which may meet a kill.
            told = (jobs[id]["state"], jobs[id]["result"])
            if told[0] != "failed" or not jobs[id]["error"]["message"]:
                self.must(told, ("completed", number), "a sub job")

    def check_result(self, job: Any, wanted: Wanted, jobs: dict[int, Any]) -> None:
        said = (job["error"] or {}).get("message")
        if wanted.way == "siren-rapid" and wanted.fate == "completed" and job["state"] == "failed":
            # It has five attempts, of which the story may take all; that must be explained.
            self.must(bool(said) and job["result"] is None, True, f"the error of {wanted.name}")
            return
        state = "ready" if wanted.fate == "draft" else wanted.fate
        self.must(job["state"], state, f"{wanted.name} ({said})")
        if wanted.fate == "failed":
            self.must(said, f"refused {wanted.n}", wanted.name)
        if wanted.fate != "completed":
            self.must(job["result"], None, f"the result of {wanted.name}")
            return
        result = job["result"]
        if wanted.function == "parent":
            self.must(jobs[result["sub"]]["parent"], job["id"], f"the sub job of {wanted.name}")
            result = result["n"]
        if wanted.function == "copy":
            (source,) = job["inputs"]["table"]
            self.must(result["bytes"], source["bytes"], wanted.name)
            result = result["n"]
        self.must(result, wanted.n, f"the result of {wanted.name}")

    def check_outputs(self, jobs: dict[int, Any], artifacts: dict[int, Any]) -> None:
        """Each artifact is whole, and in the slot of its job; there are no others."""
        in_slots = set[int]()
        for wanted in self.jobs:
            job = jobs.get(wanted.id)
            if not job:
                continue
            outputs = {name: slot for name, slot in job["outputs"].items() if slot}
            in_slots |= {each["id"] for slot in outputs.values() for each in slot}
            if wanted.function not in OUTPUTS or job["state"] == "failed":
                if job["state"] != "failed" or wanted.way != "siren-rapid":
                    self.must(outputs, {}, f"outputs of {wanted.name}")
                for each in itertools.chain(*outputs.values()):
                    self.content(each)
                continue
            inputs = [self.content(each) for each in job["inputs"][SLOTS[wanted.function]]]
            main = [self.content(each) for each in outputs[OUTPUTS[wanted.function]]]
            if wanted.function == "copy":
                self.must(main == inputs, True, f"the copy of {wanted.name}")
                parts = [self.content(each).decode() for each in outputs.get("parts", [])]
                want = [f"part {i} of {wanted.n}" for i in range(wanted.n % 3)]
                self.must(parts, want, f"parts of {wanted.name}")
            elif wanted.function == "turn":
                self.must(main == [inputs[0][::-1]], True, f"what {wanted.name} has turned")
            else:
                sums = "\n".join(hashlib.sha256(each).hexdigest() for each in inputs)
                self.must(main, [sums.encode()], f"the digest of {wanted.name}")
        there = {id for id, each in artifacts.items() if each["kind"] == "output"}
        self.must(there, in_slots, "outputs")

    def check_lineage(self, jobs: dict[int, Any]) -> None:
        wire = Wire(self.server.url)
        told: dict[int, set[int]] = {}

        def jobs_of(artifact: int) -> set[int]:
            if artifact not in told:
                path = f"/v1/artifacts/{artifact}/lineage?up=1000&down=1000"
                told[artifact] = {job["id"] for job in wire.call("GET", path).json()["jobs"]}
            return told[artifact]

        makers = {
            o["id"]: id for id, job in jobs.items() for s in job["outputs"].values() for o in s
        }
        for id, job in jobs.items():
            before = {each["id"] for slot in job["inputs"].values() for each in slot}
            after = [each["id"] for slot in job["outputs"].values() for each in slot]
            for artifact in [*before, *after]:
                self.must(id in jobs_of(artifact), True, f"job {id} and artifact {artifact}")
            for artifact in after:
                missing = {makers[each] for each in before if each in makers} - jobs_of(artifact)
                self.must(missing, set(), f"what led to artifact {artifact}")

    def check_lists(self, jobs: dict[int, Any], artifacts: dict[int, Any]) -> None:
        wire = Wire(self.server.url)
        for query, of in (
            ({"state": "completed"}, lambda j: j["state"] == "completed"),
            ({"state": "failed"}, lambda j: j["state"] == "failed"),
            ({"tag": "odd"}, lambda j: "odd" in j["tags"]),
            ({"tag": "ö=1"}, lambda j: "ö=1" in j["tags"]),
            ({"folder": "/jobs/"}, lambda j: j["folder"] == "/jobs/"),
            ({"hidden": "1"}, lambda j: j["hidden"]),
            ({"name_contains": "job 1"}, lambda j: "job 1" in j["name"]),
            ({"sub_job": "1"}, lambda j: j["parent"]),
        ):
            told = wire.call("GET", "/v1/step-jobs", {**query, "limit": 1000, "total": 1}).json()
            want = {id for id, job in jobs.items() if of(job)}
            self.must({job["id"] for job in told["jobs"]}, want, f"jobs with {query}")
            self.must(told["total"], len(want), f"the total of {query}")
        tags = wire.call("GET", "/v1/step-tags/step-jobs").json()["tags"]
        self.must(set(tags), {t for job in jobs.values() for t in job["tags"]}, "tags of jobs")
        told = wire.call("GET", "/v1/folders", {"below": 1, "limit": 1000}).json()
        paths = [thing.folder for thing in [*self.uploads, *self.jobs] if thing.folder != "/"]
        want = {path[: at + 1] for path in paths for at in range(1, len(path)) if path[at] == "/"}
        self.must({folder["path"] for folder in told["folders"]}, want, "folders")
        for id, artifact in artifacts.items():
            used = sum(
                any(each["id"] == id for slot in job["inputs"].values() for each in slot)
                for job in jobs.values()
            )
            self.must(artifact["used"], used, f"jobs that use artifact {id}")

    def check_tasks(self) -> None:
        """The history of the tasks that jobs are is one that could be."""
        started = {t[0] for e in read_events(Wire(self.server.url)) for t in e.tasks}
        facts = {id: Fact("steps", "", None, None, 0) for id in started}
        history = TaskHistory(facts, []).follow(read_events(Wire(self.server.url)))
        if history.must_have_ended().faults:
            raise Broken("; ".join(history.faults[:3]))

    def check_heard(self, jobs: dict[int, Any], artifacts: dict[int, Any]) -> None:
        """What the followers heard is what is told now, and what has become of everything."""
        lines = [
            json.loads(line[len(b"data: ") :])
            for line in read_lines(Wire(self.server.url))
            if line.startswith(b"data: ")
        ]
        self.wait_for(lambda: self.follower.heard[-1:] == lines[-1:], "the follower is behind")
        self.must(self.follower.heard == lines, True, "what was heard is what is told")
        self.check_told(lines, jobs, artifacts)
        ends = {wanted.id: "deleted" for wanted in self.jobs if wanted.fate == "deleted"}
        ends |= {id: job["state"] for id, job in jobs.items()}
        self.wait_for(
            lambda: {id: self.listener.states.get(id) for id in ends} == ends,
            "the listener is behind",
        )

    def check_told(self, lines: list[Any], jobs: dict[int, Any], artifacts: dict[int, Any]) -> None:
        """The history of a thing begins with its creation, and ends as the thing is now."""
        told: dict[tuple[str, int], list[str]] = {}
        for event in lines:
            thing, _, what = event["kind"].partition(".")
            if thing in ("step-job", "artifact"):
                told.setdefault((thing, event["job"]), []).append(what)
        for (thing, id), kinds in told.items():
            there = id in (jobs if thing == "step-job" else artifacts)
            self.must(kinds[0], "created", f"first of {thing} {id}")
            self.must(kinds.count("created"), 1, f"creations of {thing} {id}")
            self.must("deleted" in kinds, not there, f"an end of {thing} {id}")
            if thing == "step-job" and there and jobs[id]["state"] in FINAL:
                moves = [kind for kind in kinds if kind not in ("created", "changed")]
                self.must(moves[-1:], [jobs[id]["state"]], f"the end of job {id}")
        things = {("step-job", id) for id in jobs} | {("artifact", id) for id in artifacts}
        self.must(things - set(told), set(), "things without a history")

    def wait_for(self, true: Any, what: str) -> None:
        with self.change:
            for _ in range(HEARD_LOOKS):
                if true():
                    return
                self.change.wait(0.05)
        raise Broken(what)
