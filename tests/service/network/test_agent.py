"""The agent, the host's model and the events for compute: from the HTTP request to the data plane and back."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
import pytest

from kilonova.core import errors
from kilonova.core.context import service_context
from kilonova.core.retry import Backoff
from kilonova.network.agent.dataplane import DataPlaneError, Fault
from kilonova.network.agent.feed import HostChanges
from kilonova.network.agent.interface import AGENT_TYPE, L3_AGENT, NetworkAgentAPI, NetworkPluginAPI
from kilonova.network.agent.model import HostModel, tap_name
from kilonova.network.errors import PlugFailed, PortNotOnHost
from kilonova.network.hosts import compute_events
from kilonova.network.hosts.model import SECTIONS
from tests.databases import statements_of
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.support import PROJECT

CTX = service_context("req-test")


async def model(cloud: Cloud, host: str = HOST) -> HostModel:
    return await cloud.core.bus.client(NetworkPluginAPI).host_model(CTX, host)


async def test_model_of_a_host(cloud: Cloud):
    network, subnet = await cloud.network(
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}], dns_nameservers=["8.8.8.8"]
    )
    plain = await cloud.make("subnet", network_id=network["id"], cidr="10.0.1.0/24", gateway_ip=None, enable_dhcp=False)
    web = await cloud.make("security_group", name="web")
    rule = await cloud.make(
        "security_group_rule", security_group_id=web["id"], direction="ingress", protocol="tcp", port_range_min=22,
        port_range_max=23, remote_ip_prefix="192.0.2.7/24",
    )  # fmt: skip
    here = await cloud.bound(
        network, security_groups=[web["id"]], dns_name="one", allowed_address_pairs=[{"ip_address": "10.0.0.99"}]
    )
    there = await cloud.bound(network, host="host-2", device_owner="compute:nova")
    default = there["security_groups"][0]
    both = await cloud.bound(network, security_groups=[default])
    other_network, _ = await cloud.network()
    await cloud.bound(other_network, host="host-2", security_groups=[web["id"]])
    (dhcp,) = (await cloud("GET", f"/ports?device_owner=network:dhcp&network_id={network['id']}")).json["ports"]

    found = await model(cloud)
    (shown,) = found.networks
    assert (shown.id, shown.project_id, shown.mtu) == (network["id"], PROJECT, 1500)
    assert (shown.dhcp_port_id, shown.dhcp_mac) == (dhcp["id"], dhcp["mac_address"])
    subnets = {s.id: s for s in shown.subnets}
    first, second = subnets[subnet["id"]], subnets[plain["id"]]
    assert (first.id, first.cidr, first.gateway_ip, first.dhcp_ip) == (
        subnet["id"],
        "10.0.0.0/24",
        "10.0.0.1",
        "10.0.0.2",
    )
    assert (first.dns_nameservers, first.host_routes) == (("8.8.8.8",), (("10.9.0.0/16", "10.0.0.9"),))
    assert (second.id, second.gateway_ip, second.enable_dhcp, second.dhcp_ip) == (plain["id"], None, False, None)
    assert second.dns_nameservers == ("9.9.9.9",)
    ports = {port.id: port for port in shown.ports}
    assert {i: p.local for i, p in ports.items()} == {here["id"]: True, there["id"]: False, both["id"]: True}
    mine = ports[here["id"]]
    assert (mine.mac_address, mine.hostname, mine.device_id) == (here["mac_address"], "one", here["device_id"])
    assert [(f.subnet_id, f.ip_address) for f in mine.fixed_ips] == [(subnet["id"], "10.0.0.3")]
    assert mine.security_groups == (web["id"],)
    assert [(p.ip_address, p.mac_address) for p in mine.allowed_address_pairs] == [("10.0.0.99", here["mac_address"])]
    groups = {group.id: group for group in found.security_groups}
    assert set(groups) == {web["id"], default}
    assert groups[web["id"]].members == ()  # no rule refers to it
    assert groups[default].members == ("10.0.0.4", "10.0.0.5")  # on both hosts
    (compiled,) = [r for r in groups[web["id"]].rules if r.id == rule["id"]]
    assert (compiled.direction, compiled.ethertype, compiled.protocol) == ("ingress", "IPv4", "tcp")
    assert (compiled.port_range_min, compiled.port_range_max, compiled.remote_ip_prefix) == (22, 23, "192.0.2.0/24")
    assert {r.remote_group_id for r in groups[default].rules} == {None, default}
    assert await model(cloud, "host-9") == HostModel()


async def test_the_model_costs_the_same_for_many_ports(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/16")
    body = [{"network_id": network["id"], "binding:host_id": HOST, "project_id": PROJECT} for _ in range(150)]
    assert (await cloud("POST", "/ports", token="service", json={"ports": body})).status == 201
    await cloud.forgotten()
    sent = await statements_of(cloud.service.database)
    assert len((await model(cloud)).networks[0].ports) == 150
    assert 0 < len(sent) <= 7


async def test_statements_of_one_launch_and_delete(cloud: Cloud):
    _, plane = await cloud.agent()
    network, _ = await cloud.network()
    await cloud.bound(network)  # the project's first: its default group
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    await asyncio.sleep(0.1)
    await cloud.forgotten()
    sent = await statements_of(cloud.service.database)
    port = await cloud.bound(network)
    await until(lambda: len(cloud.compute.events) > 1)
    await asyncio.sleep(0.1)
    await cloud.forgotten()
    made = len(sent)
    await cloud.network_client.delete_ports([port["id"]])
    await until(lambda: len(plane.state.networks[0].ports) == 1)
    await asyncio.sleep(0.1)
    await cloud.forgotten()
    total = len(sent)
    assert (made <= 26, total <= 42) == (True, True), (made, total)


async def test_a_port_comes_up_and_compute_gets_an_event(cloud: Cloud):
    _, plane = await cloud.agent()
    network, _ = await cloud.network()
    port = await cloud.bound(network)
    agent = cloud.core.bus.client(NetworkAgentAPI, host=HOST)
    await agent.plug(CTX, [port["id"]])
    assert [p.id for n in plane.state.networks for p in n.ports if p.local] == [port["id"]]
    await until(lambda: cloud.compute.events)
    assert cloud.compute.events[0] == {
        "name": "network-vif-plugged", "server_uuid": port["device_id"], "tag": port["id"], "status": "completed"
    }  # fmt: skip
    assert (await cloud.port(port["id"]))["status"] == "ACTIVE"

    await agent.unplug(CTX, [port["id"]])  # the server stops
    await until(lambda: cloud.compute.named("network-vif-unplugged"))
    assert (await cloud.port(port["id"]))["status"] == "DOWN"
    cloud.compute.events.clear()
    await agent.plug(CTX, [port["id"]])  # and starts
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    assert (await cloud.port(port["id"]))["status"] == "ACTIVE"
    cloud.compute.events.clear()
    await agent.plug(CTX, [port["id"]])  # a reboot: the tap never went
    await until(lambda: cloud.compute.named("network-vif-plugged"))


async def test_ports_without_a_server_make_no_events(cloud: Cloud):
    await cloud.agent()
    network, _ = await cloud.network()
    port = await cloud.bound(network, device_owner="somebody:else")

    async def active() -> bool:
        return (await cloud.port(port["id"]))["status"] == "ACTIVE"

    await until(active)
    await asyncio.sleep(0.05)
    assert cloud.compute.events == []


async def test_events_travel_together_and_wait_for_compute(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compute_events, "BACKOFF", Backoff(0.01, 0.01))
    await cloud.agent()
    network, _ = await cloud.network("10.0.0.0/16")
    cloud.compute.status = 503
    ports = await asyncio.gather(*(cloud.bound(network) for _ in range(30)))
    await until(lambda: cloud.compute.requests)
    assert cloud.compute.events == []

    async def all_up() -> bool:
        found = (await cloud("GET", "/ports?status=ACTIVE")).json["ports"]
        return {port["id"] for port in found} >= {port["id"] for port in ports}

    await until(all_up)
    await asyncio.sleep(0.2)
    before, cloud.compute.status = cloud.compute.requests, 200
    await until(lambda: len({e["tag"] for e in cloud.compute.named("network-vif-plugged")}) == 30)
    assert {e["tag"] for e in cloud.compute.events} == {p["id"] for p in ports}
    assert cloud.compute.requests - before <= 4


async def test_events_survive_a_restart_of_the_service(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    await cloud.agent()
    network, _ = await cloud.network()
    cloud.compute.status = 503
    port = await cloud.bound(network)
    await until(lambda: cloud.compute.requests)
    from kilonova.network.app import NetworkService

    await cloud.service.stop()
    cloud.compute.status = 200
    cloud.service = NetworkService(cloud.core)
    await cloud.service.start()
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    assert cloud.compute.events[0]["tag"] == port["id"]
    await cloud.service.stop()


async def test_compute_gets_events_of_changes_to_its_ports(cloud: Cloud):
    _, plane = await cloud.agent()
    network, _ = await cloud.network()
    port = await cloud.bound(network)
    await cloud("PUT", f"/ports/{port['id']}", json={"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}})
    await until(lambda: cloud.compute.named("network-changed"))
    await cloud("PUT", f"/ports/{port['id']}", json={"port": {"security_groups": []}})
    await until(lambda: len(cloud.compute.named("network-changed")) == 2)
    await cloud("PUT", f"/ports/{port['id']}", json={"port": {"security_groups": [], "description": "no news"}})
    await asyncio.sleep(0.05)
    assert len(cloud.compute.named("network-changed")) == 2
    assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204
    await until(lambda: cloud.compute.named("network-vif-deleted"))
    assert cloud.compute.named("network-vif-deleted")[0]["tag"] == port["id"]
    await until(lambda: plane.state == HostModel(routers=(), qos_policies=(), trunks=()))
    mine = await cloud.bound(network)
    cloud.compute.events.clear()
    await cloud.network_client.delete_ports([mine["id"]])  # compute's own doing
    await asyncio.sleep(0.05)
    assert cloud.compute.named("network-vif-deleted") == []


async def test_an_event_that_compute_cannot_read_takes_no_other_with_it(cloud: Cloud):
    network, _ = await cloud.network()
    ports = [await cloud.bound(network) for _ in range(3)]
    cloud.compute.unread = ports[1]["id"]
    await cloud.agent()
    good = {ports[0]["id"], ports[2]["id"]}
    await until(lambda: {event["tag"] for event in cloud.compute.named("network-vif-plugged")} == good)
    await cloud.forgotten()


async def test_a_projects_own_words_on_a_port_are_no_news_for_compute(cloud: Cloud):
    """Compute refuses whole requests in which one server's id is none; and it has nothing to do with ports without a host."""
    await cloud.agent()
    network, _ = await cloud.network()
    words = {"device_owner": "compute:nova", "device_id": cloud.core.clock.uuid()}
    idle = await cloud.make("port", network_id=network["id"], **words)
    mine = await cloud.bound(network)
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    renamed = await cloud("PUT", f"/ports/{mine['id']}", json={"port": {"device_id": "x"}})
    assert renamed.status == 200
    cloud.compute.events.clear()
    for port in (idle, mine):
        await cloud("PUT", f"/ports/{port['id']}", json={"port": {"security_groups": []}})
        assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204
    await cloud.bound(network)
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    assert {event["name"] for event in cloud.compute.events} == {"network-vif-plugged"}


