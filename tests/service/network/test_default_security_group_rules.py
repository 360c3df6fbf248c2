"""The rules that new security groups begin with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.network.conftest import Cloud

PATH = "/default-security-group-rules"
SSH = {
    "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "used_in_default_sg": False,
    "used_in_non_default_sg": True,
}  # fmt: skip


async def _made(cloud: Cloud, **values: Any) -> Any:
    return await cloud.make("default_security_group_rule", "admin", **SSH | values)


async def _refused(cloud: Cloud, *bodies: dict[str, Any]) -> tuple[int, str]:
    answer = await cloud("POST", PATH, token="admin", json={"default_security_group_rules": list(bodies)})
    return answer.status, answer.json["NeutronError"]["type"]


async def _rules_of(cloud: Cloud, group: Any) -> set[tuple[Any, ...]]:
    rules = (await cloud("GET", f"/security-groups/{group['id']}", token="admin")).json["security_group"][
        "security_group_rules"
    ]
    names = ("direction", "ethertype", "protocol", "port_range_min", "remote_group_id")
    return {tuple(rule[name] for name in names) for rule in rules}


async def _default(cloud: Cloud, token: str = "member") -> Any:
    groups = (await cloud("GET", "/security-groups?name=default", token=token)).json["security_groups"]
    return groups[0]


OUT = {("egress", version, None, None, None) for version in ("IPv4", "IPv6")}


async def test_at_first_groups_begin_as_they_always_did(cloud: Cloud) -> None:
    answer = await cloud("GET", f"{PATH}?sort_key=direction&sort_key=ethertype", token="reader")
    found = answer.json["default_security_group_rules"]
    assert [(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in found] == [
        ("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", "PARENT"), ("ingress", "IPv6", "PARENT"),
    ]  # fmt: skip
    assert [(rule["used_in_default_sg"], rule["used_in_non_default_sg"]) for rule in found] == [
        (True, True), (True, True), (True, False), (True, False),
    ]  # fmt: skip
    assert {rule["description"] for rule in found} == {
        "Legacy default SG rule for egress traffic", "Legacy default SG rule for ingress traffic",
    }  # fmt: skip
    assert await _rules_of(cloud, await cloud.make("security_group", name="x")) == OUT
    group = await _default(cloud)
    inside = {("ingress", version, None, None, group["id"]) for version in ("IPv4", "IPv6")}
    assert await _rules_of(cloud, group) == OUT | inside
    found = (await cloud("GET", f"{PATH}?remote_group_id=PARENT")).json["default_security_group_rules"]
    assert [rule["direction"] for rule in found] == ["ingress", "ingress"]


async def test_new_groups_begin_with_what_admins_chose(cloud: Cloud) -> None:
    before = await cloud.make("security_group", name="before")
    rule = await _made(cloud, description="d", remote_ip_prefix="10.0.0.5/24")
    assert (rule["description"], rule["remote_ip_prefix"], rule["ethertype"]) == ("d", "10.0.0.5/24", "IPv4")
    assert (await cloud("GET", f"{PATH}/{rule['id']}")).json["default_security_group_rule"] == rule
    mine = await _made(cloud, direction="egress", protocol="udp", used_in_default_sg=True, used_in_non_default_sg=False)
    group = await cloud.make("security_group", name="x")
    assert await _rules_of(cloud, group) == OUT | {("ingress", "IPv4", "tcp", 22, None)}
    assert await _rules_of(cloud, before) == OUT
    assert ("egress", "IPv4", "udp", 22, None) in await _rules_of(cloud, await _default(cloud, "foreign"))
    for one in (rule, mine):
        assert (await cloud("DELETE", f"{PATH}/{one['id']}", token="admin")).status == 204
        gone = await cloud("GET", f"{PATH}/{one['id']}")
        assert (gone.status, gone.json["NeutronError"]["type"]) == (404, "DefaultSecurityGroupRuleNotFound")
    assert await _rules_of(cloud, await cloud.make("security_group", name="y")) == OUT
    assert len(await _rules_of(cloud, group)) == 3


async def test_without_any_groups_begin_empty(cloud: Cloud) -> None:
    rules = (await cloud("GET", PATH)).json["default_security_group_rules"]
    for rule in rules:
        assert (await cloud("DELETE", f"{PATH}/{rule['id']}", token="admin")).status == 204
    assert await _rules_of(cloud, await _default(cloud)) == set()
    assert await _rules_of(cloud, await cloud.make("security_group", name="x")) == set()
    again = [{name: value for name, value in rule.items() if name != "id"} for rule in rules]  # other tests need them
    assert (await cloud("POST", PATH, token="admin", json={"default_security_group_rules": again})).status == 201


async def test_they_count_in_the_quota_of_rules(cloud: Cloud) -> None:
    used = len(await _rules_of(cloud, await _default(cloud)))
    await _made(cloud)
    project = (await _default(cloud))["project_id"]
    quota = {"quota": {"security_group_rule": used + 2}}
    assert (await cloud("PUT", f"/quotas/{project}", token="admin", json=quota)).status == 200
    refused = await cloud("POST", "/security-groups", json={"security_group": {"name": "x"}})
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "OverQuota")


async def test_the_same_rule_is_refused_for_the_same_kind_of_groups(cloud: Cloud) -> None:
    rule = await _made(cloud, used_in_default_sg=True)
    for changes in ({}, {"used_in_default_sg": True, "used_in_non_default_sg": False}, {"protocol": 6}):
        answer = await cloud("POST", PATH, token="admin", json={"default_security_group_rule": SSH | changes})
        error = answer.json["NeutronError"]
        assert (answer.status, error["type"]) == (409, "DefaultSecurityGroupRuleExists")
        assert rule["id"] in error["message"]
    other = SSH | {"port_range_min": 21}
    assert await _refused(cloud, other, other) == (409, "DuplicateDefaultSgRuleInPost")
    unused = SSH | {"used_in_non_default_sg": False}
    assert (await cloud("POST", PATH, token="admin", json={"default_security_group_rules": [unused] * 2})).status == 201
    asked = [cloud("POST", PATH, token="admin", json={"default_security_group_rule": other}) for _ in range(3)]
    assert sorted(answer.status for answer in await asyncio.gather(*asked)) == [201, 409, 409]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"direction": "up"}, "HTTPBadRequest"),
        ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "nix"}, "SecurityGroupRuleInvalidProtocol"),
        ({"port_range_min": 23}, "SecurityGroupInvalidPortRange"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "PARENT"}, "SecurityGroupMultipleRemoteEntites"),
        ({"remote_group_id": "parent"}, "HTTPBadRequest"),
        ({"used_in_default_sg": None}, "HTTPBadRequest"),
        ({"security_group_id": "x"}, "HTTPBadRequest"),
    ],
)
async def test_bad_input(cloud: Cloud, changes: dict[str, Any], expected: str) -> None:
    before = (await cloud("GET", PATH)).json
    assert await _refused(cloud, SSH | {"port_range_max": 21, "port_range_min": 21}, SSH | changes) == (400, expected)
    assert (await cloud("GET", PATH)).json == before


async def test_what_they_refer_to(cloud: Cloud) -> None:
    nowhere = cloud.core.clock.uuid()
    assert await _refused(cloud, SSH | {"remote_group_id": nowhere}) == (404, "SecurityGroupNotFound")
    assert await _refused(cloud, SSH | {"remote_address_group_id": nowhere}) == (404, "AddressGroupNotFound")
    addresses = await cloud.make("address_group", addresses=["10.1.0.0/16"])
    await _made(cloud, remote_address_group_id=addresses["id"])
    refused = await cloud("DELETE", f"/address-groups/{addresses['id']}")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "AddressGroupInUse")
    group = await cloud.make("security_group", name="x")
    rule = await _made(cloud, remote_group_id=group["id"])
    assert (await cloud("DELETE", f"/security-groups/{group['id']}")).status == 204
    assert (await cloud("GET", f"{PATH}/{rule['id']}")).status == 404  # as rules that refer to a group that is deleted
    await cloud.make("security_group", name="y")


async def test_only_admins_change_them(cloud: Cloud) -> None:
    rule = await _made(cloud)
    for token in ("reader", "member", "foreign"):
        assert (await cloud("GET", PATH, token=token)).status == 200
        assert (await cloud("POST", PATH, token=token, json={"default_security_group_rule": SSH})).status == 403
        assert (await cloud("DELETE", f"{PATH}/{rule['id']}", token=token)).status == 403
    assert (await cloud("GET", PATH, token=None)).status == 401
