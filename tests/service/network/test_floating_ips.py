"""Floating IPs over HTTP, and what a host gets of them."""

from __future__ import annotations

from typing import Any

from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import NOWHERE, external, join, leave, living, model, refused
from tests.support import PROJECT


async def scene(cloud: Cloud) -> tuple[Any, Any, Any]:
    """(external network, router, a server's port behind it)"""
    await living(cloud)
    public, _ = await external(cloud)
    network, subnet = await cloud.network()
    router = await cloud.make("router", name="r1", external_gateway_info={"network_id": public["id"]})
    assert (await join(cloud, router, subnet_id=subnet["id"])).status == 200
    return public, router, await cloud.bound(network)


async def change(cloud: Cloud, one: Any, token: str = "member", **values: Any) -> Any:
    return await cloud("PUT", f"/floatingips/{one['id']}", token=token, json={"floatingip": values})


async def test_its_whole_life(cloud: Cloud) -> None:
    public, router, port = await scene(cloud)
    one = await cloud.make("floatingip", floating_network_id=public["id"], description="web")
    assert one["floating_ip_address"].startswith("198.51.100.")
    assert (one["status"], one["port_id"], one["router_id"], one["fixed_ip_address"]) == ("DOWN", None, None, None)
    assert (one["project_id"], one["description"], one["port_details"]) == (PROJECT, "web", None)
    (held,) = (await cloud("GET", "/ports?device_owner=network:floatingip", token="admin")).json["ports"]
    assert (held["device_id"], held["status"], held["project_id"]) == (one["id"], "N/A", "")
    assert (await cloud("GET", f"/ports/{held['id']}")).status == 404
    refused(await cloud("DELETE", f"/ports/{held['id']}", token="admin"), 409, "ServicePortInUse")

    led = (await change(cloud, one, port_id=port["id"])).json["floatingip"]
    address = port["fixed_ips"][0]["ip_address"]
    assert (led["status"], led["port_id"], led["router_id"]) == ("ACTIVE", port["id"], router["id"])
    assert led["fixed_ip_address"] == address
    assert led["port_details"]["device_id"] == port["device_id"]
    assert (await cloud("PUT", f"/floatingips/{one['id']}/tags/blue")).status == 201
    assert len((await cloud("GET", "/floatingips?tags=blue")).json["floatingips"]) == 1
    (shown,) = (await model(cloud))[0].floating_ips
    assert (shown.floating_ip_address, shown.fixed_ip_address) == (one["floating_ip_address"], address)
    await cloud.forgotten()
    assert {event["tag"] for event in cloud.compute.named("network-changed")} == {port["id"]}

    found = (await cloud("GET", f"/floatingips?port_id={port['id']}")).json["floatingips"]
    assert [item["id"] for item in found] == [one["id"]]
    assert (await cloud("GET", "/floatingips?status=DOWN")).json["floatingips"] == []
    (subnet,) = {ip["subnet_id"] for ip in port["fixed_ips"]}
    refused(await leave(cloud, router, subnet_id=subnet), 409, "RouterInterfaceInUseByFloatingIP")
    body = {"router": {"external_gateway_info": None}}
    answer = await cloud("PUT", f"/routers/{router['id']}", json=body)
    refused(answer, 409, "RouterExternalGatewayInUseByFloatingIp")

    assert (await change(cloud, one, description="x")).json["floatingip"]["port_id"] == port["id"]
    assert (await change(cloud, one, port_id=None)).json["floatingip"]["status"] == "DOWN"
    assert (await change(cloud, one, port_id=port["id"])).json["floatingip"]["status"] == "ACTIVE"
    assert (await change(cloud, one)).json["floatingip"]["port_id"] is None
    assert (await model(cloud))[0].floating_ips == ()
    assert (await cloud("DELETE", f"/floatingips/{one['id']}")).status == 204
    assert (await cloud("GET", "/ports?device_owner=network:floatingip", token="admin")).json["ports"] == []


async def test_it_leaves_a_port_that_goes(cloud: Cloud) -> None:
    public, _, port = await scene(cloud)
    one = await cloud.make("floatingip", floating_network_id=public["id"], port_id=port["id"])
    assert one["status"] == "ACTIVE"
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}
    refused(
        await cloud("PUT", f"/ports/{port['id']}", json=body),
        400, "BadRequest", "its original fixed_ip has been associated to a floating ip",
    )  # fmt: skip
    assert (await cloud("DELETE", f"/ports/{port['id']}", token="service")).status == 204
    left = (await cloud("GET", f"/floatingips/{one['id']}")).json["floatingip"]
    assert (left["status"], left["port_id"], left["router_id"]) == ("DOWN", None, None)
    assert (await model(cloud, HOST))[0].floating_ips == ()


