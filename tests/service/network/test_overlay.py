"""Networks joined by tunnels: segmentation ids, and which hosts send frames to which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.core.context import service_context
from kilonova.network.agent.interface import NetworkAgentAPI
from kilonova.network.agent.model import HostModel, NetworkModel
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.agent.overlay.flood import reach
from kilonova.network.errors import PlugFailed
from kilonova.network.options import NetworkOptions
from tests.eventually import until
from tests.service.network.conftest import Cloud, running
from tests.support import PROJECT

CTX = service_context("req-test")
IPS = {"host-1": "192.0.2.1", "host-2": "192.0.2.2", "host-3": "192.0.2.3"}
RANGE = (100, 119)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with running(tmp_path, NetworkOptions(network_type="vxlan", vni_range=RANGE)) as made:
        yield made


async def planes(cloud: Cloud, *hosts: str) -> dict[str, NoopDataPlane]:
    return {host: (await cloud.agent(host, IPS[host]))[1] for host in hosts or IPS}


def shown(plane: NoopDataPlane, network: Any) -> NetworkModel | None:
    return next((n for n in plane.state.networks if n.id == network["id"]), None)


def places(plane: NoopDataPlane, network: Any) -> dict[str, str]:
    """Where a host believes the others' ports of a network to be."""
    found = shown(plane, network)
    return {p.id: p.tunnel_ip for p in found.ports if not p.local} if found is not None else {}


def peers(plane: NoopDataPlane, network: Any) -> set[str]:
    return set(places(plane, network).values()) - {""}


async def admin(cloud: Cloud, **values: Any) -> Any:
    return await cloud("POST", "/networks", token="admin", json={"network": values})


KIND, SEGMENT = "provider:network_type", "provider:segmentation_id"


async def test_a_network_gets_a_segmentation_id(cloud: Cloud):
    network, _ = await cloud.network()
    assert network["mtu"] == 1450
    assert not [key for key in network if key.startswith("provider:")]
    found = (await cloud("GET", f"/networks/{network['id']}", token="admin")).json["network"]
    assert (found[KIND], found["provider:physical_network"]) == ("vxlan", None)
    assert RANGE[0] <= found[SEGMENT] <= RANGE[1]
    (same,) = (await cloud("GET", f"/networks?{SEGMENT}={found[SEGMENT]}", token="admin")).json["networks"]
    assert same["id"] == network["id"]

    taken = await admin(cloud, **{KIND: "vxlan", SEGMENT: found[SEGMENT]})
    assert (taken.status, taken.json["NeutronError"]["type"]) == (409, "TunnelIdInUse")
    twice = [{KIND: "vxlan", SEGMENT: 4000}, {KIND: "vxlan", SEGMENT: 4000}]
    assert (await cloud("POST", "/networks", token="admin", json={"networks": twice})).status == 409
    outside = await admin(cloud, **{KIND: "vxlan", SEGMENT: 4000})
    assert outside.json["network"][SEGMENT] == 4000
    assert (await cloud("DELETE", f"/networks/{network['id']}")).status == 204
    again = await admin(cloud, **{KIND: "vxlan", SEGMENT: found[SEGMENT]})
    assert again.status == 201


async def test_what_a_network_of_its_type_can_not_be(cloud: Cloud):
    local = (await admin(cloud, **{KIND: "local"})).json["network"]
    assert (local["mtu"], local[KIND], local[SEGMENT]) == (1500, "local", None)
    refused: tuple[dict[str, Any], ...] = (
        {KIND: "vlan"}, {KIND: "local", SEGMENT: 7}, {SEGMENT: 7}, {KIND: "vxlan", SEGMENT: 0},
        {KIND: "vxlan", SEGMENT: 1 << 24}, {KIND: "vxlan", "provider:physical_network": "eth0"},
        {KIND: "vxlan", "mtu": 1451}, {KIND: "local", "mtu": 1501},
    )  # fmt: skip
    for values in refused:
        assert (await admin(cloud, **values)).status == 400, values
    assert (await cloud("POST", "/networks", json={"network": {KIND: "vxlan"}})).status == 403
    small = await cloud.make("network", mtu=1400)
    assert small["mtu"] == 1400
    path = f"/networks/{small['id']}"
    assert (await cloud("PUT", path, json={"network": {"mtu": 1451}})).status == 400
    assert (await cloud("PUT", path, json={"network": {"mtu": 1450}})).json["network"]["mtu"] == 1450


