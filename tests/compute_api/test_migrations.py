"""What an older release left in the database is there after the upgrade."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from sqlalchemy import text

from kilonova.compute.database import MIGRATIONS
from kilonova.compute.store import steps
from kilonova.compute.tables import metadata
from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade, version
from tests import databases

OLD = (
    "INSERT INTO server_steps (id, {key}, server_uuid, request_id, action, step, component, host, attempt, started_at,"
    " finished_at, result, detail) VALUES (:id, :key, 's', :request, 'create', :step, 'compute', 'h', 1, :began, :ended,"
    " :result, :detail)"
)
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678)


def before(tmp_path: Path, revision: str) -> Path:
    """The migrations up to a revision, without it."""
    older = tmp_path / "older"
    shutil.copytree(MIGRATIONS, older, ignore=lambda _, names: [name for name in names if revision <= name < "1"])
    return older


async def test_steps_become_reports(tmp_path: Path):
    database = Database(databases.url(tmp_path, f"{databases.BLANK}_steps"), metadata, name="compute")
    await upgrade(database, before(tmp_path, "0005"))
    assert await version(database) == "0004"
    quote = database.engine.sync_engine.dialect.identifier_preparer.quote
    rows = [
        {"id": n, "key": f"k{n}", "request": request, "step": step, "began": MOMENT + dt.timedelta(seconds=n),
         "ended": ended, "result": "Error" if ended else None, "detail": "why" if ended else None}
        for n, request, step, ended in ((1, "a", "second", None), (2, "b", "other", None), (3, "a", "third", MOMENT))
    ]  # fmt: skip
    async with database.transaction() as tx:
        await tx.connection.execute(text(OLD.format(key=quote("key"))), rows)
    assert (await upgrade(database, MIGRATIONS))[0] == "0005"
    async with database.reading() as connection:
        found = await steps.of_request(connection, "s", "a")
        (newest,) = (await steps.newest(connection, ["s"])).values()
    assert [(s.step, s.started_at, s.finished_at, s.detail) for s in found] == [
        ("second", MOMENT + dt.timedelta(seconds=1), None, None),
        ("third", MOMENT + dt.timedelta(seconds=3), MOMENT, "why"),
    ]
    assert newest.step == "other"
    await database.close()
