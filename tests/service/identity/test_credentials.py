"""What is derived from a token gives no more rights than it has: application credentials, EC2 keys, other credentials."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from kilonova.core.errors import NotFound
from kilonova.identity.client import IdentityClient
from kilonova.identity.keys import KeyRepository
from tests.databases import statements_of
from tests.service.identity.conftest import CHEAP, Identity, MovedClock, start
from tests.service.identity.test_client import Side


class Scene:
    """The user kim is a member of projects `a` and `b`, and has nothing on `c`."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.projects: dict[str, str] = {}

    async def prepare(self) -> Scene:
        identity = self.identity
        self.user = (await identity.made("/users", "user", name="kim", password="pw"))["id"]
        self.roles = {name: await identity.find("/roles", "roles", name) for name in ("member", "reader", "manager")}
        for name in "abc":
            self.projects[name] = (await identity.made("/projects", "project", name=name))["id"]
            if name != "c":
                await self.grant("member", name)
        self.token = await identity.login("kim", "pw", "a")
        self.own, self.ec2 = (
            f"/users/{self.user}/application_credentials",
            f"/users/{self.user}/credentials/OS-EC2",
        )
        return self

    async def grant(self, role: str, project: str) -> None:
        path = f"/projects/{self.projects[project]}/users/{self.user}/roles/{self.roles[role]}"
        assert (await self.identity.api("PUT", path)).status == 204

    async def application_credential(self, token: str, name: str, status: int = 201, **values: Any) -> Any:
        body = {"application_credential": {"name": name} | values}
        answer = await self.identity.api("POST", self.own, body, token=token)
        assert answer.status == status, answer.content
        return answer.json.get("application_credential", answer.json)

    async def login(self, credential: Any) -> str:
        answer = await self.identity.credential_login(credential)
        assert answer.status == 201, answer.content
        return answer.headers["x-subject-token"]


@pytest.fixture
async def scene(identity: Identity) -> Scene:
    return await Scene(identity).prepare()


def names(credential: Any) -> list[str]:
    return [role["name"] for role in credential["roles"]]


async def test_an_application_credential_makes_none_with_more_roles(scene):
    made = await scene.application_credential(scene.token, "first", roles=[{"name": "reader"}], unrestricted=True)
    assert names(made) == ["reader"]
    token = await scene.login(made)
    for wanted in ([{"name": "member"}], [{"id": scene.roles["member"]}], [{"name": "reader"}, {"name": "member"}]):
        refused = await scene.application_credential(token, "more", 400, roles=wanted, unrestricted=True)
        assert "unassigned role" in refused["error"]["message"]
    for more in ({}, {"roles": []}, {"roles": [{"name": "reader"}]}):
        child = await scene.application_credential(token, f"child{len(more)}{more}", unrestricted=True, **more)
        assert names(child) == ["reader"], "all roles are those of the token, not the user's"
        grandchild = await scene.application_credential(await scene.login(child), f"grandchild {more}")
        assert names(grandchild) == ["reader"]
    listed = await scene.identity.api("GET", scene.own, token=scene.token)
    assert "more" not in {held["name"] for held in listed.json["application_credentials"]}
    await scene.grant("manager", "a")
    assert names(await scene.application_credential(token, "later")) == ["reader"], (
        "a role that came later is no different"
    )


@pytest.mark.parametrize("rules", [[{"path": "/v2.1/servers", "method": "GET", "service": "compute"}], [{}]])
async def test_access_rules_are_refused_not_ignored(scene, rules):
    refused = await scene.application_credential(scene.token, "ruled", 400, access_rules=rules)
    assert "access_rules" in refused["error"]["message"]
    assert (await scene.identity.api("GET", scene.own, token=scene.token)).json["application_credentials"] == []
    assert (await scene.application_credential(scene.token, "bare", access_rules=[]))["name"] == "bare"