async def test_ids_asked_for_at_once_are_different_until_there_are_no_more(cloud: Cloud):
    amount = RANGE[1] - RANGE[0] + 1
    asked = [admin(cloud, name=f"n{n}", project_id=PROJECT if n % 2 else "0" * 32) for n in range(amount - 3)]
    made = [answer.json["network"] for answer in await asyncio.gather(*asked)]
    many = await cloud("POST", "/networks", token="admin", json={"networks": [{"name": "x"}] * 3})
    made += many.json["networks"]
    assert {network[SEGMENT] for network in made} == set(range(RANGE[0], RANGE[1] + 1))
    full = await admin(cloud)
    assert (full.status, full.json["NeutronError"]["type"]) == (503, "NoNetworkAvailable")
    await cloud("DELETE", f"/networks/{made[4]['id']}", token="admin")
    assert (await admin(cloud)).json["network"][SEGMENT] == made[4][SEGMENT]


async def test_hosts_learn_which_hosts_join_and_leave(cloud: Cloud):
    shows = await planes(cloud)
    one, two, three = (shows[host] for host in IPS)
    network, _ = await cloud.network()
    await cloud.bound(network, host="host-1")
    await until(lambda: shown(one, network) is not None)
    found = shown(one, network)
    assert found is not None
    assert found.segmentation_id is not None
    assert (found.mtu, peers(one, network)) == (1450, set())
    second = await cloud.bound(network, host="host-2")
    await until(lambda: (peers(one, network), peers(two, network)) == ({IPS["host-2"]}, {IPS["host-1"]}))
    assert shown(three, network) is None
    third = await cloud.bound(network, host="host-3")
    await until(lambda: peers(one, network) == {IPS["host-2"], IPS["host-3"]})
    await until(lambda: peers(two, network) == {IPS["host-1"], IPS["host-3"]})
    await until(lambda: peers(three, network) == {IPS["host-1"], IPS["host-2"]})
    await cloud.network_client.delete_ports([second["id"]])
    await until(lambda: peers(one, network) == {IPS["host-3"]} and peers(three, network) == {IPS["host-1"]})
    assert shown(two, network) is None
    answer = await cloud("PUT", f"/ports/{third['id']}", token="admin", json={"port": {"binding:host_id": ""}})
    assert answer.status == 200
    await until(lambda: peers(one, network) == set() and shown(three, network) is None)


async def test_hosts_that_join_at_once_all_know_each_other(cloud: Cloud):
    shows = await planes(cloud)
    network, _ = await cloud.network()
    await asyncio.gather(*(cloud.bound(network, host=host, security_groups=[]) for host in IPS))
    for host, plane in shows.items():
        await until(lambda h=host, p=plane: peers(p, network) == set(IPS.values()) - {IPS[h]})


async def test_other_hosts_get_no_message_for_every_port(cloud: Cloud):
    """A host that has joined already: the others' flood lists stay as they are."""
    shows = await planes(cloud, "host-1", "host-2")
    network, _ = await cloud.network()
    await asyncio.gather(*(cloud.bound(network, host=host, security_groups=[]) for host in shows))
    await until(lambda: peers(shows["host-2"], network) == {IPS["host-1"]})
    await until(lambda: peers(shows["host-1"], network) == {IPS["host-2"]})
    sent = []
    changed = cloud.agents[1].changed

    async def listen(ctx: Any, port_ids: list[str]) -> None:
        sent.append(port_ids)
        await changed(ctx, port_ids)

    cloud.agents[1].changed = listen  # type: ignore[method-assign]
    port = await cloud.bound(network, host="host-1", security_groups=[])
    await until(lambda: len([p for n in shows["host-1"].state.networks for p in n.ports if p.local]) == 2)
    assert port["id"] not in places(shows["host-2"], network)
    await cloud.network_client.delete_ports([port["id"]])
    await until(lambda: len([p for n in shows["host-1"].state.networks for p in n.ports if p.local]) == 1)
    mine = await cloud.bound(network, host="host-2", security_groups=[])
    await until(lambda: sent)
    assert sent == [[mine["id"]]]


