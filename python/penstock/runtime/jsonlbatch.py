"""The modules that a JsonlBatch task imports: utils, logging_config and config.

An unchanged folder works without the packages that its own framework files need: where they lie
there, `utils` and `logging_config` are replaced by ours, and what ours lack is taken from the
folder's own file when it is asked for. A file of that name that is somebody else's is left alone.
`config` is always the folder's own; settings that it leaves out get their defaults.
"""

from __future__ import annotations
import __future__

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ..outcome import retry

DEFAULTS: dict[str, Any] = {
    "INPUT_FILE": "data/input.jsonl",
    "OUTPUT_FILE": "data/output.jsonl",
    "ERROR_FILE": "data/error.jsonl",
    "LOG_FILE": "logs/processor.log",
    "ID_KEY": "id",
    "RERUN_KEY": "force_rerun",
    "MAX_CONCURRENCY": 100,
    "REQUESTS_PER_MINUTE": 0,
    "WRITE_BATCH_SIZE": 100,
    "MAX_RETRIES": 0,
    "RETRY_INITIAL_DELAY": 2.0,
    "LOG_LEVEL": "INFO",
}

# What tells the framework's own file from somebody else's of that name.
_MARKS = {
    "utils": "retry_with_backoff",
    "logging_config": "aiologger",
    "config": "class Settings",
}


class Settings:
    """The settings of a folder."""

    def __init__(self, told: dict[str, Any]) -> None:
        #: Those of DEFAULTS that the folder's config.py has, as JSON can say them.
        self.told = told


def install(folder: Path, config: Path | None) -> Settings | None:
    """Makes the three modules importable. Settings of `config`, None when there is no such file."""
    sys.meta_path.insert(0, _Framework(folder))
    # Behind all others: what nobody else has.
    sys.meta_path.append(_Missing())
    if config is None:
        return None
    return Settings(_load_config(config))


# ---- the logger


class _Logged:
    """What a method of the logger gives: nothing need be done with it, and it may be awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from _room().__await__()


class Logger:
    """Writes to the run's log. Methods may be called plainly and may be awaited."""

    LEVELS = ("debug", "info", "warning", "error")

    def __init__(self) -> None:
        self.lowest = 1

    def set_level(self, word: str) -> None:
        """As LOG_LEVEL says; unknown words mean INFO."""
        word = {"warn": "warning", "critical": "error", "fatal": "error"}.get(word, word)
        self.lowest = self.LEVELS.index(word) if word in self.LEVELS else 1

    def debug(self, message: object, *args: object, **_: Any) -> _Logged:
        return self._log(0, message, args)

    def info(self, message: object, *args: object, **_: Any) -> _Logged:
        return self._log(1, message, args)

    def warning(self, message: object, *args: object, **_: Any) -> _Logged:
        return self._log(2, message, args)

    def error(self, message: object, *args: object, **named: Any) -> _Logged:
        return self._log(3, message, args, bool(named.get("exc_info")))

    def exception(self, message: object, *args: object, **_: Any) -> _Logged:
        return self._log(3, message, args, True)

    warn = warning
    critical = fatal = error

    def shutdown(self) -> _Logged:
        """There is nothing to shut down."""
        return _Logged()

    def _log(
        self, level: int, message: object, args: tuple[object, ...], trace: bool = False
    ) -> _Logged:
        if level < self.lowest:
            return _Logged()
        text = str(message)
        if args:
            try:
                text = text % args
            except (TypeError, ValueError):
                text = f"{text} {args!r}"
        told: dict[str, Any] = {"level": self.LEVELS[level], "text": text}
        record = _current_record()
        if record is not None:
            told["record"] = record
        if trace and sys.exc_info()[0] is not None:
            import traceback

            told["traceback"] = traceback.format_exc()
        _say(told)
        return _Logged()


async def _nothing() -> None:
    pass


def _no_record() -> int | None:
    return None


def _to_stderr(told: dict[str, Any]) -> None:
    print(told["level"], told["text"], file=sys.stderr)


_say: Callable[[dict[str, Any]], None] = _to_stderr
_room: Callable[[], Coroutine[Any, Any, None]] = _nothing
_current_record: Callable[[], int | None] = _no_record

