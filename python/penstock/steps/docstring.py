"""What a docstring says: a line, the rest, and of each parameter and the result.

Read are the three forms that are common: Google's (`Args:`), NumPy's (`Parameters` and dashes) and
that of Sphinx (`:param x: ...`). A text in none of them is all description.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

_ARGUMENTS = ("args", "arguments", "parameters", "params", "attributes")
_RETURNS = ("returns", "return", "yields")
_OTHER = ("raises", "example", "examples", "note", "notes", "see also", "warns", "references")
_SECTIONS = (*_ARGUMENTS, *_RETURNS, *_OTHER)
_FIELD = re.compile(r":(?P<what>\w+)(?:\s+(?P<about>[^:]*))?:\s*(?P<text>.*)")
_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)")
_NUMPY_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?::.*)?$")


@dataclass
class Docs:
    """The parts of a docstring."""

    short: str = ""
    long: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    returns: str = ""


def docs_of(thing: Any) -> Docs:
    """What the docstring of a function says; all empty when it has none."""
    docs = Docs()
    text: list[str] = []
    lines = (inspect.getdoc(thing) or "").splitlines()
    at = 0
    while at < len(lines):
        title = _title(lines, at)
        if title is not None:
            name, is_numpy = title
            at, body = _section(lines, at + (2 if is_numpy else 1), is_numpy)
            if name not in _OTHER:
                _read_section(docs, name, body, is_numpy)
            continue
        found = _FIELD.match(lines[at].strip())
        if found:
            at = _read_field(docs, lines, at, found)
            continue
        text.append(lines[at])
        at += 1
    short, _, rest = "\n".join(text).strip().partition("\n\n")
    docs.short = " ".join(short.split())
    docs.long = rest.strip()
    return docs


def _title(lines: list[str], at: int) -> tuple[str, bool] | None:
    """The section that begins here, and whether it is underlined."""
    line = lines[at].strip()
    below = lines[at + 1].strip() if at + 1 < len(lines) else ""
    if line.lower() in _SECTIONS and len(below) >= 3 and set(below) == {"-"}:
        return line.lower(), True
    if line.endswith(":") and line[:-1].lower() in _SECTIONS and lines[at] == line:
        return line[:-1].lower(), False
    return None


def _section(lines: list[str], at: int, is_numpy: bool) -> tuple[int, list[str]]:
    """The lines of a section, and where it ends."""
    body: list[str] = []
    while at < len(lines) and _title(lines, at) is None:
        if not is_numpy and lines[at].strip() and not lines[at][0].isspace():
            break
        body.append(lines[at])
        at += 1
    return at, body


def _read_section(docs: Docs, name: str, body: list[str], is_numpy: bool) -> None:
    plain = inspect.cleandoc("\n" + "\n".join(body)).splitlines()
    if name in _RETURNS:
        # Of NumPy the first line is the type.
        told = [line.strip() for line in plain if not is_numpy or line[:1].isspace()] or plain
        docs.returns = " ".join(" ".join(told).split())
        return
    entry = _NUMPY_ENTRY if is_numpy else _ENTRY
    about: str | None = None
    for line in plain:
        found = None if line[:1].isspace() else entry.match(line)
        if found:
            about = found["name"]
            docs.parameters[about] = "" if is_numpy else found["text"].strip()
        elif about is not None and line.strip():
            docs.parameters[about] = f"{docs.parameters[about]} {line.strip()}".strip()


def _read_field(docs: Docs, lines: list[str], at: int, found: re.Match[str]) -> int:
    """A line as `:param int x: text`, with the indented ones that go on with it."""
    told = [found["text"]]
    at += 1
    while at < len(lines) and lines[at][:1].isspace() and not _FIELD.match(lines[at].strip()):
        told.append(lines[at].strip())
        at += 1
    text = " ".join(" ".join(told).split())
    what, about = found["what"], (found["about"] or "").split()
    if what in ("param", "parameter", "arg", "argument", "key", "keyword") and about:
        docs.parameters[about[-1].lstrip("*")] = text
    elif what in ("return", "returns"):
        docs.returns = text
    return at
