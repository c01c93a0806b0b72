"""The app: tasks by name, and the server they are deferred to."""

from __future__ import annotations

import contextlib
import datetime
import functools
import inspect
import os
import ssl
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .arguments import Signature, to_json
from .backend import Backend, ServerBackend
from .embedded import default_state, embedded_url
from .errors import InvalidError
from .handle import TaskHandle
from .outcome import retry_plan_of
from .schedule import Schedule
from .task_call import Named, Retries, Seconds, TaskCall, Unique, check_name, members_of

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Unpack

    from .async_client import AsyncClient
    from .client import Client
    from .outage import Outage
    from .task_call import TaskSettings
    from .testing import TestQueue

    Params = ParamSpec("Params")
else:
    Params = TypeVar("Params")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])
Scheduled = TypeVar("Scheduled", bound="TaskDeferrer")

NAMED = ("key", "lock", "batch", "unique")
EXECUTORS = ("thread", "process")


class App:
    """Functions that can be deferred, and where to.

    `server` is an http://, https:// or unix:// address (default: $PENSTOCK_SERVER). With none, an
    embedded server on the state folder is shared with everybody who uses that folder, and started
    when there is none: `state`, else $PENSTOCK_STATE, else .penstock. `key` is an API key (default:
    $PENSTOCK_KEY). `queue` is where tasks wait that say no other.

    An app may be used from any thread, from any event loop, and after a fork.
    """

    #: Whether a worker that is told its queues fails what it does not know there.
    owns_queues = True

    def __init__(
        self,
        server: str | None = None,
        *,
        key: str | None = None,
        state: str | os.PathLike[str] | None = None,
        queue: str = "default",
        patience_s: float = 30.0,
    ) -> None:
        if server is not None and state is not None:
            raise InvalidError("server and state name two servers; give one")
        if server is None and state is None:
            server = os.environ.get("PENSTOCK_SERVER") or None
        key = key or os.environ.get("PENSTOCK_KEY") or None
        url = server or embedded_url(state if state is not None else default_state())
        self.queue = check_name("queue", queue)
        #: The tasks that are known here, by name.
        self.tasks: dict[str, Task[Any, Any]] = {}
        #: Tasks at certain times, by name: see `schedule`.
        self.schedules: dict[str, Schedule] = {}
        #: See `record`.
        self.record_function: Callable[..., Any] | None = None
        self._patience_s = patience_s
        self._ca: str | None = None
        self._server = ServerBackend(url, key, patience_s)
        #: Where calls go; another one while testing.
        self.backend: Backend = self._server

    @overload
    def task(self, function: Callable[Params, Result], /) -> Task[Params, Result]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        key: Named = None,
        batch: Named = None,
        lock: Named = None,
        unique: Unique | Named = None,
        retry: Retries = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        keep: Seconds | None = None,
        delay: Seconds | None = None,
        pass_context: bool = False,
        executor: str = "thread",
        model: Callable[[dict[str, Any]], Any] | None = None,
        accept: Callable[[Any], TaskCall] | None = None,
    ) -> Callable[[Callable[Params, Result]], Task[Params, Result]]: ...
    def task(self, *function: Any, **how: Any) -> Any:
        """Makes a task of a function: plain, coroutine, generator or async generator.

        `name` is what it is called everywhere (default: module.function). The settings are those
        of TaskSettings; key, batch, lock and unique may name arguments in braces, as
        `lock="dataset-{dataset}"`, or be functions of the arguments. `retry`: False: what fails has
        failed; a number: so many retries; a RetryPolicy, or a dict of its members.

        `pass_context`: the first argument is the TaskContext. `executor`: where a plain function
        runs, "thread" or "process" (one of its own, which is killed when the task is aborted).

        What a plain function or a coroutine returns is the result, as JSON. What a generator yields
        are calls (`other.call(...)`), which are enqueued; it returns nothing.

        For packages that build on this: `model` makes the one argument of the function out of the
        task's arguments, in place of the annotations; `accept` makes a TaskCall of what a generator
        yields that is none, or raises TypeError. With `accept` a function may return such a thing,
        or a list of them, too.
        """

        def decorate(function: Callable[..., Any]) -> Task[Any, Any]:
            task: Task[Any, Any] = Task(self, function, **how)
            if task.name in self.tasks and self.tasks[task.name].function is not task.function:
                raise InvalidError(f"there are two tasks of the name {task.name!r}")
            self.tasks[task.name] = task
            return task

        return decorate(*function) if function else decorate

    def record(self, function: Function) -> Function:
        """Marks the function of records: `penstock worker module:app --job NAME` runs it.

        As in docs/run.md it takes a record, or record and context, and returns a result. The same
        processes run the app's tasks. There is one in an app; it stays the function that it is.
        """
        self.record_function = function
        return function

    def schedule(
        self,
        name: str,
        *,
        cron: str | None = None,
        every: Seconds | None = None,
        zone: str | None = None,
        missed: str | None = None,
        pass_time: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> Callable[[Scheduled], Scheduled]:
        """Has a task enqueued at certain times. Stands above `@app.task`.

        `cron` is a line of five fields, or six with seconds first, by the clocks of `zone`
        ("Europe/Vienna"; default: UTC); or `every` so many seconds. `missed`: ticks while the
        server was down: "skip", "once" or "all". With `pass_time` the argument `timestamp` is the
        time of the tick.

        Workers of the app make the schedules that the server does not have. Those that it has stay
        as they are, for they may have been changed there; `put_schedules` sets them again.
        """
        if (cron is None) == (every is None):
            raise InvalidError(f"schedule {name}: say either cron or every")

        def decorate(task: Scheduled) -> Scheduled:
            stamp = {"timestamp": "1970-01-01T00:00:00Z"} if pass_time else {}
            given = dict(arguments or {})
            told = task.call(**{**given, **stamp}).told()
            told["arguments"] = {one: told["arguments"][one] for one in given}
            every_s = every.total_seconds() if isinstance(every, datetime.timedelta) else every
            made = Schedule(name, told, cron, every_s, zone, missed, pass_time)
            next(made.ticks(datetime.datetime.now(datetime.timezone.utc)))  # it makes sense
            self.schedules[name] = made
            return task

        return decorate

    def put_schedules(self) -> None:
        """Sets all schedules of the app on the server, as the app has them."""
        for one in self.schedules.values():
            self.client.schedules.put(one.name, **one.told())

    def configure_task(self, name: str, **settings: Unpack[TaskSettings]) -> TaskDeferrer:
        """A task by its name, which need not be known here: it may belong to another service."""
        task = self.tasks.get(name)
        if task is not None:
            return task.configure(**settings)
        return TaskDeferrer(self, check_name("name", name), settings)

    def defer(self, *calls: TaskCall) -> list[TaskHandle]:
        """Enqueues several calls at once, all or none: `app.defer(one.call(x=1), other.call())`."""
        return self._handles(self.backend.enqueue([call.told() for call in calls]))

    async def defer_async(self, *calls: TaskCall) -> list[TaskHandle]:
        """As defer."""
        return self._handles(await self.backend.enqueue_async([call.told() for call in calls]))

    def handle(self, id: int) -> TaskHandle:
        """The handle of a task whose id is known from elsewhere. Asks nobody."""
        return TaskHandle(self, id)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._server.url

    @property
    def key(self) -> str | None:
        """The API key."""
        return self._server.key

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What is trusted, when that is not what the system trusts."""
        return self._server.tls

    def move(self, server: str, key: str | None, ca: str | None = None) -> None:
        """To another server, from now on: a worker was told to work for that one."""
        tls = ssl.create_default_context(cafile=ca) if ca else None
        self._ca = ca
        before = self._server
        self._server = ServerBackend(server, key or before.key, self._patience_s, tls)
        if self.backend is before:
            self.backend = self._server

    def moved(self) -> tuple[str, str | None, str | None]:
        """What `move` of the same app in another process is to be told."""
        return self.url, self.key, self._ca

    @property
    def client(self) -> Client:
        """All that can be asked of the server. Each thread has one of its own."""
        return self._server.client

    @property
    def async_client(self) -> AsyncClient:
        """The same for the event loop that runs."""
        return self._server.async_client

    @contextlib.contextmanager
    def testing(self, now: datetime.datetime | None = None) -> Generator[TestQueue, None, None]:
        """Within it tasks are kept in memory, no server is asked, and time stands still.

        The TestQueue shows what was enqueued, runs it here, and travels in time.
        """
        from .testing import TestQueue

        queue = TestQueue(self, now)
        before, self.backend = self.backend, queue
        try:
            yield queue
        finally:
            self.backend = before

    async def begin_work(self, outage: Outage) -> list[str] | None:
        """What a worker does before it takes tasks; the queues that it takes them from, when it is
        not told any. None: all. `outage` says that it waits. PenstockError. For other apps.
        """
        return None

    def end_work(self) -> None:
        """What a worker does last. For apps of other kinds."""
        return

    def close(self) -> None:
        """Closes this thread's connection. The next call opens it again."""
        self._server.close()

    def _handles(self, told: Iterable[tuple[int, bool]]) -> list[TaskHandle]:
        return [TaskHandle(self, id, existing) for id, existing in told]


class TaskDeferrer:
    """A task with settings: what `configure` gives."""

    #: The task's own checks, when it is known here.
    task: Task[Any, Any] | None = None

    def __init__(self, app: App, name: str, settings: Mapping[str, Any]) -> None:
        self.app = app
        self.name = name
        self._settings = dict(settings)
        self._members = {"queue": app.queue, **members_of(self._settings)}

    def configure(self, **settings: Unpack[TaskSettings]) -> TaskDeferrer:
        """The same with other settings."""
        return TaskDeferrer(self.app, self.name, {**self._settings, **settings})

    def call(self, **arguments: Any) -> TaskCall:
        """The call, not yet enqueued: to be yielded by a generator, or given to app.defer.

        ArgumentsError when the arguments do not fit, or are no JSON.
        """
        return TaskCall(self.name, to_json(self.name, arguments), self._members)

    def defer(self, **arguments: Any) -> TaskHandle:
        """Enqueues a call. Durable on return."""
        (handle,) = self.app.defer(self.call(**arguments))
        return handle

    async def defer_async(self, **arguments: Any) -> TaskHandle:
        """As defer."""
        (handle,) = await self.app.defer_async(self.call(**arguments))
        return handle

    def defer_many(self, calls: Iterable[Mapping[str, Any]]) -> list[TaskHandle]:
        """Enqueues a call for each of these arguments, all or none."""
        return self.app.defer(*[self.call(**arguments) for arguments in calls])

    async def defer_many_async(self, calls: Iterable[Mapping[str, Any]]) -> list[TaskHandle]:
        """As defer_many."""
        return await self.app.defer_async(*[self.call(**arguments) for arguments in calls])


class Task(TaskDeferrer, Generic[Params, Result]):
    """A function that can be deferred. Called, it runs here and now, as it always did."""

    def __init__(
        self,
        app: App,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        pass_context: bool = False,
        executor: str = "thread",
        model: Callable[[dict[str, Any]], Any] | None = None,
        accept: Callable[[Any], TaskCall] | None = None,
        **settings: Any,
    ) -> None:
        if executor not in EXECUTORS:
            raise InvalidError(f"executor is thread or process, not {executor!r}")
        plan = retry_plan_of(function)
        given = {name: value for name, value in settings.items() if value is not None}
        if plan is not None:
            # The waiting between attempts is the server's.
            function = plan.function
            given.setdefault("retry", plan)
        #: Settings that are made of the arguments.
        self._named = {n: given.pop(n) for n in NAMED if _is_named(given.get(n))}
        super().__init__(app, check_name("name", name or name_of(function)), given)
        self.function = function
        self.pass_context = pass_context
        self.executor = executor
        self.model = model
        self.accept = accept
        #: "function", "coroutine", "generator", "async generator"
        self.kind = kind_of(function)
        self.task = self
        # With a model it is the model that says what fits.
        self.signature = (
            None if model is not None else Signature(self.name, function, int(pass_context))
        )
        functools.update_wrapper(self, function)

    def __call__(self, *args: Params.args, **named: Params.kwargs) -> Result:
        """Calls the function, without any queue."""
        result: Result = self.function(*args, **named)
        return result

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def configure(self, **settings: Unpack[TaskSettings]) -> TaskDeferrer:
        """The task with other settings for one call: `task.configure(priority=9).defer(x=1)`."""
        return _ConfiguredTask(self, settings)

    def call(self, **arguments: Any) -> TaskCall:
        return self.call_with(self._members, {}, arguments)

    def call_with(
        self, members: Mapping[str, Any], settings: Mapping[str, Any], arguments: dict[str, Any]
    ) -> TaskCall:
        """A call whose arguments are checked, and make the settings that are made of them."""
        if self.signature is None:
            packed = to_json(self.name, arguments)
            if self.model is not None:
                self.model(packed)
        else:
            packed = self.signature.pack(arguments)
        named = {n: value for n, value in self._named.items() if n not in settings}
        if named:
            filled = {n: _filled(self.name, n, value, arguments) for n, value in named.items()}
            members = {**members, **members_of(filled)}
        return TaskCall(self.name, packed, members)


class _ConfiguredTask(TaskDeferrer):
    """A task that is known here, with settings for some calls."""

    def __init__(self, task: Task[Any, Any], settings: Mapping[str, Any]) -> None:
        super().__init__(task.app, task.name, {**task._settings, **settings})
        self.task: Task[Any, Any] = task
        self._changed = dict(settings)

    def configure(self, **settings: Unpack[TaskSettings]) -> TaskDeferrer:
        return _ConfiguredTask(self.task, {**self._changed, **settings})

    def call(self, **arguments: Any) -> TaskCall:
        return self.task.call_with(self._members, self._changed, arguments)


def name_of(function: Callable[..., Any]) -> str:
    """module.function; of a program that was started as a file, as who imports it would say."""
    plain = inspect.unwrap(function)
    module = getattr(plain, "__module__", None) or "tasks"
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        module = spec.name if spec else Path(file).stem if file else module
    return f"{module}.{getattr(plain, '__qualname__', type(plain).__qualname__)}"


def kind_of(function: Callable[..., Any]) -> str:
    """What calling it gives."""
    while not inspect.isfunction(function) and hasattr(function, "func"):
        function = function.func  # functools.partial
    looked_at = [function, getattr(function, "__call__", None)]  # noqa: B004
    for kind, is_it in (
        ("coroutine", inspect.iscoroutinefunction),
        ("async generator", inspect.isasyncgenfunction),
        ("generator", inspect.isgeneratorfunction),
    ):
        if any(is_it(one) for one in looked_at):
            return kind
    return "function"


def _is_named(value: Any) -> bool:
    return (callable(value) and not isinstance(value, type)) or (
        isinstance(value, str) and "{" in value
    )


def _filled(task: str, name: str, value: Any, arguments: dict[str, Any]) -> Any:
    try:
        return value(**arguments) if callable(value) else value.format(**arguments)
    except Exception as error:
        text = f"{task}: {name} cannot be made of the arguments: {type(error).__name__}: {error}"
        raise InvalidError(text) from error
