"""What the nodes of a flow share: a dictionary that the server keeps, seen by all at once.

Each operation is a call of the server that runs the flow, so it is safe whoever else is at it, and
what a node wrote is on disk when the node is done. Values are pickled; text that was given with
`--cvar` is text. What is read is a copy: to change a list in it, store the list again.
"""

from __future__ import annotations

import os
from _thread import RLock, get_ident
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..connection import Connection
    from ..wire import Answer

PICKLE_PROTOCOL = 5
# No UTF-8 text begins with this byte, every pickle does.
PICKLE_MARK = b"\x80"
BYTES = "application/octet-stream"
LOCK_WAIT_S = 30.0
# Storing 100 MB on a busy disk takes its time.
CALL_WITHIN_S = 300.0


class Keys(list):  # type: ignore[type-arg]
    """A list that may be called: `context.keys` and `context.keys()` are both in use."""

    def __call__(self) -> Keys:
        return self


class Context:
    """The dictionary. Threads: any, processes too; each process has a connection of its own."""

    def __init__(
        self,
        server: str,
        flow: int | str,
        *,
        key: str | None = None,
        task: int = 0,
        fence: int = 0,
        interactive: bool = False,
    ) -> None:
        self._path = f"/v1/flows/{_quoted(flow) if isinstance(flow, str) else f'@{flow}'}"
        self._server = server
        self._key = key
        self._holder = {"task": task, "fence": fence}
        self._interactive = interactive
        self._lines: dict[tuple[int, int], Connection] = {}
        # The server gives the lock to an attempt; among its threads this one decides.
        self._guard = RLock()
        self._owner = self._depth = 0

    # ---- as a dictionary ----

    def __getitem__(self, key: Any) -> Any:
        data, _ = self._read(key)
        if data is None:
            raise KeyError(key)
        return _value_of(key, data)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._store(key, pack(key, value))

    def __delitem__(self, key: Any) -> None:
        if self._try("DELETE", self._path_of(key)) is None:
            raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return key_text(key) in self._names()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"<Context of {self._path} with {len(self)} keys>"

    @property
    def keys(self) -> Keys:
        """The keys as they are now; may be called, too."""
        return Keys(key_of(name) for name in self._names())

    def items(self) -> list[tuple[Any, Any]]:
        """Keys and values. Each is read by itself: others may change them meanwhile."""
        found = ((key, self._read(key)[0]) for key in self.keys)
        return [(key, _value_of(key, data)) for key, data in found if data is not None]

    def values(self) -> list[Any]:
        return [value for _, value in self.items()]

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, or `default`. In an interactive run the person at the terminal is asked."""
        data, _ = self._read(key)
        if data is not None:
            return _value_of(key, data)
        return self._ask(key) if self._interactive and not default else default

    def set(self, key: Any, value: Any) -> None:
        self[key] = value

    def has_key(self, key: Any) -> bool:
        return key in self

    # ---- what a dictionary has not ----

    def incr(self, key: Any, by: Any = 1) -> Any:
        """Adds to a number, which is 0 when it is not there; returns the sum.

        However many do it at once, each is counted. ConnectionLostError when the server went away
        in the midst of it and others have changed the number since: this one may be counted.
        """
        from ..errors import ConnectionLostError

        while True:
            data, version = self._read(key)
            total = (0 if data is None else _value_of(key, data)) + by
            # What follows the end of a pickle means nothing: by this mark we know our own.
            mine = pack(key, total) + os.urandom(16)
            try:
                if self._store_if(key, mine, version):
                    return total
            except ConnectionLostError:
                if self._read(key)[0] == mine:
                    return total
                if self._read(key)[1] != version:
                    raise

    def lock(self) -> Lock:
        """`with context.lock():` one at a time in the whole flow."""
        return Lock(self)

    # ---- calls ----

    def _names(self) -> list[str]:
        from json import loads

        answer = self._call("GET", f"{self._path}/context")
        return [item["key"] for item in loads(answer.body)["keys"]]

    def _path_of(self, key: Any) -> str:
        return f"{self._path}/context/{_quoted(key_text(key))}"

    def _read(self, key: Any) -> tuple[bytes | None, str]:
        """The bytes and their version; None when it is not there."""
        answer = self._try("GET", self._path_of(key))
        return (None, "") if answer is None else (answer.body, answer.headers.get("etag", ""))

    def _store(self, key: Any, data: bytes) -> None:
        from ..errors import LimitError

        try:
            self._call("PUT", self._path_of(key), data)
        except LimitError as error:
            raise LimitError(
                f"context[{key!r}]: a value of {len(data)} bytes is more than the server takes"
                f" ({error.detail})",
                error.status,
                error.problem,
            ) from None

    def _store_if(self, key: Any, data: bytes, version: str) -> bool:
        """Stores unless it has another version by now ("": unless it is there)."""
        from ..errors import PenstockError

        condition = {"If-Match": version} if version else {"If-None-Match": "*"}
        try:
            self._line().call(
                "PUT",
                self._path_of(key),
                data,
                repeatable=False,
                content_type=BYTES,
                headers=condition,
            )
        except PenstockError as error:
            if error.status == 412:
                return False
            raise
        return True

    def _try(self, method: str, path: str) -> Answer | None:
        """None when there is no such key. That there is no such flow is an error."""
        from ..errors import NotFoundError

        try:
            return self._call(method, path)
        except NotFoundError:
            return None

    def _call(self, method: str, path: str, body: bytes | None = None, wait_s: float = 0) -> Answer:
        kind = BYTES if method == "PUT" else "application/json"
        return self._line().call(
            method, path, body, repeatable=True, wait_s=wait_s, content_type=kind
        )

    def _line(self) -> Connection:
        """This thread's connection, which no child process shares with its parent."""
        me = (os.getpid(), get_ident())
        line = self._lines.get(me)
        if line is None:
            from ..connection import Connection
            from ..wire import Reach

            line = Connection(Reach(self._server, self._key, timeout_s=CALL_WITHIN_S))
            self._lines[me] = line
        return line

    # ---- the terminal ----

    def _ask(self, key: Any) -> str:
        """Asks once in the whole flow: the others find the answer when they get the terminal."""
        from .terminal import ask

        with self.lock():
            data, _ = self._read(key)
            if data is not None:
                return str(_value_of(key, data))
            answer = ask(f"context[{key!r}]: ")
            self[key] = answer
            return answer


