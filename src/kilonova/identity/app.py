"""The resources of identity, and the service around them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from kilonova.core.periodic import Repeated
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import identity_format
from kilonova.core.web.resource import rules_of
from kilonova.identity.bootstrap import Bootstrap, CatalogEntry
from kilonova.identity.catalog_cache import CatalogCache
from kilonova.identity.flush import flush
from kilonova.identity.keys import KeyRepository
from kilonova.identity.logins.lockout import Lockout
from kilonova.identity.logins.passwords import Passwords
from kilonova.identity.options import IdentityOptions
from kilonova.identity.resources.application_credentials.routes import APPLICATION_CREDENTIALS
from kilonova.identity.resources.assignments.routes import ASSIGNMENTS
from kilonova.identity.resources.auth.routes import AUTH
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.credentials.routes import CREDENTIALS
from kilonova.identity.resources.domains.routes import DOMAINS
from kilonova.identity.resources.ec2_tokens.routes import EC2_TOKENS
from kilonova.identity.resources.endpoints import ENDPOINTS
from kilonova.identity.resources.groups.routes import GROUPS
from kilonova.identity.resources.legacy_auth.routes import LEGACY_AUTH
from kilonova.identity.resources.projects.routes import PROJECTS
from kilonova.identity.resources.regions import REGIONS
from kilonova.identity.resources.revocation_events import REVOCATION_EVENTS
from kilonova.identity.resources.roles.routes import ROLES
from kilonova.identity.resources.services import SERVICES
from kilonova.identity.resources.users.routes import USERS
from kilonova.identity.resources.versions import VERSIONS
from kilonova.identity.tables import metadata
from kilonova.identity.tokens.authenticator import LocalAuthenticator
from kilonova.identity.tokens.lifecycle import TokenLogic
from kilonova.identity.tokens.providers import FernetProvider, TokenProvider, UuidProvider
from kilonova.identity.tokens.revocation import Revocations
from kilonova.identity.web.checks import BASE_RULES
from kilonova.identity.web.guard import guarded
from kilonova.identity.web.resource import Resource

MIGRATIONS = Path(__file__).parent / "migrations"
RESOURCES: tuple[Resource, ...] = (
    VERSIONS,
    AUTH,
    LEGACY_AUTH,
    USERS,
    GROUPS,
    PROJECTS,
    DOMAINS,
    ROLES,
    ASSIGNMENTS,
    REGIONS,
    SERVICES,
    ENDPOINTS,
    REVOCATION_EVENTS,
    APPLICATION_CREDENTIALS,
    CREDENTIALS,
    EC2_TOKENS,
)
RULES = BASE_RULES | rules_of(RESOURCES)
"""Policy rules, with upstream's names."""


class IdentityService:
    """`tokens`, `keys`, `authenticator` and `bootstrap` are for the process that holds identity."""

    prefix = "/identity"

    def __init__(self, core: Core, options: IdentityOptions | None = None) -> None:
        self.options = options = options or IdentityOptions()
        self.core = core
        self.database = core.database("identity", metadata)
        self.keys = KeyRepository(
            Path(options.key_dir or core.state_dir / "fernet-keys"), core.clock, max_active=options.max_active_keys
        )
        folder = Path(options.credential_key_dir or core.state_dir / "credential-keys")
        self._credential_keys = KeyRepository(folder, core.clock, max_active=options.max_active_keys)
        provider: TokenProvider = FernetProvider(self.keys)
        if options.token_provider == "uuid":  # noqa: S105
            provider = UuidProvider(self.database, core.clock)
        revocations = Revocations(core.clock, core.bus, core.cache, options)
        self.passwords, self.lockout = Passwords(options), Lockout(self.database, core.clock, options)
        catalog = CatalogCache(core.cache, core.clock)
        self.tokens = TokenLogic(self.database, core.clock, options, provider, revocations, catalog)
        deps = Deps(
            self.database, core.clock, options, self.tokens, revocations, self.passwords, self.lockout, catalog,
            self._credential_keys,
        )  # fmt: skip
        self.authenticator = LocalAuthenticator(self.tokens)
        self._bootstrap = Bootstrap(deps)
        self._flushes = Repeated("token flush", core.clock, options.flush_interval, self.flush)
        web = core.web("identity", identity_format, core.policy("identity", RULES), authenticator=self.authenticator)
        self.routes = [guarded(route, each.object_rules) for each in RESOURCES for route in each.routes(deps)]
        self.app = build_app(msgspec.structs.replace(web, default_policy_check=False), self.routes)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        if self.options.flush_interval:
            self._flushes.start()
        await asyncio.gather(
            asyncio.to_thread(self.keys.create),
            asyncio.to_thread(self._credential_keys.create),
            self.passwords.prepare(),
        )

    async def stop(self) -> None:
        await self._flushes.stop()
        await self.database.close()

    async def flush(self) -> None:
        """Remove what has expired."""
        await flush(self.database, self.core.clock)

    async def bootstrap(
        self, admin_password: str, demo_password: str, service_password: str, endpoints: list[CatalogEntry],
        *, compute_password: str = "", reset_passwords: bool = False,
    ) -> None:  # fmt: skip
        """Make the cloud's first records; see bootstrap.py. Only in a migrated database."""
        await self._bootstrap.bootstrap(
            admin_password, demo_password, service_password, endpoints,
            compute_password=compute_password, reset_passwords=reset_passwords,
        )  # fmt: skip
