"""Security groups and rules through the HTTP API."""

from __future__ import annotations

import asyncio

import pytest

from tests.eventually import until
from tests.service.network.conftest import Cloud

PATH = "/security-group-rules"


async def rule(cloud: Cloud, group: str, **values):
    return await cloud("POST", PATH, json={"security_group_rule": {"security_group_id": group} | values})


async def default_group(cloud: Cloud, token: str = "member"):
    groups = (await cloud("GET", "/security-groups?name=default", token=token)).json["security_groups"]
    assert len(groups) == 1
    return groups[0]


async def test_a_group_lives(cloud: Cloud):
    group = await cloud.make("security_group", name="web", description="d")
    assert {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in group["security_group_rules"]} == {
        ("egress", "IPv4", None), ("egress", "IPv6", None)
    }  # fmt: skip
    made = await rule(cloud, group["id"], direction="ingress", protocol="TCP", port_range_min="22", port_range_max=22,
                      remote_ip_prefix="0.0.0.0/0")  # fmt: skip
    assert made.status == 201, made.content
    shown = made.json["security_group_rule"]
    assert (shown["protocol"], shown["port_range_min"], shown["ethertype"]) == ("tcp", 22, "IPv4")
    assert shown["normalized_cidr"] == "0.0.0.0/0"
    assert (await cloud("GET", f"{PATH}/{shown['id']}")).json["security_group_rule"] == shown
    found = (await cloud("GET", f"{PATH}?security_group_id={group['id']}&direction=ingress")).json
    assert found["security_group_rules"] == [shown]
    changed = await cloud("PUT", f"/security-groups/{group['id']}", json={"security_group": {"name": "w"}})
    assert (changed.json["security_group"]["name"], len(changed.json["security_group"]["security_group_rules"])) == (
        "w",
        3,
    )
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], security_groups=[group["id"]])
    found = await cloud("GET", f"/ports?security_groups={group['id']}")
    assert [p["id"] for p in found.json["ports"]] == [port["id"]]
    refused = await cloud("DELETE", f"/security-groups/{group['id']}")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "SecurityGroupInUse")
    await cloud("DELETE", f"/ports/{port['id']}")
    assert (await cloud("DELETE", f"{PATH}/{shown['id']}")).status == 204
    assert (await cloud("DELETE", f"{PATH}/{shown['id']}")).json["NeutronError"]["type"] == "SecurityGroupRuleNotFound"
    assert (await cloud("DELETE", f"/security-groups/{group['id']}")).status == 204
    assert (await cloud("GET", f"/security-groups/{group['id']}")).json["NeutronError"][
        "type"
    ] == "SecurityGroupNotFound"


async def test_an_operator_deletes_default_groups_that_are_not_in_use(cloud: Cloud):
    group = await default_group(cloud)
    assert (await cloud("DELETE", f"/security-groups/{group['id']}", token="admin")).status == 204
    again = await default_group(cloud)  # the project is still in use: it gets a new one
    assert again["id"] != group["id"]
    await cloud.network()
    (network,) = (await cloud("GET", "/networks")).json["networks"]
    await cloud.make("port", network_id=network["id"])
    used = await cloud("DELETE", f"/security-groups/{again['id']}", token="admin")
    assert (used.status, used.json["NeutronError"]["type"]) == (409, "SecurityGroupInUse")
    assert (await default_group(cloud))["id"] == again["id"]


