"""Users, projects, domains, groups, roles and the catalog through the HTTP API."""

from __future__ import annotations

import pytest

NOUNS = {
    "user": ("/users", {}),
    "project": ("/projects", {}),
    "domain": ("/domains", {}),
    "group": ("/groups", {}),
    "role": ("/roles", {}),
}
HOSTILE = [
    "ünïcødé ☃",
    "tab\tand\nnewline",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "'; DROP TABLE users; --",
    "x" * 255,
    "%00%s{}",
]
MISSING = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_resources_life(identity, noun):
    path, plural = NOUNS[noun][0], NOUNS[noun][0][1:]
    for name in HOSTILE:
        made = await identity.made(path, noun, name=name, colour="red", **NOUNS[noun][1])
        shown = await identity.api("GET", f"{path}/{made['id']}")
        assert shown.json[noun] == made
        assert made["name"] == name
        assert made["colour"] == "red"
        assert made["links"]["self"].endswith(f"/identity/v3{path}/{made['id']}")
        twin = await identity.api("POST", path, {noun: {"name": name} | NOUNS[noun][1]})
        assert twin.status == 409
        assert twin.json["error"]["message"].startswith("Conflict occurred attempting to store ")
    changed = await identity.api("PATCH", f"{path}/{made['id']}", {noun: {"name": "renamed", "colour": "blue"}})
    assert changed.status == 200
    assert changed.json[noun]["colour"] == "blue"
    listed = await identity.api("GET", f"{path}?name=renamed")
    assert [item["id"] for item in listed.json[plural]] == [made["id"]]
    assert listed.json["links"]["self"].endswith("?name=renamed")
    if noun == "domain":
        assert (await identity.api("DELETE", f"{path}/{made['id']}")).status == 403
        await identity.api("PATCH", f"{path}/{made['id']}", {noun: {"enabled": False}})
    assert (await identity.api("DELETE", f"{path}/{made['id']}")).status == 204
    gone = await identity.api("GET", f"{path}/{made['id']}")
    assert gone.status == 404
    assert gone.json["error"]["message"] == f"Could not find {noun}: {made['id']}."
    assert (await identity.api("PATCH", f"{path}/{made['id']}", {noun: {"colour": "x"}})).status == 404
    assert (await identity.api("DELETE", f"{path}/{made['id']}")).status == 404


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\x00b", 7, None, ["a"], {"a": 1}])
async def test_bad_names_change_nothing(identity, noun, name):
    path, plural = NOUNS[noun][0], NOUNS[noun][0][1:]
    before = len((await identity.api("GET", path)).json[plural])
    answer = await identity.api("POST", path, {noun: {"name": name}})
    assert answer.status == 400
    assert answer.json["error"]["code"] == 400
    assert len((await identity.api("GET", path)).json[plural]) == before


@pytest.mark.parametrize("noun", [*NOUNS, "region", "service", "endpoint", "credential"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'"x"', b'{"x": 1}', b'{"user": 1, "role": []}', b"\xff"])
async def test_malformed_bodies_are_400(identity, noun, content):
    answer = await identity.call("POST", f"/identity/v3/{noun}s", content=content)
    assert answer.status in ((201,) if noun == "never" else (400,)), answer.content


async def test_wrong_types_and_huge_bodies(identity):
    for wrong in ({"enabled": "yes"}, {"enabled": 1}, {"password": 5}, {"domain_id": []}, {"options": {"lock": True}}):
        assert (await identity.api("POST", "/users", {"user": {"name": "x"} | wrong})).status == 400, wrong
    huge = await identity.api("POST", "/users", {"user": {"name": "x", "extra": "y" * 120_000}})
    assert huge.status == 413


async def test_users_show_no_password_and_filters_work(identity):
    user = await identity.made("/users", "user", name="kim", password="topsecret", email="k@example.org", enabled=False)
    assert user["email"] == "k@example.org"
    assert user["enabled"] is False
    assert user["password_expires_at"] is None
    answer = await identity.api("GET", "/users?enabled=false")
    assert [found["name"] for found in answer.json["users"]] == ["kim"]
    assert b"topsecret" not in answer.content
    assert b"argon2" not in answer.content
    assert (await identity.api("GET", "/users?domain_id=nowhere")).json["users"] == []
    moved = await identity.api("PATCH", f"/users/{user['id']}", {"user": {"domain_id": "elsewhere"}})
    assert moved.status == 400


