"""The operators of extra specs (flavors, volume types): `>= 4`, `s== intel`, `<in> avx`, `<or> a <or> b`, …; plain text means
equality."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # upstream's oldest: at least
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
TEXT: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}


def matches(value: Any, wanted: str) -> bool:
    """Does a host's value satisfy an extra spec? Nonsense on either side is a plain no."""
    words = wanted.split()
    if value is None or not words:
        return False
    verb, rest = words[0], words[1:]
    if verb == "<or>":
        return str(value) in [part.strip() for part in wanted.split("<or>")[1:]]
    if verb == "<in>":
        return bool(rest) and " ".join(rest) in (value if isinstance(value, list | tuple | dict) else str(value))
    if verb == "<all-in>":
        held = value if isinstance(value, list | tuple | dict) else str(value)
        return bool(rest) and all(part in held for part in rest)
    if verb in NUMERIC:
        return _numeric(verb, value, " ".join(rest))
    if verb in TEXT:
        return TEXT[verb](str(value), " ".join(rest))
    return str(value) == wanted.strip()


def _numeric(verb: str, value: Any, wanted: str) -> bool:
    try:
        return NUMERIC[verb](float(value), float(wanted))
    except (TypeError, ValueError, OverflowError):
        return False
