"""The query of JsonFilter: `["and", [">=", "$free_ram_mb", 1024], ["in", "$host", "a", "b"]]`, evaluated without eval."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import msgspec

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.host_values import host_value

MAX_DEPTH, MAX_LENGTH = 16, 16384
MAX_PARTS = 100  # lists and values of all queries of a request; each host is asked
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class QueryError(Exception):
    """The query makes no sense; the text says why."""


def parse(text: str) -> Any:
    """The query as data; raises QueryError."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"longer than {MAX_LENGTH} characters")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise QueryError(f"not JSON: {error}") from None


def size(query: Any) -> int:
    """How many lists and values it is made of; an object counts as one."""
    count, rest = 0, [query]
    while rest:
        part = rest.pop()
        count += 1
        rest.extend(part if isinstance(part, list) else ())
    return count


def evaluate(query: Any, host: HostState, depth: int = 0) -> Any:
    """True or False for a condition, the value for a `$name` or a constant; raises QueryError."""
    if isinstance(query, str) and query.startswith("$"):
        return host_value(host, query[1:].split("."))
    if not isinstance(query, list):
        return query
    if depth >= MAX_DEPTH:
        raise QueryError(f"nested deeper than {MAX_DEPTH}")
    if not query or not isinstance(query[0], str):
        raise QueryError("a condition is a list that starts with an operator")
    verb, values = query[0], [evaluate(part, host, depth + 1) for part in query[1:]]
    if verb == "and":
        return all(values)
    if verb == "or":
        return any(values)
    if verb == "not":
        return not any(values)
    if verb == "in":
        return len(values) > 1 and values[0] in values[1:]
    if verb not in COMPARE:
        raise QueryError(f"unknown operator {verb[:20]!r}")
    return len(values) > 1 and all(_compare(verb, values[0], other) for other in values[1:])


def _compare(verb: str, left: Any, right: Any) -> bool:
    try:
        return bool(COMPARE[verb](left, right))
    except TypeError:
        return False
