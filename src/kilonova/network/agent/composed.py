"""A data plane composed of parts: calls them in the right order, and keeps the fault of one from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable

from msgspec.structs import replace

from kilonova.network.agent.dataplane import DataPlane, DataPlaneError, Fault, FindCaller, Leftover, Metered
from kilonova.network.agent.model import HostModel, NetworkModel
from kilonova.network.agent.parts import L3, Parts
from kilonova.network.agent.system.names import readable

AT_ONCE = 4  # networks


class ComposedDataPlane(DataPlane):
    """`name` is the composition's, as the agent's configurations show it."""

    def __init__(self, name: str, parts: Parts) -> None:
        self.name, self.parts = name, parts
        self.bridge_mappings = parts.l2.bridge_mappings
        self.tunnel_ip = parts.overlay.tunnel_ip
        self.sections = tuple(dict.fromkeys(section for part in parts.every() for section in part.sections))
        self._lock = asyncio.Lock()
        self._networks: set[str] = set()  # what may be on the host
        self._segments: set[str] = set()  # … and surely has its segment

    async def open(self) -> None:
        try:
            for part in self.parts.every():
                self._networks |= await part.open()
            self.trunks = self.parts.l2.trunks
        except BaseException:
            await self._close()
            raise

    async def apply(self, state: HostModel) -> tuple[Fault, ...]:
        """Networks that are gone, then filters, then networks: default drop is in effect before a tap can be joined."""
        state, faults = readable(state)
        async with self._lock:
            faults += await self._apply_networks(state)
            made = replace(state, networks=tuple(one for one in state.networks if one.id in self._segments))
            faults += await self.parts.l2.carry(made)
            if self.parts.l3 is not None:
                faults += await _apply_l3(self.parts.l3, made)
        return tuple(faults)

    async def _apply_networks(self, state: HostModel) -> list[Fault]:
        by_id = {network.id: network for network in state.networks}
        faults = await _each(self._networks - by_id.keys(), self._remove_network)
        faults += await self.parts.firewall.apply(state)
        self._networks |= by_id.keys()
        if self.parts.metadata is not None:
            self.parts.metadata.know(state)
        return faults + await _each(by_id, lambda network_id: self._ensure_network(by_id[network_id]))

    async def _ensure_network(self, network: NetworkModel) -> list[Fault]:
        """The segment carries the services; of these, one that fails keeps none of the others from being made."""
        serving = [part for part in self.parts.services() if part.serves(network)]
        faults: list[Fault] = []
        for part in reversed(self.parts.services()):
            if part not in serving:
                faults += await _tried(network.id, part.remove(network.id))
        self._segments.discard(network.id)
        if missing := await _tried(network.id, self.parts.l2.ensure(network)):
            return faults + missing
        self._segments.add(network.id)
        for part in serving:
            faults += await _tried(network.id, part.ensure(network))
        return faults

    async def _remove_network(self, network_id: str) -> list[Fault]:
        """The segment is removed when no service uses it."""
        faults: list[Fault] = []
        for part in reversed(self.parts.services()):
            faults += await _tried(network_id, part.remove(network_id))
        self._segments.discard(network_id)
        faults = faults or await _tried(network_id, self.parts.l2.remove(network_id))
        if not faults:
            self._networks.discard(network_id)
        return faults

    async def unplug(self, port_id: str) -> None:
        await self.parts.l2.unplug(port_id)

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self.parts.l2.subscribe(on_tap)

    def find_callers(self, find: FindCaller) -> None:
        if self.parts.metadata is not None:
            self.parts.metadata.find_callers(find)

    async def metered(self, delivered: Collection[str] = ()) -> list[Metered]:
        return await self.parts.l3.metered(delivered) if self.parts.l3 is not None else []

    async def leftovers(self) -> list[Leftover]:
        networks = frozenset(self._networks)
        found = [leftover for part in self.parts.every() for leftover in await part.leftovers(networks)]
        return sorted(found, key=lambda v: (v.kind, v.name))

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        """Not while something is being applied."""
        state, _faults = readable(wanted)
        async with self._lock:
            found = [item for part in self.parts.every() for item in await part.stale(state)]
        return sorted(found, key=lambda v: (v.kind, v.name))

    async def close(self, *, remove: bool = False) -> None:
        removed = False
        try:
            if remove:
                async with self._lock:
                    if faults := await self._apply_networks(HostModel()):
                        raise DataPlaneError("; ".join(map(str, faults)))
                removed = True
        finally:
            await self._close(remove=removed)

    async def _close(self, *, remove: bool = False) -> None:
        """All are closed, whatever one of them raises."""
        done = await asyncio.gather(
            *(part.close(remove=remove) for part in reversed(self.parts.every())), return_exceptions=True
        )
        for result in done:
            if isinstance(result, BaseException):
                raise result


async def _each(network_ids: Iterable[str], work: Callable[[str], Awaitable[list[Fault]]]) -> list[Fault]:
    """All are tried, a few at a time; what failed and why."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(network_id: str) -> list[Fault]:
        async with limit:
            return await work(network_id)

    return [fault for found in await asyncio.gather(*map(one, sorted(network_ids))) for fault in found]


async def _tried(network_id: str, work: Awaitable[None]) -> list[Fault]:
    try:
        await work
    except Exception as why:  # a fault of one network or part must not stop the others
        return [Fault(kind="network", id=network_id, reason=str(why) or type(why).__name__)]
    return []


async def _apply_l3(part: L3, state: HostModel) -> list[Fault]:
    """A section that the network service did not send is not known to be empty: what there is stays."""
    if unsent := [section for section in part.sections if getattr(state, section, None) is None]:
        reason = f"the network service is older than this agent and does not send {', '.join(unsent)}"
        return [Fault(kind="host", id="l3", reason=reason, lasting=True)]
    try:
        return await part.apply(state)
    except Exception as why:
        return [Fault(kind="host", id="l3", reason=str(why) or type(why).__name__)]