async def test_an_agent_that_restarts_reports_which_ports_are_up_and_down(cloud: Cloud):
    agent, _ = await cloud.agent()
    network, _ = await cloud.network()
    port = await cloud.bound(network)
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    await agent.stop()
    cloud.agents.remove(agent)
    cloud.compute.events.clear()

    class Dark:
        """A data plane after the host's restart: no tap is there."""

        name, tunnel_ip, trunks, sections = "dark", "", False, ("networks", "security_groups")
        bridge_mappings: ClassVar[dict[str, str]] = {}

        async def open(self) -> None: ...
        async def apply(self, state: HostModel) -> tuple[Fault, ...]:
            return ()

        def find_callers(self, find: object) -> None: ...
        def subscribe(self, on_tap: object) -> None: ...
        async def close(self) -> None: ...

    from kilonova.network.agent.manager import NetworkAgent

    dark = NetworkAgent(cloud.core, Dark(), HOST)  # type: ignore[arg-type]
    await dark.start()
    await until(lambda: cloud.compute.named("network-vif-unplugged"))
    assert (await cloud.port(port["id"]))["status"] == "DOWN"
    await dark.stop()
    await cloud.agent()
    await until(lambda: cloud.compute.named("network-vif-plugged"))
    assert (await cloud.port(port["id"]))["status"] == "ACTIVE"


