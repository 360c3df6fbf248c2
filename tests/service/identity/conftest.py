"""A bootstrapped identity service behind its gateway, and a client that logs in for real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kilonova.core.cache import Cache
from kilonova.core.clock import Clock
from kilonova.core.service import Core
from kilonova.core.web.gateway import Gateway
from kilonova.identity.app import IdentityService
from kilonova.identity.bootstrap import CatalogEntry
from kilonova.identity.options import IdentityOptions
from tests.support import BASE, Answer, Client, make_core

CHEAP = IdentityOptions(password_memory_kib=8, password_passes=1)
CATALOG = [
    CatalogEntry(type="identity", name="keystone", public=f"{BASE}/identity"),
    CatalogEntry(type="compute", name="nova", public=f"{BASE}/compute/v2.1/%(project_id)s"),
]


class Identity(msgspec.Struct):
    """`call` as in tests.support; `login` gives a token."""

    service: IdentityService
    call: Client
    core: Core
    gateway: Gateway

    async def post_token(self, user: dict[str, Any], scope: Any = None, **more: Any) -> Answer:
        user = {"domain": {"id": "default"}} | user if "name" in user else user
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}} | more
        if scope is not None:
            auth["scope"] = scope
        return await self.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})

    async def login(self, name: str, password: str, project: str | None = None, scope: Any = None) -> str:
        if project is not None:
            scope = {"project": {"name": project, "domain": {"id": "default"}}}
        answer = await self.post_token({"name": name, "password": password}, scope)
        assert answer.status == 201, answer.content
        return answer.headers["x-subject-token"]

    async def api(self, method: str, path: str, body: Any = None, *, token: str | None = "") -> Answer:
        return await self.call(method, f"/identity/v3{path}", json=body, token=token)

    async def credential_login(self, given: dict[str, Any], **scope: Any) -> Answer:
        """A login with an application credential as the API gave it."""
        given = {key: given[key] for key in ("id", "name", "secret", "user") if given.get(key) is not None}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": given}} | scope
        return await self.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": auth})

    async def made(self, path: str, noun: str, **values: Any) -> Any:
        answer = await self.api("POST", path, {noun: values})
        assert answer.status == 201, answer.content
        return answer.json[noun]

    async def find(self, path: str, plural: str, name: str) -> str:
        found = (await self.api("GET", f"{path}?name={name}")).json[plural]
        assert len(found) == 1
        return str(found[0]["id"])


async def start(tmp_path: Path, options: IdentityOptions = CHEAP, *, cache: Cache | None = None) -> Identity:
    core, gateway, client = make_core(tmp_path)
    core = replace(core, cache=cache or core.cache)
    service = IdentityService(core, options)
    gateway.apps[service.prefix] = service.app
    await service.start()
    await service.bootstrap("secret", "demo-pw", "service-pw", CATALOG)
    identity = Identity(service, client, core, gateway)
    client.token_default = await identity.login("admin", "secret", "admin")
    return identity


@pytest.fixture(params=["fernet", "uuid"])
async def any_identity(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Identity]:
    """With each of the token providers."""
    made = await start(tmp_path, msgspec.structs.replace(CHEAP, token_provider=request.param))
    yield made
    await made.service.stop()


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    made = await start(tmp_path)
    yield made
    await made.service.stop()


class MovedClock(Clock):
    """The real clock, moved by whole seconds. Stopped, it stands but for that."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._stopped_at: float | None = None

    def stop(self) -> None:
        self._stopped_at = super().monotonic()

    def now(self) -> Any:
        import datetime as dt

        return super().now() + dt.timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return (self._stopped_at or super().monotonic()) + self.ahead
