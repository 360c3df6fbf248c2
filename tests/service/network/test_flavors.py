"""Flavors and service profiles over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.network.conftest import Cloud
from tests.service.network.test_routers import NOWHERE, refused


async def flavor(cloud: Cloud, **values: Any) -> Any:
    return await cloud.make("flavor", "admin", **({"name": "gold", "service_type": "L3_ROUTER_NAT"} | values))


async def profile(cloud: Cloud, **values: Any) -> Any:
    body = {"service_profile": {"metainfo": '{"data": "value"}'} | values}
    answer = await cloud("POST", "/service_profiles", token="admin", json=body)
    assert answer.status == 201, answer.content
    return answer.json["service_profile"]


async def associate(cloud: Cloud, a_flavor: Any, profile_id: str, token: str = "admin") -> Any:
    path, body = f"/flavors/{a_flavor['id']}/service_profiles", {"service_profile": {"id": profile_id}}
    return await cloud("POST", path, token=token, json=body)


async def test_a_flavor(cloud: Cloud) -> None:
    made = await flavor(cloud, description=None)
    assert made == {
        "id": made["id"], "name": "gold", "description": "", "service_type": "L3_ROUTER_NAT", "enabled": True,
        "service_profiles": [],
    }  # fmt: skip
    path = f"/flavors/{made['id']}"
    changed = await cloud("PUT", path, token="admin", json={"flavor": {"name": "silver", "enabled": False}})
    assert changed.json["flavor"] == made | {"name": "silver", "enabled": False}
    for query, count in (("name=silver", 1), ("name=gold", 0), ("enabled=false", 1), ("id=33", 0)):
        assert len((await cloud("GET", f"/flavors?{query}")).json["flavors"]) == count, query
    assert (await cloud("GET", path, token="foreign")).json["flavor"] == changed.json["flavor"]
    assert (await cloud("DELETE", path, token="admin")).status == 204
    refused(await cloud("GET", path), 404, "FlavorNotFound", made["id"])


async def test_a_service_profile(cloud: Cloud) -> None:
    made = await profile(cloud, description="d")
    assert made == {
        "id": made["id"], "description": "d", "driver": "", "metainfo": '{"data": "value"}', "enabled": True
    }  # fmt: skip
    path = f"/service_profiles/{made['id']}"
    changed = await cloud("PUT", path, token="admin", json={"service_profile": {"enabled": False}})
    assert changed.json["service_profile"] == made | {"enabled": False}
    assert len((await cloud("GET", "/service_profiles?enabled=false", token="admin")).json["service_profiles"]) == 1
    emptied = await cloud("PUT", path, token="admin", json={"service_profile": {"metainfo": ""}})
    refused(emptied, 400, "ServiceProfileEmpty")
    assert (await cloud("DELETE", path, token="admin")).status == 204
    refused(await cloud("GET", path, token="admin"), 404, "ServiceProfileNotFound")


async def test_a_flavors_profiles(cloud: Cloud) -> None:
    gold, one = await flavor(cloud), await profile(cloud)
    answer = await associate(cloud, gold, one["id"])
    assert (answer.status, answer.json) == (201, {"service_profile": gold | {"service_profiles": [one["id"]]}})
    refused(await associate(cloud, gold, one["id"]), 409, "FlavorServiceProfileBindingExists")
    refused(await associate(cloud, gold, NOWHERE), 404, "ServiceProfileNotFound")
    refused(await associate(cloud, {"id": NOWHERE}, one["id"]), 404, "FlavorNotFound")
    used = f"/service_profiles/{one['id']}"
    refused(await cloud("DELETE", used, token="admin"), 409, "ServiceProfileInUse")
    changed = await cloud("PUT", used, token="admin", json={"service_profile": {"description": "x"}})
    refused(changed, 409, "ServiceProfileInUse")
    path = f"/flavors/{gold['id']}/service_profiles/{one['id']}"
    assert (await cloud("DELETE", path, token="admin")).status == 204
    refused(await cloud("DELETE", path, token="admin"), 404, "FlavorServiceProfileBindingNotFound")
    assert (await associate(cloud, gold, one["id"])).status == 201
    assert (await cloud("DELETE", f"/flavors/{gold['id']}", token="admin")).status == 204
    assert (await cloud("DELETE", used, token="admin")).status == 204


@pytest.mark.parametrize(
    ("resource", "values", "status", "kind"),
    [
        ("flavor", {}, 400, "HTTPBadRequest"),
        ("flavor", {"service_type": "NONE"}, 400, "HTTPBadRequest"),
        ("flavor", {"service_type": "FLAVORS", "description": "x" * 1025}, 400, "HTTPBadRequest"),
        ("service_profile", {}, 400, "ServiceProfileEmpty"),
        ("service_profile", {"metainfo": "x\x01"}, 400, "HTTPBadRequest"),
        ("service_profile", {"driver": "neutron.none"}, 404, "ServiceProfileDriverNotFound"),
    ],
)  # fmt: skip
async def test_bad_input(cloud: Cloud, resource: str, values: Any, status: int, kind: str) -> None:
    refused(await cloud("POST", f"/{resource}s", token="admin", json={resource: values}), status, kind)
    assert (await cloud("GET", f"/{resource}s", token="admin")).json[f"{resource}s"] == []


async def test_only_admins_write(cloud: Cloud) -> None:
    gold, one = await flavor(cloud), await profile(cloud)
    for token in ("member", "foreign"):
        assert (await associate(cloud, gold, one["id"], token)).status == 403
        for path, name, values in (
            ("/flavors", "flavor", {"service_type": "FLAVORS"}), ("/service_profiles", "service_profile", {"metainfo": "x"}),
        ):  # fmt: skip
            assert (await cloud("POST", path, token=token, json={name: values})).status == 403
        assert (await cloud("PUT", f"/flavors/{gold['id']}", token=token, json={"flavor": {"name": "x"}})).status == 403
        for path in (f"/flavors/{gold['id']}", f"/flavors/{gold['id']}/service_profiles/{one['id']}"):
            assert (await cloud("DELETE", path, token=token)).status == 403
        assert (await cloud("DELETE", f"/service_profiles/{one['id']}", token=token)).status in (403, 404)
        assert (await cloud("GET", f"/service_profiles/{one['id']}", token=token)).status in (403, 404)
