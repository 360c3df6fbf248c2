"""What a request's target may be: paths are taken as they are written, so those that mean another place are refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from kilonova.core import errors

DOTS = (".", "..")


class BadTarget(errors.BadRequest):
    template = "The request's {part} is not valid: {reason}."


def is_dotted(path: str) -> bool:
    """Whether a path, plain or percent-encoded, has a segment `.` or `..`: other programs resolve those, we route none."""
    for _ in range(3):  # encoded twice is decoded twice by two programs in a row
        suspicious = "/." in path or "\\" in path or path.startswith(".")
        if suspicious and any(segment in DOTS for segment in path.replace("\\", "/").split("/")):
            return True
        if "%" not in path:
            return False
        path = unquote(path)
    return False


def check_text(scope: Any) -> None:
    """Raises BadTarget for a path or query whose bytes are no UTF-8 or hold a NUL, which databases treat each in its way."""
    for part, raw in (("path", scope.get("raw_path") or b""), ("query string", scope["query_string"])):
        if b"%" not in raw and raw.isascii():
            continue
        decoded = unquote_to_bytes(raw)
        if b"\0" in decoded:
            raise BadTarget(part=part, reason="it holds a NUL character")
        try:
            decoded.decode()
        except UnicodeDecodeError:
            raise BadTarget(part=part, reason="it is not UTF-8") from None
