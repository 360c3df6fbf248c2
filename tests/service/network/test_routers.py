"""Routers over HTTP: gateways, interfaces, routes, where they are made, and what a host gets of them."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.core.context import service_context
from kilonova.network.agent.interface import AGENT_TYPE, BRIDGE_MAPPINGS, MAKES_ROUTERS, AgentState
from kilonova.network.hosts.router_hosts import suits
from tests.service.network.conftest import HOST, Cloud
from tests.support import PROJECT

SECTIONS = ("networks", "routers")
NOWHERE = "00000000-0000-0000-0000-000000000001"


async def living(cloud: Cloud, host: str = HOST, *, zone: str = "nova", **configurations: Any) -> None:
    """A host that makes routers."""
    state = AgentState(
        host=host, agent_type=AGENT_TYPE, binary="b", started_at="2026-01-01T00:00:00Z", availability_zone=zone,
        configurations={MAKES_ROUTERS: True} | configurations,
    )  # fmt: skip
    await cloud.service._plugin._agents.heartbeat(service_context("req-1"), state)


async def model(cloud: Cloud, host: str = HOST) -> Any:
    found = await cloud.service._plugin._hosts.model(host, SECTIONS)
    return found.routers


async def external(cloud: Cloud, cidr: str = "198.51.100.0/24", **values: Any) -> tuple[Any, Any]:
    network = await cloud.make("network", "admin", name="public", **({"router:external": True} | values))
    return network, await cloud.make("subnet", "admin", network_id=network["id"], cidr=cidr, enable_dhcp=False)


async def join(cloud: Cloud, router: Any, token: str = "member", **what: str) -> Any:
    return await cloud("PUT", f"/routers/{router['id']}/add_router_interface", token=token, json=what)


async def leave(cloud: Cloud, router: Any, token: str = "member", **what: str) -> Any:
    return await cloud("PUT", f"/routers/{router['id']}/remove_router_interface", token=token, json=what)


def refused(answer: Any, status: int, kind: str, text: str = "") -> None:
    assert answer.status == status, answer.content
    found = answer.json["NeutronError"]
    assert found["type"] == kind
    assert text in found["message"]


async def test_a_router_with_gateway_and_interface(cloud: Cloud) -> None:
    await living(cloud)
    public, ext_subnet = await external(cloud)
    network, subnet = await cloud.network()
    router = await cloud.make("router", name="r1", external_gateway_info={"network_id": public["id"]})
    assert router["status"] == "ACTIVE"
    assert router["project_id"] == router["tenant_id"] == PROJECT
    gateway = router["external_gateway_info"]
    assert (gateway["network_id"], gateway["enable_snat"]) == (public["id"], True)
    (held,) = gateway["external_fixed_ips"]
    assert held["subnet_id"] == ext_subnet["id"]
    assert "distributed" not in router
    assert "ha" not in router

    answer = await join(cloud, router, subnet_id=subnet["id"])
    assert answer.status == 200, answer.content
    made = answer.json
    assert made["id"] == router["id"]
    assert (made["subnet_id"], made["subnet_ids"], made["network_id"]) == (subnet["id"], [subnet["id"]], network["id"])
    port = await cloud.port(made["port_id"])
    assert port["device_owner"] == "network:router_interface"
    assert port["device_id"] == router["id"]
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    assert (port["binding:host_id"], port["project_id"]) == (HOST, PROJECT)

    (shown,) = await model(cloud)
    assert shown.id == router["id"]
    assert [(i.port_id, i.addresses) for i in shown.interfaces] == [(port["id"], ("10.0.0.1/24",))]
    assert shown.gateway.addresses == (f"{held['ip_address']}/24",)
    assert shown.gateway.next_hops == ("198.51.100.1",)
    assert shown.gateway.enable_snat

    refused(await cloud("DELETE", f"/routers/{router['id']}"), 409, "RouterInUse", "still has ports")
    answer = await leave(cloud, router, subnet_id=subnet["id"])
    assert (answer.status, answer.json["port_id"]) == (200, port["id"])
    assert (await cloud("GET", f"/ports/{port['id']}", token="admin")).status == 404
    assert (await cloud("DELETE", f"/routers/{router['id']}")).status == 204
    assert (await cloud("GET", f"/routers/{router['id']}")).status == 404
    assert await model(cloud) == ()
    assert (await cloud("GET", f"/ports?network_id={public['id']}", token="admin")).json["ports"] == []


async def test_the_gateway_changes(cloud: Cloud) -> None:
    await living(cloud)
    public, _ = await external(cloud)
    other, _ = await external(cloud, "203.0.113.0/24")
    router = await cloud.make("router", name="r1")
    assert router["external_gateway_info"] is None

    async def change(token: str = "member", **gateway: Any) -> Any:
        body = {"router": {"external_gateway_info": gateway or None}}
        return await cloud("PUT", f"/routers/{router['id']}", token=token, json=body)

    fixed = [{"ip_address": "198.51.100.9"}]
    assert (await change(network_id=public["id"], external_fixed_ips=fixed)).status == 403
    assert (await change(network_id=public["id"], enable_snat=False)).status == 403
    answer = await change("admin", network_id=public["id"], external_fixed_ips=fixed, enable_snat=False)
    gateway = answer.json["router"]["external_gateway_info"]
    assert (gateway["external_fixed_ips"][0]["ip_address"], gateway["enable_snat"]) == ("198.51.100.9", False)
    answer = await change("admin", network_id=public["id"], external_fixed_ips=[{"ip_address": "198.51.100.10"}])
    gateway = answer.json["router"]["external_gateway_info"]
    assert (gateway["external_fixed_ips"][0]["ip_address"], gateway["enable_snat"]) == ("198.51.100.10", True)
    answer = await change(network_id=other["id"])
    assert answer.json["router"]["external_gateway_info"]["network_id"] == other["id"]
    assert (await cloud("GET", f"/ports?network_id={public['id']}", token="admin")).json["ports"] == []
    assert (await change()).json["router"]["external_gateway_info"] is None
    assert (await cloud("GET", f"/ports?network_id={other['id']}", token="admin")).json["ports"] == []

    private, _ = await cloud.network()
    refused(await change(network_id=private["id"]), 400, "BadRequest", "is not an external network")
    refused(await change(network_id=NOWHERE), 404, "NetworkNotFound")
    refused(
        await change("admin", network_id=public["id"], external_fixed_ips=[{"ip_address": "198.51.100.1"}]),
        400, "BadRequest", "is the same as the gateway IP",
    )  # fmt: skip
    refused(await change("admin", enable_snat=True), 400, "HTTPBadRequest", "network_id")


@pytest.mark.parametrize(
    ("what", "status", "kind", "text"),
    [
        ({}, 400, "BadRequest", "Either subnet_id or port_id must be specified"),
        ({"subnet_id": NOWHERE, "port_id": NOWHERE}, 400, "BadRequest", "Cannot specify both subnet-id and port-id"),
        ({"subnet_id": "x"}, 400, "BadRequest", "'x' is not a valid UUID"),
        ({"subnet_id": NOWHERE}, 404, "SubnetNotFound", ""),
        ({"port_id": NOWHERE}, 404, "PortNotFound", ""),
    ],
)
async def test_interfaces_that_are_refused(
    cloud: Cloud, what: dict[str, str], status: int, kind: str, text: str
) -> None:
    router = await cloud.make("router", name="r1")
    refused(await join(cloud, router, **what), status, kind, text)
    assert (await cloud("GET", "/ports", token="admin")).json["ports"] == []


async def test_interfaces_that_do_not_fit(cloud: Cloud) -> None:
    router = await cloud.make("router", name="r1")
    _, subnet = await cloud.network()
    _, same = await cloud.network("10.0.0.128/25")
    _, without = await cloud.network("10.1.0.0/24", gateway_ip=None)
    network, _ = await cloud.network("10.2.0.0/24")
    bound = await cloud.bound(network)
    assert (await join(cloud, router, subnet_id=subnet["id"])).status == 200
    refused(await join(cloud, router, subnet_id=subnet["id"]), 400, "BadRequest", "already has a port on subnet")
    refused(await join(cloud, router, subnet_id=same["id"]), 400, "BadRequest", "overlaps with cidr 10.0.0.0/24")
    refused(await join(cloud, router, subnet_id=without["id"]), 400, "BadRequest", "must have a gateway IP")
    refused(await join(cloud, router, port_id=bound["id"]), 409, "PortInUse", bound["device_id"])
    empty = await cloud.make("port", network_id=network["id"], fixed_ips=[])
    refused(await join(cloud, router, port_id=empty["id"]), 400, "BadRequest", "must have at least one fixed IP")
    taken = await cloud.make("port", network_id=network["id"])
    assert (await join(cloud, router, port_id=taken["id"])).status == 200
    assert (await cloud.port(taken["id"]))["device_owner"] == "network:router_interface"
    another = await cloud.make("router", name="r2")
    refused(await join(cloud, another, port_id=taken["id"]), 409, "PortInUse")
    refused(await join(cloud, another, subnet_id=subnet["id"]), 409, "IpAddressInUse")
    refused(await leave(cloud, another, port_id=taken["id"]), 404, "RouterInterfaceNotFound")
    refused(await leave(cloud, another, subnet_id=subnet["id"]), 404, "RouterInterfaceNotFoundForSubnet")
    refused(await leave(cloud, router, port_id=taken["id"], subnet_id=subnet["id"]), 400, "SubnetMismatchForPort")
    assert (await leave(cloud, router, port_id=taken["id"])).status == 200
    assert (await cloud("GET", f"/ports/{taken['id']}", token="admin")).status == 404


async def test_ports_of_routers_are_not_deleted_by_themselves(cloud: Cloud) -> None:
    public, _ = await external(cloud)
    router = await cloud.make("router", name="r1", external_gateway_info={"network_id": public["id"]})
    _, subnet = await cloud.network()
    made = (await join(cloud, router, subnet_id=subnet["id"])).json
    refused(await cloud("DELETE", f"/ports/{made['port_id']}"), 409, "ServicePortInUse", "network:router_interface")
    (gateway,) = (await cloud("GET", f"/ports?network_id={public['id']}", token="admin")).json["ports"]
    refused(await cloud("DELETE", f"/ports/{gateway['id']}", token="admin"), 409, "ServicePortInUse")
    refused(await cloud("DELETE", f"/subnets/{subnet['id']}"), 409, "SubnetInUse")
    refused(await cloud("DELETE", f"/networks/{made['network_id']}"), 409, "NetworkInUse")
    refused(
        await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": {"gateway_ip": None}}),
        409, "GatewayIpInUse", made["port_id"],
    )  # fmt: skip
    refused(
        await cloud("PUT", f"/networks/{public['id']}", token="admin", json={"network": {"router:external": False}}),
        409, "ExternalNetworkInUse",
    )  # fmt: skip


async def test_routes(cloud: Cloud) -> None:
    await living(cloud)
    router = await cloud.make("router", name="r1")
    _, subnet = await cloud.network()
    await join(cloud, router, subnet_id=subnet["id"])
    path = f"/routers/{router['id']}"

    async def put(*routes: tuple[str, str], where: str = "", wrap: bool = True) -> Any:
        body = {"routes": [{"destination": to, "nexthop": via} for to, via in routes]}
        return await cloud("PUT", path + where, json={"router": body})

    one, two = ("10.9.0.0/16", "10.0.0.7"), ("2001:db8::/32", "fe80::1")
    answer = await put(one)
    assert answer.json["router"]["routes"] == [{"destination": one[0], "nexthop": one[1]}]
    assert (await model(cloud))[0].routes == (one,)
    refused(await put(("10.9.0.0/16", "10.5.0.1")), 400, "InvalidRoutes", "the nexthop is not connected with router")
    refused(await put(("10.9.0.0/16", "10.0.0.1")), 400, "InvalidRoutes", "the nexthop is used by router")
    refused(await put(two), 400, "InvalidRoutes", "not connected")
    refused(await put(("10.9.0.1/16", "10.0.0.7")), 400, "InvalidRoutes", "10.9.0.0/16")
    refused(await put(("fe80::%lo/64", "10.0.0.7")), 400, "InvalidRoutes")
    refused(await put(one, one), 400, "InvalidRoutes", "duplicate")
    many = [(f"10.9.{n}.0/24", "10.0.0.7") for n in range(31)]
    refused(await put(*many), 400, "RoutesExhausted", "30")
    refused(await leave(cloud, router, subnet_id=subnet["id"]), 409, "RouterInterfaceInUseByRoute")

    extra = ("10.8.0.0/16", "10.0.0.8")
    answer = await put(extra, one, where="/add_extraroutes")
    assert [r["destination"] for r in answer.json["router"]["routes"]] == [one[0], extra[0]]
    answer = await put(one, ("10.7.0.0/16", "10.0.0.9"), where="/remove_extraroutes")
    assert [r["destination"] for r in answer.json["router"]["routes"]] == [extra[0]]
    assert (await put()).json["router"]["routes"] == []
    assert (await leave(cloud, router, subnet_id=subnet["id"])).status == 200


async def test_another_project_sees_nothing(cloud: Cloud) -> None:
    router = await cloud.make("router", name="r1")
    _, subnet = await cloud.network()
    path = f"/routers/{router['id']}"
    for method, where, body in (
        ("GET", "", None),
        ("PUT", "", {"router": {"name": "mine"}}),
        ("DELETE", "", None),
        ("PUT", "/add_router_interface", {"subnet_id": subnet["id"]}),
        ("PUT", "/remove_router_interface", {"subnet_id": subnet["id"]}),
        ("PUT", "/add_extraroutes", {"router": {"routes": []}}),
        ("PUT", "/remove_extraroutes", {"router": {"routes": []}}),
    ):
        answer = await cloud(method, path + where, token="foreign", json=body)
        refused(answer, 404, "RouterNotFound")
    assert (await cloud("GET", "/routers", token="foreign")).json["routers"] == []
    theirs = await cloud.make("router", "foreign", name="theirs")
    refused(await join(cloud, theirs, "foreign", subnet_id=subnet["id"]), 404, "SubnetNotFound")
    reader = await cloud("PUT", path, token="reader", json={"router": {"name": "x"}})
    assert reader.status == 403
    assert (await cloud("GET", path, token="reader")).status == 200


async def test_a_subnet_of_a_shared_network_is_its_owners(cloud: Cloud) -> None:
    network = await cloud.make("network", "admin", name="shared", shared=True)
    subnet = await cloud.make("subnet", "admin", network_id=network["id"], cidr="10.6.0.0/24")
    router = await cloud.make("router", name="r1")
    refused(await join(cloud, router, subnet_id=subnet["id"]), 400, "BadRequest", "is not owned by project")


async def test_quota(cloud: Cloud) -> None:
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"router": 1}})
    await cloud.make("router", name="r1")
    refused(await cloud("POST", "/routers", json={"router": {}}), 409, "OverQuota", "router")
    details = (await cloud("GET", f"/quotas/{PROJECT}/details", token="admin")).json["quota"]["router"]
    assert details == {"limit": 1, "used": 1, "reserved": 0}


async def test_routers_are_spread_and_wait_for_a_host(cloud: Cloud) -> None:
    public, _ = await external(cloud)
    router = await cloud.make("router", name="r1", external_gateway_info={"network_id": public["id"]})
    assert router["availability_zones"] == []
    assert await model(cloud) == ()
    await living(cloud)
    (shown,) = await model(cloud)
    assert shown.id == router["id"]
    (port,) = (await cloud("GET", f"/ports?network_id={public['id']}", token="admin")).json["ports"]
    assert port["binding:host_id"] == HOST
    await living(cloud, "host-2")
    await cloud.make("router", name="r2", external_gateway_info={"network_id": public["id"]})
    assert [len(await model(cloud, host)) for host in (HOST, "host-2")] == [1, 1]


async def test_routers_are_made_in_the_zones_of_their_hints(cloud: Cloud) -> None:
    await living(cloud, zone="east")
    await living(cloud, "host-2", zone="west")
    for hints in (["nowhere"], ["east", "nowhere"]):
        for resource in ("router", "network"):
            body = {resource: {"availability_zone_hints": hints}}
            answer = await cloud("POST", f"/{resource}s", json=body)
            refused(answer, 404, "AvailabilityZoneNotFound", "AvailabilityZone nowhere could not be found.")
    for hints, zones in ((["west"], ["west"]), (["west"], ["west"]), (["east", "west"], ["east"])):
        router = await cloud.make("router", availability_zone_hints=hints)
        assert (router["availability_zone_hints"], router["availability_zones"]) == (hints, zones)
    assert [len(found) for found in (await hosted(cloud, HOST), await hosted(cloud, "host-2"))] == [1, 2]


async def hosted(cloud: Cloud, host: str) -> list[str]:
    """The routers of a host."""
    (agent,) = (await cloud("GET", f"/agents?host={host}&agent_type=L3 agent", token="admin")).json["agents"]
    path = f"/agents/{agent['id']}/l3-routers"
    return [one["id"] for one in (await cloud("GET", path, token="admin")).json["routers"]]


def test_which_host_suits() -> None:
    assert suits({MAKES_ROUTERS: True}, [])
    assert not suits({}, [])
    assert not suits({MAKES_ROUTERS: True}, ["public"])
    assert suits({MAKES_ROUTERS: True, BRIDGE_MAPPINGS: {"public": "br-ex"}}, ["public"])


async def test_lists_tags_and_filters(cloud: Cloud) -> None:
    one = await cloud.make("router", name="one")
    await cloud.make("router", name="two", admin_state_up=False)
    assert (await cloud("PUT", f"/routers/{one['id']}/tags/red")).status == 201
    for query, names in (
        ("?name=one", ["one"]),
        ("?admin_state_up=false", ["two"]),
        ("?tags=red", ["one"]),
        ("?sort_key=name&sort_dir=desc", ["two", "one"]),
    ):
        found = (await cloud("GET", "/routers" + query)).json["routers"]
        assert [router["name"] for router in found] == names
    both = await cloud("POST", "/routers", json={"routers": [{"name": "a"}, {"name": "b"}]})
    assert [router["name"] for router in both.json["routers"]] == ["a", "b"]
    aliases = {e["alias"] for e in (await cloud("GET", "/extensions")).json["extensions"]}
    assert {"router", "ext-gw-mode", "extraroute", "extraroute-atomic", "fip-port-details"} <= aliases
