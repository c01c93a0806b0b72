"""Records in, results out: JSON that keeps every digit, and fails for what JSON cannot say.

orjson is fast and differs from Python in two ways that would change data silently: integers of
more than 64 bits are read as floats, and NaN is written as null. Both are noticed by looks at the
whole batch's bytes that cost next to nothing; only then the standard library takes over.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

# Digits become '0' and all but '-' a blank: a run of digits is then found by one search.
_DIGITS = bytes(48 if 48 <= byte <= 57 else 45 if byte == 45 else 32 for byte in range(256))
_NEARLY_LONG = b"0" * 19
_LONG = b"0" * 20
_LONG_NEGATIVE = b"-" + b"0" * 19


def loads(data: bytes) -> Any:
    """Reads JSON as Python's json does: integers of any size, floats correctly rounded."""
    digits = data.translate(_DIGITS)
    # One search for nearly all there is; what it finds is looked at twice more.
    if _NEARLY_LONG in digits and (_LONG in digits or _LONG_NEGATIVE in digits):
        return json.loads(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Lone surrogates in escapes, for one: Python reads them, orjson does not.
        return json.loads(data)


def dump_pairs(pairs: list[list[Any]]) -> tuple[bytes, list[tuple[int, str]]]:
    """Writes pairs of number and result. What is no JSON is left out and told: number, why."""
    try:
        data = orjson.dumps(pairs)
        if b"null" not in data or orjson.loads(data) == pairs:
            return data, []
    except Exception:
        pass
    good, bad = [], []
    for number, result in pairs:
        try:
            good.append(b"[%d,%b]" % (number, dumps(result)))
        except Exception as error:
            bad.append((number, f"result is no JSON: {error}"))
    return b"[%b]" % b",".join(good), bad


def dumps(value: Any) -> bytes:
    """Writes one value. TypeError, ValueError or RecursionError for what is no JSON, as NaN."""
    try:
        data = orjson.dumps(value)
    except TypeError:
        return _dump_slowly(value)
    if b"null" in data:
        # Was it None or NaN? The standard library refuses the second.
        json.dumps(value, allow_nan=False, default=lambda _: None)
    return data


def _dump_slowly(value: Any) -> bytes:
    """For large integers and keys that are no text, as json.dumps writes them."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