async def test_many_changes_become_few_synchronizations(cloud: Cloud):
    _, plane = await cloud.agent()
    network, _ = await cloud.network("10.0.0.0/16")
    count = 0
    apply = plane.apply

    async def slow(state: HostModel) -> tuple[Fault, ...]:
        nonlocal count
        count += 1
        await asyncio.sleep(0.1)
        return await apply(state)

    plane.apply = slow  # type: ignore[method-assign]
    agent = cloud.core.bus.client(NetworkAgentAPI, host=HOST)

    async def launch() -> None:
        port = await cloud.bound(network)
        await agent.plug(CTX, [port["id"]])
        assert port["id"] in {p.id for n in plane.state.networks for p in n.ports}

    await asyncio.gather(*(launch() for _ in range(40)))
    assert count <= 25


async def test_plug_names_the_reason(cloud: Cloud):
    _, plane = await cloud.agent()
    network, _ = await cloud.network()
    port = await cloud.bound(network, host="host-2")
    agent = cloud.core.bus.client(NetworkAgentAPI, host=HOST)
    with pytest.raises(PortNotOnHost, match="host-1"):
        await agent.plug(CTX, [port["id"]])

    async def broken(state: HostModel) -> None:
        raise DataPlaneError("iptables-restore: no such chain")

    plane.apply = broken  # type: ignore[method-assign]
    with pytest.raises(PlugFailed, match="host-1: iptables-restore: no such chain"):
        await agent.plug(CTX, [port["id"]])
    with pytest.raises(errors.NoReceiver):
        await cloud.core.bus.client(NetworkAgentAPI, host="host-9").plug(CTX, [port["id"]])


