"""Logins and tokens through the HTTP API, on a real database."""

from __future__ import annotations

import msgspec
import pytest

from kilonova.core.db.migrate import drift
from kilonova.identity.tokens.providers import Payload, pack, unpack
from tests.databases import statements_of
from tests.service.identity.conftest import CHEAP, Identity, MovedClock, start

DEFAULT = {"id": "default"}


async def show(identity: Identity, subject: str, token: str | None = "", query: str = ""):
    headers = {"X-Subject-Token": subject}
    return await identity.call("GET", f"/identity/v3/auth/tokens{query}", token=token, headers=headers)


async def test_tables_and_migrations_agree(identity):
    assert await drift(identity.service.database) == []


async def test_a_project_token_has_user_project_and_roles(any_identity):
    identity = any_identity
    answer = await identity.post_token(
        {"name": "demo", "password": "demo-pw"}, {"project": {"name": "demo", "domain": {"name": "Default"}}}
    )
    assert answer.status == 201
    token = answer.json["token"]
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == "demo"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"]["name"] == "demo"
    assert token["is_domain"] is False
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert len(token["audit_ids"]) == 1
    assert token["expires_at"] > token["issued_at"]
    urls = {e["interface"]: e["url"] for s in token["catalog"] if s["type"] == "compute" for e in s["endpoints"]}
    assert urls["public"].endswith("/compute/v2.1/" + token["project"]["id"])
    assert len(answer.headers["x-subject-token"]) <= 255
    shown = await show(identity, answer.headers["x-subject-token"])
    assert shown.json["token"] == token
    assert "catalog" not in (await show(identity, answer.headers["x-subject-token"], query="?nocatalog")).json["token"]


async def test_few_statements(identity):
    database = identity.service.database
    text = await identity.login("demo", "demo-pw", "demo")
    sent = await statements_of(database)
    await identity.service.tokens.validate(text, catalog=True)
    assert 0 < len(sent) <= 3
    sent.clear()
    await identity.login("demo", "demo-pw", "demo")
    assert 0 < len(sent) <= 5


async def test_the_other_scopes(identity):
    admin = {"name": "admin", "password": "secret"}
    unscoped = (await identity.post_token(admin, "unscoped")).json["token"]
    assert not {"project", "domain", "roles", "catalog"} & unscoped.keys()
    assert (await identity.post_token(admin, {"unscoped": {}})).json["token"].keys() == unscoped.keys()
    system = (await identity.post_token(admin, {"system": {"all": True}})).json["token"]
    assert system["system"] == {"all": True}
    domain = (await identity.post_token(admin, {"domain": {"name": "Default"}})).json["token"]
    assert domain["domain"] == {"id": "default", "name": "Default"}
    assert {role["name"] for role in domain["roles"]} >= {"admin", "manager", "member", "reader"}


async def test_a_user_by_id_and_the_default_project(identity):
    project = await identity.made("/projects", "project", name="home")
    user = await identity.made("/users", "user", name="kim", password="pw", default_project_id=project["id"])
    by_id = {"id": user["id"], "password": "pw"}
    assert "project" not in (await identity.post_token(by_id)).json["token"]  # no role there: unscoped, as upstream
    role = await identity.find("/roles", "roles", "member")
    await identity.api("PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{role}")
    assert (await identity.post_token(by_id)).json["token"]["project"]["id"] == project["id"]
    assert "project" not in (await identity.post_token(by_id, "unscoped")).json["token"]


async def test_rescoping_keeps_the_end_and_the_chain(any_identity):
    identity = any_identity
    first = await identity.post_token({"name": "admin", "password": "secret"}, "unscoped")
    auth = {
        "identity": {"methods": ["token"], "token": {"id": first.headers["x-subject-token"]}},
        "scope": {"project": {"name": "admin", "domain": DEFAULT}},
    }
    second = await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})
    token, origin = second.json["token"], first.json["token"]
    assert sorted(token["methods"]) == ["password", "token"]
    assert token["expires_at"] == origin["expires_at"]
    assert token["audit_ids"][1] == origin["audit_ids"][0]
    assert len(second.headers["x-subject-token"]) <= 255


