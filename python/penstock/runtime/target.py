"""What is to be run: TARGET and --config of the command line, loaded.

task.py            process_record(record, context), and on_startup, on_shutdown if wanted
task.py:function   another function of that file
folder             its task.py and config.py, as a JsonlBatch folder has them
module:function    anything that can be imported from here
module:app         an App, whose tasks are to be run; task.py:app likewise
module:step        a processing step, a class or a list of them, several with commas between;
                   module:* and steps.py: all that are there
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..app import App
from ..errors import InvalidError
from ..outcome import RetryPlan, retry_plan_of
from . import jsonlbatch

if TYPE_CHECKING:
    from ..steps.declare import AnyStep

DEFAULT_FUNCTION = "process_record"
#: All steps of a module.
ALL = "*"
#: Where the module `pinexq.procon` is, for steps that were written for it.
INSIDE = str(Path(__file__).parent.parent / "steps" / "inside")


class TargetError(Exception):
    """It cannot be run; the text says why."""


class Target:
    """A function, its hooks, and what its folder says."""

    def __init__(
        self,
        module: ModuleType,
        name: str,
        where: str,
        folder: Path,
        settings: jsonlbatch.Settings | None,
        batch_size: int,
    ) -> None:
        self.what = f"{where}:{name}"
        self.module = module
        self.folder = folder
        self.settings = settings
        self.batch_size = batch_size
        self.on_startup = _hook(module, "on_startup")
        self.on_shutdown = _hook(module, "on_shutdown")
        function = _function(module, name, where)
        self.retry: RetryPlan | None = retry_plan_of(function)
        if self.retry is not None:
            function = self.retry.function
        self.waits = is_coroutine(function)
        self.function = _with_context(function, self.waits, self.what)

    @property
    def kind(self) -> str:
        if self.batch_size:
            return "batch"
        return "coroutine" if self.waits else "function"

    def hello(self) -> dict[str, Any]:
        """What the supervisor is told."""
        plan = self.retry
        retry = plan and {"retries": plan.retries, "delay_s": plan.delay_s, "factor": plan.factor}
        return {
            "pid": os.getpid(),
            "what": self.what,
            "kind": self.kind,
            "batch_size": self.batch_size or 1,
            "retry": retry,
            "settings": self.settings.told if self.settings else None,
        }

    def mentions(self, word: str) -> bool:
        """Whether that word is in the source of the task, or of a module that lies beside it."""
        for module in [self.module, *sys.modules.values()]:
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.endswith(".py"):
                continue
            if module is not self.module and self.folder not in Path(path).parents:
                continue
            try:
                if word in Path(path).read_text(encoding="utf-8", errors="replace"):
                    return True
            except OSError:
                return True
        return False


class AppTarget:
    """An app, whose tasks are to be run."""

    def __init__(self, app: App, where: str) -> None:
        self.what = where
        self.app = app

    def of_records(self) -> Target:
        """The app's function of records. TargetError when it has none."""
        function = self.app.record_function
        if function is None:
            raise TargetError(f"{self.what} has no function of records: mark one with @app.record")
        module = sys.modules[function.__module__]
        where = Path(getattr(module, "__file__", None) or ".")
        name = function.__qualname__
        return Target(module, name, module.__name__, where.parent, None, 0)

    def hello(self) -> dict[str, Any]:
        """What the supervisor is told."""
        return {
            "pid": os.getpid(),
            "what": self.what,
            "kind": "app",
            "server": self.app.url,
            "batch_size": 1,
            "retry": None,
            "settings": None,
        }


def load(target: str, config: str | None, batch_size: int) -> Target | AppTarget:
    """Imports what TARGET names. TargetError, or whatever the import raises."""
    path, name = _split(target)
    # Before what is installed: this one's steps run here.
    sys.path.insert(0, INSIDE)
    if path is None:
        module, _, function = name.rpartition(":")
        return _load_module(module, function, config, batch_size)
    if not path.exists():
        raise TargetError(f"{path}: no such file or folder")
    is_folder = path.is_dir()
    file = path / "task.py" if is_folder else path
    if not file.is_file():
        raise TargetError(f"{file}: no such file")
    file = file.resolve()
    folder = file.parent
    config_path = _config_of(config, folder if is_folder else None)
    sys.path.insert(0, str(folder))
    if is_folder:
        # As JsonlBatch is started: its paths, and those of the task, begin here.
        os.chdir(folder)
    settings = jsonlbatch.install(folder, config_path)
    loaded = _import_file(file)
    found = _app(loaded, name, file.name) or _steps(loaded, name, file.name)
    return found or Target(loaded, name, file.name, folder, settings, batch_size)


