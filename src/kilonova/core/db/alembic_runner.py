"""What Alembic does for core/db/migrate.py, on a synchronous connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData


def run(connection: Any, migrations: Path) -> list[str]:
    """Apply what is missing; the revisions applied."""
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
    return list(compare_metadata(MigrationContext.configure(connection), metadata))
