"""Floating IPs for clients that still ask compute for them: the network service's, on the caller's behalf."""

from __future__ import annotations

from uuid import UUID

from kilonova.compute.peers import NetworkAccess
from kilonova.compute.resources.floating_ips import errors
from kilonova.compute.resources.server_actions.logic import check_lock
from kilonova.compute.store.records import vifs
from kilonova.compute.store.servers import ServerRow
from kilonova.core.addresses import parse_address
from kilonova.core.context import RequestContext
from kilonova.core.errors import BadRequest, Conflict, Forbidden, KilonovaError, NotFound
from kilonova.network.client import FloatingIPRecord, NetworkRecord

EXHAUSTED = ("IpAddressGenerationFailure", "ExternalIpAddressExhausted")


class FloatingIpLogic:
    def __init__(self, networks: NetworkAccess) -> None:
        self.networks = networks

    async def pools(self, ctx: RequestContext) -> list[NetworkRecord]:
        return await self.networks.networks(ctx, **{"router:external": True})

    async def names(self, ctx: RequestContext, found: list[FloatingIPRecord]) -> dict[str, str]:
        """Network → the name of its pool."""
        ids = sorted({one.floating_network_id for one in found})
        known = await self.networks.networks(ctx, id=ids) if ids else []
        return {network.id: network.name or network.id for network in known}

    async def list(self, ctx: RequestContext) -> list[FloatingIPRecord]:
        return await self.networks.floating_ips(ctx, project_id=ctx.project_id)

    async def get(self, ctx: RequestContext, floating_ip_id: str) -> FloatingIPRecord:
        try:
            wanted = str(UUID(floating_ip_id))
        except ValueError:
            raise errors.InvalidId(id=floating_ip_id) from None
        for found in await self.networks.floating_ips(ctx, id=wanted):
            return found
        raise errors.FloatingIpNotFound(id=floating_ip_id)

    async def create(self, ctx: RequestContext, pool: str | None) -> FloatingIPRecord:
        found = [one for one in await self.pools(ctx) if pool is None or pool in (one.id, one.name)]
        if len(found) != 1:
            raise errors.PoolNotFound
        try:
            return await self.networks.create_floating_ip({"floating_network_id": found[0].id}, ctx)
        except (BadRequest, Conflict) as error:
            of = f" in pool {pool}" if pool is not None else ""
            kind = error.params.get("type")
            if kind in EXHAUSTED:
                raise NotFound(f"No more floating IPs{of or ' available'}.") from None
            if kind == "OverQuota":
                raise Forbidden(f"IP allocation over quota{of}.") from None
            raise BadRequest(error.message) from None

    async def delete(self, ctx: RequestContext, floating_ip_id: str) -> None:
        await self.networks.delete_floating_ip((await self.get(ctx, floating_ip_id)).id, ctx)

    async def associate(self, ctx: RequestContext, row: ServerRow, address: str, fixed_address: str | None) -> None:
        """Lead a floating IP to a server, wherever it led before."""
        check_lock(ctx, row)
        port_id, fixed = _target(row, address, fixed_address)
        found = await self._at(ctx, address)
        try:
            changes = {"port_id": port_id, "fixed_ip_address": fixed}
            await self.networks.update_floating_ip(found.id, changes, ctx)
        except (Conflict, NotFound) as error:
            raise BadRequest(error.message) from None

    async def disassociate(self, ctx: RequestContext, row: ServerRow, address: str) -> None:
        check_lock(ctx, row)
        found = await self._at(ctx, address)
        if found.fixed_port_id not in {vif.port_id for vif in vifs(row.network_info)}:
            raise errors.NotAssociated(address=address, server_id=row.uuid)
        await self.networks.update_floating_ip(found.id, {"port_id": None}, ctx)

    async def _at(self, ctx: RequestContext, address: str) -> FloatingIPRecord:
        try:
            found = await self.networks.floating_ips(ctx, floating_ip_address=address)
        except KilonovaError as error:
            if error.status >= 500:
                raise
            found = []
        if not found:
            raise errors.NoSuchAddress
        return found[0]


def _target(row: ServerRow, address: str, fixed_address: str | None) -> tuple[str, str]:
    """(port, fixed address) of a server: the one that is named, or its first of IPv4."""
    held = [(vif.port_id, ip.address) for vif in vifs(row.network_info) for ip in vif.fixed_ips]
    if not held:
        raise errors.NoFixedAddress
    if fixed_address is not None:
        named = [one for one in held if one[1] == fixed_address]
        if not named:
            raise errors.NotOfServer
        return named[0]
    for one in held:
        if parse_address(one[1]).version == 4:
            return one
    raise errors.OnlyIpv6(address=address, server_id=row.uuid)