@pytest.mark.parametrize(
    ("user", "scope"),
    [
        ({"name": "demo", "password": "wrong"}, None),
        ({"name": "nobody", "password": "demo-pw"}, None),
        ({"name": "demo", "domain": {"name": "Elsewhere"}, "password": "demo-pw"}, None),
        ({"id": "f" * 32, "password": "demo-pw"}, None),
        ({"name": "demo", "password": "x" * 5000}, None),
        ({"name": "demo", "password": "demo-pw"}, {"project": {"name": "admin", "domain": DEFAULT}}),
        ({"name": "demo", "password": "demo-pw"}, {"project": {"name": "none", "domain": DEFAULT}}),
        ({"name": "demo", "password": "demo-pw"}, {"project": {"id": "default"}}),
        ({"name": "demo", "password": "demo-pw"}, {"domain": {"id": "default"}}),
        ({"name": "demo", "password": "demo-pw"}, {"domain": {"name": "demo"}}),
        ({"name": "demo", "password": "demo-pw"}, {"system": {"all": True}}),
    ],
)
async def test_every_refusal_is_the_same_401(identity, user, scope):
    answer = await identity.post_token(user, scope)
    assert answer.status == 401
    assert answer.json == {
        "error": {
            "code": 401,
            "message": "The request you have made requires authentication.",
            "title": "Unauthorized",
        }
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"auth": {}}',
        b'{"auth": {"identity": {"methods": "password"}}}',
        b'{"auth": {"identity": {"methods": ["password"]}}}',
        b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}}',
        b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "b"}}}}}',
        b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 7, "password": "b"}}}}}',
        b'{"auth": {"identity": {"methods": ["token"], "token": {}}}}',
        b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "a\\u0000", "password": "b"}}}}}',
        b'{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}}}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_malformed_logins_are_400(identity, body):
    answer = await identity.call("POST", "/identity/v3/auth/tokens", token=None, content=body)
    assert answer.status in (400, 401), answer.content
    if b'"id": "x"' not in body:  # a wrong token is reported before a wrong scope
        assert answer.status == 400
        assert answer.json["error"]["title"] == "Bad Request"


async def test_unsupported_methods_and_unknown_fields(identity):
    answer = await identity.call(
        "POST", "/identity/v3/auth/tokens", token=None, json={"auth": {"identity": {"methods": ["totp"]}}}
    )
    assert answer.status == 401
    assert answer.json["error"]["message"] == "Attempted to authenticate with an unsupported method."
    user = {"name": "demo", "password": "demo-pw", "shoe_size": 46}
    assert (await identity.post_token(user)).status == 201


async def test_a_huge_body_is_413(identity):
    answer = await identity.call("POST", "/identity/v3/auth/tokens", token=None, content=b" " * 200_000)
    assert answer.status == 413


@pytest.mark.parametrize("token", ["x", "gAAAAAB", "g" * 300, "../../etc/passwd", "é", "\x00", "0" * 32, ""])
async def test_garbage_tokens(any_identity, token):
    identity = any_identity
    own = await identity.call("GET", "/identity/v3/auth/projects", token=token or None)
    assert own.status == 401
    if token:
        assert (await show(identity, token)).status == 404


async def test_a_token_ends(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, token_ttl=10))
    clock = MovedClock()
    identity.service.tokens.clock = clock
    text = await identity.login("demo", "demo-pw", "demo")
    assert (await identity.call("GET", "/identity/v3/auth/projects", token=text)).status == 200
    clock.ahead = 11
    assert (await identity.call("GET", "/identity/v3/auth/projects", token=text)).status == 401
    await identity.service.stop()


async def test_revoking_one_token_leaves_the_others(any_identity):
    identity = any_identity
    first, second = [await identity.login("demo", "demo-pw", "demo") for _ in range(2)]
    headers = {"X-Subject-Token": first}
    assert (await identity.call("HEAD", "/identity/v3/auth/tokens", token=first, headers=headers)).status == 200
    assert (await identity.call("DELETE", "/identity/v3/auth/tokens", token=second, headers=headers)).status == 204
    assert (await show(identity, first)).status == 404
    assert (await identity.call("GET", "/identity/v3/auth/projects", token=first)).status == 401
    assert (await show(identity, second, second)).status == 200


async def test_others_tokens_are_not_shown(identity):
    demo, admin = await identity.login("demo", "demo-pw", "demo"), await identity.login("admin", "secret", "admin")
    assert (await show(identity, demo, demo)).status == 200
    assert (await show(identity, admin, demo)).status == 403
    assert (await show(identity, demo, admin)).status == 200
    headers = {"X-Subject-Token": admin}
    assert (await identity.call("DELETE", "/identity/v3/auth/tokens", token=demo, headers=headers)).status == 403
    assert (await identity.call("GET", "/identity/v3/auth/tokens", token=admin)).status == 404


