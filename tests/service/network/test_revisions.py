"""Revision numbers: what gives an object its next one, and changes under the condition that it is still the one seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.network.conftest import Cloud
from tests.support import OTHER_PROJECT


async def _made(cloud: Cloud, kind: str) -> tuple[str, dict[str, Any]]:
    """(path, object) of one of this kind."""
    if kind in ("network", "subnet", "port"):
        network, subnet = await cloud.network()
        made = {"network": network, "subnet": subnet}.get(kind) or await cloud.make("port", network_id=network["id"])
        made = (await cloud("GET", f"/{kind}s/{made['id']}")).json[kind]
    elif kind == "floatingip":
        outside, _ = await cloud.network("172.24.0.0/24", "admin")
        body = {"network": {"router:external": True}}
        assert (await cloud("PUT", f"/networks/{outside['id']}", token="admin", json=body)).status == 200
        made = await cloud.make("floatingip", floating_network_id=outside["id"])
    else:
        made = await cloud.make(kind, name="x")
    return f"/{kind.replace('_', '-')}s/{made['id']}", made


def _if(revision: Any) -> dict[str, str]:
    return {"If-Match": f"revision_number={revision}"}


@pytest.mark.parametrize(
    "kind", ["network", "subnet", "port", "router", "security_group", "floatingip", "address_group"]
)
async def test_a_change_may_need_the_revision_that_was_seen(cloud: Cloud, kind: str) -> None:
    path, seen = await _made(cloud, kind)
    revision, body = seen["revision_number"], {kind: {"description": "new"}}
    for method, sent in (("PUT", body), ("DELETE", None)):
        refused = await cloud(method, path, json=sent, headers=_if(revision + 1))
        error = refused.json["NeutronError"]
        assert (refused.status, error["type"]) == (412, "RevisionNumberConstraintFailed")
        assert error["message"] == f"Constrained to {revision + 1}, but current revision is {revision}"
    assert (await cloud("GET", path)).json[kind] == seen
    changed = await cloud("PUT", path, json=body, headers=_if(revision))
    assert (changed.status, changed.json[kind]["revision_number"]) == (200, revision + 1)
    assert (await cloud("PUT", path, json=body, headers=_if(revision))).status == 412
    assert (await cloud("DELETE", path, headers={"If-Match": f'"revision_number={revision + 1}"'})).status == 204


async def test_of_two_changes_of_one_revision_one_happens(cloud: Cloud) -> None:
    for kind in ("subnet", "port", "router"):
        path, seen = await _made(cloud, kind)
        asked = [
            cloud("PUT", path, json={kind: {"description": text}}, headers=_if(seen["revision_number"]))
            for text in ("a", "b", "c")
        ]
        assert sorted(answer.status for answer in await asyncio.gather(*asked)) == [200, 412, 412], kind


async def test_a_header_that_cannot_be_read(cloud: Cloud) -> None:
    path, seen = await _made(cloud, "network")
    form = "Revision number etag must be in the format of revision_number=<int>."
    many = "Multiple revision_number etags are not supported.."
    for header, why in (
        ("revision_number=", form),
        ("revision_number=x", form),
        ("revision_number=1.5", form),
        ('"revision_number=1", "revision_number=2"', many),
    ):
        refused = await cloud("PUT", path, json={"network": {"name": "b"}}, headers={"If-Match": header})
        error = refused.json["NeutronError"]
        assert (refused.status, error["type"]) == (400, "BadRequest"), header
        assert error["message"].rstrip(".") == f"Bad if-match request: {why}".rstrip(".")
    for header in ("*", '"abc"', 'W/"revision_number=77"', ""):  # says nothing of a revision
        answer = await cloud("PUT", path, json={"network": {"description": "d"}}, headers={"If-Match": header})
        assert answer.status == 200, header
    assert (await cloud("GET", path, headers=_if(77))).status == 200
    assert seen["name"] == (await cloud("GET", path)).json["network"]["name"]


async def test_what_has_no_revision_cannot_be_asked_for_one(cloud: Cloud) -> None:
    group = await cloud.make("security_group", name="x")
    shared = {"object_type": "security_group", "object_id": group["id"], "action": "access_as_shared"}
    policy = (
        await cloud("POST", "/rbac-policies", json={"rbac_policy": shared | {"target_project": OTHER_PROJECT}})
    ).json["rbac_policy"]
    refused = await cloud("DELETE", f"/rbac-policies/{policy['id']}", headers=_if(1))
    assert (refused.status, refused.json["NeutronError"]["type"]) == (400, "BadRequest")
    assert "rbac-policies request: Revision matching not supported" in refused.json["NeutronError"]["message"]


async def test_a_foreign_object_says_nothing_of_its_revision(cloud: Cloud) -> None:
    path, _ = await _made(cloud, "port")
    for method, body in (("PUT", {"port": {"name": "x"}}), ("DELETE", None)):
        assert (await cloud(method, path, token="foreign", json=body, headers=_if(77))).status == 404


async def test_what_belongs_to_an_object_gives_it_the_next_revision(cloud: Cloud) -> None:
    path, network = await _made(cloud, "network")

    async def grew(path: str, kind: str) -> bool:
        now = (await cloud("GET", path)).json[kind]["revision_number"]
        before, known[path] = known.get(path, 0), now
        return bool(now > before)

    known: dict[str, int] = {path: network["revision_number"]}
    subnet = await cloud.make("subnet", network_id=network["id"], cidr="10.9.0.0/24")
    assert await grew(path, "network")
    assert (await cloud("PUT", f"/subnets/{subnet['id']}", json={"subnet": {"name": "x"}})).status == 200
    assert await grew(path, "network")
    assert (await cloud("DELETE", f"/subnets/{subnet['id']}")).status == 204
    assert await grew(path, "network")
    for method, where, body in (
        ("PUT", "/tags", {"tags": ["a"]}),
        ("PUT", "/tags/b", None),
        ("DELETE", "/tags/b", None),
        ("DELETE", "/tags", None),
    ):
        stale = await cloud(method, path + where, json=body, headers=_if(known[path] + 1))
        assert stale.status == 412, where
        assert (await cloud(method, path + where, json=body)).status < 300
        assert await grew(path, "network"), where
    group = await cloud.make("security_group", name="x")
    own = f"/security-groups/{group['id']}"
    known[own] = group["revision_number"]
    rule = await cloud.make("security_group_rule", security_group_id=group["id"], direction="ingress")
    assert await grew(own, "security_group")
    assert (await cloud("DELETE", f"/security-group-rules/{rule['id']}")).status == 204
    assert await grew(own, "security_group")
