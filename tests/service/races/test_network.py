"""Addresses, quotas, default groups and deletions that meet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from kilonova.core.context import service_context
from kilonova.core.db import Connection
from kilonova.network.agent.interface import L3_AGENT, MAKES_ROUTERS, AgentState
from kilonova.network.app import NetworkService
from kilonova.network.ipam.addresses import Allocator
from kilonova.network.options import NetworkOptions
from tests.service.races.conftest import Replicas, asked
from tests.support import PROJECT

V2 = "/network/v2.0"


async def make(network: Replicas, noun: str, token: str = "member", **values: Any) -> Any:
    path = {"security_group": "security-groups"}.get(noun, noun + "s")
    answer = await network[0]("POST", f"{V2}/{path}", token=token, json={noun: values})
    assert answer.status == 201, answer.content
    return answer.json[noun]


async def a_network(network: Replicas, cidr: str = "10.0.0.0/28", **more: Any) -> str:
    made = await make(network, "network", name="net", **more)
    await make(network, "subnet", network_id=made["id"], cidr=cidr, enable_dhcp=False)
    return str(made["id"])


def new_port(network_id: str, token: str = "member", **values: Any) -> dict[str, Any]:
    body = {"port": {"network_id": network_id} | values}
    return {"method": "POST", "path": f"{V2}/ports", "token": token, "json": body}


async def ports_of(network: Replicas, **filters: str) -> list[Any]:
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    found: list[Any] = (await network[1]("GET", f"{V2}/ports?{query}", token="admin")).json["ports"]
    return found


async def test_no_address_is_given_twice_and_none_is_left_out(network: Replicas) -> None:
    network_id = await a_network(network, shared=False)
    quotas = {"quota": {"port": -1}}
    assert (await network[0]("PUT", f"{V2}/quotas/{PROJECT}", json=quotas)).status == 200
    answers = await network.all_at_once(*(new_port(network_id) for _ in range(20)))
    assert Counter(answer.status for answer in answers) == Counter({201: 13, 409: 7})  # 16 less three
    given = [ip["ip_address"] for port in await ports_of(network, network_id=network_id) for ip in port["fixed_ips"]]
    assert sorted(given) == sorted(f"10.0.0.{n}" for n in range(2, 15))


async def test_one_address_asked_for_by_many_goes_to_one(network: Replicas) -> None:
    network_id = await a_network(network)
    wanted = [new_port(network_id, fixed_ips=[{"ip_address": "10.0.0.7"}]) for _ in range(8)]
    assert await network.statuses(*wanted) == Counter({201: 1, 409: 7})


async def test_one_mac_asked_for_by_many_goes_to_one(network: Replicas) -> None:
    network_id = await a_network(network)
    wanted = [new_port(network_id, mac_address="fa:16:3e:00:00:07") for _ in range(6)]
    assert await network.statuses(*wanted) == Counter({201: 1, 409: 5})


async def test_exactly_as_many_ports_as_the_quota_lets(network: Replicas) -> None:
    network_id = await a_network(network, "10.0.0.0/24")
    answers = await network.statuses(*(new_port(network_id) for _ in range(24)))
    assert answers == Counter({201: 10, 409: 14})
    assert len(await ports_of(network, network_id=network_id)) == 10


async def test_exactly_as_many_groups_as_the_quota_lets(network: Replicas) -> None:
    """The default group is one of them."""
    wanted = [
        {"method": "POST", "path": f"{V2}/security-groups", "token": "member", "json": {"security_group": {"name": f"g{n}"}}}
        for n in range(10)
    ]  # fmt: skip
    assert await network.statuses(*wanted) == Counter({201: 3, 409: 7})


async def test_a_new_project_gets_one_default_group(network: Replicas) -> None:
    network_id = await a_network(network, "10.0.0.0/24")
    project = "e" * 32
    answers = await network.statuses(*(new_port(network_id, "service", project_id=project) for _ in range(10)))
    assert answers == {201: 10}
    groups = (await network[1]("GET", f"{V2}/security-groups?project_id={project}")).json["security_groups"]
    assert [group["name"] for group in groups] == ["default"]
    ports = await ports_of(network, project_id=project)
    assert {group for port in ports for group in port["security_groups"]} == {groups[0]["id"]}


async def test_one_subnet_of_overlapping_ones(network: Replicas) -> None:
    made = await make(network, "network", name="net")
    wanted = [
        {"method": "POST", "path": f"{V2}/subnets", "token": "member",
         "json": {"subnet": {"network_id": made["id"], "ip_version": 4, "cidr": cidr}}}
        for cidr in ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.128/25", "10.0.0.0/24", "10.0.0.0/16", "10.0.0.64/26")
    ]  # fmt: skip
    statuses = await network.statuses(*wanted)
    subnets = (await network[1]("GET", f"{V2}/subnets?network_id={made['id']}", token="member")).json["subnets"]
    assert statuses == Counter({201: len(subnets), 400: 6 - len(subnets)})
    assert {subnet["cidr"] for subnet in subnets} in (
        {"10.0.0.0/24"}, {"10.0.0.0/16"}, {"10.0.0.0/25", "10.0.0.128/25"}, {"10.0.0.128/25", "10.0.0.64/26"},
    )  # fmt: skip
    assert len([p for p in await ports_of(network, network_id=made["id"]) if p["device_owner"] == "network:dhcp"]) == 1


async def a_pool(network: Replicas, **values: Any) -> str:
    wanted = {"name": "pool", "prefixes": ["10.8.0.0/28"], "min_prefixlen": 24} | values
    return str((await make(network, "subnetpool", "admin", **wanted))["id"])


async def from_pool(network: Replicas, pool_id: str, times: int, **values: Any) -> list[dict[str, Any]]:
    """Requests for subnets from the pool, each on a network of its own."""
    wanted = []
    for n in range(times):
        made = await make(network, "network", name=f"n{n}")
        body = {"network_id": made["id"], "ip_version": 4, "subnetpool_id": pool_id, "enable_dhcp": False} | values
        wanted.append({"method": "POST", "path": f"{V2}/subnets", "token": "member", "json": {"subnet": body}})
    return wanted


async def test_no_prefix_of_a_pool_is_given_twice_and_none_is_left_out(network: Replicas) -> None:
    pool_id = await a_pool(network, shared=True)
    wanted = await from_pool(network, pool_id, 12, prefixlen=31)
    assert await network.statuses(*wanted) == Counter({201: 8, 409: 4})
    subnets = (await network[1]("GET", f"{V2}/subnets?subnetpool_id={pool_id}", token="member")).json["subnets"]
    assert sorted(subnet["cidr"] for subnet in subnets) == sorted(f"10.8.0.{n}/31" for n in range(0, 16, 2))


async def test_a_pool_goes_or_keeps_its_prefixes(network: Replicas) -> None:
    for round in range(4):
        pool_id = await a_pool(network, shared=True)
        (create,) = await from_pool(network, pool_id, 1, prefixlen=29)
        path = f"{V2}/subnetpools/{pool_id}"
        delete = {"method": "DELETE", "path": path, "token": "admin"}
        shrink = {
            "method": "PUT",
            "path": f"{path}/remove_prefixes",
            "token": "admin",
            "json": {"prefixes": ["10.8.0.0/28"]},
        }
        other = (delete, shrink)[round % 2]
        made, changed = await network.all_at_once(create, other)
        gone = (404, 204) if other is delete else (409, 200)
        assert (made.status, changed.status) in {(201, 400), gone}, (made.content, changed.content)


async def test_pools_that_enter_one_scope_do_not_overlap(network: Replicas) -> None:
    scope = await network[0]("POST", f"{V2}/address-scopes", json={"address_scope": {"name": "s", "ip_version": 4}})
    scope_id = scope.json["address_scope"]["id"]
    body = {"name": "p", "prefixes": ["10.8.0.0/24"], "address_scope_id": scope_id}
    created = asked("POST", [f"{V2}/subnetpools"] * 4, "admin", json={"subnetpool": body})
    assert await network.statuses(*created) == Counter({201: 1, 409: 3})
    late = [await a_pool(network, prefixes=["10.9.0.0/24"]) for _ in range(4)]
    moved = {"subnetpool": {"address_scope_id": scope_id}}
    entered = asked("PUT", [f"{V2}/subnetpools/{pool_id}" for pool_id in late], "admin", json=moved)
    assert await network.statuses(*entered) == Counter({200: 1, 409: 3})


async def test_one_default_pool(network: Replicas) -> None:
    pools = [await a_pool(network) for _ in range(5)]
    paths = [f"{V2}/subnetpools/{pool_id}" for pool_id in pools]
    body = {"subnetpool": {"is_default": True}}
    assert await network.statuses(*asked("PUT", paths, "admin", json=body)) == Counter({200: 1, 400: 4})


async def default_external(network: Replicas) -> str:
    external = await make(network, "network", "admin", **{"router:external": True, "is_default": True})
    await make(network, "subnet", "admin", network_id=external["id"], cidr="198.51.100.0/24", enable_dhcp=False)
    return str(external["id"])


async def test_one_topology_of_a_project(network: Replicas) -> None:
    await default_external(network)
    await a_pool(network, shared=True, is_default=True, default_prefixlen=28)
    path = f"{V2}/auto-allocated-topology/{PROJECT}"
    for _ in range(2):
        answers = await network.all_at_once(*asked("GET", [path] * 6))
        assert {answer.status for answer in answers} == {200}, [answer.content for answer in answers]
        (network_id,) = {answer.json["auto_allocated_topology"]["id"] for answer in answers}
        for kind, count in (("networks", 1), ("routers", 1), ("subnets", 1)):
            found = (await network[0]("GET", f"{V2}/{kind}?project_id={PROJECT}")).json[kind]
            assert len(found) == count, found
        statuses = await network.statuses(*asked("DELETE", [path] * 4))
        assert statuses == Counter({204: 4})
        assert (await network[1]("GET", f"{V2}/networks/{network_id}")).status == 404


async def test_one_default_external_network(network: Replicas) -> None:
    ids = [(await make(network, "network", "admin", **{"router:external": True}))["id"] for _ in range(5)]
    body = {"network": {"is_default": True}}
    paths = [f"{V2}/networks/{network_id}" for network_id in ids]
    assert await network.statuses(*asked("PUT", paths, "admin", json=body)) == Counter({200: 1, 409: 4})


@pytest.mark.parametrize("round", range(3))
async def test_a_network_goes_or_keeps_its_new_port(network: Replicas, round: int) -> None:
    network_id = await a_network(network)
    delete = {"method": "DELETE", "path": f"{V2}/networks/{network_id}", "token": "member"}
    requests = [new_port(network_id), delete] if round % 2 else [delete, new_port(network_id)]
    statuses = {answer.status for answer in await network.all_at_once(*requests)}
    ports = await ports_of(network, network_id=network_id)
    there = (await network[0]("GET", delete["path"], token="member")).status
    assert (statuses, len(ports), there) in (({201, 409}, 1, 200), ({404, 204}, 0, 404))


async def test_the_last_change_of_a_ports_addresses_is_whole(network: Replicas) -> None:
    network_id = await a_network(network, "10.0.0.0/24")
    port = (await network[0](**new_port(network_id))).json["port"]
    wanted = [f"10.0.0.{n}" for n in range(100, 110)]
    changes = [
        {"method": "PUT", "path": f"{V2}/ports/{port['id']}", "token": "member",
         "json": {"port": {"fixed_ips": [{"ip_address": address}]}}}
        for address in wanted
    ]  # fmt: skip
    assert await network.statuses(*changes) == {200: 10}
    (found,) = await ports_of(network, network_id=network_id)
    (kept,) = found["fixed_ips"]
    assert kept["ip_address"] in wanted
    assert found["revision_number"] == 11


async def test_a_group_in_use_is_not_deleted_from_under_a_port(network: Replicas) -> None:
    network_id = await a_network(network)
    group = await make(network, "security_group", name="g")
    delete = {"method": "DELETE", "path": f"{V2}/security-groups/{group['id']}", "token": "member"}
    statuses = {
        a.status for a in await network.all_at_once(new_port(network_id, security_groups=[group["id"]]), delete)
    }
    assert statuses in ({201, 409}, {404, 204})


async def test_agents_that_report_for_the_first_time_at_once(network: Replicas) -> None:
    state = AgentState(
        agent_type="x", binary="b", host="h", started_at="2026-01-01T00:00:00Z", configurations={MAKES_ROUTERS: True}
    )
    await asyncio.gather(
        *(network.services[n % 2]._plugin.report_state(service_context("req-1"), state) for n in range(8))
    )
    agents = (await network[0]("GET", f"{V2}/agents")).json["agents"]
    assert sorted((agent["host"], agent["agent_type"]) for agent in agents) == [("h", L3_AGENT), ("h", "x")]


async def test_networks_with_tunnels_get_different_segments(
    replicate: Callable[..., Awaitable[Replicas]],
) -> None:
    options = NetworkOptions(network_type="vxlan", vni_range=(100, 111))
    network = await replicate(lambda core: NetworkService(core, options))
    wanted = [
        {"method": "POST", "path": f"{V2}/networks", "token": "member", "json": {"network": {"name": f"n{n}"}}}
        for n in range(14)
    ]  # fmt: skip
    statuses = await network.statuses(*wanted)
    found = (await network[0]("GET", f"{V2}/networks")).json["networks"]
    segments = [item["provider:segmentation_id"] for item in found]
    assert (statuses[201], len(segments), len(set(segments))) == (12, 12, 12)
    many = [new_port(found[n % 2]["id"], "service", **{"binding:host_id": f"h{n % 3}"}) for n in range(12)]
    for item in found[:2]:
        await make(network, "subnet", network_id=item["id"], cidr="10.0.0.0/24")
    more = [
        {"method": "POST", "path": f"{V2}/subnets", "token": "member",
         "json": {"subnet": {"network_id": found[n % 2]["id"], "ip_version": 4, "cidr": f"10.{n}.1.0/24"}}}
        for n in range(6)
    ]  # fmt: skip
    assert await network.statuses(*many, *more) == {201: 18}


async def test_the_same_rule_once(network: Replicas) -> None:
    group = await make(network, "security_group", name="g")
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22, "ethertype": "IPv4"}  # fmt: skip
    path, body = f"{V2}/security-group-rules", {"security_group_rule": rule}
    assert await network.statuses(*asked("POST", [path] * 6, json=body)) == Counter({201: 1, 409: 5})


async def routed(network: Replicas) -> tuple[str, str, str, str]:
    """(external network, router, subnet, port behind the router)"""
    external = await make(network, "network", "admin", **{"router:external": True})
    await make(network, "subnet", "admin", network_id=external["id"], cidr="198.51.100.0/24", enable_dhcp=False)
    router = await make(network, "router", external_gateway_info={"network_id": external["id"]})
    network_id = await a_network(network)
    (subnet,) = (await network[0]("GET", f"{V2}/subnets?network_id={network_id}", token="member")).json["subnets"]
    (joined,) = await network.all_at_once(*joining(router["id"], subnet["id"]))
    assert joined.status == 200, joined.content
    port = await make(network, "port", network_id=network_id)
    return external["id"], router["id"], subnet["id"], port["id"]


def joining(router: str, *subnets: str, what: str = "add") -> list[dict[str, Any]]:
    path = f"{V2}/routers/{router}/{what}_router_interface"
    return [{"method": "PUT", "path": path, "token": "member", "json": {"subnet_id": subnet}} for subnet in subnets]


def leading(external: str, port: str, times: int) -> list[dict[str, Any]]:
    body = {"floatingip": {"floating_network_id": external, "port_id": port}}
    return [{"method": "POST", "path": f"{V2}/floatingips", "token": "member", "json": body}] * times


async def test_one_floating_ip_leads_to_a_port(network: Replicas) -> None:
    external, _, _, port = await routed(network)
    assert await network.statuses(*leading(external, port, 6)) == Counter({201: 1, 409: 5})
    assert len(await ports_of(network, device_owner="network:floatingip")) == 1


async def test_one_interface_on_a_subnet(network: Replicas) -> None:
    _, router, subnet, _ = await routed(network)
    (left,) = await network.all_at_once(*joining(router, subnet, what="remove"))
    assert left.status == 200
    statuses = await network.statuses(*joining(router, *[subnet] * 6))
    assert statuses[200] == 1
    assert set(statuses) <= {200, 400, 409}
    assert len(await ports_of(network, device_owner="network:router_interface")) == 1


async def test_a_floating_ip_is_never_left_without_its_router(network: Replicas) -> None:
    external, router, subnet, port = await routed(network)
    for _ in range(5):
        answers = await network.all_at_once(*leading(external, port, 1), *joining(router, subnet, what="remove"))
        made, left = answers
        assert (made.status, left.status) in {(201, 409), (404, 200)}, (made.content, left.content)
        if made.status == 201:
            path = f"{V2}/floatingips/{made.json['floatingip']['id']}"
            assert (await network[0]("DELETE", path, token="member")).status == 204
        else:
            (joined,) = await network.all_at_once(*joining(router, subnet))
            assert joined.status == 200


async def test_a_router_that_is_deleted_while_it_is_joined(network: Replicas) -> None:
    router = await make(network, "router")
    network_id = await a_network(network)
    (subnet,) = (await network[0]("GET", f"{V2}/subnets?network_id={network_id}", token="member")).json["subnets"]
    gone = {"method": "DELETE", "path": f"{V2}/routers/{router['id']}", "token": "member"}
    joined, deleted = await network.all_at_once(*joining(router["id"], subnet["id"]), gone)
    assert (joined.status, deleted.status) in {(200, 409), (404, 204)}
    assert len(await ports_of(network, device_owner="network:router_interface")) == (joined.status == 200)


@pytest.mark.parametrize("round", range(4))
async def test_ports_made_with_an_automatic_subnet_have_their_addresses_there(network: Replicas, round: int) -> None:
    """Whichever comes first, and whether the network had a subnet before."""
    network_id = await a_network(network) if round % 2 else str((await make(network, "network", name="net"))["id"])
    values = {"network_id": network_id, "cidr": "fd00:1::/64", "ip_version": 6}
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    subnet = {"method": "POST", "path": f"{V2}/subnets", "token": "member", "json": {"subnet": values | modes}}
    requests = [*(new_port(network_id) for _ in range(3)), subnet, *(new_port(network_id) for _ in range(3))]
    assert await network.statuses(*requests) == Counter({201: 7})
    held = [ip["ip_address"] for port in await ports_of(network, network_id=network_id) for ip in port["fixed_ips"]
            if port["device_owner"] == ""]  # fmt: skip
    assert sum(address.startswith("fd00:1:") for address in held) == 6


@pytest.mark.parametrize("first", [True, False])
async def test_a_port_that_has_read_the_subnets_is_known_to_the_next_one(
    network: Replicas, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Another project's port on a shared network; the network's first subnet has no other one to wait at."""
    network_id = str((await make(network, "network", name="net"))["id"]) if first else await a_network(network)
    shared = {"network": {"shared": True}}
    assert (await network[0]("PUT", f"{V2}/networks/{network_id}", token="admin", json=shared)).status == 200
    read, made, on = asyncio.Event(), asyncio.Event(), Allocator.on

    async def slow(connection: Connection, network_ids: Iterable[str]) -> Allocator:
        found = await on(connection, network_ids)
        read.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(made.wait(), 1)  # the subnet must wait for the port
        return found

    monkeypatch.setattr(Allocator, "on", slow)

    async def subnet() -> Any:
        await read.wait()
        values = {"network_id": network_id, "cidr": "fd00:1::/64", "ip_version": 6}
        modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        answer = await network[1]("POST", f"{V2}/subnets", token="member", json={"subnet": values | modes})
        made.set()
        return answer

    port, answer = await asyncio.gather(network[0](**new_port(network_id, "foreign")), subnet())
    assert (port.status, answer.status) == (201, 201)
    (found,) = [one for one in await ports_of(network, network_id=network_id) if one["device_owner"] == ""]
    assert [ip["ip_address"].startswith("fd00:1:") for ip in found["fixed_ips"]] == ([True] if first else [False, True])


async def test_two_hundred_ports_take_the_two_hundred_addresses_that_are_free(network: Replicas) -> None:
    made = await make(network, "network", name="net")
    pool = {"start": "10.0.0.20", "end": "10.0.0.219"}
    await make(network, "subnet", network_id=made["id"], cidr="10.0.0.0/24", enable_dhcp=False, allocation_pools=[pool])
    quotas = {"quota": {"port": -1}}
    assert (await network[0]("PUT", f"{V2}/quotas/{PROJECT}", json=quotas)).status == 200
    assert await network.statuses(*(new_port(made["id"]) for _ in range(200))) == Counter({201: 200})
    given = [ip["ip_address"] for port in await ports_of(network, network_id=made["id"]) for ip in port["fixed_ips"]]
    assert sorted(given) == sorted(f"10.0.0.{n}" for n in range(20, 220))