async def test_project_trees(identity):
    top = await identity.made("/projects", "project", name="top", tags=["a"])
    assert top["parent_id"] == "default"
    assert top["domain_id"] == "default"
    assert top["is_domain"] is False
    leaf = await identity.made("/projects", "project", name="leaf", parent_id=top["id"])
    shown = (await identity.api("GET", f"/projects/{leaf['id']}?parents_as_list")).json["project"]
    assert [p["project"]["id"] for p in shown["parents"]] == [top["id"]]
    shown = (await identity.api("GET", f"/projects/{top['id']}?subtree_as_list")).json["project"]
    assert [p["project"]["id"] for p in shown["subtree"]] == [leaf["id"]]
    assert [p["id"] for p in (await identity.api("GET", f"/projects?parent_id={top['id']}")).json["projects"]] == [
        leaf["id"]
    ]
    assert [p["id"] for p in (await identity.api("GET", "/projects?is_domain=true")).json["projects"]] == ["default"]
    assert (await identity.api("DELETE", f"/projects/{top['id']}")).status == 403
    assert (await identity.api("PATCH", f"/projects/{leaf['id']}", {"project": {"parent_id": "default"}})).status == 403
    for values in ({"parent_id": MISSING}, {"domain_id": MISSING}):
        assert (await identity.api("POST", "/projects", {"project": {"name": "x"} | values})).status == 404
    other = await identity.made("/domains", "domain", name="other")
    wrong = {"name": "x", "parent_id": top["id"], "domain_id": other["id"]}
    assert (await identity.api("POST", "/projects", {"project": wrong})).status == 400


async def test_project_tags(identity):
    project = await identity.made("/projects", "project", name="p")
    tags = f"/projects/{project['id']}/tags"
    assert (await identity.api("PUT", f"{tags}/blue")).status == 201
    assert (await identity.api("GET", f"{tags}/blue")).status == 204
    assert (await identity.api("PUT", tags, {"tags": ["x", "y"]})).json["tags"] == ["x", "y"]
    assert (await identity.api("GET", f"{tags}/blue")).status == 404
    assert [p["id"] for p in (await identity.api("GET", "/projects?tags=x,y")).json["projects"]] == [project["id"]]
    assert (await identity.api("GET", "/projects?tags=x,z")).json["projects"] == []
    assert (await identity.api("DELETE", f"{tags}/x")).status == 204
    assert (await identity.api("DELETE", tags)).status == 204
    assert (await identity.api("GET", tags)).json["tags"] == []
    assert (await identity.api("PUT", tags, {"tags": ["a,b"]})).status == 400


async def test_a_domain_goes_with_everything_in_it(identity):
    domain = await identity.made("/domains", "domain", name="acme")
    inside = {"domain_id": domain["id"]}
    user = await identity.made("/users", "user", name="kim", password="pw", **inside)
    group = await identity.made("/groups", "group", name="g", **inside)
    top = await identity.made("/projects", "project", name="top", **inside)
    leaf = await identity.made("/projects", "project", name="leaf", parent_id=top["id"])
    role = await identity.made("/roles", "role", name="local", **inside)
    member = await identity.find("/roles", "roles", "member")
    assert (await identity.api("PUT", f"/projects/{leaf['id']}/users/{user['id']}/roles/{member}")).status == 204
    answer = await identity.post_token({"id": user["id"], "password": "pw"}, {"project": {"id": leaf["id"]}})
    text = answer.headers["x-subject-token"]
    assert (await identity.api("DELETE", f"/domains/{domain['id']}")).status == 403
    assert (await identity.api("PATCH", f"/domains/{domain['id']}", {"domain": {"enabled": False}})).status == 200
    assert (await identity.api("GET", "/auth/projects", token=text)).status == 401
    assert (await identity.api("DELETE", f"/domains/{domain['id']}")).status == 204
    for path in (f"/users/{user['id']}", f"/groups/{group['id']}", f"/projects/{leaf['id']}", f"/roles/{role['id']}"):
        assert (await identity.api("GET", path)).status == 404
    assert (await identity.api("GET", f"/role_assignments?user.id={user['id']}")).json["role_assignments"] == []


