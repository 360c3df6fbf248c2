"""Which callers may use which routes: every route with no token, a foreign member's and an application credential's."""

from __future__ import annotations

import re

import pytest

from kilonova.core.web.app import Route
from kilonova.identity.app import RESOURCES, RULES
from kilonova.identity.web.checks import BASE_RULES
from tests.service.identity.conftest import Identity

ANYONE = {  # what all users may see, of themselves or of the cloud
    ("GET", "/v3/auth/projects"),
    ("GET", "/v3/auth/domains"),
    ("GET", "/v3/auth/system"),
    ("GET", "/v3/auth/catalog"),
    ("GET", "/v2.0/tenants"),
    ("GET", "/v3/regions"),
    ("GET", "/v3/credentials"),  # the caller's own, so none
    ("GET", "/v3/domains/{domain_id:str}"),  # the caller's own domain
    ("GET", "/v3/regions/{region_id:str}"),
}


def filled(route: Route, ids: dict[str, str]) -> str:
    return "/identity" + re.sub(r"\{(\w+):str\}", lambda found: ids.get(found.group(1), "x" * 32), route.path)


def body_of(route: Route) -> bytes:
    return b"{}" if route.method in ("POST", "PUT", "PATCH") else b""


async def ids_of(identity: Identity) -> dict[str, str]:
    """Real records, none of them a member's own."""
    return {
        "user_id": await identity.find("/users", "users", "admin"),
        "project_id": await identity.find("/projects", "projects", "admin"),
        "role_id": await identity.find("/roles", "roles", "member"),
        "prior_role_id": await identity.find("/roles", "roles", "admin"),
        "implied_role_id": await identity.find("/roles", "roles", "manager"),
        "service_id": await identity.find("/services", "services", "nova"),
        "endpoint_id": (await identity.api("GET", "/endpoints")).json["endpoints"][0]["id"],
        "group_id": (await identity.made("/groups", "group", name="g"))["id"],
        "domain_id": "default",
        "region_id": "RegionOne",
        "token_id": identity.call.token_default or "",
    }


async def test_no_route_but_public_ones_answers_an_anonymous_caller(identity):
    ids = await ids_of(identity)
    checked = 0
    for route in identity.service.routes:
        if route.public:
            continue
        for token in (None, "garbage"):
            answer = await identity.call(route.method, filled(route, ids), token=token, content=body_of(route))
            assert answer.status == 401, (route.method, route.path, answer.status)
            if route.method != "HEAD":
                assert answer.json["error"]["code"] == 401
            assert "keystone" in answer.headers["www-authenticate"].lower()
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("scope", ["project", "unscoped"])
async def test_a_member_gets_nothing_of_others(identity, scope):
    ids = await ids_of(identity)
    token = await identity.login("demo", "demo-pw", **({"project": "demo"} if scope == "project" else {"scope": scope}))
    for route in identity.service.routes:
        if route.public or (route.method, route.path) in ANYONE:
            continue
        answer = await identity.call(route.method, filled(route, ids), token=token, content=body_of(route))
        expected = (400, 403, 404) if route.path == "/v3/credentials" else (403, 404)
        assert answer.status in expected, (route.method, route.path, answer.status)


async def test_what_a_member_may(identity):
    token = await identity.login("demo", "demo-pw", "demo")
    user = await identity.find("/users", "users", "demo")
    project = await identity.find("/projects", "projects", "demo")
    for path in (
        f"/users/{user}",
        f"/users/{user}/projects",
        f"/users/{user}/groups",
        f"/projects/{project}",
        f"/users/{user}/application_credentials",
        f"/users/{user}/credentials/OS-EC2",
        "/domains/default",
    ):
        assert (await identity.api("GET", path, token=token)).status == 200, path
    for path in ("/users", "/projects", "/roles", "/services", "/endpoints", "/role_assignments"):
        answer = await identity.api("GET", path, token=token)
        assert answer.status == 403
        assert answer.json["error"]["message"].startswith(
            "You are not authorized to perform the requested action: iden"
        )
    assert (await identity.api("PATCH", f"/users/{user}", {"user": {"enabled": True}}, token=token)).status == 403
    other = await identity.find("/projects", "projects", "admin")
    assert (await identity.api("GET", f"/projects/{other}", token=token)).status == 403


