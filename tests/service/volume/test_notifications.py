"""What programs outside of the cloud are told of volumes."""

from __future__ import annotations

from kilonova.core.notify import Notification
from tests.eventually import until
from tests.service.volume.conftest import Cloud


async def test_volumes_snapshots_and_backups(cloud: Cloud) -> None:
    heard: list[Notification] = []
    cloud.core.notifier.formats = ("unversioned",)
    cloud.core.notifier.observe(heard.append)
    volume = await cloud.volume(size=2, name="x")
    snapshot = await cloud.snapshot(volume["id"])
    assert (await cloud("DELETE", f"/snapshots/{snapshot['id']}")).status == 202
    await cloud.status("snapshots", snapshot["id"], "gone")
    await cloud.agents.pop("node1").stop()
    await cloud.agent(fail={"extend": 1.0})
    assert (await cloud.act(volume["id"], "os-extend", {"new_size": 3})).status == 202
    await cloud.status("volumes", volume["id"], "error_extending")
    names = [
        "volume.create.start", "volume.create.end", "snapshot.create.start", "snapshot.create.end", "snapshot.delete.start",
        "snapshot.delete.end", "volume.resize.start", "volume.resize.error",
    ]  # fmt: skip
    await until(lambda: len(heard) >= len(names))
    assert sorted(one.event_type for one in heard) == sorted(names)
    made = next(one for one in heard if one.event_type == "volume.create.end")
    assert (made.payload["volume_id"], made.payload["size"], made.payload["tenant_id"]) == (volume["id"], 2, "1" * 32)
    failed = next(one for one in heard if one.event_type == "volume.resize.error")
    assert (failed.priority, failed.payload["reason"]) == ("ERROR", "extend failed")
