"""Logins under attack: accounts that lock, slots that are fair; and what a user's options change."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from kilonova.core import errors as core_errors
from kilonova.identity.app import IdentityService
from kilonova.identity.client import HeaderLogin
from kilonova.identity.logins.fair_slots import FairSlots
from kilonova.identity.tables import login_failures, projects, roles, users
from tests.eventually import until
from tests.service.identity.conftest import CATALOG, CHEAP, Identity, MovedClock, start
from tests.service.identity.test_client import Side

REFUSED = {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}


async def guess(identity: Identity, name: str = "demo", password: str = "wrong") -> int:
    answer = await identity.post_token({"name": name, "password": password})
    if answer.status != 201:
        assert answer.json["error"] == REFUSED
    return answer.status


async def counted(identity: Identity) -> dict[str, int]:
    async with identity.service.database.reading() as connection:
        rows = await connection.execute(select(login_failures.c.subject, login_failures.c.failures))
        return {row.subject: row.failures for row in rows}


async def strict(tmp_path: Any, **more: Any) -> Identity:
    return await start(tmp_path, msgspec.structs.replace(CHEAP, lockout_failure_attempts=3, **more))


async def test_wrong_passwords_lock_an_account_for_a_while(tmp_path):
    identity = await strict(tmp_path, lockout_duration=60)
    clock = MovedClock()
    identity.service.lockout.clock = identity.service.tokens.clock = clock
    for _ in range(2):
        assert await guess(identity) == 401
    assert await guess(identity, password="demo-pw") == 201, "the right one ends the count"
    assert await counted(identity) == {}
    for _ in range(3):
        assert await guess(identity) == 401
    assert await guess(identity, password="demo-pw") == 401
    assert await guess(identity, "admin", "secret") == 201, "others are not locked"
    clock.ahead = 59
    assert await guess(identity) == 401, "does not lock it for longer"
    assert await guess(identity, password="demo-pw") == 401
    clock.ahead = 61
    assert await guess(identity, password="demo-pw") == 201
    await identity.service.stop()


async def test_parallel_guesses_count_like_consecutive_ones(tmp_path):
    identity = await strict(tmp_path)
    guesses = [asyncio.ensure_future(guess(identity)) for _ in range(20)]
    await asyncio.sleep(0)
    last = asyncio.ensure_future(guess(identity, password="demo-pw"))
    assert set(await asyncio.gather(*guesses, last)) == {401}, (
        "the right one, among the last, comes to a locked account"
    )
    assert list((await counted(identity)).values()) == [3]
    await identity.service.stop()


async def test_every_process_and_every_way_to_log_in_sees_a_lock(tmp_path):
    identity = await strict(tmp_path)
    user = await identity.find("/users", "users", "demo")
    change = {"user": {"original_password": "wrong", "password": "x"}}
    v2 = {"auth": {"passwordCredentials": {"username": "demo", "password": "wrong"}}}
    v1 = {"x-auth-user": "demo", "x-auth-key": "wrong"}
    call = identity.call
    assert (await call("POST", "/identity/v2.0/tokens", token=None, json=v2)).status == 401
    assert (await call("GET", "/identity/v1.0", token=None, headers=v1)).status == 401
    assert (await identity.api("POST", f"/users/{user}/password", change, token=None)).status == 401
    assert await counted(identity) == {user: 3}
    assert await guess(identity, password="demo-pw") == 401
    other = IdentityService(identity.core, msgspec.structs.replace(CHEAP, lockout_failure_attempts=3))
    identity.gateway.apps[other.prefix] = other.app
    assert await guess(identity, password="demo-pw") == 401
    assert await guess(identity, "admin", "secret") == 201
    for service in (identity.service, other):
        await service.stop()


@pytest.mark.parametrize("change", [{"password": "fresh"}, {"enabled": True}])
async def test_an_admin_unlocks(tmp_path, change):
    identity = await strict(tmp_path)
    user = await identity.find("/users", "users", "demo")
    for _ in range(3):
        await guess(identity)
    password = change.get("password", "demo-pw")
    assert await guess(identity, password="demo-pw") == 401
    assert (await identity.api("PATCH", f"/users/{user}", {"user": {"description": "x"}})).status == 200
    assert await guess(identity, password="demo-pw") == 401
    assert (await identity.api("PATCH", f"/users/{user}", {"user": change})).status == 200
    assert await guess(identity, password=password) == 201
    await identity.service.stop()


async def test_some_accounts_are_never_locked(tmp_path):
    identity = await strict(tmp_path)
    await identity.made("/users", "user", name="kim", password="pw", options={"ignore_lockout_failure_attempts": True})
    for name, password in (("kim", "pw"), ("kilonova", "service-pw")):
        for _ in range(5):
            assert await guess(identity, name) == 401
        assert await guess(identity, name, password) == 201
    await identity.service.stop()
    never = await start(tmp_path / "other", msgspec.structs.replace(CHEAP, lockout_failure_attempts=0))
    for _ in range(20):
        assert await guess(never) == 401
    assert await guess(never, password="demo-pw") == 201
    assert await counted(never) == {}
    await never.service.stop()


async def test_names_without_a_user_are_counted_like_users(tmp_path):
    """So that neither answers nor their time show which names exist."""
    identity = await strict(tmp_path)
    for name in ("demo", "unknown"):
        for _ in range(5):
            assert await guess(identity, name) == 401
    found = await counted(identity)
    assert sorted(found.values()) == [3, 3]
    assert not any("unknown" in subject for subject in found)
    user = await identity.find("/users", "users", "demo")
    await identity.api("DELETE", f"/users/{user}")
    assert len(await counted(identity)) == 1
    await identity.service.stop()


async def test_200_logins_of_one_user_do_not_delay_another(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, hash_workers=1, lockout_failure_attempts=0))
    token = await identity.login("demo", "demo-pw", "demo")
    ended: list[str] = []

    async def log_in(name: str, password: str) -> None:
        await guess(identity, name, password)
        ended.append(name)

    flood = [asyncio.ensure_future(log_in("demo", "wrong")) for _ in range(200)]
    await asyncio.sleep(0)
    calm = asyncio.ensure_future(log_in("admin", "secret"))
    await calm
    assert ended.index("admin") < 10
    assert (await identity.api("GET", "/auth/projects", token=token)).status == 200
    assert len(ended) < 150, "a token's check waits for no login"
    await asyncio.gather(*flood)
    assert len(ended) == 201
    await identity.service.stop()


async def test_too_many_logins_of_one_client_get_retry_after(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, hash_workers=1, max_waiting_logins=5))
    user = {"name": "demo", "password": "demo-pw"}
    flood = [asyncio.ensure_future(identity.post_token(user)) for _ in range(30)]
    await asyncio.sleep(0)
    assert (await identity.post_token({"name": "admin", "password": "secret"})).status == 201
    answers = await asyncio.gather(*flood)
    assert {answer.status for answer in answers} == {201, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json["error"]["title"] == "Too Many Requests"
    assert (await identity.post_token(user)).status == 201
    await identity.service.stop()


async def test_a_components_login_that_finds_no_place_is_no_fault_of_its_callers(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, hash_workers=1, max_waiting_logins=1))
    side, headers = Side(identity), {"x-auth-user": "kilonova", "x-auth-key": "service-pw"}
    slots = identity.service.passwords.slots
    async with slots.slot("", "a hash that takes long"):
        waiting = asyncio.ensure_future(guess(identity, "kilonova", "service-pw"))
        await until(slots._waiting.total)
        with pytest.raises(core_errors.ServiceUnavailable):
            await side.account.token()
        with pytest.raises(core_errors.TooManyRequests):
            await HeaderLogin(identity.core).login(headers)
    assert await waiting == 201
    assert await side.account.token()
    await identity.service.stop()


@pytest.mark.parametrize(("proxies", "shared"), [([], True), (["10.0.0.9"], False)])
async def test_clients_behind_a_proxy_are_sources_where_it_is_known(tmp_path, proxies, shared):
    """From 150 names of one client, and of another that claims to be several. The third one gets its slot early where the
    proxy's word counts."""
    options = msgspec.structs.replace(CHEAP, hash_workers=1, proxies=proxies, lockout_failure_attempts=0)
    identity = await start(tmp_path, options)
    app, ended = identity.gateway.apps["/identity"], []

    async def proxied(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"client": ("10.0.0.9", 1)}, receive, send)

    identity.gateway.apps["/identity"] = proxied

    async def log_in(name: str, address: str) -> None:
        user = {"name": name, "domain": {"id": "default"}, "password": "wrong"}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        headers = {"x-forwarded-for": address}
        await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth}, headers=headers)
        ended.append(name)

    flood = [asyncio.ensure_future(log_in(f"a{n}", "192.0.2.1")) for n in range(75)]
    flood += [asyncio.ensure_future(log_in(f"b{n}", f"203.0.113.{n}, 192.0.2.2")) for n in range(75)]
    await asyncio.sleep(0)
    await log_in("demo", "192.0.2.3")
    assert (ended.index("demo") > 100) == shared
    assert shared or ended.index("demo") < 10
    await asyncio.gather(*flood)
    await identity.service.stop()


