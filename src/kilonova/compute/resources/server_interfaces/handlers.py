"""What a server has, over HTTP: addresses, interfaces, volumes, security groups."""

from __future__ import annotations

from kilonova.compute import errors
from kilonova.compute.resources.server_interfaces import schemas as shapes
from kilonova.compute.resources.server_security_groups.logic import ServerNetworkLogic
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.servers.views import addresses
from kilonova.compute.store.rows import vifs
from kilonova.core.db import Row
from kilonova.core.web.call import Call, Reply


class ServerParts:
    def __init__(self, servers: ServerLogic, network: ServerNetworkLogic) -> None:
        self.servers, self.network = servers, network

    async def ips(self, call: Call, server_id: str) -> Reply:
        return Reply({"addresses": addresses(await self.servers.get(call.ctx, server_id), extended=False)})

    async def ips_of(self, call: Call, server_id: str, name: str) -> Reply:
        found = addresses(await self.servers.get(call.ctx, server_id), extended=False)
        if name not in found:
            raise errors.NetworkNameNotFound(name=name)
        return Reply({name: found[name]})

    async def interfaces(self, call: Call, server_id: str) -> Reply:
        return Reply(shapes.Interfaces(items=_interfaces(await self.servers.get(call.ctx, server_id))))

    async def interface(self, call: Call, server_id: str, port_id: str) -> Reply:
        for item in _interfaces(await self.servers.get(call.ctx, server_id)):
            if item.port_id == port_id:
                return Reply(shapes.InterfaceBody(item=item))
        raise errors.InterfaceNotFound(port_id=port_id, server_id=server_id)

    async def volumes(self, call: Call, server_id: str) -> Reply:
        row, extras = await self.servers.one(call.ctx, server_id)
        items = [
            shapes.VolumeAttachment(
                id=device.volume_id, server_id=row.uuid, volume_id=device.volume_id, device=device.device_name,
                tag=device.tag, delete_on_termination=device.delete_on_termination)
            for device in extras.devices.get(row.uuid, ())
        ]  # fmt: skip
        return Reply(shapes.VolumeAttachments(items=items))

    async def volume(self, call: Call, server_id: str, volume_id: str) -> Reply:
        await self.servers.get(call.ctx, server_id)
        raise errors.VolumeAttachmentNotFound(server_id=server_id, volume_id=volume_id)

    async def security_groups(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        ids = [group_id for port in await self.network.ports(row) for group_id in port.security_groups]
        groups = await self.network.groups(row.project_id, [*dict.fromkeys(ids)])
        items = [
            {"id": g.id, "name": g.name, "description": g.description, "tenant_id": g.project_id, "rules": []}
            for g in groups
        ]
        return Reply({"security_groups": items})


def _interfaces(row: Row) -> list[shapes.Interface]:
    return [
        shapes.Interface(
            net_id=vif.network_id, port_id=vif.port_id, mac_addr=vif.mac_address,
            port_state="ACTIVE" if vif.active else "DOWN",
            fixed_ips=[{"subnet_id": ip.subnet.id, "ip_address": ip.address} for ip in vif.fixed_ips], tag=vif.tag)
        for vif in vifs(row.network_info)
    ]  # fmt: skip