async def test_what_is_refused(cloud: Cloud) -> None:
    public, _, port = await scene(cloud)
    private, _ = await cloud.network("10.5.0.0/24")
    lonely = await cloud.make("port", network_id=private["id"])
    foreign_network, _ = await cloud.network("10.4.0.0/24", "foreign")
    foreign = await cloud.make("port", "foreign", network_id=foreign_network["id"])

    async def make(token: str = "member", **values: Any) -> Any:
        body = {"floatingip": {"floating_network_id": public["id"]} | values}
        return await cloud("POST", "/floatingips", token=token, json=body)

    refused(await make(floating_network_id=private["id"]), 400, "BadRequest", "is not a valid external network")
    refused(await make(floating_network_id=NOWHERE), 404, "NetworkNotFound")
    refused(await make(port_id=NOWHERE), 404, "PortNotFound")
    refused(await make(port_id=foreign["id"]), 404, "PortNotFound")
    refused(await make(port_id=lonely["id"]), 404, "ExternalGatewayForFloatingIPNotFound", lonely["id"])
    refused(await make(fixed_ip_address="10.0.0.5"), 400, "BadRequest", "without a port_id")
    refused(await make(port_id=port["id"], fixed_ip_address="10.0.0.200"), 400, "BadRequest", "does not have fixed ip")
    refused(await make(port_id=port["id"], fixed_ip_address="fe80::%lo"), 400, "HTTPBadRequest")
    assert (await make(floating_ip_address="198.51.100.77")).status == 403
    refused(await make("admin", floating_ip_address="10.0.0.1"), 400, "InvalidIpForNetwork")
    assert (await cloud("GET", "/floatingips", token="admin")).json["floatingips"] == []
    assert (await cloud("GET", "/ports?device_owner=network:floatingip", token="admin")).json["ports"] == []

    chosen = (await make("admin", floating_ip_address="198.51.100.77")).json["floatingip"]
    assert chosen["floating_ip_address"] == "198.51.100.77"
    refused(await make("admin", floating_ip_address="198.51.100.77"), 409, "IpAddressInUse")
    assert (await make(port_id=port["id"])).status == 201
    refused(await make(port_id=port["id"]), 409, "FloatingIPPortAlreadyAssociated")


async def test_another_project_sees_nothing(cloud: Cloud) -> None:
    public, _, _ = await scene(cloud)
    one = await cloud.make("floatingip", floating_network_id=public["id"])
    for method, body in (("GET", None), ("PUT", {"floatingip": {"description": "x"}}), ("DELETE", None)):
        answer = await cloud(method, f"/floatingips/{one['id']}", token="foreign", json=body)
        refused(answer, 404, "FloatingIPNotFound")
    assert (await cloud("GET", "/floatingips", token="foreign")).json["floatingips"] == []
    assert (await change(cloud, one, "reader", description="x")).status == 403


async def test_quota_and_exhaustion(cloud: Cloud) -> None:
    public, _ = await external(cloud, "198.51.100.0/30")
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"floatingip": 1}})
    body = {"floatingip": {"floating_network_id": public["id"]}}
    assert (await cloud("POST", "/floatingips", json=body)).status == 201
    refused(await cloud("POST", "/floatingips", json=body), 409, "OverQuota", "floatingip")
    refused(await cloud("POST", "/floatingips", token="admin", json=body), 400, "ExternalIpAddressExhausted")


async def test_those_that_lead_nowhere_go_with_their_network(cloud: Cloud) -> None:
    public, _, port = await scene(cloud)
    spare = await cloud.make("floatingip", floating_network_id=public["id"])
    used = await cloud.make("floatingip", floating_network_id=public["id"], port_id=port["id"])
    refused(await cloud("DELETE", f"/networks/{public['id']}", token="admin"), 409, "NetworkInUse")
    assert {one["id"] for one in (await cloud("GET", "/floatingips")).json["floatingips"]} == {spare["id"], used["id"]}

    other, _ = await external(cloud, "192.0.2.0/24")
    await cloud.make("floatingip", floating_network_id=other["id"])
    assert (await cloud("DELETE", f"/networks/{other['id']}", token="admin")).status == 204
    assert {one["id"] for one in (await cloud("GET", "/floatingips")).json["floatingips"]} == {spare["id"], used["id"]}
    held = (await cloud("GET", "/ports?device_owner=network:floatingip", token="admin")).json["ports"]
    assert {one["device_id"] for one in held} == {spare["id"], used["id"]}
