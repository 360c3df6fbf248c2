"""Ports through the HTTP API: addresses, MACs, groups, binding."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from kilonova.core.context import service_context
from kilonova.core.db.migrate import drift
from kilonova.network.agent.interface import NetworkPluginAPI
from kilonova.network.client import PortRequest
from tests.databases import statements_of
from tests.service.network.conftest import HOST, Cloud
from tests.support import PROJECT


async def test_a_port_gets_a_new_mac_address(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], mac_address="02:00:00:00:00:01")
    path, body = f"/ports/{port['id']}", {"port": {"mac_address": None}}
    assert (await cloud("PUT", path, json=body)).status == 403
    changed = (await cloud("PUT", path, token="admin", json=body)).json["port"]
    assert changed["mac_address"].startswith("fa:16:3e:")
    assert changed["fixed_ips"] == port["fixed_ips"]
    bound = await cloud.bound(network)
    refused = await cloud("PUT", f"/ports/{bound['id']}", token="admin", json=body)
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "PortBound")


async def test_tables_and_migrations_agree(cloud: Cloud):
    assert await drift(cloud.service.database) == []


async def test_a_port_gets_an_address_a_mac_and_the_default_group(cloud: Cloud):
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], name="p")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.3"}]  # .1 gateway, .2 DHCP
    assert port["mac_address"].startswith("fa:16:3e:")
    assert (port["project_id"], port["tenant_id"], port["status"]) == (PROJECT, PROJECT, "DOWN")
    assert "binding:host_id" not in port
    groups = (await cloud("GET", "/security-groups")).json["security_groups"]
    assert [g["name"] for g in groups] == ["default"]
    assert port["security_groups"] == [groups[0]["id"]]
    rules = {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in groups[0]["security_group_rules"]}
    own = groups[0]["id"]
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", own), ("ingress", "IPv6", own)
    }  # fmt: skip
    assert (await cloud("GET", f"/ports/{port['id']}")).json["port"] == port


@pytest.mark.parametrize(("dhcp", "size"), [(False, 29), (True, 28)])
async def test_parallel_ports_get_the_whole_pool_and_no_address_twice(cloud: Cloud, dhcp: bool, size: int):
    network, _ = await cloud.network("10.0.0.0/27", enable_dhcp=dhcp)
    answers = await asyncio.gather(
        *(cloud("POST", "/ports", json={"port": {"network_id": network["id"]}}) for _ in range(50))
    )
    made = [a.json["port"] for a in answers if a.status == 201]
    refused = [a.json["NeutronError"]["type"] for a in answers if a.status != 201]
    assert len(made) == size
    assert refused == ["IpAddressGenerationFailure"] * (50 - size)
    assert len({p["fixed_ips"][0]["ip_address"] for p in made}) == size
    assert len({p["mac_address"] for p in made}) == size


async def test_addresses_are_used_again_only_when_the_pool_is_through(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/29", enable_dhcp=False)
    first = [await cloud.make("port", network_id=network["id"]) for _ in range(3)]
    await cloud("DELETE", f"/ports/{first[0]['id']}")
    more = [await cloud.make("port", network_id=network["id"]) for _ in range(3)]
    assert [p["fixed_ips"][0]["ip_address"] for p in more] == ["10.0.0.5", "10.0.0.6", "10.0.0.2"]


async def test_many_ports_in_one_request(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/16")
    sent = await statements_of(cloud.service.database)
    body = {"ports": [{"network_id": network["id"], "name": f"p{n}"} for n in range(200)]}
    answer = await cloud("POST", "/ports", json=body)
    assert answer.status == 201
    made = answer.json["ports"]
    assert [p["name"] for p in made] == [f"p{n}" for n in range(200)]
    assert len({p["fixed_ips"][0]["ip_address"] for p in made}) == 200
    assert 0 < len(sent) <= 14
    sent = await statements_of(cloud.service.database)
    assert len((await cloud("GET", "/ports")).json["ports"]) == 201
    assert 0 < len(sent) <= 4


async def test_bulk_is_all_or_nothing(cloud: Cloud):
    network, _ = await cloud.network("10.0.0.0/29", enable_dhcp=False)
    answer = await cloud("POST", "/ports", json={"ports": [{"network_id": network["id"]}] * 6})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")
    assert (await cloud("GET", "/ports")).json["ports"] == []


async def test_addresses_by_choice(cloud: Cloud):
    network, subnet = await cloud.network()
    other = await cloud.make("subnet", network_id=network["id"], cidr="10.0.1.0/24")
    port = await cloud.make(
        "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.1.77"}, {"subnet_id": subnet["id"]}]
    )
    assert port["fixed_ips"] == [
        {"subnet_id": other["id"], "ip_address": "10.0.1.77"}, {"subnet_id": subnet["id"], "ip_address": "10.0.0.3"}
    ]  # fmt: skip
    found = await cloud("GET", "/ports?fixed_ips=ip_address%3D10.0.1.77")
    assert [p["id"] for p in found.json["ports"]] == [port["id"]]
    found = await cloud("GET", "/ports?fixed_ips=ip_address_substr%3D.1.7&fixed_ips=subnet_id%3D" + other["id"])
    assert [p["id"] for p in found.json["ports"]] == [port["id"]]
    bare = await cloud.make("port", network_id=network["id"], fixed_ips=[])
    assert bare["fixed_ips"] == []


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.2"}]}, 409, "IpAddressInUse"),
        ({"fixed_ips": [{"ip_address": "10.0.9.9"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.0.0.5"}, {"ip_address": "10.0.0.5"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{"ip_address": "nonsense"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{}]}, 400, "InvalidInput"),
        ({"fixed_ips": "10.0.0.5"}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{"subnet_id": "11111111-1111-4111-8111-111111111111"}]}, 400, "InvalidInput"),
        ({"mac_address": "nonsense"}, 400, "HTTPBadRequest"),
        ({"mac_address": "01:00:5e:00:00:01"}, 400, "HTTPBadRequest"),
        ({"security_groups": ["11111111-1111-4111-8111-111111111111"]}, 404, "SecurityGroupNotFound"),
        ({"security_groups": ["nonsense"]}, 400, "HTTPBadRequest"),
        ({"security_groups": ["11111111-1111-4111-8111-111111111111"] * 2}, 400, "HTTPBadRequest"),
        ({"admin_state_up": "maybe"}, 400, "HTTPBadRequest"),
        ({"name": "x" * 256}, 400, "HTTPBadRequest"),
        ({"name": 7}, 400, "HTTPBadRequest"),
        ({"colour": "red"}, 400, "HTTPBadRequest"),
        ({"status": "ACTIVE"}, 400, "HTTPBadRequest"),
        ({"binding:host_id": "host-1"}, 403, "PolicyNotAuthorized"),
        ({"id": "11111111-1111-4111-8111-111111111111"}, 403, "PolicyNotAuthorized"),
        ({"network_id": "11111111-1111-4111-8111-111111111111"}, 404, "NetworkNotFound"),
        ({"project_id": "2" * 32}, 400, "HTTPBadRequest"),
        ({"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}, 409,
         "AddressPairAndPortSecurityRequired"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}] * 2}, 400, "DuplicateAddressPairInRequest"),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, 400, "HTTPBadRequest"),
        ({"binding:vnic_type": "direct"}, 400, "InvalidInput"),
    ],
)  # fmt: skip
async def test_what_a_port_may_not_be(cloud: Cloud, values, status, kind):
    network, _ = await cloud.network()
    before = (await cloud("GET", "/ports")).json
    answer = await cloud("POST", "/ports", json={"port": {"network_id": network["id"]} | values})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (status, kind), answer.content
    assert (await cloud("GET", "/ports")).json == before


async def test_macs_are_unique_in_a_network(cloud: Cloud):
    network, _ = await cloud.network()
    other, _ = await cloud.network()
    mac = "02:00:00:00:00:01"
    await cloud.make("port", network_id=network["id"], mac_address=mac)
    await cloud.make("port", network_id=other["id"], mac_address=mac)
    answer = await cloud("POST", "/ports", json={"port": {"network_id": network["id"], "mac_address": mac.upper()}})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "MacAddressInUse")


async def test_update(cloud: Cloud):
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    group = await cloud.make("security_group", name="web")
    changes = {
        "name": "new", "admin_state_up": False, "security_groups": [group["id"]], "description": "d",
        "fixed_ips": [{"ip_address": "10.0.0.3"}, {"ip_address": "10.0.0.50"}],
        "allowed_address_pairs": [{"ip_address": "10.0.0.60"}, {"ip_address": "10.9.0.0/16"}],
    }  # fmt: skip
    answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": changes})
    assert answer.status == 200, answer.content
    changed = answer.json["port"]
    assert [f["ip_address"] for f in changed["fixed_ips"]] == ["10.0.0.3", "10.0.0.50"]
    assert changed["allowed_address_pairs"][1] == {"ip_address": "10.9.0.0/16", "mac_address": port["mac_address"]}
    assert (changed["name"], changed["admin_state_up"], changed["security_groups"]) == ("new", False, [group["id"]])
    assert changed["revision_number"] > port["revision_number"]
    answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"port_security_enabled": False}})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "PortSecurityPortHasSecurityGroup")
    off = {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}
    answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": off})
    assert (answer.status, answer.json["port"]["security_groups"]) == (200, [])
    answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"port_security_enabled": True}})
    assert answer.json["port"]["security_groups"] == []


async def test_the_first_address_can_move_back(cloud: Cloud):
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    for wanted in ("10.0.0.100", "10.0.0.3"):
        answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"fixed_ips": [{"ip_address": wanted}]}})
        assert answer.json["port"]["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": wanted}]


async def test_binding_is_shown_to_admins(cloud: Cloud):
    network, _ = await cloud.network()
    port = await cloud.bound(network)
    assert port["binding:vif_type"] == "bridge"
    assert port["binding:vif_details"] == {
        "port_filter": True, "connectivity": "l2", "bridge_name": "brq" + network["id"][:11],
        "tap_name": "tap" + port["id"][:11],
    }  # fmt: skip
    shown = (await cloud("GET", f"/ports/{port['id']}")).json["port"]
    assert {k for k in shown if k.startswith("binding:")} == {"binding:vnic_type"}
    assert (await cloud("GET", "/ports?binding:host_id=host-1")).status == 403
    found = await cloud("GET", "/ports?binding:host_id=host-1", token="admin")
    assert [p["id"] for p in found.json["ports"]] == [port["id"]]
    refused = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"binding:host_id": "host-2"}})
    assert refused.status == 403
    mac = {"port": {"mac_address": "02:00:00:00:00:09"}}
    assert (await cloud("PUT", f"/ports/{port['id']}", json=mac, token="admin")).json["NeutronError"][
        "type"
    ] == "PortBound"


async def test_a_component_may_repeat_itself(cloud: Cloud):
    network, _ = await cloud.network()
    asked = PortRequest(
        id=cloud.core.clock.uuid(), network_id=network["id"], project_id=PROJECT, device_id="d",
        device_owner="compute:nova", host_id="host-1", dns_name="web",
    )  # fmt: skip
    (first,) = await cloud.network_client.create_ports([asked])
    (second,) = await cloud.network_client.create_ports([asked])
    assert first == second
    assert [p.id for p in await cloud.network_client.ports_of(["d", "e"])] == [asked.id]
    asked.host_id = "host-2"
    (moved,) = await cloud.network_client.create_ports([asked])
    assert (moved.host_id, moved.fixed_ips, moved.mac_address) == ("host-2", first.fixed_ips, first.mac_address)
    stolen = {"id": asked.id, "network_id": network["id"], "project_id": PROJECT, "device_id": "other"}
    answer = await cloud("POST", "/ports", token="service", json={"port": stolen})
    assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "PortIdInUse")
    bound = await cloud.network_client.bind_port(first.id, "host-3", device_id="x")
    assert (bound.host_id, bound.status, bound.device_owner) == ("host-3", "DOWN", "compute:nova")
    await cloud.network_client.unbind_port(first.id)
    assert (await cloud.network_client.port(first.id)).vif_type == "unbound"
    await cloud.network_client.delete_ports([first.id, first.id])
    assert await cloud.network_client.ports(device_id=["d", "x"]) == []


async def test_the_dhcp_port_follows_its_subnets(cloud: Cloud):
    network, subnet = await cloud.network()

    async def dhcp() -> list[str]:
        found = await cloud("GET", f"/ports?network_id={network['id']}&device_owner=network:dhcp")
        return [f["ip_address"] for p in found.json["ports"] for f in p["fixed_ips"]]

    assert await dhcp() == ["10.0.0.2"]
    more = await cloud.make("subnet", network_id=network["id"], cidr="10.0.1.0/24", enable_dhcp=False)
    assert await dhcp() == ["10.0.0.2"]
    await cloud("PUT", f"/subnets/{more['id']}", json={"subnet": {"enable_dhcp": True}})
    assert await dhcp() == ["10.0.0.2", "10.0.1.2"]
    assert (await cloud("DELETE", f"/subnets/{subnet['id']}")).status == 204
    assert await dhcp() == ["10.0.1.2"]
    (port,) = (await cloud("GET", "/ports?device_owner=network:dhcp")).json["ports"]
    assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204
    assert len(await dhcp()) == 1
    await cloud("PUT", f"/subnets/{more['id']}", json={"subnet": {"enable_dhcp": False}})
    assert await dhcp() == []


async def test_a_port_is_found_again_after_the_pool_was_narrowed(cloud: Cloud):
    network, subnet = await cloud.network(enable_dhcp=False)
    await cloud.make("port", network_id=network["id"])
    pools = [{"start": "10.0.0.10", "end": "10.0.0.11"}, {"start": "10.0.0.20", "end": "10.0.0.20"}]
    answer = await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": {"allocation_pools": pools}})
    assert answer.json["subnet"]["allocation_pools"] == pools
    made = [await cloud.make("port", network_id=network["id"]) for _ in range(3)]
    given = [p["fixed_ips"][0]["ip_address"] for p in made]
    assert given == ["10.0.0.10", "10.0.0.11", "10.0.0.20"]
    assert all(ipaddress.ip_address(g) for g in given)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"device_id": "a\nb"}, "Invalid input for device_id. Reason: it must be text without control characters."),
        (
            {"device_owner": "a\rb"},
            "Invalid input for device_owner. Reason: it must be text without control characters.",
        ),
        ({"binding:vnic_type": "a\tb"}, "Invalid input for binding:vnic_type. Reason: it must be text without control"),
        ({"name": "x" * 256}, "Invalid input for name. Reason: it must have at most 255 characters."),
        (
            {"tags": ["a,b"]},
            "Invalid input for tags[0]. Reason: it must be text without commas and control characters.",
        ),
        ({"tags": ["x"] * 51}, "Invalid input for tags. Reason: it must have at most 50 items."),
        (
            {"mac_address": "x"},
            "Invalid input for mac_address. Reason: it must be a MAC address such as fa:16:3e:00:00:01.",
        ),
        ({"network_id": "x"}, "Invalid input for network_id. Reason: it must be a UUID."),
        ({"fixed_ips": [{"subnet_id": "x"}]}, "Invalid input for fixed_ips[0].subnet_id. Reason: it must be a UUID."),
        (
            {"security_groups": "x"},
            "Invalid input for security_groups. Reason: it must be a list or null, not a string.",
        ),
        ({"admin_state_up": "maybe"}, "Invalid input for admin_state_up. Reason: it must be a boolean, not a string."),
        ({"colour": 1}, "Unrecognized attribute(s) 'colour'"),
        ({"fixed_ips": [{"colour": 1}]}, "Unrecognized attribute(s) 'fixed_ips[0].colour'"),
        ({"status": "ACTIVE"}, "Attribute 'status' cannot be set here"),
    ],
)
async def test_errors_name_the_field_and_what_is_wrong(cloud: Cloud, values, says):
    network, _ = await cloud.network()
    answer = await cloud("POST", "/ports", json={"port": {"network_id": network["id"]} | values})
    assert answer.status == 400
    assert answer.json["NeutronError"]["message"].startswith(says)
    assert len((await cloud("GET", "/ports")).json["ports"]) == 1


async def test_callers_that_may_name_an_owner(cloud: Cloud):
    """`network:` owners are for components and the network's owner; `compute:` ones are any project's words."""
    shared = await cloud.make("network", "admin", name="shared", shared=True, project_id=PROJECT)
    await cloud.make("subnet", "admin", network_id=shared["id"], cidr="10.0.0.0/24")
    theirs = await cloud.make("port", "foreign", network_id=shared["id"], device_owner="compute:nova", device_id="x")
    for token, status in (("foreign", 403), ("member", 201), ("service", 201)):
        body = {"network_id": shared["id"], "device_owner": "network:dhcp"}
        more = {"project_id": PROJECT} if token == "service" else {}
        assert (await cloud("POST", "/ports", token=token, json={"port": body | more})).status == status, token
    change = {"port": {"device_owner": "network:router_interface"}}
    assert (await cloud("PUT", f"/ports/{theirs['id']}", token="foreign", json=change)).status == 403
    change = {"port": {"device_owner": "compute:zone"}}
    assert (await cloud("PUT", f"/ports/{theirs['id']}", token="foreign", json=change)).status == 200


async def test_a_network_owners_dhcp_port_is_not_the_clouds(cloud: Cloud):
    network, subnet = await cloud.network()
    own = await cloud.make(
        "port", network_id=network["id"], device_owner="network:dhcp", mac_address="02:00:00:00:00:01"
    )
    await cloud.bound(network)
    model = await cloud.core.bus.client(NetworkPluginAPI).host_model(service_context("req-test"), HOST)
    assert model.networks[0].dhcp_mac not in (None, own["mac_address"])
    assert own["id"] not in {model.networks[0].dhcp_port_id, *(port.id for port in model.networks[0].ports)}
    await cloud.make("subnet", network_id=network["id"], cidr="10.0.1.0/24")
    fixed = (await cloud("GET", f"/ports/{own['id']}")).json["port"]["fixed_ips"]
    assert [ip["subnet_id"] for ip in fixed] == [subnet["id"]]
    for port in (await cloud("GET", f"/ports?network_id={network['id']}", token="admin")).json["ports"]:
        if port["device_owner"].startswith("compute:"):
            await cloud("DELETE", f"/ports/{port['id']}", token="admin")
    assert (await cloud("DELETE", f"/subnets/{subnet['id']}")).status == 204
    assert (await cloud("DELETE", f"/networks/{network['id']}")).status == 204
