"""A data plane that keeps its state in memory: no root, no devices. For the fake hypervisor and for tests of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from kilonova.network.agent.dataplane import DataPlane, Fault, Leftover
from kilonova.network.agent.model import HostModel, bridge_name, tap_name


class NoopDataPlane(DataPlane):
    """Every local port that `apply` names counts as plugged from the loop's next turn on, until it is named no more."""

    name, trunks = "noop", True
    sections = ("networks", "security_groups", "qos_policies", "routers", "trunks")

    def __init__(self, tunnel_ip: str = "", bridge_mappings: Mapping[str, str] | None = None) -> None:
        self.tunnel_ip, self.bridge_mappings = tunnel_ip, bridge_mappings or {}
        self.state = HostModel()
        self.faults: tuple[Fault, ...] = ()  # what `apply` answers
        self._listeners: list[Callable[[str, bool], None]] = []
        self._taps: dict[str, str] = {}  # port id -> tap

    async def open(self) -> None:
        """Nothing is needed."""

    async def apply(self, state: HostModel) -> tuple[Fault, ...]:
        self.state = state
        wanted = {p.id: tap_name(p.id) for n in state.networks for p in n.ports if p.local}
        gone = [self._taps.pop(port_id) for port_id in list(self._taps) if port_id not in wanted]
        new = [tap for port_id, tap in wanted.items() if port_id not in self._taps]
        self._taps = wanted
        for tap in gone:
            self._notify(tap, False)
        for tap in new:
            self._notify(tap, True)
        return self.faults

    async def unplug(self, port_id: str) -> None:
        tap = self._taps.pop(port_id, None)
        if tap is not None:
            self._notify(tap, False)

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self._listeners.append(on_tap)
        for tap in self._taps.values():
            asyncio.get_running_loop().call_soon(on_tap, tap, True)

    async def leftovers(self) -> list[Leftover]:
        bridges = [Leftover(kind="bridge", name=bridge_name(n.id), owner=n.id) for n in self.state.networks]
        return bridges + [Leftover(kind="tap", name=tap, owner=port_id) for port_id, tap in self._taps.items()]

    async def close(self, *, remove: bool = False) -> None:
        self._listeners.clear()
        if remove:
            self.state, self._taps = HostModel(), {}

    def _notify(self, tap: str, up: bool) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().call_soon(listener, tap, up)
