"""The firewall part of iptables and nft: compiles, writes, and cuts connections that are no longer allowed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kilonova.core import log
from kilonova.core.folders import searchable
from kilonova.network.agent.dataplane import DataPlaneError, Fault, Leftover
from kilonova.network.agent.firewall.iptables import conntrack, layer2
from kilonova.network.agent.firewall.iptables.compile import compile_filters
from kilonova.network.agent.firewall.iptables.filters import FilterTables
from kilonova.network.agent.model import HostModel
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.parts import Firewall
from kilonova.network.agent.system import checks
from kilonova.network.agent.system.files import write
from kilonova.network.agent.system.names import chain_owner

TOOLS = ("iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save", "nft")


class IptablesFirewall(Firewall):
    """The state that was last applied is kept in `state_dir/applied.json`: what it allowed is cut when it no longer is."""

    def __init__(self, options: DataPlaneOptions) -> None:
        self.options = options
        self.logger = log.get("network.firewall")
        self.filters = FilterTables(options.instance, options.command_timeout)
        self.zones: dict[str, int] = {}
        self._state = HostModel()
        self._applied_file = Path(options.state_dir) / "applied.json"
        self._permissions = conntrack.Permissions()
        self._can_cut = False

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        checks.check_tools(*TOOLS)
        await asyncio.to_thread(checks.filter_bridged)
        self._can_cut = shutil.which("conntrack") is not None
        if not self._can_cut:
            self.logger.warning("conntrack not found: connections outlive the rules that allowed them")
        await asyncio.to_thread(searchable, Path(self.options.state_dir))
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._state = msgspec.json.decode(await asyncio.to_thread(self._applied_file.read_bytes), type=HostModel)
        return set()

    async def apply(self, state: HostModel) -> list[Fault]:
        """Write the filters, then cut what they no longer allow."""
        state = replace(state, routers=None) if state.routers is not None else state
        before = self._state
        if state.qos_policies is None:  # not sent
            state = replace(state, qos_policies=before.qos_policies)
        zones = conntrack.assign_zones([n.id for n in before.networks], self.zones)
        self.zones = conntrack.assign_zones([n.id for n in state.networks], zones)
        compiled = compile_filters(state, zones=self.zones, prefix=self.options.instance, mark=self.options.mark)
        faults = [_with_whole_id(fault, state, self.options.instance) for fault in await self.filters.apply(compiled)]
        if state == before:
            return faults
        try:
            if self._can_cut:
                old, new = self._permissions.of(before, zones), self._permissions.of(state, self.zones)
                cuts = conntrack.cuts(old, new)
                await conntrack.cut(cuts, self.options.command_timeout)
            await asyncio.to_thread(write, self._applied_file, msgspec.json.encode(state).decode())
            self._state = state
        except (DataPlaneError, OSError) as why:  # tried again, as the state before stays known
            faults.append(Fault(kind="host", id="connections", reason=str(why)))
        return faults

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        chains = sorted(await self.filters.chains())
        owners = {chain: chain_owner(chain, self.options.instance) for chain in chains}
        return [Leftover(kind="chain", name=chain, owner=owner) for chain, owner in owners.items() if owner]

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        zones = conntrack.assign_zones([n.id for n in wanted.networks], self.zones)
        compiled = compile_filters(wanted, zones=zones, prefix=self.options.instance, mark=self.options.mark)
        should = set(compiled.l2.chains()) if compiled.l2 is not None else set()
        found = [(chain, self._owner_of_l2(chain, wanted)) for chain in sorted(await self.filters.l2_chains() - should)]
        should = {chain for tables in compiled.tables.values() for chains in tables.values() for chain in chains}
        left = sorted(await self.filters.chains() - should)
        found += [(chain, chain_owner(chain, self.options.instance)) for chain in left]
        return [Leftover(kind="chain", name=chain, owner=owner, stale=True) for chain, owner in found if owner]

    def _owner_of_l2(self, chain: str, wanted: HostModel) -> str:
        """The beginning of a port's id, or a network's where its frames leave the host."""
        first, _, device = chain.partition("-")
        networks = (*wanted.networks, *self._state.networks)
        ways = {layer2.way_out(network, self.options.instance): network.id for network in networks}
        return ways.get(device, device) if first == "t" else device

    async def close(self, *, remove: bool = False) -> None:
        if remove:
            await asyncio.to_thread(self._applied_file.unlink, missing_ok=True)


def _with_whole_id(fault: Fault, state: HostModel, instance: str) -> Fault:
    """Chains and devices have the beginning of an id in their names, or the number of a tunnel."""
    ids = {
        "port": (p.id for n in state.networks for p in n.ports),
        "security group": (g.id for g in state.security_groups),
        "network": (n.id for n in state.networks if layer2.way_out(n, instance) == fault.id),
    }[fault.kind]
    found = next((one for one in ids if one.startswith(fault.id) or fault.kind == "network"), fault.id)
    return fault if found == fault.id else replace(fault, id=found)