logger = Logger()


def log_to(
    say: Callable[[dict[str, Any]], None],
    room: Callable[[], Coroutine[Any, Any, None]],
    current_record: Callable[[], int | None],
) -> None:
    """Where the logger writes: what takes a line, what waits for room, which record it is."""
    global _say, _room, _current_record
    _say, _room, _current_record = say, room, current_record


# ---- the modules


def _make(name: str, own: Path | None) -> ModuleType:
    """One of our modules; what it lacks comes from the folder's own file."""
    module = ModuleType(name, f"{name} of penstock, in the place of JsonlBatch's")
    if name == "utils":
        module.__dict__["retry_with_backoff"] = retry
    else:
        module.__dict__["logger"] = logger
    kept: list[ModuleType] = []

    def lacking(attribute: str) -> Any:
        if own is None or attribute.startswith("__"):
            raise AttributeError(f"module {name!r} of penstock has no {attribute!r}")
        if not kept:
            spec = importlib.util.spec_from_file_location(f"_own_{name}", own)
            assert spec is not None and spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
            kept.append(loaded)
        return getattr(kept[0], attribute)

    module.__dict__["__getattr__"] = lacking
    return module


class _Given(Loader):
    """Loads a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Framework(MetaPathFinder):
    """Finds ours in the place of the framework's files that lie in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        mark = _MARKS.get(fullname)
        if mark is None or path is not None:
            return None
        own = self._folder / f"{fullname}.py"
        try:
            if mark not in own.read_text(encoding="utf-8", errors="replace"):
                return None
        except OSError:
            return None
        loader = _Config(own) if fullname == "config" else _Given(_make(fullname, own))
        return importlib.util.spec_from_loader(fullname, loader, origin=str(own))


class _Missing(MetaPathFinder):
    """Finds ours where there is no such file at all."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None:
            return None
        if fullname == "config":
            module = ModuleType("config", "JsonlBatch's settings with their defaults")
            _complete(module)
        elif fullname in _MARKS:
            module = _make(fullname, None)
        else:
            return None
        return importlib.util.spec_from_loader(fullname, _Given(module))


def compile_leniently(path: Path) -> CodeType:
    """A file's code; before Python 3.10 without evaluating annotations, such as `str | None`."""
    flags = 0 if sys.version_info >= (3, 10) else __future__.annotations.compiler_flag
    code: CodeType = compile(path.read_bytes(), str(path), "exec", flags, dont_inherit=True)
    return code


class _Config(Loader):
    """Loads config.py and completes its settings. `told` are those that it has itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.told: dict[str, Any] = {}

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile_leniently(self._path), module.__dict__)
        self.told = _told(module)
        _complete(module)
        level = self.told.get("LOG_LEVEL")
        logger.set_level(level.lower() if isinstance(level, str) else "info")


def _load_config(path: Path) -> dict[str, Any]:
    """Makes a file the module `config`; returns the settings that it has."""
    loader = _Config(path)
    spec = importlib.util.spec_from_loader("config", loader, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["config"] = module
    loader.exec_module(module)
    return loader.told


def _told(module: ModuleType) -> dict[str, Any]:
    """The settings that a module has, as JSON can say them."""
    settings = getattr(module, "settings", None)
    settings = settings if settings is not None else getattr(module, "Settings", None)
    return {name: _plain(getattr(settings, name)) for name in DEFAULTS if hasattr(settings, name)}


def _complete(module: ModuleType) -> None:
    """Sees to it that the module has `Settings` and `settings` with all keys."""
    kind = getattr(module, "Settings", None)
    if kind is None:
        kind = module.__dict__["Settings"] = type("Settings", (), {})
    settings = getattr(module, "settings", None)
    if settings is None:
        settings = module.__dict__["settings"] = kind()
    for name, value in DEFAULTS.items():
        if not hasattr(settings, name):
            # Kinds that refuse new attributes keep what they have.
            try:
                setattr(settings, name, value)
            except Exception:
                return


def _plain(value: Any) -> Any:
    """A setting as JSON can say it: paths are texts."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