async def test_a_system_reader_reads_and_does_not_write(identity):
    user = await identity.find("/users", "users", "demo")
    role = await identity.find("/roles", "roles", "reader")
    assert (await identity.api("PUT", f"/system/users/{user}/roles/{role}")).status == 204
    token = await identity.login("demo", "demo-pw", scope={"system": {"all": True}})
    assert (await identity.api("GET", "/users", token=token)).status == 200
    assert (await identity.api("POST", "/users", {"user": {"name": "x"}}, token=token)).status == 403
    assert (await identity.api("DELETE", f"/system/users/{user}/roles/{role}", token=token)).status == 403


SCOPES = ("project", "domain", "system")
SUBJECT_IN_A_HEADER = "/v3/auth/tokens"
OWNED = "/v3/credentials"  # decided by the owner of what is named, see below
SERVICES_OWN = {("GET", "/v2.0/tokens/{token_id:str}"), ("GET", "/v3/OS-KILONOVA/revocations")}
SIGNED = {"/v3/ec2tokens", "/v3/s3tokens"}  # see test_ec2_tokens.py


async def callers(identity: Identity) -> dict[tuple[str, str], str]:
    """(role, scope) → a token of a user with nothing but that role, on a project or domain of its own or on the system."""
    domain = await identity.made("/domains", "domain", name="far")
    project = await identity.made("/projects", "project", name="far")
    targets = {"project": f"projects/{project['id']}", "domain": f"domains/{domain['id']}", "system": "system"}
    scopes = {
        "project": {"project": {"id": project["id"]}},
        "domain": {"domain": {"id": domain["id"]}},
        "system": SYSTEM,
    }
    tokens = {}
    for role in ("reader", "member", "manager", "service"):
        role_id = await identity.find("/roles", "roles", role)
        for scope in SCOPES:
            user = await identity.made("/users", "user", name=f"{role} of {scope}", password="pw")
            grant = f"/{targets[scope]}/users/{user['id']}/roles/{role_id}"
            assert (await identity.api("PUT", grant)).status == 204
            tokens[role, scope] = await identity.login(f"{role} of {scope}", "pw", scope=scopes[scope])
    return tokens


SYSTEM = {"system": {"all": True}}


def may(route: Route, role: str, scope: str) -> bool:
    """Of what is neither the caller's own nor anyone's."""
    if (route.method, route.path) in SERVICES_OWN and role == "service":
        return True
    reads = route.method in ("GET", "HEAD") and route.path != "/v3/OS-KILONOVA/revocations"
    return reads and scope == "system" and role != "service"


async def test_every_route_with_every_role_and_scope(identity):
    tokens, ids = await callers(identity), await ids_of(identity)
    checked = 0
    for route in identity.service.routes:
        if route.public or (route.method, route.path) in ANYONE:
            continue
        if route.path == SUBJECT_IN_A_HEADER or route.path.startswith(OWNED) or route.path in SIGNED:
            continue
        for (role, scope), token in tokens.items():
            answer = await identity.call(route.method, filled(route, ids), token=token, content=body_of(route))
            where = (route.method, route.path, role, scope, answer.status)
            assert answer.status in ((200, 204, 404) if may(route, role, scope) else (403,)), where
            checked += 1
    assert checked > 1000


