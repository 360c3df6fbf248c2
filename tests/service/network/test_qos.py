"""QoS policies over HTTP: their rules, what has them, and what a host is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.network.agent.model import BandwidthLimitModel, HostModel, PacketRateLimitModel, QosPolicyModel
from kilonova.network.hosts.model import SECTIONS
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_rbac_policies import foreign_project, names, share, shared
from tests.service.network.test_routers import NOWHERE, external, join, refused
from tests.support import OTHER_PROJECT, PROJECT

LIMITS, RATES, MARKS = "bandwidth_limit_rules", "packet_rate_limit_rules", "dscp_marking_rules"


async def policy(cloud: Cloud, token: str = "manager", **values: Any) -> Any:
    answer = await cloud("POST", "/qos/policies", token=token, json={"policy": {"name": "gold"} | values})
    assert answer.status == 201, answer.content
    return answer.json["policy"]


async def ask(
    cloud: Cloud, method: str, of: Any, kind: str, one: str = "", token: str = "manager", **values: Any
) -> Any:
    path = f"/qos/policies/{of['id']}/{kind}" + (f"/{one}" if one else "")
    return await cloud(method, path, token=token, json={kind[:-1]: values} if method in ("POST", "PUT") else None)


async def rule(cloud: Cloud, of: Any, kind: str, **values: Any) -> Any:
    answer = await ask(cloud, "POST", of, kind, **values)
    assert answer.status == 201, answer.content
    return answer.json[kind[:-1]]


async def now(cloud: Cloud, of: Any, token: str = "manager") -> Any:
    return (await cloud("GET", f"/qos/policies/{of['id']}", token=token)).json["policy"]


async def put(cloud: Cloud, path: str, token: str = "member", **values: Any) -> Any:
    return await cloud("PUT", path, token=token, json={path.split("/")[-2][:-1]: values})


async def change(cloud: Cloud, of: Any, token: str = "manager", **values: Any) -> Any:
    return await cloud("PUT", f"/qos/policies/{of['id']}", token=token, json={"policy": values})


async def told(cloud: Cloud) -> HostModel:
    return await cloud.service._plugin._hosts.model(HOST, SECTIONS)


async def held(cloud: Cloud) -> dict[str, str]:
    """Port → its policy, as the host is told."""
    return {port.id: port.qos_policy_id for network in (await told(cloud)).networks for port in network.ports}


async def test_a_policy_with_rules_of_every_type(cloud: Cloud) -> None:
    made = await policy(cloud, description="d", tenant_id=PROJECT)
    assert {name: made[name] for name in ("name", "description", "project_id", "shared", "is_default", "rules", "tags")} == {
        "name": "gold", "description": "d", "project_id": PROJECT, "shared": False, "is_default": False, "rules": [], "tags": [],
    }  # fmt: skip
    limit = await rule(cloud, made, LIMITS, max_kbps=2000)
    assert limit == {"id": limit["id"], "max_kbps": 2000, "max_burst_kbps": 0, "direction": "egress"}
    other = await rule(cloud, made, LIMITS, max_kbps="10", max_burst_kbps=20, direction="ingress")
    rate = await rule(cloud, made, RATES, max_kpps=5)
    mark = await rule(cloud, made, MARKS, dscp_mark=26)
    assert rate == {"id": rate["id"], "max_kpps": 5, "max_burst_kpps": 0, "direction": "egress"}
    assert mark == {"id": mark["id"], "dscp_mark": 26}
    shown = await now(cloud, made)
    assert shown["revision_number"] > made["revision_number"]
    assert {one["id"]: one for one in shown["rules"]} == {
        one["id"]: one | {"qos_policy_id": made["id"], "type": kind}
        for kind, one in (
            ("bandwidth_limit", limit), ("bandwidth_limit", other), ("packet_rate_limit", rate), ("dscp_marking", mark),
        )
    }  # fmt: skip

    assert (await ask(cloud, "GET", made, LIMITS, other["id"])).json == {"bandwidth_limit_rule": other}
    ingress = await cloud("GET", f"/qos/policies/{made['id']}/{LIMITS}?direction=ingress", token="manager")
    assert ingress.json == {LIMITS: [other]}
    assert len((await ask(cloud, "GET", made, LIMITS)).json[LIMITS]) == 2
    assert (await ask(cloud, "GET", made, MARKS)).json == {MARKS: [mark]}
    refused(await ask(cloud, "GET", made, MARKS, limit["id"]), 404, "QosRuleNotFound", limit["id"])

    changed = await ask(cloud, "PUT", made, LIMITS, limit["id"], max_burst_kbps=7)
    assert changed.json["bandwidth_limit_rule"] == limit | {"max_burst_kbps": 7}
    assert (await ask(cloud, "PUT", made, MARKS, mark["id"], dscp_mark=0)).json["dscp_marking_rule"]["dscp_mark"] == 0
    assert (await ask(cloud, "DELETE", made, LIMITS, limit["id"])).status == 204
    assert [one["id"] for one in (await now(cloud, made))["rules"] if one["type"] == "bandwidth_limit"] == [other["id"]]
    assert [one["dscp_mark"] for one in (await now(cloud, made))["rules"] if one["type"] == "dscp_marking"] == [0]

    assert (await cloud("DELETE", f"/qos/policies/{made['id']}", token="manager")).status == 204
    refused(await cloud("GET", f"/qos/policies/{made['id']}"), 404, "QosPolicyNotFound", made["id"])
    refused(await ask(cloud, "GET", made, RATES, rate["id"]), 404, "QosPolicyNotFound", made["id"])


async def test_one_rule_of_a_type_and_direction(cloud: Cloud) -> None:
    made = await policy(cloud)
    out = await rule(cloud, made, LIMITS, max_kbps=1)
    back = await rule(cloud, made, LIMITS, max_kbps=1, direction="ingress")
    await rule(cloud, made, RATES, max_kpps=1)
    mark = await rule(cloud, made, MARKS, dscp_mark=8)
    text = f"Rule bandwidth_limit conflicts with rule {out['id']} which already exists in QoS Policy {made['id']}."
    refused(await ask(cloud, "POST", made, LIMITS, max_kbps=2), 409, "QoSRulesConflict", text)
    refused(await ask(cloud, "PUT", made, LIMITS, back["id"], direction="egress"), 409, "QoSRulesConflict", out["id"])
    refused(await ask(cloud, "POST", made, MARKS, dscp_mark=10), 409, "QoSRulesConflict", mark["id"])
    assert (await ask(cloud, "PUT", made, LIMITS, back["id"], direction="ingress", max_kbps=3)).status == 200
    path = f"/qos/policies/{made['id']}/{RATES}"
    both = [{"max_kpps": 1, "direction": "ingress"}, {"max_kpps": 2, "direction": "ingress"}]
    refused(await cloud("POST", path, token="manager", json={RATES: both}), 409, "QoSRulesConflict")
    assert len((await now(cloud, made))["rules"]) == 4


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (LIMITS, {}),
        (LIMITS, {"max_kbps": -1}),
        (LIMITS, {"max_kbps": 2**31}),
        (LIMITS, {"max_kbps": "much"}),
        (LIMITS, {"max_kbps": 1, "max_burst_kbps": -1}),
        (LIMITS, {"max_kbps": 1, "direction": "any"}),
        (LIMITS, {"max_kbps": 1, "dscp_mark": 8}),
        (RATES, {"max_kpps": -1}),
        (RATES, {"max_kbps": 1}),
        (MARKS, {}),
        (MARKS, {"dscp_mark": 58}),
        (MARKS, {"dscp_mark": 2}),
        (MARKS, {"dscp_mark": "x"}),
    ],
)
async def test_bad_rules_are_refused(cloud: Cloud, kind: str, values: dict[str, Any]) -> None:
    made = await policy(cloud)
    refused(await ask(cloud, "POST", made, kind, **values), 400, "HTTPBadRequest")
    assert (await now(cloud, made))["rules"] == []


async def test_rules_without_their_policy(cloud: Cloud) -> None:
    made = await policy(cloud)
    limit, mark = await rule(cloud, made, LIMITS, max_kbps=5), await rule(cloud, made, MARKS, dscp_mark=8)
    path = f"/qos/alias_{LIMITS}/{limit['id']}"
    assert (await cloud("GET", path)).json == {"alias_bandwidth_limit_rule": limit}
    assert (await cloud("GET", f"{path}?fields=max_kbps")).json == {"alias_bandwidth_limit_rule": {"max_kbps": 5}}
    body = {"alias_bandwidth_limit_rule": {"max_kbps": 6}}
    assert (await cloud("PUT", path, token="manager", json=body)).json["alias_bandwidth_limit_rule"]["max_kbps"] == 6
    assert (await ask(cloud, "GET", made, LIMITS, limit["id"])).json["bandwidth_limit_rule"]["max_kbps"] == 6
    refused(await cloud("PUT", path, json=body), 403, "PolicyNotAuthorized")
    for method in ("GET", "DELETE"):
        hidden = await cloud(method, path, token="foreign")
        refused(hidden, 404, "QosRuleNotFound", limit["id"])
        assert made["id"] not in hidden.json["NeutronError"]["message"]
    refused(await cloud("GET", f"/qos/alias_{LIMITS}/{mark['id']}"), 404, "QosRuleNotFound")
    assert (await cloud("DELETE", f"/qos/alias_{MARKS}/{mark['id']}", token="manager")).status == 204
    assert [one["id"] for one in (await now(cloud, made))["rules"]] == [limit["id"]]


async def test_rule_types(cloud: Cloud) -> None:
    types = (await cloud("GET", "/qos/rule-types?all_supported=true")).json["rule_types"]
    assert types == [{"type": one} for one in ("bandwidth_limit", "packet_rate_limit", "dscp_marking")]
    shown = (await cloud("GET", "/qos/rule-types/bandwidth_limit", token="admin")).json["rule_type"]
    assert shown["type"] == "bandwidth_limit"
    ((driver),) = shown["drivers"]
    assert {one["parameter_name"]: one["parameter_values"] for one in driver["supported_parameters"]} == {
        "max_kbps": {"start": 0, "end": 2147483647}, "max_burst_kbps": {"start": 0, "end": 2147483647},
        "direction": ["egress", "ingress"],
    }  # fmt: skip
    refused(await cloud("GET", "/qos/rule-types/bandwidth_limit"), 403, "PolicyNotAuthorized")
    refused(await cloud("GET", "/qos/rule-types/minimum_bandwidth", token="admin"), 404, "InvalidQosRuleType")
    aliases = {one["alias"] for one in (await cloud("GET", "/extensions")).json["extensions"]}
    assert {one for one in aliases if "qos" in one} == {
        "qos", "qos-bw-limit-direction", "qos-default", "qos-port-network-policy", "qos-pps", "qos-rule-type-details",
        "qos-rule-type-filter", "qos-rules-alias",
    }  # fmt: skip


async def test_who_may_what(cloud: Cloud) -> None:
    """Managers of the project; members see."""
    made = await policy(cloud)
    limit = await rule(cloud, made, LIMITS, max_kbps=5)
    refused(await cloud("POST", "/qos/policies", json={"policy": {"name": "x"}}), 403, "PolicyNotAuthorized")
    refused(await cloud("POST", "/qos/policies", json={"policy": {"name": "x" * 256}}), 400, "HTTPBadRequest")
    body = {"policy": {"name": "x", "shared": True}}
    refused(await cloud("POST", "/qos/policies", token="manager", json=body), 403, "PolicyNotAuthorized")
    refused(await change(cloud, made, shared=True), 403, "PolicyNotAuthorized")
    for token, status in (("member", 403), ("foreign", 404)):
        assert (await change(cloud, made, token, name="x")).status == status
        assert (await cloud("DELETE", f"/qos/policies/{made['id']}", token=token)).status == status
        assert (await ask(cloud, "PUT", made, LIMITS, limit["id"], token, max_kbps=6)).status == status
        assert (await ask(cloud, "DELETE", made, LIMITS, limit["id"], token)).status == status
        assert (await ask(cloud, "POST", made, MARKS, token=token, dscp_mark=8)).status == 403
    assert (await now(cloud, made, "reader"))["rules"][0]["max_kbps"] == 5
    assert (await ask(cloud, "GET", made, LIMITS, limit["id"], "reader")).status == 200
    assert (await cloud("GET", f"/qos/policies/{made['id']}", token="foreign")).status == 404
    assert (await ask(cloud, "GET", made, LIMITS, token="foreign")).status == 404
    assert (await ask(cloud, "GET", made, LIMITS, limit["id"], "foreign")).status == 404
    assert (await cloud("GET", "/qos/policies", token="foreign")).json["policies"] == []
    assert [one["id"] for one in (await cloud("GET", "/qos/policies")).json["policies"]] == [made["id"]]
    tags = f"/qos/policies/{made['id']}/tags"
    assert (await cloud("PUT", tags, token="manager", json={"tags": ["a"]})).status == 200
    assert (await cloud("PUT", tags, token="foreign", json={"tags": ["b"]})).status in (403, 404)
    assert (await now(cloud, made))["tags"] == ["a"]
    also = f"/policies/{made['id']}/tags"  # where upstream has them
    assert (await cloud("GET", also)).json == {"tags": ["a"]}
    assert (await cloud("PUT", f"{also}/b", token="manager")).status == 201
    assert (await cloud("PUT", f"{also}/c", token="member")).status == 403
    assert [one["id"] for one in (await cloud("GET", "/qos/policies?tags=a,b")).json["policies"]] == [made["id"]]


async def test_the_default_policy_of_a_project(cloud: Cloud) -> None:
    first = await policy(cloud, is_default=True)
    text = f"A default QoS policy exists for project {PROJECT}."
    body = {"policy": {"name": "x", "is_default": True}}
    refused(
        await cloud("POST", "/qos/policies", token="manager", json=body), 409, "QoSPolicyDefaultAlreadyExists", text
    )
    both = {"policies": [{"name": "x", "is_default": True, "project_id": OTHER_PROJECT}] * 2}
    refused(await cloud("POST", "/qos/policies", token="admin", json=both), 409, "QoSPolicyDefaultAlreadyExists")
    second = await policy(cloud)
    refused(await change(cloud, second, is_default=True), 409, "QoSPolicyDefaultAlreadyExists", text)
    assert (await change(cloud, first, is_default=True, name="y")).status == 200

    network = await cloud.make("network", name="n")
    assert network["qos_policy_id"] == first["id"]
    assert (await cloud.make("network", name="n", qos_policy_id=second["id"]))["qos_policy_id"] == second["id"]
    assert (await cloud.make("network", "foreign", name="n"))["qos_policy_id"] is None
    assert (await change(cloud, first, is_default=False)).json["policy"]["is_default"] is False
    assert (await change(cloud, second, is_default=True)).json["policy"]["is_default"] is True
    assert (await cloud.make("network", name="n"))["qos_policy_id"] == second["id"]
    found = (await cloud("GET", "/qos/policies?is_default=true")).json["policies"]
    assert [one["id"] for one in found] == [second["id"]]


async def test_networks_and_ports_have_policies(cloud: Cloud) -> None:
    made, other = await policy(cloud), await policy(cloud, name="silver")
    network, _ = await cloud.network()
    assert network["qos_policy_id"] is None
    port = await cloud.make("port", network_id=network["id"], qos_policy_id=made["id"])
    assert (port["qos_policy_id"], port["qos_network_policy_id"]) == (made["id"], None)
    changed = (await put(cloud, f"/networks/{network['id']}", qos_policy_id=other["id"])).json["network"]
    assert changed["qos_policy_id"] == other["id"]
    assert changed["revision_number"] > network["revision_number"]
    assert (await cloud("GET", f"/ports/{port['id']}")).json["port"]["qos_network_policy_id"] == other["id"]
    assert (await cloud.make("port", network_id=network["id"]))["qos_network_policy_id"] == other["id"]
    for one in (made, other):
        refused(await cloud("DELETE", f"/qos/policies/{one['id']}", token="manager"), 409, "QosPolicyInUse")
    text = f"QoS Policy {made['id']} is used by port {port['id']}."
    refused(await cloud("DELETE", f"/qos/policies/{made['id']}", token="manager"), 409, "QosPolicyInUse", text)

    gone = {"qos_policy_id": NOWHERE}
    refused(await put(cloud, f"/networks/{network['id']}", **gone), 404, "QosPolicyNotFound", NOWHERE)
    refused(await put(cloud, f"/ports/{port['id']}", **gone), 404, "QosPolicyNotFound", NOWHERE)
    refused(await cloud("POST", "/networks", json={"network": gone}), 404, "QosPolicyNotFound", NOWHERE)
    body = {"port": gone | {"network_id": network["id"]}}
    refused(await cloud("POST", "/ports", json=body), 404, "QosPolicyNotFound", NOWHERE)
    refused(await put(cloud, f"/ports/{port['id']}", qos_policy_id="x"), 400, "HTTPBadRequest")

    assert (await put(cloud, f"/ports/{port['id']}", qos_policy_id=None)).json["port"]["qos_policy_id"] is None
    assert (await put(cloud, f"/networks/{network['id']}", qos_policy_id=None)).json["network"]["qos_policy_id"] is None
    for one in (made, other):
        assert (await cloud("DELETE", f"/qos/policies/{one['id']}", token="manager")).status == 204


async def test_a_policy_of_another_project(cloud: Cloud) -> None:
    """Neither to be given nor to be taken away by those that cannot see it."""
    secret = await policy(cloud, "admin")
    network, _ = await cloud.network()
    path, given = f"/networks/{network['id']}", {"qos_policy_id": secret["id"]}
    port = await cloud.make("port", network_id=network["id"])
    refused(await put(cloud, path, **given), 404, "QosPolicyNotFound", secret["id"])
    refused(await put(cloud, f"/ports/{port['id']}", **given), 404, "QosPolicyNotFound", secret["id"])
    refused(await cloud("POST", "/networks", json={"network": given}), 404, "QosPolicyNotFound", secret["id"])
    body = {"port": given | {"network_id": network["id"]}}
    refused(await cloud("POST", "/ports", json=body), 404, "QosPolicyNotFound", secret["id"])

    assert (await put(cloud, path, "admin", **given)).status == 200
    assert (await put(cloud, f"/ports/{port['id']}", "admin", **given)).status == 200
    refused(await put(cloud, path, qos_policy_id=None), 403, "PolicyRemoveAuthorizationError", secret["id"])
    refused(await put(cloud, f"/ports/{port['id']}", qos_policy_id=None), 403, "PolicyRemoveAuthorizationError")
    assert (await put(cloud, path, name="other", **given)).status == 200  # nothing is given or taken
    assert (await change(cloud, secret, "admin", shared=True)).json["policy"]["shared"] is True
    assert (await put(cloud, path, qos_policy_id=None)).status == 200


async def test_sharing_with_single_projects(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    made = await policy(cloud)
    await rule(cloud, made, MARKS, dscp_mark=8)
    assert (await share(cloud, made, theirs, token="foreign", kind="qos_policy")).status == 404
    rbac = await shared(cloud, made, theirs, kind="qos_policy")
    seen = await now(cloud, made, "foreign")
    assert (seen["shared"], len(seen["rules"])) == (True, 1)
    assert "shared_with" not in seen
    assert (await now(cloud, made))["shared"] is False
    assert await names(cloud, "/qos/policies?shared=true") == ["gold"]
    assert (await change(cloud, made, "foreign", name="x")).status == 403
    assert (await share(cloud, made, theirs, token="foreign", kind="qos_policy")).status == 400
    network = await cloud.make("network", "foreign", name="n", qos_policy_id=made["id"])
    answer = await cloud("DELETE", f"/rbac-policies/{rbac['id']}")
    refused(answer, 409, "RbacPolicyInUse")
    assert (await cloud("DELETE", f"/networks/{network['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", f"/rbac-policies/{rbac['id']}")).status == 204
    assert (await cloud("GET", f"/qos/policies/{made['id']}", token="foreign")).status == 404
    action = await share(cloud, made, theirs, action="access_as_external", kind="qos_policy")
    refused(action, 400, "InvalidInput", "access_as_external")


async def test_sharing_with_every_project(cloud: Cloud) -> None:
    made = await policy(cloud, "admin", shared=True)
    policies = (await cloud("GET", f"/rbac-policies?object_id={made['id']}", token="admin")).json["rbac_policies"]
    assert [(one["object_type"], one["target_tenant"]) for one in policies] == [("qos_policy", "*")]
    assert await names(cloud, "/qos/policies") == ["gold"]
    network = await cloud.make("network", "foreign", name="n", qos_policy_id=made["id"])
    refused(await change(cloud, made, "admin", shared=False), 409, "RbacPolicyInUse")
    wildcard = f"/rbac-policies/{policies[0]['id']}"
    body = {"rbac_policy": {"target_project": network["project_id"]}}
    refused(await cloud("PUT", wildcard, token="admin", json=body), 409, "RbacPolicyInUse")
    assert (await cloud("DELETE", f"/networks/{network['id']}", token="foreign")).status == 204
    assert (await change(cloud, made, "admin", shared=False)).json["policy"]["shared"] is False
    assert (await cloud("GET", f"/rbac-policies?object_id={made['id']}", token="admin")).json["rbac_policies"] == []
    assert await names(cloud, "/qos/policies") == []


async def test_what_a_host_is_told(cloud: Cloud) -> None:
    """A port's own policy before its network's, which holds for no port of the network's own services but gateways."""
    made, other = await policy(cloud), await policy(cloud, name="silver")
    await rule(cloud, made, LIMITS, max_kbps=1000, max_burst_kbps=9)
    await rule(cloud, made, RATES, max_kpps=3, direction="ingress")
    await rule(cloud, made, MARKS, dscp_mark=0)
    network, subnet = await cloud.network()
    assert (await told(cloud)).qos_policies == ()
    plain, own = await cloud.bound(network), await cloud.bound(network)
    assert (await told(cloud)).qos_policies == ()
    assert (await put(cloud, f"/networks/{network['id']}", qos_policy_id=made["id"])).status == 200
    assert (await put(cloud, f"/ports/{own['id']}", qos_policy_id=other["id"])).status == 200
    assert (await told(cloud)).qos_policies == tuple(
        sorted(
            (
                QosPolicyModel(
                    id=made["id"],
                    bandwidth_limits=(BandwidthLimitModel(direction="egress", max_kbps=1000, max_burst_kbps=9),),
                    packet_rate_limits=(PacketRateLimitModel(direction="ingress", max_kpps=3),),
                    dscp_mark=0,
                ),
                QosPolicyModel(id=other["id"]),
            ),
            key=lambda one: one.id,
        )
    )
    assert await held(cloud) == {plain["id"]: made["id"], own["id"]: other["id"]}

    await cloud.agent()
    public, _ = await external(cloud, qos_policy_id=None)
    assert (await put(cloud, f"/networks/{public['id']}", "admin", qos_policy_id=made["id"])).status == 200
    router = await cloud.make("router", name="r", external_gateway_info={"network_id": public["id"]})
    await join(cloud, router, subnet_id=subnet["id"])
    ports = (await cloud("GET", f"/ports?device_id={router['id']}", token="admin")).json["ports"]
    owners = {one["id"]: one["device_owner"] for one in ports}
    now_held = await held(cloud)
    assert {owners[one]: now_held[one] for one in owners} == {
        "network:router_gateway": made["id"], "network:router_interface": "",
    }  # fmt: skip


