"""The query of the image list, decoded."""

from __future__ import annotations

import csv
from typing import Any

from kilonova.core.clock import iso_micro, parse_iso
from kilonova.core.web.call import Call
from kilonova.core.web.paging import few
from kilonova.image import errors
from kilonova.image.fields import CONTROL, VISIBILITIES
from kilonova.image.resources.images.list_query import Condition, ListQuery

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
OPERATORS = ("eq", "neq", "in", "gt", "gte", "lt", "lte")
LISTED = ("name", "id", "status", "container_format", "disk_format")  # eq and in
PLAIN = ("owner", "checksum", "os_hash_algo", "os_hash_value")
TIMES = ("created_at", "updated_at")
NUMBERS = ("size", "min_disk", "min_ram", "virtual_size")
FLAGS = ("protected", "os_hidden")
PAGING = ("limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility", "member_status")
MEMBER_STATUSES = ("pending", "accepted", "rejected", "all")
MAX_NUMBER = (1 << 63) - 1


def _refuse(reason: str) -> errors.InvalidQuery:
    return errors.InvalidQuery(reason=reason)


def read_query(call: Call, limit_default: int, limit_max: int) -> ListQuery:
    """Raises InvalidQuery for what makes no sense."""
    items = [(k, v) for k, v in call.query.multi_items()]
    values = dict(items)
    for key, value in items:
        if CONTROL.search(key) or "\x00" in value:
            raise _refuse(f"Invalid query parameter {key!r}")
    if "changes-since" in values:
        raise _refuse('The "changes-since" filter is no longer available on v2.')
    conditions, properties = _filters(values)
    return ListQuery(
        conditions=conditions,
        properties=[*few("(properties)", properties)],
        tags=[*few("tag", [value.strip() for key, value in items if key == "tag"])],
        visibility=_one_of(values, "visibility", (*VISIBILITIES, "all"), "Invalid visibility value: {}"),
        member_status=_one_of(values, "member_status", MEMBER_STATUSES, "Invalid status: {}") or "accepted",
        sort=_sort(items),
        marker=values.get("marker") or None,
        limit=_limit(values.get("limit"), limit_default, limit_max),
    )


def _one_of(values: dict[str, str], key: str, allowed: tuple[str, ...], problem: str) -> str | None:
    value = values.get(key)
    if not value:
        return None
    if value not in allowed:
        raise _refuse(problem.format(value))
    return value


def _limit(text: str | None, default: int, maximum: int) -> int:
    if text is None:
        return min(default, maximum)
    try:
        number = int(text)
    except ValueError:
        raise _refuse("limit param must be an integer") from None
    if number < 0:
        raise _refuse("limit param must be positive")
    return min(number, maximum)


def _filters(values: dict[str, str]) -> tuple[list[Condition], list[tuple[str, str]]]:
    conditions = [_flag("os_hidden", values.get("os_hidden", "false").lower())]
    properties = []
    for key, value in values.items():
        if key in PAGING or key == "os_hidden":
            continue
        found = _condition(key, value)
        if found is None:
            properties.append((key, value))
        else:
            conditions.append(found)
    return conditions, properties


def _condition(key: str, value: str) -> Condition | None:
    """None for an extra property."""
    if key in FLAGS:
        return _flag(key, value)
    if key in PLAIN:
        return Condition(key, "eq", (value,))
    if key in LISTED:
        return _listed(key, value)
    if key in TIMES:
        return _time(key, value)
    name, _, edge = key.rpartition("_")
    if edge in ("min", "max") and name in NUMBERS:
        return Condition(name, "gte" if edge == "min" else "lte", (_number(value),))
    if key in NUMBERS:
        return Condition(key, "eq", (_number(value),))
    return None


def _flag(key: str, value: str) -> Condition:
    if value not in ("true", "false"):
        raise _refuse(f"Invalid value '{value}' for '{key}' filter. Valid values are 'true' or 'false'.")
    return Condition(key, "eq", (value == "true",))


def _split(value: str) -> tuple[str, str]:
    """(operator, the rest); text before a colon that is no operator belongs to the value."""
    head, colon, rest = value.partition(":")
    return (head, rest) if colon and head in OPERATORS else ("eq", value)


def _listed(key: str, value: str) -> Condition:
    operator, rest = _split(value)
    if operator not in ("eq", "in"):
        raise _refuse(f"Unable to filter by unknown operator '{operator}'.")
    if operator == "eq":
        return Condition(key, "eq", (rest.lower() if key == "id" else rest,))
    try:
        parts: list[Any] = next(csv.reader([rest], skipinitialspace=True, strict=True), [])
    except csv.Error:
        raise _refuse(f"Invalid filter value {rest!r}. The quotes are not balanced.") from None
    return Condition(key, "in", tuple(parts))


def _time(key: str, value: str) -> Condition:
    operator, rest = _split(value)
    try:
        moment = iso_micro(parse_iso(rest))
    except ValueError:
        raise _refuse(f'Bad "{key}" query filter format. Use ISO 8601 DateTime notation.') from None
    if operator == "in":
        raise _refuse(f"Unable to filter by unknown operator '{operator}'.")
    return Condition(key, operator, (moment,))


def _number(value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise _refuse("Unable to filter on a range with a non-numeric value.") from None
    return max(-MAX_NUMBER, min(number, MAX_NUMBER))


def _sort(items: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(key, direction) pairs, made unambiguous by creation time and id."""
    keys = [value.strip() for key, value in items if key == "sort_key"]
    dirs = [value.strip() for key, value in items if key == "sort_dir"]
    new = [value for key, value in items if key == "sort"]
    if new:
        if keys or dirs:
            raise _refuse("Old and new sorting syntax cannot be combined")
        for part in new[0].strip().split(","):
            key, _, direction = part.partition(":")
            keys.append(key.strip())
            dirs.append(direction.strip() or "desc")
    for key in keys:
        if key not in SORT_KEYS:
            raise _refuse(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    for direction in dirs:
        if direction not in ("asc", "desc"):
            raise _refuse(f"Invalid sort direction: {direction}")
    if len(dirs) > 1 and len(dirs) != len(keys):
        raise _refuse("Number of sort dirs does not match the number of sort keys")
    keys = keys or ["created_at"]
    dirs = dirs * len(keys) if len(dirs) == 1 else dirs or ["desc"] * len(keys)
    sorts: dict[str, str] = {}  # the first of equal keys counts
    for key, direction in zip(keys, dirs, strict=True):
        sorts.setdefault(key, direction)
    return [*sorts.items(), *((key, dirs[0]) for key in ("created_at", "id") if key not in sorts)]
