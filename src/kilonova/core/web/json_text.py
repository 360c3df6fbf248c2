"""JSON that is well formed and still refused: databases and decoders differ in how they treat it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

DEEPEST = 32  # levels; MariaDB's JSON columns end there, and what one decoder opens another one may not
NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""As JSON writes it, not a backslash followed by `u0000`."""
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
ALIKE = bytes.maketrans(b"{}", b"[]")
BRACKETS, QUOTES = b"[]{}", b'"\\'
NO_BRACKETS = bytes(set(range(256)) - {*BRACKETS})
NO_MARKS = bytes(set(range(256)) - {*BRACKETS, *QUOTES})


def unfit(raw: bytes) -> str | None:
    """Why a body is refused before it is decoded; None where nothing is wrong, or where decoding gives the better message."""
    if b"\\u0000" in raw and NUL.search(raw):
        return f"{_place_of_nul(raw)} holds a NUL character"
    return f"the body is nested more than {DEEPEST} levels deep" if is_deep(raw) else None


def is_deep(raw: bytes) -> bool:
    """Whether brackets of well-formed JSON are nested too deeply. They are removed pair by pair from the inside: a walk
    through the text would take a hundred times as long."""
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return False
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except RecursionError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    left = raw.translate(ALIKE, NO_MARKS).replace(b'""', b"")
    if any(mark in left for mark in QUOTES):  # a string has brackets
        left = STRING.sub(b"", raw).translate(ALIKE, NO_BRACKETS)
    for _ in range(DEEPEST):
        left = left.replace(b"[]", b"")
    return bool(left)


def _place_of_nul(raw: bytes) -> str:
    try:
        found = _place(msgspec.json.decode(raw), "") or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = ""
    return found.removeprefix(".") or "the body"


def _place(value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        if any("\0" in key for key in value):
            return path
        inner = [(item, f"{path}.{key[:80]}") for key, item in value.items()]
    else:
        inner = [(item, f"{path}[{n}]") for n, item in enumerate(value)] if isinstance(value, list) else []
    return next(filter(None, (_place(*each) for each in inner)), None)