async def test_a_token_ends_with_its_credential_in_every_service(tmp_path):
    identity = await start(tmp_path)
    scene, side = await Scene(identity).prepare(), Side(identity)
    clock = MovedClock()
    identity.service.tokens.clock = clock
    ends = (clock.now() + dt.timedelta(seconds=5)).isoformat()
    made = await scene.application_credential(scene.token, "short", expires_at=ends)
    answer = await identity.credential_login(made)
    token = answer.headers["x-subject-token"]
    assert answer.json["token"]["expires_at"] == made["expires_at"] + "Z"
    assert await side.authenticator.authenticate(token) is not None
    for moved in (clock, side.clock):
        moved.ahead = 6
    assert await side.authenticator.authenticate(token) is None, "a service that remembers the token forgets it in time"
    assert (await identity.api("GET", "/auth/projects", token=token)).status == 401
    assert (await identity.credential_login(made)).status == 401
    await identity.service.stop()


async def test_a_credential_lives_longer_than_its_tokens(scene):
    ends = (MovedClock().now() + dt.timedelta(days=400)).isoformat()
    made = await scene.application_credential(scene.token, "long", expires_at=ends)
    seen = (await scene.identity.credential_login(made)).json["token"]
    issued, expires = (dt.datetime.fromisoformat(seen[key]) for key in ("issued_at", "expires_at"))
    assert (expires - issued).total_seconds() == CHEAP.token_ttl


async def test_a_deleted_credential_takes_its_tokens_and_keys_along(scene):
    made = await scene.application_credential(scene.token, "gone", unrestricted=True)
    token, side = await scene.login(made), Side(scene.identity)
    await side.authenticator.listen(scene.identity.core.bus, host="here")
    key = await scene.identity.api("POST", scene.ec2, {"tenant_id": scene.projects["a"]}, token=token)
    kept = await scene.identity.api("POST", scene.ec2, {"tenant_id": scene.projects["a"]}, token=scene.token)
    assert (key.status, kept.status) == (201, 201)
    assert await side.authenticator.authenticate(token) is not None
    assert (await scene.identity.api("DELETE", f"{scene.own}/{made['id']}", token=scene.token)).status == 204
    assert await side.authenticator.authenticate(token) is None
    left = (await scene.identity.api("GET", scene.ec2, token=scene.token)).json["credentials"]
    assert [held["access"] for held in left] == [kept.json["credential"]["access"]]


async def test_ec2_keys_are_for_projects_where_the_user_has_a_role(scene):
    a, b, c = (scene.projects[name] for name in "abc")
    api = scene.identity.api
    unrestricted = await scene.login(await scene.application_credential(scene.token, "free", unrestricted=True))
    for token, project, status in (
        (scene.token, a, 201), (scene.token, b, 201), (scene.token, c, 403), (scene.token, "0" * 32, 404),
        (unrestricted, a, 201), (unrestricted, b, 403), (unrestricted, c, 403),
    ):  # fmt: skip
        count = len((await api("GET", scene.ec2)).json["credentials"])
        assert (await api("POST", scene.ec2, {"tenant_id": project}, token=token)).status == status
        body = {"type": "ec2", "project_id": project, "blob": f'{{"access": "{token[:20]}{project}", "secret": "s"}}'}
        assert (await api("POST", "/credentials", {"credential": body}, token=token)).status == status
        held = (await api("GET", scene.ec2)).json["credentials"]
        assert len(held) == count + (2 if status == 201 else 0)
    cert = {"type": "cert", "blob": "text", "project_id": c}
    assert (await api("POST", "/credentials", {"credential": cert}, token=scene.token)).status == 403
    made = (await api("POST", "/credentials", {"credential": cert | {"project_id": a}}, token=scene.token)).json
    path = f"/credentials/{made['credential']['id']}"
    assert (await api("PATCH", path, {"credential": {"project_id": c}}, token=scene.token)).status == 403
    other = await scene.identity.find("/users", "users", "admin")
    assert (await api("PATCH", path, {"credential": {"user_id": other}}, token=scene.token)).status == 400
    assert (await api("PATCH", path, {"credential": {"project_id": b}}, token=scene.token)).status == 200


