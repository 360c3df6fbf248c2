"""Guests that ask a router on another host for metadata: what that host learns of them."""

from __future__ import annotations

from typing import Any

from kilonova.core.context import service_context
from kilonova.core.grants import METADATA
from kilonova.network.agent.dataplane import MetadataCaller
from kilonova.network.agent.interface import NetworkPluginAPI
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import join, living
from tests.support import PROJECT

ELSEWHERE = "host-2"


async def caller(cloud: Cloud, network: Any, address: str, host: str = HOST) -> MetadataCaller | None:
    plugin = cloud.core.bus.client(NetworkPluginAPI)
    return await plugin.metadata_caller(service_context("req-1"), host, network["id"], address)


async def test_a_guest_on_another_host_than_its_router(cloud: Cloud) -> None:
    await living(cloud)
    network, subnet = await cloud.network(enable_dhcp=False)
    port = await cloud.bound(network, host=ELSEWHERE)
    (address,) = [one["ip_address"] for one in port["fixed_ips"]]
    assert await caller(cloud, network, address) is None  # no router yet
    router = await cloud.make("router", name="r")
    assert (await join(cloud, router, subnet_id=subnet["id"])).status == 200
    found = await caller(cloud, network, address)
    assert found is not None
    assert (found.device_id, found.project_id) == (port["device_id"], PROJECT)
    now = cloud.core.clock.now().timestamp()
    grant = cloud.core.grants.read(found.grant, now, METADATA)
    assert grant is not None
    assert (grant.server, grant.host, grant.fresh) == (port["device_id"], HOST, True)
    late = cloud.core.grants.read(found.grant, now + 3600, METADATA)
    assert late is not None
    assert not late.fresh
    assert cloud.core.grants.read(found.grant, now) is None  # nothing else may be done with it


async def test_what_no_host_learns(cloud: Cloud) -> None:
    await living(cloud)
    network, subnet = await cloud.network()
    other, _ = await cloud.network("10.9.0.0/24")
    router = await cloud.make("router", name="r")
    assert (await join(cloud, router, subnet_id=subnet["id"])).status == 200
    port, apart = await cloud.bound(network, host=ELSEWHERE), await cloud.bound(other, host=ELSEWHERE)
    free = await cloud.make("port", network_id=network["id"], device_id=port["device_id"])
    address, away, unbound = (one["fixed_ips"][0]["ip_address"] for one in (port, apart, free))
    assert await caller(cloud, network, address) is not None
    assert await caller(cloud, network, address, host=ELSEWHERE) is None  # it has not the router
    assert await caller(cloud, other, away) is None  # a network without a router
    for wrong in (unbound, subnet["gateway_ip"], "10.0.0.250", "nonsense", ""):
        assert await caller(cloud, network, wrong) is None, wrong
    assert (await cloud("DELETE", f"/ports/{port['id']}", token="service")).status == 204
    assert await caller(cloud, network, address) is None


async def test_only_ports_of_this_host_are_known_to_it(cloud: Cloud) -> None:
    """What an agent holds of other hosts' ports may be old: of these it asks."""
    from kilonova.network.agent.metadata.part import _callers

    _, plane = await cloud.agent(tunnel_ip="192.0.2.1")
    await cloud.agent(ELSEWHERE, tunnel_ip="192.0.2.2")
    network, _ = await cloud.network()
    mine, theirs = await cloud.bound(network), await cloud.bound(network, host=ELSEWHERE)
    await cloud.agents[0].plug(service_context("req-1"), [mine["id"]])
    held = {port.id for one in plane.state.networks for port in one.ports}
    assert mine["id"] in held
    assert [caller.device_id for _, caller in _callers(plane.state)] == [mine["device_id"]], theirs
