"""Paging with `limit` and `marker`, and the `*_links` that lead to the next page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from kilonova.core import errors
from kilonova.core.web.call import Call

T = TypeVar("T")


class InvalidPaging(errors.BadRequest):
    template = "{reason}"


class TooManyValues(errors.BadRequest):
    template = "Query parameter {name} has {count} values: at most {most} are allowed"


def few(name: str, values: Sequence[T], most: int = 64) -> Sequence[T]:
    """Values of a filter each of which becomes a condition of its own in SQL: thousands would keep the database's compiler, and
    with it the event loop, for seconds. Raises a 400."""
    if len(values) > most:
        raise TooManyValues(name=name, count=len(values), most=most)
    return values


class Page(msgspec.Struct, frozen=True):
    """What a client asked for. `limit` is at most the service's maximum; `asked` is its own number, if any."""

    limit: int
    marker: str | None
    asked: int | None


def read_page(call: Call, *, maximum: int = 1000) -> Page:
    """Raises a 400 for a limit that is no natural number."""
    text, marker = call.query.get("limit"), call.query.get("marker")
    if text is None or text == "":
        return Page(maximum, marker, None)
    if not (text.isdecimal() and text.isascii()):
        raise InvalidPaging(reason=f"Invalid input for query parameter limit: {text!r} is not a non-negative integer")
    number = int(text.lstrip("0")[:18] or 0)  # int() refuses thousands of digits
    return Page(min(number, maximum) if number else maximum, marker, number)


def next_links(call: Call, path: str, page: Page, items: list[Any], last_id: str | None) -> list[dict[str, str]] | None:
    """The `[{rel: next, href}]` when a full page was given, else None."""
    if last_id is None or len(items) < page.limit:
        return None
    asked = parse_qsl(call.request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(k, v) for k, v in asked if k not in ("marker", "limit")]
    query = urlencode([*kept, ("limit", str(page.limit)), ("marker", last_id)])
    return [{"rel": "next", "href": f"{call.base_url}{path}?{query}"}]