def load_steps(target: str) -> list[AnyStep]:
    """The steps that TARGET names. TargetError, or whatever the import raises."""
    from ..steps.app import StepApp

    found = load(target, None, 0)
    if not isinstance(found, AppTarget) or not isinstance(found.app, StepApp):
        raise TargetError(f"{target} has no processing steps")
    return list(found.app.steps.values())


def load_program(manifest: str, command: str) -> AppTarget:
    """The steps of a manifest, which a program runs. TargetError."""
    from ..steps.app import program_app

    try:
        return AppTarget(program_app(manifest, command), f"{command} ({manifest})")
    except (InvalidError, OSError) as error:
        raise TargetError(str(error)) from error


def is_coroutine(function: Any) -> bool:
    """Whether calling it gives something to be awaited."""
    while not inspect.isfunction(function) and hasattr(function, "func"):
        function = function.func  # functools.partial
    called = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _split(target: str) -> tuple[Path | None, str]:
    """The file or folder, if it is one, and the function's name or module:function."""
    if os.path.exists(target) or ":" not in target:
        return Path(target), DEFAULT_FUNCTION
    head, _, name = target.rpartition(":")
    if head.endswith(".py") or os.path.exists(head):
        return Path(head), name
    return None, target


def _config_of(config: str | None, folder: Path | None) -> Path | None:
    if config is not None:
        path = Path(config).resolve()
        if not path.is_file():
            raise TargetError(f"{config}: no such file")
        return path
    own = folder / "config.py" if folder else None
    return own if own is not None and own.is_file() else None


def _app(module: ModuleType, name: str, where: str) -> AppTarget | None:
    """The app that is meant, if it is one: a file's own is called app."""
    found = _found(module, name)
    if found is None and name == DEFAULT_FUNCTION:
        name, found = "app", getattr(module, "app", None)
    return AppTarget(found, f"{where}:{name}") if isinstance(found, App) else None


def _steps(module: ModuleType, names: str, where: str) -> AppTarget | None:
    """An app of the steps that are meant, if they are steps."""
    declare = sys.modules.get("penstock.steps.declare")
    if declare is None:
        return None  # nobody has declared any
    things: list[Any] = []
    if names == DEFAULT_FUNCTION and hasattr(module, names):
        return None
    if names in (ALL, DEFAULT_FUNCTION):
        things = declare.own_steps(module)
    else:
        things = [_found(module, name) for name in names.split(",")]
    if not things or not all(map(declare.has_steps, things)):
        return None
    from ..steps.app import StepApp

    try:
        return AppTarget(StepApp(declare.steps_of(things, where)), where)
    except InvalidError as error:
        raise TargetError(str(error)) from error


def _found(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _load_module(module: str, name: str, config: str | None, batch_size: int) -> Target | AppTarget:
    here = Path.cwd()
    sys.path.insert(0, str(here))
    settings = jsonlbatch.install(here, _config_of(config, None))
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise TargetError(f"no module {error.name!r} can be found from {here}") from error
        raise
    found = _app(loaded, name, module) or _steps(loaded, name, module)
    return found or Target(loaded, name, module, here, settings, batch_size)


def _import_file(file: Path) -> ModuleType:
    """Imports a file as the module of its name, unless that would hide another."""
    name = file.stem
    standard: Any = getattr(sys, "stdlib_module_names", ())
    if name in sys.modules or name in standard or not name.isidentifier():
        name = "penstock_task"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TargetError(f"{file}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except TypeError as error:
        # `dict | None` in an annotation is an error before Python 3.10, unless nobody evaluates it.
        if sys.version_info >= (3, 10) or "|" not in str(error):
            raise
        exec(jsonlbatch.compile_leniently(file), module.__dict__)
    return module


def _function(module: ModuleType, name: str, where: str) -> Callable[..., Any]:
    found = _found(module, name)
    if found is None:
        raise TargetError(f"{where} has no {name}")
    if not callable(found):
        raise TargetError(f"{name} of {where} is no function")
    if inspect.isasyncgenfunction(found) or inspect.isgeneratorfunction(found):
        raise TargetError(f"{name} of {where} yields; a function of a record returns its result")
    function: Callable[..., Any] = found
    return function


def _hook(module: ModuleType, name: str) -> Callable[..., Any] | None:
    hook = getattr(module, name, None)
    return hook if callable(hook) else None


def _with_context(function: Callable[..., Any], waits: bool, what: str) -> Callable[..., Any]:
    """The function as one of (record, context); one that takes the record alone gets it alone."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function  # of C: has to take both
    if _binds(signature, 2):
        return function
    if not _binds(signature, 1):
        raise TargetError(f"{what}{signature} takes neither (record, context) nor (record)")
    if waits:

        async def alone(record: Any, _: Any) -> Any:
            return await function(record)

        return alone
    return lambda record, _: function(record)


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