async def test_slots_go_round_sources_and_users():
    slots, order = FairSlots(1, 10), []

    async def work(source: str, user: str) -> None:
        async with slots.slot(source, user):
            order.append(source + user)
            await asyncio.sleep(0)

    asked = [("a", "1"), *[("a", "1")] * 3, ("a", "2"), ("a", "3"), ("b", "4"), ("b", "4")]
    await asyncio.gather(*(work(*each) for each in asked))
    assert order == ["a1", "a1", "b4", "a2", "b4", "a3", "a1", "a1"]


async def test_a_cancelled_request_takes_no_slot():
    slots = FairSlots(1, 3)
    held, left = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with slots.slot("a", "1"):
            held.set()
            await left.wait()

    async def brief() -> str:
        async with slots.slot("a", "1"):
            return "done"

    first = asyncio.ensure_future(hold())
    await held.wait()
    gone, waits = asyncio.ensure_future(brief()), asyncio.ensure_future(brief())
    await asyncio.sleep(0)
    gone.cancel()
    left.set()
    await first
    assert await waits == "done"
    late = [asyncio.ensure_future(hold()), *(asyncio.ensure_future(brief()) for _ in range(3))]
    held.clear(), left.clear()
    await held.wait()
    late[1].cancel()
    late[0].cancel()  # the slot passes on, past what is cancelled
    assert await asyncio.gather(*late[2:]) == ["done", "done"]
    assert [await brief() for _ in range(3)] == ["done"] * 3
    await asyncio.gather(*late, return_exceptions=True)