async def test_the_default_group(cloud: Cloud):
    answers = await asyncio.gather(*(cloud("GET", "/security-groups") for _ in range(10)))
    assert {len(a.json["security_groups"]) for a in answers} == {1}
    group = await default_group(cloud)
    refused = await cloud("DELETE", f"/security-groups/{group['id']}")
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "SecurityGroupCannotRemoveDefault")
    refused = await cloud("PUT", f"/security-groups/{group['id']}", json={"security_group": {"name": "x"}})
    assert refused.json["NeutronError"]["type"] == "SecurityGroupCannotUpdateDefault"
    kept = await cloud("PUT", f"/security-groups/{group['id']}", json={"security_group": {"description": "x"}})
    assert kept.json["security_group"]["description"] == "x"
    for name in ("default", "Default"):
        refused = await cloud("POST", "/security-groups", json={"security_group": {"name": name}})
        assert refused.json["NeutronError"]["type"] == "SecurityGroupDefaultAlreadyExists"
    assert (await default_group(cloud, "foreign"))["id"] != group["id"]
    new = "c" * 32
    assert (await cloud("GET", f"/security-groups?project_id={new}")).json["security_groups"] == []
    found = await cloud("GET", f"/security-groups?project_id={new}&name=default", token="admin")
    assert [one["project_id"] for one in found.json["security_groups"]] == [new]


async def test_the_same_rule_twice(cloud: Cloud):
    group = (await cloud.make("security_group", name="g"))["id"]
    ssh = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    first = (await rule(cloud, group, **ssh)).json["security_group_rule"]
    for same in (ssh, ssh | {"protocol": 6}, ssh | {"protocol": "6", "remote_ip_prefix": "0.0.0.0/0"}):
        refused = await rule(cloud, group, **same)
        assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "SecurityGroupRuleExists")
        assert first["id"] in refused.json["NeutronError"]["message"]
    assert (await rule(cloud, group, **ssh, remote_group_id=group)).status == 201
    https = {"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 443,
             "port_range_max": 443}  # fmt: skip
    twice = await cloud("POST", PATH, json={"security_group_rules": [https, https]})
    assert twice.json["NeutronError"]["type"] == "DuplicateSecurityGroupRuleInPost"
    both = await cloud("POST", PATH, json={"security_group_rules": [https, https | {"ethertype": "IPv6"}]})
    assert len(both.json["security_group_rules"]) == 2
    answers = await asyncio.gather(*(rule(cloud, group, direction="ingress", protocol="udp") for _ in range(8)))
    assert sorted(a.status for a in answers) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"direction": "sideways"}, 400, "HTTPBadRequest"),
        ({"ethertype": "IPX"}, 400, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "nonsense"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": -1}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "tcp; reboot"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "tcp", "port_range_min": 23, "port_range_max": 22}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 22}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": -1, "port_range_max": 22}, 400, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}, 400, "SecurityGroupInvalidPortValue"),
        *[
            (
                {"protocol": protocol, "port_range_min": low, "port_range_max": high},
                400,
                "SecurityGroupInvalidPortValue",
            )
            for protocol in ("tcp", "udp", "sctp", "dccp", "udplite", 6)
            for low, high in ((0, 0), (0, 22), (None, 0))
        ],
        ({"protocol": "tcp", "port_range_min": "ssh", "port_range_max": 22}, 400, "HTTPBadRequest"),
        ({"port_range_min": 22, "port_range_max": 22}, 400, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "gre", "port_range_min": 22, "port_range_max": 22}, 400, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "icmp", "port_range_min": 256}, 400, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 0}, 400, "SecurityGroupMissingIcmpType"),
        ({"protocol": "ipv6-icmp"}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"protocol": "58"}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"protocol": 43}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "nonsense"}, 400, "InvalidCIDR"),
        ({"remote_ip_prefix": "10.0.0.0/33"}, 400, "InvalidCIDR"),
        ({"remote_ip_prefix": "2001:db8::/32"}, 400, "SecurityGroupRuleParameterConflict"),
        ({"remote_group_id": "11111111-1111-4111-8111-111111111111"}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": "11111111-1111-4111-8111-111111111111"}, 404, "SecurityGroupNotFound"),
        ({"remote_group_id": "self", "remote_ip_prefix": "10.0.0.0/8"}, 400, "SecurityGroupMultipleRemoteEntites"),
        ({"colour": "red"}, 400, "HTTPBadRequest"),
    ],
)
async def test_what_a_rule_may_not_be(cloud: Cloud, values, status, kind):
    group = (await cloud.make("security_group", name="g"))["id"]
    if values.get("remote_group_id") == "self":
        values = values | {"remote_group_id": group}
    answer = await rule(cloud, group, **({"direction": "ingress"} | values))
    assert (answer.status, answer.json["NeutronError"]["type"]) == (status, kind), answer.content
    shown = (await cloud("GET", f"/security-groups/{group}")).json["security_group"]
    assert len(shown["security_group_rules"]) == 2


