"""Subnets that have their prefixes from subnet pools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import until
from tests.service.network.conftest import Cloud
from tests.service.network.test_address_scopes import scope
from tests.service.network.test_routers import NOWHERE, refused
from tests.service.network.test_subnetpools import change, pool


async def ask(cloud: Cloud, network: Any, token: str = "member", **values: Any) -> Any:
    body = {"network_id": network["id"], "ip_version": 4} | values
    return await cloud("POST", "/subnets", token=token, json={"subnet": body})


async def subnet(cloud: Cloud, network: Any, token: str = "member", **values: Any) -> Any:
    answer = await ask(cloud, network, token, **values)
    assert answer.status == 201, answer.content
    return answer.json["subnet"]


async def cidrs(cloud: Cloud) -> list[str]:
    return sorted(one["cidr"] for one in (await cloud("GET", "/subnets")).json["subnets"])


async def test_any_prefix_of_the_length_that_is_asked_for(cloud: Cloud) -> None:
    made = await pool(cloud, prefixes=["10.8.0.0/22"], default_prefixlen=24)
    network = await cloud.make("network")
    first = await subnet(cloud, network, subnetpool_id=made["id"])
    assert (first["cidr"], first["subnetpool_id"], first["gateway_ip"]) == ("10.8.0.0/24", made["id"], "10.8.0.1")
    assert first["allocation_pools"] == [{"start": "10.8.0.2", "end": "10.8.0.254"}]
    small = await subnet(cloud, network, subnetpool_id=made["id"], prefixlen="26", gateway_ip=None)
    assert (small["cidr"], small["gateway_ip"]) == ("10.8.1.0/26", None)
    assert (await subnet(cloud, network, subnetpool_id=made["id"], prefixlen=26))["cidr"] == "10.8.1.64/26"
    assert (await subnet(cloud, network, subnetpool_id=made["id"], prefixlen=23))["cidr"] == "10.8.2.0/23"
    refused(
        await ask(cloud, network, subnetpool_id=made["id"], prefixlen=24), 409, "SubnetAllocationError",
        "Insufficient prefix space to allocate subnet size /24",
    )  # fmt: skip
    assert (await cloud("DELETE", f"/subnets/{first['id']}")).status == 204
    assert (await subnet(cloud, network, subnetpool_id=made["id"]))["cidr"] == "10.8.0.0/24"
    found = (await cloud("GET", f"/subnets?subnetpool_id={made['id']}")).json["subnets"]
    assert len(found) == 4
    port = await cloud.make("port", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.8.1.2"


async def test_a_prefix_that_is_named(cloud: Cloud) -> None:
    made = await pool(cloud, prefixes=["10.8.0.0/22"], min_prefixlen=23, max_prefixlen=28)
    network = await cloud.make("network")
    pools = [{"start": "10.8.1.5", "end": "10.8.1.9"}]
    named = await subnet(cloud, network, subnetpool_id=made["id"], cidr="10.8.1.0/24", allocation_pools=pools)
    assert (named["cidr"], named["allocation_pools"]) == ("10.8.1.0/24", pools)
    for cidr, status, error in (
        ("10.8.1.128/25", 409, "SubnetAllocationError"), ("10.8.0.0/23", 409, "SubnetAllocationError"),
        ("10.9.0.0/24", 409, "SubnetAllocationError"), ("10.8.0.0/29", 400, "MaxPrefixSubnetAllocationError"),
        ("10.8.0.0/22", 400, "MinPrefixSubnetAllocationError"),
    ):  # fmt: skip
        refused(await ask(cloud, network, subnetpool_id=made["id"], cidr=cidr), status, error)
    for prefixlen, said in ((22, "minimum allowed prefix is 23"), (29, "maximum allowed prefix is 28")):
        refused(
            await ask(cloud, network, subnetpool_id=made["id"], prefixlen=prefixlen), 400,
            f"{'Min' if prefixlen == 22 else 'Max'}PrefixSubnetAllocationError", said,
        )  # fmt: skip
    assert await cidrs(cloud) == ["10.8.1.0/24"]


@pytest.mark.parametrize(
    ("values", "status", "error", "said"),
    [
        ({}, 400, "BadRequest", "a subnetpool must be specified in the absence of a cidr"),
        ({"prefixlen": 24}, 400, "BadRequest", "a subnetpool must be specified"),
        ({"subnetpool_id": "POOL", "cidr": "10.8.0.0/24", "prefixlen": 24}, 400, "BadRequest", "supplied together"),
        ({"subnetpool_id": "POOL", "use_default_subnetpool": True}, 400, "BadRequest", "cannot both be specified"),
        ({"use_default_subnetpool": True}, 400, "BadRequest", "No default subnetpool found for IPv4"),
        ({"subnetpool_id": "POOL", "ip_version": 6}, 400, "BadRequest", "Cannot allocate IPv6 subnet from IPv4 subnet pool"),
        ({"subnetpool_id": "POOL", "allocation_pools": [{"start": "10.8.0.5", "end": "10.8.0.9"}]}, 400, "BadRequest",
         "specific subnet requests"),
        ({"subnetpool_id": "POOL", "gateway_ip": "2001:db8::1"}, 400, "InvalidInput", "gateway_ip"),
        ({"subnetpool_id": "POOL", "prefixlen": -1}, 400, "HTTPBadRequest", "prefixlen"),
        ({"subnetpool_id": "prefix_delegation", "ip_version": 6}, 400, "HTTPBadRequest", "subnetpool_id"),
        ({"subnetpool_id": NOWHERE}, 404, "SubnetPoolNotFound", NOWHERE),
    ],
)  # fmt: skip
async def test_what_is_refused(cloud: Cloud, values: dict[str, Any], status: int, error: str, said: str) -> None:
    made, network = await pool(cloud, default_prefixlen=24), await cloud.make("network")
    sent = {name: made["id"] if value == "POOL" else value for name, value in values.items()}
    refused(await ask(cloud, network, **sent), status, error, said)
    assert await cidrs(cloud) == []


async def test_the_default_pool_of_those_that_see_it(cloud: Cloud) -> None:
    network = await cloud.make("network")
    hidden = await pool(cloud, "admin", is_default=True, default_prefixlen=26)
    refused(await ask(cloud, network, use_default_subnetpool=True), 400, "BadRequest", "No default subnetpool found")
    theirs = await cloud.make("network", "admin")
    made = await subnet(cloud, theirs, "admin", use_default_subnetpool=True)
    assert (made["cidr"], made["subnetpool_id"]) == ("10.8.0.0/26", hidden["id"])
    six = await pool(cloud, "admin", is_default=True, shared=True, prefixes=["2001:db8::/56"])
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    made = await subnet(cloud, network, use_default_subnetpool=True, ip_version=6, **modes)
    assert (made["cidr"], made["subnetpool_id"], made["gateway_ip"]) == ("2001:db8::/64", six["id"], "2001:db8::1")
    long = await pool(cloud, prefixes=["2001:db9::/64"], min_prefixlen=80)
    other = await cloud.make("network")
    refused(await ask(cloud, other, subnetpool_id=long["id"], ip_version=6, **modes), 400, "InvalidInput", "EUI-64")
    assert (await subnet(cloud, other, subnetpool_id=long["id"], ip_version=6))["cidr"] == "2001:db9::/80"


async def test_a_network_has_its_subnets_of_an_ip_version_from_one_pool(cloud: Cloud) -> None:
    one = await pool(cloud, default_prefixlen=24)
    two = await pool(cloud, prefixes=["10.9.0.0/16"], default_prefixlen=24)
    six = await pool(cloud, prefixes=["2001:db8::/48"])
    network = await cloud.make("network")
    for values in ({"subnetpool_id": one["id"]}, {"subnetpool_id": six["id"], "ip_version": 6}):
        await subnet(cloud, network, **values)
    for values in ({"subnetpool_id": two["id"]}, {"cidr": "10.99.0.0/24"}, {"cidr": "fd00::/64", "ip_version": 6}):
        refused(await ask(cloud, network, **values), 400, "NetworkSubnetPoolAffinityError", "the same subnet pool")
    plain, _ = await cloud.network("10.99.0.0/24")
    refused(await ask(cloud, plain, subnetpool_id=one["id"]), 400, "NetworkSubnetPoolAffinityError")
    both = [{"network_id": plain["id"], "ip_version": 6, "subnetpool_id": six["id"]},
            {"network_id": plain["id"], "ip_version": 6, "cidr": "fd00::/64"}]  # fmt: skip
    refused(await cloud("POST", "/subnets", json={"subnets": both}), 400, "NetworkSubnetPoolAffinityError")
    assert len(await cidrs(cloud)) == 3


async def test_networks_show_their_address_scopes(cloud: Cloud) -> None:
    four, six = await scope(cloud), await scope(cloud, ip_version=6)
    one = await pool(cloud, address_scope_id=four["id"], default_prefixlen=24)
    two = await pool(cloud, address_scope_id=four["id"], default_prefixlen=24, prefixes=["10.9.0.0/16"])
    other = await pool(cloud, default_prefixlen=24, prefixes=["10.10.0.0/16"])
    v6 = await pool(cloud, address_scope_id=six["id"], prefixes=["2001:db8::/48"])
    network = await cloud.make("network", name="scoped")
    path = f"/networks/{network['id']}"
    for made, seen in ((one, (four["id"], None)), (two, (four["id"], None)), (v6, (four["id"], six["id"]))):
        await subnet(cloud, network, subnetpool_id=made["id"], ip_version=made["ip_version"])
        now = (await cloud("GET", path)).json["network"]
        assert (now["ipv4_address_scope"], now["ipv6_address_scope"]) == seen
    assert len(now["subnets"]) == 3
    refused(await ask(cloud, network, subnetpool_id=other["id"]), 400, "NetworkAddressScopeAffinityError")
    refused(await ask(cloud, network, cidr="10.99.0.0/24"), 400, "NetworkSubnetPoolAffinityError")
    refused(await change(cloud, one, address_scope_id=None), 400, "NetworkAddressScopeAffinityError")
    assert (await change(cloud, v6, address_scope_id=None)).status == 200
    assert (await cloud("GET", path)).json["network"]["ipv6_address_scope"] is None
    refused(await cloud("GET", "/networks?ipv4_address_scope=x"), 400, "HTTPBadRequest", "ipv4_address_scope")


async def test_a_projects_share_of_a_pool(cloud: Cloud) -> None:
    made = await pool(cloud, "admin", shared=True, default_quota=256, default_prefixlen=25)
    network = await cloud.make("network")
    for n in range(2):
        answer = await ask(cloud, network, subnetpool_id=made["id"])
        assert answer.status == 201, (n, answer.content)
    refused(
        await ask(cloud, network, subnetpool_id=made["id"], prefixlen=32), 409, "SubnetPoolQuotaExceeded",
        "Per-project subnet pool prefix quota exceeded",
    )  # fmt: skip
    refused(await ask(cloud, network, subnetpool_id=made["id"], cidr="10.8.9.0/30"), 409, "SubnetPoolQuotaExceeded")
    theirs = await cloud.make("network", "foreign")
    assert (await subnet(cloud, theirs, "foreign", subnetpool_id=made["id"]))["cidr"] == "10.8.1.0/25"
    assert (await change(cloud, made, "admin", default_quota=0)).status == 200
    await subnet(cloud, network, subnetpool_id=made["id"])
    six = await pool(cloud, prefixes=["2001:db8::/48"], default_quota=2, min_prefixlen=62)
    await subnet(cloud, network, subnetpool_id=six["id"], ip_version=6, prefixlen=63)
    refused(
        await ask(cloud, network, subnetpool_id=six["id"], ip_version=6, prefixlen=64), 409, "SubnetPoolQuotaExceeded"
    )


async def test_many_at_once_are_all_or_none(cloud: Cloud) -> None:
    made = await pool(cloud, prefixes=["10.8.0.0/23"], default_prefixlen=24)
    network = await cloud.make("network")
    one = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": made["id"]}
    refused(await cloud("POST", "/subnets", json={"subnets": [one] * 3}), 409, "SubnetAllocationError")
    assert await cidrs(cloud) == []
    answer = await cloud("POST", "/subnets", json={"subnets": [one] * 2})
    assert [subnet["cidr"] for subnet in answer.json["subnets"]] == ["10.8.0.0/24", "10.8.1.0/24"]
    elsewhere = await cloud.make("network")
    refused(await ask(cloud, elsewhere, subnetpool_id=made["id"]), 409, "SubnetAllocationError")


async def test_routers_are_told_which_addresses_stay(cloud: Cloud) -> None:
    """Those of networks in the external network's scope; a change of the scope reaches the router's host."""
    _, plane = await cloud.agent()
    made = await scope(cloud, "admin", shared=True)
    outer = await pool(cloud, "admin", prefixes=["198.51.100.0/24"], address_scope_id=made["id"])
    inner = await pool(cloud, address_scope_id=made["id"], default_prefixlen=24)
    public = await cloud.make("network", "admin", **{"router:external": True})
    await subnet(cloud, public, "admin", subnetpool_id=outer["id"], cidr="198.51.100.0/24", enable_dhcp=False)
    router = await cloud.make("router", external_gateway_info={"network_id": public["id"]})
    known, (_, plain) = await cloud.make("network"), await cloud.network("10.99.0.0/24")
    for joined in (await subnet(cloud, known, subnetpool_id=inner["id"]), plain):
        path = f"/routers/{router['id']}/add_router_interface"
        assert (await cloud("PUT", path, json={"subnet_id": joined["id"]})).status == 200

    def kept() -> tuple[str, ...] | None:
        gateways = [one.gateway for one in plane.state.routers or ()]
        return gateways[0].same_scope if gateways and gateways[0] is not None else None

    await until(lambda: kept() == ("10.8.0.0/24",))
    assert (await change(cloud, inner, "admin", address_scope_id=None)).status == 200
    await until(lambda: kept() == ())


async def test_subnets_that_are_there_become_a_pools(cloud: Cloud) -> None:
    four = await scope(cloud)
    made = await pool(cloud, prefixes=["10.8.0.0/24"], address_scope_id=four["id"])
    network, first = await cloud.network("10.8.0.128/25")
    second = await subnet(cloud, network, cidr="192.168.7.0/24")
    six = await subnet(cloud, network, cidr="fd00::/64", ip_version=6)
    path = f"/subnetpools/{made['id']}/onboard_network_subnets"

    async def onboard(token: str = "member", network_id: str = network["id"]) -> Any:
        return await cloud("PUT", path, token=token, json={"network_id": network_id})

    answer = await onboard()
    assert answer.json == [{"id": one["id"], "cidr": one["cidr"]} for one in (first, second)]
    now = (await cloud("GET", f"/subnetpools/{made['id']}")).json["subnetpool"]
    assert now["prefixes"] == ["10.8.0.0/24", "192.168.7.0/24"]
    assert {one["id"] for one in (await cloud("GET", f"/subnets?subnetpool_id={made['id']}")).json["subnets"]} == {
        first["id"], second["id"],
    }  # fmt: skip
    assert (await cloud("GET", f"/subnets/{six['id']}")).json["subnet"]["subnetpool_id"] is None
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["ipv4_address_scope"] == four["id"]
    assert (await subnet(cloud, network, subnetpool_id=made["id"], prefixlen=25))["cidr"] == "10.8.0.0/25"

    refused(await onboard(), 400, "IllegalSubnetPoolUpdate", "conflicts with allocated prefixes")
    refused(await onboard(network_id=NOWHERE), 404, "NetworkNotFound", NOWHERE)
    refused(await onboard("foreign"), 404, "NetworkNotFound")
    refused(await cloud("PUT", path, json={}), 400, "HTTPBadRequest", "network_id")
    assert (await onboard("reader")).status == 403
    public = await cloud.make("network", "admin", shared=True)
    refused(await onboard(network_id=public["id"]), 403, "NotAuthorized")
    await pool(cloud, address_scope_id=four["id"], prefixes=["10.77.0.0/16"])
    other, _ = await cloud.network("10.77.1.0/24")
    refused(await onboard(network_id=other["id"]), 409, "AddressScopePrefixConflict")
    assert (await cloud("GET", f"/subnetpools/{made['id']}")).json["subnetpool"]["prefixes"] == now["prefixes"]