@pytest.mark.parametrize("actor", ["user", "group"])
@pytest.mark.parametrize("target", ["project", "domain", "system"])
async def test_grants(identity, actor, target):
    made = await identity.made(f"/{actor}s", actor, name="actor")
    role = await identity.made("/roles", "role", name="odd")
    where = {
        "project": "/projects/" + await identity.find("/projects", "projects", "demo"),
        "domain": "/domains/default",
        "system": "/system",
    }[target]
    path = f"{where}/{actor}s/{made['id']}/roles"
    assert (await identity.api("HEAD", f"{path}/{role['id']}")).status == 404
    assert (await identity.api("PUT", f"{path}/{role['id']}")).status == 204
    assert (await identity.api("PUT", f"{path}/{role['id']}")).status == 204
    assert (await identity.api("HEAD", f"{path}/{role['id']}")).status == 204
    assert [r["name"] for r in (await identity.api("GET", path)).json["roles"]] == ["odd"]
    listed = await identity.api("GET", f"/role_assignments?{actor}.id={made['id']}&include_names")
    (assignment,) = listed.json["role_assignments"]
    assert assignment["role"]["name"] == "odd"
    assert assignment[actor]["name"] == "actor"
    assert assignment[actor]["domain"] == {"id": "default", "name": "Default"}
    assert list(assignment["scope"]) == [target]
    assert assignment["links"]["assignment"].endswith(f"{path}/{role['id']}")
    assert (await identity.api("DELETE", f"{path}/{role['id']}")).status == 204
    gone = await identity.api("DELETE", f"{path}/{role['id']}")
    assert gone.status == 404
    assert gone.json["error"]["message"].startswith("Could not find role assignment with role: ")
    assert (await identity.api("PUT", f"{path}/{MISSING}")).status == 404
    assert (await identity.api("PUT", f"{where}/{actor}s/{MISSING}/roles/{role['id']}")).status == 404
    if target != "system":
        assert (
            await identity.api("PUT", f"/{target}s/{MISSING}/{actor}s/{made['id']}/roles/{role['id']}")
        ).status == 404


async def test_roles_come_through_groups_inheritance_and_implication(identity):
    user = await identity.made("/users", "user", name="kim", password="pw")
    group = await identity.made("/groups", "group", name="g")
    top = await identity.made("/projects", "project", name="top")
    leaf = await identity.made("/projects", "project", name="leaf", parent_id=top["id"])
    manager = await identity.find("/roles", "roles", "manager")
    inherited = f"/OS-INHERIT/projects/{top['id']}/groups/{group['id']}/roles/{manager}/inherited_to_projects"
    member = f"/groups/{group['id']}/users/{user['id']}"

    async def roles_on(project: str) -> set[str]:
        answer = await identity.post_token({"id": user["id"], "password": "pw"}, {"project": {"id": project}})
        return {role["name"] for role in answer.json["token"]["roles"]} if answer.status == 201 else set()

    assert (await identity.api("PUT", member)).status == 204
    assert (await identity.api("HEAD", member)).status == 204
    assert (await identity.api("PUT", inherited)).status == 204
    assert await roles_on(leaf["id"]) == {"manager", "member", "reader"}
    assert await roles_on(top["id"]) == set()
    text = await identity.login("kim", "pw", "leaf")
    assert [p["id"] for p in (await identity.api("GET", "/auth/projects", token=text)).json["projects"]] == [leaf["id"]]
    listed = await identity.api("GET", f"/role_assignments?user.id={user['id']}&effective&include_names=true")
    found = listed.json["role_assignments"]
    assert {item["role"]["name"] for item in found} == {"manager", "member", "reader"}
    assert {item["scope"]["project"]["id"] for item in found} == {leaf["id"]}
    assert all(group["id"] in item["links"]["membership"] for item in found)
    stored = (await identity.api("GET", f"/role_assignments?group.id={group['id']}")).json["role_assignments"]
    assert stored[0]["scope"]["OS-INHERIT:inherited_to"] == "projects"
    assert (await identity.api("GET", f"/role_assignments?group.id={group['id']}&effective")).status == 400
    assert (await identity.api("DELETE", member)).status == 204
    assert (await identity.api("GET", "/auth/projects", token=text)).status == 401
    assert (await identity.api("DELETE", member)).status == 404


