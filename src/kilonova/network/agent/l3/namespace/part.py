"""The L3 part of Linux namespaces: one for each router, with a veth to each of its networks, iptables and routes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kilonova.core import log
from kilonova.core.clock import Clock
from kilonova.core.folders import searchable
from kilonova.network.agent.dataplane import DataPlaneError, Fault, Leftover, Metered
from kilonova.network.agent.l3.namespace import contents, flows
from kilonova.network.agent.l3.namespace.advertiser import Advertisers
from kilonova.network.agent.l3.namespace.links import RouterLinks
from kilonova.network.agent.l3.namespace.meters import Meters
from kilonova.network.agent.l3.namespace.plan import Plan, plan
from kilonova.network.agent.model import HostModel, NetworkModel, RouterModel, router_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.parts import L2, L3, Metadata
from kilonova.network.agent.system import checks, netns
from kilonova.network.agent.system.commands import run
from kilonova.network.agent.system.daemons import running
from kilonova.network.agent.system.files import write
from kilonova.network.agent.system.names import check_uuid

APPLIED = "applied.json"
AT_ONCE = 4  # routers
ANNOUNCEMENTS, BETWEEN = 3, 1.0  # how often a new address is announced, seconds between
History = tuple[RouterModel, ...]
Key = tuple[RouterModel, tuple[tuple[str, int], ...]]


class NamespaceL3(L3):
    """What may be in effect of router R is kept in `state_dir/routers/R/applied.json`: connections that lived by it are cut when
    it changes."""

    def __init__(self, options: DataPlaneOptions, l2: L2, metadata: Metadata | None) -> None:
        self.options, self.l2, self.metadata = options, l2, metadata
        self.logger = log.get("network.l3")
        self.root = Path(options.state_dir) / "routers"
        self.links = RouterLinks(options.instance)
        self.advertisers, self.meters = Advertisers(options, self.root), Meters(options, Clock())
        self._made: set[str] = set()  # routers of which something may be on the host
        self._applied: dict[str, tuple[Key | None, list[Fault]]] = {}  # … which are as they were asked for
        self._announcing: set[asyncio.Task[None]] = set()

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        checks.check_tools("nsenter", "iptables-restore", "nft", "dnsmasq")
        await asyncio.to_thread(self.meters.open)
        self._made = await asyncio.to_thread(self._survey)
        return set()

    def _survey(self) -> set[str]:
        """Routers that have devices or a folder; names that are no ids are not ours."""
        named = set(self.links.survey().values())
        with contextlib.suppress(FileNotFoundError):
            named |= {entry.name for entry in self.root.iterdir()}
        found = set()
        for name in named:
            with contextlib.suppress(DataPlaneError):
                found.add(check_uuid("router", name))
        return found

    async def apply(self, state: HostModel) -> list[Fault]:
        """A router without ports has nothing to forward: it is not made."""
        wanted = {r.id: r for r in state.routers or () if r.admin_state_up and (r.interfaces or r.gateway)}
        if not wanted and not self._made:
            return []
        networks = {network.id: network for network in state.networks}
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(router_id: str) -> list[Fault]:
            async with limit:
                router = wanted.get(router_id)
                return await (self._remove(router_id) if router is None else self._ensure(router, networks))

        gone = sorted(self._made - wanted.keys())  # first: what they held may be wanted by others
        done = [*await asyncio.gather(*map(one, gone)), *await asyncio.gather(*map(one, sorted(wanted)))]
        return [fault for found in done for fault in found]

    async def _ensure(self, router: RouterModel, networks: dict[str, NetworkModel]) -> list[Fault]:
        """Nothing when nothing changed. A router that could not be made forwards nothing until it can."""
        ports = (*router.interfaces, *([router.gateway] if router.gateway is not None else []))
        key = (
            replace(router, meters=()),
            tuple((p.network_id, networks[p.network_id].mtu) for p in ports if p.network_id in networks),
        )
        try:
            if (known := self._applied.get(router.id)) is None or known[0] != key:
                self._applied.pop(router.id, None)
                faults = await self._make(router, networks)
                settled = all(fault.lasting for fault in faults)  # else the next synchronization tries again
                self._applied[router.id] = (key if settled else None), faults
            await self.advertisers.ensure(router)
            await self.meters.ensure(router)
            return self._applied[router.id][1]
        except Exception as why:  # whatever one router has, the others must not lack theirs
            closed = await self._close_router(router.id) if router.id not in self._applied else []
            lasting = isinstance(why, ValueError)
            return [_fault(router.id, str(why) or type(why).__name__, lasting=lasting), *closed]

    async def _make(self, router: RouterModel, networks: dict[str, NetworkModel]) -> list[Fault]:
        """What is translated stands before anything can be forwarded."""
        planned = plan(router, networks)
        self._made.add(router.id)
        self.meters.forget(router.id)
        before = await asyncio.to_thread(self._begin, router)
        await self._translate(planned)
        fresh = await asyncio.to_thread(self.links.connect, planned)
        for device in planned.devices:
            await self.l2.join(networks[device.network_id], device.tap)
        refused = await asyncio.to_thread(self.links.lead, planned)
        await self._cut(before, router)
        if self.metadata is not None:
            await self.metadata.ensure_router(router)
        await asyncio.to_thread(self.links.forward, router.id, on=True)
        self._announce(planned, _news(planned, fresh, before))
        await asyncio.to_thread(self._write, router)
        lasting = [_fault(router.id, reason, lasting=True) for reason in planned.problems]
        return [*lasting, *(_fault(router.id, reason) for reason in refused)]

    def _begin(self, router: RouterModel) -> History:
        """The folder first: it says what to take away, and what was in effect, wherever an agent ends. What was applied before:
        one model, unless an agent ended in the middle of a change."""
        folder = self.root / router.id
        searchable(Path(self.options.state_dir), self.root, folder)
        before: History = ()
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            before = msgspec.json.decode((folder / APPLIED).read_bytes(), type=History)
        self._write(*dict.fromkeys((*before, router)))
        self.links.create(router.id)
        return before

    async def _translate(self, planned: Plan) -> None:
        argv = (*netns.entering(router_namespace(planned.id)), "iptables-restore", "-w", "10")
        await run(*argv, text=planned.nat, timeout=self.options.command_timeout)

    def _write(self, *routers: RouterModel) -> None:
        """What may be in effect of a router."""
        write(self.root / routers[0].id / APPLIED, msgspec.json.encode(routers).decode())

    async def _cut(self, before: History, router: RouterModel) -> None:
        """Connections that lived by what is no more; without the tool they outlive it, as the firewall part warns."""
        ended = dict.fromkeys(flow for old in before for flow in flows.ended(old, router))
        if ended and shutil.which("conntrack") is not None:
            await flows.cut(netns.entering(router_namespace(router.id)), ended, self.options.command_timeout)

    def _announce(self, planned: Plan, fresh: dict[str, list[str]]) -> None:
        if fresh:
            task = asyncio.ensure_future(self._announce_all(planned, fresh))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)

    async def _announce_all(self, planned: Plan, fresh: dict[str, list[str]]) -> None:
        """More than once: a switch may just be learning the port. A router that went meanwhile has nothing to say."""
        for number in range(ANNOUNCEMENTS):
            if number:
                await asyncio.sleep(BETWEEN)
            try:
                await asyncio.to_thread(self.links.announce, planned.id, fresh, planned.devices)
            except (DataPlaneError, OSError) as why:
                self.logger.info("addresses not announced", router=planned.id, reason=str(why))
                return

    async def _close_router(self, router_id: str) -> list[Fault]:
        try:
            await asyncio.to_thread(self.links.forward, router_id, on=False)
        except Exception as why:
            return [_fault(router_id, f"could not be closed: {why}")]
        return []

    async def _remove(self, router_id: str) -> list[Fault]:
        self._applied.pop(router_id, None)
        try:
            if self.metadata is not None:
                await self.metadata.remove_router(router_id)
            await self.meters.remove(router_id)
            await asyncio.to_thread(self.links.remove, router_id)
            await asyncio.to_thread(self.advertisers.remove, router_id)
        except Exception as why:
            return [_fault(router_id, str(why) or type(why).__name__)]
        self._made.discard(router_id)
        return []

    async def metered(self, delivered: Collection[str] = ()) -> list[Metered]:
        return await self.meters.metered(delivered)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return await asyncio.to_thread(self._leftovers)

    def _leftovers(self) -> list[Leftover]:
        known = self._survey()
        pids = {router_id: running(self.root / router_id) for router_id in known}
        advertisers = [Leftover(kind="advertiser", name=str(pid), owner=owner) for owner, pid in pids.items() if pid]
        return [*self.links.leftovers(known), *advertisers]

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        routers = {r.id: r for r in wanted.routers or () if r.admin_state_up}
        networks = {network.id: network for network in wanted.networks}
        limit, known = asyncio.Semaphore(AT_ONCE), await asyncio.to_thread(self._survey)

        async def one(router: RouterModel) -> list[Leftover]:
            try:
                should = contents.wanted(plan(router, networks), router.meters)
            except (ValueError, DataPlaneError):  # a fault of its own
                return []
            async with limit:
                there = await contents.present(router.id, self.links, self.meters, self.options.command_timeout)
            return [
                Leftover(kind=kind, name=name, owner=router.id, stale=True) for kind, name in sorted(there - should)
            ]

        made = [
            router for router in routers.values() if router.id in known and netns.exists(router_namespace(router.id))
        ]
        return [item for found in await asyncio.gather(*map(one, made)) for item in found]

    async def close(self, *, remove: bool = False) -> None:
        """Routers go on."""
        for task in self._announcing:
            task.cancel()
        if remove:
            found = await asyncio.gather(*map(self._remove, sorted(self._made)))
            if faults := [fault for one in found for fault in one]:
                raise DataPlaneError("; ".join(map(str, faults)))


def _news(planned: Plan, fresh: dict[str, list[str]], before: History) -> dict[str, list[str]]:
    """Device → the addresses to announce: those that it had not, and those of which it is not known that they were announced."""
    announced = {address.partition("/")[0] for router in before[:1] for address in _addresses(router)}
    found = {
        device.name: [
            a for a in device.addresses if a in fresh.get(device.name, ()) or a.partition("/")[0] not in announced
        ]
        for device in planned.devices
    }
    return {name: addresses for name, addresses in found.items() if addresses}


def _addresses(router: RouterModel) -> Iterator[str]:
    for end in (*router.interfaces, *([router.gateway] if router.gateway is not None else [])):
        yield from end.addresses
    yield from (floating.floating_ip_address for floating in router.floating_ips)


def _fault(router_id: str, reason: str, *, lasting: bool = False) -> Fault:
    return Fault(kind="router", id=router_id, reason=reason, lasting=lasting)
