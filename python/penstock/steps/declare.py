"""@penstock.step, and the steps that are found in modules, classes and lists."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, Protocol, TypeVar, overload

from ..app import EXECUTORS, kind_of
from ..arguments import hints_of
from ..errors import InvalidError
from .context import StepContext
from .dataslot import RETURNS, SlotType, dataslot, slots_of
from .docstring import docs_of
from .parameters import Parameters, Returns
from .slot_file import DataSlot

Declared = TypeVar("Declared", bound=Callable[..., Any])

VERSION = re.compile(r"[0-9]{1,8}(\.[0-9]{1,8}){0,2}(-[0-9A-Za-z_-]+)?")
VERSION_MAX = 40
NAME_MAX = 100
USUAL_VERSION = "0.0.0"
#: On a function or a class: what the decorator was told.
OPTIONS = "__penstock_step__"
#: On a function: a version alone, of a decorator that says no more.
VERSION_MARK = "__penstock_version__"
#: On a class: its public methods are steps, whatever they are decorated with.
PROCON = "__penstock_procon__"
#: What a manifest says made it; the same whatever our version, for it is part of the manifest.
MADE_BY = "penstock"


class Options(NamedTuple):
    """What the decorator was told; None: nothing."""

    name: str | None = None
    version: str | None = None
    title: str | None = None
    executor: str | None = None


@overload
def step(declared: Declared, /) -> Declared: ...
@overload
def step(
    *,
    version: str | None = None,
    name: str | None = None,
    title: str | None = None,
    executor: str | None = None,
) -> Callable[[Declared], Declared]: ...
def step(*declared: Any, **options: Any) -> Any:
    """Makes a processing step of a function, or of all public methods of a class.

    `version` is up to three numbers and `-postfix` ("0.0.0" unless said). `name`: the function's
    own unless given. `title`: for users. `executor`: where a plain function runs, "thread" or
    "process"
    (one of its own, which is killed when the job is aborted).

    The function stays what it is. Its parameters are the step's, as annotated; files are what
    `dataslot` says; one that is annotated with StepContext gets the context. What it returns is the
    job's result. The docstring describes it.
    """
    told = Options(**options)
    if told.version is not None:
        check_version(told.version)
    if told.executor is not None and told.executor not in EXECUTORS:
        raise InvalidError(f"executor is thread or process, not {told.executor!r}")

    def decorate(thing: Any) -> Any:
        if isinstance(thing, type) and told.name is not None:
            raise InvalidError(f"{thing.__name__} is a class: its methods have names of their own")
        if isinstance(thing, (staticmethod, classmethod)) or not callable(thing):
            raise InvalidError("@step stands above a function or a class, below @staticmethod")
        setattr(thing, OPTIONS, told)
        return thing

    return decorate(*declared) if declared else decorate


def check_version(version: str) -> str:
    """The version, when it is one. InvalidError."""
    if not isinstance(version, str) or len(version) > VERSION_MAX or not VERSION.fullmatch(version):
        raise InvalidError(f"a version is like 1.2.3 or 1.2.3-beta, not {version!r}")
    return version


class SlotUse(NamedTuple):
    """A slot of a step, and what the function's annotation wants of it."""

    slot: dataslot
    kind: Any


class Reads(Protocol):
    """What makes arguments of parameters."""

    def read(self, given: Mapping[str, Any] | None) -> dict[str, Any]: ...


class Writes(Protocol):
    """What makes JSON of a result."""

    def write(self, result: Any) -> Any: ...


class AnyStep(Protocol):
    """A step, whatever runs it."""

    name: str
    version: str
    executor: str
    is_strict: bool
    is_coroutine: bool
    context_name: str | None
    slots: dict[str, SlotUse]
    returned: SlotUse | None

    @property
    def parameters(self) -> Reads: ...

    @property
    def returns(self) -> Writes: ...

    @property
    def key(self) -> str: ...

    def manifest(self) -> dict[str, Any]: ...