async def test_one_faulty_port_keeps_no_other_from_its_guest(cloud: Cloud):
    """Plugging fails for the port and for those of the faulty network alone; admins and `verify` see why; what may pass is
    tried again."""
    running, plane = await cloud.agent()
    good, bad = await cloud.network(), await cloud.network()
    fine, closed = await cloud.bound(good[0]), await cloud.bound(good[0])
    stuck = await cloud.bound(bad[0])
    plane.faults = (
        Fault(kind="port", id=closed["id"], reason="bad MAC address", lasting=True),
        Fault(kind="network", id=bad[0]["id"], reason="bridge belongs to another"),
    )
    agent = cloud.core.bus.client(NetworkAgentAPI, host=HOST)
    await agent.plug(CTX, [fine["id"]])
    for port, reason in ((closed, "bad MAC address"), (stuck, "bridge belongs to another")):
        with pytest.raises(PlugFailed, match=f"host-1: .*: {reason}"):
            await agent.plug(CTX, [port["id"]])
    assert set(await agent.faults(CTX)) == set(plane.faults)
    await until(lambda: shown_faults(cloud))
    assert [text.split()[0] for text in await shown_faults(cloud)] == ["port", "network"]
    plane.faults = plane.faults[:1]
    await until(lambda: running._settled())
    await agent.plug(CTX, [stuck["id"]])
    with pytest.raises(PlugFailed):
        await agent.plug(CTX, [closed["id"]])


async def shown_faults(cloud: Cloud) -> list[str]:
    one, other = (await cloud("GET", "/agents", token="admin")).json["agents"]
    assert one["configurations"] == other["configurations"]
    return one["configurations"]["faults"]


@pytest.mark.parametrize(
    "error", [errors.ServiceUnavailable(reason="database away"), errors.NoReceiver(reason="nobody")]
)
async def test_a_short_outage_fails_no_plug(cloud: Cloud, error: errors.KilonovaError):
    """Compute asks again after such an error, and gives up its host after another one."""
    running, _ = await cloud.agent()
    network, _ = await cloud.network()
    real, away = running._plugin.host_changes, True

    async def host_changes(*asked: Any) -> HostChanges:
        if away:
            raise error
        return await real(*asked)

    running._plugin.host_changes = host_changes  # type: ignore[method-assign]
    port = await cloud.bound(network)
    agent = cloud.core.bus.client(NetworkAgentAPI, host=HOST)
    with pytest.raises(type(error)):
        await agent.plug(CTX, [port["id"]])
    away = False
    await agent.plug(CTX, [port["id"]])


