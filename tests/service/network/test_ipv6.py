"""IPv6: subnets, the addresses of ports, routers, and what hosts are told of it."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.core.context import service_context
from kilonova.network.agent.dhcp.files import dhcp_files
from kilonova.network.agent.interface import NetworkPluginAPI
from kilonova.network.agent.l3.namespace.advertiser import arguments
from kilonova.network.agent.l3.namespace.plan import plan
from kilonova.network.agent.model import AdvertisementModel, HostModel
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import external, living

CTX = service_context("req-test")
MAC = "fa:16:3e:00:00:0a"
OF_MAC = "f816:3eff:fe00:a"
SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
STATELESS = {"ipv6_ra_mode": "dhcpv6-stateless", "ipv6_address_mode": "dhcpv6-stateless"}
STATEFUL = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}


async def subnet(cloud: Cloud, network: Any, cidr: str = "fd00:1::/64", **values: Any) -> Any:
    return await cloud.make("subnet", network_id=network["id"], cidr=cidr, ip_version=6, **values)


def addresses(port: Any) -> list[str]:
    return [ip["ip_address"] for ip in port["fixed_ips"]]


async def model(cloud: Cloud) -> HostModel:
    sections = ("networks", "security_groups", "routers")
    return await cloud.core.bus.client(NetworkPluginAPI).host_model(CTX, HOST, list(sections))


async def test_a_subnet_as_it_is_shown(cloud: Cloud):
    network = await cloud.make("network", name="six")
    plain = await subnet(cloud, network, "FD00:1:0::7/64")
    assert (plain["cidr"], plain["gateway_ip"], plain["ip_version"]) == ("fd00:1::/64", "fd00:1::1", 6)
    assert plain["allocation_pools"] == [{"start": "fd00:1::2", "end": "fd00:1::ffff:ffff:ffff:ffff"}]
    assert (plain["ipv6_ra_mode"], plain["ipv6_address_mode"]) == (None, None)
    full = await subnet(
        cloud,
        network,
        "fd00:2::/64",
        gateway_ip="fd00:2::ff",
        allocation_pools=[{"start": "fd00:2::10", "end": "fd00:2::20"}],
        dns_nameservers=["2001:DB8::53"],
        host_routes=[{"destination": "fd00:9::/48", "nexthop": "fd00:2::fe"}],
        **STATEFUL,
    )
    assert full["gateway_ip"] == "fd00:2::ff"
    assert full["allocation_pools"] == [{"start": "fd00:2::10", "end": "fd00:2::20"}]
    assert full["dns_nameservers"] == ["2001:db8::53"]
    assert full["host_routes"] == [{"destination": "fd00:9::/48", "nexthop": "fd00:2::fe"}]
    assert full["ipv6_ra_mode"] == full["ipv6_address_mode"] == "dhcpv6-stateful"
    found = (await cloud("GET", "/subnets?ipv6_address_mode=dhcpv6-stateful&ip_version=6")).json["subnets"]
    assert [one["id"] for one in found] == [full["id"]]
    for cidr in ("fd00:3::/126", "fd00:4::/127", "fd00:5::1/128"):
        small = await subnet(cloud, network, cidr, enable_dhcp=False, gateway_ip=None)
        assert small["allocation_pools"][0]["end"] in ("fd00:3::3", "fd00:4::1", "fd00:5::1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"ip_version": 4, "cidr": "10.9.0.0/24", "ipv6_ra_mode": "slaac"},
            "ipv6_ra_mode is not valid when ip_version is 4",
        ),
        (
            {"ip_version": 4, "cidr": "10.9.0.0/24", "ipv6_address_mode": "slaac"},
            "ipv6_address_mode is not valid when ip_version is 4",
        ),
        ({"ip_version": 4}, "cidr 'fd00:1::/64' does not match the ip_version '4'"),
        ({"cidr": "10.9.0.0/24"}, "cidr '10.9.0.0/24' does not match the ip_version '6'"),
        ({"gateway_ip": "10.0.0.1"}, "gateway_ip '10.0.0.1' does not match the ip_version '6'"),
        ({"dns_nameservers": ["9.9.9.9"]}, "dns_nameserver '9.9.9.9' does not match the ip_version '6'"),
        (
            {"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "fd00:1::9"}]},
            "destination '10.0.0.0/8' does not match the ip_version '6'",
        ),
        (
            {"host_routes": [{"destination": "fd00:9::/64", "nexthop": "10.0.0.9"}]},
            "nexthop '10.0.0.9' does not match the ip_version '6'",
        ),
        (
            {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
            "ipv6_ra_mode set to 'slaac' with ipv6_address_mode set to 'dhcpv6-stateful' is not valid. If both attributes are "
            "set, they must be the same value",
        ),
        (
            SLAAC | {"enable_dhcp": False},
            "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False",
        ),
        (
            {"ipv6_address_mode": "slaac", "cidr": "fd00:1::/80"},
            "Invalid CIDR fd00:1::/80 for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the "
            "prefix to be /64",
        ),
        ({"cidr": "fd00:1::/127"}, "Subnet has a prefix length that is incompatible with DHCP service enabled"),
        ({"cidr": "::/64"}, "IPv6 subnet '::' is not supported"),
        ({"cidr": "ff02::/64"}, "Multicast IP subnet is not supported if enable_dhcp is True"),
    ],
)
async def test_what_a_subnet_may_not_be(cloud: Cloud, values: dict[str, Any], message: str):
    network = await cloud.make("network", name="six")
    body = {"network_id": network["id"], "cidr": "fd00:1::/64", "ip_version": 6} | values
    answer = await cloud("POST", "/subnets", json={"subnet": body})
    assert answer.status == 400, answer.content
    assert answer.json["NeutronError"]["message"] == f"Invalid input for operation: {message}."
    assert (await cloud("GET", "/subnets")).json["subnets"] == []


async def test_an_unknown_mode_is_refused_and_none_changes_later(cloud: Cloud):
    network = await cloud.make("network", name="six")
    body = {"network_id": network["id"], "cidr": "fd00:1::/64", "ip_version": 6, "ipv6_ra_mode": "slaac\nx"}
    assert (await cloud("POST", "/subnets", json={"subnet": body})).status == 400
    made = await subnet(cloud, network, **SLAAC)
    for values in ({"ipv6_ra_mode": "dhcpv6-stateful"}, {"ipv6_address_mode": None}):
        assert (await cloud("PUT", f"/subnets/{made['id']}", json={"subnet": values})).status == 400
    answer = await cloud("PUT", f"/subnets/{made['id']}", json={"subnet": {"enable_dhcp": False}})
    assert answer.status == 400
    assert "Cannot disable enable_dhcp with ipv6 attributes set" in answer.json["NeutronError"]["message"]
    assert (await cloud("GET", f"/subnets/{made['id']}")).json["subnet"] == made


async def test_a_network_of_small_packets_has_no_ipv6(cloud: Cloud):
    network = await cloud.make("network", name="small", mtu=1279)
    body = {"network_id": network["id"], "cidr": "fd00:1::/64", "ip_version": 6}
    answer = await cloud("POST", "/subnets", json={"subnet": body})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "NetworkMTUSubnetConflict")
    assert answer.json["NeutronError"]["message"] == (
        f"MTU of {network['id']} is not valid, subnet requires a minimum of 1280"
    )
    whole = await cloud.make("network", name="whole", mtu=1280)
    await subnet(cloud, whole)
    answer = await cloud("PUT", f"/networks/{whole['id']}", json={"network": {"mtu": 1279}})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "NetworkMTUSubnetConflict")


async def test_a_network_of_tiny_packets_has_no_subnets(cloud: Cloud):
    """It can be made, as upstream; a subnet of either version wants its least MTU."""
    for mtu, version, cidr, least in (
        (67, 4, "10.0.0.0/24", 68),
        (0, 4, "10.0.0.0/24", 0),
        (67, 6, "fd00:1::/64", 1280),
    ):
        network = await cloud.make("network", mtu=mtu)
        assert network["mtu"] == (mtu or 1500)
        body = {"network_id": network["id"], "cidr": cidr, "ip_version": version}
        answer = await cloud("POST", "/subnets", json={"subnet": body})
        assert answer.status == (409 if least else 201)
        assert not least or f"requires a minimum of {least}" in answer.json["NeutronError"]["message"]
    network, _ = await cloud.network()
    for mtu, status in ((67, 409), (68, 200), (0, 200), (-1, 400)):
        assert (await cloud("PUT", f"/networks/{network['id']}", json={"network": {"mtu": mtu}})).status == status, mtu
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["mtu"] == 1500


async def test_overlap_is_of_one_version(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/24")
    await subnet(cloud, network, "fd00:1::/64")
    body = {"network_id": network["id"], "cidr": "fd00:1::/80", "ip_version": 6}
    answer = await cloud("POST", "/subnets", json={"subnet": body})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (400, "InvalidInput")


async def test_a_port_has_one_address_of_each_version(cloud: Cloud):
    network, four = await cloud.network("10.0.0.0/24")
    six, more = await subnet(cloud, network), await subnet(cloud, network, "fd00:2::/64", **STATEFUL)
    ports = [await cloud.make("port", network_id=network["id"]) for _ in range(3)]
    assert [[ip["subnet_id"] for ip in port["fixed_ips"]] for port in ports] == [[four["id"], six["id"]]] * 3
    assert len({address for port in ports for address in addresses(port)}) == 6
    asked = await cloud.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": more["id"]}])
    assert [ip["subnet_id"] for ip in asked["fixed_ips"]] == [more["id"]]
    chosen = await cloud.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "FD00:1:0:0::00aa"}])
    assert addresses(chosen) == ["fd00:1::aa"]
    body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "fd00:1::aa"}]}}
    answer = await cloud("POST", "/ports", json=body)
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "IpAddressInUse")
    found = (await cloud("GET", "/ports?fixed_ips=ip_address=fd00:1::00aa")).json["ports"]
    assert [port["id"] for port in found] == [chosen["id"]]


async def test_free_addresses_of_a_small_pool_are_all_found(cloud: Cloud):
    """Neighbours above and below 64 bits, and one that was given back."""
    network = await cloud.make("network", name="six")
    await subnet(
        cloud,
        network,
        "fd00:1::/48",
        allocation_pools=[{"start": "fd00:1::ffff:ffff:ffff:fffe", "end": "fd00:1:0:1::2"}],
    )
    dhcp = await until(lambda: cloud("GET", f"/ports?network_id={network['id']}", token="admin"))
    used = addresses(dhcp.json["ports"][0])
    ports = [await cloud.make("port", network_id=network["id"]) for _ in range(4)]
    every = [
        "fd00:1::ffff:ffff:ffff:fffe",
        "fd00:1::ffff:ffff:ffff:ffff",
        "fd00:1:0:1::",
        "fd00:1:0:1::1",
        "fd00:1:0:1::2",
    ]
    assert sorted(used + [a for port in ports for a in addresses(port)]) == sorted(every)
    answer = await cloud("POST", "/ports", json={"port": {"network_id": network["id"]}})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")
    await cloud("DELETE", f"/ports/{ports[1]['id']}")
    again = await cloud.make("port", network_id=network["id"])
    assert addresses(again) == addresses(ports[1])


@pytest.mark.parametrize("modes", [SLAAC, STATELESS, {"ipv6_address_mode": "slaac"}, {"ipv6_ra_mode": "slaac"}])
async def test_an_automatic_subnet_gives_every_port_the_address_of_its_mac(cloud: Cloud, modes: dict[str, str]):
    network, four = await cloud.network("10.0.0.0/24")
    six = await subnet(cloud, network, **modes)
    mine = f"fd00:1::{OF_MAC}"
    port = await cloud.make("port", network_id=network["id"], mac_address=MAC)
    assert addresses(port)[1:] == [mine]
    path = f"/ports/{port['id']}"
    changed = await cloud("PUT", path, json={"port": {"fixed_ips": [{"subnet_id": four["id"]}]}})
    assert addresses(changed.json["port"])[-1] == mine  # it is no choice
    for fixed in ([{"subnet_id": six["id"]}], [{"ip_address": mine}], []):
        changed = await cloud("PUT", path, json={"port": {"fixed_ips": fixed}})
        assert addresses(changed.json["port"]) == [mine], fixed
    for fixed in ([{"ip_address": "fd00:1::7"}], [{"subnet_id": six["id"], "ip_address": "fd00:1::7"}]):
        for method, where in (("PUT", path), ("POST", "/ports")):
            body = {"fixed_ips": fixed} | ({"network_id": network["id"]} if method == "POST" else {})
            answer = await cloud(method, where, json={"port": body})
            assert (answer.status, answer.json["NeutronError"]["type"]) == (400, "AllocationOnAutoAddressSubnet")
    changed = await cloud("PUT", path, token="admin", json={"port": {"mac_address": "fa:16:3e:00:00:0b"}})
    assert addresses(changed.json["port"]) == ["fd00:1::f816:3eff:fe00:b"]


async def test_ports_that_are_there_get_addresses_of_a_new_automatic_subnet(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/24")
    port = await cloud.bound(network, mac_address=MAC)
    six = await subnet(cloud, network, **SLAAC)
    assert addresses(await cloud.port(port["id"])) == [*addresses(port), f"fd00:1::{OF_MAC}"]
    await until(lambda: [e["tag"] for e in cloud.compute.named("network-changed")] == [port["id"]])
    assert (await cloud("DELETE", f"/subnets/{six['id']}")).status == 204
    assert addresses(await cloud.port(port["id"])) == addresses(port)
    await until(lambda: len(cloud.compute.named("network-changed")) == 2)


async def test_a_stateful_subnet_is_kept_by_its_ports(cloud: Cloud):
    network = await cloud.make("network", name="six")
    six = await subnet(cloud, network, **STATEFUL)
    port = await cloud.make("port", network_id=network["id"])
    answer = await cloud("DELETE", f"/subnets/{six['id']}")
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "SubnetInUse")
    await cloud("DELETE", f"/ports/{port['id']}")
    assert (await cloud("DELETE", f"/subnets/{six['id']}")).status == 204


async def test_what_a_host_is_told(cloud: Cloud):
    network, four = await cloud.network("10.0.0.0/24")
    stateful = await subnet(cloud, network, "fd00:1::/64", dns_nameservers=["fd00::53"], **STATEFUL)
    stateless = await subnet(cloud, network, "fd00:2::/64", dns_nameservers=["fd00::54"], **STATELESS)
    slaac = await subnet(cloud, network, "fd00:3::/64", **SLAAC)
    port = await cloud.bound(network, mac_address=MAC)
    (told,) = (await model(cloud)).networks
    modes = {one.id: (one.ip_version, one.ipv6_address_mode) for one in told.subnets}
    assert modes == {
        four["id"]: (4, None),
        stateful["id"]: (6, "dhcpv6-stateful"),
        stateless["id"]: (6, "dhcpv6-stateless"),
        slaac["id"]: (6, "slaac"),
    }
    assert all(one.dhcp_ip for one in told.subnets)
    assert {one.id: one.dns_nameservers for one in told.subnets}[slaac["id"]] == ()  # the cloud's are IPv4
    assert [ip.ip_address for ip in told.ports[0].fixed_ips] == addresses(port)
    files = dhcp_files(told, 600)
    first, second = addresses(port)[:2]
    assert set(files.leases) == {first, second}
    assert f"{MAC},[{second}],host-{second.replace(':', '-')}\n" in files.hosts
    assert f"tag:{stateful['id']},option6:dns-server,[fd00::53]\n" in files.options
    assert f"--dhcp-range=set:{stateless['id']},fd00:2::,static,64,600s" in files.ranges
    assert not any(slaac["id"] in one for one in files.ranges)


async def test_dhcp_leaves_a_subnet_without_address_mode_to_others(cloud: Cloud):
    network = await cloud.make("network", name="six")
    await subnet(cloud, network, "fd00:1::/64", ipv6_ra_mode="dhcpv6-stateful")
    await subnet(cloud, network, "fd00:2::/64", ipv6_ra_mode="slaac")
    await cloud.bound(network)
    (told,) = (await model(cloud)).networks
    assert dhcp_files(told, 600).ranges == ()


async def test_security_groups_name_members_of_both_versions(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/24")
    await subnet(cloud, network, **SLAAC)
    port = await cloud.bound(network)
    groups = {group.id: group for group in (await model(cloud)).security_groups}
    assert set(groups[port["security_groups"][0]].members) == set(addresses(port))


async def router_on(cloud: Cloud, *subnets: Any) -> tuple[Any, list[Any]]:
    router = await cloud.make("router", name="r")
    path = f"/routers/{router['id']}/add_router_interface"
    made = [await cloud("PUT", path, json={"subnet_id": one["id"]}) for one in subnets]
    assert all(one.status == 200 for one in made), made
    return router, [one.json for one in made]


async def test_one_router_port_has_all_ipv6_subnets_of_a_network(cloud: Cloud):
    network, four = await cloud.network("10.0.0.0/24")
    one = await subnet(cloud, network, "fd00:1::/64", dns_nameservers=["fd00::53"], **SLAAC)
    two = await subnet(cloud, network, "fd00:2::/64", **STATEFUL)
    silent = await subnet(cloud, network, "fd00:3::/64")
    router, (of_four, of_one, of_two, of_silent) = await router_on(cloud, four, one, two, silent)
    assert of_one["port_id"] == of_two["port_id"] == of_silent["port_id"] != of_four["port_id"]
    assert addresses(await cloud.port(of_one["port_id"])) == ["fd00:1::1", "fd00:2::1", "fd00:3::1"]
    assert addresses(await cloud.port(of_four["port_id"])) == ["10.0.0.1"]
    other = await cloud.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": silent["id"]}])
    answer = await cloud("PUT", f"/routers/{router['id']}/add_router_interface", json={"port_id": other["id"]})
    assert answer.status == 400
    answer = await cloud("DELETE", f"/subnets/{one['id']}")
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "SubnetInUse")
    path = f"/routers/{router['id']}/remove_router_interface"
    gone = await cloud("PUT", path, json={"subnet_id": two["id"]})
    assert (gone.status, gone.json["port_id"], gone.json["subnet_ids"]) == (200, of_one["port_id"], [two["id"]])
    assert addresses(await cloud.port(of_one["port_id"])) == ["fd00:1::1", "fd00:3::1"]
    await cloud("PUT", path, json={"port_id": of_one["port_id"]})
    assert (await cloud("GET", f"/ports/{of_one['port_id']}")).status == 404
    assert (await cloud("DELETE", f"/subnets/{one['id']}")).status == 204


async def test_a_router_advertises_its_subnets_and_leads_out_by_both_versions(cloud: Cloud):
    await living(cloud)
    public, _ = await external(cloud)
    await cloud.make("subnet", "admin", network_id=public["id"], cidr="2001:db8::/64", ip_version=6, enable_dhcp=False)
    network, four = await cloud.network("10.0.0.0/24")
    one = await subnet(cloud, network, "fd00:1::/64", dns_nameservers=["fd00::53"], **SLAAC)
    two = await subnet(cloud, network, "fd00:2::/64", **STATELESS)
    silent = await subnet(cloud, network, "fd00:3::/64")
    router, _ = await router_on(cloud, four, one, two, silent)
    values = {"external_gateway_info": {"network_id": public["id"]}}
    changed = (await cloud("PUT", f"/routers/{router['id']}", json={"router": values})).json["router"]
    outside = [ip["ip_address"] for ip in changed["external_gateway_info"]["external_fixed_ips"]]
    routes = {"routes": [{"destination": "fd00:9::/48", "nexthop": "fd00:1::9"}]}
    assert (await cloud("PUT", f"/routers/{router['id']}", json={"router": routes})).status == 200
    assert [":" in address for address in outside] == [False, True]
    told = await model(cloud)
    (made,) = told.routers or ()
    assert {port.addresses: port.advertises for port in made.interfaces} == {
        ("10.0.0.1/24",): (),
        ("fd00:1::1/64", "fd00:2::1/64", "fd00:3::1/64"): (
            AdvertisementModel(cidr="fd00:1::/64", mode="slaac", dns_nameservers=("fd00::53",)),
            AdvertisementModel(cidr="fd00:2::/64", mode="dhcpv6-stateless"),
        ),
    }
    assert made.gateway is not None
    assert made.gateway.addresses == (f"{outside[0]}/24", f"{outside[1]}/64")
    assert made.gateway.next_hops == ("198.51.100.1", "2001:db8::1")
    planned = plan(made, {network.id: network for network in told.networks})
    assert planned.problems == ()
    assert {route.destination: route.next_hop for route in planned.routes} == {
        "0.0.0.0/0": "198.51.100.1",
        "::/0": "2001:db8::1",
        "fd00:9::/48": "fd00:1::9",
    }
    (inside,) = [port for port in made.interfaces if port.advertises]
    command = arguments(made, "/folder", "nobody")
    assert f"--interface=qr-{inside.port_id[:11]}" in command
    assert any(",fd00:1::,ra-only,64," in word for word in command)
    assert any(",fd00:2::,ra-stateless,64," in word for word in command)


async def test_floating_ips_are_ipv4(cloud: Cloud):
    public, _ = await external(cloud)
    six = await cloud.make("subnet", "admin", network_id=public["id"], cidr="2001:db8::/64", ip_version=6, **SLAAC)
    plain = await cloud.make("floatingip", floating_network_id=public["id"])
    assert ":" not in plain["floating_ip_address"]
    (holder,) = (await cloud("GET", "/ports?device_owner=network:floatingip", token="admin")).json["ports"]
    assert addresses(holder) == [plain["floating_ip_address"]]
    for values in ({"subnet_id": six["id"]}, {"floating_ip_address": "2001:db8::9"}):
        body = {"floatingip": {"floating_network_id": public["id"]} | values}
        answer = await cloud("POST", "/floatingips", token="admin", json=body)
        assert (answer.status, answer.json["NeutronError"]["type"]) == (400, "BadRequest")


async def test_a_subnet_whose_router_is_elsewhere_is_refused(cloud: Cloud):
    network = await cloud.make("network", name="six")
    one = await subnet(cloud, network, ipv6_address_mode="slaac")
    router = await cloud.make("router", name="r")
    answer = await cloud("PUT", f"/routers/{router['id']}/add_router_interface", json={"subnet_id": one["id"]})
    assert answer.status == 400
    assert "configured to receive RAs from an external router" in answer.json["NeutronError"]["message"]


async def test_how_many_addresses_there_are(cloud: Cloud):
    network = await cloud.make("network", name="six")
    await subnet(cloud, network, "fd00:1::/64")
    await subnet(cloud, network, "fd00:2::/48")
    found = await cloud("GET", f"/network-ip-availabilities/{network['id']}", token="admin")
    shown = found.json["network_ip_availability"]
    assert [one["total_ips"] for one in shown["subnet_ip_availability"]] == [2**64 - 2, 2**64 - 1]
    assert shown["used_ips"] == 2
