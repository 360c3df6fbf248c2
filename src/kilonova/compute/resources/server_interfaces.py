"""A server's interfaces: its ports, as compute knows them."""

from __future__ import annotations

from typing import Annotated

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.store.records import vifs
from kilonova.compute.store.servers import ServerRow
from kilonova.core.errors import NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View, versions

RULE = f"{R}:os-attach-interfaces"
RULES = {f"{RULE}:list": READER, f"{RULE}:show": READER, f"{RULE}:create": MEMBER, f"{RULE}:delete": MEMBER}


class InterfaceNotFound(NotFound):
    template = "Port {port_id} is not attached to instance {server_id}"


class FixedIp(View, kw_only=True):
    subnet_id: str
    ip_address: str


class Interface(View, kw_only=True):
    net_id: str
    port_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[FixedIp]
    tag: Annotated[str | None, versions("2.70")] = None


class InterfaceList(View, kw_only=True, rename={"items": "interfaceAttachments"}):
    items: list[Interface]


class InterfaceBody(View, kw_only=True, rename={"item": "interfaceAttachment"}):
    item: Interface


class Interfaces:
    def __init__(self, servers: ServerLogic) -> None:
        self.servers = servers

    async def list(self, call: Call, server_id: str) -> Reply:
        return Reply(InterfaceList(items=_views(await self.servers.get(call.ctx, server_id))))

    async def show(self, call: Call, server_id: str, port_id: str) -> Reply:
        for item in _views(await self.servers.get(call.ctx, server_id)):
            if item.port_id == port_id:
                return Reply(InterfaceBody(item=item))
        raise InterfaceNotFound(port_id=port_id, server_id=server_id)


def _views(row: ServerRow) -> list[Interface]:
    return [
        Interface(
            net_id=vif.network_id, port_id=vif.port_id, mac_addr=vif.mac_address,
            port_state="ACTIVE" if vif.active else "DOWN",
            fixed_ips=[FixedIp(subnet_id=ip.subnet.id, ip_address=ip.address) for ip in vif.fixed_ips], tag=vif.tag)
        for vif in vifs(row.network_info)
    ]  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    every, interfaces = SERVER + "/os-interface", Interfaces(ServerLogic(deps.database, deps.clock, deps.options))
    return below_server(
        deps,
        Route(
            "GET", every, interfaces.list, f"{RULE}:list", reply=InterfaceList, summary="List a server's interfaces."
        ),
        Route(
            "GET", every + "/{port_id:str}", interfaces.show, f"{RULE}:show", reply=InterfaceBody,
            summary="Show an interface of a server.",
        ),
    )  # fmt: skip


SERVER_INTERFACES = Resource(routes, RULES)
