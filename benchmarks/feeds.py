"""What a change costs on a host with a thousand ports of one network, in one security group: what the network service answers its
agent, what the agent makes of it, and the rules that follow, without the tools that write them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.core import gc_tuning, log
from kilonova.core.context import service_context
from kilonova.network.agent.dhcp.files import dhcp_files
from kilonova.network.agent.feed import Feed, Held, HostChanges
from kilonova.network.agent.firewall.iptables import conntrack, layer2
from kilonova.network.agent.firewall.iptables.compile import Filters, compile_filters
from kilonova.network.agent.firewall.iptables.restore import restore_text
from kilonova.network.agent.model import HostModel
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.agent.system.names import readable
from kilonova.network.options import NetworkOptions
from tests.service.network.conftest import HOST, Cloud, running
from tests.support import PROJECT

PORTS, IN_A_REQUEST, TURNS, RULES = 1000, 100, 12, 20
UNLIMITED = {"quota": dict.fromkeys(("port", "security_group_rule"), -1)}


class Follower:
    """An agent's part of it, as far as it is its own work."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.feed, self.state = cloud, Feed(), HostModel()
        self.zones: dict[str, int] = {}
        self.permissions = conntrack.Permissions()
        self.written: Filters | None = None
        self.allowed: dict[str, conntrack.Permits] = {}

    async def fetched(self, held: Held) -> HostModel:
        """With what the bus does to an answer."""
        plugin = self.cloud.service._plugin
        found = await plugin.host_changes(service_context("req-bench"), HOST, NoopDataPlane.sections, held)
        return self.feed.take(msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=HostChanges))

    def compiled(self) -> None:
        state, _faults = readable(self.state)
        self.zones = conntrack.assign_zones([network.id for network in state.networks], self.zones)
        filters, before = compile_filters(state, zones=self.zones), self.written
        for version, tables in filters.tables.items():
            restore_text("kn", tables, before.tables[version] if before is not None else {})
        if before is not None and before.l2 is not None and filters.l2 is not None:
            layer2.change(before.l2, filters.l2, "kn_l2")
        allowed = self.permissions.of(state, self.zones)
        conntrack.cuts(self.allowed, allowed)
        for network in state.networks:
            dhcp_files(network, 86400)
        msgspec.json.encode(state)
        self.written, self.allowed = filters, allowed


def run(rounds: int) -> list[Row]:
    log.configure(level="warning")
    with workplace() as folder:
        return asyncio.run(_run(folder, rounds))


async def _run(folder: Path, rounds: int) -> list[Row]:
    taken: dict[str, list[float]] = {}
    async with running(folder, NetworkOptions()) as cloud:
        await cloud.agent("host-9")  # that of the host measured only registers: its work is the follower's
        agent, _ = await cloud.agent(HOST)
        await agent.stop()
        cloud.agents.remove(agent)
        await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json=UNLIMITED)
        network, _ = await cloud.network("10.0.0.0/16")
        body = [{"network_id": network["id"], "binding:host_id": HOST, "project_id": PROJECT}] * IN_A_REQUEST
        for _ in range(PORTS // IN_A_REQUEST):
            await cloud("POST", "/ports", token="service", json={"ports": body})
        agents = Follower(cloud)
        agents.state = await agents.fetched(Held())
        agents.compiled()
        gc_tuning.settle()
        for _ in range(rounds):
            for name, value in (await _turns(cloud, agents, network)).items():
                taken.setdefault(name, []).append(value)
    bounds = {
        "one more port: what changed, fetched": 3.0,
        f"{RULES} rules in a request": 50.0,
    }
    return [Row(what=what, unit="ms", samples=samples, asked=bounds.get(what)) for what, samples in taken.items()]


async def _turns(cloud: Cloud, agents: Follower, network: Any) -> dict[str, float]:
    """Medians of some turns, by name, in milliseconds."""
    found: dict[str, list[float]] = {}

    async def timed(name: str, work: Callable[[], Any]) -> Any:
        """What only computes is measured by its CPU."""
        began, cpu = time.perf_counter(), time.process_time()
        result = work()
        waits = asyncio.iscoroutine(result)
        result = await result if waits else result
        took = time.perf_counter() - began if waits else time.process_time() - cpu
        found.setdefault(name, []).append(took * 1000)
        return result

    for turn in range(TURNS):
        port = await timed(f"port created and bound, {PORTS} there", lambda: cloud.bound(network))
        await cloud.forgotten()
        agents.state = await timed("one more port: what changed, fetched", lambda: agents.fetched(agents.feed.held()))
        await timed("one more port: its rules and leases", agents.compiled)
        if turn < 3:
            await timed("one more port: the whole state, fetched", lambda: Follower(cloud).fetched(Held()))
        await cloud("DELETE", f"/ports/{port['id']}", token="service")
        await cloud.forgotten()
        agents.state = await agents.fetched(agents.feed.held())
        agents.compiled()
    group = port["security_groups"][0]
    rules = [_rule(group, number) for number in range(1000, 1000 + RULES)]
    answer = await timed(
        f"{RULES} rules in a request",
        lambda: cloud("POST", "/security-group-rules", json={"security_group_rules": rules}),
    )
    agents.state = await timed("rules of a group changed: fetched", lambda: agents.fetched(agents.feed.held()))
    await timed(f"rules of a group changed: those of {PORTS} ports", agents.compiled)
    for rule in answer.json["security_group_rules"]:
        await cloud("DELETE", f"/security-group-rules/{rule['id']}")
    return {name: sorted(values)[len(values) // 2] for name, values in found.items()}


def _rule(group: str, port: int) -> dict[str, Any]:
    ports = {"port_range_min": port, "port_range_max": port}
    return {"security_group_id": group, "direction": "ingress", "protocol": "tcp", **ports}
