"""A server that speaks the worker protocol and does what a test wants of it.

For what the real one cannot be brought to do at will: leases that end, shares that change, limits
on what is handed out, refusals.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Refusal(Exception):
    """Answer with this status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FakeEngine:
    """Hands out `records` once; keeps what was settled."""

    def __init__(self, records: list[str], **answer: Any) -> None:
        self.lock = threading.Condition()
        #: JSON texts that wait, by number.
        self.todo = dict(enumerate(records))
        self.held: dict[int, str] = {}
        self.results: dict[int, str] = {}
        self.skipped: list[int] = []
        self.failures: dict[int, Any] = {}
        #: Members of each claim's answer: slots, starts, alone.
        self.answer: dict[str, Any] = {"slots": None, "starts": None, "alone": False, **answer}
        #: (verb, body) of every call, and when it came.
        self.calls: list[tuple[str, Any, float]] = []
        #: Called first with verb and body; may raise Refusal or return an answer.
        self.before: Callable[[str, Any], dict[str, Any] | None] = lambda verb, body: None
        #: Whether the answer to this call gets lost: it is carried out, and the connection cut.
        self.loses: Callable[[str, Any], bool] = lambda verb, body: False
        self.most = 1000
        #: So often a record may fail before it has failed for good.
        self.attempts = 1
        self.tried: dict[int, int] = {}
        self.lease = "lease-1"
        #: How many claims ended those before them, as a session has one.
        self.latest = 0
        self.lease_s = 30.0
        #: So long nobody else is said to start anything.
        self.alone_s = 600.0
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                told = {"id": 1, "lease_s": engine.lease_s}
                self.reply(200, told)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                verb = self.path.rpartition("/")[2]
                body = json.loads(raw)
                engine.calls.append((verb, body, time.monotonic()))
                try:
                    answer = engine.before(verb, body)
                    if verb == "claim" and self.was_left():
                        return
                    answer = answer or getattr(engine, verb)(body, raw)
                    if engine.loses(verb, body):
                        self.close_connection = True
                        return
                    self.reply(200, answer)
                except Refusal as refusal:
                    problem = {"type": f"urn:penstock:problem:{refusal.code}", "detail": "no"}
                    self.reply(refusal.status, problem)

            def was_left(self) -> bool:
                """Whether who asked has hung up: what it claims would be nobody's."""
                self.connection.setblocking(False)
                try:
                    return self.connection.recv(1, socket.MSG_PEEK) == b""
                except BlockingIOError:
                    return False
                finally:
                    self.connection.setblocking(True)

            def reply(self, status: int, told: Any) -> None:
                body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def claim(self, body: Any, _: str) -> str:
        give_up_at = time.monotonic() + body.get("wait_s", 0)
        with self.lock:
            self.check_lease(body)
            if "holds" in body:
                # A claim that was given up is not to take what nobody would hear of.
                self.latest += 1
                self.lock.notify_all()
                gone = [number for number in self.held if number not in body["holds"]]
                self.todo.update({number: self.held.pop(number) for number in gone})
            mine = self.latest
            while not self.todo and self.held and mine == self.latest:
                if not self.lock.wait(give_up_at - time.monotonic()):
                    break
            self.check_lease(body)
            if mine != self.latest:
                raise Refusal(409, "conflict")
            numbers = list(self.todo)[: min(body["max"], self.most)]
            taken = {number: self.todo.pop(number) for number in numbers}
            self.held.update(taken)
            finished = not self.todo and not self.held
        rest = {
            "lease": {"token": self.lease, "ends_at": None},
            "finished": finished,
            **self.answer,
        }
        if rest["starts"]:
            rest["starts"] = {"alone_s": self.alone_s, **rest["starts"]}
        records = ",".join(f"[{number},{text}]" for number, text in taken.items())
        return f'{{"records":[{records}],{json.dumps(rest)[1:]}'

    def settle(self, body: Any, raw: str) -> dict[str, Any]:
        with self.lock:
            self.check_lease(body)
            for number, result in body["results"]:
                del self.held[number]
                self.results[number] = result
            for number in body["skipped"]:
                del self.held[number]
                self.skipped.append(number)
            for number, reason in body["failures"]:
                text = self.held.pop(number)
                self.tried[number] = self.tried.get(number, 0) + 1
                if self.tried[number] < self.attempts:
                    self.todo[number] = text
                else:
                    self.failures[number] = reason
            self.lock.notify_all()
        return {"written": 0, "repeats": 0, "failed": 0, "retried": 0, "skipped": 0}

    def extend(self, body: Any, _: str) -> dict[str, Any]:
        self.check_lease(body)
        return {"token": self.lease, "ends_at": None}

    def release(self, body: Any, _: str) -> dict[str, Any]:
        with self.lock:
            self.check_lease(body)
            self.todo.update(self.held)
            self.held.clear()
            self.lease = f"lease-{int(self.lease[6:]) + 1}"
            self.lock.notify_all()
        return {}

    def end_lease(self) -> None:
        """As if its time was over."""
        self.release({}, "")

    def check_lease(self, body: Any) -> None:
        if body.get("lease", self.lease) != self.lease:
            raise Refusal(409, "lease-ended")

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
