"""Alembic migrations, one folder and one version table a service; run in a thread, as Alembic is synchronous."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from kilonova.core.db.engine import Database


def script_directory(migrations: Path) -> ScriptDirectory:
    """`migrations` is the folder of a service with `versions/NNNN_name.py` inside."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def head(migrations: Path) -> str | None:
    return script_directory(migrations).get_current_head()


async def version(database: Database) -> str | None:
    """The revision the database is at; None for an empty one."""

    def read(connection: Any) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with database.reading() as connection:
        return await connection.run_sync(read)


async def upgrade(database: Database, migrations: Path) -> list[str]:
    """Bring the database to the newest revision, in one transaction; the revisions applied."""
    directory = await asyncio.to_thread(script_directory, migrations)
    current = await version(database)
    if current == directory.get_current_head():
        return []
    applied: list[str] = []

    def steps(rev: Any, _context: Any) -> Any:
        found = directory._upgrade_revs("head", rev)
        applied.extend(step.revision.revision for step in found)
        return found

    def run(connection: Any) -> None:
        context = MigrationContext.configure(connection, opts={"fn": steps, "transactional_ddl": False})
        with Operations.context(context):
            context.run_migrations()

    async with database.transaction() as tx:
        await tx.connection.run_sync(run)
    return applied


async def drift(database: Database) -> list[Any]:
    """Differences between a migrated database and the tables in the code; empty when they agree."""

    def compare(connection: Any) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), database.metadata))

    async with database.reading() as connection:
        return await connection.run_sync(compare)
