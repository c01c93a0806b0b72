"""Who asks the server in a story of step_story.py: a producer, and two that listen."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from crash.step_plan import FINAL, FUNCTIONS, OPTIONS, OUTPUTS, SLOTS, Upload, Wanted
from crash.story import Broken
from crash.task_story import Actor
from harness.forms import TYPE, file_form
from harness.siren import actions, check, embedded, links
from harness.wire import Reply

if TYPE_CHECKING:
    from crash.step_story import StepStory


class StepProducer(Actor):
    """Does all that is to be done, each until it knows that it was."""

    story: StepStory  # type: ignore[assignment]

    def __init__(self, story: StepStory) -> None:
        super().__init__(story, "producer")
        self.doing: Upload | Wanted | None = None

    def turn(self) -> bool:
        things: list[Upload | Wanted] = [*self.story.uploads, *self.story.jobs]
        open_ones = [thing for thing in things if thing.deeds]
        if not open_ones:
            self.hang_up()
            return False
        if self.doing:
            self.doing.again = True  # it hung up in the middle
        thing = self.doing = self.rng.choice(open_ones)
        deed = thing.deeds[0].replace("-", "_")
        kind = "upload" if isinstance(thing, Upload) else "job"
        if getattr(self, f"{kind}_{deed}")(thing):
            thing.deeds.pop(0)
            thing.again = False
        else:
            with self.story.change:
                self.story.change.wait(0.02)
        self.doing = None
        return True

    # Asking.

    def ask(
        self, method: str, path: str, body: Any = None, fine: tuple[int, ...] = (200, 201, 204),
        **headers: str,
    ) -> Reply:  # fmt: skip
        at = urlsplit(path)
        target = at.path + (f"?{at.query}" if at.query else "")
        reply = self.wire.call(
            method, target, body=body, headers=headers, connection=self.connection
        )
        if reply.status == 503:
            raise OSError("busy")
        if reply.status not in fine:
            raise Broken(f"{method} {path} answers {reply.status} {reply.body[:200]!r}")
        return reply

    def get(self, href: str) -> Any:
        return check(self.ask("GET", href).json())

    def root(self, name: str) -> Any:
        return self.get(links(self.get("/api/EntryPoint"))[name])

    def link(self, kind: str, id: int) -> str:
        return f"{self.wire.url}/api/{kind}/00000000-0000-8000-8000-{id:012x}"

    def act(self, document: Any, name: str, body: Any = None) -> Reply:
        action = actions(document)[name]
        return self.ask(action["method"], action["href"], body)

    def found(self, what: str, thing: Upload | Wanted) -> int:
        """The id under which it was made all the same; 0: it was not."""
        query = urlencode({"name_contains": thing.name}, quote_via=quote)
        listed = self.ask("GET", f"/v1/{what}?{query}").json()
        ids = [each["id"] for each in next(iter(listed.values())) if each["name"] == thing.name]
        if len(ids) > 1:
            raise Broken(f"{thing.name} is there {len(ids)} times")
        return ids[0] if ids else 0

    def made(self, reply: Reply) -> int:
        return int(reply.headers["location"].rpartition("/")[2].replace("-", "")[-12:], 16)

    # Uploads.

    def upload_upload(self, upload: Upload) -> bool:
        if upload.again:
            upload.id = self.found("artifacts", upload)
        if upload.id:
            return True
        if upload.way == "siren":
            form = file_form(upload.data, upload.name, "text/x-story")
            reply = self.ask("POST", "/api/WorkDataRoot/Upload", form, **{"Content-Type": TYPE})
            upload.id = self.made(reply)
        else:
            if self.rng.random() < 0.2:
                self.cut(upload)
            path = f"/v1/artifacts?name={quote(upload.name)}"
            reply = self.ask("POST", path, upload.data, **{"Content-Type": "text/x-story"})
            upload.id = reply.json()["id"]
        return True

    def cut(self, upload: Upload) -> None:
        """Sends half of it, and hangs up: it must not be there."""
        with self.wire.socket() as half:
            head = "POST /v1/artifacts?name=cut HTTP/1.1\r\nHost: x\r\n"
            head += f"Content-Length: {len(upload.data) + 1}\r\n\r\n"
            half.sendall(head.encode() + upload.data)

    def upload_tags(self, upload: Upload) -> bool:
        if upload.way == "siren":
            document = self.get(self.link("WorkData", upload.id))
            self.act(document, "EditTags", {"Tags": upload.tags})
        else:
            self.ask("PATCH", f"/v1/artifacts/{upload.id}", {"tags": upload.tags})
        return True

    def upload_folder(self, upload: Upload) -> bool:
        self.ask("PATCH", f"/v1/artifacts/{upload.id}", {"folder": upload.folder})
        return True

    def upload_delete(self, upload: Upload) -> bool:
        if upload.way == "siren":
            self.ask("DELETE", self.link("WorkData", upload.id), fine=(200, 404))
        else:
            self.ask("DELETE", f"/v1/artifacts/{upload.id}", fine=(204, 404))
        return True

    # Jobs.

    def source_ids(self, wanted: Wanted) -> list[int]:
        """The artifacts that are to be its inputs, or nothing when one is not there yet."""
        ids = []
        for source in wanted.sources:
            if source >= 0:
                ids.append(self.story.uploads[source].id)
                continue
            maker = self.story.jobs[-1 - source]
            outputs: Any = {}
            if maker.id:
                job = self.ask("GET", f"/v1/step-jobs/{maker.id}").json()
                outputs = job["outputs"] if job["state"] == "completed" else {}
            ids.append(next((o["id"] for o in outputs.get(OUTPUTS[maker.function], [])), 0))
        return ids if all(ids) else []

    def job_source(self, wanted: Wanted) -> bool:
        return not wanted.sources or bool(self.source_ids(wanted))

    def job_create(self, wanted: Wanted) -> bool:
        if wanted.again:
            wanted.id = self.found("step-jobs", wanted)
        if not wanted.id:
            wanted.id = {
                "native-rapid": self.create_rapid,
                "native-draft": self.create_draft,
                "siren-rapid": self.siren_rapid,
                "siren-draft": self.siren_create,
            }[wanted.way](wanted)
        return True

    def native_inputs(self, wanted: Wanted) -> dict[str, Any]:
        name = SLOTS.get(wanted.function)
        return {name: self.source_ids(wanted)} if name else {}

    def create_rapid(self, wanted: Wanted) -> int:
        body = {
            "name": wanted.name,
            "step": FUNCTIONS[wanted.function],
            "parameters": {"n": wanted.n},
            "inputs": self.native_inputs(wanted),
            "start": True,
            **OPTIONS,
        }
        return int(self.ask("POST", "/v1/step-jobs", body).json()["id"])

    def create_draft(self, wanted: Wanted) -> int:
        return int(self.ask("POST", "/v1/step-jobs", {"name": wanted.name}).json()["id"])

    def siren_create(self, wanted: Wanted) -> int:
        return self.made(self.act(self.root("JobsRoot"), "CreateJob", {"Name": wanted.name}))

    def step_link(self, wanted: Wanted) -> str:
        step = self.ask("GET", f"/v1/steps/{FUNCTIONS[wanted.function]}").json()
        return self.link("ProcessingStep", step["id"])

    def siren_rapid(self, wanted: Wanted) -> int:
        urls = [self.link("WorkData", id) for id in self.source_ids(wanted)]
        body = {
            "Name": wanted.name,
            "ProcessingStepUrl": self.step_link(wanted),
            "Parameters": json.dumps({"n": wanted.n}),
            "InputDataSlots": [{"Index": 0, "WorkDataUrls": urls}] if urls else [],
            "Start": True,
        }
        return self.made(self.act(self.root("JobsRoot"), "RapidSetupJob", body))

    def change(self, wanted: Wanted, **members: Any) -> bool:
        self.ask("PATCH", f"/v1/step-jobs/{wanted.id}", members)
        return True

    def job_select(self, wanted: Wanted) -> bool:
        if wanted.way == "native-draft":
            return self.change(wanted, step=FUNCTIONS[wanted.function])
        document = self.get(self.link("Job", wanted.id))
        body = {"ProcessingStepUrl": self.step_link(wanted)}
        return self.act(document, "SelectProcessing", body).status == 200

    def job_fill(self, wanted: Wanted) -> bool:
        ids = self.source_ids(wanted)
        if not ids:
            return False
        if wanted.way == "native-draft":
            return self.change(wanted, inputs=self.native_inputs(wanted))
        (first,) = embedded(self.get(self.link("Job", wanted.id)), "InputDataSlot")
        if len(ids) == 1 and self.rng.random() < 0.5:
            self.act(first, "SelectWorkData", {"WorkDataUrl": self.link("WorkData", ids[0])})
        else:
            urls = [self.link("WorkData", id) for id in ids]
            if "SelectWorkDataCollection" in actions(first):
                self.act(first, "SelectWorkDataCollection", {"WorkDataUrls": urls})
            else:
                self.act(first, "SelectWorkData", {"WorkDataUrl": urls[0]})
        return True

    def job_configure(self, wanted: Wanted) -> bool:
        if wanted.way == "native-draft":
            return self.change(wanted, parameters={"n": wanted.n})
        document = self.get(self.link("Job", wanted.id))
        return self.act(document, "ConfigureProcessing", {"n": wanted.n}).status == 200

    def job_options(self, wanted: Wanted) -> bool:
        return self.change(wanted, **OPTIONS)

    def job_start(self, wanted: Wanted) -> bool:
        if wanted.again:
            job = self.ask("GET", f"/v1/step-jobs/{wanted.id}").json()
            if job["state"] not in ("draft", "ready"):
                return True
        if wanted.way == "native-draft":
            return self.change(wanted, start=True)
        document = self.get(self.link("Job", wanted.id))
        return self.act(document, "StartProcessing").status == 200

    def job_tags(self, wanted: Wanted) -> bool:
        if wanted.way.startswith("native"):
            return self.change(wanted, tags=wanted.tags)
        document = self.get(self.link("Job", wanted.id))
        return self.act(document, "EditTags", {"Tags": wanted.tags}).status == 200

    def job_folder(self, wanted: Wanted) -> bool:
        return self.change(wanted, folder=wanted.folder)

    def job_hide(self, wanted: Wanted) -> bool:
        if wanted.way.startswith("native"):
            return self.change(wanted, hidden=wanted.hidden)
        document = self.get(self.link("Job", wanted.id))
        name = "Hide" if wanted.hidden else "UnHide"
        return name not in actions(document) or self.act(document, name).status == 200

    def job_end(self, wanted: Wanted) -> bool:
        """Nobody does it: it is cancelled, or said to have failed."""
        job = self.ask("GET", f"/v1/step-jobs/{wanted.id}").json()
        if job["state"] in FINAL:
            return True
        at, said = f"/v1/step-jobs/{wanted.id}", f"refused {wanted.n}"
        if wanted.fate == "cancelled":
            self.ask("POST", at + "/cancel")
        elif wanted.way.startswith("native"):
            self.ask("POST", at + "/fail", {"message": said})
        else:
            document = self.get(self.link("Job", wanted.id))
            self.act(document, "SetJobToErrorState", {"Message": said})
        return True

    def job_delete(self, wanted: Wanted) -> bool:
        reply = self.ask("GET", f"/v1/step-jobs/{wanted.id}", fine=(200, 404))
        if reply.status == 404:
            return True
        job = reply.json()
        if job["state"] not in FINAL:
            return False
        for output in itertools.chain(*job["outputs"].values()):
            self.ask("DELETE", f"/v1/artifacts/{output['id']}", fine=(204, 404))
        if wanted.way.startswith("native"):
            self.ask("DELETE", f"/v1/step-jobs/{wanted.id}", fine=(204, 404))
        else:
            self.ask("DELETE", self.link("Job", wanted.id), fine=(200, 404))
        return True


class Follower(Actor):
    """Reads a stream of events for as long as it lasts, then the next from there on."""

    story: StepStory  # type: ignore[assignment]

    def __init__(self, story: StepStory) -> None:
        super().__init__(story, "follower")
        self.heard: list[Any] = []

    def turn(self) -> bool:
        assert self.connection
        after = self.heard[-1]["id"] if self.heard else 0
        self.connection.request("GET", f"/v1/events?after={after}")
        for line in self.connection.getresponse():
            if line.startswith(b"data: "):
                event = json.loads(line[len(b"data: ") :])
                with self.story.change:
                    self.heard.append(event)
        raise ConnectionError("the stream is over")


class Listener(Actor):
    """As pinexq's client does: told that a job is another, it looks what it is."""

    story: StepStory  # type: ignore[assignment]

    def __init__(self, story: StepStory) -> None:
        super().__init__(story, "listener")
        self.states: dict[int, str] = {}

    def turn(self) -> bool:
        assert self.connection
        self.connection.request("GET", "/api/Events", headers={"Accept": "text/event-stream"})
        for line in self.connection.getresponse():
            if line.startswith(b"data:") and line.strip() != b"data:":
                link = str(json.loads(line[5:])["ResourceLink"])
                job = int(link[-12:], 16)
                reply = self.wire.call("GET", f"/v1/step-jobs/{job}")
                with self.story.change:
                    state = reply.json()["state"] if reply.status == 200 else "deleted"
                    self.states[job] = state
        raise ConnectionError("the stream is over")