@pytest.mark.parametrize(
    ("values", "protocol"),
    [
        ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, "icmp"),
        ({"protocol": "icmp", "port_range_min": 0}, "icmp"),
        ({"protocol": "any"}, None),
        ({"protocol": None}, None),
        ({"protocol": "47"}, "47"),
        ({"protocol": 0}, "0"),
        ({"protocol": "icmpv6", "ethertype": "ipv6"}, "icmpv6"),
        ({"protocol": "sctp", "port_range_min": 1, "port_range_max": 65535}, "sctp"),
        ({"protocol": "vrrp"}, "vrrp"),
        ({"remote_ip_prefix": "10.0.0.5"}, None),
    ],
)
async def test_what_a_rule_may_be(cloud: Cloud, values, protocol):
    group = (await cloud.make("security_group", name="g"))["id"]
    answer = await rule(cloud, group, **({"direction": "ingress"} | values))
    assert answer.status == 201, answer.content
    assert answer.json["security_group_rule"]["protocol"] == protocol


async def test_quota_of_groups_and_rules(cloud: Cloud):
    group = await default_group(cloud)
    limits = {"quota": {"security_group": 2, "security_group_rule": 7}}
    await cloud("PUT", f"/quotas/{group['project_id']}", token="admin", json=limits)
    await cloud.make("security_group", name="one")
    refused = await cloud("POST", "/security-groups", json={"security_group": {"name": "two"}})
    assert refused.json["NeutronError"]["type"] == "OverQuota"
    assert (await rule(cloud, group["id"], direction="ingress", protocol="tcp")).status == 201
    assert (await rule(cloud, group["id"], direction="ingress", protocol="udp")).json["NeutronError"][
        "type"
    ] == "OverQuota"


async def test_stateless_groups(cloud: Cloud):
    """A port's groups are of one kind, a group that is in use stays what it is, and hosts know of it by its rules."""
    _, plane = await cloud.agent()
    network, _ = await cloud.network()
    plain = await cloud.make("security_group", name="plain")
    bare, other = [await cloud.make("security_group", name=n, stateful=False) for n in ("bare", "other")]
    assert (plain["stateful"], bare["stateful"]) == (True, False)
    listed = (await cloud("GET", "/security-groups?stateful=false")).json["security_groups"]
    assert {one["id"] for one in listed} == {bare["id"], other["id"]}
    for groups in ([plain["id"], bare["id"]], [bare["id"], other["id"], plain["id"]]):
        body = {"port": {"network_id": network["id"], "security_groups": groups}}
        answer = await cloud("POST", "/ports", json=body)
        assert (answer.status, answer.json["NeutronError"]["type"]) == (409, "SecurityGroupConflict")
    port = await cloud.bound(network, security_groups=[bare["id"], other["id"]])
    for groups, status in (([plain["id"], bare["id"]], 409), ([plain["id"]], 200), ([bare["id"]], 200)):
        answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"security_groups": groups}})
        assert answer.status == status, answer.content
    for group, stateful, status in ((bare, True, 409), (bare, False, 200), (other, True, 200), (other, False, 200)):
        path = f"/security-groups/{group['id']}"
        answer = await cloud("PUT", path, json={"security_group": {"stateful": stateful}})
        assert answer.status == status, answer.content
        assert status == 409 or answer.json["security_group"]["stateful"] is stateful
    await until(lambda: [g.id for g in plane.state.security_groups] == [bare["id"]])
    assert {rule.stateless for g in plane.state.security_groups for rule in g.rules} == {True}
    whole = await cloud.service._plugin._hosts.model("host-1")
    assert {rule.stateless for g in whole.security_groups for rule in g.rules} == {True}
