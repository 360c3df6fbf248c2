"""What an older release left in the database is there after the upgrade."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import select

from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade
from kilonova.network.app import MIGRATIONS
from kilonova.network.store.rbac_policies import EXTERNAL, SHARED
from kilonova.network.tables import metadata, networks, rbac_policies
from tests import databases

NETWORK = {
    "project_id": "p", "name": "n", "description": "", "created_at": "", "updated_at": "", "revision_number": 1,
    "admin_state_up": True, "is_default": False, "mtu": 1500, "port_security_enabled": True, "status": "ACTIVE",
    "network_type": "local", "availability_zone_hints": [], "shared": False, "external": False,
}  # fmt: skip


def before(tmp_path: Path, revision: str) -> Path:
    """The migrations up to a revision, without it."""
    older = tmp_path / "older"
    shutil.copytree(MIGRATIONS, older, ignore=lambda _, names: [name for name in names if revision <= name < "1"])
    return older


async def test_shared_and_external_networks_have_policies(tmp_path: Path) -> None:
    database = Database(databases.url(tmp_path, f"{databases.BLANK}_shared"), metadata, name="network")
    await upgrade(database, before(tmp_path, "0007"))
    ids = {flag: f"00000000-0000-4000-8000-00000000000{n}" for n, flag in enumerate(("shared", "external", "name"))}
    async with database.transaction() as tx:
        for flag, network_id in ids.items():
            row = NETWORK | {"id": network_id} | ({flag: True} if flag != "name" else {})
            await tx.connection.execute(networks.insert().values(row))
    await upgrade(database, MIGRATIONS)
    async with database.reading() as connection:
        made = (await connection.execute(select(rbac_policies))).all()
        now = {row.id: (row.shared_with, row.external_to) for row in (await connection.execute(select(networks))).all()}
    await database.close()
    assert sorted((row.object_id, row.action, row.target_project, row.project_id) for row in made) == [
        (ids["shared"], SHARED, "*", "p"), (ids["external"], EXTERNAL, "*", "p"),
    ]  # fmt: skip
    assert now == {ids["shared"]: (["*"], []), ids["external"]: ([], ["*"]), ids["name"]: ([], [])}


async def test_the_oldest_of_default_external_networks_is_the_one(tmp_path: Path) -> None:
    database = Database(databases.url(tmp_path, f"{databases.BLANK}_default"), metadata, name="network")
    await upgrade(database, before(tmp_path, "0017"))
    kinds = {
        "late": (True, True, "2"),
        "early": (True, True, "1"),
        "inner": (False, True, "0"),
        "plain": (True, False, "0"),
    }
    ids = {name: f"00000000-0000-4000-8000-00000000000{n}" for n, name in enumerate(kinds)}
    async with database.transaction() as tx:
        for name, (external, is_default, created_at) in kinds.items():
            row = NETWORK | {"id": ids[name], "external": external, "is_default": is_default, "created_at": created_at}
            row |= {"shared_with": [], "external_to": []}
            await tx.connection.execute(networks.insert().values(row))
    await upgrade(database, MIGRATIONS)
    async with database.reading() as connection:
        now = {
            row.id: (row.is_default, row.default_external) for row in (await connection.execute(select(networks))).all()
        }
    await database.close()
    assert now == {id: (True, 1) if name == "early" else (False, None) for name, id in ids.items()}
