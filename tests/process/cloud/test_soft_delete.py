"""A server that is deleted, restored, deleted again, and gone for good when its time is over."""

from __future__ import annotations

import sqlite3

from tests.process.cloud.harness import CloudProcess


def test_a_second_chance(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_COMPUTE_RECLAIM_INSTANCE_INTERVAL="86400")
    demo = scratch_cloud.api("demo")
    server = demo.launch(demo.image("plain"), [{"uuid": demo.network()}])
    before = demo.wait(server, "ACTIVE")
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait(server, "SOFT_DELETED")
    assert demo.ok("GET", "compute", "/servers")["servers"] == []
    assert scratch_cloud.verify() == []
    demo.ok("POST", "compute", f"/servers/{server}/action", {"restore": None})
    assert demo.wait(server, "ACTIVE")["addresses"] == before["addresses"]
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait(server, "SOFT_DELETED")
    scratch_cloud.stop()
    with sqlite3.connect(next(scratch_cloud.state.glob("db/compute*.sqlite"))) as base:
        base.execute("update servers set deleted_at = '2020-01-01 00:00:00.000000'")
    scratch_cloud.start(KILONOVA_COMPUTE_RECLAIM_INSTANCE_INTERVAL="86400")
    demo = scratch_cloud.api("demo")
    demo.wait_gone(server)
    assert demo.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
    assert scratch_cloud.verify() == []
