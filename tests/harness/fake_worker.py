#!/usr/bin/python3
"""A worker process for tests of the supervisor: speaks the control channel and the worker protocol,
and behaves as FAKE_WORKER says: JSON of {"hello": {...}, "do": {"record": "what"}, ...}.

Started in place of Python (--python), so that it needs no package. Every record gives
{"n": number, "in": record}; what a record's "do" says happens instead of that or before it.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PLAN: dict[str, Any] = json.loads(os.environ.get("FAKE_WORKER", "{}"))
CONTROL = socket.socket(fileno=int(os.environ["PENSTOCK_CONTROL_FD"]))


def tell(**message: Any) -> None:
    CONTROL.sendall(json.dumps(message).encode() + b"\n")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Stop(Exception):
    """The supervisor said so."""


class Worker:
    def __init__(self) -> None:
        self.rest = b""
        self.go = self.wait("go")
        server = self.go["server"]
        if server.startswith("unix://"):
            self.connection: http.client.HTTPConnection = UnixConnection(server[len("unix://") :])
        else:
            where = urlsplit(server)
            assert where.hostname
            self.connection = http.client.HTTPConnection(where.hostname, where.port)
        self.ran = 0
        self.lease: str | None = None
        self.context = False

    def wait(self, name: str) -> Any:
        while b"\n" not in self.rest:
            got = CONTROL.recv(65536)
            if not got:
                raise SystemExit("the supervisor is gone")
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        message = json.loads(line)
        if "stop" in message:
            raise Stop
        return message[name]

    def look(self) -> None:
        """Raises Stop when the supervisor has said so."""
        if select.select([CONTROL], [], [], 0)[0]:
            self.wait("nothing")

    def ask(self, what: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.go["key"]:
            headers["Authorization"] = f"Bearer {self.go['key']}"
        self.connection.request(
            "POST", f"/v1/jobs/~{self.go['job']}/{what}", json.dumps(body), headers
        )
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{what}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def one(self, number: int, record: Any) -> Any:
        """The result of a record, or how it failed as a text."""
        do = record.get("do") if isinstance(record, dict) else None
        if do == "exit":
            os._exit(7)
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "hang":
            tell(alive={})
            time.sleep(3600)
        if do == "wait":
            Path(record["started"]).touch()
            self.wait("nothing")
        if do == "grow":
            self.hoard = bytearray(record["bytes"])
        if do == "fail":
            tell(log={"level": "error", "text": "ValueError: no", "record": number})
            return "no"
        if do == "print":
            print(record["text"], flush=True)
        return {"n": number, "in": record}

    def claim(self) -> Any:
        body = {"max": PLAN.get("max", 1), "wait_s": 5, "running": 0}
        more = {"lease": self.lease} if self.lease else {"keep": True, "worker": self.go["worker"]}
        got = self.ask("claim", {**body, **more})
        if got["lease"] and got["lease"]["token"] != self.lease:
            self.lease = got["lease"]["token"]
            tell(lease=self.lease)
        return got

    def work(self) -> str:
        while True:
            self.look()
            got = self.claim()
            if got["records"] and not self.context:
                if PLAN.get("die_at_start"):
                    os._exit(9)
                if PLAN.get("startup_fails"):
                    told = {"text": "RuntimeError: no", "traceback": "T"}
                    tell(failed={**told, "where": "on_startup"})
                    raise SystemExit(1)
                self.context = True
                tell(ready={})
            stop = False
            results, failures = [], []
            for number, record in got["records"]:
                try:
                    result = self.one(number, record)
                except Stop:
                    stop, result = True, {"n": number, "in": record}
                (failures if isinstance(result, str) else results).append([number, result])
                self.ran += 1
            if got["records"]:
                self.ask(
                    "settle",
                    {"lease": self.lease, "results": results, "failures": failures},
                )
            if stop:
                raise Stop
            if got["finished"]:
                return "finished"
            if PLAN.get("recycle_after") and self.ran >= PLAN["recycle_after"]:
                self.ask("release", {"lease": self.lease})
                return "recycle"


def main() -> None:
    if "print" in PLAN:
        print(PLAN["print"], flush=True)
    if "die" in PLAN:
        sys.exit(PLAN["die"])
    if "error" in PLAN:
        tell(error={"text": PLAN["error"], "traceback": "Traceback: here\n"})
        sys.exit(2)
    if "trace" in PLAN:
        with Path(PLAN["trace"]).open("a", encoding="utf-8") as trace:
            trace.write(json.dumps({"argv": sys.argv[1:], "pid": os.getpid()}) + "\n")
    hello = {"pid": os.getpid(), "what": "fake", "kind": "function", "batch_size": 1}
    tell(hello={**hello, "retry": None, "settings": None, **PLAN.get("hello", {})})
    worker = None
    try:
        worker = Worker()
        reason = worker.work()
    except Stop:
        reason = "stopped"
    if PLAN.get("shutdown_fails"):
        tell(failed={"text": "RuntimeError: late", "traceback": "T", "where": "on_shutdown"})
    tell(bye={"ran": worker.ran if worker else 0, "reason": reason})


main()
