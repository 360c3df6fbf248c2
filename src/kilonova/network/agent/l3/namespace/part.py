"""The L3 part of Linux namespaces: one for each router, with a veth to each of its networks, iptables and routes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

import msgspec

from kilonova.core import log
from kilonova.core.folders import searchable
from kilonova.network.agent.dataplane import DataPlaneError, Fault, Leftover
from kilonova.network.agent.l3.namespace import flows
from kilonova.network.agent.l3.namespace.advertiser import Advertisers
from kilonova.network.agent.l3.namespace.links import RouterLinks
from kilonova.network.agent.l3.namespace.plan import Plan, plan
from kilonova.network.agent.model import HostModel, NetworkModel, RouterModel, router_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.parts import L2, L3, Metadata
from kilonova.network.agent.system import checks, netns
from kilonova.network.agent.system.commands import run
from kilonova.network.agent.system.daemons import running
from kilonova.network.agent.system.files import write
from kilonova.network.agent.system.names import check_uuid

AT_ONCE = 4  # routers
ANNOUNCEMENTS, BETWEEN = 3, 1.0  # how often a new address is announced, seconds between
Key = tuple[RouterModel, tuple[tuple[str, int], ...]]


class NamespaceL3(L3):
    """What was last applied of router R is kept in `state_dir/routers/R/applied.json`: connections that lived by it are cut
    when it changes."""

    def __init__(self, options: DataPlaneOptions, l2: L2, metadata: Metadata | None) -> None:
        self.options, self.l2, self.metadata = options, l2, metadata
        self.logger = log.get("network.l3")
        self.root = Path(options.state_dir) / "routers"
        self.links = RouterLinks(options.instance)
        self.advertisers = Advertisers(options, self.root)
        self._made: set[str] = set()  # routers of which something may be on the host
        self._applied: dict[str, tuple[Key, list[Fault]]] = {}  # … which are as they were asked for
        self._announcing: set[asyncio.Task[None]] = set()

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        checks.check_tools("nsenter", "iptables-restore", "dnsmasq")
        self._made = await asyncio.to_thread(self._survey)
        return set()

    def _survey(self) -> set[str]:
        found = set(self.links.survey().values())
        with contextlib.suppress(FileNotFoundError):
            for entry in self.root.iterdir():
                with contextlib.suppress(DataPlaneError):
                    found.add(check_uuid("router", entry.name))
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
        key = router, tuple((p.network_id, networks[p.network_id].mtu) for p in ports if p.network_id in networks)
        try:
            if (known := self._applied.get(router.id)) is None or known[0] != key:
                self._applied.pop(router.id, None)
                faults = await self._make(router, networks)
                self._applied[router.id] = key, faults
            await self.advertisers.ensure(router)
            return self._applied[router.id][1]
        except Exception as why:  # whatever one router has, the others must not lack theirs
            closed = await self._close_router(router.id) if router.id not in self._applied else []
            lasting = isinstance(why, ValueError)
            return [_fault(router.id, str(why) or type(why).__name__, lasting=lasting), *closed]

    async def _make(self, router: RouterModel, networks: dict[str, NetworkModel]) -> list[Fault]:
        """What is translated stands before anything can be forwarded."""
        planned = plan(router, networks)
        self._made.add(router.id)
        await asyncio.to_thread(self._begin, router.id)
        await self._translate(planned)
        fresh = await asyncio.to_thread(self.links.connect, planned)
        for device in planned.devices:
            await self.l2.join(networks[device.network_id], device.tap)
        refused = await asyncio.to_thread(self.links.lead, planned)
        await self._cut(router)
        if self.metadata is not None:
            await self.metadata.ensure_router(router)
        await asyncio.to_thread(self.links.forward, router.id, on=True)
        self._announce(planned, fresh)
        lasting = [_fault(router.id, reason, lasting=True) for reason in planned.problems]
        return [*lasting, *(_fault(router.id, reason) for reason in refused)]

    def _begin(self, router_id: str) -> None:
        """The folder first: it says what to take away, whenever this is cut off."""
        searchable(Path(self.options.state_dir), self.root, self.root / router_id)
        self.links.create(router_id)

    def _entered(self, router_id: str) -> tuple[str, ...]:
        return "nsenter", f"--net={netns.RUN_DIR}/{router_namespace(router_id)}"

    async def _translate(self, planned: Plan) -> None:
        argv = (*self._entered(planned.id), "iptables-restore", "-w", "10")
        await run(*argv, text=planned.nat, timeout=self.options.command_timeout)

    async def _cut(self, router: RouterModel) -> None:
        """Connections that lived by what is no more; tried again where it fails, as what was applied before stays known."""
        file = self.root / router.id / "applied.json"
        before = None
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            before = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=RouterModel)
        if before != router:
            if shutil.which("conntrack") is not None:  # without it the firewall part warns
                ended = flows.ended(before, router)
                await flows.cut(self._entered(router.id), ended, self.options.command_timeout)
            await asyncio.to_thread(write, file, msgspec.json.encode(router).decode())

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
            await asyncio.to_thread(self.links.remove, router_id)
            await asyncio.to_thread(self.advertisers.remove, router_id)
        except Exception as why:
            return [_fault(router_id, str(why) or type(why).__name__)]
        self._made.discard(router_id)
        return []

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return await asyncio.to_thread(self._leftovers)

    def _leftovers(self) -> list[Leftover]:
        known = self._survey()
        pids = {router_id: running(self.root / router_id) for router_id in known}
        advertisers = [Leftover(kind="advertiser", name=str(pid), owner=owner) for owner, pid in pids.items() if pid]
        return [*self.links.leftovers(known), *advertisers]

    async def close(self, *, remove: bool = False) -> None:
        """Routers go on."""
        for task in self._announcing:
            task.cancel()
        if remove:
            found = await asyncio.gather(*map(self._remove, sorted(self._made)))
            if faults := [fault for one in found for fault in one]:
                raise DataPlaneError("; ".join(map(str, faults)))


def _fault(router_id: str, reason: str, *, lasting: bool = False) -> Fault:
    return Fault(kind="router", id=router_id, reason=reason, lasting=lasting)