async def test_hosts_are_told_of_changes(cloud: Cloud) -> None:
    _, plane = await cloud.agent()
    made = await policy(cloud)
    limit = await rule(cloud, made, LIMITS, max_kbps=1)
    network, _ = await cloud.network()
    port = await cloud.bound(network)

    def limits() -> list[int]:
        """What holds for the port."""
        policies = {one.id: one for one in plane.state.qos_policies or ()}
        named = [one.qos_policy_id for n in plane.state.networks for one in n.ports if one.id == port["id"]]
        return [limit.max_kbps for one in named if one for limit in policies[one].bandwidth_limits]

    await until(lambda: any(one.id == port["id"] for n in plane.state.networks for one in n.ports))
    assert limits() == []
    await put(cloud, f"/networks/{network['id']}", qos_policy_id=made["id"])
    await until(lambda: limits() == [1])
    await ask(cloud, "PUT", made, LIMITS, limit["id"], max_kbps=2)
    await until(lambda: limits() == [2])
    await put(cloud, f"/networks/{network['id']}", qos_policy_id=None)
    await until(lambda: limits() == [])
    await put(cloud, f"/ports/{port['id']}", qos_policy_id=made["id"])
    await until(lambda: limits() == [2])
    body = {"alias_bandwidth_limit_rule": {"max_kbps": 3}}
    await cloud("PUT", f"/qos/alias_{LIMITS}/{limit['id']}", token="manager", json=body)
    await until(lambda: limits() == [3])
    await ask(cloud, "DELETE", made, LIMITS, limit["id"])
    await until(lambda: limits() == [])
