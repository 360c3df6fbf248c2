"""Subnets that are for ports of some owners alone."""

from __future__ import annotations

from typing import Any

from tests.service.network.conftest import Cloud

COMPUTE, GATEWAY, FLOATING = "compute:nova", "network:router_gateway", "network:floatingip"


async def _subnet(cloud: Cloud, network: Any, cidr: str, *types: str, **more: Any) -> Any:
    return await cloud.make("subnet", "admin", network_id=network["id"], cidr=cidr, service_types=list(types), **more)


async def _where(cloud: Cloud, network: Any, owner: str, **more: Any) -> list[str]:
    port = await cloud.make("port", network_id=network["id"], device_owner=owner, **more)
    return [fixed["subnet_id"] for fixed in port["fixed_ips"]]


async def test_ports_have_addresses_where_their_owner_is_served(cloud: Cloud) -> None:
    network = await cloud.make("network")
    plain = await _subnet(cloud, network, "10.0.0.0/24")
    special = await _subnet(cloud, network, "10.1.0.0/24", COMPUTE)
    assert special["service_types"] == [COMPUTE]
    assert await _where(cloud, network, COMPUTE) == [special["id"]]
    for owner in ("", "compute:other"):
        assert await _where(cloud, network, owner) == [plain["id"]]
    assert await _where(cloud, network, COMPUTE, fixed_ips=[{"subnet_id": plain["id"]}]) == [plain["id"]]
    for fixed, kind in (
        ({"subnet_id": special["id"]}, "InvalidInput"),
        ({"ip_address": "10.1.0.9"}, "InvalidIpForNetwork"),
    ):
        body = {"port": {"network_id": network["id"], "fixed_ips": [fixed]}}
        refused = await cloud("POST", "/ports", json=body)
        assert (refused.status, refused.json["NeutronError"]["type"]) == (400, kind)
    dhcp = (await cloud("GET", f"/ports?network_id={network['id']}&device_owner=network:dhcp")).json["ports"][0]
    assert {fixed["subnet_id"] for fixed in dhcp["fixed_ips"]} == {plain["id"], special["id"]}


async def test_without_a_subnet_for_the_owner(cloud: Cloud) -> None:
    network = await cloud.make("network")
    subnet = await _subnet(cloud, network, "10.1.0.0/24", COMPUTE)
    refused = await cloud("POST", "/ports", json={"port": {"network_id": network["id"], "device_owner": "compute:x"}})
    error = refused.json["NeutronError"]
    assert (refused.status, error["type"]) == (409, "IpAddressGenerationFailureNoMatchingSubnet")
    assert "service type compute:x" in error["message"]
    assert await _where(cloud, network, "compute:x", fixed_ips=[]) == []
    body = {"subnet": {"service_types": []}}
    assert (await cloud("PUT", f"/subnets/{subnet['id']}", token="foreign", json=body)).status == 404
    changed = (await cloud("PUT", f"/subnets/{subnet['id']}", json=body)).json["subnet"]  # as upstream: whose it is
    assert (changed["service_types"], changed["revision_number"]) == ([], subnet["revision_number"] + 1)
    assert await _where(cloud, network, "compute:x") == [subnet["id"]]


async def test_gateways_and_floating_ips_may_have_subnets_of_their_own(cloud: Cloud) -> None:
    outside = await cloud.make("network", "admin", **{"router:external": True})
    gateways = await _subnet(cloud, outside, "172.24.0.0/24", GATEWAY)
    floating = await _subnet(cloud, outside, "172.25.0.0/24", FLOATING)
    router = await cloud.make("router", external_gateway_info={"network_id": outside["id"]})
    held = router["external_gateway_info"]["external_fixed_ips"]
    assert [fixed["subnet_id"] for fixed in held] == [gateways["id"]]
    made = await cloud.make("floatingip", floating_network_id=outside["id"])
    assert made["floating_ip_address"].startswith("172.25.0.")
    assert floating["id"] != gateways["id"]


async def test_automatic_subnets(cloud: Cloud) -> None:
    network = await cloud.make("network")
    await _subnet(cloud, network, "10.0.0.0/24")
    early = await cloud.make("port", network_id=network["id"])
    slaac = {"ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    six = await _subnet(cloud, network, "fd00::/64", COMPUTE, **slaac)
    assert len((await cloud("GET", f"/ports/{early['id']}")).json["port"]["fixed_ips"]) == 1
    assert six["id"] in await _where(cloud, network, COMPUTE)
    assert six["id"] not in await _where(cloud, network, "compute:x")


async def test_what_is_no_owner(cloud: Cloud) -> None:
    network = await cloud.make("network")
    for types in (["nix"], [""], ["compute:nova", "nova"]):
        body = {"subnet": {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4, "service_types": types}}
        refused = await cloud("POST", "/subnets", token="admin", json=body)
        assert (refused.status, refused.json["NeutronError"]["type"]) == (400, "InvalidSubnetServiceType")
