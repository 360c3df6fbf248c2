"""Migrations, one folder and one version table a service. Alembic is loaded only where there is something to migrate: it
costs a start-up a fifth of a second and 28 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from kilonova.core.db.engine import Database
from kilonova.core.db.locks import alone
from kilonova.core.errors import CannotStart

VERSION_TABLE = "alembic_version"


def head(migrations: Path) -> str | None:
    """The newest revision: files are named `versions/NNNN_name.py` and NNNN is the revision."""
    files = sorted((migrations / "versions").glob("[0-9]*.py"))
    return files[-1].name.partition("_")[0] if files else None


async def version(database: Database) -> str | None:
    """The revision the database is at; None for an empty one."""

    def read(connection: Any) -> str | None:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # type: ignore[no-any-return]  # noqa: S608

    async with database.reading() as connection:
        return await connection.run_sync(read)


async def upgrade(database: Database, migrations: Path) -> list[str]:
    """Bring the database to the newest revision; the revisions applied. Of several processes that do so at once one works and
    the others wait. Raises NotMigrated for a database of a newer release."""
    newest, found = head(migrations), await version(database)
    if newest is None or found == newest:
        return []
    if found is not None and found > newest:
        raise NotMigrated(_advice(database, found, newest))
    from kilonova.core.db.alembic_runner import run

    async with database.transaction() as tx, alone(tx.connection, f"kilonova upgrade of {database.url.database}"):
        return await tx.connection.run_sync(run, migrations)


class NotMigrated(CannotStart):
    """The text says what to do."""


async def check(database: Database, migrations: Path) -> None:
    """Raises NotMigrated for a database that is not at the newest revision."""
    found, newest = await version(database), head(migrations)
    if found != newest:
        raise NotMigrated(_advice(database, found, newest))


def _advice(database: Database, found: str | None, newest: str | None) -> str:
    at = f"the {database.name} database is at revision {found or 'none'}, this release needs {newest}"
    if found is not None and newest is not None and found > newest:
        return f"{at}: it belongs to a newer release"
    return f"{at}: run `kilonova db upgrade`"


async def drift(database: Database) -> list[Any]:
    """Differences between a migrated database and the tables in the code; empty when they agree."""
    from kilonova.core.db.alembic_runner import compare

    async with database.reading() as connection:
        return await connection.run_sync(compare, database.metadata)
