"""The account of compute hosts: it does with ports what a server's grant covers, on the server's own host, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kilonova.core.grants import HEADER, Grant, Grants
from tests.service.network.conftest import HOST, Cloud
from tests.support import OTHER_PROJECT, PROJECT

SERVER, OTHER = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
MADE, GIVEN = "00000000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-0000000000a2"
TIME_TO_COME, PAST = 2e10, 1.0
OWNER = "compute:nova"


class Host:
    """`await host("GET", "/ports")` as the host account with a grant; `values` are the grant's."""

    def __init__(self, cloud: Cloud, network: str, given: str = GIVEN, **values: Any) -> None:
        self.cloud = cloud
        self.grant = Grant(
            server=SERVER, host=HOST, project=PROJECT, networks=(network,), made=(MADE,), given=(given,),
            hosts=(HOST,), until=TIME_TO_COME,
        )  # fmt: skip
        self.grant = msgspec.structs.replace(self.grant, **values)

    async def __call__(self, method: str, path: str, json: Any = None) -> Any:
        headers = {HEADER: self.cloud.core.grants.sign(self.grant)}
        return await self.cloud(method, path, token="host", json=json, headers=headers)


def port(network: str, **more: Any) -> dict[str, Any]:
    values = {
        "id": MADE, "network_id": network, "project_id": PROJECT, "device_id": SERVER, "device_owner": OWNER,
        "binding:host_id": HOST,
    }  # fmt: skip
    return {"port": values | more}


async def test_a_servers_ports_from_first_to_last(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    mine = await cloud.make("port", network_id=network["id"])
    host = Host(cloud, network["id"], mine["id"])
    made = await host("POST", "/ports", port(network["id"]))
    assert (made.status, made.json["port"]["project_id"], made.json["port"]["binding:host_id"]) == (201, PROJECT, HOST)
    assert (await host("POST", "/ports", port(network["id"]))).json["port"]["id"] == MADE
    assert [n["id"] for n in (await host("GET", "/networks")).json["networks"]] == [network["id"]]
    assert [s["network_id"] for s in (await host("GET", "/subnets")).json["subnets"]] == [network["id"]]
    assert (await host("GET", f"/ports/{mine['id']}")).json["port"]["device_id"] == ""
    bind = {"port": {"binding:host_id": HOST, "device_id": SERVER, "device_owner": OWNER}}
    assert (await host("PUT", f"/ports/{mine['id']}", bind)).status == 200
    listed = (await host("GET", f"/ports?id={MADE}&id={mine['id']}")).json["ports"]
    assert {p["id"]: p["binding:host_id"] for p in listed} == {MADE: HOST, mine["id"]: HOST}
    free = {"port": {"binding:host_id": "", "device_id": "", "device_owner": "", "binding:profile": {}}}
    assert (await host("PUT", f"/ports/{mine['id']}", free)).status == 200
    assert (await host("DELETE", f"/ports/{MADE}")).status == 204
    assert (await cloud.port(mine["id"]))["device_id"] == ""


async def test_a_grant_that_has_ended_lets_go_of_what_it_made(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    mine = await cloud.make("port", network_id=network["id"])
    host, late = Host(cloud, network["id"], mine["id"]), Host(cloud, network["id"], mine["id"], until=PAST)
    bind = {"port": {"binding:host_id": HOST, "device_id": SERVER, "device_owner": OWNER}}
    assert (await late("POST", "/ports", port(network["id"]))).status == 404
    assert (await late("PUT", f"/ports/{mine['id']}", bind)).status == 404
    assert (await host("POST", "/ports", port(network["id"]))).status == 201
    assert (await host("PUT", f"/ports/{mine['id']}", bind)).status == 200
    free = {"port": {"binding:host_id": "", "device_id": "", "device_owner": ""}}
    assert (await late("PUT", f"/ports/{mine['id']}", free)).status == 200
    assert (await late("DELETE", f"/ports/{MADE}")).status == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": OTHER}, {"device_id": OTHER}, {"binding:host_id": "host-2"}, {"project_id": OTHER_PROJECT},
        {"device_owner": "network:dhcp"}, {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]},
        {"port_security_enabled": False}, {"mac_address": "fa:16:3e:00:00:01"}, {"binding:host_id": ""},
    ],
)  # fmt: skip
async def test_no_other_port_is_made(cloud: Cloud, wrong: dict[str, Any]) -> None:
    network, _ = await cloud.network()
    answer = await Host(cloud, network["id"])("POST", "/ports", port(network["id"], **wrong))
    assert answer.status in (400, 404), answer.content
    elsewhere, _ = await cloud.network(token="foreign")
    assert (await Host(cloud, network["id"])("POST", "/ports", port(elsewhere["id"]))).status == 404
    found = (await cloud("GET", "/ports", token="admin")).json["ports"]
    assert {p["device_owner"] for p in found} <= {"network:dhcp"}


async def _victims(cloud: Cloud, network: Any) -> list[Any]:
    """Ports that are not the host's: another server's on another host and on its own, the server's own after it moved."""
    return [
        await cloud.bound(network, "host-2", device_id=OTHER),
        await cloud.bound(network, HOST, device_id=OTHER),
        await cloud.bound(network, "host-2", device_id=SERVER),
        await cloud.make("port", network_id=network["id"]),
    ]


