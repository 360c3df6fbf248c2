"""Security groups as compute showed them until 2.35; they live in the network service."""

from __future__ import annotations

import uuid

import pytest

from tests.service.compute_api.support import GROUP, group
from tests.support import PROJECT

PATH, RULES = "/os-security-groups", "/os-security-group-rules"


async def made(cloud, name=" web "):
    answer = await cloud("POST", PATH, "2.35", json={"security_group": {"name": name, "description": "d"}})
    assert answer.status == 200, answer.content
    return answer.json["security_group"]


async def test_groups(cloud):
    one = await made(cloud)
    assert one == {"id": one["id"], "name": " web ", "description": "d", "tenant_id": PROJECT, "rules": []}
    path = f"{PATH}/{one['id']}"
    assert (await cloud("GET", path, "2.35")).json["security_group"] == one
    changed = await cloud("PUT", path, "2.35", json={"security_group": {"name": "new", "description": "e"}})
    assert (changed.json["security_group"]["name"], changed.json["security_group"]["description"]) == ("new", "e")
    assert (await cloud("DELETE", path, "2.35")).status == 202
    assert (await cloud("GET", path, "2.35")).status == 404
    assert (await cloud("DELETE", f"{PATH}/{GROUP}", "2.35")).status == 400  # in use
    assert (await cloud("GET", PATH, "2.36")).status == 404


async def test_lists(cloud):
    cloud.networks.groups.append(group(str(uuid.uuid4()), "theirs", project="other"))

    async def names(query="", token="member"):
        found = (await cloud("GET", PATH + query, "2.1", token)).json["security_groups"]
        return [item["name"] for item in found]

    assert await names() == ["default", "web"]
    assert await names("?limit=1") == ["default"]
    assert await names("?offset=1") == ["web"]
    assert await names("?all_tenants=1") == ["default", "web"]
    assert await names("?all_tenants=1", "admin") == ["default", "web", "theirs"]


async def test_rules(cloud):
    one = await made(cloud)

    async def rule(**fields):
        body = {"parent_group_id": one["id"], "ip_protocol": "TCP", "from_port": 22, "to_port": "23"} | fields
        return await cloud("POST", RULES, "2.1", json={"security_group_rule": body})

    open_to_all = (await rule()).json["security_group_rule"]
    assert open_to_all | {"id": ""} == {
        "id": "", "parent_group_id": one["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 23,
        "ip_range": {"cidr": "0.0.0.0/0"}, "group": {},
    }  # fmt: skip
    for cidr in ("10.0.0.0/8", "10.9.0.5/24", "::/0"):
        shown = (await rule(cidr=cidr)).json["security_group_rule"]["ip_range"]
        assert shown == {"cidr": cidr}
    from_group = (await rule(group_id=GROUP)).json["security_group_rule"]
    assert (from_group["group"], from_group["ip_range"]) == ({"name": "default", "tenant_id": PROJECT}, {})
    ping = (await rule(ip_protocol="icmp", from_port=-1, to_port=-1)).json["security_group_rule"]
    assert (ping["from_port"], ping["to_port"]) == (-1, -1)
    assert len((await cloud("GET", f"{PATH}/{one['id']}", "2.1")).json["security_group"]["rules"]) == 6
    assert (await cloud("DELETE", f"{RULES}/{ping['id']}", "2.1")).status == 202
    assert len((await cloud("GET", f"{PATH}/{one['id']}", "2.1")).json["security_group"]["rules"]) == 5


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"parent_group_id": 12}, 400), ({"parent_group_id": str(uuid.UUID(int=99))}, 404), ({"from_port": 70000}, 400),
        ({"to_port": "x"}, 400), ({"colour": 1}, 400), ({"cidr": "fe80::%lo\n/64"}, 400),
        ({"cidr": "10.0.0.0/33"}, 400), ({"cidr": "10.0.0.0/0"}, 400), ({"group_id": "../x"}, 400),
    ],
)  # fmt: skip
async def test_wrong_rules(cloud, fields, status):
    body = {"parent_group_id": GROUP, "ip_protocol": "tcp", "from_port": 1, "to_port": 2} | fields
    assert (await cloud("POST", RULES, "2.1", json={"security_group_rule": body})).status == status
