"""What `kilonova verify` finds of volumes."""

from __future__ import annotations

from kilonova.core.context import service_context
from kilonova.ops.volumes import Storage, differences, gather
from kilonova.volume.backends.driver import Connector
from tests.service.volume.conftest import Cloud

CTX = service_context("req-test")


async def _found(cloud: Cloud) -> set[tuple[str, str, str]]:
    storage = await gather(cloud.core, CTX)
    assert isinstance(storage, Storage)
    return set(differences(storage))


async def test_a_clean_cloud_and_what_is_not(cloud: Cloud) -> None:
    volume, lost = await cloud.volume(), await cloud.volume()
    pool = "node1@fake#fake"
    assert await _found(cloud) == set()
    driver = cloud.agents["node1"].backends["node1@fake"].driver
    await driver.delete(lost["id"])
    await driver.create("77777777-7777-4777-8777-777777777777", 1)
    await cloud.act(volume["id"], "os-reset_status", {"status": "extending"}, "admin")
    assert await _found(cloud) == {
        ("volume", f"volume {volume['id']} (extending)", "is busy"),
        (pool, f"volume {lost['id']} (available)", "its back end does not have it"),
        (pool, "volume 77777777-7777-4777-8777-777777777777", "no volume has this id"),
    }
    await cloud.agents.pop("node1").stop()
    assert {what for where, what, _ in await _found(cloud) if where == pool} == {"back end"}


async def test_snapshots_and_exports_that_nothing_explains(cloud: Cloud) -> None:
    volume = (await cloud.volume())["id"]
    driver = cloud.agents["node1"].backends["node1@fake"].driver
    snapshot, attachment = "88888888-8888-4888-8888-888888888888", "99999999-9999-4999-8999-999999999999"
    await driver.snapshot(snapshot, volume)
    await driver.connect(volume, attachment, Connector(host="node1"))
    assert await _found(cloud) == {
        ("node1@fake#fake", f"snapshot {snapshot} of volume {volume}", "no snapshot has this id"),
        ("node1@fake#fake", f"export of volume {volume}", f"no attachment has the id {attachment}"),
    }


async def test_without_a_volume_service(bare: Cloud) -> None:
    app = bare.gateway.apps.pop("/volume")
    assert await gather(bare.core, CTX) is None
    bare.gateway.apps["/volume"] = app
