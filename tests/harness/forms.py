"""Forms (multipart/form-data) as pinexq's client writes them, and as nobody should."""

from __future__ import annotations

import json
from typing import Any

BOUNDARY = b"a1b2c3d4"
TYPE = "multipart/form-data; boundary=" + BOUNDARY.decode()


def part(
    name: str, data: bytes, filename: str | None = None, media_type: str | None = None
) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += '; filename="' + filename.replace("\\", "\\\\").replace('"', "%22") + '"'
    if media_type is not None:
        head += f"\r\nContent-Type: {media_type}"
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def parameters(**members: Any) -> bytes:
    return part("UploadWorkDataParameters", json.dumps(members).encode())


def file_form(
    data: bytes,
    filename: str = "a.csv",
    media_type: str | None = "text/csv",
    **members: Any,
) -> bytes:
    """An upload; `members` are the parameters, which come first."""
    before = [parameters(**members)] if members else []
    return form(*before, part("upload-file", data, filename, media_type))
