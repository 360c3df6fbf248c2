"""A request's microversion and query parameters, read."""

from __future__ import annotations

import datetime as dt

from kilonova.core import errors
from kilonova.core.clock import naive, parse_iso
from kilonova.core.web.call import Call
from kilonova.core.web.wire import Version


class InvalidQuery(errors.BadRequest):
    template = "Invalid input for query parameters {name}. Value: {value}."


def at_least(call: Call, version: str) -> bool:
    return call.version is not None and call.version >= Version.parse(version)


def number(call: Call, name: str, default: int = 0) -> int:
    """A natural number of the query."""
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise InvalidQuery(name=name, value=text)
    return int(text)


def flag(text: str) -> bool:
    """A boolean as query parameters have it; raises ValueError."""
    value = text.lower()
    if value in ("1", "true", "t", "yes", "y", "on"):
        return True
    if value in ("0", "false", "f", "no", "n", "off", ""):
        return False
    raise ValueError(text)


def moment(call: Call, name: str) -> dt.datetime | None:
    """A time of the query, as rows hold it."""
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return naive(parse_iso(text.replace(" ", "+")))
    except ValueError:
        raise InvalidQuery(name=name, value=text) from None
