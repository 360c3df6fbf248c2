"""Links to what is shown, below the URL that the client reached it by."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Link
from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.core.web.call import Call
from kilonova.core.web.paging import Page, next_links
from kilonova.core.web.project_urls import PROJECT, ROOT

Links = list[Link] | UnsetType


def root(call: Call) -> str:
    """What came before the collection in the request's path: the version, and the project where the URL names it."""
    return str(call.request.scope.get(ROOT, CURRENT))


def links(call: Call, collection: str, item: str) -> list[Link]:
    href = f"{call.base_url}{root(call)}/{collection}/{item}"
    return [Link(rel="self", href=href), *bookmark(call, collection, item)]


def bookmark(call: Call, collection: str, item: str) -> list[Link]:
    project = call.request.scope.get(PROJECT)
    place = f"{collection}/{item}" if project is None else f"{project}/{collection}/{item}"
    return [Link(rel="bookmark", href=f"{call.base_url}/{place}")]


def next_page(call: Call, path: str, page: Page, items: Sequence[object], last: str | None) -> Links:
    """The link to what comes after these items, the last of which has the marker `last`; UNSET where there is no more. `path` is
    below the version."""
    found = next_links(call, root(call) + path, page, list(items), last)
    return [Link(**link) for link in found] if found else UNSET
