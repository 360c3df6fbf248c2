"""Which callers may do what, for every route."""

from __future__ import annotations

import dataclasses

import pytest

from kilonova.image.app import RULES
from tests.service.image.conftest import Cloud
from tests.service.image.support import IMAGES, JSON, OCTETS, PATCH, active, create, patch, put, show
from tests.support import CALLERS, OTHER_PROJECT, PROJECT, caller

IMAGE = "{image_id:str}"


@pytest.fixture
def table(cloud):
    return cloud.service.routes


async def call_all(client, table, image_id: str, token: str | None):
    """(method, path, status) of every route that is not public, each called in a way that would succeed."""
    bodies = {"POST members": {"member": OTHER_PROJECT}, "PUT {member:str}": {"status": "accepted"}}
    answers = []
    for route in sorted(table, key=lambda r: r.method == "DELETE"):
        if route.public:
            continue
        last = route.path.rsplit("/", 1)[1]
        path = route.path.replace(IMAGE, image_id).replace("{tag:str}", "t").replace("{member:str}", PROJECT)
        body, headers, content = bodies.get(f"{route.method} {last}"), JSON, b""
        if (route.method, last) == ("POST", "images"):
            body = {"name": "x"}
        if route.method == "PATCH":
            body, headers = [{"op": "replace", "path": "/name", "value": "taken"}], PATCH
        if (route.method, last) == ("PUT", "file"):
            headers, content = OCTETS, b"data"
        answer = await client(route.method, "/image" + path, token=token, json=body, headers=headers, content=content)
        answers.append((route.method, route.path, answer.status))
    return answers


@pytest.mark.parametrize("token", [None, "nobody", ""])
async def test_without_a_token_nothing_is_given(client, table, token):
    image = await active(client, "admin", visibility="public")
    for method, path, status in await call_all(client, table, image["id"], token or None):
        assert status == 401, (method, path)
    assert (await show(client, image["id"], "admin")) == image


async def test_identity_headers_from_outside_mean_nothing(client):
    forged = {"x-roles": "admin", "x-project-id": PROJECT, "x-user-id": "admin", "x-identity-status": "Confirmed"}
    assert (await client("GET", IMAGES, token=None, headers=forged)).status == 401
    image = await create(client, visibility="private")
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="foreign", headers=forged)).status == 404


@pytest.mark.parametrize("visibility", ["private", "shared"])
async def test_images_of_others_are_not_there(client, table, visibility):
    image = await active(client, visibility=visibility)
    if visibility == "shared":
        await client("POST", f"{IMAGES}/{image['id']}/members", token="member", json={"member": "3" * 32})
    before = await show(client, image["id"])
    for method, path, status in await call_all(client, table, image["id"], "foreign"):
        if IMAGE in path:
            assert status == 404, (method, path)
        else:
            assert status < 300, (method, path)
    assert await show(client, image["id"]) == before


@pytest.mark.parametrize("visibility", ["public", "community"])
async def test_open_images_of_others_are_only_read(client, table, visibility):
    image = await active(client, "admin", visibility=visibility)
    for method, path, status in await call_all(client, table, image["id"], "foreign"):
        if IMAGE not in path or (method == "GET" and "members" not in path):
            assert status < 300, (method, path)
        else:
            assert status in (403, 404), (method, path)
    assert await show(client, image["id"], "admin") == image


async def test_readers_only_read(client, table):
    image = await active(client)
    for method, path, status in await call_all(client, table, image["id"], "reader"):
        if "{member" in path:
            assert status in (403, 404)
        elif method == "GET":
            assert status == (403 if path.endswith("/file") else 200), (method, path)
        else:
            assert status == 403, (method, path)
    assert await show(client, image["id"]) == image


async def test_a_member_of_an_image_uses_it_and_changes_nothing(client, table):
    image = await active(client)
    members = f"{IMAGES}/{image['id']}/members"
    assert (await client("POST", members, token="member", json={"member": OTHER_PROJECT})).status == 200
    image = await show(client, image["id"])
    expected = {
        ("GET", ""): 200, ("GET", "/file"): 200, ("GET", "/members"): 200, ("GET", "/tasks"): 200, ("PATCH", ""): 403,
        ("DELETE", ""): 403,
        ("PUT", "/file"): 403, ("POST", "/members"): 403, ("PUT", "/tags/{tag:str}"): 403,
        ("DELETE", "/tags/{tag:str}"): 403, ("POST", "/actions/deactivate"): 403, ("POST", "/actions/reactivate"): 403,
        ("GET", "/members/{member:str}"): 404, ("PUT", "/members/{member:str}"): 404,
        ("DELETE", "/members/{member:str}"): 404,
    }  # fmt: skip
    for method, path, status in await call_all(client, table, image["id"], "foreign"):
        if IMAGE in path:
            assert status == expected[method, path.partition(IMAGE)[2]], (method, path)
    assert (await client("DELETE", f"{members}/{OTHER_PROJECT}", token="foreign", headers=JSON)).status == 403
    assert await show(client, image["id"]) == image


async def test_visibility_has_its_own_rules(client):
    image = await create(client)
    change = {"op": "replace", "path": "/visibility", "value": "public"}
    assert (await patch(client, image["id"], change)).status == 403
    assert (await patch(client, image["id"], change, token="admin")).json["visibility"] == "public"
    image = await create(client)
    change["value"] = "community"
    assert (await patch(client, image["id"], change)).json["visibility"] == "community"
    assert (await create(client, "admin", visibility="public"))["visibility"] == "public"


async def test_an_operators_policy_file_decides(tmp_path):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "image.yaml").write_text("publicize_image: role:member\ncommunitize_image: '!'\n")
    cloud = Cloud(tmp_path)
    cloud.core = dataclasses.replace(cloud.core, policy_dir=tmp_path / "policy")
    client = await cloud.start()
    assert (await create(client, visibility="public"))["visibility"] == "public"
    body = {"name": "x", "visibility": "community"}
    assert (await client("POST", IMAGES, token="member", json=body)).status == 403
    await cloud.service.stop()


async def test_upstreams_rule_for_shared_images_opens_nothing(client):
    """The rule itself lets every reader see what is shared; a caller that is no member must still not."""
    assert "'shared':%(visibility)s" in RULES["get_image"]
    image = await create(client)
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="foreign")).status == 404
    assert (await put(client, image["id"], b"x", "foreign")).status == 404


async def test_a_caller_without_a_project_owns_nothing(client, monkeypatch):
    monkeypatch.setitem(CALLERS, "domain", caller("d", None, "member", "reader", domain_id="default"))
    answer = await client("POST", IMAGES, token="domain", json={"name": "x"}, headers=JSON)
    assert answer.status == 403
    owned_by_none = await client("POST", IMAGES, token="admin", json={"owner": None, "visibility": "private"})
    assert owned_by_none.status == 201
    path = f"{IMAGES}/{owned_by_none.json['id']}"
    for method in ("GET", "DELETE"):
        assert (await client(method, path, token="domain")).status in (403, 404)
