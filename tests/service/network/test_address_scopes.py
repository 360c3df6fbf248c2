"""Address scopes over HTTP."""

from __future__ import annotations

from typing import Any

from tests.service.network.conftest import Cloud
from tests.service.network.test_rbac_policies import foreign_project, names, share, shared
from tests.service.network.test_routers import NOWHERE, refused
from tests.support import PROJECT


async def scope(cloud: Cloud, token: str = "member", **values: Any) -> Any:
    body = {"address_scope": {"name": "scope", "ip_version": 4} | values}
    answer = await cloud("POST", "/address-scopes", token=token, json=body)
    assert answer.status == 201, answer.content
    return answer.json["address_scope"]


async def test_its_whole_life(cloud: Cloud) -> None:
    made = await scope(cloud, ip_version=6)
    path = f"/address-scopes/{made['id']}"
    assert made == {
        "id": made["id"], "project_id": PROJECT, "tenant_id": PROJECT, "name": "scope", "ip_version": 6, "shared": False,
    }  # fmt: skip
    assert (await cloud("GET", path)).json["address_scope"] == made
    named = await cloud("PUT", path, json={"address_scope": {"name": "x"}})
    assert named.json["address_scope"] == made | {"name": "x"}
    assert (await cloud("GET", "/address-scopes?ip_version=6&name=x")).json["address_scopes"] == [made | {"name": "x"}]
    assert (await cloud("GET", "/address-scopes?ip_version=4")).json["address_scopes"] == []
    aliases = {one["alias"] for one in (await cloud("GET", "/extensions")).json["extensions"]}
    assert {"address-scope", "rbac-address-scope"} <= aliases
    assert (await cloud("DELETE", path)).status == 204
    refused(await cloud("GET", path), 404, "AddressScopeNotFound", made["id"])


async def test_what_is_refused(cloud: Cloud) -> None:
    for values in ({"ip_version": 5}, {"ip_version": None}, {"description": "no such attribute"}, {"name": 7}):
        body = {"address_scope": {"ip_version": 4} | values}
        refused(await cloud("POST", "/address-scopes", json=body), 400, "HTTPBadRequest", *values)
    answer = await cloud("POST", "/address-scopes", json={"address_scope": {"name": "x"}})
    refused(answer, 400, "HTTPBadRequest", "ip_version")
    body = {"address_scope": {"ip_version": 4, "shared": True}}
    assert (await cloud("POST", "/address-scopes", json=body)).status == 403
    assert (await cloud("POST", "/address-scopes", token="reader", json=body)).status == 403
    made = await scope(cloud)
    path = f"/address-scopes/{made['id']}"
    refused(await cloud("PUT", path, json={"address_scope": {"ip_version": 6}}), 400, "HTTPBadRequest", "ip_version")
    assert (await cloud("PUT", path, json={"address_scope": {"shared": True}})).status == 403
    for method, sent in (("GET", None), ("PUT", {"address_scope": {"name": "mine"}}), ("DELETE", None)):
        refused(await cloud(method, path, token="foreign", json=sent), 404, "AddressScopeNotFound")
    assert (await cloud("GET", "/address-scopes", token="foreign")).json["address_scopes"] == []
    assert (await cloud("GET", "/address-scopes")).json["address_scopes"] == [made]


async def test_shared_with_every_project_for_ever(cloud: Cloud) -> None:
    made = await scope(cloud, "admin", name="all", project_id=PROJECT)
    path, on = f"/address-scopes/{made['id']}", {"address_scope": {"shared": True}}
    for _ in range(2):
        answer = await cloud("PUT", path, token="admin", json=on)
        assert answer.json["address_scope"]["shared"] is True
    off = {"address_scope": {"shared": False}}
    refused(await cloud("PUT", path, token="admin", json=off), 400, "AddressScopeUpdateError", "can't be unshared")
    assert (await cloud("GET", path, token="foreign")).json["address_scope"]["shared"] is True
    assert await names(cloud, "/address-scopes?shared=true") == ["all"]
    assert (await cloud("PUT", path, token="foreign", json={"address_scope": {"name": "x"}})).status == 403
    (policy,) = (await cloud("GET", "/rbac-policies")).json["rbac_policies"]
    assert (policy["object_type"], policy["target_tenant"]) == ("address_scope", "*")
    assert (await cloud("DELETE", path)).status == 204
    assert (await cloud("GET", "/rbac-policies", token="admin")).json["rbac_policies"] == []
    assert (await scope(cloud, "admin", name="born so", shared=True))["shared"] is True
    assert await names(cloud, "/address-scopes") == ["born so"]


async def test_shared_with_one_project(cloud: Cloud) -> None:
    theirs = await foreign_project(cloud)
    made = await scope(cloud)
    path = f"/address-scopes/{made['id']}"
    policy = await shared(cloud, made, theirs, kind="address_scope")
    assert (await cloud("GET", path, token="foreign")).json["address_scope"] == made | {"shared": True}
    assert (await cloud("GET", path)).json["address_scope"] == made
    refused(await share(cloud, made, PROJECT, "foreign", kind="address_scope"), 400, "InvalidInput", "Only admins")
    refused(await share(cloud, {"id": NOWHERE}, theirs, kind="address_scope"), 404, "AddressScopeNotFound", NOWHERE)
    assert (await cloud("DELETE", f"/rbac-policies/{policy['id']}")).status == 204
    refused(await cloud("GET", path, token="foreign"), 404, "AddressScopeNotFound")