OPTIONS: dict[str, Any] = {
    "ignore_change_password_upon_first_use": True,
    "ignore_password_expiry": False,
    "ignore_lockout_failure_attempts": True,
    "ignore_user_inactivity": True,
    "lock_password": False,
    "multi_factor_auth_enabled": True,
    "multi_factor_auth_rules": [["password"], ["password", "totp"]],
}


async def test_a_users_options_are_kept_changed_and_removed(identity):
    horizons = await identity.made("/users", "user", name="kim", password="pw", options={"lock_password": False})
    assert horizons["options"] == {"lock_password": False}
    path = f"/users/{horizons['id']}"
    changed = await identity.api("PATCH", path, {"user": {"options": OPTIONS}})
    assert changed.json["user"]["options"] == OPTIONS
    assert (await identity.api("PATCH", path, {"user": {"email": "x"}})).json["user"]["options"] == OPTIONS
    gone = {"user": {"options": dict.fromkeys([*OPTIONS][1:])}}
    assert (await identity.api("PATCH", path, gone)).json["user"]["options"] == {next(iter(OPTIONS)): True}
    assert (await identity.api("GET", path)).json["user"]["options"] == {next(iter(OPTIONS)): True}
    listed = {user["name"]: user["options"] for user in (await identity.api("GET", "/users")).json["users"]}
    assert listed["demo"] == {}
    assert (await identity.made("/users", "user", name="lee", options={}))["options"] == {}


@pytest.mark.parametrize(
    "options",
    [
        {"lock_password": "false"},
        {"lock_password": 0},
        {"ignore_password_expiry": []},
        {"multi_factor_auth_enabled": "yes"},
        {"multi_factor_auth_rules": "password"},
        {"multi_factor_auth_rules": ["password"]},
        {"multi_factor_auth_rules": [[]]},
        {"multi_factor_auth_rules": [["password", "password"]]},
        {"multi_factor_auth_rules": [["password"], ["password"]]},
        {"multi_factor_auth_rules": [[1]]},
        {"shoe_size": 46},
        [],
        "x",
    ],
)
async def test_wrong_options_are_refused(identity, options):
    user = await identity.find("/users", "users", "demo")
    for method, path, more in (("POST", "/users", {"name": "kim"}), ("PATCH", f"/users/{user}", {})):
        answer = await identity.api(method, path, {"user": more | {"options": options}})
        assert answer.status == 400, answer.content
        message = answer.json["error"]["message"]
        assert "options" in message, message
    assert (await identity.api("GET", f"/users/{user}")).json["user"]["options"] == {}


async def test_a_locked_password_is_changed_by_an_admin_alone(identity):
    user = (await identity.made("/users", "user", name="kim", password="pw", options={"lock_password": True}))["id"]
    own = {"user": {"original_password": "pw", "password": "pw2"}}
    refused = await identity.api("POST", f"/users/{user}/password", own, token=None)
    assert refused.status == 400
    assert "contact your administrator" in refused.json["error"]["message"]
    assert await guess(identity, "kim", "pw") == 201
    wrong = {"user": {"original_password": "x", "password": "pw2"}}
    assert (await identity.api("POST", f"/users/{user}/password", wrong, token=None)).status == 401
    await identity.api("PATCH", f"/users/{user}", {"user": {"password": "pw3"}})
    assert await guess(identity, "kim", "pw3") == 201
    await identity.api("PATCH", f"/users/{user}", {"user": {"options": {"lock_password": None}}})
    own["user"]["original_password"] = "pw3"
    assert (await identity.api("POST", f"/users/{user}/password", own, token=None)).status == 204