class Step:
    """One step: what it is called, what it takes and gives, and what runs it.

    `call` is the function, a method already bound. `is_strict`: outputs that must be there are
    missed when they are not.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        function: Callable[..., Any],
        instance: Instance | None = None,
        is_strict: bool = True,
    ) -> None:
        self.name = check_name(name)
        self.version = options.version or getattr(function, VERSION_MARK, None) or USUAL_VERSION
        self.title = options.title or ""
        self.executor = options.executor or "thread"
        self.is_strict = is_strict
        self.is_coroutine = kind_of(function) == "coroutine"
        self._function = function
        self._instance = instance
        self._docs = docs_of(function)
        self._hints = hints_of(function)
        if kind_of(function) not in ("function", "coroutine"):
            raise InvalidError(f"{name} yields; a step returns its result")
        self._read_signature()

    def _read_signature(self) -> None:
        listed = list(inspect.signature(self._function).parameters.values())
        if self._instance is not None:
            listed = listed[1:]
        declared = {slot.name: slot for slot in slots_of(self._function)}
        odd = set(declared) - {one.name for one in listed} - {RETURNS}
        if odd:
            raise InvalidError(f"{self.name} has no parameter {', '.join(sorted(odd))} for a slot")
        #: The parameter that gets the context.
        self.context_name: str | None = None
        #: By parameter.
        self.slots: dict[str, SlotUse] = {}
        plain = []
        for one in listed:
            hint = self._hints.get(one.name, Any)
            if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
                text = f"{self.name}: parameter {one.name!r} cannot be given by name"
                raise InvalidError(text)
            if hint is StepContext:
                self.context_name = one.name
            elif one.name in declared:
                slot = declared[one.name]
                kind = slot.dtype or hint
                if self.is_strict and not slot.is_input and kind is Any:
                    text = f"{self.name}: output {one.name!r} needs an annotation, such as Path"
                    raise InvalidError(text)
                self.slots[one.name] = SlotUse(slot, kind)
            elif is_data_slot(hint):
                self.slots[one.name] = SlotUse(dataslot(one.name), hint)
            else:
                plain.append(one)
        hint = self._hints.get("return", Any)
        #: What is returned is a file.
        self.returned = SlotUse(declared[RETURNS], hint) if RETURNS in declared else None
        try:
            self.parameters = Parameters(self.name, plain, self._hints, self._docs)
            self.returns = Returns(self.name, None if self.returned else hint, self._docs)
        except TypeError as error:
            raise InvalidError(str(error)) from None

    @property
    def key(self) -> str:
        """NAME:VERSION, which is the function of its tasks."""
        return f"{self.name}:{self.version}"

    @property
    def call(self) -> Callable[..., Any]:
        """What runs it."""
        if self._instance is None:
            return self._function
        bound: Callable[..., Any] = self._function.__get__(self._instance.get())
        return bound

    def manifest(self) -> dict[str, Any]:
        """What the server is told of it."""
        uses = [*self.slots.values(), *([self.returned] if self.returned else [])]
        told = [(use.slot, self._slot_told(use.slot)) for use in uses]
        return {
            "function_name": self.name,
            "version": self.version,
            "title": self.title,
            "short_description": self._docs.short,
            "long_description": self._docs.long,
            "parameters": self.parameters.schema(),
            "returns": self.returns.schema(),
            "input_dataslots": [one for slot, one in told if slot.is_input],
            "output_dataslots": [one for slot, one in told if not slot.is_input],
            "procon_version": MADE_BY,
        }

    def _slot_told(self, slot: dataslot) -> dict[str, Any]:
        is_return = slot.slot_type is SlotType.RETURN
        about = self._docs.returns if is_return else self._docs.parameters.get(slot.name, "")
        return {
            "name": slot.shown_name,
            "title": slot.title,
            "description": slot.description or about,
            "mediatype": slot.media_type,
            "metadata": {},
            "minSlots": slot.min_slots,
            "maxSlots": slot.max_slots,
        }

    def __repr__(self) -> str:
        return f"<Step {self.key}>"


class Instance:
    """The one instance of a class in this process, made when it is first needed."""

    def __init__(self, kind: type, made: Any = None) -> None:
        self._kind = kind
        self._made = made
        self._lock = threading.Lock()

    def get(self) -> Any:
        """The instance. Raises what the class does."""
        with self._lock:
            if self._made is None:
                given = {}
                # ProCon's way to say that no command line is wanted.
                if "use_cli" in inspect.signature(self._kind).parameters:
                    given["use_cli"] = False
                self._made = self._kind(**given)
            return self._made


def check_name(name: str) -> str:
    """The name of a step, when it is one. InvalidError."""
    if not 1 <= len(name) <= NAME_MAX or any(c in "/:" or ord(c) < 32 for c in name):
        text = f"a step's name is 1 to {NAME_MAX} characters without / and :, not {name!r}"
        raise InvalidError(text)
    return name


def is_data_slot(kind: Any) -> bool:
    """Whether the annotation wants the DataSlot itself."""
    return isinstance(kind, type) and issubclass(kind, DataSlot)


def has_steps(thing: Any) -> bool:
    """Whether a thing is a step, or has some."""
    if isinstance(thing, (list, tuple, set)):
        return bool(thing) and all(map(has_steps, thing))
    if isinstance(thing, ModuleType):
        return bool(own_steps(thing))
    kind = thing if isinstance(thing, type) else type(thing)
    if getattr(kind, PROCON, False):
        # The base class itself has none.
        return PROCON not in vars(kind)
    return isinstance(_options(thing), Options) or (
        isinstance(thing, type) and bool(_marked_methods(thing))
    )


def steps_of(thing: Any, where: str) -> list[Step]:
    """The steps of a function, a class, an instance of one, a module, or a list of such.

    InvalidError when there is none. `where` is for its text.
    """
    if isinstance(thing, (list, tuple, set)):
        found = [one for item in thing for one in steps_of(item, where)]
    elif isinstance(thing, ModuleType):
        found = [one for item in own_steps(thing) for one in steps_of(item, where)]
    elif isinstance(thing, type):
        found = _of_class(thing, Instance(thing))
    elif inspect.isfunction(thing) and isinstance(_options(thing), Options):
        options = _options(thing)
        found = [Step(options.name or thing.__name__, options, thing)]
    elif has_steps(type(thing)):
        found = _of_class(type(thing), Instance(type(thing), thing))
    else:
        found = []
    if not found:
        raise InvalidError(f"{where} has no steps: decorate functions with @penstock.step")
    return found


def by_key(steps: Iterable[AnyStep]) -> dict[str, AnyStep]:
    """By NAME:VERSION. InvalidError when two are the same."""
    found: dict[str, AnyStep] = {}
    for one in steps:
        if one.key in found:
            raise InvalidError(f"there are two steps {one.key}")
        found[one.key] = one
    return found


def own_steps(module: ModuleType) -> list[Any]:
    """What of a module is a step; of classes those that were made there, each once."""
    found: dict[int, Any] = {}
    for thing in vars(module).values():
        foreign = isinstance(thing, type) and thing.__module__ != module.__name__
        listed = isinstance(thing, (ModuleType, list, tuple, set))
        if not foreign and not listed and has_steps(thing):
            found[id(thing)] = thing
    # An instance stands for its class.
    classes = {type(thing) for thing in found.values()}
    return [thing for thing in found.values() if thing not in classes]


def _options(thing: Any) -> Any:
    return thing.__dict__.get(OPTIONS) if hasattr(thing, "__dict__") else None


def _marked_methods(kind: type) -> list[str]:
    names = []
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if inspect.isfunction(member) and isinstance(_options(member), Options):
            names.append(name)
    return names


def _of_class(kind: type, instance: Instance) -> list[Step]:
    is_procon = bool(getattr(kind, PROCON, False))
    whole: Any = getattr(kind, OPTIONS, None)
    # In the order in which they stand in the source.
    members: dict[str, Any] = {}
    for parent in reversed(kind.__mro__):
        if parent is not object and PROCON not in vars(parent):
            members.update(vars(parent))
    found = []
    for name, member in members.items():
        own = _options(member) if inspect.isfunction(member) else None
        if not inspect.isfunction(member) or name.startswith("_"):
            continue
        if own is None and whole is None and not is_procon:
            continue
        options = _joined(own, whole)
        if is_procon and options.executor is None:
            # As written for ProCon, which runs one job at a time.
            options = options._replace(executor="process")
        found.append(Step(options.name or name, options, member, instance, not is_procon))
    return found


def _joined(own: Options | None, whole: Options | None) -> Options:
    """What a method says, then what its class says."""
    own, whole = own or Options(), whole or Options()
    return Options(
        own.name, own.version or whole.version, own.title, own.executor or whole.executor
    )
