"""A cloud that is asked to stop in the middle of a launch stops soon, and the next start finishes the launch."""

from __future__ import annotations

import time

from tests.cloud.harness import CloudProcess


def test_stopping_in_the_middle_of_a_launch(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_FAULTS="step=define,when=after,do=hang", KILONOVA_AGENT_STOP_GRACE="0.5")
    api = scratch_cloud.api("demo")
    server = api.launch(api.image("x"), [{"uuid": api.network()}])
    until = time.monotonic() + 30
    while api.server(server)["OS-EXT-STS:task_state"] != "spawning":
        assert time.monotonic() < until
        time.sleep(0.02)
    scratch_cloud.stop()
    scratch_cloud.start()
    assert scratch_cloud.api("demo").wait(server, "ACTIVE", timeout=30)["status"] == "ACTIVE"
    assert scratch_cloud.verify() == []
