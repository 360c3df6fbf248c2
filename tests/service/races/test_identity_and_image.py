"""What several make, grant or change at once in identity and image."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from kilonova.identity.bootstrap import CatalogEntry
from tests.service.image.support import IMAGES, JSON, PATCH, create
from tests.service.races.conftest import Replicas, asked
from tests.support import BASE

V3 = "/identity/v3"
CATALOG = [CatalogEntry(type="identity", name="keystone", public=f"{BASE}/identity")]


async def bootstrapped(identity: Replicas) -> Replicas:
    """By both at once, as two processes do that start together."""
    await asyncio.gather(*(s.bootstrap("secret", "demo-pw", "service-pw", CATALOG) for s in identity.services))
    user = {"name": "admin", "domain": {"id": "default"}, "password": "secret"}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    for n, client in enumerate(identity.clients):
        answer = await identity[n]("POST", f"{V3}/auth/tokens", token=None, json=body)
        assert answer.status == 201, answer.content
        client.token_default = answer.headers["x-subject-token"]
    return identity


def post(path: str, noun: str, method: str = "POST", **values: Any) -> dict[str, Any]:
    return {"method": method, "path": V3 + path, "json": {noun: values}}


async def test_two_that_bootstrap_at_once_make_one_cloud(identity: Replicas) -> None:
    await bootstrapped(identity)
    for path, plural, count in (("/services", "services", 1), ("/endpoints", "endpoints", 3), ("/users", "users", 3)):
        assert len((await identity[0]("GET", V3 + path)).json[plural]) == count


async def test_one_of_a_name(identity: Replicas) -> None:
    await bootstrapped(identity)
    for path, noun in (("/users", "user"), ("/projects", "project"), ("/roles", "role"), ("/groups", "group")):
        assert await identity.statuses(*[post(path, noun, name="same")] * 5) == Counter({201: 1, 409: 4})


async def test_grants_and_memberships_may_be_repeated_at_once(identity: Replicas) -> None:
    await bootstrapped(identity)
    user = (await identity[0](**post("/users", "user", name="u"))).json["user"]["id"]
    group = (await identity[0](**post("/groups", "group", name="g"))).json["group"]["id"]
    role = (await identity[0](**post("/roles", "role", name="r"))).json["role"]["id"]
    for path in (f"/domains/default/users/{user}/roles/{role}", f"/groups/{group}/users/{user}"):
        assert await identity.statuses(*asked("PUT", [V3 + path] * 6, "")) == {204: 6}


async def test_attributes_of_a_clients_own_are_all_kept(identity: Replicas) -> None:
    await bootstrapped(identity)
    user = (await identity[0](**post("/users", "user", name="u"))).json["user"]["id"]
    assert await identity.statuses(*(post(f"/users/{user}", "user", "PATCH", **{f"k{n}": n}) for n in range(8))) == {
        200: 8
    }
    found = (await identity[0]("GET", f"{V3}/users/{user}")).json["user"]
    assert [found[f"k{n}"] for n in range(8)] == list(range(8))


async def test_a_user_that_is_deleted_leaves_no_grant(identity: Replicas) -> None:
    await bootstrapped(identity)
    role = (await identity[0](**post("/roles", "role", name="r"))).json["role"]["id"]
    for n in range(4):
        user = (await identity[0](**post("/users", "user", name=f"u{n}"))).json["user"]["id"]
        grant = {"method": "PUT", "path": f"{V3}/domains/default/users/{user}/roles/{role}"}
        delete = {"method": "DELETE", "path": f"{V3}/users/{user}"}
        await identity.all_at_once(*([grant, delete] if n % 2 else [delete, grant]))
        left = (await identity[0]("GET", f"{V3}/role_assignments?role.id={role}")).json["role_assignments"]
        assert left == []


async def test_a_domain_goes_with_all_that_came_meanwhile(identity: Replicas) -> None:
    await bootstrapped(identity)
    made = (await identity[0](**post("/domains", "domain", name="d", enabled=False))).json["domain"]["id"]
    users = [post("/users", "user", name=f"u{n}", domain_id=made) for n in range(5)]
    answers = await identity.all_at_once(*users, {"method": "DELETE", "path": f"{V3}/domains/{made}"})
    assert answers[-1].status == 204
    assert {answer.status for answer in answers[:-1]} <= {201, 404}
    assert (await identity[0]("GET", f"{V3}/users?domain_id={made}")).json["users"] == []


async def test_regions_never_form_a_circle(identity: Replicas) -> None:
    await bootstrapped(identity)
    for name in "ab":
        assert (await identity[0](**post("/regions", "region", id=name))).status == 201
    moves = [
        post("/regions/a", "region", "PATCH", parent_region_id="b"),
        post("/regions/b", "region", "PATCH", parent_region_id="a"),
    ]
    assert await identity.statuses(*moves) == Counter({200: 1, 400: 1})


# ---- image


async def test_no_more_members_than_the_limit(image: Replicas) -> None:
    made = await create(image[0])
    wanted = [
        {"method": "POST", "path": f"{IMAGES}/{made['id']}/members", "token": "member", "json": {"member": f"{n}" * 32},
         "headers": JSON}
        for n in range(9)
    ]  # fmt: skip
    assert await image.statuses(*wanted) == Counter({200: 4, 413: 5})


async def test_one_image_of_an_id(image: Replicas) -> None:
    body = {"id": "33333333-3333-4333-8333-333333333333", "name": "x"}
    wanted = [{"method": "POST", "path": IMAGES, "token": "member", "json": body, "headers": JSON}] * 5
    assert await image.statuses(*wanted) == Counter({201: 1, 409: 4})


async def test_no_change_of_an_image_is_lost(image: Replicas) -> None:
    made = await create(image[0])
    changes = [
        {"method": "PATCH", "path": f"{IMAGES}/{made['id']}", "token": "member", "headers": PATCH,
         "json": [{"op": "add", "path": f"/p{n}", "value": str(n)}]}
        for n in range(8)
    ]  # fmt: skip
    assert await image.statuses(*changes) == {200: 8}
    found = (await image[1]("GET", f"{IMAGES}/{made['id']}", token="member", headers=JSON)).json
    assert [found[f"p{n}"] for n in range(8)] == [str(n) for n in range(8)]