async def test_an_application_credential_sees_the_keys_it_made_and_no_others(scene):
    api = scene.identity.api
    own = {"credential": {"type": "ec2", "project_id": scene.projects["a"], "blob": '{"access": "x", "secret": "s"}'}}
    users = (await api("POST", "/credentials", own, token=scene.token)).json["credential"]
    made = await scene.application_credential(scene.token, "free", roles=[{"name": "member"}], unrestricted=True)
    limited = await scene.login(await scene.application_credential(scene.token, "tied"))
    token = await scene.login(made)
    mine = (await api("POST", scene.ec2, {"tenant_id": scene.projects["a"]}, token=token)).json["credential"]
    [seen] = (await api("GET", "/credentials", token=token)).json["credentials"]
    assert msgspec.json.decode(seen["blob"])["app_cred_id"] == made["id"]
    assert [key["access"] for key in (await api("GET", scene.ec2, token=token)).json["credentials"]] == [mine["access"]]
    for method, path in (("GET", f"/credentials/{users['id']}"), ("DELETE", f"/credentials/{users['id']}"),
                         ("GET", f"{scene.ec2}/x"), ("DELETE", f"{scene.ec2}/x")):  # fmt: skip
        assert (await api(method, path, token=token)).status == 404, (method, path)
        assert (await api(method, path, token=limited)).status == 403, (method, path)
    for path in ("/credentials", scene.ec2):
        assert (await api("GET", path, token=limited)).status == 403
    assert len((await api("GET", scene.ec2, token=scene.token)).json["credentials"]) == 2
    for blob in (
        '{"access": "x", "secret": "s"}',
        '{"access": "x", "app_cred_id": null}',
        '{"access": "x", "trust_id": "t"}',
    ):
        freed = await api("PATCH", f"/credentials/{seen['id']}", {"credential": {"blob": blob}}, token=scene.token)
        assert freed.status == 400, "the limits of a key can't be taken off"
    claimed = own["credential"] | {"blob": f'{{"access": "y", "secret": "s", "app_cred_id": "{made["id"]}"}}'}
    assert (await api("POST", "/credentials", {"credential": claimed}, token=scene.token)).status == 400
    assert (await api("DELETE", f"{scene.ec2}/{mine['access']}", token=token)).status == 204


async def test_a_user_has_a_limited_number_of_credentials_of_limited_size(tmp_path):
    options = msgspec.structs.replace(CHEAP, max_credentials=3, max_credential_blob=300, max_application_credentials=2)
    identity = await start(tmp_path, options)
    scene = await Scene(identity).prepare()
    body = {"type": "cert", "blob": "é" * 150}
    made = [await identity.api("POST", "/credentials", {"credential": body}, token=scene.token) for _ in range(2)]
    assert [answer.status for answer in made] == [201, 201]
    large = {"credential": body | {"blob": "é" * 151}}
    path = f"/credentials/{made[0].json['credential']['id']}"
    for answer in (
        await identity.api("POST", "/credentials", large, token=scene.token),
        await identity.api("PATCH", path, large, token=scene.token),
    ):
        assert answer.status == 400
        assert "300 bytes" in answer.json["error"]["message"]
    assert (await identity.api("POST", scene.ec2, {"tenant_id": scene.projects["a"]}, token=scene.token)).status == 201
    for target, sent in ((scene.ec2, {"tenant_id": scene.projects["a"]}), ("/credentials", {"credential": body})):
        answer = await identity.api("POST", target, sent, token=scene.token)
        assert answer.status == 403
        assert answer.json["error"]["message"].startswith("Unable to create additional credentials, maximum of 3")
    assert (await identity.api("POST", "/credentials", {"credential": body})).status == 201, "another user's"
    assert (await identity.api("DELETE", path, token=scene.token)).status == 204
    assert (await identity.api("POST", "/credentials", {"credential": body}, token=scene.token)).status == 201
    for name in "12":
        await scene.application_credential(scene.token, name)
    await scene.application_credential(scene.token, "3", 403)
    await identity.service.stop()


