"""RBAC policies over HTTP: networks and security groups that are shared with single projects or with every one."""

from __future__ import annotations

from typing import Any

from tests.service.network.conftest import Cloud
from tests.service.network.test_routers import NOWHERE, external, refused
from tests.support import PROJECT

SHARED, EXTERNAL = "access_as_shared", "access_as_external"


async def foreign_project(cloud: Cloud) -> str:
    made = await cloud.make("network", "foreign", name="theirs")
    return str(made["project_id"])


async def share(
    cloud: Cloud, what: Any, target: str, token: str = "member", action: str = SHARED, kind: str = "network"
) -> Any:
    body = {"object_type": kind, "object_id": what["id"], "action": action, "target_project": target}
    return await cloud("POST", "/rbac-policies", token=token, json={"rbac_policy": body})


async def shared(cloud: Cloud, what: Any, target: str, token: str = "member", **more: str) -> Any:
    answer = await share(cloud, what, target, token, **more)
    assert answer.status == 201, answer.content
    return answer.json["rbac_policy"]


async def names(cloud: Cloud, path: str, token: str = "foreign") -> list[str]:
    (found,) = [
        value for key, value in (await cloud("GET", path, token=token)).json.items() if not key.endswith("links")
    ]
    return sorted(one["name"] for one in found)


async def test_a_network_shared_with_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    network, subnet = await cloud.network()
    assert (await cloud("GET", f"/networks/{network['id']}", token="foreign")).status == 404
    policy = await shared(cloud, network, theirs)
    assert policy == {
        "id": policy["id"], "project_id": PROJECT, "tenant_id": PROJECT, "object_type": "network", "object_id": network["id"],
        "action": SHARED, "target_tenant": theirs,
    }  # fmt: skip

    seen = (await cloud("GET", f"/networks/{network['id']}", token="foreign")).json["network"]
    assert seen["shared"] is True
    assert "shared_with" not in seen
    own = (await cloud("GET", f"/networks/{network['id']}")).json["network"]
    assert own["shared"] is False
    assert await names(cloud, "/networks") == ["net", "theirs"]
    assert await names(cloud, "/networks?shared=true") == ["net"]
    assert await names(cloud, "/networks?shared=false") == ["theirs"]
    assert await names(cloud, "/networks?shared=true", "member") == []
    assert (await cloud("GET", f"/subnets/{subnet['id']}", token="foreign")).status == 200
    assert len((await cloud("GET", "/subnets", token="foreign")).json["subnets"]) == 1
    assert len((await cloud("GET", "/subnets?shared=true", token="foreign")).json["subnets"]) == 1
    assert (await cloud("GET", "/subnets?shared=false", token="foreign")).json["subnets"] == []
    assert (await cloud("GET", "/subnets?shared=true")).json["subnets"] == []
    assert len((await cloud("GET", "/subnets?router:external=false")).json["subnets"]) == 1
    assert (await cloud("GET", "/subnets?router:external=true")).json["subnets"] == []
    body = {"network": {"name": "mine"}}
    assert (await cloud("PUT", f"/networks/{network['id']}", token="foreign", json=body)).status == 403

    port = await cloud.make("port", "foreign", network_id=network["id"])
    refused(await cloud("DELETE", f"/rbac-policies/{policy['id']}"), 409, "RbacPolicyInUse", network["id"])
    assert (await cloud("DELETE", f"/ports/{port['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", f"/rbac-policies/{policy['id']}")).status == 204
    assert (await cloud("GET", f"/networks/{network['id']}", token="foreign")).status == 404
    answer = await cloud("POST", "/ports", token="foreign", json={"port": {"network_id": network["id"]}})
    refused(answer, 404, "NetworkNotFound")


