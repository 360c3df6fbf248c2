"""Address groups over HTTP, rules that refer to them, and what a host is told of them."""

from __future__ import annotations

from typing import Any

from tests.eventually import until
from tests.service.network.conftest import Cloud
from tests.service.network.test_routers import NOWHERE, refused


async def make(cloud: Cloud, *addresses: str, token: str = "member") -> Any:
    body = {"address_group": {"name": "partners", "addresses": list(addresses)}}
    answer = await cloud("POST", "/address-groups", token=token, json=body)
    assert answer.status == 201, answer.content
    return answer.json["address_group"]


async def change(cloud: Cloud, group: Any, action: str, *addresses: str, token: str = "member") -> Any:
    path = f"/address-groups/{group['id']}/{action}_addresses"
    return await cloud("PUT", path, token=token, json={"addresses": list(addresses)})


async def rule(cloud: Cloud, group_id: str, address_group_id: str, token: str = "member", **values: Any) -> Any:
    body = {"security_group_id": group_id, "direction": "ingress", "remote_address_group_id": address_group_id} | values
    return await cloud("POST", "/security-group-rules", token=token, json={"security_group_rule": body})


async def test_its_whole_life(cloud: Cloud) -> None:
    group = await make(cloud, "10.0.0.5/32", "10.1.2.3/16", "fd00::1/64", "10.0.0.5/32")
    assert group["addresses"] == ["10.0.0.5/32", "10.1.0.0/16", "fd00::/64"]
    assert (group["name"], group["description"], group["tags"]) == ("partners", "", [])
    path = f"/address-groups/{group['id']}"
    added = (await change(cloud, group, "add", "10.9.0.1")).json["address_group"]
    assert added["addresses"] == ["10.0.0.5/32", "10.1.0.0/16", "fd00::/64", "10.9.0.1/32"]
    assert added["revision_number"] > group["revision_number"]
    refused(await change(cloud, group, "add", "10.9.0.1", "10.9.0.2"), 400, "AddressesAlreadyExist", "10.9.0.1/32")
    removed = (await change(cloud, group, "remove", "10.1.0.0/16", "10.9.0.1")).json["address_group"]
    assert removed["addresses"] == ["10.0.0.5/32", "fd00::/64"]
    refused(await change(cloud, group, "remove", "10.9.0.1"), 404, "AddressesNotFound", "10.9.0.1/32")
    named = await cloud("PUT", path, json={"address_group": {"name": "x"}})
    assert named.json["address_group"]["name"] == "x"
    assert len((await cloud("GET", "/address-groups?name=x")).json["address_groups"]) == 1
    assert (await cloud("DELETE", path)).status == 204
    refused(await cloud("GET", path), 404, "AddressGroupNotFound")


async def test_hosts_filter_by_it(cloud: Cloud) -> None:
    _, plane = await cloud.agent()
    group = await make(cloud, "192.0.2.7/32", "198.51.100.0/24", "fd00::1/128")
    security = await cloud.make("security_group", name="web")
    network, _ = await cloud.network()
    await cloud.bound(network, security_groups=[security["id"]])
    made = await rule(cloud, security["id"], group["id"], protocol="tcp", port_range_min=80, port_range_max=80)
    assert made.status == 201, made.content
    assert made.json["security_group_rule"]["remote_address_group_id"] == group["id"]
    assert made.json["security_group_rule"]["remote_group_id"] is None

    def members() -> tuple[str, ...] | None:
        found = {one.id: one for one in plane.state.security_groups}
        rules = found[security["id"]].rules if security["id"] in found else ()
        return found[group["id"]].members if any(one.remote_group_id == group["id"] for one in rules) else None

    await until(lambda: members() == ("192.0.2.7", "198.51.100.0/24", "fd00::1"))
    assert (await change(cloud, group, "remove", "192.0.2.7", "fd00::1")).status == 200
    await until(lambda: members() == ("198.51.100.0/24",))
    refused(await cloud("DELETE", f"/address-groups/{group['id']}"), 409, "AddressGroupInUse", group["id"])
    rule_id = made.json["security_group_rule"]["id"]
    assert (await cloud("DELETE", f"/security-group-rules/{rule_id}")).status == 204
    await until(lambda: members() is None)
    assert (await cloud("DELETE", f"/address-groups/{group['id']}")).status == 204


async def test_what_is_refused(cloud: Cloud) -> None:
    for odd in ("10.0.0.300", "10.0.0.5", "10.0.0.0/33", "fe80::1%lo", "x\n", ""):
        answer = await cloud("POST", "/address-groups", json={"address_group": {"addresses": [odd]}})
        refused(answer, 400, "HTTPBadRequest", "addresses")
    group, security = await make(cloud, "10.0.0.5/32"), await cloud.make("security_group", name="web")
    refused(await rule(cloud, security["id"], NOWHERE), 404, "AddressGroupNotFound", NOWHERE)
    theirs = await make(cloud, "10.0.0.5/32", token="foreign")
    refused(await rule(cloud, security["id"], theirs["id"]), 404, "AddressGroupNotFound")
    both = {"remote_ip_prefix": "10.0.0.0/8"}
    refused(await rule(cloud, security["id"], group["id"], **both), 400, "SecurityGroupMultipleRemoteEntites")
    assert (await rule(cloud, security["id"], group["id"])).status == 201
    refused(await rule(cloud, security["id"], group["id"]), 409, "SecurityGroupRuleExists")
    found = await cloud("GET", f"/security-group-rules?remote_address_group_id={group['id']}")
    assert len(found.json["security_group_rules"]) == 1


async def test_rights(cloud: Cloud) -> None:
    group = await make(cloud, "10.0.0.5/32")
    path, body = f"/address-groups/{group['id']}", {"address_group": {"name": "x"}}
    for method, sent in (("GET", None), ("PUT", body), ("DELETE", None)):
        refused(await cloud(method, path, token="foreign", json=sent), 404, "AddressGroupNotFound")
    refused(await change(cloud, group, "add", "10.0.0.6", token="foreign"), 404, "AddressGroupNotFound")
    assert (await change(cloud, group, "add", "10.0.0.6", token="reader")).status == 403
    assert (await cloud("GET", "/address-groups", token="foreign")).json["address_groups"] == []
    assert (await cloud("GET", path, token="reader")).json["address_group"]["addresses"] == ["10.0.0.5/32"]
