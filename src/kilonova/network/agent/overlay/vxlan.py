"""The overlay part of VXLAN: a tunnel device for each network with a segmentation id, with a list of the hosts it reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from kilonova.network.agent.dataplane import Leftover
from kilonova.network.agent.model import HostModel, NetworkModel
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.overlay import flood
from kilonova.network.agent.overlay.devices import Tunnels
from kilonova.network.agent.parts import L2, Overlay
from kilonova.network.agent.system import checks


class Vxlan(Overlay):
    def __init__(self, options: DataPlaneOptions, l2: L2) -> None:
        self.l2, self.tunnel_ip = l2, options.tunnel_ip
        self.tunnels = Tunnels(options.instance, options.tunnel_ip, options.vxlan_port)
        self._made: set[str] = set()  # networks whose device may be there
        self._joined: dict[str, tuple[int, int]] = {}  # network → segmentation id, MTU
        self._reached: dict[str, flood.Reach] = {}

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        if self.tunnel_ip:
            await asyncio.to_thread(checks.check_address, self.tunnel_ip)
        self._made = await asyncio.to_thread(self.tunnels.sweep)
        return set(self._made)

    def serves(self, network: NetworkModel) -> bool:
        return bool(self.tunnel_ip) and network.segmentation_id is not None

    async def ensure(self, network: NetworkModel) -> None:
        assert network.segmentation_id is not None  # noqa: S101 -- else it is not served
        wanted = (network.segmentation_id, network.mtu)
        device = self.tunnels.name(network.segmentation_id)
        if self._joined.get(network.id) != wanted:
            self._forget(network.id)
            self._made.add(network.id)
            await asyncio.to_thread(self.tunnels.ensure, network.id, network.segmentation_id)
            await self.l2.join(network, device)
            self._joined[network.id] = wanted
        reach = flood.reach(network, self.tunnel_ip)
        if self._reached.get(network.id) != reach:
            local = {port.mac_address.lower() for port in network.ports if port.local}
            self._reached.pop(network.id, None)
            await asyncio.to_thread(flood.direct, device, reach, local)
            self._reached[network.id] = reach

    async def remove(self, network_id: str) -> None:
        self._forget(network_id)
        if network_id in self._made:
            await asyncio.to_thread(self.tunnels.remove, network_id)
            self._made.discard(network_id)

    def _forget(self, network_id: str) -> None:
        self._joined.pop(network_id, None)
        self._reached.pop(network_id, None)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        found = await asyncio.to_thread(self.tunnels.survey)
        return [Leftover(kind="vxlan", name=name, owner=owner or name) for name, owner in found.items()]

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        found = []
        for network in filter(self.serves, wanted.networks):
            device = self.tunnels.name(network.segmentation_id or 0)
            beyond = await asyncio.to_thread(flood.flooded, device) - flood.reach(network, self.tunnel_ip).peers
            for peer in sorted(beyond):
                found.append(Leftover(kind="peer", name=f"{peer} by {device}", owner=network.id, stale=True))
        return found

    async def close(self, *, remove: bool = False) -> None:
        """There is nothing to stop."""
