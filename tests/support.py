"""What tests of single services share: a core on a scratch directory, callers with any role, a small HTTP client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from kilonova.core.bus import Bus, MemoryBus
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.faults import Faults
from kilonova.core.grants import Grants
from kilonova.core.service import Core
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.transport import AsgiTransport, Content
from kilonova.settings import DATABASES
from tests import databases

BASE = "http://kilonova.test"
PROJECT, OTHER_PROJECT = "1" * 32, "2" * 32


def caller(user: str, project: str | None, *roles: str, **more: Any) -> RequestContext:
    return RequestContext(
        request_id="", user_id=user, user_name=user, project_id=project, project_name=project, user_domain_id="default",
        project_domain_id="default", roles=roles, **more)  # fmt: skip


CALLERS = {
    "admin": caller("admin", "0" * 32, "admin", "member", "reader"),
    "service": caller("kilonova", "9" * 32, "service", "admin"),
    "host": caller("kilonova-compute", "9" * 32, "service"),
    "member": caller("demo", PROJECT, "member", "reader"),
    "reader": caller("watcher", PROJECT, "reader"),
    "manager": caller("lead", PROJECT, "manager", "member", "reader"),
    "domain": caller("boss", None, "admin", "member", "reader", domain_id="default"),
    "system": caller("root", None, "admin", "member", "reader", system_scope="all"),
    "unscoped": caller("guest", None),
    "foreign": caller("stranger", OTHER_PROJECT, "member", "reader"),
}


class TableAuthenticator:
    """Stands where the identity service is: the token is the caller's name in CALLERS."""

    async def authenticate(self, token: str) -> RequestContext | None:
        return CALLERS.get(token)


class ServiceToken:
    async def token(self) -> str:
        return "service"

    async def renew(self, rejected: str) -> str:
        return "service"


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class Client:
    """`await client("GET", "/placement/…", token="member", json={…})`"""

    def __init__(self, transport: AsgiTransport, token: str | None = "admin") -> None:
        self.transport, self.token_default = transport, token

    async def __call__(
        self, method: str, path: str, *, token: str | None = "", json: Any = None, content: Content = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        sent = dict(headers or {})
        token = self.token_default if token == "" else token
        if token is not None:
            sent["x-auth-token"] = token
        if json is not None:
            content = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        if isinstance(content, bytes):
            sent.setdefault("content-length", str(len(content)))
        async with self.transport.send(method, BASE + path, sent, content) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


def make_core(tmp_path: Path, *, bus: Bus | None = None) -> tuple[Core, Gateway, Client]:
    """A core whose services are reached through the gateway: put each service's app into `gateway.apps[prefix]`."""
    gateway = Gateway({})
    transport = AsgiTransport(gateway)
    names = ("identity", "image", "network", "compute", "placement", "metadata", "volume")
    core = Core(
        clock=Clock(), bus=bus or MemoryBus(), faults=Faults(), state_dir=tmp_path, region="RegionOne",
        endpoints={name: f"{BASE}/{name}" for name in names}, identity_url=f"{BASE}/identity", transport=transport,
        authenticator=TableAuthenticator(), tokens=ServiceToken(), grants=Grants("grant-secret"),
        database_urls={name: databases.url(tmp_path, name) for name in DATABASES},
    )  # fmt: skip
    return core, gateway, Client(transport)
