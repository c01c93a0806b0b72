"""A server of tasks in memory: as much of docs/queue.md as tests of the SDK need."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .fake_engine import FakeEngine

Task = dict[str, Any]
ENDED = ("completed", "failed", "cancelled")


class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, code: str, detail: str = "no") -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class FakeQueue:
    """Tasks, sessions, leases. `before` may raise Refused; `loses` makes an answer vanish."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.tasks: dict[int, Task] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.before: Callable[[str, Any], None] = lambda *_: None
        self.loses: Callable[[str, Any], bool] = lambda *_: False
        #: A data job at the same address.
        self.engine: FakeEngine | None = None
        queue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                where = urlsplit(self.path)
                self.answer(
                    "GET " + where.path, {k: v[0] for k, v in parse_qs(where.query).items()}
                )

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                self.answer("POST " + self.path, json.loads(self.rfile.read(size) or b"{}"))

            def answer(self, what: str, body: Any) -> None:
                queue.calls.append((what, body))
                try:
                    queue.before(what, body)
                    told = queue.ask(what, body)
                    status = 200
                    if queue.loses(what, body):
                        self.close_connection = True
                        return
                except Refused as refused:
                    status = refused.status
                    told = {
                        "type": f"urn:penstock:problem:{refused.code}",
                        "detail": str(refused),
                    }
                data = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def ask(self, what: str, body: Any) -> Any:
        if self.engine is not None and "/v1/jobs/" in what:
            return self.ask_engine(what, body)
        with self.lock:
            if what == "GET /v1/health":
                return {"status": "ok"}
            if what == "POST /v1/tasks":
                return {"tasks": self.enqueue(body["tasks"])}
            if what.startswith("POST /v1/work/"):
                return getattr(self, what.rpartition("/")[2])(body)
            if what.startswith("GET /v1/tasks/"):
                return self.show(int(what.rpartition("/")[2]), float(body.get("wait_s", 0)))
            if what in ("POST /v1/tasks/cancel", "POST /v1/tasks/retry"):
                return self.control(what.rpartition("/")[2], body)
        raise Refused(404, "not-found", what)

    def ask_engine(self, what: str, body: Any) -> Any:
        """Of the job that it has, too."""
        assert self.engine is not None
        if what.startswith("GET"):
            return {"id": 1, "lease_s": self.engine.lease_s}
        told = getattr(self.engine, what.rpartition("/")[2])(body, "")
        return json.loads(told) if isinstance(told, str) else told

    # ---- tasks

    def enqueue(self, tasks: list[Task]) -> list[Any]:
        told = []
        self._look_at(tasks)
        for new in tasks:
            unique = new.get("unique")
            same = [
                task
                for task in self.tasks.values()
                if unique
                and task.get("unique", {}).get("key") == unique["key"]
                and (unique["while"] == "stored" or task["state"] not in ENDED)
            ]
            if same:
                told.append({"id": same[0]["id"], "existing": True})
                continue
            id = len(self.tasks) + 1
            self.tasks[id] = {
                "queue": "default",
                "priority": 0,
                "max_attempts": 5,
                "retry": None,
                **new,
                "id": id,
                "state": "pending",
                "attempts": 0,
                "due": time.monotonic() + new.get("delay_s", 0),
                "holder": None,
                "abort": None,
                "progress": None,
            }
            told.append({"id": id, "existing": False})
        self.lock.notify_all()
        return told

    def _look_at(self, tasks: list[Task]) -> None:
        for new in tasks:
            if new["arguments"] == {"bad": True}:
                raise Refused(400, "invalid", "bad arguments")
            if any(parent not in self.tasks for parent in new.get("after", ())):
                raise Refused(404, "not-found", "no such parent")
            if (new.get("unique") or {}).get("on_clash") == "refuse":
                raise Refused(409, "conflict", "it is there")

    def show(self, id: int, wait_s: float) -> Task:
        if id not in self.tasks:
            raise Refused(404, "not-found")
        give_up_at = time.monotonic() + wait_s
        while self.tasks[id]["state"] not in ENDED and self._wait(give_up_at):
            pass
        return self.tasks[id]

    def control(self, verb: str, body: Any) -> Any:
        changed = 0
        for id in body["ids"]:
            task = self.tasks[id]
            if verb == "retry" and task["state"] in ("failed", "cancelled"):
                task.update(state="pending", attempts=0, due=0.0)
            elif verb == "cancel" and task["state"] == "running":
                task["abort"] = "cancelled"
            elif verb == "cancel" and task["state"] not in ENDED:
                task["state"] = "cancelled"
            else:
                continue
            changed += 1
        self.lock.notify_all()
        return {"matched": len(body["ids"]), "changed": changed}

    # ---- sessions

    def claim(self, body: Any) -> Any:
        token = body.get("lease")
        if token is None:
            token = f"lease-{len(self.sessions) + 1}"
            self.sessions[token] = body
        self._check(token)
        if "holds" in body:
            self._let_go(token, body["holds"])
        give_up_at = time.monotonic() + body.get("wait_s", 0)
        while True:
            self._check(token)
            tasks = self._hand_out(token, body)
            if tasks or not self._wait(give_up_at):
                lease = {"token": token, "ends_at": None}
                return {"lease": lease, "tasks": tasks, "aborts": self._aborts(token)}

    def settle(self, body: Any) -> Any:
        token = body["lease"]
        self._check(token)
        self._look_at(body.get("enqueue", ()))
        stale: list[int] = []
        settled = 0
        for id, result in body.get("completed", ()):
            if task := self._held(token, id, stale):
                task.update(state="completed", result=result)
                settled += 1
        for id, reason in body.get("failures", ()):
            if task := self._held(token, id, stale):
                task["error"] = reason
                again = (task["retry"] or "retry_after_s" in reason) and not reason.get("final")
                if again and task["attempts"] < task["max_attempts"]:
                    after_s = reason.get("retry_after_s", (task["retry"] or {}).get("delay_s"))
                    task.update(state="pending", due=time.monotonic() + after_s)
                else:
                    task["state"] = "failed"
                settled += 1
        for id in body.get("aborted", ()):
            if task := self._held(token, id, stale):
                late = task["abort"] == "timeout"
                task["state"] = "failed" if late else "cancelled"
                if late:
                    task["error"] = {"type": "TimeoutError", "message": "took too long"}
                settled += 1
        enqueued = self.enqueue(body["enqueue"]) if settled and "enqueue" in body else []
        tasks = self._hand_out(token, body["claim"]) if "claim" in body else []
        self.lock.notify_all()
        return {
            "stale": stale,
            "enqueued": enqueued,
            "tasks": tasks,
            "aborts": self._aborts(token),
        }

    def extend(self, body: Any) -> Any:
        token = body["lease"]
        self._check(token)
        for id, fraction, text in body.get("progress", ()):
            self.tasks[id].update(progress=fraction, progress_text=text)
        if "holds" in body:
            self._let_go(token, body["holds"])
        self.lock.notify_all()
        give_up_at = time.monotonic() + body.get("wait_s", 0)
        while not self._aborts(token) and self._wait(give_up_at):
            self._check(token)
        return {"lease": {"token": token, "ends_at": None}, "aborts": self._aborts(token)}

    def release(self, body: Any) -> Any:
        self._check(body["lease"])
        self._let_go(body["lease"], [], spent=body.get("died", False))
        del self.sessions[body["lease"]]
        return {}

    def end_lease(self) -> None:
        """As if the time of every session was over."""
        with self.lock:
            for token in list(self.sessions):
                self._let_go(token, [], spent=True)
                del self.sessions[token]
            self.lock.notify_all()

    def abort(self, id: int, why: str) -> None:
        with self.lock:
            self.tasks[id]["abort"] = why
            self.lock.notify_all()

    def wait_for(self, true: Callable[[], bool], within_s: float = 120.0) -> None:
        """Waits until that holds."""
        give_up_at = time.monotonic() + within_s
        with self.lock:
            while not true():
                assert self._wait(give_up_at), f"not within {within_s} s: {self.tasks}"

    def state(self, id: int) -> str:
        return str(self.tasks[id]["state"])

    def _hand_out(self, token: str, body: Any) -> list[Any]:
        queues, functions = body.get("queues"), body.get("functions")
        now = time.monotonic()
        due = [
            task
            for task in self.tasks.values()
            if task["state"] == "pending"
            and task["due"] <= now
            and (queues is None or task["queue"] in queues)
            and (functions is None or task["function"] in functions)
        ]
        due.sort(key=lambda task: (-task["priority"], task["id"]))
        for task in due[: body["max"]]:
            task.update(state="running", attempts=task["attempts"] + 1, holder=token, abort=None)
        return [
            {
                **{k: task.get(k) for k in ("id", "function", "queue", "arguments", "priority")},
                "attempt": task["attempts"],
                "max_attempts": task["max_attempts"],
                "fence": task["attempts"],
                "created_at": "2026-01-01T00:00:00Z",
            }
            for task in due[: body["max"]]
        ]

    def _held(self, token: str, id: int, stale: list[int]) -> Task | None:
        task = self.tasks[id]
        if task["state"] == "running" and task["holder"] == token:
            return task
        stale.append(id)
        return None

    def _let_go(self, token: str, holds: list[int], spent: bool = False) -> None:
        for id, task in self.tasks.items():
            if task["state"] == "running" and task["holder"] == token and id not in holds:
                task.update(state="pending", holder=None)
                task["attempts"] -= 0 if spent else 1
        self.lock.notify_all()

    def _aborts(self, token: str) -> list[Any]:
        return [
            [id, task["abort"]]
            for id, task in self.tasks.items()
            if task["state"] == "running" and task["holder"] == token and task["abort"]
        ]

    def _check(self, token: str) -> None:
        if token not in self.sessions:
            raise Refused(409, "lease-ended")

    def _wait(self, give_up_at: float) -> bool:
        left_s = give_up_at - time.monotonic()
        if left_s <= 0:
            return False
        # Delays come due without a sign.
        self.lock.wait(min(left_s, 0.02))
        return True
