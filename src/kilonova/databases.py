"""The services' databases seen from outside: at which revision each is, and how to bring it to this release's."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

import kilonova
from kilonova.core.clock import Clock
from kilonova.core.db import Database
from kilonova.core.db.address import default_url
from kilonova.core.db.failures import reason_of
from kilonova.core.db.migrate import check, head, upgrade, version
from kilonova.core.errors import CannotStart, ServiceUnavailable
from kilonova.settings import DATABASES, Settings

ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB"}


class State(msgspec.Struct, kw_only=True):
    """Of one database. `state`: ready, empty, old, newer (than this release) or away (unreachable, for the `reason` given)."""

    service: str
    engine: str
    url: str  # without its password
    revision: str | None
    head: str | None
    state: str
    reason: str | None = None


def open_database(settings: Settings, service: str) -> Database:
    """A new Database of one of `DATABASES`. Raises ConfigError."""
    metadata = importlib.import_module(f"kilonova.{service}.tables").metadata
    url = settings.database.urls().get(service) or default_url(settings.state_dir, service)
    return Database(url, metadata, name=service)


def migrations_of(service: str) -> Path:
    return Path(kilonova.__file__).parent / service / "migrations"


async def states(settings: Settings, services: Sequence[str] = DATABASES) -> list[State]:
    """How each database is; makes none."""
    return [await _state(open_database(settings, service)) for service in services]


async def _state(database: Database) -> State:
    newest = head(migrations_of(database.name))
    found, reason = None, None
    try:
        found = await version(database) if _may_exist(database) else None
    except ServiceUnavailable as error:
        reason = reason_of(error)
    finally:
        await database.close()
    state = "away" if reason is not None else "empty" if found is None else "ready"
    if state == "ready" and found != newest:
        state = "newer" if (found or "") > (newest or "") else "old"
    return State(
        service=database.name, engine=ENGINES[database.kind], url=str(database.url.set(drivername=database.kind)),
        revision=found, head=newest, state=state, reason=reason,
    )  # fmt: skip


def _may_exist(database: Database) -> bool:
    return not database.is_sqlite or Path(database.url.database or "").exists()


@asynccontextmanager
async def opened(settings: Settings, service: str) -> AsyncIterator[Database]:
    """Raises CannotStart, with the reason, for a database that is unreachable."""
    database = open_database(settings, service)
    try:
        yield database
    except ServiceUnavailable as error:
        shown = database.url.set(drivername=database.kind)
        raise CannotStart(f"the {service} database at {shown} is unreachable: {reason_of(error)}") from None
    finally:
        await database.close()


async def upgrade_one(settings: Settings, service: str) -> list[str]:
    """The revisions applied. Raises CannotStart for a database that is unreachable or of a newer release."""
    async with opened(settings, service) as database:
        return await upgrade(database, migrations_of(service))


async def flush_tokens(settings: Settings, progress: Callable[[dict[str, int]], object]) -> dict[str, int]:
    """Remove identity's expired tokens, revocations and wrong passwords; how many rows of each table. Raises CannotStart for a
    database that is unreachable or not of this release."""
    from kilonova.identity import flush

    async with opened(settings, "identity") as database:
        await check(database, migrations_of("identity"))
        return await flush.flush(database, Clock(), progress)


async def purge(settings: Settings, days: float, progress: Callable[[int], object]) -> int:
    """Forget servers that were deleted so many days ago, and their history; how many they were. Raises CannotStart for a
    database that is unreachable or not of this release."""
    from kilonova.compute import history

    async with opened(settings, "compute") as database:
        await check(database, migrations_of("compute"))
        before = Clock().row_time() - dt.timedelta(days=days)
        return await history.purge(database, before, progress)
