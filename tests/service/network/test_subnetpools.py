"""Subnet pools over HTTP: what they are made of, who may use them and the address scopes that they are in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.network.conftest import Cloud
from tests.service.network.test_address_scopes import scope
from tests.service.network.test_rbac_policies import foreign_project, names, share, shared
from tests.service.network.test_routers import NOWHERE, refused
from tests.support import PROJECT

POOL = {"name": "pool", "prefixes": ["10.8.0.0/16"]}


async def ask(cloud: Cloud, token: str = "member", **values: Any) -> Any:
    return await cloud("POST", "/subnetpools", token=token, json={"subnetpool": POOL | values})


async def pool(cloud: Cloud, token: str = "member", **values: Any) -> Any:
    answer = await ask(cloud, token, **values)
    assert answer.status == 201, answer.content
    return answer.json["subnetpool"]


async def change(cloud: Cloud, what: Any, token: str = "member", **values: Any) -> Any:
    return await cloud("PUT", f"/subnetpools/{what['id']}", token=token, json={"subnetpool": values})


async def operate(cloud: Cloud, what: Any, action: str, *prefixes: str, token: str = "member") -> Any:
    path = f"/subnetpools/{what['id']}/{action}_prefixes"
    return await cloud("PUT", path, token=token, json={"prefixes": list(prefixes)})


async def test_its_whole_life(cloud: Cloud) -> None:
    made = await pool(cloud, prefixes=["10.9.1.7/24", "10.9.0.0/24", "10.1.0.0/20", "10.1.0.128/25"])
    assert made == made | {
        "name": "pool", "description": "", "project_id": PROJECT, "tenant_id": PROJECT, "ip_version": 4, "tags": [],
        "prefixes": ["10.1.0.0/20", "10.9.0.0/23"], "min_prefixlen": "8", "max_prefixlen": "32", "default_prefixlen": "8",
        "default_quota": None, "is_default": False, "shared": False, "address_scope_id": None, "revision_number": 1,
    }  # fmt: skip
    assert (await cloud("GET", f"/subnetpools/{made['id']}")).json["subnetpool"] == made
    values = {"name": "x", "min_prefixlen": "20", "default_prefixlen": 24, "max_prefixlen": 28, "default_quota": 512}
    changed = (await change(cloud, made, **values)).json["subnetpool"]
    assert changed == changed | values | {"default_prefixlen": "24", "max_prefixlen": "28", "revision_number": 2}
    for query, found in (
        ("name=x&ip_version=4", 1), ("min_prefixlen=20&default_quota=512", 1), ("max_prefixlen=29", 0), ("is_default=true", 0),
        ("shared=false", 1), ("address_scope_id=", 0),
    ):  # fmt: skip
        answer = await cloud("GET", f"/subnetpools?{query}&sort_key=min_prefixlen")
        assert len(answer.json["subnetpools"]) == found, (query, answer.content)
    refused(await cloud("GET", "/subnetpools?min_prefixlen=x"), 400, "HTTPBadRequest", "min_prefixlen")
    tagged = await cloud("PUT", f"/subnetpools/{made['id']}/tags", json={"tags": ["a"]})
    assert tagged.json == {"tags": ["a"]}
    six = await pool(cloud, prefixes=["2001:db8::/48"], default_quota=None)
    assert (six["ip_version"], six["min_prefixlen"], six["max_prefixlen"]) == (6, "64", "128")
    for one in (made, six):
        assert (await cloud("DELETE", f"/subnetpools/{one['id']}")).status == 204
    refused(await cloud("GET", f"/subnetpools/{made['id']}"), 404, "SubnetPoolNotFound", made["id"])


async def test_prefixes_are_added_and_removed(cloud: Cloud) -> None:
    made = await pool(cloud, prefixes=["10.8.0.0/24"])
    assert (await operate(cloud, made, "add", "10.8.1.0/24", "10.8.0.0/24")).json == {"prefixes": ["10.8.0.0/23"]}
    assert (await operate(cloud, made, "remove", "10.8.0.0/25", "192.0.2.0/24")).json == {
        "prefixes": ["10.8.0.128/25", "10.8.1.0/24"]
    }
    refused(
        await change(cloud, made, prefixes=["10.8.1.0/24"]), 400, "IllegalSubnetPoolPrefixUpdate", "must be a subset"
    )
    assert (await change(cloud, made, prefixes=["10.8.0.0/16"])).json["subnetpool"]["prefixes"] == ["10.8.0.0/16"]
    for action in ("add", "remove"):
        refused(await operate(cloud, made, action), 400, "HTTPBadRequest", "prefixes")
        refused(await operate(cloud, made, action, "2001:db8::/48"), 400, "PrefixVersionMismatch")
        refused(await operate(cloud, made, action, "10.8.0.0"), 400, "HTTPBadRequest", "10.8.0.0")
        refused(await operate(cloud, made, action, "10.7.0.0/24", token="foreign"), 404, "SubnetPoolNotFound")
        assert (await operate(cloud, made, action, "10.7.0.0/24", token="reader")).status == 403
    network = await cloud.make("network")
    subnet = await cloud.make("subnet", network_id=network["id"], subnetpool_id=made["id"], prefixlen=24)
    assert subnet["cidr"] == "10.8.0.0/24"
    refused(await operate(cloud, made, "remove", "10.8.0.7/32"), 400, "IllegalSubnetPoolPrefixUpdate", "in use")
    assert (await operate(cloud, made, "remove", "10.8.1.0/24")).status == 200
    refused(
        await cloud("DELETE", f"/subnetpools/{made['id']}"), 400, "SubnetPoolDeleteError", "has existing allocations"
    )
    now = (await cloud("GET", f"/subnetpools/{made['id']}")).json["subnetpool"]["prefixes"]
    assert now[:2] == ["10.8.0.0/24", "10.8.2.0/23"]


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList", ""),
        ({"prefixes": ["10.0.0.0/8", "2001:db8::/32"]}, "PrefixVersionMismatch", ""),
        ({"prefixes": ["10.0.0.0/8", "10.0.0.0/8"]}, "HTTPBadRequest", "Duplicate"),
        ({"prefixes": ["10.0.0.1"]}, "HTTPBadRequest", "10.0.0.1"),
        ({"prefixes": ["10.0.0.0/33"]}, "HTTPBadRequest", "10.0.0.0/33"),
        ({"prefixes": ["fe80::%eth0/64"]}, "HTTPBadRequest", "eth0"),
        ({"prefixes": None}, "HTTPBadRequest", "prefixes"),
        ({"name": " "}, "HTTPBadRequest", "name"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds", "min_prefixlen=25, max_prefixlen=24"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds", "max_prefixlen=33, ip_version_max=32"),
        ({"default_prefixlen": 7}, "IllegalSubnetPoolPrefixBounds", "default_prefixlen=7, min_prefixlen=8"),
        (
            {"default_prefixlen": 30, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds",
            "default_prefixlen=30, max_prefixlen=24",
        ),
        ({"min_prefixlen": -1}, "HTTPBadRequest", "min_prefixlen"),
        ({"default_quota": -1}, "HTTPBadRequest", "default_quota"),
        ({"address_scope_id": "x"}, "HTTPBadRequest", "address_scope_id"),
        ({"ip_version": 4}, "HTTPBadRequest", "ip_version"),
    ],
)  # fmt: skip
async def test_what_is_refused(cloud: Cloud, values: dict[str, Any], error: str, said: str) -> None:
    refused(await ask(cloud, **values), 400, error, said)
    assert (await cloud("GET", "/subnetpools")).json["subnetpools"] == []


async def test_rights(cloud: Cloud) -> None:
    made = await pool(cloud)
    refused(await ask(cloud, address_scope_id=NOWHERE), 404, "AddressScopeNotFound", NOWHERE)
    for values in ({"shared": True}, {"is_default": True}):
        assert (await ask(cloud, **values)).status == 403
    assert (await ask(cloud, "reader")).status == 403
    assert (await change(cloud, made, is_default=True)).status == 403
    refused(await change(cloud, made, "admin", shared=True), 400, "HTTPBadRequest", "shared")
    refused(await change(cloud, made, "admin", project_id="x"), 400, "HTTPBadRequest", "project_id")
    refused(await change(cloud, made, "foreign", name="x"), 404, "SubnetPoolNotFound")
    path = f"/subnetpools/{made['id']}"
    for method in ("GET", "DELETE"):
        refused(await cloud(method, path, token="foreign"), 404, "SubnetPoolNotFound")
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"subnetpool": 1}})
    refused(await ask(cloud), 409, "OverQuota", "subnetpool")


async def test_one_default_of_each_ip_version(cloud: Cloud) -> None:
    four = await pool(cloud, "admin", is_default=True, shared=True)
    assert (four["is_default"], four["shared"]) == (True, True)
    six = await pool(cloud, "admin", prefixes=["2001:db8::/48"])
    assert (await change(cloud, six, "admin", is_default=True)).json["subnetpool"]["is_default"] is True
    for answer in (
        await ask(cloud, "admin", is_default=True),
        await ask(cloud, "admin", is_default=True, prefixes=["2001:db9::/48"]),
        await change(cloud, await pool(cloud, "admin"), "admin", is_default=True),
    ):
        refused(answer, 400, "InvalidInput", "has already been set")
    assert (await change(cloud, four, "admin", is_default=True, name="same")).status == 200
    assert (await change(cloud, four, "admin", is_default=False)).status == 200
    assert (await pool(cloud, "admin", is_default=True))["is_default"] is True
    assert [one["name"] for one in (await cloud("GET", "/subnetpools?is_default=true")).json["subnetpools"]] == []


async def test_pools_of_a_scope_do_not_overlap(cloud: Cloud) -> None:
    made = await scope(cloud)
    mine = await pool(cloud, address_scope_id=made["id"], prefixes=["20.0.0.0/18", "30.0.0.0/18"])
    assert mine["address_scope_id"] == made["id"]
    refused(await ask(cloud, address_scope_id=made["id"], prefixes=["30.0.0.0/12"]), 409, "AddressScopePrefixConflict")
    other = await pool(cloud, address_scope_id=made["id"], prefixes=["20.10.0.0/24"])
    refused(await change(cloud, mine, prefixes=["20.0.0.0/8", "30.0.0.0/18"]), 409, "AddressScopePrefixConflict")
    refused(await operate(cloud, other, "add", "30.0.1.0/24"), 409, "AddressScopePrefixConflict")
    late = await pool(cloud, prefixes=["20.10.0.0/25"])
    refused(await change(cloud, late, address_scope_id=made["id"]), 409, "AddressScopePrefixConflict")
    refused(await cloud("DELETE", f"/address-scopes/{made['id']}"), 409, "AddressScopeInUse", made["id"])
    refused(
        await change(cloud, late, address_scope_id=(await scope(cloud, ip_version=6))["id"]),
        400, "IllegalSubnetPoolIpVersionAssociationToAddressScope",
    )  # fmt: skip
    for one in (mine, other):
        assert (await change(cloud, one, address_scope_id=None)).json["subnetpool"]["address_scope_id"] is None
    assert (await cloud("DELETE", f"/address-scopes/{made['id']}")).status == 204


async def test_foreign_scopes(cloud: Cloud) -> None:
    made = await scope(cloud, "admin")
    refused(await ask(cloud, address_scope_id=made["id"]), 404, "AddressScopeNotFound", made["id"])
    mine = await pool(cloud)
    refused(await change(cloud, mine, address_scope_id=made["id"]), 404, "AddressScopeNotFound", made["id"])
    policy = await shared(cloud, made, PROJECT, "admin", kind="address_scope")
    assert (await change(cloud, mine, address_scope_id=made["id"])).status == 200
    said = f"cannot be updated when associated with shared address scope {made['id']}"
    refused(await change(cloud, mine, prefixes=["10.0.0.0/8"]), 400, "IllegalSubnetPoolUpdate", said)
    refused(await operate(cloud, mine, "add", "11.0.0.0/8"), 400, "IllegalSubnetPoolUpdate", said)
    assert (await change(cloud, mine, "admin", prefixes=["10.0.0.0/8"])).status == 200
    refused(await cloud("DELETE", f"/rbac-policies/{policy['id']}", token="admin"), 409, "RbacPolicyInUse", made["id"])
    assert (await cloud("DELETE", f"/subnetpools/{mine['id']}")).status == 204
    assert (await cloud("DELETE", f"/rbac-policies/{policy['id']}", token="admin")).status == 204


async def test_shared_with_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    made = await pool(cloud, default_prefixlen=24)
    network = await cloud.make("network", "foreign")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "subnetpool_id": made["id"]}}
    refused(await cloud("POST", "/subnets", token="foreign", json=body), 404, "SubnetPoolNotFound", made["id"])
    policy = await shared(cloud, made, theirs, kind="subnetpool")
    assert await names(cloud, "/subnetpools?shared=true") == ["pool"]
    assert (await cloud("GET", f"/subnetpools/{made['id']}", token="foreign")).json["subnetpool"]["shared"] is True
    assert (await cloud("GET", f"/subnetpools/{made['id']}")).json["subnetpool"]["shared"] is False
    assert (await change(cloud, made, "foreign", name="mine")).status == 403
    assert (await operate(cloud, made, "add", "10.7.0.0/16", token="foreign")).status == 403
    subnet = await cloud("POST", "/subnets", token="foreign", json=body)
    assert subnet.status == 201, subnet.content
    refused(await share(cloud, made, PROJECT, "foreign", kind="subnetpool"), 400, "InvalidInput", "Only admins")
    path = f"/rbac-policies/{policy['id']}"
    refused(await cloud("DELETE", path), 409, "RbacPolicyInUse", made["id"])
    assert (await cloud("DELETE", f"/subnets/{subnet.json['subnet']['id']}", token="foreign")).status == 204
    assert (await cloud("DELETE", path)).status == 204


async def test_who_may_not_see_the_scope_gets_no_pool_of_it(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    inner = await scope(cloud)
    made = await pool(cloud, address_scope_id=inner["id"])
    refused(await share(cloud, made, theirs, kind="subnetpool"), 400, "InvalidInput", "associated address scope")
    own = await shared(cloud, made, PROJECT, kind="subnetpool")
    body = {"rbac_policy": {"target_project": theirs}}
    refused(
        await cloud("PUT", f"/rbac-policies/{own['id']}", json=body), 400, "InvalidInput", "associated address scope"
    )
    await shared(cloud, inner, theirs, kind="address_scope")
    assert (await share(cloud, made, theirs, kind="subnetpool")).status == 201
