"""Floating IPs over HTTP, as compute had them (until 2.35)."""

from __future__ import annotations

from collections.abc import Mapping

from kilonova.compute.resources.floating_ips import schemas as shapes
from kilonova.compute.resources.floating_ips.logic import FloatingIpLogic
from kilonova.core.web.call import Call, Reply
from kilonova.network.client import FloatingIPRecord


class FloatingIps:
    def __init__(self, logic: FloatingIpLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        found = await self.logic.list(call.ctx)
        names = await self.logic.names(call.ctx, found)
        return Reply(shapes.FloatingIpList(floating_ips=[_view(one, names) for one in found]))

    async def show(self, call: Call, floating_ip_id: str) -> Reply:
        return await self._one(call, await self.logic.get(call.ctx, floating_ip_id))

    async def create(self, call: Call) -> Reply:
        asked = await call.decode(shapes.FloatingIpIn, empty=shapes.FloatingIpIn())
        return await self._one(call, await self.logic.create(call.ctx, asked.pool))

    async def delete(self, call: Call, floating_ip_id: str) -> Reply:
        await self.logic.delete(call.ctx, floating_ip_id)
        return Reply()

    async def pools(self, call: Call) -> Reply:
        found = await self.logic.pools(call.ctx)
        return Reply(shapes.PoolList(floating_ip_pools=[shapes.Pool(name=one.name or one.id) for one in found]))

    async def _one(self, call: Call, found: FloatingIPRecord) -> Reply:
        return Reply(shapes.FloatingIpBody(floating_ip=_view(found, await self.logic.names(call.ctx, [found]))))


def _view(one: FloatingIPRecord, names: Mapping[str, str]) -> shapes.FloatingIp:
    return shapes.FloatingIp(
        id=one.id, ip=one.floating_ip_address, fixed_ip=one.fixed_ip_address,
        instance_id=(one.port_details.device_id or None) if one.port_details is not None else None,
        pool=names.get(one.floating_network_id, one.floating_network_id),
    )  # fmt: skip