async def test_the_flag_is_a_view_of_the_policy(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    network = await cloud.make("network", "admin", name="all", shared=True, project_id=PROJECT)
    (policy,) = (await cloud("GET", f"/rbac-policies?object_id={network['id']}")).json["rbac_policies"]
    assert (policy["action"], policy["target_tenant"], policy["project_id"]) == (SHARED, "*", PROJECT)
    refused(await share(cloud, network, "*", "admin"), 409, "DuplicateRbacPolicy")
    port = await cloud.make("port", "foreign", network_id=network["id"])
    off = {"network": {"shared": False}}
    refused(await cloud("PUT", f"/networks/{network['id']}", token="admin", json=off), 409, "InvalidSharedSetting")
    await shared(cloud, network, theirs)
    assert (await cloud("DELETE", f"/rbac-policies/{policy['id']}")).status == 204
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["shared"] is False
    assert (await cloud("GET", f"/networks/{network['id']}", token="foreign")).json["network"]["shared"] is True

    on = {"network": {"shared": True}}
    assert (await cloud("PUT", f"/networks/{network['id']}", token="admin", json=on)).json["network"]["shared"] is True
    assert len((await cloud("GET", "/rbac-policies")).json["rbac_policies"]) == 2
    assert (await cloud("PUT", f"/networks/{network['id']}", token="admin", json=off)).json["network"][
        "shared"
    ] is False
    assert len((await cloud("GET", "/rbac-policies?target_tenant=*")).json["rbac_policies"]) == 0
    assert (await cloud("DELETE", f"/ports/{port['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", f"/networks/{network['id']}")).status == 204
    assert (await cloud("GET", "/rbac-policies", token="admin")).json["rbac_policies"] == []


async def test_external_to_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    public, _ = await external(cloud)
    (policy,) = (await cloud("GET", "/rbac-policies", token="admin")).json["rbac_policies"]
    assert (policy["action"], policy["target_tenant"]) == (EXTERNAL, "*")
    body = {"rbac_policy": {"target_project": theirs}}
    changed = await cloud("PUT", f"/rbac-policies/{policy['id']}", token="admin", json=body)
    assert changed.json["rbac_policy"]["target_tenant"] == theirs
    assert (await cloud("GET", f"/networks/{public['id']}")).status == 404
    refused(
        await cloud("POST", "/routers", json={"router": {"external_gateway_info": {"network_id": public["id"]}}}),
        404, "NetworkNotFound",
    )  # fmt: skip
    seen = (await cloud("GET", f"/networks/{public['id']}", token="foreign")).json["network"]
    assert (seen["router:external"], seen["shared"]) == (True, False)
    assert (await cloud("POST", "/ports", token="foreign", json={"port": {"network_id": public["id"]}})).status == 403
    router = await cloud.make("router", "foreign", external_gateway_info={"network_id": public["id"]})
    path = f"/rbac-policies/{policy['id']}"
    refused(await cloud("DELETE", path, token="admin"), 409, "RbacPolicyInUse")
    assert (await cloud("DELETE", f"/routers/{router['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", path, token="admin")).status == 204
    now = (await cloud("GET", f"/networks/{public['id']}", token="admin")).json["network"]
    assert now["router:external"] is False

    again = await shared(cloud, public, theirs, "admin", action=EXTERNAL)
    assert (await cloud("GET", f"/networks/{public['id']}", token="admin")).json["network"]["router:external"] is True
    off = {"network": {"router:external": False}}
    assert (await cloud("PUT", f"/networks/{public['id']}", token="admin", json=off)).status == 200
    refused(await cloud("GET", f"/rbac-policies/{again['id']}", token="admin"), 404, "RbacPolicyNotFound")
    assert (await cloud("GET", f"/networks/{public['id']}", token="foreign")).status == 404


async def test_owners_make_their_networks_external_to_single_projects(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    network, _ = await cloud.network("203.0.113.0/24")
    assert (await share(cloud, network, "*", action=EXTERNAL)).status == 403
    policy = await shared(cloud, network, theirs, action=EXTERNAL)
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["router:external"] is True
    router = await cloud.make("router", "foreign", external_gateway_info={"network_id": network["id"]})
    path = f"/rbac-policies/{policy['id']}"
    refused(await cloud("DELETE", path), 409, "RbacPolicyInUse", network["id"])
    assert (await cloud("DELETE", f"/routers/{router['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", path)).status == 204
    assert (await cloud("GET", f"/networks/{network['id']}")).json["network"]["router:external"] is False
    refused(await cloud("GET", f"/networks/{network['id']}", token="foreign"), 404, "NetworkNotFound")


async def test_the_default_external_network_stays_external_to_every_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    public = await cloud.make("network", "admin", **{"router:external": True, "is_default": True})
    (policy,) = (await cloud("GET", "/rbac-policies", token="admin")).json["rbac_policies"]
    path = f"/rbac-policies/{policy['id']}"
    await shared(cloud, public, theirs, "admin", action=EXTERNAL)
    refused(await cloud("DELETE", path, token="admin"), 409, "RbacPolicyInUse", "shared to everyone")
    off = {"network": {"is_default": False}}
    assert (await cloud("PUT", f"/networks/{public['id']}", token="admin", json=off)).status == 200
    assert (await cloud("DELETE", path, token="admin")).status == 204


async def test_a_security_group_shared_with_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    group = await cloud.make("security_group", name="web")
    network, _ = await cloud.network("10.7.0.0/24", "foreign")
    body = {"port": {"network_id": network["id"], "security_groups": [group["id"]]}}
    refused(await cloud("POST", "/ports", token="foreign", json=body), 404, "SecurityGroupNotFound")
    policy = await shared(cloud, group, theirs, kind="security_group")
    port = await cloud("POST", "/ports", token="foreign", json=body)
    assert port.status == 201, port.content
    assert (await cloud("GET", f"/security-groups/{group['id']}", token="foreign")).json["security_group"][
        "shared"
    ] is True
    assert (await cloud("GET", f"/security-groups/{group['id']}")).json["security_group"]["shared"] is False
    assert await names(cloud, "/security-groups") == ["default", "web"]
    assert await names(cloud, "/security-groups?shared=true") == ["web"]
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    answer = await cloud("POST", "/security-group-rules", token="foreign", json={"security_group_rule": rule})
    refused(answer, 404, "SecurityGroupNotFound")
    refused(await cloud("DELETE", f"/rbac-policies/{policy['id']}"), 409, "RbacPolicyInUse")
    assert (await cloud("DELETE", f"/ports/{port.json['port']['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", f"/security-groups/{group['id']}")).status == 204
    assert (await cloud("GET", "/rbac-policies")).json["rbac_policies"] == []


async def test_an_address_group_shared_with_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    answer = await cloud("POST", "/address-groups", json={"address_group": {"name": "partners"}})
    group = answer.json["address_group"]
    path = f"/address-groups/{group['id']}"
    mine = await cloud.make("security_group", "foreign", name="web")
    rule = {"security_group_id": mine["id"], "direction": "ingress", "remote_address_group_id": group["id"]}

    async def refers() -> Any:
        return await cloud("POST", "/security-group-rules", token="foreign", json={"security_group_rule": rule})

    refused(await cloud("GET", path, token="foreign"), 404, "AddressGroupNotFound")
    refused(await refers(), 404, "AddressGroupNotFound")
    policy = await shared(cloud, group, theirs, kind="address_group")
    assert (await cloud("GET", path, token="foreign")).json["address_group"]["id"] == group["id"]
    assert await names(cloud, "/address-groups") == ["partners"]
    made = await refers()
    assert made.status == 201, made.content
    change = {"address_group": {"name": "n"}}
    refused(await cloud("PUT", path, token="foreign", json=change), 404, "AddressGroupNotFound")
    refused(await cloud("DELETE", path, token="foreign"), 404, "AddressGroupNotFound")
    refused(await cloud("DELETE", f"/rbac-policies/{policy['id']}"), 409, "RbacPolicyInUse")
    refused(await cloud("DELETE", path), 409, "AddressGroupInUse")
    rule_path = f"/security-group-rules/{made.json['security_group_rule']['id']}"
    assert (await cloud("DELETE", rule_path, token="foreign")).status == 204
    assert (await cloud("DELETE", path)).status == 204
    assert (await cloud("GET", "/rbac-policies")).json["rbac_policies"] == []


async def test_what_is_refused(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    network = await cloud.make("network", name="net")
    group = await cloud.make("security_group", name="web")
    assert (await share(cloud, network, "*")).status == 403
    assert (await share(cloud, network, theirs, "reader")).status == 403
    refused(await share(cloud, network, "me"), 400, "HTTPBadRequest", "target_project")
    refused(await share(cloud, network, theirs, action="access_as_owner"), 400, "HTTPBadRequest", "action")
    refused(await share(cloud, network, theirs, kind="router"), 400, "HTTPBadRequest", "object_type")
    refused(
        await share(cloud, group, theirs, "admin", EXTERNAL, "security_group"), 400, "InvalidInput", "Valid actions"
    )
    refused(await share(cloud, {"id": NOWHERE}, theirs), 404, "NetworkNotFound")
    refused(await share(cloud, network, PROJECT, "foreign"), 404, "NetworkNotFound")
    refused(await share(cloud, group, PROJECT, "foreign", kind="security_group"), 404, "SecurityGroupNotFound")
    body = {"object_type": "network", "object_id": network["id"], "action": SHARED}
    refused(await cloud("POST", "/rbac-policies", json={"rbac_policy": body}), 400, "HTTPBadRequest", "target_project")
    assert (await cloud("GET", "/rbac-policies", token="admin")).json["rbac_policies"] == []

    policy = await shared(cloud, network, theirs)
    refused(await share(cloud, network, theirs), 409, "DuplicateRbacPolicy")
    refused(await share(cloud, network, PROJECT, "foreign"), 400, "InvalidInput", "Only admins")
    path = f"/rbac-policies/{policy['id']}"
    body = {"rbac_policy": {"target_project": "*"}}
    assert (await cloud("PUT", path, json=body)).status == 403
    for method, sent in (("GET", None), ("PUT", body), ("DELETE", None)):
        refused(await cloud(method, path, token="foreign", json=sent), 404, "RbacPolicyNotFound")
    assert (await cloud("GET", "/rbac-policies", token="foreign")).json["rbac_policies"] == []
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"rbac_policy": 1}})
    refused(await share(cloud, network, PROJECT), 409, "OverQuota", "rbac_policy")
