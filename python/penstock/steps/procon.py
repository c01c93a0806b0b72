"""Behind the module `pinexq.procon` inside a worker: what was declared for it runs here.

The declarations mean what they mean there. What belongs to ProCon's own way of running them (its
command line, its messages) is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from . import dataslot as slots
from .context import StepContext, current_step
from .declare import VERSION_MARK, check_version

Function = TypeVar("Function", bound=Callable[..., Any])

ENVIRONMENT_URL = "JMC_API_HOST_URL"
ENVIRONMENT_HEADERS = {"x-api-key": "JMC_API_KEY", "x-access-token": "JMC_ACCESS_TOKEN"}
CLIENT_TIMEOUT_S = 60.0


# ---- errors


class ProConException(Exception):  # noqa: N818 - ProCon's name, as are those below
    """Whatever goes wrong; `user_message` is what the user of the job reads."""

    def __init__(self, *args: Any, user_message: str = "", **_: Any) -> None:
        super().__init__(*args)
        self.user_message = user_message


class ProConUnknownFunctionError(ProConException):
    """There is no such function."""

    def __init__(self, *args: Any, func_name: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.function_name = func_name


class ProConMessageRejected(ProConException):
    """A message is not as it should be."""


class ProConBadMessage(ProConException):
    """A message cannot be dealt with."""


class ProConSchemaValidationError(ProConException):
    """A value is not as the function's annotations say."""


class ProConSchemaError(ProConException):
    """A function cannot be described."""


class ProConDataslotError(ProConException):
    """Something is wrong with a data slot."""


class ProConWorkerNotAvailable(ProConException):
    """The worker has no place."""


class ProConJobExecutionError(ProConException):
    """The job is to end."""


class ProConShutdown(ProConException):
    """The worker is to end."""


# ---- declarations


class version:  # noqa: N801 - a decorator
    """Gives a method its version: a text, or `major`, `minor`, `patch`, `postfix`."""

    def __init__(
        self,
        version: str | None = None,
        *,
        major: int | None = None,
        minor: int | None = None,
        patch: int | None = None,
        postfix: str | None = None,
    ) -> None:
        parts = (major, minor, patch)
        if version is not None and (postfix is not None or any(p is not None for p in parts)):
            raise ValueError("a version is a text, or major, minor, patch and postfix; not both")
        if version is None:
            version = ".".join(str(part or 0) for part in parts)
            version += f"-{postfix}" if postfix else ""
        self.version = check_version(version)

    def __call__(self, function: Function) -> Function:
        setattr(function, VERSION_MARK, self.version)
        return function

    def __str__(self) -> str:
        return self.version


class dataslot(slots.dataslot):  # noqa: N801 - a decorator
    """As penstock.dataslot; a collection that goes out has one file unless it is said."""

    _outputs: ClassVar[tuple[int, int | None]] = (1, 1)


class Step:
    """A class whose public methods are functions. Here it has no command line."""

    __penstock_procon__ = True

    def __init__(self, use_cli: bool = True) -> None:
        self.use_cli = use_cli

    @property
    def step_context(self) -> ExecutionContext | None:
        """The job that runs; None outside of one."""
        context = current_step()
        return None if context is None else ExecutionContext.of(context)


# ---- the job that runs


class Secret:
    """A text that is not printed by accident."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"


@dataclass
class SlotDescription:
    """Where a file is."""

    uri: str
    index: int = 0
    dataslot_name: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    mediatype: str = ""


@dataclass
class DataSlotDescription:
    """Where a slot's files are."""

    name: str
    slots: list[SlotDescription]


@dataclass
class JobExecutionContext:
    """Where the job is, and what may be shown there."""

    job_url: str
    access_token: Secret | None


@dataclass
class JobOfferContent:
    """What a worker is told of a job."""

    job_id: str
    algorithm: str
    algorithm_version: str
    parameters: dict[str, Any]
    job_execution_context: JobExecutionContext


