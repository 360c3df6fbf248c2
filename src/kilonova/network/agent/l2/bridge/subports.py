"""Subports of trunks: a wire for each while its parent's tap is up. What the guest sends with a subport's VLAN tag comes out of
the wire at the subport's bridge without it, and gets it on the way back. The near end is called as any port's tap, so filters and
reports take it for one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.core import log
from kilonova.network.agent.dataplane import DataPlaneError, Fault
from kilonova.network.agent.model import HostModel, bridge_name, tap_name
from kilonova.network.agent.system import bpf
from kilonova.network.agent.system.names import is_uuid, subport_link
from kilonova.network.agent.system.netlink import Link, delete, quiet_ipv6, read, route

TRIED = ("knt-try0", "knt-try1")
FIRST = 1  # priority of the one program at a wire's far end


class Subport(msgspec.Struct, frozen=True):
    port_id: str
    parent: str  # tap
    vlan: int
    mtu: int


def subports(state: HostModel) -> dict[str, tuple[Subport, ...]]:
    """By network, of each that the state has."""
    mtus = {network.id: network.mtu for network in state.networks}
    found: dict[str, list[Subport]] = {network: [] for network in mtus}
    for trunk in state.trunks or ():
        for one in trunk.subports:
            if one.network_id in mtus and is_uuid(one.port_id) and is_uuid(trunk.parent_id):
                parent = tap_name(trunk.parent_id)
                found[one.network_id].append(Subport(one.port_id, parent, one.vlan, mtus[one.network_id]))
    return {network: tuple(wanted) for network, wanted in found.items()}


class Subports:
    def __init__(self, instance: str) -> None:
        self.alias = f"kilonova/{instance}/subport/"
        self.logger = log.get("network.trunks")
        self._wanted: dict[str, tuple[Subport, ...]] = {}  # by network
        self._carrying: set[str] = set()  # networks that may have wires
        self._wired: dict[str, tuple[int, int, int]] = {}  # by near end: parent, far end, VLAN
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> bool:
        """Whether this kernel can; tried with two devices that go again. Blocking."""
        with route() as ip:
            aliases = [link.alias for link in read(ip).values() if link.alias.startswith(self.alias)]
        self._carrying = {alias.removeprefix(self.alias).partition("/")[0] for alias in aliases}
        near, far = TRIED
        with route() as ip:
            try:
                with contextlib.suppress(NetlinkError):
                    ip.link("add", ifname=near, kind="veth", peer={"ifname": far})
                (index,) = ip.link_lookup(ifname=near)
                bpf.at_ingress(ip, index, bpf.untag(1, index), priority=FIRST)
            except (NetlinkError, OSError, ValueError):
                return False
            finally:
                for index in ip.link_lookup(ifname=near):
                    delete(ip, index)
        return True

    async def carry(self, state: HostModel) -> list[Fault]:
        """The networks of the state have their bridges."""
        faults = []
        for network_id, wanted in subports(state).items():
            try:
                await self._ensure(network_id, wanted)
            except DataPlaneError as why:
                faults.append(Fault(kind="network", id=network_id, reason=str(why)))
        return faults

    async def _ensure(self, network_id: str, wanted: tuple[Subport, ...]) -> None:
        if self._wanted.get(network_id) == wanted or not (wanted or network_id in self._carrying):
            return
        self._carrying.add(network_id)
        self._wanted[network_id] = wanted  # first: a parent may come meanwhile
        try:
            await self._settle(network_id, wanted)
        except BaseException:
            self._wanted.pop(network_id, None)
            raise

    async def remove(self, network_id: str) -> None:
        self._wanted.pop(network_id, None)
        if network_id in self._carrying:
            await self._settle(network_id, ())
            self._carrying.discard(network_id)

    def on_tap(self, tap: str, up: bool) -> None:
        """A parent has come or gone: so do the wires."""
        for network_id, wanted in self._wanted.items():
            if any(one.parent == tap for one in wanted):
                task = asyncio.ensure_future(self._again(network_id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _again(self, network_id: str) -> None:
        try:
            await self._settle(network_id, self._wanted.get(network_id, ()))
        except DataPlaneError as why:
            self.logger.warning("subports not wired", network=network_id, reason=str(why))
            self._wanted.pop(network_id, None)  # the next synchronization tries again, and names the fault

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _settle(self, network_id: str, wanted: tuple[Subport, ...]) -> None:
        async with self._lock:
            await asyncio.to_thread(self._wire_all, network_id, wanted)

    def _wire_all(self, network_id: str, wanted: tuple[Subport, ...]) -> None:
        try:
            with route() as ip:
                links = read(ip)
                bridge, kept = links.get(bridge_name(network_id)), set()
                for one in wanted:
                    parent = links.get(one.parent)
                    if parent is not None and parent.up and bridge is not None:
                        self._wire(ip, links, network_id, bridge.index, one, parent.index)
                        kept.add(subport_link(one.port_id))
                self._unwire(ip, links, network_id, kept)
        except NetlinkError as why:
            raise DataPlaneError(f"network {network_id}: {os.strerror(why.code)} from the kernel ({why})") from None
        except OSError as why:
            raise DataPlaneError(f"network {network_id}: the kernel cannot make trunks: {why.strerror}") from None

    def _wire(
        self, ip: IPRoute, links: Mapping[str, Link], network_id: str, bridge: int, one: Subport, parent: int
    ) -> None:
        """It joins the bridge when both ways are ready."""
        near, far = tap_name(one.port_id), subport_link(one.port_id)
        if far not in links:
            ip.link("add", ifname=near, kind="veth", peer={"ifname": far})
            for name in (near, far):
                quiet_ipv6(name)
        (near_index,), (far_index,) = ip.link_lookup(ifname=near), ip.link_lookup(ifname=far)
        wiring = parent, far_index, one.vlan
        if self._wired.get(near) != wiring:
            self._loose(ip, near)
            ip.link("set", index=far_index, ifalias=f"{self.alias}{network_id}/{one.port_id}", mtu=one.mtu, state="up")
            bpf.at_ingress(ip, far_index, bpf.tag(one.vlan, parent), priority=FIRST)
            bpf.at_ingress(ip, parent, bpf.untag(one.vlan, far_index), priority=one.vlan)
            self._wired[near] = wiring
        ip.link("set", index=near_index, master=bridge, mtu=one.mtu, state="up")

    def _unwire(self, ip: IPRoute, links: Mapping[str, Link], network_id: str, kept: set[str]) -> None:
        for name, link in links.items():
            if link.alias.startswith(f"{self.alias}{network_id}/") and name not in kept:
                self._loose(ip, tap_name(link.alias.rpartition("/")[2]))
                delete(ip, link.index)

    def _loose(self, ip: IPRoute, near: str) -> None:
        """What the parent did with the tag before."""
        before = self._wired.pop(near, None)
        if before is not None:
            clear_of, _, vlan = before
            bpf.clear_ingress(ip, clear_of, priority=vlan)
