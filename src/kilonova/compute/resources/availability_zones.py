"""Availability zones: where hosts are, as aggregates say."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.resources.services.logic import ServiceLogic
from kilonova.compute.times import shown_bare
from kilonova.core.policy import ADMIN, ANYONE
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = f"{R}:os-availability-zone"
RULES = {f"{RULE}:list": ANYONE, f"{RULE}:detail": ADMIN}


class ZoneState(View, kw_only=True):
    available: bool


class ServiceState(View, kw_only=True):
    available: bool
    active: bool
    updated_at: str | None


Hosts = dict[str, dict[str, ServiceState]]
"""Host → the binary of a service → its state."""


class Zone(View, kw_only=True, rename={"name": "zoneName", "state": "zoneState"}):
    name: str
    state: ZoneState
    hosts: Hosts | None


class Zones(View, kw_only=True, rename={"zones": "availabilityZoneInfo"}):
    zones: list[Zone]


class AvailabilityZones:
    def __init__(self, logic: ServiceLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        zones, _ = await self.logic.zones()
        return Reply(Zones(zones=[_zone(name, usable, None) for name, usable in sorted(zones.items())]))

    async def detail(self, call: Call) -> Reply:
        zones, services = await self.logic.zones()
        hosts: dict[str, Hosts] = {}
        for item in services:
            state = ServiceState(available=item.up, active=True, updated_at=shown_bare(item.row.last_seen))
            hosts.setdefault(item.zone, {}).setdefault(item.row.host, {})[item.row.binary] = state
        internal = {name: True for name in hosts if name not in zones}
        every = sorted((internal | zones).items())
        return Reply(Zones(zones=[_zone(name, ok, hosts.get(name, {}) if ok else None) for name, ok in every]))


def _zone(name: str, usable: bool, hosts: Hosts | None) -> Zone:
    return Zone(name=name, state=ZoneState(available=usable), hosts=hosts)


def routes(deps: Deps) -> list[Route]:
    zones = AvailabilityZones(ServiceLogic(deps.database, deps.clock, deps.options))
    every = V + "/os-availability-zone"
    return [
        Route("GET", every, zones.list, f"{RULE}:list", reply=Zones, summary="List availability zones."),
        Route(
            "GET", every + "/detail", zones.detail, f"{RULE}:detail", reply=Zones,
            summary="List availability zones with their hosts.",
        ),
    ]  # fmt: skip


AVAILABILITY_ZONES = Resource(routes, RULES)
