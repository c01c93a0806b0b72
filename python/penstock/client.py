"""The client: where the server is, and what can be asked of it."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from . import calls
from .calls import Call
from .connection import Connection
from .event import Event, follow, instant
from .job import Job, job_path
from .queue_client import Blobs, Fragments, Limits, Named, Schedules, Tasks
from .runtime.codec import loads
from .step_client import Artifacts, StepJobs, Steps
from .wire import Answer, Reach

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .new_job import NewJob


@dataclass(frozen=True)
class Key:
    """An API key. `secret` is there once, when it was created."""

    name: str
    scopes: list[str]
    created_at: datetime.datetime
    revoked_at: datetime.datetime | None
    secret: str | None = None

    @classmethod
    def of(cls, told: dict[str, Any]) -> Key:
        revoked = told["revoked_at"]
        return cls(
            told["name"],
            told["scopes"],
            instant(told["created_at"]),
            instant(revoked) if revoked else None,
            told.get("secret"),
        )


class Jobs:
    """The jobs of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, name: str | None = None, **members: Unpack[NewJob]) -> Job:
        """Makes a job and lets it go: NewJob says of what.

        NameTakenError, OutputTakenError.
        """
        return Job.of(self._client, self._client.ask(calls.create_job(name=name, **members)))

    def get(self, job: int | str | Job) -> Job:
        """A job by id or by name. NotFoundError."""
        return Job.of(self._client, self._client.ask(Call("GET", job_path(job))))

    def list(self, state: str | None = None, page: int = 100) -> Iterator[Job]:
        """All jobs, or those in that state, in the order they were made."""
        call: Call | None = calls.list_jobs(state, page)
        while call is not None:
            told = self._client.ask(call)
            yield from (Job.of(self._client, one) for one in told["jobs"])
            call = Call("GET", told["next"]) if told["next"] else None

    def delete(self, job: int | str | Job) -> None:
        """Forgets a job; the output stays. NotFoundError."""
        self._client.ask(Call("DELETE", job_path(job)))


class Keys:
    """The API keys of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, name: str, scopes: list[str]) -> Key:
        """Makes a key; its secret is in the answer and nowhere else. ConflictError."""
        return Key.of(self._client.ask(calls.create_key(name, scopes)))

    def list(self) -> list[Key]:
        """All keys, the revoked ones too."""
        return [Key.of(one) for one in self._client.ask(calls.LIST_KEYS)["keys"]]

    def revoke(self, name: str) -> None:
        """Makes a key useless. NotFoundError."""
        self._client.ask(calls.revoke_key(name))


class Client:
    """A server, by http://, https:// or unix:// address. For one thread.

    key is an API key; token, that of a job that has one, is for those without a key; step_token is
    that of a step's run. timeout_s is how long one answer may take (a claim's wait comes on top);
    patience_s how long calls that can be repeated without harm go on while the server is away or
    busy.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        token: str | None = None,
        step_token: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reach = Reach(url, key, token, timeout_s, patience_s, tls, step_token)
        self._connection = self.new_connection()
        self.jobs = Jobs(self)
        self.keys = Keys(self)
        self.tasks = Tasks(self)
        self.queues = Named(self, "queues")
        self.functions = Named(self, "functions")
        self.limits = Limits(self)
        self.schedules = Schedules(self)
        self.fragments = Fragments(self)
        self.blobs = Blobs(self)
        self.steps = Steps(self)
        self.step_jobs = StepJobs(self)
        self.artifacts = Artifacts(self)

    @property
    def url(self) -> str:
        """The server's address, as given."""
        return self._reach.url

    def new_connection(self) -> Connection:
        """Another connection to the same server, for what keeps one busy."""
        return Connection(self._reach)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        repeatable: bool = True,
        wait_s: float = 0.0,
    ) -> Any:
        """One call of the HTTP interface: the answer's JSON, None when it is empty."""
        return self.ask(Call(method, path, body, repeatable, wait_s))

    def ask(self, call: Call) -> Any:
        """The same, of a call that is there already."""
        answer = self.fetch(call)
        return loads(answer.body) if answer.body else None

    def fetch(self, call: Call) -> Answer:
        """The same; the answer as it is."""
        return self._connection.call(
            call.method,
            call.path,
            call.body,
            repeatable=call.repeatable,
            wait_s=call.wait_s,
            content_type=call.content_type,
        )

    def upload(
        self, path: str, pieces: Iterator[bytes], content_type: str = "application/octet-stream"
    ) -> Any:
        """A POST whose body is sent as it comes: once. The answer's JSON."""
        sent = self._connection.upload(path, pieces, content_type=content_type)
        return orjson.loads(sent.body)

    def put_stream(self, path: str, pieces: Iterator[bytes], size: int, content_type: str) -> Any:
        """A PUT of so many bytes, sent as they come: once. The answer's JSON."""
        sent = self._connection.upload(
            path, pieces, method="PUT", content_type=content_type, size=size
        )
        return orjson.loads(sent.body)

    def download(self, path: str) -> Iterator[bytes]:
        """A GET whose answer is given as it comes."""
        return self.new_connection().stream(path, {}, self._reach.timeout_s)

    def workers(self) -> list[dict[str, Any]]:
        """The sessions of workers of tasks: who, which queues, what they hold."""
        told: list[dict[str, Any]] = self.ask(calls.WORKERS)["workers"]
        return told

    def events(self, after: int | None = None) -> Iterator[Event]:
        """Events as they happen, of all jobs, without end; 0 begins with the whole history."""
        return follow(self.new_connection(), "/v1/events", after)

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        told: dict[str, Any] = self.ask(calls.HEALTH)
        return told

    def doctor(self) -> dict[str, Any]:
        """Compares store, ledgers and outputs."""
        told: dict[str, Any] = self.ask(calls.DOCTOR)
        return told

    def close(self) -> None:
        """Closes the connection. The next call opens it again."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
