"""The old list of hosts, until 2.42."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.resources.services.logic import ServiceLogic
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = f"{R}:os-hosts"
RULES = {f"{RULE}:{verb}": ADMIN for verb in ("list", "show", "update", "reboot", "shutdown", "start")}


class Host(View, kw_only=True):
    host_name: str
    service: str
    zone: str


class HostList(View, kw_only=True):
    hosts: list[Host]


class Hosts:
    def __init__(self, logic: ServiceLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        zone = call.query.get("zone") or None
        items = [
            Host(host_name=known.row.host, service=known.row.binary.removeprefix("nova-"), zone=known.zone)
            for known in await self.logic.list()
            if not known.row.disabled and zone in (None, known.zone)
        ]
        return Reply(HostList(hosts=items))


def routes(deps: Deps) -> list[Route]:
    hosts = Hosts(ServiceLogic(deps.database, deps.clock, deps.options))
    return [
        Route(
            "GET", V + "/os-hosts", hosts.list, f"{RULE}:list", until="2.42", reply=HostList,
            summary="List the hosts of services.",
        )
    ]  # fmt: skip


HOSTS = Resource(routes, RULES)
