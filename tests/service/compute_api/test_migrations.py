"""What an older release left in the database is there after the upgrade."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from sqlalchemy import select, text

from kilonova.compute.database import MIGRATIONS
from kilonova.compute.store import steps
from kilonova.compute.tables import metadata, servers
from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade, version
from tests import databases

OLD = (
    "INSERT INTO server_steps (id, {key}, server_uuid, request_id, action, step, component, host, attempt, started_at,"
    " finished_at, result, detail) VALUES (:id, :key, 's', :request, 'create', :step, 'compute', 'h', 1, :began, :ended,"
    " :result, :detail)"
)
SERVER = {
    "uuid": "s", "name": "s", "hostname": "s", "project_id": "p", "user_id": "u", "flavor": {}, "vcpus": 1, "memory_mb": 1,
    "vm_state": "active", "power_state": 1, "config_drive": False, "disk_config": "MANUAL", "reservation_id": "r",
    "launch_index": 0, "progress": 0, "metadata": {}, "tags": [], "security_groups": [], "created_at": dt.datetime(2026, 1, 1),
    "updated_at": dt.datetime(2026, 1, 1), "deleted": 0,
}  # fmt: skip
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


async def test_interfaces_have_details(tmp_path: Path):
    """A host refuses a port without any."""
    database = Database(databases.url(tmp_path, f"{databases.BLANK}_vifs"), metadata, name="compute")
    await upgrade(database, before(tmp_path, "0007"))
    same = {"port_id": "p", "network_id": "n", "network_name": "net", "mac_address": "m", "vif_type": "bridge"}
    old = {"tap": "tap1", "bridge": "brq1"}
    new = {"details": {"tap_name": "tap1", "bridge_name": "brq1"}}
    stored = [[same | old], [same | old | {"details": {"tap_name": "tap2"}}, same | new], []]
    async with database.transaction() as tx:
        rows = [SERVER | {"id": n, "uuid": f"s{n}", "network_info": vifs} for n, vifs in enumerate(stored, 1)]
        await tx.connection.execute(servers.insert(), rows)
    assert (await upgrade(database, MIGRATIONS))[0] == "0007"
    async with database.reading() as connection:
        found = (await connection.execute(select(servers.c.network_info).order_by(servers.c.id))).scalars().all()
    assert found == [[same | new], [same | {"details": {"tap_name": "tap2"}}, same | new], []]
    await database.close()