async def test_tokens_and_credentials_of_others_with_every_role_and_scope(identity):
    tokens = await callers(identity)
    admins = await identity.login("admin", "secret", "admin")
    body = {"type": "cert", "blob": "secret text", "user_id": await identity.find("/users", "users", "admin")}
    credential = f"/credentials/{(await identity.made('/credentials', 'credential', **body))['id']}"
    for (role, scope), token in tokens.items():
        reads = scope == "system" and role != "service"
        for method, allowed in (("GET", reads or role == "service"), ("HEAD", reads), ("DELETE", False)):
            headers = {"x-subject-token": admins}
            answer = await identity.call(method, "/identity/v3/auth/tokens", token=token, headers=headers)
            assert answer.status == (200 if allowed else 403), (method, role, scope)
        shown = await identity.api("GET", credential, token=token)
        assert shown.status == (200 if reads else 403), (role, scope)
        listed = await identity.api("GET", "/credentials", token=token)
        assert (b"secret text" in listed.content) == reads, (role, scope)
        assert (await identity.api("PATCH", credential, {"credential": {"blob": "x"}}, token=token)).status == 403
        assert (await identity.api("DELETE", credential, token=token)).status == 403
        assert (await identity.api("POST", "/credentials", {"credential": body}, token=token)).status == 403
    assert (await identity.api("GET", credential)).json["credential"]["blob"] == "secret text"
    assert (await identity.api("GET", "/auth/projects", token=admins)).status == 200


async def test_application_credentials(identity):
    token = await identity.login("demo", "demo-pw", "demo")
    user = await identity.find("/users", "users", "demo")
    path = f"/users/{user}/application_credentials"
    made = await identity.api(
        "POST", path, {"application_credential": {"name": "ci", "roles": [{"name": "reader"}]}}, token=token
    )
    assert made.status == 201
    credential = made.json["application_credential"]
    assert [role["name"] for role in credential["roles"]] == ["reader"]
    assert (
        "secret"
        not in (await identity.api("GET", f"{path}/{credential['id']}", token=token)).json["application_credential"]
    )
    twice = await identity.api("POST", path, {"application_credential": {"name": "ci"}}, token=token)
    assert twice.status == 409
    for wrong in (
        {"name": ""},
        {"name": "a", "roles": [{"name": "admin"}]},
        {"name": "a", "expires_at": "soon"},
        {"name": "a", "expires_at": "2001-01-01T00:00:00"},
        {"name": "a", "roles": [{}]},
        {"name": "a", "access_rules": [{"path": "/"}]},
    ):
        assert (await identity.api("POST", path, {"application_credential": wrong}, token=token)).status == 400, wrong

    async def login(given: dict[str, object], **scope: object):
        auth = {"identity": {"methods": ["application_credential"], "application_credential": given}} | scope
        return await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})

    by_id = {"id": credential["id"], "secret": credential["secret"]}
    by_name = {"name": "ci", "secret": credential["secret"], "user": {"name": "demo", "domain": {"id": "default"}}}
    for given in (by_id, by_name):
        answer = await login(given)
        assert answer.status == 201
        seen = answer.json["token"]
        assert [role["name"] for role in seen["roles"]] == ["reader"]
        assert seen["application_credential"] == {"id": credential["id"], "name": "ci", "restricted": True}
    assert (await login(by_id | {"secret": "wrong"})).status == 401
    assert (await login(by_id | {"id": "0" * 32})).status == 401
    assert (await login(by_id, scope={"system": {"all": True}})).status == 401
    limited = answer.headers["x-subject-token"]
    assert len(limited) <= 255
    more = await identity.api("POST", path, {"application_credential": {"name": "more"}}, token=limited)
    assert more.status == 403
    project = await identity.find("/projects", "projects", "demo")
    ec2 = f"/users/{user}/credentials/OS-EC2"
    assert (await identity.api("POST", ec2, {"tenant_id": project}, token=limited)).status == 403
    auth = {"identity": {"methods": ["token"], "token": {"id": limited}}}
    assert (await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})).status == 403
    assert (await identity.api("DELETE", f"{path}/{credential['id']}", token=token)).status == 204
    assert (await identity.api("GET", "/auth/projects", token=limited)).status == 401
    assert (await login(by_id)).status == 401


async def test_an_application_credential_never_outlives_the_users_role(identity):
    token = await identity.login("demo", "demo-pw", "demo")
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    path = f"/users/{user}/application_credentials"
    made = (await identity.api("POST", path, {"application_credential": {"name": "ci"}}, token=token)).json
    given = {key: made["application_credential"][key] for key in ("id", "secret")}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": given}}
    assert (await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})).status == 201
    role = await identity.find("/roles", "roles", "member")
    assert (await identity.api("DELETE", f"/projects/{project}/users/{user}/roles/{role}")).status == 204
    assert (await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})).status == 401


