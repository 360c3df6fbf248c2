"""Which query parameters filter which list (3.33)."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume.resources import messages
from kilonova.volume.resources.attachments.handlers import LIST as ATTACHMENT
from kilonova.volume.resources.base import READER, Deps, Resource, V
from kilonova.volume.resources.listing import Listing
from kilonova.volume.resources.snapshots.handlers import LIST as SNAPSHOT
from kilonova.volume.resources.types.handlers import LIST as TYPE
from kilonova.volume.resources.volumes.query import LIST as VOLUME

RULES = {"volume_extension:resource_filters": READER}
KNOWN: dict[str, Listing] = {
    "volume": VOLUME, "snapshot": SNAPSHOT, "attachment": ATTACHMENT, "message": messages.LIST, "volume_type": TYPE,
}  # fmt: skip


class Filters(View, kw_only=True):
    resource: str
    filters: list[str]


class FiltersBody(View, kw_only=True):
    resource_filters: list[Filters]


async def show(call: Call) -> Reply:
    asked = call.query.get("resource")
    found = [
        Filters(resource=name, filters=sorted([*listing.filters, *listing.pairs]))
        for name, listing in KNOWN.items()
        if asked in (None, name)
    ]
    return Reply(FiltersBody(resource_filters=found))


def routes(_: Deps) -> list[Route]:
    rule, place = "volume_extension:resource_filters", f"{V}/resource_filters"
    return [Route("GET", place, show, rule, since="3.33", reply=FiltersBody, summary="List the filters of lists.")]


RESOURCE_FILTERS = Resource(routes, RULES)
