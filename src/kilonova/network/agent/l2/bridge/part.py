"""The L2 part of Linux bridges: a bridge for each network, a veth to the namespace of its services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

from kilonova.network.agent.dataplane import DataPlaneError, Fault, Leftover
from kilonova.network.agent.l2.bridge.links import Links, Wiring, wiring
from kilonova.network.agent.l2.bridge.subports import Subports
from kilonova.network.agent.l2.bridge.taps import TapWatch
from kilonova.network.agent.model import HostModel, NetworkModel, tap_name
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.parts import L2
from kilonova.network.agent.system import checks
from kilonova.network.agent.system.names import check_uuid


class BridgeL2(L2):
    sections = ("networks", "trunks")

    def __init__(self, options: DataPlaneOptions) -> None:
        self.links = Links(options.instance)
        self.bridge_mappings = options.bridge_mappings
        self.taps, self.subports = TapWatch(self.links), Subports(options.instance)
        self._wired: dict[str, Wiring] = {}

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        self.trunks = await asyncio.to_thread(self.subports.open)
        await self.taps.open()
        self.taps.subscribe(self.subports.on_tap)
        links, _ours = await asyncio.to_thread(self.links.survey)
        return self.links.networks(links)

    async def ensure(self, network: NetworkModel) -> None:
        wanted = wiring(network, self.bridge_mappings)
        if self._wired.get(network.id) != wanted:
            self._wired.pop(network.id, None)
            self.taps.bridges.add(await asyncio.to_thread(self.links.ensure, wanted))
            self.taps.judge()
            self._wired[network.id] = wanted

    async def carry(self, state: HostModel) -> list[Fault]:
        """A section that an older network service does not send leaves the wires as they are."""
        return await self.subports.carry(state) if state.trunks is not None else []

    async def join(self, network: NetworkModel, device: str) -> None:
        await asyncio.to_thread(self.links.join, network.id, device, network.mtu)

    async def remove(self, network_id: str) -> None:
        check_uuid("network", network_id)
        self._wired.pop(network_id, None)
        await self.subports.remove(network_id)
        await asyncio.to_thread(self.links.remove, network_id)

    async def unplug(self, port_id: str) -> None:
        check_uuid("port", port_id)
        await asyncio.to_thread(self.links.remove_tap, tap_name(port_id))

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self.taps.subscribe(on_tap)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return await asyncio.to_thread(self.links.leftovers, networks)

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        return await asyncio.to_thread(self._stale, wanted)

    def _stale(self, wanted: HostModel) -> list[Leftover]:
        found = []
        for network in wanted.networks:
            with contextlib.suppress(DataPlaneError):  # a fault of its own
                lost = self.links.addresses(network.id) - set(wiring(network, self.bridge_mappings).addresses)
                found += [Leftover(kind="address", name=one, owner=network.id, stale=True) for one in sorted(lost)]
        return found

    async def close(self, *, remove: bool = False) -> None:
        self.subports.close()
        self.taps.close()