async def test_many_at_once_do_not_get_past_the_limit(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, max_credentials=3, max_application_credentials=2))
    scene = await Scene(identity).prepare()
    body, wanted = {"credential": {"type": "cert", "blob": "x"}}, {"tenant_id": scene.projects["a"]}
    sent = [("/credentials", body), (scene.ec2, wanted)] * 5
    sent += [(scene.own, {"application_credential": {"name": f"n{n}"}}) for n in range(6)]
    answers = await asyncio.gather(*(identity.api("POST", path, one, token=scene.token) for path, one in sent))
    made = [path for (path, _), answer in zip(sent, answers, strict=True) if answer.status == 201]
    assert {answer.status for answer in answers} == {201, 403}
    assert (made.count("/credentials") + made.count(scene.ec2), made.count(scene.own)) == (3, 2)
    await identity.service.stop()


async def test_a_list_opens_what_it_shows_and_nothing_else(scene, monkeypatch):
    api, opened = scene.identity.api, []
    other = await scene.identity.find("/users", "users", "demo")
    for user in (scene.user, other):
        for number in range(5):
            body = {"type": "cert" if number else "totp", "blob": str(number), "user_id": user}
            assert (await api("POST", "/credentials", {"credential": body})).status == 201
    open_one = KeyRepository.open

    def counted(keys: KeyRepository, sealed: bytes) -> bytes | None:
        if keys.folder.name == "credential-keys":
            opened.append(sealed)
        return open_one(keys, sealed)

    monkeypatch.setattr(KeyRepository, "open", counted)

    async def listed(query: str, token: str | None = "") -> Any:
        opened.clear()
        answer = await api("GET", f"/credentials{query}", token=token)
        assert answer.status == 200, answer.content
        assert len(opened) <= len(answer.json["credentials"]) + 1  # one more shows whether there is a next page
        return answer.json

    assert {held["user_id"] for held in (await listed("", scene.token))["credentials"]} == {scene.user}
    assert len((await listed("?type=totp", scene.token))["credentials"]) == 1
    assert (await listed(f"?user_id={other}", scene.token))["credentials"] == []
    assert len((await listed(""))["credentials"]) == 10
    assert len((await listed(f"?user_id={other}"))["credentials"]) == 5
    seen, query = [], "?limit=4"
    while query:
        page = await listed(query)
        seen += [held["id"] for held in page["credentials"]]
        following = page["links"]["next"]
        query = "?" + following.split("?")[1] if following else ""
    assert len(seen) == len(set(seen)) == 10
    assert (await api("GET", "/credentials?limit=x")).status == 400
    sent = await statements_of(scene.identity.service.database)
    await listed("")
    assert len(sent) <= 8, "as many statements for ten credentials as for one"


async def test_an_ec2_key_has_the_roles_and_the_end_of_what_made_it(scene):
    core, clock = scene.identity.core, MovedClock()
    client = IdentityClient(replace(core, tokens=Side(scene.identity).account, clock=clock))
    wanted = {"tenant_id": scene.projects["a"]}
    users = (await scene.identity.api("POST", scene.ec2, wanted, token=scene.token)).json["credential"]
    assert (await client.ec2_credential(users["access"])).roles is None
    ends = (clock.now() + dt.timedelta(hours=1)).isoformat()
    values = {"roles": [{"name": "member"}], "expires_at": ends, "unrestricted": True}
    token = await scene.login(await scene.application_credential(scene.token, "free", **values))
    made = (await scene.identity.api("POST", scene.ec2, wanted, token=token)).json["credential"]
    assert (await client.ec2_credential(made["access"])).roles == ["member"]
    clock.ahead = 3601
    with pytest.raises(NotFound):
        await client.ec2_credential(made["access"])
    assert (await client.ec2_credential(users["access"])).secret == users["secret"]
