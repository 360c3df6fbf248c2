"""Networks for clients that still ask compute for them (until 2.35), and what upstream removed together with its own network
service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from kilonova.compute.errors import Removed
from kilonova.compute.peers import NetworkAccess
from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.core.context import RequestContext
from kilonova.core.errors import NotFound
from kilonova.core.policy import ANYONE
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.network.client import NetworkRecord

LAST = "2.35"
RULE, PROJECTS, GONE = f"{R}:os-networks", f"{R}:os-tenant-networks", "kilonova:removed"
RULES = {
    f"{RULE}:list": READER, f"{RULE}:show": READER, f"{PROJECTS}:list": READER, f"{PROJECTS}:show": READER, GONE: ANYONE,
}  # fmt: skip
NULLS = ("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6")
ADMIN_NULLS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip
"""Fields that upstream still shows, all of them null."""
Shown = dict[str, str | None]
Method = Literal["GET", "POST", "PUT", "DELETE"]
REMOVED: tuple[tuple[Method, str], ...] = (
    ("POST", "/os-networks"), ("POST", "/os-networks/add"), ("DELETE", "/os-networks/{network_id:str}"),
    ("POST", "/os-networks/{network_id:str}/action"), ("POST", "/os-tenant-networks"),
    ("DELETE", "/os-tenant-networks/{network_id:str}"), ("GET", "/os-floating-ips-bulk"),
    ("GET", "/os-floating-ips-bulk/{host:str}"), ("POST", "/os-floating-ips-bulk"),
    ("PUT", "/os-floating-ips-bulk/{action:str}"),
    ("GET", "/os-floating-ip-dns"), ("GET", "/os-fping"), ("GET", "/os-fping/{id:str}"),
)  # fmt: skip
"""410 at every microversion."""


class NetworkNotFound(NotFound):
    template = "Network not found"


class NetworksBody(View, kw_only=True):
    networks: list[Shown]


class NetworkBody(View, kw_only=True):
    network: Shown


class Networks:
    def __init__(self, networks: NetworkAccess) -> None:
        self.networks = networks

    async def list(self, call: Call) -> Reply:
        return Reply(NetworksBody(networks=[_full(call, one) for one in await self._every(call.ctx)]))

    async def show(self, call: Call, network_id: str) -> Reply:
        return Reply(NetworkBody(network=_full(call, await self._one(call.ctx, network_id))))

    async def list_brief(self, call: Call) -> Reply:
        return Reply(NetworksBody(networks=[_brief(one) for one in await self._every(call.ctx)]))

    async def show_brief(self, call: Call, network_id: str) -> Reply:
        return Reply(NetworkBody(network=_brief(await self._one(call.ctx, network_id))))

    async def removed(self, call: Call, **_: str) -> Reply:
        raise Removed

    async def _every(self, ctx: RequestContext) -> Sequence[NetworkRecord]:
        """The project's and those that all projects share."""
        return [one for one in await self.networks.networks(ctx) if one.shared or one.project_id == ctx.project_id]

    async def _one(self, ctx: RequestContext, network_id: str) -> NetworkRecord:
        try:
            wanted = str(UUID(network_id))
        except ValueError:
            raise NetworkNotFound from None
        for found in await self.networks.networks(ctx, id=[wanted]):
            return found
        raise NetworkNotFound


def _full(call: Call, one: NetworkRecord) -> Shown:
    nulls = NULLS + (ADMIN_NULLS if call.ctx.is_admin else ())
    return {"id": one.id, "label": one.name} | dict.fromkeys(nulls)


def _brief(one: NetworkRecord) -> Shown:
    return {"id": one.id, "cidr": "None", "label": one.name}  # upstream's word for what it does not know


def routes(deps: Deps) -> list[Route]:
    networks = Networks(deps.networks)
    named = (
        ("/os-networks", RULE, networks.list, networks.show),
        ("/os-tenant-networks", PROJECTS, networks.list_brief, networks.show_brief),
    )
    shown = [
        route
        for path, rule, every, one in named
        for route in (
            Route("GET", V + path, every, f"{rule}:list", until=LAST, reply=NetworksBody, summary="List networks."),
            Route(
                "GET", V + path + "/{network_id:str}", one, f"{rule}:show", until=LAST, reply=NetworkBody,
                summary="Show a network.",
            ),
        )
    ]  # fmt: skip
    removed = [Route(method, V + path, networks.removed, GONE, summary="Removed: 410.") for method, path in REMOVED]
    return [*shown, *removed]


NETWORKS = Resource(routes, RULES)
