"""The route table of identity, and the service around it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from kilonova.core.db.migrate import upgrade
from kilonova.core.service import Core
from kilonova.core.web.app import Handler, Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.errors import identity_format
from kilonova.identity import errors, policies
from kilonova.identity.api import discovery
from kilonova.identity.api.auth import Auth
from kilonova.identity.logic.auth import AuthLogic
from kilonova.identity.logic.authenticator import LocalAuthenticator
from kilonova.identity.logic.base import Parts
from kilonova.identity.logic.bootstrap import Bootstrap, CatalogEntry
from kilonova.identity.logic.keys import KeyRepository
from kilonova.identity.logic.passwords import Passwords
from kilonova.identity.logic.projects import ProjectLogic
from kilonova.identity.logic.providers import FernetProvider, TokenProvider, UuidProvider
from kilonova.identity.logic.revocation import Revocations
from kilonova.identity.logic.tokens import TokenLogic
from kilonova.identity.options import IdentityOptions
from kilonova.identity.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
MAX_BODY = 114688  # bytes, as upstream


def auth_routes(auth: Auth) -> list[Route]:
    t = "/v3/auth/tokens"
    return [
        Route("GET", "/", discovery.versions, public=True, status=300),
        Route("GET", "/v3", discovery.v3, public=True),
        Route("GET", "/v2.0", discovery.v2, public=True),
        Route("POST", t, auth.login, public=True, status=201),
        Route("GET", t, auth.show, "identity:validate_token"),
        Route("HEAD", t, auth.check, "identity:check_token"),
        Route("DELETE", t, auth.revoke, "identity:revoke_token", 204),
        Route("GET", "/v3/auth/catalog", auth.catalog, "identity:get_auth_catalog"),
        Route("GET", "/v3/auth/projects", auth.my_projects, "identity:get_auth_projects"),
        Route("GET", "/v3/auth/domains", auth.my_domains, "identity:get_auth_domains"),
        Route("GET", "/v3/auth/system", auth.my_system, "identity:get_auth_system"),
    ]


class IdentityService:
    """`tokens`, `authenticator` and `bootstrap` are for the process that holds identity."""

    prefix = "/identity"

    def __init__(self, core: Core, options: IdentityOptions | None = None) -> None:
        options = options or IdentityOptions()
        self.database = core.database("identity", metadata)
        self._keys = KeyRepository(
            Path(options.key_dir or core.state_dir / "fernet-keys"), core.clock, max_active=options.max_active_keys
        )
        provider: TokenProvider = FernetProvider(self._keys)
        if options.token_provider == "uuid":  # noqa: S105
            provider = UuidProvider(self.database, core.clock)
        revocations = Revocations(core.clock, core.bus, options)
        self.passwords = Passwords(options)
        parts = Parts(self.database, core.clock, options, revocations, self.passwords)
        self.tokens = TokenLogic(self.database, core.clock, options, provider, revocations)
        self.authenticator = LocalAuthenticator(self.tokens)
        self._bootstrap = Bootstrap(parts)
        policy = core.policy("identity", policies.RULES)
        web = core.web("identity", identity_format, policy, authenticator=self.authenticator)
        self.routes = [guarded(route) for route in self._routes(parts)]
        self.app = build_app(msgspec.structs.replace(web, default_policy_check=False), self.routes)

    def _routes(self, parts: Parts) -> list[Route]:
        logins = AuthLogic(self.database, self.tokens, self.passwords)
        projects = ProjectLogic(parts)
        return auth_routes(Auth(logins, self.tokens, projects))

    async def start(self) -> None:
        await upgrade(self.database, MIGRATIONS)
        await asyncio.gather(asyncio.to_thread(self._keys.create), self.passwords.prepare())

    async def stop(self) -> None:
        await self.database.close()

    async def bootstrap(
        self, admin_password: str, demo_password: str, service_password: str, endpoints: list[CatalogEntry],
        *, reset_passwords: bool = False,
    ) -> None:  # fmt: skip
        """Make the cloud's first records; see logic/bootstrap.py. Only after `start`."""
        await self._bootstrap.bootstrap(
            admin_password, demo_password, service_password, endpoints, reset_passwords=reset_passwords
        )


def guarded(route: Route) -> Route:
    """The route with its policy checked against the ids in its path, before its handler runs: what a handler forgets to
    check is refused, not granted."""
    rule = route.policy
    if rule is None or rule in policies.OBJECT_RULES:
        return msgspec.structs.replace(route, max_body=MAX_BODY)
    inner: Handler = route.handler

    async def handler(call: Call, **ids: str) -> Reply:
        if not call.allowed(rule, target_of(ids)):
            raise errors.NotAllowed(action=rule)
        return await inner(call, **ids)

    handler.__name__ = getattr(inner, "__name__", "handler")
    return msgspec.structs.replace(route, handler=handler, max_body=MAX_BODY)


def target_of(ids: dict[str, str]) -> dict[str, Any]:
    """{"user_id": X} → {"user_id": X, "target.user.id": X}, as policy rules name it."""
    target: dict[str, Any] = dict(ids)
    for name, value in ids.items():
        if name.endswith("_id"):
            target[f"target.{name.removesuffix('_id')}.id"] = value
    return target
