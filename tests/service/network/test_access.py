"""Which callers see and change what: every route, without a token, with another project's, with a reader's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import until
from tests.service.network.conftest import Cloud

BODIES = {
    "networks": {"network": {"name": "x"}},
    "subnets": {"subnet": {"name": "x"}},
    "ports": {"port": {"name": "x"}},
    "security-groups": {"security_group": {"name": "x"}},
    "agents": {"agent": {}},
    "quotas": {"quota": {"port": 1}},
}


async def test_no_route_answers_a_caller_without_a_valid_token(cloud: Cloud):
    for route in cloud.service.routes:
        path = route.path.replace("{id:str}", "11111111-1111-4111-8111-111111111111").replace("{tag:str}", "x")
        path = path.replace("{alias:str}", "agent").replace("{project_id:str}", "1" * 32)
        for token in (None, "nobody"):
            answer = await cloud.client(route.method, "/network" + path, token=token)
            assert (answer.status == 200) if route.public else (answer.status == 401), (route.method, path)


async def test_another_project_sees_and_changes_nothing(cloud: Cloud):
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    group = await cloud.make("security_group", name="web")
    rule = group["security_group_rules"][0]
    objects = {
        "networks": network, "subnets": subnet, "ports": port, "security-groups": group, "security-group-rules": rule,
    }  # fmt: skip
    checked = 0
    for route in cloud.service.routes:
        collection = route.path.split("/")[2] if route.path.count("/") > 1 else ""
        if collection not in objects:
            continue
        path = route.path.replace("{tag:str}", "x")
        for name in ("{id:str}", "{network_id:str}"):
            path = path.replace(name, objects[collection]["id"])
        if objects[collection]["id"] in path:
            body = {"tags": ["x"]} if path.endswith("/tags") else BODIES.get(collection)
            answer = await cloud.client(route.method, "/network" + path, token="foreign", json=body)
            assert answer.status == (403 if path.endswith("/dhcp-agents") else 404), (
                route.method,
                path,
                answer.content,
            )
            checked += 1
        elif route.method == "GET":
            answer = await cloud.client("GET", "/network" + path, token="foreign")
            (items,) = answer.json.values()
            assert objects[collection]["id"] not in {item["id"] for item in items}, path
            assert {item["project_id"] for item in items} <= {"2" * 32}
            checked += 1
    assert checked >= 45
    for path, body in (
        ("/subnets", {"subnet": {"network_id": network["id"], "cidr": "10.9.0.0/24"}}),
        ("/ports", {"port": {"network_id": network["id"]}}),
        ("/security-group-rules", {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress"}}),
    ):
        assert (await cloud("POST", path, token="foreign", json=body)).status == 404, path
    own, _ = await cloud.network(token="foreign")
    stolen = {"port": {"network_id": own["id"], "security_groups": [group["id"]]}}
    assert (await cloud("POST", "/ports", token="foreign", json=stolen)).json["NeutronError"][
        "type"
    ] == "SecurityGroupNotFound"
    mine = (await cloud("GET", "/security-groups", token="foreign")).json["security_groups"][0]["id"]
    reference = {"security_group_id": mine, "direction": "ingress", "remote_group_id": group["id"]}
    answer = await cloud("POST", "/security-group-rules", token="foreign", json={"security_group_rule": reference})
    assert answer.json["NeutronError"]["type"] == "SecurityGroupNotFound"
    elsewhere = {"port": {"network_id": own["id"], "fixed_ips": [{"subnet_id": subnet["id"]}]}}
    assert (await cloud("POST", "/ports", token="foreign", json=elsewhere)).status == 400
    for key, value in (("network", network), ("subnet", subnet), ("port", port), ("security_group", group)):
        collection = {"security_group": "security-groups"}.get(key, key + "s")
        assert (await cloud("GET", f"/{collection}/{value['id']}")).json[key]["name"] == value["name"]


async def test_readers_read(cloud: Cloud):
    network, subnet = await cloud.network()
    for path in ("/networks", "/subnets", "/ports", "/security-groups", f"/networks/{network['id']}"):
        assert (await cloud("GET", path, token="reader")).status == 200
    for method, path, body in (
        ("POST", "/networks", {"network": {}}),
        ("PUT", f"/networks/{network['id']}", {"network": {"name": "x"}}),
        ("DELETE", f"/networks/{network['id']}", None),
        ("POST", "/ports", {"port": {"network_id": network["id"]}}),
        ("DELETE", f"/subnets/{subnet['id']}", None),
        ("POST", "/security-groups", {"security_group": {"name": "x"}}),
        ("PUT", f"/networks/{network['id']}/tags", {"tags": []}),
    ):
        assert (await cloud(method, path, token="reader", json=body)).status == 403, (method, path)


@pytest.mark.parametrize(("path", "name"), [("/agents", "agents"), ("/service_profiles", "service_profiles")])
async def test_others_get_empty_lists_of_what_admins_see(cloud: Cloud, path, name):
    await cloud.agent()
    body = {"service_profile": {"metainfo": "x"}}
    assert (await cloud("POST", "/service_profiles", token="admin", json=body)).status == 201

    async def shown(token: str) -> list[Any]:
        answer = await cloud("GET", path, token=token)
        assert answer.status == 200, answer.content
        return list(answer.json[name])

    await until(lambda: shown("admin"))
    for token in ("member", "reader", "foreign"):
        assert await shown(token) == []
        assert (await cloud("GET", f"{path}/{(await shown('admin'))[0]['id']}", token=token)).status == 403


@pytest.mark.parametrize("path", ["/quotas", "/network-ip-availabilities"])
async def test_only_admins_see_the_cloud(cloud: Cloud, path):
    assert (await cloud("GET", path)).status == 403
    assert (await cloud("GET", path, token="admin")).status == 200


async def test_ports_of_others_on_my_network(cloud: Cloud):
    """The network's owner sees every port on it; the port's owner only its own."""
    shared = await cloud.make("network", token="member", name="n")
    await cloud("PUT", f"/networks/{shared['id']}", token="admin", json={"network": {"shared": True}})
    await cloud.make("subnet", network_id=shared["id"], cidr="10.0.0.0/24")
    theirs = await cloud.make("port", "foreign", network_id=shared["id"])
    mine = await cloud.make("port", network_id=shared["id"])
    assert theirs["id"] in {p["id"] for p in (await cloud("GET", "/ports")).json["ports"]}
    assert (await cloud("GET", f"/ports/{mine['id']}", token="foreign")).status == 404
    assert {p["id"] for p in (await cloud("GET", "/ports", token="foreign")).json["ports"]} == {theirs["id"]}
