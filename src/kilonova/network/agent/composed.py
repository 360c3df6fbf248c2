"""The Linux bridge data plane: puts the pieces of this package in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kilonova.core import log
from kilonova.core.folders import searchable
from kilonova.network.agent import leftovers
from kilonova.network.agent.dataplane import DataPlane, DataPlaneError, Fault, Leftover
from kilonova.network.agent.dhcp.dnsmasq import Dhcp, write
from kilonova.network.agent.firewall.iptables import conntrack
from kilonova.network.agent.firewall.iptables.compile import compile_filters
from kilonova.network.agent.firewall.iptables.filters import FilterTables
from kilonova.network.agent.l2.bridge.links import Links, Wiring, wiring
from kilonova.network.agent.l2.bridge.taps import TapWatch
from kilonova.network.agent.metadata.proxy import Caller, MetadataProxy, MetadataUpstream
from kilonova.network.agent.model import HostModel, NetworkModel, tap_name
from kilonova.network.agent.options import BridgeOptions
from kilonova.network.agent.overlay import vxlan as tunnels
from kilonova.network.agent.system import checks
from kilonova.network.agent.system.names import check_uuid, clean_ip, readable, vxlan_link


class BridgeDataPlane(DataPlane):
    """`metadata` None: no metadata listeners."""

    name = "bridge"

    def __init__(self, options: BridgeOptions, metadata: MetadataUpstream | None = None) -> None:
        self.options = options
        self.logger = log.get("network.bridge")
        self.tunnel_ip = options.tunnel_ip
        self.links = Links(options.instance, options.tunnel_ip, options.vxlan_port)
        self.taps = TapWatch(self.links)
        self.dhcp = Dhcp(options)
        self.filters = FilterTables(options.instance, options.command_timeout)
        self.metadata = MetadataProxy(metadata, self._find_caller) if metadata else None
        self.state = HostModel()
        self._applied_file = Path(options.state_dir) / "applied.json"
        self._lock = asyncio.Lock()
        self._zones: dict[str, int] = {}
        self._callers: dict[tuple[str, str], Caller] = {}
        self._wired: dict[str, Wiring] = {}
        self._reached: dict[str, tunnels.Reach] = {}
        self._networks: set[str] = set()  # what may be on the host
        self._can_cut = False

    async def open(self) -> None:
        await asyncio.to_thread(checks.check_host, self.tunnel_ip)
        self._can_cut = shutil.which("conntrack") is not None
        if not self._can_cut:
            self.logger.warning("conntrack not found: connections outlive the rules that allowed them")
        await asyncio.to_thread(searchable, Path(self.options.state_dir))
        await self.taps.open()
        await asyncio.to_thread(self.links.sweep)
        links, _ours = await asyncio.to_thread(self.links.survey)
        self._networks = {*self.links.networks(links), *self.dhcp.known()}
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self.state = msgspec.json.decode(await asyncio.to_thread(self._applied_file.read_bytes), type=HostModel)

    async def apply(self, state: HostModel) -> tuple[Fault, ...]:
        state, faults = readable(state)
        async with self._lock:
            faults += await self._each(self._networks - {n.id for n in state.networks}, self._remove_network)
            faults += await self._filter(state)
            self._networks |= {n.id for n in state.networks}
            self._callers = dict(_callers(state))
            by_id = {network.id: network for network in state.networks}
            faults += await self._each(by_id, lambda network_id: self._ensure_network(by_id[network_id]))
        return tuple(faults)

    async def _filter(self, state: HostModel) -> list[Fault]:
        """Write the filters, then cut what they no longer allow."""
        before = self.state
        zones = conntrack.assign_zones([n.id for n in before.networks], self._zones)
        self._zones = conntrack.assign_zones([n.id for n in state.networks], zones)
        compiled = compile_filters(state, zones=self._zones, prefix=self.options.instance, mark=self.options.mark)
        faults = [_with_whole_id(fault, state, self.options.instance) for fault in await self.filters.apply(compiled)]
        if state == before:
            return faults
        try:
            if self._can_cut:
                cuts = conntrack.cuts(conntrack.permits(before, zones), conntrack.permits(state, self._zones))
                await conntrack.cut(cuts, self.options.command_timeout)
            await asyncio.to_thread(write, self._applied_file, msgspec.json.encode(state).decode())
            self.state = state
        except (DataPlaneError, OSError) as why:  # tried again, as the state before stays known
            faults.append(Fault(kind="host", id="connections", reason=str(why)))
        return faults

    async def _ensure_network(self, network: NetworkModel) -> None:
        wanted = wiring(network)
        if self._wired.get(network.id) != wanted:
            self._wired.pop(network.id, None)
            self._reached.pop(network.id, None)
            if self.metadata is not None and not wanted.addresses:
                self.metadata.remove(network.id)
            self.taps.bridges.add(await asyncio.to_thread(self.links.ensure, wanted))
            self.taps.judge()
            self._wired[network.id] = wanted
        await self._ensure_tunnel(network)
        await self.dhcp.ensure(network)
        if self.metadata is not None and any("." in address for address in wanted.addresses):
            await self.metadata.ensure(network.id)

    async def _ensure_tunnel(self, network: NetworkModel) -> None:
        if not self.tunnel_ip or network.segmentation_id is None:
            return
        wanted = tunnels.reach(network, self.tunnel_ip)
        if self._reached.get(network.id) != wanted:
            device = vxlan_link(self.options.instance, network.segmentation_id)
            local = {port.mac_address.lower() for port in network.ports if port.local}
            self._reached.pop(network.id, None)
            await asyncio.to_thread(tunnels.direct, device, wanted, local)
            self._reached[network.id] = wanted

    async def _remove_network(self, network_id: str) -> None:
        check_uuid("network", network_id)
        self._wired.pop(network_id, None)
        self._reached.pop(network_id, None)
        if self.metadata is not None:
            self.metadata.remove(network_id)
        await self.dhcp.remove(network_id)
        await asyncio.to_thread(self.links.remove, network_id)
        self._networks.discard(network_id)

    async def _each(self, network_ids: Iterable[str], work: Callable[[str], Awaitable[None]]) -> list[Fault]:
        """All are tried, four at a time; what failed and why."""
        limit = asyncio.Semaphore(4)

        async def one(network_id: str) -> list[Fault]:
            async with limit:
                try:
                    await work(network_id)
                except Exception as why:  # whatever one network has, the others must not lack theirs
                    return [Fault(kind="network", id=network_id, reason=str(why) or type(why).__name__)]
            return []

        return [fault for found in await asyncio.gather(*map(one, sorted(network_ids))) for fault in found]

    async def unplug(self, port_id: str) -> None:
        check_uuid("port", port_id)
        await asyncio.to_thread(self.links.remove_tap, tap_name(port_id))

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self.taps.subscribe(on_tap)

    async def leftovers(self) -> list[Leftover]:
        chains = await self.filters.chains()
        return await asyncio.to_thread(leftovers.collect, self.links, self.dhcp, chains, self.options.instance)

    async def close(self, *, remove: bool = False) -> None:
        try:
            if remove:
                if faults := await self.apply(HostModel()):
                    raise DataPlaneError("; ".join(map(str, faults)))
                await asyncio.to_thread(self._applied_file.unlink, missing_ok=True)
        finally:
            self.taps.close()
            if self.metadata is not None:
                self.metadata.close()

    def _find_caller(self, network_id: str, source: str) -> Caller | None:
        return self._callers.get((network_id, source))


def _with_whole_id(fault: Fault, state: HostModel, instance: str) -> Fault:
    """Chains and devices have the beginning of an id in their names, or the number of a tunnel."""
    ids = {
        "port": (p.id for n in state.networks for p in n.ports),
        "security group": (g.id for g in state.security_groups),
        "network": (n.id for n in state.networks if vxlan_link(instance, n.segmentation_id or 0) == fault.id),
    }[fault.kind]
    found = next((one for one in ids if one.startswith(fault.id) or fault.kind == "network"), fault.id)
    return fault if found == fault.id else replace(fault, id=found)


def _callers(state: HostModel) -> Iterable[tuple[tuple[str, str], Caller]]:
    for network in state.networks:
        for port in network.ports:
            if port.device_id and not port.device_owner.startswith("network:"):
                for fixed in port.fixed_ips:
                    with contextlib.suppress(ValueError):
                        yield (network.id, clean_ip(fixed.ip_address)), (port.device_id, port.project_id)
