"""What a service is built from, and how it starts and stops: the core's parts in one object, `start` and `stop`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kilonova.core.bus import Bus
from kilonova.core.cache import Cache, MemoryCache
from kilonova.core.clock import Clock
from kilonova.core.faults import Faults
from kilonova.core.grants import Grants
from kilonova.core.notify import Notifier
from kilonova.core.policy import Policy
from kilonova.core.web.app import Web
from kilonova.core.web.auth import Authenticator
from kilonova.core.web.client import ServiceClient, TokenSource
from kilonova.core.web.errors import ErrorFormat
from kilonova.core.web.health import Check
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.transport import ASGIApp, Transport

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from kilonova.core.db import Database


class Service(Protocol):
    """A service or component of the cloud. `start` returns when it is ready for work; `stop` finishes what is in flight."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@runtime_checkable
class WebService(Service, Protocol):
    """A service with an HTTP application, mounted under `prefix`."""

    prefix: str
    app: ASGIApp


async def answers(database: Database) -> None:
    """Raises ServiceUnavailable when the database does not."""
    async with database.reading() as connection:
        await connection.exec_driver_sql("SELECT 1")


@dataclass(frozen=True, kw_only=True)
class Core:
    """Given to every service. `endpoints` maps service names (identity, image, …) to the base URLs where they are
    reached, without version; `transport` is shared by all clients; `authenticator` validates callers' tokens and `tokens`
    gives this process's own. `identity_url` is where clients find identity. `databases` are those opened so far."""

    clock: Clock
    bus: Bus
    faults: Faults
    state_dir: Path
    region: str
    endpoints: Mapping[str, str]
    identity_url: str
    transport: Transport
    authenticator: Authenticator
    tokens: TokenSource
    database_urls: Mapping[str, str] = field(default_factory=dict)
    policy_dir: Path | None = None
    cache: Cache = field(default_factory=MemoryCache)
    notifier: Notifier = field(default_factory=Notifier)
    grants: Grants = field(default_factory=Grants)
    migrate: bool = True
    databases: list[Database] = field(default_factory=list)

    def database(self, service: str, metadata: MetaData) -> Database:
        """The service's own database: as configured, else a SQLite file in the state directory."""
        from kilonova.core.db import Database  # here, so that agents, which have none, load no SQL
        from kilonova.core.db.address import default_url

        url = self.database_urls.get(service) or default_url(self.state_dir, service)
        database = Database(url, metadata, name=service)
        self.databases.append(database)
        return database

    async def settle(self, database: Database, migrations: Path) -> None:
        """Bring a database to the newest revision; where `migrate` is not set, refuse one that is not there."""
        from kilonova.core.db.migrate import check, upgrade

        await (upgrade if self.migrate else check)(database, migrations)

    def checks(self) -> dict[str, Check]:
        """What the services made so far must have, by names for `Health`."""
        checks: dict[str, Check] = {"bus": self.bus.check}
        return checks | {f"{database.name} database": partial(answers, database) for database in self.databases}

    def policy(self, service: str, defaults: dict[str, str], *, project_scope: bool = False) -> Policy:
        """The service's rules, overridden by `<policy_dir>/<service>.yaml` where that exists."""
        file = self.policy_dir / f"{service}.yaml" if self.policy_dir else None
        given = file if file is not None and file.exists() else None
        return Policy(defaults, file=given, project_scope=project_scope)

    def client(self, service: str, path: str = "", *, headers: dict[str, str] | None = None) -> ServiceClient:
        """Requests to another service's REST API, at its base URL plus `path` (`/v3`, `/v2.1` …)."""
        return ServiceClient(self.endpoints[service] + path, self.transport, self.tokens, headers=headers)

    def web(
        self,
        name: str,
        error_format: ErrorFormat,
        policy: Policy,
        *,
        microversions: Microversions | None = None,
        authenticator: Authenticator | None = None,
    ) -> Web:
        """What the routes of service `name` share; its prefix is `/name`."""
        return Web(
            name=name,
            prefix=f"/{name}",
            error_format=error_format,
            authenticator=authenticator or self.authenticator,
            policy=policy,
            clock=self.clock,
            identity_url=self.identity_url,
            faults=self.faults,
            grants=self.grants,
            microversions=microversions,
        )