async def test_multi_factor_rules_decide_which_methods_suffice(identity):
    user = (await identity.made("/users", "user", name="kim", password="pw"))["id"]

    async def given(**options: Any) -> int:
        await identity.api("PATCH", f"/users/{user}", {"user": {"options": options}})
        return await guess(identity, "kim", "pw")

    first = await identity.login("kim", "pw", scope="unscoped")
    second_factor = [["password", "totp"]]
    assert await given(multi_factor_auth_rules=second_factor) == 401, "rules hold unless they are switched off"
    assert await given(multi_factor_auth_enabled=True) == 401
    by_token = {"identity": {"methods": ["token"], "token": {"id": first}}}
    again = await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": by_token})
    assert again.status == 401, "neither is a token that was got before"
    assert await given(multi_factor_auth_enabled=False) == 201
    assert await given(multi_factor_auth_enabled=None, multi_factor_auth_rules=[["totp"], ["password"]]) == 201
    v1 = {"x-auth-user": "kim", "x-auth-key": "pw"}
    member = await identity.find("/roles", "roles", "member")
    project = await identity.find("/projects", "projects", "demo")
    await identity.api("PUT", f"/projects/{project}/users/{user}/roles/{member}")
    assert (await identity.call("GET", "/identity/v1", token=None, headers=v1)).status == 204
    assert await given(multi_factor_auth_rules=second_factor) == 401
    assert (await identity.call("GET", "/identity/v1", token=None, headers=v1)).status == 401
    assert await given(multi_factor_auth_rules=[]) == 201


@pytest.mark.parametrize(("path", "noun"), [("/projects", "project"), ("/roles", "role"), ("/domains", "domain")])
async def test_what_is_immutable_is_neither_changed_nor_deleted(identity, path, noun):
    made = await identity.made(path, noun, name="fixed", options={"immutable": True})
    assert made["options"] == {"immutable": True}
    one = f"{path}/{made['id']}"
    for change in ({"name": "x"}, {"description": "x"}, {"colour": "red"}, {"options": {"immutable": True}},
                   {"options": {"immutable": False}, "name": "x"}):  # fmt: skip
        refused = await identity.api("PATCH", one, {noun: change})
        assert refused.status == 403, change
        assert refused.json["error"]["message"].startswith(f"Unable to update immutable {noun} resource")
    if noun == "project":
        assert (await identity.api("PUT", f"{one}/tags/red")).status == 403
    refused = await identity.api("DELETE", one)
    assert refused.status == 403
    assert refused.json["error"]["message"].startswith(f"Unable to delete immutable {noun} resource")
    assert (await identity.api("GET", one)).json[noun] == made
    for value in (False, None):
        await identity.api("PATCH", one, {noun: {"options": {"immutable": True}}})
        freed = await identity.api("PATCH", one, {noun: {"options": {"immutable": value}}})
        assert freed.status == 200
    for wrong in ({"immutable": "yes"}, {"mutable": True}):
        assert (await identity.api("PATCH", one, {noun: {"options": wrong}})).status == 400
    if noun == "domain":
        await identity.api("PATCH", one, {noun: {"enabled": False}})
    assert (await identity.api("DELETE", one)).status == 204


async def test_rows_from_before_there_were_options(tmp_path):
    """A migration leaves them without a value."""
    identity = await strict(tmp_path)
    async with identity.service.database.transaction() as tx:
        for table in (users, projects, roles):
            await tx.connection.execute(update(table).values(options=None))
    assert await guess(identity, password="demo-pw") == 201
    for path, plural in (("/users", "users"), ("/projects", "projects"), ("/domains", "domains"), ("/roles", "roles")):
        listed = (await identity.api("GET", path)).json[plural]
        assert [each["options"] for each in listed] == [{}] * len(listed)
    user = await identity.find("/users", "users", "demo")
    changed = await identity.api("PATCH", f"/users/{user}", {"user": {"options": {"lock_password": True}}})
    assert changed.json["user"]["options"] == {"lock_password": True}
    await identity.service.bootstrap("secret", "demo-pw", "service-pw", CATALOG)
    for _ in range(4):
        assert await guess(identity, "kilonova") == 401
    assert await guess(identity, "kilonova", "service-pw") == 201
    await identity.service.stop()