async def test_implied_roles(identity):
    prior, implied = [(await identity.made("/roles", "role", name=name))["id"] for name in ("a", "b")]
    pair = f"/roles/{prior}/implies/{implied}"
    assert (await identity.api("GET", pair)).status == 404
    made = await identity.api("PUT", pair)
    assert made.status == 201
    assert made.json["role_inference"]["implies"]["id"] == implied
    assert (await identity.api("HEAD", pair)).status == 204
    listed = (await identity.api("GET", f"/roles/{prior}/implies")).json["role_inference"]
    assert [role["id"] for role in listed["implies"]] == [implied]
    everything = (await identity.api("GET", "/role_inferences")).json["role_inferences"]
    assert ("admin", "manager") in {(r["prior_role"]["name"], i["name"]) for r in everything for i in r["implies"]}
    admin = await identity.find("/roles", "roles", "admin")
    assert (await identity.api("PUT", f"/roles/{prior}/implies/{admin}")).status == 403
    assert (await identity.api("DELETE", pair)).status == 204
    assert (await identity.api("DELETE", pair)).status == 404


async def test_roles_of_one_domain_only_imply_others(identity):
    domain = await identity.made("/domains", "domain", name="d")
    local = await identity.made("/roles", "role", name="local", domain_id=domain["id"])
    everywhere = await identity.made("/roles", "role", name="everywhere")
    assert (await identity.api("PUT", f"/roles/{everywhere['id']}/implies/{local['id']}")).status == 403
    project = await identity.made("/projects", "project", name="p", domain_id=domain["id"])
    user = await identity.find("/users", "users", "demo")
    grant = f"/projects/{project['id']}/users/{user}/roles/{local['id']}"
    assert (await identity.api("PUT", grant)).status == 204
    where = f"/role_assignments?user.id={user}&scope.project.id={project['id']}"
    assert (await identity.api("GET", f"{where}&effective")).json["role_assignments"] == []
    assert len((await identity.api("GET", where)).json["role_assignments"]) == 1
    assert (await identity.api("PUT", f"/roles/{local['id']}/implies/{everywhere['id']}")).status == 201
    (effective,) = (await identity.api("GET", f"{where}&effective")).json["role_assignments"]
    assert effective["role"]["id"] == everywhere["id"]


async def test_the_catalog(identity):
    region = await identity.made("/regions", "region", id="R2", description="far")
    child = await identity.made("/regions", "region", parent_region_id="R2")
    assert (await identity.api("PUT", "/regions/R3", {"region": {}})).status == 201
    assert (await identity.api("POST", "/regions", {"region": {"id": "R2"}})).status == 409
    assert (await identity.api("PATCH", "/regions/R2", {"region": {"parent_region_id": child["id"]}})).status == 400
    assert region["parent_region_id"] is None
    service = await identity.made("/services", "service", type="volumev3", name="cinder")
    endpoint = await identity.made(
        "/endpoints",
        "endpoint",
        service_id=service["id"],
        interface="public",
        url="http://x/v3/$(project_id)s",
        region_id=child["id"],
    )
    assert endpoint["region"] == endpoint["region_id"] == child["id"]
    assert (await identity.api("DELETE", "/regions/R2")).status == 403
    older = await identity.made(
        "/endpoints", "endpoint", service_id=service["id"], interface="admin", url="http://x", region="R4"
    )
    assert (await identity.api("GET", "/regions/R4")).status == 200
    for wrong in (
        {"interface": "secret"},
        {"url": ""},
        {"url": "nonsense"},
        {"service_id": MISSING},
        {"region_id": "R9"},
    ):
        values = {"service_id": service["id"], "interface": "public", "url": "http://x"} | wrong
        assert (await identity.api("POST", "/endpoints", {"endpoint": values})).status == 400, wrong
    listed = await identity.api("GET", f"/endpoints?service_id={service['id']}&interface=admin")
    assert [item["id"] for item in listed.json["endpoints"]] == [older["id"]]
    changed = await identity.api("PATCH", f"/endpoints/{endpoint['id']}", {"endpoint": {"url": "http://y"}})
    assert changed.json["endpoint"]["url"] == "http://y"
    assert (await identity.api("PATCH", f"/services/{service['id']}", {"service": {"enabled": False}})).status == 200
    catalog = (await identity.api("GET", "/auth/catalog")).json["catalog"]
    assert "volumev3" not in {entry["type"] for entry in catalog}
    assert (await identity.api("DELETE", f"/services/{service['id']}")).status == 204
    assert (await identity.api("GET", f"/endpoints/{endpoint['id']}")).status == 404
    assert (await identity.api("DELETE", "/regions/R2")).status == 204
    assert (await identity.api("GET", f"/regions/{child['id']}")).status == 404


async def test_writes_at_once_make_one_row(identity):
    import asyncio

    answers = await asyncio.gather(*(identity.api("POST", "/projects", {"project": {"name": "one"}}) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
