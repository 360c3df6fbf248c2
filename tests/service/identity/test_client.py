"""The client side: proving callers' tokens with a cache that forgets what was revoked, and a component's own account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kilonova.core import errors
from kilonova.core.bus import MemoryBus
from kilonova.core.clock import Clock
from kilonova.core.context import service_context
from kilonova.core.web.transport import Answer, Content, Transport
from kilonova.identity.client import IdentityClient, RemoteAuthenticator
from kilonova.identity.interface import IdentityEvents, Revoked
from kilonova.identity.service_account import ServiceAccount, ServiceCredentials
from tests.eventually import until
from tests.service.identity.conftest import Identity, MovedClock
from tests.support import BASE

URL = BASE + "/identity"


class Counting(Transport):
    """Counts logins (POST), checks of tokens (GET) and questions for revocations, and can be cut."""

    def __init__(self, inner: Transport) -> None:
        self.inner, self.count, self.cut = inner, {"GET": 0, "POST": 0, "revocations": 0}, False

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> AsyncIterator[Answer]:
        self.count["revocations" if "/revocations" in url else method] += 1
        if self.cut:
            raise errors.ServiceUnavailable(reason="cut")
        async with self.inner.send(method, url, headers, content) as answer:
            yield answer


class Side:
    """One component's view of identity."""

    def __init__(self, identity: Identity, password: str = "service-pw", **more: Any) -> None:
        self.transport, self.clock = Counting(identity.core.transport), MovedClock()
        self.account = ServiceAccount(URL, self.transport, ServiceCredentials(password=password), self.clock)
        self.authenticator = RemoteAuthenticator(URL, self.transport, self.account, self.clock, **more)


async def test_a_context_is_the_same_in_process_and_over_http(identity):
    side = Side(identity)
    scopes = ["unscoped", {"system": {"all": True}}, {"domain": {"id": "default"}}]
    tokens = [await identity.login("admin", "secret", scope=scope) for scope in scopes]
    tokens += [await identity.login("demo", "demo-pw", "demo"), await side.account.token()]
    for token in tokens:
        near = await identity.service.authenticator.authenticate(token)
        assert near is not None
        assert await side.authenticator.authenticate(token) == near
    service = await side.authenticator.authenticate(tokens[-1])
    assert service is not None
    assert service.is_service
    assert service.user_name == "kilonova"
    demo = await side.authenticator.authenticate(tokens[-2])
    assert demo is not None
    assert not demo.is_service
    assert demo.project_name == "demo"
    assert not demo.is_admin


async def test_questions_are_shared_and_answers_remembered(identity):
    side = Side(identity)
    token = await identity.login("demo", "demo-pw", "demo")
    found = await asyncio.gather(*(side.authenticator.authenticate(token) for _ in range(50)))
    assert {ctx.user_name for ctx in found if ctx} == {"demo"}
    assert side.transport.count == {"GET": 1, "POST": 1, "revocations": 1}
    await side.authenticator.authenticate(token)
    assert side.transport.count["GET"] == 1
    for _ in range(5):
        assert await side.authenticator.authenticate("gAAAAABwrong") is None
    assert side.transport.count["GET"] == 2
    for odd in ("é", "a\nb", ""):
        assert await side.authenticator.authenticate(odd) is None


async def test_a_remembered_token_ends_with_itself(identity):
    side = Side(identity, ttl=1e9)
    token = await identity.login("demo", "demo-pw", "demo")
    assert await side.authenticator.authenticate(token)
    side.clock.ahead = 86401
    identity.service.tokens.clock = side.clock
    assert await side.authenticator.authenticate(token) is None


