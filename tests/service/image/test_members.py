"""Sharing images between projects."""

from __future__ import annotations

import pytest

from kilonova.image.options import ImageOptions
from tests.service.image.support import IMAGES, JSON, create
from tests.support import OTHER_PROJECT, PROJECT


@pytest.fixture
async def shared(client):
    image = await create(client)
    path = f"{IMAGES}/{image['id']}/members"
    answer = await client("POST", path, token="member", json={"member": OTHER_PROJECT}, headers=JSON)
    assert answer.status == 200
    assert answer.json["status"] == "pending"
    return image["id"], path


async def test_the_life_of_a_membership(client, shared):
    image_id, path = shared
    mine = f"{path}/{OTHER_PROJECT}"
    shown = (await client("GET", mine, token="foreign")).json
    assert (shown["member_id"], shown["image_id"], shown["schema"]) == (OTHER_PROJECT, image_id, "/v2/schemas/member")
    for status in ("accepted", "rejected", "pending"):
        answer = await client("PUT", mine, token="foreign", json={"status": status})
        assert (answer.status, answer.json["status"]) == (200, status)
    listed = (await client("GET", path, token="member")).json
    assert (listed["schema"], [item["member_id"] for item in listed["members"]]) == (
        "/v2/schemas/members", [OTHER_PROJECT])  # fmt: skip
    assert (await client("DELETE", mine, token="member")).status == 204
    assert (await client("DELETE", mine, token="member")).status == 404
    assert (await client("GET", f"{IMAGES}/{image_id}", token="foreign")).status == 404


async def test_the_owner_does_not_accept_for_others(client, shared):
    _, path = shared
    answer = await client("PUT", f"{path}/{OTHER_PROJECT}", token="member", json={"status": "accepted"}, headers=JSON)
    assert answer.status == 403
    answer = await client("PUT", f"{path}/{OTHER_PROJECT}", token="admin", json={"status": "accepted"}, headers=JSON)
    assert answer.status == 200


async def test_members_see_only_themselves(client, shared):
    _, path = shared
    await client("POST", path, token="member", json={"member": "3" * 32})
    listed = (await client("GET", path, token="foreign")).json["members"]
    assert [item["member_id"] for item in listed] == [OTHER_PROJECT]
    assert len((await client("GET", path, token="member")).json["members"]) == 2
    for method, body in (("GET", None), ("PUT", {"status": "accepted"}), ("DELETE", None)):
        answer = await client(method, f"{path}/{'3' * 32}", token="foreign", json=body)
        assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({}, 400, "member"), ({"member": ""}, 400, "Member can't be empty"), ({"member": 3}, 400, "member"),
        ({"member": OTHER_PROJECT}, 409, f"Member {OTHER_PROJECT} is duplicated"), ({"member": "x" * 300}, 400, "long"),
        ({"member": "a\nb"}, 400, "control"), ([], 400, "object"),
    ],
)  # fmt: skip
async def test_members_that_are_refused(client, shared, body, status, part):
    _, path = shared
    answer = await client("POST", path, token="member", json=body, headers=JSON)
    assert (answer.status, part in answer.json["message"]) == (status, True), answer.content
    assert len((await client("GET", path, token="member")).json["members"]) == 1


@pytest.mark.parametrize("body", [{"status": "maybe"}, {"status": 1}, {}, {"status": None}])
async def test_a_status_that_is_none(client, shared, body):
    _, path = shared
    answer = await client("PUT", f"{path}/{OTHER_PROJECT}", token="foreign", json=body, headers=JSON)
    assert answer.status == 400


@pytest.mark.parametrize("visibility", ["private", "community", "public"])
async def test_only_shared_images_have_members(client, visibility):
    image = await create(client, "admin", visibility=visibility)
    path = f"{IMAGES}/{image['id']}/members"
    answer = await client("GET", path, token="admin", headers=JSON)
    assert (answer.status, "Only shared images have members." in answer.json["message"]) == (403, True)
    assert (await client("POST", path, token="admin", json={"member": PROJECT})).status == 403
    assert (await client("GET", f"{path}/{PROJECT}", token="admin")).status == 404


async def test_a_limit(cloud, client, shared):
    await cloud.restart(ImageOptions(max_members=2))
    _, path = shared
    answers = [await client("POST", path, token="member", json={"member": str(n)}, headers=JSON) for n in range(2)]
    assert [answer.status for answer in answers] == [200, 413]
    assert "Attempted: 3, Maximum: 2" in answers[1].json["message"]