async def test_filters_change_on_every_host_that_shows_them(cloud: Cloud):
    planes = {host: (await cloud.agent(host))[1] for host in ("host-1", "host-2", "host-3")}
    network, _ = await cloud.network()
    web = await cloud.make("security_group", name="web")
    db = await cloud.make("security_group", name="db")
    await cloud.bound(network, host="host-1", security_groups=[web["id"]])
    await cloud.bound(network, host="host-2", security_groups=[db["id"]])
    await cloud.make("security_group_rule", security_group_id=db["id"], direction="ingress", remote_group_id=web["id"])

    def members(host: str) -> set[str]:
        return {m for g in planes[host].state.security_groups if g.id == web["id"] for m in g.members}

    await until(lambda: members("host-2") == {"10.0.0.3"})
    third = await cloud.bound(network, host="host-3", security_groups=[web["id"]])
    await until(lambda: members("host-2") == {"10.0.0.3", "10.0.0.5"})
    answer = await cloud("PUT", f"/ports/{third['id']}", json={"port": {"security_groups": []}})
    assert answer.status == 200, answer.content
    await until(lambda: members("host-2") == {"10.0.0.3"})
    rule = await cloud.make("security_group_rule", security_group_id=web["id"], direction="ingress", protocol="tcp")

    def rules(host: str) -> set[str]:
        return {r.id for g in planes[host].state.security_groups if g.id == web["id"] for r in g.rules}

    await until(lambda: rule["id"] in rules("host-1"))
    await cloud("DELETE", f"/security-group-rules/{rule['id']}")
    await until(lambda: rule["id"] not in rules("host-1"))


async def test_agents_are_listed_with_their_heartbeat(cloud: Cloud):
    await cloud.agent()

    async def there() -> bool:
        return len((await cloud("GET", "/agents", token="admin")).json["agents"]) == 2

    await until(there)
    by_type = {one["agent_type"]: one for one in (await cloud("GET", "/agents", token="admin")).json["agents"]}
    assert set(by_type) == {AGENT_TYPE, L3_AGENT}  # the host makes routers
    agent = by_type[AGENT_TYPE]
    assert (agent["host"], agent["alive"], agent["admin_state_up"]) == (HOST, True, True)
    assert agent["configurations"]["driver"] == "noop"
    assert (agent["configurations"]["routers"], agent["configurations"]["bridge_mappings"]) == (True, {})
    found = await cloud("GET", f"/agents/{agent['id']}", token="admin")
    assert found.json["agent"] == agent
    lists = {"host=elsewhere": 0, "alive=true": 2, "alive=false": 0, "alive=true&alive=false": 2}
    for query, there_are in lists.items():
        assert len((await cloud("GET", f"/agents?{query}", token="admin")).json["agents"]) == there_are, query
    refused = await cloud("GET", "/agents?sort_key=alive", token="admin")
    assert (refused.status, "sort_keys" in refused.json["NeutronError"]["message"]) == (400, True)
    part = await cloud("GET", f"/agents/{agent['id']}?fields=host", token="admin")
    assert part.json == {"agent": {"host": HOST}}
    assert (await cloud("GET", "/agents")).json == {"agents": []}
    changed = await cloud("PUT", f"/agents/{agent['id']}", token="admin", json={"agent": {"admin_state_up": False}})
    assert changed.json["agent"]["admin_state_up"] is False
    assert (await cloud("DELETE", f"/agents/{agent['id']}", token="admin")).status == 204
    assert (await cloud("GET", f"/agents/{agent['id']}", token="admin")).json["NeutronError"]["type"] == "AgentNotFound"


async def test_an_unknown_tap_belongs_to_no_port(cloud: Cloud):
    agent, _ = await cloud.agent()
    agent._on_tap(tap_name("no-such-port"), True)
    await asyncio.sleep(0.02)
    assert cloud.compute.events == []


async def test_a_host_gets_the_sections_that_it_asks_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    """Those that the service does not know are left out; an agent without the argument gets the first two."""
    network, _ = await cloud.network()
    await cloud.bound(network)
    plugin = cloud.core.bus.client(NetworkPluginAPI)
    everything = await plugin.host_model(CTX, HOST)
    assert [n.id for n in everything.networks] == [network["id"]]
    assert everything.security_groups
    asked = await plugin.host_model(CTX, HOST, ("networks", "meters"))
    assert asked == HostModel(networks=everything.networks)
    assert everything.routers is None  # not asked for
    assert (await plugin.host_model(CTX, HOST, ("routers",))).routers == ()
    read, networks = 0, SECTIONS["networks"]

    async def counting(*words: Any) -> Any:
        nonlocal read
        read += 1
        return await networks(*words)

    monkeypatch.setitem(SECTIONS, "networks", counting)
    assert await plugin.host_model(CTX, HOST, ("networks",) * 9) == asked
    assert read == 1
    assert await plugin.host_model(CTX, HOST, ("security_groups",)) == HostModel(
        security_groups=everything.security_groups
    )


def test_a_section_of_a_later_release_is_ignored():
    text = b'{"networks": [{"id": "n", "project_id": "p", "qos": 1}], "meters": [{"id": "m"}]}'
    assert [n.id for n in msgspec.json.decode(text, type=HostModel).networks] == ["n"]
