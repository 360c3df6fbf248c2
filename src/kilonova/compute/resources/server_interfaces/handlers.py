"""A server's interfaces over HTTP: its ports, as compute knows them."""

from __future__ import annotations

from uuid import UUID

from kilonova.compute.models import NetworkRequest, Vif
from kilonova.compute.resources.server_interfaces import schemas as shapes
from kilonova.compute.resources.server_interfaces.errors import InterfaceNotFound
from kilonova.compute.resources.server_interfaces.logic import InterfaceLogic
from kilonova.compute.resources.servers.launch.body import address
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.store.records import vifs
from kilonova.core.errors import BadRequest
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present


class Interfaces:
    def __init__(self, servers: ServerLogic, logic: InterfaceLogic) -> None:
        self.servers, self.logic = servers, logic

    async def list(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        return Reply(shapes.InterfaceList(items=[_view(vif) for vif in vifs(row.network_info)]))

    async def show(self, call: Call, server_id: str, port_id: str) -> Reply:
        return Reply(shapes.InterfaceBody(item=await self._one(call, server_id, port_id)))

    async def attach(self, call: Call, server_id: str) -> Reply:
        body = await call.decode(shapes.AttachIn, empty=shapes.AttachIn())
        asked = present(body.item, shapes.InterfaceIn())
        external = call.allowed("network:attach_external_network")
        port_id = await self.logic.attach(call.ctx, server_id, _wanted(asked), external=external)
        return Reply(shapes.InterfaceBody(item=await self._one(call, server_id, port_id)))

    async def detach(self, call: Call, server_id: str, port_id: str) -> Reply:
        await self.logic.detach(call.ctx, server_id, port_id)
        return Reply()

    async def _one(self, call: Call, server_id: str, port_id: str) -> shapes.Interface:
        for vif in vifs((await self.servers.get(call.ctx, server_id)).network_info):
            if vif.port_id == port_id:
                return _view(vif)
        raise InterfaceNotFound(port_id=port_id, server_id=server_id)


def _wanted(asked: shapes.InterfaceIn) -> NetworkRequest:
    network, port, fixed = present(asked.net_id, None), present(asked.port_id, None), present(asked.fixed_ips, [])
    if network and port:
        raise BadRequest("Must not input both network_id and port_id")
    if fixed and not network:
        raise BadRequest("Must input network_id when request IP address")
    return NetworkRequest(
        network_id=str(UUID(network)) if network else None,
        port_id=str(UUID(port)) if port else None,
        fixed_ip=address(fixed[0].ip_address, None, strict=True) if fixed else None,
        tag=present(asked.tag, None),
    )


def _view(vif: Vif) -> shapes.Interface:
    return shapes.Interface(
        net_id=vif.network_id, port_id=vif.port_id, mac_addr=vif.mac_address,
        port_state="ACTIVE" if vif.active else "DOWN",
        fixed_ips=[shapes.FixedIp(subnet_id=ip.subnet.id, ip_address=ip.address) for ip in vif.fixed_ips], tag=vif.tag,
    )  # fmt: skip
