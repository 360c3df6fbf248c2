"""Ports of servers whose host can't remove them."""

from __future__ import annotations

from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.moves import KINDS
from kilonova.compute.port_ids import made_for
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import migrations
from kilonova.network.client import NetworkClient

COMPUTE = "compute:"


class Ports:
    """Acts on the component's own account."""

    def __init__(self, deps: Deps, network: NetworkClient) -> None:
        self.deps, self.network = deps, network
        self._nobodys: dict[str, float] = {}  # port → when it was first seen without its server

    async def release(self, server_uuid: str) -> None:
        """Delete a server's ports that we made, let go of the user's."""
        found = await self.network.ports(device_id=server_uuid)
        await self.network.delete_ports([port.id for port in found if made_for(server_uuid, port.id)])
        for port in found:
            if not made_for(server_uuid, port.id):
                await self.network.unbind_port(port.id)

    async def stay(self, server_uuid: str) -> None:
        """A server's guest comes to no other host, unless it is on its way again by now."""
        async with self.deps.database.reading() as connection:
            others = await migrations.open_of(connection, server_uuid)
        if any(KINDS[other.type].live for other in others):
            return
        for port in await self.network.ports(device_id=server_uuid):
            await self.network.expect_guest(port, "")

    async def remove_orphans(self, grace: float) -> int:
        """Delete ports that we made and whose servers are gone or lack them, seen so for `grace` seconds; how many."""
        ours = {
            port.id: port.device_id
            for port in await self.network.ports()
            if port.device_owner.startswith(COMPUTE) and made_for(port.device_id, port.id)
        }
        async with self.deps.database.reading() as connection:
            held = await store.ports_held(connection, set(ours.values())) if ours else {}
        now = self.deps.clock.monotonic()
        orphans = {
            port_id
            for port_id, server in ours.items()
            if (ports := held.get(server, frozenset[str]())) is not None and port_id not in ports
        }
        self._nobodys = {port_id: self._nobodys.get(port_id, now) for port_id in orphans}
        due = [port_id for port_id, since in self._nobodys.items() if now - since >= grace]
        if due:
            logger.warning("removing ports that no server has", ports=due)
            await self.network.delete_ports(due)
        return len(due)
