"""Lists as clients ask for them: filters, sorting, pages, and the links between these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from kilonova.core.web.call import Call
from kilonova.core.web.paging import few
from kilonova.network import errors
from kilonova.network.resources.base.access import hidden
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.base.shape import Link, Shape

PAGING = {"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"}
TAG_FILTERS = {"tags", "tags-any", "not-tags", "not-tags-any"}
YES, NO = {"true", "1", "yes", "on", "t", "y"}, {"false", "0", "no", "off", "f", "n"}


def read_filters(call: Call, shape: Shape) -> tuple[Filters, bool]:
    """(what the client wants, whether anything can match at all). Raises a 400 that names the parameter."""
    secret = hidden(call, shape)
    known = {n: v for n, v in shape.scalars.items() if n not in shape.derived and n not in secret}
    given: dict[str, list[str]] = {}
    for key, value in call.query.multi_items():
        given.setdefault(key, []).append(value)
    filters: dict[str, list[Any]] = {}
    possible = True
    for key, values in given.items():
        if key in PAGING:
            continue
        if key in TAG_FILTERS and shape.tagged:
            filters[key] = list(few(key, [tag for value in values for tag in value.split(",")]))
        elif key in shape.extra:
            filters[key] = [_convert(key, value, shape.extra[key]) for value in values]
        elif key in known:
            name, kind = known[key]
            read = shape.addresses.get(key)
            converted = [_read_address(key, v, read) if read else _convert(key, v, kind) for v in values]
            if key in shape.constant:
                possible = possible and shape.constant[key] in converted
            else:
                filters[name] = converted
        else:
            if key in secret:
                call.authorize({}, f"get_{shape.rule_noun}:{key}")
            raise errors.HTTPBadRequest(reason=f"['{key}'] is invalid attribute for filtering")
    return Filters(
        filters=filters,
        sorts=_sorts(given, known, shape),
        limit=_limit(given.get("limit")),
        marker=(given.get("marker") or [""])[0] or None,
        page_reverse=(given.get("page_reverse") or [""])[0].lower() in YES,
        fields=frozenset(f for f in given.get("fields", []) if f),
    ), possible


def _read_address(key: str, value: str, read: Callable[[str], object]) -> str:
    """As it is stored; "" matches what has none."""
    try:
        return str(read(value)) if value else ""
    except ValueError as error:
        raise errors.HTTPBadRequest(reason=f"Invalid input for {key}. Reason: {error}.") from None


def _convert(key: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value.lower() in YES | NO:
            return value.lower() in YES
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for {key}. Reason: '{value}' cannot be converted to boolean."
        )
    if kind is int:
        if re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        raise errors.HTTPBadRequest(reason=f"Invalid input for {key}. Reason: '{value}' is not an integer.")
    return value


def _limit(values: list[str] | None) -> int | None:
    if not values or values[0] == "":
        return None
    text = values[0]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise errors.HTTPBadRequest(reason=f"Limit must be an integer 0 or greater and not '{text}'")
    return int(text) or None


def _sorts(given: dict[str, list[str]], known: Mapping[str, Any], shape: Shape) -> tuple[tuple[str, bool], ...]:
    keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise errors.HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    absent = [key for key in keys if key not in known or key in shape.constant or key in shape.unsorted]
    if absent:
        raise errors.HTTPBadRequest(reason=f"{absent} is invalid attribute for sort_keys")
    wrong = [word for word in directions if word not in ("asc", "desc")]
    if wrong:
        raise errors.HTTPBadRequest(reason=f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    sorts: dict[str, bool] = {}  # the first of equal keys counts
    for n, key in enumerate(keys):
        sorts.setdefault(known[key][0], bool(directions) and directions[n] == "desc")
    return tuple(sorts.items())


def links(call: Call, path: str, items: Sequence[Any], filters: Filters) -> list[Link]:
    """To the pages beside this one; `path` is below `/v2.0/`. From a page after the last one, the previous is the last, and
    from one before the first the next is the first."""
    if filters.limit is None:
        return []
    kept = [(k, v) for k, v in call.query.multi_items() if k not in ("marker", "page_reverse")]
    url = f"{call.base_url}/v2.0/{path}?"
    full = len(items) == filters.limit
    last, first = ([("marker", items[at].id)] if items else [] for at in (-1, 0))
    found: list[Link] = []
    if full if not filters.page_reverse else filters.marker is not None:
        found.append(Link(rel="next", href=url + urlencode([*kept, *last])))
    if filters.marker is not None if not filters.page_reverse else full:
        found.append(Link(rel="previous", href=url + urlencode([*kept, *first, ("page_reverse", "True")])))
    return found
