"""What has no route of its own: keys and their rotation, password hashes, the first records, the older logins."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import msgspec
import pytest

from kilonova.core.clock import Clock
from kilonova.identity.bootstrap import CatalogEntry
from kilonova.identity.keys import KeyRepository
from kilonova.identity.logins.passwords import Passwords
from kilonova.identity.options import IdentityOptions
from tests.databases import statements_of
from tests.service.identity.conftest import CATALOG, CHEAP, MovedClock, start


def test_keys_are_private_and_rotate(tmp_path: Path):
    folder = tmp_path / "keys"
    clock = MovedClock()
    keys = KeyRepository(folder, clock, max_active=3)
    keys.create()
    keys.create()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {"0": 0o600, "1": 0o600}
    old = keys.seal(b"old")
    other = KeyRepository(folder, clock, max_active=3)
    assert other.open(old) == b"old"
    assert keys.rotate() == 2
    fresh = keys.seal(b"fresh")
    assert other.open(fresh) == b"fresh", "the staged key was known before it became primary"
    assert keys.open(old) == b"old"
    assert sorted(p.name for p in folder.iterdir()) == ["0", "1", "2"]
    assert keys.rotate() == 3
    assert sorted(p.name for p in folder.iterdir()) == ["0", "2", "3"]
    assert keys.open(old) is None
    assert keys.open(b"garbage") is None
    newest = keys.seal(b"newest")
    clock.ahead += 10
    assert other.open(newest) == b"newest"
    assert other.open(old) is None


def test_a_rotation_that_was_cut_off_is_finished_by_the_next(tmp_path: Path):
    keys = KeyRepository(tmp_path / "keys", MovedClock(), max_active=3)
    keys.create()
    keys.rotate()
    os.rename(keys.folder / "0", keys.folder / "3")  # what a rotation does first
    assert keys.rotate() == 3
    assert sorted(path.name for path in keys.folder.iterdir()) == ["0", "2", "3"]


def test_keys_are_read_while_another_process_rotates_them(tmp_path: Path, monkeypatch):
    keys = KeyRepository(tmp_path / "keys", MovedClock(), max_active=3)
    keys.create()
    sealed = keys.seal(b"text")
    listed = keys._numbers()
    for _ in range(2):
        keys.rotate()
    reader = KeyRepository(keys.folder, MovedClock(), max_active=3)
    listings = [listed, keys._numbers()]
    monkeypatch.setattr(reader, "_numbers", lambda: listings.pop(0) if len(listings) > 1 else listings[0])
    assert reader.open(sealed) is None, "its key was removed"
    assert reader.open(keys.seal(b"new")) == b"new"


async def test_tokens_outlive_a_rotation(identity):
    token = await identity.login("demo", "demo-pw", "demo")
    identity.service.keys.rotate()
    assert (await identity.api("GET", "/auth/projects", token=token)).status == 200
    fresh = await identity.login("demo", "demo-pw", "demo")
    identity.service.keys.rotate()
    assert (await identity.api("GET", "/auth/projects", token=token)).status == 401
    assert (await identity.api("GET", "/auth/projects", token=fresh)).status == 200


async def test_password_hashes():
    passwords = Passwords(CHEAP)
    known = await passwords.hash("pässwörd")
    assert known.startswith("$argon2id$")
    assert await passwords.verify(known, "pässwörd")
    assert not await passwords.verify(known, "password")
    assert not await passwords.verify(None, "decoy"), "no user can log in with the decoy"
    assert not await passwords.verify("not a hash", "x")
    assert not passwords.outdated(known)
    assert Passwords(IdentityOptions()).outdated(known)


async def test_an_unknown_user_costs_what_a_known_one_does(tmp_path: Path):
    identity = await start(tmp_path, IdentityOptions())

    taken: dict[str, list[float]] = {"demo": [], "nobody": []}
    for name in (*taken,) * 5:
        before = time.process_time()  # of all threads, whatever else the machine does
        assert (await identity.post_token({"name": name, "password": "wrong"})).status == 401
        taken[name].append(time.process_time() - before)
    known, unknown = min(taken["demo"]), min(taken["nobody"])
    assert unknown > known / 2
    await identity.service.stop()


async def test_a_hash_follows_the_options_at_the_next_login(tmp_path: Path):
    first = await start(tmp_path)
    await first.service.stop()
    dearer = await start(tmp_path, msgspec.structs.replace(CHEAP, password_passes=2))
    assert await dearer.login("demo", "demo-pw", "demo")
    sent = await statements_of(dearer.service.database)
    await dearer.login("demo", "demo-pw", "demo")
    assert 0 < len(sent) <= 5, "hashed again once only"
    await dearer.service.stop()


async def test_bootstrap_is_quick_and_repeats_harmlessly(tmp_path: Path):
    identity = await start(tmp_path)
    user = await identity.find("/users", "users", "demo")
    await identity.api("PATCH", f"/users/{user}", {"user": {"password": "changed"}})
    endpoints = (await identity.api("GET", "/endpoints")).json["endpoints"]
    moved = [msgspec.structs.replace(CATALOG[0], public="http://elsewhere/identity"), CATALOG[1]]
    await identity.service.bootstrap("other", "other", "other", moved)
    assert await identity.login("admin", "secret", "admin")
    assert await identity.login("demo", "changed", "demo")
    after = (await identity.api("GET", "/endpoints")).json["endpoints"]
    assert {e["id"] for e in after} == {e["id"] for e in endpoints}
    assert {e["url"] for e in after if e["url"].endswith("/identity")} == {"http://elsewhere/identity"}
    assert len((await identity.api("GET", "/users")).json["users"]) == 3
    text = await identity.login("demo", "changed", "demo")
    await identity.service.bootstrap("secret", "reset", "service-pw", moved, reset_passwords=True)
    assert await identity.login("demo", "reset", "demo")
    assert (await identity.api("GET", "/auth/projects", token=text)).status == 401
    await identity.service.stop()


async def test_bootstrap_keeps_what_an_operator_changed(identity):
    region = [CatalogEntry(type="image", name="glance", public="http://a", region="Two")]
    await identity.service.bootstrap("secret", "demo-pw", "service-pw", region)
    assert (await identity.api("GET", "/regions/Two")).status == 200
    prior, implied = [await identity.find("/roles", "roles", name) for name in ("admin", "manager")]
    assert (await identity.api("DELETE", f"/roles/{prior}/implies/{implied}")).status == 204
    await identity.service.bootstrap("secret", "demo-pw", "service-pw", [])
    assert (await identity.api("GET", f"/roles/{prior}/implies/{implied}")).status == 404


@pytest.mark.parametrize("tenant", ["tenantName", "tenantId"])
async def test_the_v2_login(identity, tenant):
    project = await identity.find("/projects", "projects", "demo")
    body = {
        "passwordCredentials": {"username": "demo", "password": "demo-pw"},
        tenant: {"tenantName": "demo", "tenantId": project}[tenant],
    }
    answer = await identity.call("POST", "/identity/v2.0/tokens", token=None, json={"auth": body})
    assert answer.status == 200
    access = answer.json["access"]
    assert access["token"]["tenant"]["id"] == project
    assert access["user"]["username"] == "demo"
    assert {role["name"] for role in access["user"]["roles"]} == {"member", "reader"}
    compute = next(s for s in access["serviceCatalog"] if s["type"] == "compute")
    assert compute["endpoints"][0]["publicURL"].endswith(project)
    every = [endpoint for service in access["serviceCatalog"] for endpoint in service["endpoints"]]
    assert {endpoint["tenantId"] for endpoint in every} == {project}
    assert compute["endpoints"][0]["region"] == "RegionOne"
    text = access["token"]["id"]
    assert (await identity.call("GET", "/identity/v2.0/tenants", token=text)).json["tenants"][0]["name"] == "demo"
    again = await identity.call(
        "POST", "/identity/v2.0/tokens", token=None, json={"auth": {"token": {"id": text}, "tenantName": "demo"}}
    )
    assert again.status == 200
    shown = await identity.call("GET", f"/identity/v2.0/tokens/{text}")
    assert shown.json["access"]["token"] == access["token"]
    unscoped = {"passwordCredentials": {"userId": access["user"]["id"], "password": "demo-pw"}}
    answer = await identity.call("POST", "/identity/v2.0/tokens", token=None, json={"auth": unscoped})
    assert answer.json["access"]["serviceCatalog"] == []
    for wrong, status in (
        ({"passwordCredentials": {"username": "demo", "password": "no"}}, 401),
        ({"token": {"id": "none"}}, 401),
        (body | {"tenantName": "admin", "tenantId": ""}, 401),
        ({}, 400),
        ({"passwordCredentials": {"username": "demo"}}, 400),
    ):
        answer = await identity.call("POST", "/identity/v2.0/tokens", token=None, json={"auth": wrong})
        assert answer.status == status, wrong


@pytest.mark.parametrize("path", ["/identity/v1", "/identity/v1.0", "/identity/v1.1"])
async def test_the_v1_login(identity, path):
    project = await identity.find("/projects", "projects", "demo")
    headers = {"X-Auth-User": "demo", "X-Auth-Key": "demo-pw"}
    for extra in ({"X-Auth-Project-Id": "demo"}, {"X-Auth-Project-Id": project}, {}):
        answer = await identity.call("GET", path, token=None, headers=headers | extra)
        assert answer.status == 204
        assert answer.headers["x-server-management-url"].endswith(f"/compute/v2.1/{project}")
        assert (await identity.api("GET", "/auth/projects", token=answer.headers["x-auth-token"])).status == 200
    for wrong in ({"X-Auth-Key": "x"}, {"X-Auth-User": "x"}, {"X-Auth-User": ""}, {"X-Auth-Project-Id": "admin"}):
        assert (await identity.call("GET", path, token=None, headers=headers | wrong)).status == 401
    assert (await identity.call("GET", path, token=None)).status == 401


def test_key_files_survive_a_race(tmp_path: Path):
    keys = [KeyRepository(tmp_path / "keys", Clock(), max_active=3) for _ in range(2)]
    for repository in keys:
        repository.create()
    assert keys[1].open(keys[0].seal(b"x")) == b"x"
    assert not [name for name in os.listdir(tmp_path / "keys") if name.startswith(".")]