async def test_no_other_port_is_seen_or_changed(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    host = Host(cloud, network["id"])
    for victim in await _victims(cloud, network):
        before = await cloud.port(victim["id"])
        for body in ({"binding:host_id": HOST, "device_id": SERVER}, {"device_id": ""}, {"name": "taken"}):
            assert (await host("PUT", f"/ports/{victim['id']}", {"port": body})).status == 404
        for method in ("GET", "DELETE"):
            assert (await host(method, f"/ports/{victim['id']}")).status == 404
        assert await cloud.port(victim["id"]) == before
    for query in ("", f"?device_id={OTHER}", "?project_id=" + PROJECT, "?binding:host_id=" + HOST):
        assert {p["device_id"] for p in (await host("GET", "/ports" + query)).json["ports"]} <= {SERVER}, query
    taken = port(network["id"], id=(await cloud.make("port", network_id=network["id"]))["id"])
    assert (await host("POST", "/ports", taken)).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"port_security_enabled": False}, {"security_groups": []}, {"fixed_ips": []}, {"name": "x"},
        {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, {"binding:host_id": "host-2"}, {"device_id": OTHER},
        {"device_owner": "network:dhcp"}, {"mac_address": "fa:16:3e:00:00:01"}, {"admin_state_up": False},
    ],
)  # fmt: skip
async def test_of_its_own_port_a_host_changes_the_binding_alone(cloud: Cloud, body: dict[str, Any]) -> None:
    network, _ = await cloud.network()
    host = Host(cloud, network["id"])
    assert (await host("POST", "/ports", port(network["id"]))).status == 201
    before = await cloud.port(MADE)
    assert (await host("PUT", f"/ports/{MADE}", {"port": body})).status == 404
    assert await cloud.port(MADE) == before


async def test_a_port_goes_back_to_the_host_it_came_from(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    made = await cloud.bound(network, "host-2", id=MADE, device_id=SERVER)
    host = Host(cloud, network["id"], hosts=(HOST, "host-2"))
    for name in (HOST, "host-2"):
        bind = {"port": {"binding:host_id": name, "device_id": SERVER, "device_owner": OWNER}}
        assert (await host("PUT", f"/ports/{made['id']}", bind)).json["port"]["binding:host_id"] == name


async def test_no_route_answers_a_host_without_a_grant_or_with_a_false_one(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    held = {"networks": network, "subnets": subnet, "ports": await cloud.bound(network, device_id=SERVER),
            "security-groups": await cloud.make("security_group", name="web")}  # fmt: skip
    rest = {"get_extensions", "get_service_provider", "get_availability_zone"}
    forged = Grants("another secret").sign(Host(cloud, network["id"]).grant)
    broken = cloud.core.grants.sign(Host(cloud, network["id"]).grant)[:-8] + "AAAAAAA="
    for sent in ({}, {HEADER: forged}, {HEADER: broken}, {HEADER: "x"}, {HEADER: ""}):
        for route in cloud.service.routes:
            if route.public or route.policy in rest:
                continue
            collection = route.path.split("/")[2]
            found = held.get(collection, {"id": "11111111-1111-4111-8111-111111111111"})["id"]
            path = "/network" + route.path.replace("{id:str}", found).replace("{tag:str}", "x")
            path = path.replace("{project_id:str}", PROJECT)
            answer = await cloud.client(route.method, path, token="host", json={"port": {}}, headers=sent)
            assert answer.status in (403, 404), (route.method, path, answer.status)


async def test_with_a_grant_a_host_gets_nothing_but_ports_and_their_networks(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    other, subnet = await cloud.network("10.8.0.0/24")
    group = await cloud.make("security_group", name="web")
    host = Host(cloud, network["id"])
    for path in (f"/networks/{other['id']}", f"/subnets/{subnet['id']}", f"/security-groups/{group['id']}",
                 f"/security-group-rules/{group['security_group_rules'][0]['id']}"):  # fmt: skip
        assert (await host("GET", path)).status in (403, 404), path
        assert (await host("DELETE", path)).status in (403, 404), path
    for path in ("/security-groups", "/security-group-rules"):
        answer = await host("GET", path)
        assert answer.status == 403 or list(answer.json.values()) == [[]], path
    assert [n["id"] for n in (await host("GET", "/networks")).json["networks"]] == [network["id"]]
    assert (await host("DELETE", f"/networks/{network['id']}")).status in (403, 404)
    assert (await host("PUT", f"/networks/{network['id']}", {"network": {"name": "x"}})).status in (403, 404)


async def test_a_guest_comes_to_the_granted_host_alone(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    made = await cloud.bound(network, host="host-9", device_id=SERVER)
    host = Host(cloud, network["id"], made=(made["id"],), hosts=(HOST, "host-9"))
    for where, status in (("host-9", 404), (OTHER, 404), (HOST, 200), ("", 200)):
        answer = await host("PUT", f"/ports/{made['id']}", {"port": {"binding:profile": {"migrating_to": where}}})
        assert answer.status == status, where
