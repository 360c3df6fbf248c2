"""Hosts as older clients know them: services, and what volumes a back end has."""

from __future__ import annotations

from collections import defaultdict

from msgspec import field

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume import errors
from kilonova.volume.models import service_of
from kilonova.volume.resources.base import OPERATOR, Deps, Resource, V
from kilonova.volume.resources.services import ServiceLogic
from kilonova.volume.store import services as store
from kilonova.volume.times import shown

RULES = {"volume_extension:hosts": OPERATOR}


class HostView(View, kw_only=True):
    host_name: str
    service: str
    zone: str
    status: str = field(name="service-status")
    state: str = field(name="service-state")
    last_update: str | None = field(name="last-update")


class Hosts(View, kw_only=True):
    hosts: list[HostView]


class Held(View, kw_only=True):
    """What a project has there; numbers are texts."""

    host: str
    project: str
    volume_count: str
    total_volume_gb: str
    snapshot_count: str
    total_snapshot_gb: str


class Item(View, kw_only=True):
    resource: Held


class HostBody(View, kw_only=True):
    host: list[Item]


class HostHandlers:
    def __init__(self, logic: ServiceLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        zone = call.query.get("zone")
        found = [
            HostView(
                host_name=row.host,
                service=row.binary,
                zone=row.availability_zone,
                status="available" if self.logic.up(row) else "unavailable",
                state="enabled",
                last_update=shown(row.last_seen),
            )
            for row in await self.logic.list()
            if not row.disabled and zone in (None, "", row.availability_zone)
        ]
        return Reply(Hosts(hosts=found))

    async def show(self, call: Call, host: str) -> Reply:
        service = service_of(host)
        if not any(row.host == service for row in await self.logic.list(binary=store.BACKEND)):
            raise errors.HostNotFound(host=host)
        held = await self.logic.held()
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for row in held:
            if row.host is not None and service_of(row.host) == service:
                for name in ("(total)", row.project_id):
                    sums[name][0] += row.number
                    sums[name][1] += int(row.size)
        sums.setdefault("(total)", [0, 0])
        found = [
            Held(
                host=host,
                project=name,
                volume_count=str(count),
                total_volume_gb=str(size),
                snapshot_count="0",
                total_snapshot_gb="0",
            )
            for name, (count, size) in sums.items()
        ]
        return Reply(HostBody(host=[Item(resource=item) for item in found]))


def routes(deps: Deps) -> list[Route]:
    at, rule = HostHandlers(ServiceLogic(deps)), "volume_extension:hosts"
    return [
        Route("GET", f"{V}/os-hosts", at.list, rule, reply=Hosts, summary="List services as hosts."),
        Route("GET", f"{V}/os-hosts/{{host:str}}", at.show, rule, reply=HostBody, summary="Show what a back end has."),
    ]


HOSTS = Resource(routes, RULES)