@pytest.mark.parametrize("how", ["token", "password", "role", "project", "group"])
async def test_a_revocation_counts_at_once(identity, how):
    side = Side(identity, ttl=1000)
    await side.authenticator.listen(identity.core.bus, host="compute.host-1")
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    role = await identity.find("/roles", "roles", "member")
    token = await identity.login("demo", "demo-pw", "demo")
    assert await side.authenticator.authenticate(token)
    match how:
        case "token":
            headers = {"X-Subject-Token": token}
            await identity.call("DELETE", "/identity/v3/auth/tokens", headers=headers)
        case "password":
            await identity.api("PATCH", f"/users/{user}", {"user": {"password": "other"}})
        case "role":
            await identity.api("DELETE", f"/projects/{project}/users/{user}/roles/{role}")
        case "project":
            await identity.api("PATCH", f"/projects/{project}", {"project": {"enabled": False}})
        case "group":
            await identity.api("DELETE", f"/roles/{role}")
    await asyncio.sleep(0)
    assert await side.authenticator.authenticate(token) is None


async def test_an_answer_on_its_way_while_revoked_is_not_kept(identity):
    """The answer was true when identity gave it, and is not any more when it arrives."""
    side = Side(identity, ttl=1000)
    user = await identity.find("/users", "users", "demo")
    token = await identity.login("demo", "demo-pw", "demo")
    await side.account.token()
    asking = asyncio.ensure_future(side.authenticator.authenticate(token))
    await until(lambda: side.transport.count["GET"] != 0, pause=0)
    await side.authenticator.revoked(service_context("r"), Revoked(generation=10**6, user_ids=[user]))
    await asking
    asked = side.transport.count["GET"]
    await side.authenticator.authenticate(token)
    assert side.transport.count["GET"] == asked + 1


async def test_identity_out_of_reach_is_not_a_wrong_token(identity):
    side = Side(identity)
    token = await identity.login("demo", "demo-pw", "demo")
    side.transport.cut = True
    with pytest.raises(errors.ServiceUnavailable):
        await side.authenticator.authenticate(token)
    side.transport.cut = False
    assert await side.authenticator.authenticate(token)


async def test_a_refused_account_is_not_a_wrong_token(identity):
    side = Side(identity, password="wrong")
    with pytest.raises(errors.ServiceUnavailable, match="service account"):
        await side.authenticator.authenticate(await identity.login("demo", "demo-pw", "demo"))


async def test_the_account_keeps_renews_and_replaces_its_token(identity):
    side = Side(identity)
    first = set(await asyncio.gather(*(side.account.token() for _ in range(20))))
    assert len(first) == 1
    assert side.transport.count["POST"] == 1
    (old,) = first
    renewed = set(await asyncio.gather(*(side.account.renew(old) for _ in range(20))))
    assert old not in renewed
    assert len(renewed) == 1
    assert side.transport.count["POST"] == 2
    side.clock.ahead = 86400 - 200
    assert await side.account.token() not in renewed


async def test_a_revoked_service_token_is_replaced(identity):
    side = Side(identity)
    own = await side.account.token()
    await identity.service.tokens.revoke(own)
    token = await identity.login("demo", "demo-pw", "demo")
    assert await side.authenticator.authenticate(token)
    assert await side.account.token() != own


async def test_lookups(identity):
    from dataclasses import replace

    side = Side(identity)
    client = IdentityClient(replace(identity.core, tokens=side.account))
    project = next(p for p in await client.projects() if p.name == "demo")
    assert (await client.project(project.id)).enabled
    assert (await client.user(await identity.find("/users", "users", "demo"))).name == "demo"
    with pytest.raises(errors.NotFound):
        await client.project("none")
    user = await identity.find("/users", "users", "admin")
    made = await identity.api("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project.id})
    keys = made.json["credential"]
    held = await client.ec2_credential(keys["access"])
    assert (held.secret, held.user_id, held.project_id) == (keys["secret"], user, project.id)
    with pytest.raises(errors.NotFound):
        await client.ec2_credential("none")


async def test_events_cross_the_bus_whole():
    received: list[Revoked] = []

    class Listener(IdentityEvents):
        async def revoked(self, ctx, what):
            received.append(what)

    bus = MemoryBus()
    await bus.serve(IdentityEvents, Listener(), host="a")
    await bus.client(IdentityEvents).revoked(
        service_context("r"), Revoked(generation=1, audit_ids=["x"], everything=True)
    )
    await until(lambda: received, pause=0)
    assert received == [Revoked(generation=1, audit_ids=["x"], everything=True)]
    assert Clock().monotonic() > 0
