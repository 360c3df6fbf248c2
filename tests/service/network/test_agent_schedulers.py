"""What agents host: routers are given to hosts and taken from them, new ones go to hosts that are administratively up."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from kilonova.network import tables
from kilonova.network.agent.interface import AGENT_TYPE, BRIDGE_MAPPINGS, L3_AGENT
from tests.databases import statements_of
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import NOWHERE, external, join, leave, living, model, refused
from tests.support import PROJECT

OTHER = "host-2"


async def agents(cloud: Cloud, kind: str = L3_AGENT) -> dict[str, Any]:
    """By host."""
    found = (await cloud("GET", f"/agents?agent_type={kind}", token="admin")).json["agents"]
    return {agent["host"]: agent for agent in found}


async def routers_on(cloud: Cloud, agent: Any) -> list[str]:
    answer = await cloud("GET", f"/agents/{agent['id']}/l3-routers", token="admin")
    assert answer.status == 200, answer.content
    return [router["id"] for router in answer.json["routers"]]


async def hosts_of(cloud: Cloud, router: Any) -> list[str]:
    answer = await cloud("GET", f"/routers/{router['id']}/l3-agents", token="admin")
    assert answer.status == 200, answer.content
    assert {agent["agent_type"] for agent in answer.json["agents"]} <= {L3_AGENT}
    return [agent["host"] for agent in answer.json["agents"]]


async def give(cloud: Cloud, agent: Any, router: Any, token: str = "admin") -> Any:
    return await cloud("POST", f"/agents/{agent['id']}/l3-routers", token=token, json={"router_id": router["id"]})


async def take(cloud: Cloud, agent: Any, router: Any, token: str = "admin") -> Any:
    return await cloud("DELETE", f"/agents/{agent['id']}/l3-routers/{router['id']}", token=token)


async def test_a_router_moves_to_another_host(cloud: Cloud) -> None:
    await living(cloud)
    _, subnet = await cloud.network()
    router = await cloud.make("router", name="r1")
    port_id = (await join(cloud, router, subnet_id=subnet["id"])).json["port_id"]
    await living(cloud, OTHER)
    by_host = await agents(cloud)
    here, there = by_host[HOST], by_host[OTHER]
    assert (await routers_on(cloud, here), await routers_on(cloud, there)) == ([router["id"]], [])
    assert await hosts_of(cloud, router) == [HOST]
    refused(await give(cloud, there, router), 409, "RouterHostedByL3Agent", here["id"])
    assert (await give(cloud, here, router)).status == 201  # it is there already
    refused(await take(cloud, there, router), 409, "RouterNotHostedByL3Agent")

    assert (await take(cloud, here, router)).status == 204
    assert (await hosts_of(cloud, router), await model(cloud)) == ([], ())
    assert (await cloud.port(port_id))["binding:host_id"] == ""
    await living(cloud)  # its heartbeats do not take the router again
    assert await hosts_of(cloud, router) == []
    added = await give(cloud, there, router)
    assert (added.status, added.json) == (201, {})
    assert await hosts_of(cloud, router) == [OTHER]
    assert [one.id for one in await model(cloud, OTHER)] == [router["id"]]
    moved = await cloud.port(port_id)
    assert (moved["binding:host_id"], moved["status"]) == (OTHER, "DOWN")


async def test_a_router_that_was_taken_from_its_host_is_placed_when_it_changes(cloud: Cloud) -> None:
    await living(cloud)
    router = await cloud.make("router", name="r1")
    (agent,) = (await agents(cloud)).values()
    assert (await take(cloud, agent, router)).status == 204
    assert (await cloud("PUT", f"/routers/{router['id']}", json={"router": {"name": "r2"}})).status == 200
    assert await hosts_of(cloud, router) == [HOST]


async def test_routers_that_are_not_given(cloud: Cloud) -> None:
    public, _ = await external(cloud, **{"provider:network_type": "flat", "provider:physical_network": "public"})
    router = await cloud.make("router", name="r1", external_gateway_info={"network_id": public["id"]})
    await living(cloud)
    agent, nothing = (await agents(cloud))[HOST], {"id": NOWHERE}
    refused(await give(cloud, agent, router), 409, "RouterSchedulingFailed", "public")
    refused(await give(cloud, (await agents(cloud, AGENT_TYPE))[HOST], router), 404, "InvalidL3Agent")
    refused(await give(cloud, nothing, router), 404, "AgentNotFound")
    refused(await give(cloud, agent, nothing), 404, "RouterNotFound")
    refused(await take(cloud, agent, nothing), 404, "RouterNotFound")
    for body in ({}, {"router_id": "x"}, {"router_id": router["id"], "more": 1}):
        refused(
            await cloud("POST", f"/agents/{agent['id']}/l3-routers", token="admin", json=body), 400, "HTTPBadRequest"
        )
    refused(await cloud("GET", f"/agents/{NOWHERE}/l3-routers", token="admin"), 404, "AgentNotFound", NOWHERE)
    refused(await cloud("GET", f"/routers/{NOWHERE}/l3-agents", token="admin"), 404, "RouterNotFound")
    free = await cloud.make("router", name="r2")
    assert (await take(cloud, agent, free)).status == 204
    async with cloud.service.database.transaction() as tx:  # it is silent for some time
        await tx.connection.execute(update(tables.agents).values(heartbeat_timestamp="2026-01-01T00:00:00+00:00"))
    refused(await give(cloud, agent, free), 409, "RouterSchedulingFailed", "down")


@pytest.mark.parametrize("kind", [AGENT_TYPE, L3_AGENT])
async def test_hosts_that_are_administratively_down_get_no_routers(cloud: Cloud, kind: str) -> None:
    await living(cloud)
    await living(cloud, OTHER)
    old = await cloud.make("router", name="old")
    assert await hosts_of(cloud, old) == [HOST]
    for host, agent in (await agents(cloud, kind)).items():
        if host == HOST:
            path, down = f"/agents/{agent['id']}", {"agent": {"admin_state_up": False}}
            assert (await cloud("PUT", path, token="admin", json=down)).json["agent"]["admin_state_up"] is False
    await living(cloud)
    made = [await cloud.make("router", name=f"r{n}") for n in range(3)]
    assert [await hosts_of(cloud, router) for router in (old, *made)] == [[HOST], *[[OTHER]] * 3]
    if kind == L3_AGENT:
        (agent,) = [a for h, a in (await agents(cloud)).items() if h == HOST]
        (taken,) = [a for h, a in (await agents(cloud)).items() if h == OTHER]
        assert (await take(cloud, taken, made[0])).status == 204
        refused(await give(cloud, agent, made[0]), 404, "InvalidL3Agent")


async def test_heartbeats_cost_the_same_for_many_routers_without_a_host(cloud: Cloud) -> None:
    public, _ = await external(cloud, **{"provider:network_type": "flat", "provider:physical_network": "public"})
    await cloud("PUT", "/quotas/" + public["project_id"], token="admin", json={"quota": {"router": -1}})
    body = [{"name": f"r{n}", "external_gateway_info": {"network_id": public["id"]}} for n in range(5)]
    assert (await cloud("POST", "/routers", token="admin", json={"routers": body})).status == 201
    await living(cloud)
    sent = await statements_of(cloud.service.database)
    await living(cloud)
    assert (
        len(sent) == 4
    )  # the agents, changes that they have taken, their heartbeat, routers that this host could make
    free = [{"name": f"r{n}"} for n in range(20)]
    before = await agents(cloud)
    for agent in before.values():
        assert (await cloud("DELETE", f"/agents/{agent['id']}", token="admin")).status == 204
    waiting = (await cloud("POST", "/routers", token="admin", json={"routers": free})).json["routers"]
    assert [await hosts_of(cloud, one) for one in waiting[:1]] == [[]]
    await cloud.forgotten()
    sent.clear()
    await living(cloud, OTHER, **{BRIDGE_MAPPINGS: {"public": "br-ex"}})
    await cloud.forgotten()
    assert len(await model(cloud, OTHER)) == 25
    assert len(sent) < 30


async def test_hosts_forget_one_that_a_router_left(cloud: Cloud) -> None:
    """It had no other port of the network, which is joined by tunnels."""
    _, plane = await cloud.agent(HOST, "192.0.2.1")
    await cloud.agent(OTHER, "192.0.2.2")

    async def both() -> bool:
        return set(await agents(cloud)) == {HOST, OTHER}

    await until(both)
    network = await cloud.make("network", "admin", project_id=PROJECT, **{"provider:network_type": "vxlan"})
    subnet = await cloud.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    await cloud.bound(network)
    made = [await cloud.make("router", name=name) for name in ("one", "two")]
    (router,) = [each for each in made if await hosts_of(cloud, each) == [OTHER]]
    await join(cloud, router, subnet_id=subnet["id"])

    def others() -> set[str]:
        return {port.tunnel_ip for shown in plane.state.networks for port in shown.ports} - {""}

    await until(lambda: others() == {"192.0.2.2"})
    assert (await leave(cloud, router, subnet_id=subnet["id"])).status == 200
    await until(lambda: others() == set())


async def test_where_dhcp_is_served(cloud: Cloud) -> None:
    for host in (HOST, OTHER):
        await living(cloud, host)
    network, _ = await cloud.network()
    plain = await cloud.make("network", name="without")
    await cloud.make("subnet", network_id=plain["id"], cidr="10.1.0.0/24", enable_dhcp=False)
    for one in (network, plain):
        await cloud.bound(one)
    agent = (await agents(cloud, AGENT_TYPE))[HOST]
    served = await cloud("GET", f"/agents/{agent['id']}/dhcp-networks", token="admin")
    assert [one["id"] for one in served.json["networks"]] == [network["id"]]
    for one, hosts in ((network, [HOST]), (plain, [])):
        found = await cloud("GET", f"/networks/{one['id']}/dhcp-agents", token="admin")
        assert [a["host"] for a in found.json["agents"]] == hosts
    refused(await cloud("GET", f"/networks/{NOWHERE}/dhcp-agents", token="admin"), 404, "NetworkNotFound")
    refused(await cloud("GET", f"/agents/{NOWHERE}/dhcp-networks", token="admin"), 404, "AgentNotFound")


async def test_it_is_for_admins(cloud: Cloud) -> None:
    await living(cloud)
    router = await cloud.make("router", name="r1")
    network, _ = await cloud.network()
    agent = (await agents(cloud))[HOST]
    for token in ("member", "foreign"):
        for path in ("l3-routers", "dhcp-networks"):
            assert (await cloud("GET", f"/agents/{agent['id']}/{path}", token=token)).status == 403
        assert (await cloud("GET", f"/routers/{router['id']}/l3-agents", token=token)).status == 403
        assert (await cloud("GET", f"/networks/{network['id']}/dhcp-agents", token=token)).status == 403
        assert (await give(cloud, agent, router, token)).status == 403
        assert (await take(cloud, agent, router, token)).status == 403