class Lock:
    """The one lock of a flow. Let go at the end of the attempt at the latest.

    Who has it may take it again. Processes that a Worker forks count as one with it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Waits for it, as long as it takes."""
        context = self._context
        context._guard.acquire()
        try:
            while not context._depth and not self._tell("lock", wait_s=LOCK_WAIT_S)["locked"]:
                pass
        except BaseException:
            context._guard.release()
            raise
        context._owner = get_ident()
        context._depth += 1

    def release(self) -> None:
        """RuntimeError: this thread has not got it."""
        context = self._context
        if not context._depth or context._owner != get_ident():
            raise RuntimeError("the lock of the flow is not held here")
        context._depth -= 1
        try:
            if not context._depth:
                self._tell("unlock")
        finally:
            context._guard.release()

    def _tell(self, verb: str, **more: Any) -> Any:
        from json import dumps, loads

        context = self._context
        body = dumps({**context._holder, **more}).encode()
        wait_s = float(more.get("wait_s", 0))
        answer = context._call("POST", f"{context._path}/{verb}", body, wait_s)
        return loads(answer.body or b"{}")


def preload() -> None:
    """Imports what a call takes. Not all Workers call: the helper does this for those that may."""
    import pickle
    import urllib.parse

    from .. import connection

    assert pickle and urllib.parse and connection


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def pack(key: Any, value: Any) -> bytes:
    """TypeError: it cannot be pickled."""
    import pickle

    try:
        return pickle.dumps(value, PICKLE_PROTOCOL)
    except Exception as error:
        what = type(value).__name__
        raise TypeError(
            f"context[{key!r}]: a value of type {what} cannot be stored, for it cannot be"
            f" pickled: {type(error).__name__}: {error}"
        ) from None


def _value_of(key: Any, data: bytes) -> Any:
    try:
        return unpack(data)
    except Exception as error:
        raise ValueError(
            f"context[{key!r}] cannot be read: {type(error).__name__}: {error}"
        ) from error


def unpack(data: bytes) -> Any:
    if data.startswith(PICKLE_MARK):
        import pickle

        return pickle.loads(data)
    return data.decode("utf-8")


def key_text(key: Any) -> str:
    """How a key is named on the server: text as it is, unless it might be taken for another key.

    Others as Python writes them, so that keys that are equal have one name: 1, 1.0 and True. What
    cannot be written is pickled.
    """
    if isinstance(key, str) and type(key) is not str:
        key = str.__str__(key)
    if isinstance(key, str) and key not in ("", ".", "..") and key[0] != "~" and _is_text(key):
        return key
    plain = _plain(key)
    if plain is not None:
        return f"~{plain!r}"
    from base64 import urlsafe_b64encode

    return "~p" + urlsafe_b64encode(_pickled_key(key)).decode()


def key_of(name: str) -> Any:
    """The key that has this name."""
    if name.startswith("~p"):
        import pickle
        from base64 import urlsafe_b64decode

        return pickle.loads(urlsafe_b64decode(name[2:]))
    if name.startswith("~"):
        from ast import literal_eval

        return literal_eval(name[1:])
    return name


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key


def _plain(key: Any) -> Any:
    """The key when repr writes it whole, with True and 1.0 as 1; None for others."""
    if type(key) in (bool, int):
        return int(key)
    if type(key) is float and key == key and abs(key) != float("inf"):
        return int(key) if key.is_integer() else key
    if type(key) is str or type(key) is bytes:
        return key
    if type(key) is tuple:
        parts = tuple(_plain(part) for part in key)
        return None if None in parts else parts
    return None


def _pickled_key(key: Any) -> bytes:
    import pickle
    from io import BytesIO

    hash(key)  # a list is no key here either
    written = BytesIO()
    pickler = pickle.Pickler(written, PICKLE_PROTOCOL)
    # Without this the bytes depend on which parts of it are the same object.
    pickler.fast = True
    try:
        pickler.dump(key)
    except Exception as error:
        raise TypeError(f"{type(key).__name__} is no key: it cannot be pickled: {error}") from None
    return written.getvalue()
