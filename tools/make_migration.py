"""Write a service's next migration from the difference between its tables and its newest migration.

usage: python tools/make_migration.py SERVICE NAME         e.g.  placement initial
       python tools/make_migration.py SERVICE NAME --redo  replaces the newest one (before it is released)
Read what it wrote before you commit it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from kilonova.core.db import Database, types
from kilonova.core.db.migrate import upgrade

HEAD = '''"""{name}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.core.db import types

revision = "{revision}"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {up}
'''


def own_type(kind: str, item: Any, _context: Any) -> Any:
    """Our own column types by their names; False leaves the rest to Alembic."""
    names = [name for name, own in types.NAMES.items() if kind == "type" and _form(own) == _form(item)]
    return f"types.{names[0]}" if names else False


def _form(item: Any) -> str:
    return f"{item!r} {dict(item._variant_mapping)!r}"


async def make(service: str, name: str, redo: bool) -> Path:
    package = importlib.import_module(f"kilonova.{service}")
    folder = Path(str(package.__file__)).parent / "migrations"
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    existing = sorted(versions.glob("[0-9]*.py"))
    if redo and existing:
        existing.pop().unlink()
    metadata = importlib.import_module(f"kilonova.{service}.tables").metadata
    with tempfile.TemporaryDirectory() as scratch:
        database = Database(f"sqlite:///{scratch}/x.sqlite", metadata, name=service)
        await upgrade(database, folder)

        def compare(connection: Any) -> str:
            context = MigrationContext.configure(connection)
            operations = produce_migrations(context, metadata).upgrade_ops
            return render_python_code(operations, render_item=own_type) if operations is not None else "pass"

        async with database.reading() as connection:
            code = await connection.run_sync(compare)
        await database.close()
    revision = f"{len(existing) + 1:04d}"
    down = f"{len(existing):04d}" if existing else None
    target = versions / f"{revision}_{name}.py"
    code = "\n".join(line for line in code.splitlines() if not line.strip().startswith("# ###"))
    text = HEAD.format(name=name, revision=revision, down=down, up=code.strip())
    if "types." not in code:
        text = text.replace("\nfrom kilonova.core.db import types\n", "")
    target.write_text(text)
    return target


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    print(asyncio.run(make(sys.argv[1], sys.argv[2], "--redo" in sys.argv)))