async def test_a_port_whose_guest_is_about_to_move(cloud: Cloud):
    """Both hosts show it until it is bound to the other, which reaches the one where the guest still is."""
    shows = await planes(cloud, "host-1", "host-2")
    one, two = shows["host-1"], shows["host-2"]
    network, _ = await cloud.network()
    port = await cloud.bound(network, host="host-1")
    url = f"/ports/{port['id']}"

    def local(plane: NoopDataPlane) -> set[str]:
        return {p.id for n in plane.state.networks for p in n.ports if p.local}

    async def bind(**values: Any) -> Any:
        body = {"port": {f"binding:{name}": value for name, value in values.items()}}
        answer = await cloud("PUT", url, token="service", json=body)
        assert answer.status == 200, answer.content
        return answer.json["port"]

    await until(lambda: local(one) == {port["id"]})
    await bind(profile={"migrating_to": "host-2", "kept": "x"})
    await until(lambda: local(two) == {port["id"]})
    assert reach(two.state.networks[0], IPS["host-2"]).peers == {IPS["host-1"]}
    assert (await cloud.port(port["id"]))["binding:host_id"] == "host-1"
    await cloud.core.bus.client(NetworkAgentAPI, host="host-2").plug(CTX, [port["id"]])
    assert local(one) == {port["id"]}
    await bind(profile={"kept": "x"})  # it stays
    await until(lambda: local(two) == set())
    await bind(profile={"migrating_to": "host-2", "kept": "x"})
    await until(lambda: local(two) == {port["id"]})
    moved = await bind(host_id="host-2")
    assert moved["binding:profile"] == {"kept": "x"}
    await until(lambda: local(one) == set())
    assert local(two) == {port["id"]}
    cloud.compute.events.clear()
    await cloud.core.bus.client(NetworkAgentAPI, host="host-2").plug(CTX, [port["id"]])
    await until(lambda: {e["tag"] for e in cloud.compute.named("network-vif-plugged")} == {port["id"]})


async def test_a_port_that_moves(cloud: Cloud):
    shows = await planes(cloud)
    one, two, three = (shows[host] for host in IPS)
    network, _ = await cloud.network()
    for host in IPS:
        await cloud.bound(network, host=host)
    port = await cloud.bound(network, host="host-2")
    await until(lambda: port["id"] in {p.id for n in two.state.networks for p in n.ports if p.local})

    answer = await cloud(
        "PUT", f"/ports/{port['id']}", token="service", json={"port": {"binding:host_id": "host-3"}}
    )  # as a live migration or an evacuation does
    assert answer.status == 200
    await until(lambda: places(one, network).get(port["id"]) == IPS["host-3"])
    await until(lambda: places(two, network).get(port["id"]) == IPS["host-3"])
    await until(lambda: port["id"] in {p.id for n in three.state.networks for p in n.ports if p.local})
    agent = cloud.core.bus.client(NetworkAgentAPI, host="host-3")
    cloud.compute.events.clear()
    await agent.plug(CTX, [port["id"]])
    await until(lambda: {e["tag"] for e in cloud.compute.named("network-vif-plugged")} == {port["id"]})

    body = {
        "id": port["id"], "network_id": network["id"], "project_id": PROJECT, "device_id": port["device_id"],
        "device_owner": "compute:nova", "binding:host_id": "host-1",
    }  # fmt: skip
    made = await cloud("POST", "/ports", token="service", json={"ports": [body]})  # a launch that is tried elsewhere
    assert (made.status, made.json["ports"][0]["id"]) == (201, port["id"])
    assert made.json["ports"][0]["fixed_ips"] == port["fixed_ips"]
    await until(lambda: places(two, network).get(port["id"]) == IPS["host-1"])
    await until(lambda: places(three, network).get(port["id"]) == IPS["host-1"])
    await cloud.core.bus.client(NetworkAgentAPI, host="host-1").plug(CTX, [port["id"]])

    async def settled() -> bool:
        found = await cloud.port(port["id"])
        return (found["binding:host_id"], found["status"]) == ("host-1", "ACTIVE")

    await until(settled)
    again = await cloud("POST", "/ports", token="service", json={"ports": [body]})  # asked twice: nothing is undone
    assert again.json["ports"][0]["status"] == "ACTIVE"


