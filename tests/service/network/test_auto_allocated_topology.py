"""A project's network, subnets and router, made when it asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.network.conftest import Cloud
from tests.service.network.test_rbac_policies import shared
from tests.service.network.test_routers import external, refused
from tests.service.network.test_subnetpools import change, pool
from tests.support import OTHER_PROJECT, PROJECT

KINDS = ("networks", "subnets", "routers", "ports")


async def outside(cloud: Cloud) -> Any:
    """The default external network."""
    public, _ = await external(cloud)
    answer = await cloud("PUT", f"/networks/{public['id']}", token="admin", json={"network": {"is_default": True}})
    assert answer.json["network"]["is_default"] is True
    return public


async def pools(cloud: Cloud, **values: Any) -> tuple[Any, Any]:
    four = await pool(cloud, "admin", is_default=True, shared=True, default_prefixlen=26, **values)
    return four, await pool(cloud, "admin", is_default=True, shared=True, prefixes=["2001:db8::/56"])


async def topology(cloud: Cloud, project: str = PROJECT, query: str = "", token: str = "member") -> Any:
    return await cloud("GET", f"/auto-allocated-topology/{project}{query}", token=token)


async def found(cloud: Cloud, token: str = "member") -> dict[str, list[Any]]:
    """What the project owns."""
    project = OTHER_PROJECT if token == "foreign" else PROJECT
    answers = {kind: await cloud("GET", f"/{kind}?project_id={project}", token=token) for kind in KINDS}
    return {kind: answer.json[kind] for kind, answer in answers.items()}


async def count(cloud: Cloud) -> dict[str, int]:
    return {kind: len(objects) for kind, objects in (await found(cloud)).items()}


async def test_made_once(cloud: Cloud) -> None:
    public, (four, six) = await outside(cloud), await pools(cloud)
    dry = (await topology(cloud, query="?fields=dry-run")).json["auto_allocated_topology"]
    assert dry == {"id": "dry-run=pass", "project_id": PROJECT, "tenant_id": PROJECT}
    assert not (await found(cloud))["networks"]
    made = (await topology(cloud)).json["auto_allocated_topology"]
    assert made == {"id": made["id"], "project_id": PROJECT, "tenant_id": PROJECT}
    for project in (PROJECT, "None"):
        assert (await topology(cloud, project)).json["auto_allocated_topology"] == made
    assert (await topology(cloud, token="admin")).json["auto_allocated_topology"] == made

    now = await found(cloud)
    (network,), (router,) = now["networks"], now["routers"]
    assert (network["id"], network["name"], network["admin_state_up"]) == (made["id"], "auto_allocated_network", True)
    assert {(one["name"], one["cidr"], one["subnetpool_id"]) for one in now["subnets"]} == {
        ("auto_allocated_subnet_v4", "10.8.0.0/26", four["id"]), ("auto_allocated_subnet_v6", "2001:db8::/64", six["id"]),
    }  # fmt: skip
    assert router["name"] == "auto_allocated_router"
    assert router["external_gateway_info"]["network_id"] == public["id"]
    joined = [one for one in now["ports"] if one["device_id"] == router["id"]]
    assert sorted(ip["ip_address"] for one in joined for ip in one["fixed_ips"]) == ["10.8.0.1", "2001:db8::1"]

    foreign = (await topology(cloud, OTHER_PROJECT, token="foreign")).json["auto_allocated_topology"]
    assert foreign["id"] != made["id"]
    assert sorted(one["cidr"] for one in (await found(cloud, "foreign"))["subnets"]) == [
        "10.8.0.64/26",
        "2001:db8:0:1::/64",
    ]


async def test_removed_whole_or_not_at_all(cloud: Cloud) -> None:
    await outside(cloud)
    await pools(cloud)
    path = f"/auto-allocated-topology/{PROJECT}"
    assert (await cloud("DELETE", path)).status == 204
    made = (await topology(cloud)).json["auto_allocated_topology"]
    before = await count(cloud)
    port = await cloud.make("port", network_id=made["id"])
    refused(await cloud("DELETE", path), 409, "NetworkInUse", port["id"])
    assert (await cloud("DELETE", f"/ports/{port['id']}")).status == 204
    assert await count(cloud) == before
    assert (await topology(cloud)).json["auto_allocated_topology"] == made
    (router,) = (await found(cloud))["routers"]
    network, inner = await cloud.network("10.99.0.0/24", enable_dhcp=False)
    join = f"/routers/{router['id']}/add_router_interface"
    assert (await cloud("PUT", join, json={"subnet_id": inner["id"]})).status == 200
    refused(await cloud("DELETE", path), 409, "RouterInUse", router["id"])
    leave = f"/routers/{router['id']}/remove_router_interface"
    assert (await cloud("PUT", leave, json={"subnet_id": inner["id"]})).status == 200
    assert (await cloud("DELETE", f"/networks/{network['id']}")).status == 204
    for _ in range(2):
        assert (await cloud("DELETE", path)).status == 204
    assert await count(cloud) == dict.fromkeys(KINDS, 0)
    again = (await topology(cloud)).json["auto_allocated_topology"]
    assert again["id"] != made["id"]


async def test_what_was_deleted_by_hand_is_made_again(cloud: Cloud) -> None:
    await outside(cloud)
    await pools(cloud)
    made = (await topology(cloud)).json["auto_allocated_topology"]
    now = await found(cloud)
    router = now["routers"][0]["id"]
    for subnet in now["subnets"]:
        path = f"/routers/{router}/remove_router_interface"
        assert (await cloud("PUT", path, json={"subnet_id": subnet["id"]})).status == 200
    assert (await cloud("DELETE", f"/routers/{router}")).status == 204
    assert (await topology(cloud)).json["auto_allocated_topology"] == made
    assert (await cloud("DELETE", f"/networks/{made['id']}")).status == 204
    again = (await topology(cloud)).json["auto_allocated_topology"]
    assert again["id"] != made["id"]
    assert len((await found(cloud))["routers"]) == 1


async def test_what_is_missing(cloud: Cloud) -> None:
    for query in ("", "?fields=dry-run"):
        refused(
            await topology(cloud, query=query), 409, "AutoAllocationFailure",
            "Deployment error: No default router:external network.",
        )  # fmt: skip
    await outside(cloud)
    refused(
        await topology(cloud, query="?fields=dry-run"), 409, "AutoAllocationFailure", "No default subnetpools defined"
    )
    refused(await topology(cloud), 409, "AutoAllocationFailure", "Unable to provide project private network")
    hidden = await pool(cloud, "admin", is_default=True, default_prefixlen=26)
    refused(await topology(cloud), 409, "AutoAllocationFailure", "Unable to provide project private network")
    assert (await change(cloud, hidden, "admin", is_default=False)).status == 200
    await pools(cloud, prefixes=["10.8.0.0/27"], min_prefixlen=20)
    refused(await topology(cloud), 409, "AutoAllocationFailure", "Unable to provide project private network")
    assert await count(cloud) == dict.fromkeys(KINDS, 0)
    refused(await topology(cloud, query="?fields=id"), 400, "BadRequest", "Unrecognized field")


async def test_what_fails_leaves_nothing(cloud: Cloud) -> None:
    public, _ = await outside(cloud), await pools(cloud)
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"router": 0}})
    refused(await topology(cloud), 409, "OverQuota", "router")
    assert await count(cloud) == dict.fromkeys(KINDS, 0)
    await cloud("PUT", f"/quotas/{PROJECT}", token="admin", json={"quota": {"router": 1}})
    body = {"network": {"is_default": False}}
    assert (await cloud("PUT", f"/networks/{public['id']}", token="admin", json=body)).status == 200
    (policy,) = (await cloud("GET", f"/rbac-policies?object_id={public['id']}", token="admin")).json["rbac_policies"]
    await shared(cloud, public, OTHER_PROJECT, "admin", action="access_as_external")
    assert (await cloud("DELETE", f"/rbac-policies/{policy['id']}", token="admin")).status == 204
    body = {"network": {"is_default": True}}
    assert (await cloud("PUT", f"/networks/{public['id']}", token="admin", json=body)).status == 200
    refused(await topology(cloud), 409, "AutoAllocationFailure", "Unable to provide external connectivity")
    assert await count(cloud) == dict.fromkeys(KINDS, 0)
    assert (await topology(cloud, OTHER_PROJECT, token="foreign")).status == 200


async def test_what_is_cut_off_leaves_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    await outside(cloud)
    await pools(cloud)

    async def cut_off(*_: Any) -> None:
        raise OSError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr("kilonova.network.store.topologies.add", cut_off)
        assert (await topology(cloud)).status == 500
        assert await count(cloud) == dict.fromkeys(KINDS, 0)
    assert (await topology(cloud)).status == 200
    assert (await count(cloud))["networks"] == 1


async def test_rights(cloud: Cloud) -> None:
    await outside(cloud)
    await pools(cloud)
    for token in ("foreign", "unscoped"):
        assert (await topology(cloud, token=token)).status == 403
        assert (await cloud("DELETE", f"/auto-allocated-topology/{PROJECT}", token=token)).status == 403
    assert (await cloud("DELETE", f"/auto-allocated-topology/{PROJECT}", token="reader")).status == 403
    assert await count(cloud) == dict.fromkeys(KINDS, 0)
    made = await topology(cloud, token="admin")
    assert made.status == 200, made.content
    assert (await found(cloud))["networks"][0]["id"] == made.json["auto_allocated_topology"]["id"]
    assert (await topology(cloud, token="reader")).json == made.json


async def test_one_default_external_network(cloud: Cloud) -> None:
    public = await outside(cloud)
    body = {"network": {"router:external": True, "is_default": True}}
    refused(
        await cloud("POST", "/networks", token="admin", json=body), 409, "DefaultExternalNetworkExists", public["id"]
    )
    other = await cloud.make("network", "admin", **{"router:external": True})
    path, on = f"/networks/{other['id']}", {"network": {"is_default": True}}
    refused(await cloud("PUT", path, token="admin", json=on), 409, "DefaultExternalNetworkExists", public["id"])
    inner = await cloud.make("network", "admin", is_default=True)
    assert inner["is_default"] is False
    both = [{"router:external": True, "is_default": True}] * 2
    off = {"network": {"router:external": False}}
    other_off = {"network": {"description": "as it was"}}
    kept = await cloud("PUT", f"/networks/{public['id']}", token="admin", json=other_off)
    assert kept.json["network"]["is_default"] is True
    gone = await cloud("PUT", f"/networks/{public['id']}", token="admin", json=off)
    assert (gone.json["network"]["is_default"], gone.json["network"]["router:external"]) == (False, False)
    refused(
        await cloud("POST", "/networks", token="admin", json={"networks": both}), 409, "DefaultExternalNetworkExists"
    )
    assert (await cloud("PUT", path, token="admin", json=on)).json["network"]["is_default"] is True
    listed = (await cloud("GET", "/networks?is_default=true", token="admin")).json["networks"]
    assert [one["id"] for one in listed] == [other["id"]]


async def test_an_id_that_no_project_has(cloud: Cloud) -> None:
    answer = await cloud("GET", f"/auto-allocated-topology/{'p' * 256}", token="admin")
    assert (answer.status, "the project's id" in answer.json["NeutronError"]["message"]) == (400, True)
