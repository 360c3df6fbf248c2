"""Requests to send servers to other hosts while they run: what is recorded, refused and shown."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from sqlalchemy import update

from kilonova.compute.models import Progress
from kilonova.compute.store import migrations as store
from kilonova.compute.tables import migrations
from tests.eventually import until
from tests.service.compute_api.test_actions import act
from tests.service.compute_api.test_moves import moves

AUTO = {"host": None, "block_migration": "auto"}
OLD = {"host": None, "block_migration": True, "disk_over_commit": False}


async def test_recorded_and_handed_on(cloud):
    server_id = await cloud.active()
    cloud.conductor.seen.clear()
    answer = await act(cloud, server_id, "admin", **{"os-migrateLive": AUTO})
    assert (answer.status, answer.content) == (202, b"")
    ((method, (moved, migration)),) = await cloud.conductor.wait()
    assert (method, moved) == ("move_server", server_id)
    shown = (await cloud("GET", f"/servers/{server_id}", token="admin")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("MIGRATING", "migrating")
    (record,) = await moves(cloud, server_id)
    assert (record["uuid"], record["status"], record["migration_type"]) == (migration, "accepted", "live-migration")
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert actions[0]["action"] == "live-migration"


@pytest.mark.parametrize(
    ("at", "body", "status", "words"),
    [
        ("2.24", {"host": None, "block_migration": True}, 400, "'disk_over_commit' is a required property"),
        ("2.24", OLD | {"block_migration": "auto"}, 400, "block_migration"),
        ("2.25", OLD, 400, "disk_over_commit"),
        ("2.25", {"host": None}, 400, "block_migration"),
        ("2.25", {"block_migration": "auto"}, 400, "host"),
        ("2.25", {"host": None, "block_migration": "perhaps"}, 400, "block_migration"),
        ("2.29", AUTO | {"force": True}, 400, "force"),
        ("2.30", AUTO | {"force": True}, 400, "Can't force to a non-provided destination"),
        ("2.68", AUTO | {"force": False}, 400, "force"),
        ("2.33", AUTO | {"host": "host-1"}, 400, "Unable to migrate instance ({id}) to current host (host-1)."),
        ("2.34", AUTO | {"host": "nowhere"}, 400, "Compute host nowhere could not be found."),
        ("2.34", AUTO | {"host": "host-1"}, 202, ""),  # found out later
        ("2.34", AUTO | {"host": "host-2", "force": True}, 202, ""),
        ("2.68", {"host": "host-2", "block_migration": False}, 202, ""),
    ],
)  # fmt: skip
async def test_each_microversions_body(cloud, at, body, status, words):
    server_id = await cloud.active()
    await cloud.seen("host-2")
    answer = await act(cloud, server_id, "admin", at, **{"os-migrateLive": body})
    assert answer.status == status, answer.content
    assert words.format(id=server_id) in str(answer.json if answer.content else "")
    assert len(await moves(cloud, server_id)) == (status == 202)


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"vm_state": "stopped"}, 409, "Cannot 'live-migration' instance {id} while it is in vm_state stopped"),
        ({"vm_state": "suspended"}, 409, "in vm_state suspended"),
        ({"task_state": "rebooting"}, 409, "in task_state rebooting"),
        ({"vm_state": "paused"}, 202, ""),
    ],
)
async def test_states_that_it_begins_in(cloud, values, status, words):
    server_id = await cloud.active()
    await cloud.row(server_id, **values)
    answer = await act(cloud, server_id, "admin", **{"os-migrateLive": AUTO})
    assert answer.status == status, answer.content
    assert words.format(id=server_id) in str(answer.json if answer.content else "")


async def test_its_host_must_be_up_and_callers_operators(cloud):
    server_id = await cloud.active()
    for token, status in (("member", 403), ("foreign", 404)):
        assert (await act(cloud, server_id, token, **{"os-migrateLive": AUTO})).status == status
    named = AUTO | {"host": "host-1"}
    assert (
        await act(cloud, server_id, "manager", **{"os-migrateLive": named})
    ).status == 403  # hosts are the operator's
    await cloud.seen("host-1", seconds_ago=3600)
    refused = await act(cloud, server_id, "admin", **{"os-migrateLive": AUTO})
    assert (refused.status, refused.json["badRequest"]["message"]) == (
        400,
        "Compute service of host-1 is unavailable at this time.",
    )
    assert await moves(cloud, server_id) == []


async def test_older_clients_wait_for_the_checks(cloud):
    server_id = await cloud.active()
    asked = asyncio.ensure_future(act(cloud, server_id, "admin", "2.24", **{"os-migrateLive": OLD}))
    (record,) = await until(lambda: moves(cloud, server_id))
    assert not asked.done()
    await change(cloud, record["uuid"], status="error", message="Live migration failed on 1 host: accept: no room")
    answer = await asked
    assert (answer.status, answer.json["badRequest"]["message"]) == (
        400,
        "Migration pre-check error: Live migration failed on 1 host: accept: no room",
    )


async def change(cloud, migration: str, message: str | None = None, progress: Progress | None = None, **values) -> None:
    async with cloud.service.database.transaction() as tx:
        record = await store.get(tx.connection, migration)
        if message is not None:
            move = msgspec.structs.replace(store.decode(record), message=message)
            values["document"] = store.encode(move)
        if progress is not None:
            values["progress"] = msgspec.msgpack.encode(progress)
        await tx.connection.execute(update(migrations).where(migrations.c.uuid == migration).values(**values))


async def begun(cloud, status: str = "running") -> tuple[str, int, str]:
    """(server, number and uuid of its migration)."""
    server_id = await cloud.active()
    await cloud.seen("host-2")
    assert (await act(cloud, server_id, "admin", **{"os-migrateLive": AUTO | {"host": "host-2"}})).status == 202
    (record,) = await moves(cloud, server_id)
    progress = Progress(memory_total=10, memory_processed=4, memory_remaining=6)
    await change(cloud, record["uuid"], status=status, progress=progress)
    return server_id, record["id"], record["uuid"]


async def test_shown_while_it_is_under_way(cloud):
    server_id, number, uuid = await begun(cloud)
    url = f"/servers/{server_id}/migrations"
    assert (await cloud("GET", url, "2.22", "admin")).status == 404
    for at, more in (("2.23", set()), ("2.59", {"uuid"}), ("2.80", {"uuid", "user_id", "project_id"})):
        (listed,) = (await cloud("GET", url, at, "admin")).json["migrations"]
        shown = (await cloud("GET", f"{url}/{number}", at, "admin")).json["migration"]
        assert listed == shown
        assert {"uuid", "user_id", "project_id"} & shown.keys() == more
    assert (shown["id"], shown["uuid"], shown["status"], shown["server_uuid"]) == (number, uuid, "running", server_id)
    assert (shown["source_compute"], shown["dest_compute"]) == ("host-1", "host-2")
    assert [shown[f"memory_{what}_bytes"] for what in ("total", "processed", "remaining")] == [10, 4, 6]
    (record,) = await moves(cloud, server_id)
    assert [link["rel"] for link in record["links"]] == ["self", "bookmark"]
    (record,) = await moves(cloud, server_id, "2.22")
    assert "links" not in record
    for other in (number + 1, "x", uuid):
        assert (await cloud("GET", f"{url}/{other}", token="admin")).status == 404
    for token, status in (("member", 403), ("foreign", 403)):
        assert (await cloud("GET", url, token=token)).status == status
    (listed,) = (await cloud("GET", url, token="manager")).json["migrations"]
    assert (listed["id"], listed["source_compute"], listed["dest_compute"]) == (number, None, None)
    await change(cloud, uuid, status="completed")
    assert (await cloud("GET", url, token="admin")).json["migrations"] == []
    gone = await cloud("GET", f"{url}/{number}", token="admin")
    assert (gone.status, "is not in progress" in gone.json["itemNotFound"]["message"]) == (404, True)


@pytest.mark.parametrize(
    ("at", "status", "answer"),
    [
        ("2.23", "running", 404), ("2.24", "running", 202), ("2.64", "preparing", 400), ("2.65", "preparing", 202),
        ("2.65", "post-migrating", 400), ("2.65", "completed", 400),
    ],
)  # fmt: skip
async def test_abort(cloud, at, status, answer):
    server_id, number, uuid = await begun(cloud, status)
    cloud.agent.seen.clear()
    url = f"/servers/{server_id}/migrations/{number}"
    got = await cloud("DELETE", url, at, "admin")
    assert got.status == answer, got.content
    async with cloud.service.database.reading() as connection:
        record = await store.get(connection, uuid)
    assert store.decode(record).cancelled == (answer == 202)
    if answer == 202:
        ((method, (told,)),) = await cloud.agent.wait()
        assert (method, told) == ("wishes_changed", server_id)
        actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
        assert actions[0]["action"] == "live_migration_cancel"
    if answer == 400:
        words = f"Migration {number} state of instance {server_id} is {status}. Cannot abort live migration while"
        assert words in got.json["badRequest"]["message"]


async def test_force_complete(cloud):
    server_id, number, uuid = await begun(cloud)
    url, body = f"/servers/{server_id}/migrations/{number}/action", {"force_complete": None}
    assert (await cloud("POST", url, "2.21", "admin", json=body)).status == 404
    for wrong in ({}, {"force_complete": {}}, {"abort": None}, body | {"more": 1}):
        assert (await cloud("POST", url, token="admin", json=wrong)).status == 400, wrong
    assert (await cloud("POST", url.replace(f"/{number}/", "/999/"), token="admin", json=body)).status == 400
    assert (await cloud("POST", url, "2.22", "admin", json=body)).status == 202
    async with cloud.service.database.reading() as connection:
        assert store.decode(await store.get(connection, uuid)).hurried
    await cloud.row(server_id, vm_state="paused")
    assert (await cloud("POST", url, token="admin", json=body)).status == 409
    await cloud.row(server_id, vm_state="active", task_state=None)
    for method, path, sent in (("POST", url, body), ("DELETE", url.removesuffix("/action"), None)):
        assert (await cloud(method, path, token="admin", json=sent)).status == 409
