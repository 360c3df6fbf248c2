"""Trunks over HTTP, where their subports are bound, and what hosts get of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import NOWHERE, refused

OTHER = "host-2"


@pytest.fixture(autouse=True)
async def agent(cloud: Cloud) -> Any:
    """A host that makes trunks, and what it shows."""
    _, plane = await cloud.agent()

    async def known() -> bool:
        return bool((await cloud("GET", "/agents", token="admin")).json["agents"])

    await until(known)
    return plane


async def port(cloud: Cloud, token: str = "member", **network: Any) -> Any:
    """On a network of its own."""
    made = await cloud.make("network", token, **network)
    return await cloud.make("port", token, network_id=made["id"])


def sub(a_port: Any, vlan: Any = 10, kind: Any = "vlan") -> dict[str, Any]:
    return {"port_id": a_port["id"], "segmentation_type": kind, "segmentation_id": vlan}


async def change(cloud: Cloud, trunk: Any, action: str, *subs: Any, token: str = "member") -> Any:
    path = f"/trunks/{trunk['id']}/{action}_subports"
    return await cloud("PUT", path, token=token, json={"sub_ports": list(subs)})


async def test_its_whole_life(cloud: Cloud) -> None:
    parent, one, two = [await port(cloud) for _ in range(3)]
    trunk = await cloud.make("trunk", name="t", port_id=parent["id"], sub_ports=[sub(one, 20)])
    assert (trunk["port_id"], trunk["admin_state_up"], trunk["status"]) == (parent["id"], True, "DOWN")
    assert trunk["sub_ports"] == [sub(one, 20)]
    path = f"/trunks/{trunk['id']}"
    assert (await cloud("GET", path)).json["trunk"] == trunk
    added = await change(cloud, trunk, "add", sub(two, 10))
    assert added.json["sub_ports"] == [sub(two, 10), sub(one, 20)]
    assert added.json["revision_number"] > trunk["revision_number"]
    assert (await cloud("GET", f"{path}/get_subports")).json == {"sub_ports": [sub(two, 10), sub(one, 20)]}
    shown = (await cloud("GET", f"/ports/{parent['id']}")).json["port"]["trunk_details"]
    carried = [{**sub(p, vlan), "mac_address": p["mac_address"]} for p, vlan in ((two, 10), (one, 20))]
    assert shown == {"trunk_id": trunk["id"], "sub_ports": carried}
    assert (await cloud.port(one["id"]))["device_owner"] == "trunk:subport"
    assert "trunk_details" not in await cloud.port(one["id"])

    refused(await cloud("DELETE", f"/ports/{parent['id']}"), 409, "PortInUseAsTrunkParent", trunk["id"])
    refused(await cloud("DELETE", f"/ports/{one['id']}"), 409, "PortInUseAsSubPort", trunk["id"])
    removed = await change(cloud, trunk, "remove", {"port_id": two["id"]})
    assert removed.json["sub_ports"] == [sub(one, 20)]
    refused(await change(cloud, trunk, "remove", sub(two)), 404, "SubPortNotFound", two["id"])
    assert (await cloud("DELETE", f"/ports/{two['id']}")).status == 204

    down = await cloud("PUT", path, json={"trunk": {"admin_state_up": False, "name": "u"}})
    assert (down.json["trunk"]["admin_state_up"], down.json["trunk"]["name"]) == (False, "u")
    for answer in (
        await change(cloud, trunk, "add", sub(parent)), await change(cloud, trunk, "remove", sub(one)),
        await cloud("DELETE", path),
    ):  # fmt: skip
        refused(answer, 409, "TrunkDisabled", trunk["id"])
    await cloud("PUT", path, json={"trunk": {"admin_state_up": True}})
    assert (await cloud("PUT", f"{path}/tags/red")).status == 201
    assert [one["id"] for one in (await cloud("GET", "/trunks?tags=red&name=u")).json["trunks"]] == [trunk["id"]]
    assert (await cloud("DELETE", path)).status == 204
    refused(await cloud("GET", path), 404, "TrunkNotFound", trunk["id"])
    assert (await cloud.port(one["id"]))["device_owner"] == ""
    assert "trunk_details" not in await cloud.port(parent["id"])
    for left in (parent, one):
        assert (await cloud("DELETE", f"/ports/{left['id']}")).status == 204


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"port_id": NOWHERE, "segmentation_type": "vlan"}, "InvalidInput"),
        ({"port_id": NOWHERE, "segmentation_id": 3}, "InvalidInput"),
        ({"segmentation_type": "vlan", "segmentation_id": 3}, "HTTPBadRequest"),
        ({"port_id": "x", "segmentation_type": "vlan", "segmentation_id": 3}, "HTTPBadRequest"),
        ({"port_id": NOWHERE, "segmentation_type": "inherit"}, "InvalidInput"),
        ({"port_id": NOWHERE, "segmentation_type": "vxlan", "segmentation_id": 3}, "InvalidInput"),
        ({"port_id": NOWHERE, "segmentation_type": "vlan", "segmentation_id": 0}, "InvalidInput"),
        ({"port_id": NOWHERE, "segmentation_type": "vlan", "segmentation_id": 4095}, "InvalidInput"),
    ],
)
async def test_subports_that_cannot_be(cloud: Cloud, part: Any, kind: str) -> None:
    parent = await port(cloud)
    body = {"trunk": {"port_id": parent["id"], "sub_ports": [part]}}
    refused(await cloud("POST", "/trunks", json=body), 400, kind)
    trunk = await cloud.make("trunk", port_id=parent["id"])
    refused(await change(cloud, trunk, "add", part), 400, kind)
    refused(await cloud("PUT", f"/trunks/{trunk['id']}/add_subports", json={"sub_ports": part}), 400, "HTTPBadRequest")
    assert (await cloud("GET", f"/trunks/{trunk['id']}")).json["trunk"]["sub_ports"] == []


async def test_ports_that_do_not_fit(cloud: Cloud) -> None:
    parent, one, two = [await port(cloud) for _ in range(3)]
    big, busy, foreign = await port(cloud, mtu=1500), await port(cloud), await port(cloud, "foreign")
    small = await port(cloud, mtu=1400)
    await cloud("PUT", f"/ports/{busy['id']}", json={"port": {"device_id": "x"}})
    trunk = await cloud.make("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    narrow = await cloud.make("trunk", port_id=small["id"])
    for answer, status, kind in (
        (await change(cloud, trunk, "add", sub(two, 10)), 409, "DuplicateSubPort"),
        (await change(cloud, trunk, "add", sub(two, 11), sub(big, 11)), 400, "InvalidInput"),
        (await change(cloud, trunk, "add", sub(two, 11), sub(two, 12)), 400, "InvalidInput"),
        (await change(cloud, trunk, "add", sub(parent, 11)), 409, "ParentPortInUse"),
        (await change(cloud, trunk, "add", sub(small, 11)), 409, "ParentPortInUse"),
        (await change(cloud, trunk, "add", sub(one, 11)), 409, "TrunkPortInUse"),
        (await change(cloud, narrow, "add", sub(one, 11)), 409, "SubPortMtuGreaterThanTrunkPortMtu"),
        (await change(cloud, trunk, "add", sub(busy, 11)), 409, "PortInUse"),
        (await change(cloud, trunk, "add", sub(foreign, 11)), 404, "PortNotFound"),
        (await change(cloud, trunk, "add", sub({"id": NOWHERE}, 11)), 404, "PortNotFound"),
        (await change(cloud, {"id": NOWHERE}, "add", sub(two, 11)), 404, "TrunkNotFound"),
        (await change(cloud, trunk, "add", sub(two, 11), token="foreign"), 404, "TrunkNotFound"),
        (await cloud("POST", "/trunks", json={"trunk": {"port_id": parent["id"]}}), 409, "ParentPortInUse"),
        (await cloud("POST", "/trunks", json={"trunk": {"port_id": one["id"]}}), 409, "TrunkPortInUse"),
        (await cloud("POST", "/trunks", json={"trunk": {"port_id": foreign["id"]}}), 404, "PortNotFound"),
        (await cloud("POST", "/trunks", json={"trunk": {"port_id": NOWHERE}}), 404, "PortNotFound"),
        (await cloud("DELETE", f"/trunks/{trunk['id']}", token="foreign"), 404, "TrunkNotFound"),
    ):
        refused(answer, status, kind)
    assert (await cloud("GET", f"/trunks/{trunk['id']}")).json["trunk"] == trunk
    assert (await cloud("GET", "/trunks", token="foreign")).json["trunks"] == []


async def test_quota(cloud: Cloud) -> None:
    project = (await port(cloud))["project_id"]
    await cloud("PUT", f"/quotas/{project}", token="admin", json={"quota": {"trunk": 1}})
    await cloud.make("trunk", port_id=(await port(cloud))["id"])
    refused(await cloud("POST", "/trunks", json={"trunk": {"port_id": (await port(cloud))["id"]}}), 409, "OverQuota")


async def test_subports_are_where_the_parent_is(cloud: Cloud, agent: Any) -> None:
    parent, one, two = [await port(cloud) for _ in range(3)]
    trunk = await cloud.make("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    path = f"/trunks/{trunk['id']}"

    async def bind(host: str) -> None:
        answer = await cloud("PUT", f"/ports/{parent['id']}", token="admin", json={"port": {"binding:host_id": host}})
        assert answer.status == 200, answer.content

    def shown() -> dict[str, tuple[str, int]]:
        """By local port: what carries it, and its tag."""
        carried = {one.port_id: (t.parent_id, one.vlan) for t in agent.state.trunks or () for one in t.subports}
        return {p.id: carried.get(p.id, ("", 0)) for n in agent.state.networks for p in n.ports if p.local}

    async def status() -> str:
        return str((await cloud("GET", path)).json["trunk"]["status"])

    await bind(HOST)
    await until(lambda: shown() == {parent["id"]: ("", 0), one["id"]: (parent["id"], 10)})
    await until(status, satisfies=lambda now: now == "ACTIVE")
    assert (await change(cloud, trunk, "add", sub(two, 20))).status == 200
    await until(lambda: shown().get(two["id"]) == (parent["id"], 20))
    assert (await change(cloud, trunk, "remove", sub(one))).status == 200
    await until(lambda: one["id"] not in shown())
    freed = await cloud.port(one["id"])
    assert (freed["binding:host_id"], freed["status"], freed["device_owner"]) == ("", "DOWN", "")
    await cloud("PUT", path, json={"trunk": {"admin_state_up": False}})
    await until(lambda: shown().get(two["id"]) == ("", 0))
    assert await status() == "DOWN"
    await cloud("PUT", path, json={"trunk": {"admin_state_up": True}})
    await until(lambda: shown().get(two["id"]) == (parent["id"], 20))

    await bind(OTHER)
    assert (await cloud.port(two["id"]))["binding:host_id"] == OTHER
    await until(lambda: shown() == {})
    await bind(HOST)
    await until(lambda: shown().get(two["id"]) == (parent["id"], 20))
    assert (await cloud("DELETE", path)).status == 204
    await until(lambda: shown() == {parent["id"]: ("", 0)})
    assert (await cloud.port(two["id"]))["binding:host_id"] == ""


async def test_no_host_makes_trunks(cloud: Cloud) -> None:
    parent = await port(cloud)
    for agent in (await cloud("GET", "/agents", token="admin")).json["agents"]:
        await cloud("DELETE", f"/agents/{agent['id']}", token="admin")
    refused(await cloud("POST", "/trunks", json={"trunk": {"port_id": parent["id"]}}), 409, "NoHostMakesTrunks")