async def test_what_ends_a_users_tokens(any_identity):
    identity = any_identity
    user = await identity.made("/users", "user", name="kim", password="pw")
    project = await identity.made("/projects", "project", name="work")
    role = await identity.find("/roles", "roles", "member")
    grant = f"/projects/{project['id']}/users/{user['id']}/roles/{role}"

    async def fresh() -> str:
        await identity.api("PUT", grant)
        text = await identity.login("kim", "pw", "work")
        assert (await show(identity, text)).status == 200
        return text

    text = await fresh()
    await identity.api("DELETE", grant)
    assert (await show(identity, text)).status == 404
    for path, noun in ((f"/users/{user['id']}", "user"), (f"/projects/{project['id']}", "project")):
        text = await fresh()
        await identity.api("PATCH", path, {noun: {"enabled": False}})
        assert (await show(identity, text)).status == 404
        assert (await identity.post_token({"name": "kim", "password": "pw"})).status == (401 if noun == "user" else 201)
        await identity.api("PATCH", path, {noun: {"enabled": True}})
        assert (await show(identity, text)).status == 404, "revoked for good"
    text = await fresh()
    await identity.api("PATCH", f"/users/{user['id']}", {"user": {"password": "pw"}})
    assert (await show(identity, text)).status == 404
    text = await fresh()
    change = {"user": {"original_password": "pw", "password": "pw2"}}
    assert (await identity.api("POST", f"/users/{user['id']}/password", change, token=None)).status == 204
    assert (await show(identity, text)).status == 404
    assert (await identity.api("POST", f"/users/{user['id']}/password", change, token=None)).status == 401
    assert (await identity.post_token({"name": "kim", "password": "pw"})).status == 401
    text = await identity.login("kim", "pw2", "work")
    await identity.api("DELETE", f"/users/{user['id']}")
    assert (await show(identity, text)).status == 404


@pytest.mark.parametrize("method", ["password", "token"])
async def test_what_is_revoked_during_a_login_counts_for_its_token(identity, method, monkeypatch):
    user = await identity.find("/users", "users", "demo")
    parent = await identity.login("demo", "demo-pw", "demo")
    issue = identity.service.tokens.issue

    async def slow(*values, **named):
        await identity.api("PATCH", f"/users/{user}", {"user": {"password": "changed"}})
        return await issue(*values, **named)

    monkeypatch.setattr(identity.service.tokens, "issue", slow)
    if method == "password":
        answer = await identity.post_token({"name": "demo", "password": "demo-pw"})
    else:
        auth = {"identity": {"methods": ["token"], "token": {"id": parent}}}
        answer = await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})
    assert answer.status == 401


async def test_catalog_projects_domains_and_system_of_the_caller(identity):
    demo = await identity.login("demo", "demo-pw", "demo")
    assert [p["name"] for p in (await identity.api("GET", "/auth/projects", token=demo)).json["projects"]] == ["demo"]
    assert (await identity.api("GET", "/auth/domains", token=demo)).json["domains"] == []
    assert (await identity.api("GET", "/auth/domains")).json["domains"][0]["id"] == "default"
    assert (await identity.api("GET", "/auth/system", token=demo)).json["system"] == []
    assert (await identity.api("GET", "/auth/system")).json["system"] == [{"all": True}]
    catalog = (await identity.api("GET", "/auth/catalog", token=demo)).json["catalog"]
    assert {service["type"] for service in catalog} == {"identity", "compute"}
    unscoped = await identity.login("demo", "demo-pw", scope="unscoped")
    assert (await identity.api("GET", "/auth/catalog", token=unscoped)).status == 403


async def test_discovery(identity):
    answer = await identity.call("GET", "/identity", token=None)
    assert answer.status == 300
    assert [v["id"] for v in answer.json["versions"]["values"]] == ["v3.14", "v2.0"]
    for path in ("/identity/v3", "/identity/v3/"):
        version = (await identity.call("GET", path, token=None)).json["version"]
        assert version["status"] == "stable"
        assert version["links"][0]["href"].endswith("/identity/v3/")
    assert (await identity.call("GET", "/identity/v2.0", token=None)).status == 200


def test_payloads_are_small_and_whole():
    payload = Payload(
        user_id="a" * 32,
        methods=("password", "token"),
        scope="project",
        scope_id="b" * 32,
        issued_at=1_800_000_000_000_000,
        expires_at=1_800_086_400_000_000,
        audit_ids=("qpsFqaOOW3kMRxL6BWeXXA", "YpsFqaOOW3kMRxL6BWeXXA"),
        credential_id="c" * 32,
    )
    assert unpack(pack(payload)) == payload
    odd = msgspec.structs.replace(payload, user_id="not-hex", scope="domain", scope_id="default", credential_id=None)
    assert unpack(pack(odd)) == odd
    assert len(pack(payload)) <= 127  # a sealed token of ≤ 255 characters
