"""Networks, subnets, lists, tags, quotas and discovery through the HTTP API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.network.app import RESOURCES
from tests.service.network.conftest import Cloud
from tests.support import CALLERS, OTHER_PROJECT, PROJECT


async def test_discovery(cloud: Cloud):
    root = await cloud.client("GET", "/network/", token=None)
    (version,) = root.json["versions"]
    assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    assert version["links"][0]["href"] == "http://kilonova.test/network/v2.0/"
    for path in ("/network/v2.0/", "/network/v2.0"):
        resources = await cloud.client("GET", path, token=None)
        assert {r["name"] for r in resources.json["resources"]} == {"network", "subnet", "subnetpool", "port"}
    aliases = {e["alias"] for e in (await cloud("GET", "/extensions")).json["extensions"]}
    assert aliases >= {extension.alias for resource in RESOURCES for extension in resource.extensions}
    assert {"security-group", "port-security", "binding", "quotas", "agent"} <= aliases
    assert "router" in aliases
    assert not {"dvr", "l3-ha", "dhcp_agent_scheduler"} & aliases
    names = {e["alias"]: e["name"] for e in (await cloud("GET", "/extensions")).json["extensions"]}
    assert (names["availability_zone"], names["binding"]) == ("Availability Zone", "Port Binding")
    binding = (await cloud("GET", "/extensions/binding")).json["extension"]
    assert binding["updated"] == "2014-02-03T10:00:00-00:00"
    assert binding["description"]
    assert (await cloud("GET", "/extensions/dvr")).json["NeutronError"]["type"] == "ExtensionNotFound"
    assert (await cloud("GET", "/vpnservices")).status == 404


async def test_flat_networks_are_on_a_physical_one(cloud: Cloud):
    async def make(**values: Any) -> Any:
        body = {"network": {f"provider:{name}": value for name, value in values.items()}}
        return await cloud("POST", "/networks", token="admin", json=body)

    for values in ({"network_type": "flat"}, {"network_type": "local", "physical_network": "public"}):
        refused = await make(**values)
        assert (refused.status, refused.json["NeutronError"]["type"]) == (400, "InvalidInput")
    made = await make(network_type="flat", physical_network="public")
    assert made.json["network"]["provider:physical_network"] == "public"
    refused = await make(network_type="flat", physical_network="public")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "FlatNetworkInUse")
    assert "Physical network public is in use" in refused.json["NeutronError"]["message"]
    assert (await make(network_type="flat", physical_network="other")).status == 201


async def test_a_network_lives(cloud: Cloud):
    made = await cloud.make("network", name="n", description="d")
    assert made["project_id"] == made["tenant_id"] == PROJECT
    assert (made["status"], made["mtu"], made["shared"], made["router:external"]) == ("ACTIVE", 1500, False, False)
    assert (made["subnets"], made["tags"], made["revision_number"]) == ([], [], 1)
    assert "provider:network_type" not in made
    seen = (await cloud("GET", f"/networks/{made['id']}", token="admin")).json["network"]
    assert (seen["provider:network_type"], seen["provider:segmentation_id"]) == ("local", None)
    subnet = await cloud.make("subnet", network_id=made["id"], cidr="10.0.0.7/24")
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["ip_version"]) == ("10.0.0.0/24", "10.0.0.1", 4)
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    changes = {"name": "m", "admin_state_up": "false", "mtu": 1400, "description": None}
    changed = (await cloud("PUT", f"/networks/{made['id']}", json={"network": changes})).json["network"]
    assert (changed["name"], changed["admin_state_up"], changed["mtu"], changed["description"]) == (
        "m",
        False,
        1400,
        "",
    )
    assert changed["subnets"] == [subnet["id"]]
    assert changed["revision_number"] == 3  # its subnet was the second
    port = await cloud.make("port", network_id=made["id"])
    refused = await cloud("DELETE", f"/networks/{made['id']}")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "NetworkInUse")
    assert port["id"] in refused.json["NeutronError"]["message"]
    refused = await cloud("DELETE", f"/subnets/{subnet['id']}")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "SubnetInUse")
    assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204
    assert (await cloud("DELETE", f"/networks/{made['id']}")).status == 204  # with its subnet and DHCP's port
    for path in (f"/networks/{made['id']}", f"/subnets/{subnet['id']}"):
        assert (await cloud("GET", path)).status == 404
    assert (await cloud("GET", "/ports", token="admin")).json["ports"] == []


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"cidr": "nonsense"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0/33"}, 400, "HTTPBadRequest"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "127.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.128/25"}, 400, "InvalidInput"),  # overlaps
        ({"cidr": "2001:db8::/64"}, 400, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "ip_version": 6}, 400, "InvalidInput"),
        ({"ip_version": 5}, 400, "HTTPBadRequest"),
        ({"cidr": None}, 400, "BadRequest"),
        ({"gateway_ip": "10.1.0.0"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.1.0.255"}, 400, "InvalidInput"),
        ({"gateway_ip": "x"}, 400, "HTTPBadRequest"),
        ({"gateway_ip": "10.1.0.20", "allocation_pools": [{"start": "10.1.0.10", "end": "10.1.0.30"}]}, 409,
         "GatewayConflictWithAllocationPools"),
        ({"allocation_pools": [{"start": "10.1.0.30", "end": "10.1.0.10"}]}, 400, "InvalidAllocationPool"),
        ({"allocation_pools": [{"start": "10.1.0.30", "end": "10.1.1.10"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.1.0.10", "end": "10.1.0.20"}, {"start": "10.1.0.20", "end": "10.1.0.30"}]},
         409, "OverlappingAllocationPools"),
        ({"allocation_pools": [{"start": "10.1.0.10"}]}, 400, "HTTPBadRequest"),
        ({"allocation_pools": "all"}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["dns.example.org"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": [f"8.8.8.{n}" for n in range(6)]}, 400, "DNSNameServersExhausted"),
        ({"host_routes": [{"destination": "x", "nexthop": "10.1.0.1"}]}, 400, "HTTPBadRequest"),
        ({"host_routes": [{"destination": "10.9.0.0/16", "nexthop": "x"}]}, 400, "HTTPBadRequest"),
        ({"network_id": "11111111-1111-4111-8111-111111111111"}, 404, "NetworkNotFound"),
        ({"network_id": "../../etc/passwd"}, 400, "HTTPBadRequest"),
        ({"enable_dhcp": 7}, 400, "HTTPBadRequest"),
        ({"colour": "red"}, 400, "HTTPBadRequest"),
        ({"subnetpool_id": "x"}, 400, "HTTPBadRequest"),
    ],
)  # fmt: skip
async def test_what_a_subnet_may_not_be(cloud: Cloud, values, status, kind):
    network, _ = await cloud.network()
    body = {"subnet": {"network_id": network["id"], "cidr": "10.1.0.0/24"} | values}
    answer = await cloud("POST", "/subnets", json=body)
    assert (answer.status, answer.json["NeutronError"]["type"]) == (status, kind), answer.content
    assert len((await cloud("GET", "/subnets")).json["subnets"]) == 1


async def test_small_subnets(cloud: Cloud):
    for cidr, pools in (
        ("10.0.0.0/30", [{"start": "10.0.0.2", "end": "10.0.0.2"}]),
        ("10.0.0.4/31", [{"start": "10.0.0.5", "end": "10.0.0.5"}]),
        ("10.0.0.6/32", [{"start": "10.0.0.6", "end": "10.0.0.6"}]),
    ):
        network, subnet = await cloud.network(cidr, enable_dhcp=False)
        assert subnet["allocation_pools"] == pools
        port = await cloud.make("port", network_id=network["id"])
        assert port["fixed_ips"][0]["ip_address"] == pools[0]["start"]
        full = await cloud("POST", "/ports", json={"port": {"network_id": network["id"]}})
        assert full.json["NeutronError"]["type"] == "IpAddressGenerationFailure"


async def test_subnet_update(cloud: Cloud):
    network, subnet = await cloud.network(
        allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}],
        gateway_ip="10.0.0.5",
        dns_nameservers=["1.1.1.1"],
    )
    changes = {
        "gateway_ip": "10.0.0.6", "dns_nameservers": ["8.8.8.8", "9.9.9.9"], "name": "s",
        "host_routes": [{"destination": "10.20.0.0/32", "nexthop": "10.100.1.1"}], "enable_dhcp": False,
    }  # fmt: skip
    answer = await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": changes})
    assert answer.status == 200
    assert {k: answer.json["subnet"][k] for k in changes} == changes
    answer = await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": {"gateway_ip": "10.0.0.15"}})
    assert answer.json["NeutronError"]["type"] == "GatewayConflictWithAllocationPools"
    answer = await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": {"gateway_ip": None}})
    assert answer.json["subnet"]["gateway_ip"] is None
    for fixed in ({"cidr": "10.9.0.0/24"}, {"ip_version": 6}, {"network_id": network["id"]}):
        assert (await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": fixed})).status == 400


async def test_bulk(cloud: Cloud):
    made = await cloud("POST", "/networks", json={"networks": [{"name": "a"}, {"name": "b"}]})
    assert [n["name"] for n in made.json["networks"]] == ["a", "b"]
    first, second = (n["id"] for n in made.json["networks"])
    subnets = [{"network_id": first, "cidr": "10.0.0.0/24"}, {"network_id": second, "cidr": "10.0.0.0/24"}]
    answer = await cloud("POST", "/subnets", json={"subnets": subnets})
    assert [s["network_id"] for s in answer.json["subnets"]] == [first, second]
    bad = [{"network_id": first, "cidr": "10.0.1.0/24"}, {"network_id": first, "cidr": "10.0.1.0/25"}]
    assert (await cloud("POST", "/subnets", json={"subnets": bad})).status == 400
    assert len((await cloud("GET", "/subnets")).json["subnets"]) == 2
    assert (await cloud("POST", "/networks", json={"networks": []})).status == 400
    wrapped = await cloud("POST", "/networks", json={"networks": [{"network": {"name": "c"}}, {"name": "d"}]})
    assert [n["name"] for n in wrapped.json["networks"]] == ["c", "d"]


async def test_lists_filter_sort_and_page(cloud: Cloud):
    for name in ("b", "a", "c", "d"):
        await cloud.make("network", name=name)

    async def names(query: str, **more: str) -> list[str]:
        answer = await cloud("GET", "/networks?" + query, **more)
        assert answer.status == 200, answer.content
        return [n["name"] for n in answer.json["networks"]]

    assert await names("sort_key=name&sort_dir=desc") == ["d", "c", "b", "a"]
    assert sorted(await names("name=a&name=d&status=ACTIVE")) == ["a", "d"]
    assert await names("name=a&shared=True") == []
    assert await names("router:external=False&name=c") == ["c"]
    assert sorted(await names(f"tenant_id={PROJECT}")) == ["a", "b", "c", "d"]
    assert await names(f"project_id={OTHER_PROJECT}", token="admin") == []
    page = (await cloud("GET", "/networks?sort_key=name&sort_dir=asc&limit=3")).json
    assert [n["name"] for n in page["networks"]] == ["a", "b", "c"]
    (link,) = page["networks_links"]
    assert link["rel"] == "next"
    following = (await cloud.client("GET", link["href"].removeprefix("http://kilonova.test"), token="member")).json
    assert [n["name"] for n in following["networks"]] == ["d"]
    assert [li["rel"] for li in following["networks_links"]] == ["previous"]
    back = following["networks_links"][0]["href"].removeprefix("http://kilonova.test")
    assert [n["name"] for n in (await cloud.client("GET", back, token="member")).json["networks"]] == ["a", "b", "c"]
    empty = (await cloud("GET", f"/networks?sort_key=name&limit=3&marker={following['networks'][-1]['id']}")).json
    assert (empty["networks"], [li["rel"] for li in empty["networks_links"]]) == ([], ["previous"])
    back = empty["networks_links"][0]["href"].removeprefix("http://kilonova.test")
    assert [n["name"] for n in (await cloud.client("GET", back, token="member")).json["networks"]] == ["b", "c", "d"]
    assert (await cloud("GET", "/networks?fields=name&fields=id&limit=1")).json["networks"][0].keys() == {"id", "name"}
    for bad in (
        "colour=red",
        "limit=-1",
        "limit=x",
        "sort_key=colour",
        "sort_key=name&sort_dir=up",
        "shared=maybe",
        "sort_dir=asc",
    ):
        answer = await cloud("GET", "/networks?" + bad)
        assert (answer.status, answer.json["NeutronError"]["type"]) == (400, "HTTPBadRequest"), bad
    hidden = await cloud("GET", "/networks?provider:network_type=local")
    assert (hidden.status, hidden.json["NeutronError"]["type"]) == (403, "PolicyNotAuthorized")
    assert "get_network:provider:network_type" in hidden.json["NeutronError"]["message"]
    unknown = await cloud("GET", "/networks?marker=11111111-1111-4111-8111-111111111111")
    assert unknown.status == 404


async def test_shared_and_external_networks(cloud: Cloud):
    for flag in ("shared", "router:external", "provider:network_type"):
        refused = await cloud("POST", "/networks", json={"network": {flag: "local" if "type" in flag else True}})
        assert refused.status == 403
    shared = await cloud.make("network", token="admin", name="everyones", shared=True)
    subnet = await cloud.make("subnet", token="admin", network_id=shared["id"], cidr="10.5.0.0/24")
    outside = await cloud.make("network", token="admin", name="outside", **{"router:external": True})
    beyond = await cloud.make("subnet", token="admin", network_id=outside["id"], cidr="192.0.2.0/24")
    assert (beyond["router:external"], subnet["router:external"]) == (True, False)
    assert (await cloud("GET", f"/subnets/{beyond['id']}")).json["subnet"]["router:external"] is True
    hidden = await cloud.make("network", token="admin", name="hidden")
    assert {n["name"] for n in (await cloud("GET", "/networks")).json["networks"]} == {"everyones", "outside"}
    seen = {s["id"]: s["router:external"] for s in (await cloud("GET", "/subnets")).json["subnets"]}
    assert seen == {subnet["id"]: False, beyond["id"]: True}
    assert [n["name"] for n in (await cloud("GET", "/networks?router:external=True")).json["networks"]] == ["outside"]
    assert (await cloud("GET", f"/networks/{hidden['id']}")).status == 404
    port = await cloud.make("port", network_id=shared["id"])
    assert port["project_id"] == PROJECT
    for body in ({"mac_address": "02:00:00:00:00:01"}, {"fixed_ips": [{"ip_address": "10.5.0.9"}]},
                 {"port_security_enabled": False}, {"device_owner": "network:router_gateway"}):  # fmt: skip
        refused = await cloud("POST", "/ports", json={"port": {"network_id": shared["id"]} | body})
        assert refused.status == 403, body
    assert (await cloud("POST", "/ports", json={"port": {"network_id": outside["id"]}})).status == 403
    assert (await cloud("POST", "/ports", json={"port": {"network_id": hidden["id"]}})).status == 404
    another = {"subnet": {"network_id": shared["id"], "cidr": "10.6.0.0/24"}}
    assert (await cloud("POST", "/subnets", json=another)).status == 403
    assert (await cloud("PUT", f"/networks/{shared['id']}", json={"network": {"name": "mine"}})).status == 403
    assert (await cloud("DELETE", f"/networks/{shared['id']}")).status == 403
    answer = await cloud("PUT", f"/networks/{shared['id']}", token="admin", json={"network": {"shared": False}})
    assert answer.json["NeutronError"]["type"] == "InvalidSharedSetting"
    assert [p["id"] for p in (await cloud("GET", "/ports")).json["ports"]] == [port["id"]]
    assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204


async def test_admins_make_things_for_others(cloud: Cloud):
    network = await cloud.make("network", token="admin", tenant_id=PROJECT)
    assert network["project_id"] == PROJECT
    assert (await cloud("GET", f"/networks/{network['id']}")).status == 200
    both = {"network": {"tenant_id": PROJECT, "project_id": OTHER_PROJECT}}
    assert (await cloud("POST", "/networks", token="admin", json=both)).status == 400
    assert (await cloud("POST", "/networks", json={"network": {"tenant_id": OTHER_PROJECT}})).status == 400


async def test_tags(cloud: Cloud):
    network, subnet = await cloud.network()
    await cloud.make("network", name="plain")
    path = f"/networks/{network['id']}/tags"
    assert (await cloud("PUT", path, json={"tags": ["red", "blue", "red"]})).json == {"tags": ["blue", "red"]}
    assert (await cloud("PUT", path + "/green")).status == 201
    assert (await cloud("GET", path + "/green")).status == 204
    assert (await cloud("GET", path + "/pink")).status == 404
    assert (await cloud("DELETE", path + "/blue")).status == 204
    assert (await cloud("DELETE", path + "/blue")).json["NeutronError"]["type"] == "TagNotFound"
    assert (await cloud("POST", path, json={"tags": ["x"]})).status == 201
    assert (await cloud("GET", path)).json == {"tags": ["green", "red", "x"]}
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["tags"] == ["green", "red", "x"]
    for query, count in (("tags=green,red", 1), ("tags=green,pink", 0), ("tags-any=green,pink", 1), ("not-tags=green", 1),
                         ("not-tags-any=green,pink", 1)):  # fmt: skip
        assert len((await cloud("GET", "/networks?" + query)).json["networks"]) == count, query
    for bad in ({"tags": ["a,b"]}, {"tags": "red"}, {"tags": ["x" * 256]}, {}, {"tags": [""]}, {"tags": ["a"] * 51}):
        assert (await cloud("PUT", path, json=bad)).status == 400, bad
    assert (await cloud("PUT", f"/subnets/{subnet['id']}/tags", json={"tags": ["s"]})).status == 200
    assert (await cloud("DELETE", path)).status == 204
    assert (await cloud("GET", path)).json == {"tags": []}


async def test_quotas(cloud: Cloud):
    path = f"/quotas/{PROJECT}"
    assert (await cloud("GET", path)).json["quota"]["port"] == 500
    assert (await cloud("PUT", path, json={"quota": {"network": 2}})).status == 403
    changed = await cloud("PUT", path, token="admin", json={"quota": {"network": 2, "subnet": -1, "port": 0}})
    assert changed.json["quota"] == {
        "network": 2, "subnet": -1, "port": 0, "security_group": 10, "security_group_rule": 100,
        "router": 10, "floatingip": 50, "rbac_policy": 10, "subnetpool": -1, "trunk": 50,
    }  # fmt: skip
    network, _ = await cloud.network()
    await cloud.make("network")
    refused = await cloud("POST", "/networks", json={"network": {}})
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "OverQuota")
    assert "network" in refused.json["NeutronError"]["message"]
    refused = await cloud("POST", "/ports", json={"port": {"network_id": network["id"]}})
    assert refused.json["NeutronError"]["type"] == "OverQuota"
    details = (await cloud("GET", path + "/details")).json["quota"]
    assert details["network"] == {"limit": 2, "used": 2, "reserved": 0}
    assert details["port"]["used"] == 1  # DHCP's own counts, but is never refused
    listed = (await cloud("GET", "/quotas", token="admin")).json["quotas"]
    assert [q["project_id"] for q in listed] == [PROJECT]
    assert (await cloud("GET", path + "/default")).json["quota"]["network"] == 100
    below = {"quota": {"network": 1}}
    assert (await cloud("PUT", path, token="admin", json=below)).status == 400
    below["quota"] |= {"force": True, "check_limit": False}
    assert (await cloud("PUT", path, token="admin", json=below)).json["quota"]["network"] == 1
    for bad in (
        {"quota": {"colours": 1}},
        {"quota": {"port": True}},
        {"quota": {"port": -2}},
        {"quota": {"port": "many"}},
        {"limits": {}},
        [],
    ):
        assert (await cloud("PUT", path, token="admin", json=bad)).status == 400, bad
    assert (await cloud("DELETE", path, token="admin")).status == 204
    assert (await cloud("GET", path)).json["quota"]["network"] == 100
    assert (await cloud("DELETE", path, token="admin")).status == 404
    assert (await cloud("GET", path, token="foreign")).status == 403


async def test_zones_and_address_use(cloud: Cloud):
    zones = (await cloud("GET", "/availability_zones")).json["availability_zones"]
    assert zones == [{"name": "nova", "resource": "network", "state": "available"}]
    for query, found in (
        ("name=nova", zones), ("name=x", []), ("name=x&name=nova", zones), ("resource=network&state=available", zones),
        ("state=unavailable", []), ("fields=name", zones),
    ):  # fmt: skip
        assert (await cloud("GET", f"/availability_zones?{query}")).json["availability_zones"] == found, query
    assert (await cloud("GET", "/availability_zones?colour=red")).status == 400
    network, subnet = await cloud.network()
    await cloud.make("port", network_id=network["id"])
    found = await cloud("GET", f"/network-ip-availabilities/{network['id']}", token="admin")
    shown = found.json["network_ip_availability"]
    assert (shown["total_ips"], shown["used_ips"]) == (253, 2)
    assert shown["subnet_ip_availability"][0]["subnet_id"] == subnet["id"]
    every = await cloud("GET", "/network-ip-availabilities", token="admin")
    assert [n["network_id"] for n in every.json["network_ip_availabilities"]] == [network["id"]]
    assert (await cloud("GET", "/network-ip-availabilities")).status == 403


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "body required"), (b"{", "Malformed"), (b"[]", "invalid data"), (b"null", "invalid data"),
        (b'{"subnet": {}}', "Unable to find 'network'"), (b'{"network": []}', "network"), (b'{"network": null}', "network"),
        (b'{"network": {"colour": 1}}', "Unrecognized attribute(s) 'colour'"), (b'{"network": {"id": "x"}}', "'id'"),
        (b'{"network": {"name": "\xff"}}', "Malformed"), (b'{"networks": {}}', "invalid data"),
        (b'{"network": {"mtu": -1}}', "mtu"), (b'{"network": {"mtu": 99999999999999999999}}', "mtu"),
        (b'{"network": {"mtu": 9000}}', "maximum is 1500"), (b'{"network": ' + b"[" * 100000, "nested"),
        (b'{"network": {"availability_zone_hints": "nova"}}', "availability_zone_hints"),
    ],
)  # fmt: skip
async def test_bad_bodies(cloud: Cloud, content, part):
    answer = await cloud("POST", "/networks", content=content)
    assert answer.status == 400, answer.content
    assert part in answer.json["NeutronError"]["message"]


async def test_a_huge_body_is_refused(cloud: Cloud):
    answer = await cloud("POST", "/networks", content=b'{"network": {"name": "' + b"x" * (9 << 20) + b'"}}')
    assert answer.status == 413


@pytest.mark.parametrize("name", ["'; DROP TABLE networks; --", "<script>", "名前", "%(x)s {0} {x}", "../..", " "])
async def test_hostile_names_are_just_names(cloud: Cloud, name):
    made = await cloud.make("network", name=name, description=name)
    assert (made["name"], made["description"]) == (name, name)
    assert (await cloud("GET", f"/networks/{made['id']}")).json["network"]["name"] == name
    assert (await cloud("GET", "/networks/" + "%2e%2e%2f" * 3)).status == 400
    assert (await cloud("GET", "/networks/'%20OR%201=1")).status == 404


@pytest.mark.parametrize("field", ["name", "description"])
async def test_control_characters_are_refused(cloud: Cloud, field):
    for text in ("\x00", "a\x1b[31mb", "\x7f"):
        assert (await cloud("POST", "/networks", json={"network": {field: text}})).status == 400


@pytest.mark.parametrize("caller", ["nobody-in-a-domain"])
async def test_a_caller_without_a_project_makes_nothing(cloud: Cloud, caller, monkeypatch: pytest.MonkeyPatch):
    from tests.support import caller as make_caller

    monkeypatch.setitem(CALLERS, caller, make_caller("x", None, "member", "reader"))
    assert (await cloud("POST", "/networks", token=caller, json={"network": {}})).status == 400
    await cloud.make("network")
    for path in ("/networks", "/security-groups"):
        seen = await cloud("GET", path, token=caller)
        assert (seen.status, seen.json["NeutronError"]["type"]) == (403, "PolicyNotAuthorized")


PATHS = {
    "networks": "/networks", "subnets": "/subnets", "ports": "/ports", "security_groups": "/security-groups",
    "security_group_rules": "/security-group-rules",
}  # fmt: skip


@pytest.mark.parametrize("collection", PATHS)
async def test_too_many_in_one_request_are_counted_only(cloud: Cloud, collection):
    """By number, before anything of them is read: these would be refused for what they are, too."""
    for count in (501, 20_000):
        answer = await cloud("POST", PATHS[collection], json={collection: [{"colour": 1}] * count})
        assert answer.status == 400
        assert answer.json["NeutronError"]["message"] == (
            f"One request can create at most 500 {collection}, not {count}"
        )
    answer = await cloud("POST", PATHS[collection], json={collection: [{"colour": 1}] * 500})
    assert "colour" in answer.json["NeutronError"]["message"]


async def test_a_long_request_lets_others_through(cloud: Cloud):
    """What is asked for while many things are made is answered before all of them are there."""
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": dict.fromkeys(("network", "port"), -1)})
    network, _ = await cloud.network("10.0.0.0/16")
    for collection, body in (("networks", {"name": "x"}), ("ports", {"network_id": network["id"]})):
        order: list[str] = []

        async def asked(name: str, *request: Any, order: list[str] = order, **more: Any) -> None:
            assert (await cloud(*request, **more)).status < 300
            order.append(name)

        many = asyncio.ensure_future(asked("many", "POST", PATHS[collection], json={collection: [body] * 500}))
        await asyncio.sleep(0)
        await asyncio.gather(many, asked("one", "GET", "/extensions"))
        assert order == ["one", "many"], collection


async def test_many_subnets_of_one_network(cloud: Cloud):
    network = await cloud.make("network")
    bodies = [{"network_id": network["id"], "cidr": f"10.0.{n}.0/24"} for n in range(20)]
    made = (await cloud("POST", "/subnets", json={"subnets": bodies})).json["subnets"]
    assert [subnet["cidr"] for subnet in made] == [body["cidr"] for body in bodies]
    (dhcp,) = (await cloud("GET", f"/ports?network_id={network['id']}")).json["ports"]
    assert {ip["subnet_id"] for ip in dhcp["fixed_ips"]} == {subnet["id"] for subnet in made}
    port = await cloud.make("port", network_id=network["id"])
    assert port["fixed_ips"][0]["subnet_id"] == made[0]["id"]  # the first is the oldest
    for cidrs in (("10.1.0.0/24", "10.1.0.128/25"), ("10.2.0.0/24", "10.0.7.0/24")):
        twice = [{"network_id": network["id"], "cidr": cidr} for cidr in cidrs]
        refused = await cloud("POST", "/subnets", json={"subnets": twice})
        assert "overlaps with another subnet" in refused.json["NeutronError"]["message"]
    assert len((await cloud("GET", "/subnets")).json["subnets"]) == 20
    elsewhere = [
        bodies[0] | {"cidr": "10.4.0.0/24"},
        {"network_id": "11111111-1111-4111-8111-111111111111", "cidr": "10.3.0.0/24"},
    ]
    assert (await cloud("POST", "/subnets", json={"subnets": elsewhere})).status == 404


async def test_filters_of_many_values_are_refused_or_cheap(cloud: Cloud):
    """Each tag is a condition of its own in SQL, a repeated sort key several: thousands would keep the database for seconds."""
    for name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        for query in (f"{name}={','.join(map(str, range(65)))}", "&".join(f"{name}={n}" for n in range(65))):
            answer = await cloud("GET", f"/networks?{query}")
            assert answer.status == 400
            assert answer.json["NeutronError"]["message"] == (
                f"Query parameter {name} has 65 values: at most 64 are allowed"
            )
        assert (await cloud("GET", f"/networks?{name}={','.join(map(str, range(64)))}")).status == 200
    many = "&".join(f"fixed_ips=ip_address_substr={n}" for n in range(65))
    assert (await cloud("GET", f"/ports?{many}")).status == 400
    made = [await cloud.make("network", name=name) for name in "bac"]
    again = "&".join(["sort_key=name&sort_dir=desc", *["sort_key=name&sort_dir=asc"] * 2000])
    for query, names in ((again, ["c", "b", "a"]), (f"{again}&marker={made[0]['id']}", ["a"])):
        found = await cloud("GET", f"/networks?{query}")
        assert [network["name"] for network in found.json["networks"]] == names
