"""Availability zones: the network service's own, and those of its agents."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.network.deps import Deps
from kilonova.network.errors import HTTPBadRequest
from kilonova.network.resources.base.filters import PAGING
from kilonova.network.resources.base.resource import V2, Api, Extension, Resource
from kilonova.network.resources.base.zones import zones


class Zone(View):
    name: str
    resource: str
    state: str


class ZonesBody(View):
    availability_zones: list[Zone]


class Zones:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def list(self, call: Call) -> Reply:
        async with self.deps.database.reading() as connection:
            names = await zones(self.deps, connection)
        found = [Zone(name=name, resource="network", state="available") for name in sorted(names)]
        return Reply(ZonesBody(availability_zones=[zone for zone in found if _wanted(call, zone)]))


def _wanted(call: Call, zone: Zone) -> bool:
    """Whether the query asks for it. Raises a 400 for what zones have not."""
    for key in set(call.query) - PAGING:
        if key not in Zone.__struct_fields__:
            raise HTTPBadRequest(reason=f"['{key}'] is invalid attribute for filtering")
        if getattr(zone, key) not in call.query.getall(key):
            return False
    return True


def routes(api: Api) -> list[Route]:
    list_zones, path = Zones(api.deps).list, f"{V2}/availability_zones"
    return [
        Route("GET", path, list_zones, "get_availability_zone", reply=ZonesBody, summary="List availability zones.")
    ]


AVAILABILITY_ZONES_RESOURCE = Resource(
    routes,
    {"get_availability_zone": "role:reader or role:member or role:admin"},
    extensions=(
        Extension("availability_zone", "Availability Zone", "2015-01-01T10:00:00-00:00", "Availability zones"),
        Extension(
            "availability_zone_filter",
            "Availability Zone Filter Extension",
            "2018-06-22T10:00:00-00:00",
            "Availability zones by name, resource and state",
        ),
    ),
)
