"""Query parameters of lists: paging, sorting and filters, as upstream reads them."""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from kilonova.core.clock import naive, parse_iso
from kilonova.core.web.call import Call
from kilonova.core.web.paging import few
from kilonova.volume.errors import InvalidInput
from kilonova.volume.fields import Link, truth_of
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import at_least, root

COMPARISONS = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le", "eq": "eq", "neq": "ne"}
LIKE_SINCE, TIMES_SINCE, COUNT_SINCE = "3.34", "3.60", "3.45"
BIGGEST = 2147483647


@dataclass(frozen=True)
class Listing:
    """What a list may be asked: `filters` are parameter → column, `booleans` those of them that are true or false, `like`
    those that may be asked by a part. Other parameters are passed over, as upstream does. `sort` are the keys, parameter →
    column."""

    filters: Mapping[str, str]
    sort: Mapping[str, str] = field(default_factory=dict)
    booleans: Collection[str] = ()
    numbers: Collection[str] = ()
    like: Collection[str] = ("name", "description")
    operators: Collection[str] = ()
    pairs: Mapping[str, str] = field(default_factory=dict)

    def read(self, call: Call, *, maximum: int) -> ListQuery:
        """Raises a 400."""
        limit, asked = _limit(call, maximum)
        query = ListQuery(
            limit=limit, asked=asked, marker=call.query.get("marker"), offset=_number(call, "offset") or 0, sort=self._sort(call)
        )  # fmt: skip
        query.all_projects = _all_projects(call)
        query.counted = at_least(call, COUNT_SINCE) and truth_of(call.query.get("with_count", "false"), "with_count")
        for name, value in call.query.multi_items():
            self._filter(call, query, name, value)
        return query

    def _filter(self, call: Call, query: ListQuery, name: str, value: str) -> None:
        column, part = self.filters.get(name), name.removesuffix("~")
        if name in self.operators and not call.ctx.is_admin:
            return
        if name in self.pairs:
            getattr(query, self.pairs[name]).update(_pairs(name, value))
        elif column is not None and name in self.booleans:
            query.equal[column] = truth_of(value, name)
        elif column is not None and name in self.numbers:
            query.equal[column] = _number(call, name)
        elif column is not None:
            query.equal[column] = value or None
        elif name.endswith("~") and part in self.like and at_least(call, LIKE_SINCE):
            query.parts[self.filters[part]] = value
        elif name in ("created_at", "updated_at") and at_least(call, TIMES_SINCE):
            query.times += [_compared(name, text) for text in few(name, value.split(","))]

    def _sort(self, call: Call) -> list[tuple[str, bool]]:
        text, keys, directions = call.query.get("sort"), call.query.get("sort_key"), call.query.get("sort_dir")
        if text is not None and (keys is not None or directions is not None):
            raise InvalidInput(
                reason="The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with 'sort'"
            )
        asked = text.split(",") if text is not None else [f"{keys or 'created_at'}:{directions or 'desc'}"]
        found = [self._key(part) for part in few("sort", asked)]
        return [*found, *([] if found[-1][0] == "id" else [("id", found[-1][1])])]

    def _key(self, text: str) -> tuple[str, bool]:
        name, _, direction = text.strip().partition(":")
        column = self.sort.get(name or "created_at")
        if column is None:
            raise InvalidInput(reason=f"Sort key {name[:60]!r} is invalid")
        if direction not in ("", "asc", "desc"):
            raise InvalidInput(reason="Sort direction is invalid: it must be 'asc' or 'desc'")
        return column, direction != "asc"


def _limit(call: Call, maximum: int) -> tuple[int, int | None]:
    asked = _number(call, "limit")
    return (maximum, None) if asked is None else (min(asked, maximum), asked)


def _number(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii()) or len(text) > 18:
        raise InvalidInput(reason=f"{name} param must be a non-negative integer, not {text[:40]!r}")
    number = int(text)
    if number > BIGGEST:
        raise InvalidInput(reason=f"{name} param must be at most {BIGGEST}")
    return number


def _all_projects(call: Call) -> bool:
    text = call.query.get("all_tenants")
    return text is not None and call.ctx.is_admin and truth_of(text or "1", "all_tenants")


def _pairs(name: str, text: str) -> dict[str, str]:
    """`{'key': 'value'}`, as Python writes it, or as JSON does."""
    try:
        found = ast.literal_eval(text) if len(text) < 4096 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(reason=f"query parameter {name}: {text[:60]!r} is no dictionary")
    return {str(key): str(value) for key, value in few(name, list(found.items()))}


def _compared(name: str, text: str) -> tuple[str, str, dt.datetime]:
    verb, colon, moment = text.partition(":")
    if not colon or verb not in COMPARISONS:
        verb, moment = "eq", text
    try:
        return name, COMPARISONS[verb], naive(parse_iso(moment))
    except ValueError:
        raise InvalidInput(reason=f"query parameter {name}: {text[:60]!r} is no time") from None


def next_page(call: Call, query: ListQuery, path: str, items: Sequence[Any]) -> list[Link] | None:
    """The link to what follows a full page."""
    if query.limit == 0 or len(items) < query.limit:
        return None
    asked = parse_qsl(call.request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(key, value) for key, value in asked if key not in ("marker", "offset", "limit")]
    text = urlencode([*kept, ("limit", str(query.limit)), ("marker", items[-1].id)])
    return [Link(rel="next", href=f"{call.base_url}{root(call)}{path}?{text}")]