async def test_an_agent_that_comes_later_or_with_another_address(cloud: Cloud):
    (one,) = (await planes(cloud, "host-1")).values()
    network, _ = await cloud.network()
    await cloud.bound(network, host="host-1")
    await cloud.bound(network, host="host-2")  # its address is not known yet
    await until(lambda: shown(one, network))
    assert places(one, network) == {}
    agent, _ = await cloud.agent("host-2", "192.0.2.9")
    await until(lambda: peers(one, network) == {"192.0.2.9"})
    await agent.stop()
    cloud.agents.remove(agent)
    await cloud.agent("host-2", IPS["host-2"])
    await until(lambda: peers(one, network) == {IPS["host-2"]})
    found, _ = (await cloud("GET", "/agents?host=host-2", token="admin")).json["agents"]
    assert (found["alive"], found["configurations"]["tunneling_ip"]) == (True, IPS["host-2"])
    assert found["configurations"]["tunnel_types"] == ["vxlan"]


async def test_a_host_without_tunnels_takes_no_port_that_needs_them(cloud: Cloud):
    await cloud.agent("host-1")
    network, _ = await cloud.network()
    port = await cloud.bound(network, host="host-1")
    agent = cloud.core.bus.client(NetworkAgentAPI, host="host-1")
    with pytest.raises(PlugFailed, match=r"host-1: its network needs tunnels: set dataplane\.tunnel_ip"):
        await agent.plug(CTX, [port["id"]])
    local = (await admin(cloud, **{KIND: "local", "project_id": PROJECT})).json["network"]
    await agent.plug(CTX, [(await cloud.bound(local, host="host-1"))["id"]])


async def test_local_networks_know_no_tunnels(cloud: Cloud):
    shows = await planes(cloud, "host-1", "host-2")
    local = (await admin(cloud, **{KIND: "local", "project_id": PROJECT})).json["network"]
    for host in shows:
        await cloud.bound(local, host=host)
    await until(lambda: shown(shows["host-2"], local))
    found = shown(shows["host-2"], local)
    assert found is not None
    assert (found.segmentation_id, peers(shows["host-2"], local)) == (None, set())


async def test_members_on_other_hosts_when_their_host_is_gone(cloud: Cloud):
    """Ports keep their place in remote groups while their agent is down, and leave them with the port."""
    agent, _ = await cloud.agent("host-1", IPS["host-1"])
    two = (await planes(cloud, "host-2"))["host-2"]
    network, _ = await cloud.network()
    first = await cloud.bound(network, host="host-1")
    await cloud.bound(network, host="host-2")
    default = first["security_groups"][0]

    def members(state: HostModel) -> set[str]:
        return {m for group in state.security_groups if group.id == default for m in group.members}

    await until(lambda: members(two.state) == {"10.0.0.3", "10.0.0.4"})
    await agent.stop()
    cloud.agents.remove(agent)
    await cloud.network_client.delete_ports([first["id"]])
    await until(lambda: members(two.state) == {"10.0.0.4"} and peers(two, network) == set())