@dataclass
class ExecutionContext:
    """The job that runs, as its function sees it."""

    function_name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    input_dataslots: dict[str, DataSlotDescription] = field(default_factory=dict)
    output_dataslots: dict[str, DataSlotDescription] = field(default_factory=dict)
    metadata_handler: Any = None
    current_job_offer: JobOfferContent | None = None

    @classmethod
    def of(cls, context: StepContext) -> ExecutionContext:
        """Of the job that runs."""
        token = context.step_token
        id = f"00000000-0000-8000-8000-{context.job_id:012x}"
        offer = JobOfferContent(
            id,
            context.step_name,
            context.step_version,
            context.parameters,
            JobExecutionContext(
                f"{context.server.rstrip('/')}/api/Job/{id}", Secret(token) if token else None
            ),
        )
        return cls(
            context.step_name,
            context.parameters,
            {name: _described(context, name, found) for name, found in context.inputs.items()},
            {name: DataSlotDescription(name, []) for name in context.output_slots},
            None,
            offer,
        )


def _described(
    context: StepContext, name: str, artifacts: list[dict[str, Any]]
) -> DataSlotDescription:
    headers = {"x-access-token": context.step_token} if context.step_token else {}
    described = [
        SlotDescription(
            f"{context.server.rstrip('/')}/v1/artifacts/{one['id']}/content",
            place,
            name,
            dict(headers),
            one.get("media_type", ""),
        )
        for place, one in enumerate(artifacts)
    ]
    return DataSlotDescription(name, described)


# ---- pinexq's client, for work from inside of a step


def client_from_env_vars() -> Any:
    """An httpx.Client for the server of JMC_API_HOST_URL. ProConException."""
    url = os.environ.get(ENVIRONMENT_URL)
    if not url:
        raise ProConException(f"{ENVIRONMENT_URL} is not set: no server is known")
    headers = {
        header: os.environ[name]
        for header, name in ENVIRONMENT_HEADERS.items()
        if name in os.environ
    }
    return _client(url, headers)


def get_client(context: ExecutionContext | None = None) -> Any:
    """An httpx.Client that acts for the owner of the job that runs, for pinexq's client.

    Without a job that of the environment. ProConException. The caller closes it.
    """
    offer = context.current_job_offer if context is not None else None
    if offer is None:
        return client_from_env_vars()
    where = urlsplit(offer.job_execution_context.job_url)
    if where.scheme not in ("http", "https"):
        raise ProConException(
            f"the worker's server is {where.scheme}://, pinexq's client wants http"
        )
    token = offer.job_execution_context.access_token
    headers = {"x-access-token": token.get_secret_value()} if token is not None else {}
    root = offer.job_execution_context.job_url.rpartition("/api/Job/")[0]
    return _client(root, headers)


def get_job(context: ExecutionContext, client: Any = None) -> Any:
    """The job that runs, as pinexq's client has it. ProConException."""
    if context.current_job_offer is None:
        raise ProConException("no job runs")
    from httpx import URL
    from pinexq.client.job_management import Job

    url = URL(context.current_job_offer.job_execution_context.job_url)
    return Job.from_url(client=client or get_client(context), job_url=url)


def job_from_step_context(step: Step, client: Any = None) -> Any:
    """The job that runs a method of `step`, as pinexq's client has it. ProConException."""
    context = step.step_context
    if context is None:
        raise ProConException("no job runs")
    return get_job(context, client)


def get_entrypoint_hco(context: ExecutionContext) -> Any:
    """Where pinexq's client begins."""
    from pinexq.client.job_management import enter_jma

    return enter_jma(get_client(context))


def get_input_workdatas(context: ExecutionContext, dataslot_name: str) -> list[Any]:
    """What is selected for an input of the job that runs. ProConException."""
    if dataslot_name not in context.input_dataslots:
        names = ", ".join(context.input_dataslots)
        raise ProConException(f"there is no input {dataslot_name!r}, but {names}")
    from pinexq.client.job_management import WorkData

    for slot in get_job(context).get_input_data_slots():
        if slot.name == dataslot_name:
            return [WorkData.from_hco(hco) for hco in slot.selected_workdatas]
    return []


def get_grants(context: ExecutionContext) -> list[str]:
    """None: a step's token says nothing of them."""
    return []


def _client(url: str, headers: dict[str, str]) -> Any:
    try:
        import httpx
    except ImportError:
        raise ProConException("pinexq's client is not installed beside this worker") from None
    return httpx.Client(base_url=url, headers=headers, timeout=CLIENT_TIMEOUT_S)