async def everything_in(database):
    """The text of every row of every table."""
    async with database.reading() as connection:
        tables = database.metadata.sorted_tables
        return repr([(await connection.execute(table.select())).all() for table in tables])


async def test_credentials_are_sealed_and_their_owners(identity):
    token = await identity.login("demo", "demo-pw", "demo")
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    ec2 = f"/users/{user}/credentials/OS-EC2"
    made = await identity.api("POST", ec2, {"tenant_id": project}, token=token)
    assert made.status == 201
    keys = made.json["credential"]
    assert keys["user_id"] == user
    assert keys["tenant_id"] == project
    assert keys["trust_id"] is None
    assert (await identity.api("GET", f"{ec2}/{keys['access']}", token=token)).json["credential"] == keys
    assert len((await identity.api("GET", ec2, token=token)).json["credentials"]) == 1
    assert len((await identity.api("GET", "/credentials", token=token)).json["credentials"]) == 1
    stored = await everything_in(identity.service.database)
    assert keys["access"] not in stored
    assert keys["secret"] not in stored
    other = await identity.find("/users", "users", "admin")
    assert (await identity.api("GET", f"/users/{other}/credentials/OS-EC2/{keys['access']}")).status == 404
    body = {"type": "cert", "blob": "anything", "user_id": other}
    assert (await identity.api("POST", "/credentials", {"credential": body}, token=token)).status == 403
    secret = await identity.made("/credentials", "credential", **body)
    assert (await identity.api("GET", f"/credentials/{secret['id']}", token=token)).status == 403
    changed = await identity.api("PATCH", f"/credentials/{secret['id']}", {"credential": {"blob": "new"}})
    assert changed.json["credential"]["blob"] == "new"
    assert (await identity.api("DELETE", f"/credentials/{secret['id']}")).status == 204
    assert (await identity.api("DELETE", f"{ec2}/{keys['access']}", token=token)).status == 204
    assert (await identity.api("GET", f"{ec2}/{keys['access']}", token=token)).status == 404
    ec2_body = {"type": "ec2", "blob": '{"access": "a", "secret": "s"}', "project_id": project}
    assert (await identity.made("/credentials", "credential", **ec2_body))["id"].startswith("ca978112ca1bbdca")
    assert (await identity.api("POST", "/credentials", {"credential": ec2_body | {"blob": "x"}})).status == 400


async def test_an_ec2_key_is_changed_but_never_to_anothers(identity):
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    body = {"type": "ec2", "user_id": user, "project_id": project}
    old, other = [
        await identity.made("/credentials", "credential", **body, blob=f'{{"access": "{name}", "secret": "s"}}')
        for name in ("old", "other")
    ]
    new = {"credential": {"blob": '{"access": "new", "secret": "t"}'}}
    changed = (await identity.api("PATCH", f"/credentials/{old['id']}", new)).json["credential"]
    assert (changed["id"], changed["blob"]) == (old["id"], new["credential"]["blob"])
    assert (await identity.api("GET", f"/users/{user}/credentials/OS-EC2/new")).json["credential"]["secret"] == "t"
    assert (await identity.api("GET", f"/users/{user}/credentials/OS-EC2/old")).status == 404
    for wrong, status in (({"blob": other["blob"]}, 409), ({"blob": "x"}, 400), ({"type": "cert"}, 400)):
        answer = await identity.api("PATCH", f"/credentials/{old['id']}", {"credential": wrong})
        assert answer.status == status, wrong


def test_each_policy_rule_stands_with_one_resource():
    named = [name for each in RESOURCES for name in each.rules] + [*BASE_RULES]
    assert sorted(named) == sorted(set(named)), "a rule that two resources name would be that of the later one"
    assert len(named) == len(RULES)
    for each in RESOURCES:
        assert each.object_rules <= each.rules.keys()
