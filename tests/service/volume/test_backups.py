"""Backups: whole ones, those that add to another, and volumes made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.volume.agent.backup_store import PIECE, BackupStore, Missing
from kilonova.volume.backends.errors import BackendError
from tests.service.volume.conftest import Cloud
from tests.support import PROJECT

ONE, TWO, THREE = (f"{n}1111111-1111-4111-8111-111111111111" for n in "123")


async def _backup(cloud: Cloud, volume_id: str, wanted: str = "available", **asked: Any) -> dict[str, Any]:
    made = (await cloud.ok("POST", "/backups", json={"backup": {"volume_id": volume_id} | asked}))["backup"]
    return await cloud.status("backups", made["id"], wanted)


async def test_a_backup_lives_and_becomes_a_volume(cloud: Cloud) -> None:
    volume = await cloud.volume(size=2, metadata={"k": "v"})
    whole = await _backup(cloud, volume["id"], name="b1", metadata={"m": "n"})
    assert (whole["size"], whole["is_incremental"], whole["metadata"]) == (2, False, {"m": "n"})
    assert whole["object_count"] == 1
    await cloud.status("volumes", volume["id"], "available")
    more = await _backup(cloud, volume["id"], incremental=True)
    assert more["is_incremental"] is True
    assert (await cloud.ok("GET", f"/backups/{whole['id']}"))["backup"]["has_dependent_backups"] is True
    assert (await cloud("DELETE", f"/backups/{whole['id']}")).status == 400
    answer = await cloud.ok("POST", f"/backups/{more['id']}/restore", json={"restore": {"name": "again"}})
    restored = await cloud.status("volumes", answer["restore"]["volume_id"], "available")
    assert (restored["name"], restored["size"], restored["metadata"]) == ("again", 2, {"k": "v"})
    await cloud.status("backups", more["id"], "available")
    over = await cloud("POST", f"/backups/{more['id']}/restore", json={"restore": {"volume_id": volume["id"]}})
    assert over.status == 202
    await cloud.status("volumes", volume["id"], "available")
    small = await cloud.volume()
    await cloud.status("backups", more["id"], "available")
    body = {"restore": {"volume_id": small["id"]}}
    assert (await cloud("POST", f"/backups/{more['id']}/restore", json=body)).status == 400
    for backup in (more, whole):
        assert (await cloud("DELETE", f"/backups/{backup['id']}")).status == 202
        await cloud.status("backups", backup["id"], "gone")
    assert list((cloud.core.state_dir / "volume-backups").iterdir()) == []
    kept = {stored.id for stored in await cloud.agents["node1"].backends["node1@fake"].driver.volumes()}
    assert kept == {volume["id"], restored["id"], small["id"]}


async def test_another_project_has_none_of_it(cloud: Cloud) -> None:
    volume = await cloud.volume()
    backup = await _backup(cloud, volume["id"])
    path = f"/backups/{backup['id']}"
    for method, place, body in [
        ("GET", path, None), ("PUT", path, {"backup": {"name": "x"}}), ("DELETE", path, None),
        ("POST", f"{path}/restore", {"restore": {}}), ("POST", f"{path}/action", {"os-force_delete": {}}),
        ("POST", "/backups", {"backup": {"volume_id": volume["id"]}}),
    ]:  # fmt: skip
        assert (await cloud(method, place, "foreign", body)).status == 404, place
    assert (await cloud("POST", f"{path}/action", json={"os-reset_status": {"status": "error"}})).status == 403
    assert (await cloud("POST", f"{path}/action", "admin", {"os-reset_status": {"status": "x"}})).status == 400
    assert (await cloud("POST", f"{path}/action", "admin", {"os-reset_status": {"status": "error"}})).status == 202
    assert (await cloud("POST", f"{path}/restore", json={"restore": {}})).status == 400


async def test_refusals(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (
        await cloud("POST", "/backups", json={"backup": {"volume_id": volume["id"], "incremental": True}})
    ).status == 400
    await cloud.act(volume["id"], "os-reset_status", {"status": "in-use"}, "admin")
    assert (await cloud("POST", "/backups", json={"backup": {"volume_id": volume["id"]}})).status == 400
    await cloud.ok("PUT", f"/os-quota-sets/{PROJECT}", "admin", {"quota_set": {"backups": 0}})
    body = {"backup": {"volume_id": volume["id"], "force": True}}
    assert (await cloud("POST", "/backups", json=body)).status == 413


async def test_of_a_snapshot_and_of_what_is_in_use(cloud: Cloud) -> None:
    volume = await cloud.volume()
    snapshot = await cloud.snapshot(volume["id"])
    backup = await _backup(cloud, volume["id"], snapshot_id=snapshot["id"])
    assert backup["snapshot_id"] == snapshot["id"]
    await cloud.status("volumes", volume["id"], "available")


@pytest.mark.parametrize("operation", ["clone", "create_from_image"])
async def test_what_fails_is_said(bare: Cloud, operation: str) -> None:
    agent = await bare.agent()
    volume = await bare.volume()
    if operation == "clone":
        await bare.agents.pop("node1").stop()
        agent = await bare.agent(fail={"clone": 1.0})
        failed = await _backup(bare, volume["id"], "error")
        assert failed["fail_reason"] == "create backup: Backup driver failed to create backup."
        await bare.status("volumes", volume["id"], "available")
        return
    backup = await _backup(bare, volume["id"])
    await agent.stop()
    await bare.agent(fail={"create_from_image": 1.0})
    body = {"restore": {"volume_id": volume["id"]}}
    assert (await bare("POST", f"/backups/{backup['id']}/restore", json=body)).status == 202
    await bare.status("volumes", volume["id"], "error_restoring")
    await bare.status("backups", backup["id"], "available")


async def _all(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_pieces_are_kept_once(tmp_path: Path) -> None:
    store = BackupStore(tmp_path / "b")
    first = b"a" * PIECE + bytes(PIECE) + b"b" * 10
    await store.write(ONE, _all(first[:5], first[5:]), None)
    changed = b"a" * PIECE + bytes(PIECE) + b"c" * 10
    manifest = await store.write(TWO, _all(changed), ONE)
    assert [piece.holder for piece in manifest.pieces] == [ONE, "", TWO]
    await store.write(TWO, _all(changed), ONE)  # again is the same
    assert len(list((tmp_path / "b" / TWO).iterdir())) == 2
    assert b"".join([data async for data in store.read(TWO)]) == changed
    assert b"".join([data async for data in store.read(ONE)]) == first
    await store.delete(ONE)
    with pytest.raises(Missing):
        [data async for data in store.read(TWO)]
    for wrong in ("../x", "", THREE):
        with pytest.raises(Missing):
            store.manifest(wrong)


async def test_what_is_not_finished_does_not_stay(tmp_path: Path) -> None:
    """Where the disk is full, and where the process died and the backup is given up."""
    store, folder = BackupStore(tmp_path / "b"), tmp_path / "b"

    async def full() -> AsyncIterator[bytes]:
        yield b"a" * PIECE
        raise OSError(28, "No space left on device")

    with pytest.raises(BackendError, match="No space left"):
        await store.write(ONE, full(), None)
    assert list(folder.iterdir()) == []
    (folder / f"{ONE}.part").mkdir()
    await store.delete(ONE)
    assert list(folder.iterdir()) == []
