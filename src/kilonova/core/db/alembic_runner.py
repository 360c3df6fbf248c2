"""What Alembic does for core/db/migrate.py, on a synchronous connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, MetaData, inspect, text
from sqlalchemy.dialects import mysql

# names that differ in case, accents or trailing spaces are different names, on every engine
COLLATION = "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"


def run(connection: Any, migrations: Path) -> list[str]:
    """Apply what is missing; the revisions applied."""
    if connection.dialect.name == "mysql" and not inspect(connection).get_table_names():
        connection.execute(text(COLLATION))
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    directory = ScriptDirectory.from_config(config)
    applied: list[str] = []

    def steps(current: Any, _context: Any) -> Any:
        found = directory._upgrade_revs("head", current)
        applied.extend(step.revision.revision for step in found)
        return found

    context = MigrationContext.configure(connection, opts={"fn": steps, "transactional_ddl": False})
    with Operations.context(context):
        context.run_migrations()
    return applied


def compare(connection: Any, metadata: MetaData) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": _differs})
    return list(compare_metadata(context, metadata))


def _differs(_context: Any, _seen: Any, _column: Any, found: Any, wanted: Any) -> bool | None:
    """MariaDB has no type for JSON but LONGTEXT; None leaves it to Alembic."""
    return False if isinstance(wanted, JSON) and isinstance(found, mysql.LONGTEXT) else None
