"""A cloud that is asked to stop in the middle of a launch stops soon, and the next start finishes the launch."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import CloudProcess


def test_stopping_in_the_middle_of_a_launch(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_FAULTS="step=define,when=after,do=hang", KILONOVA_AGENT_STOP_GRACE="0.5")
    api = scratch_cloud.api("demo")
    server = api.launch(api.image("x"), [{"uuid": api.network()}])
    eventually(lambda: api.server(server)["OS-EXT-STS:task_state"] == "spawning", "the launch does not begin")
    scratch_cloud.stop()
    scratch_cloud.start()
    assert scratch_cloud.api("demo").wait(server, "ACTIVE")["status"] == "ACTIVE"
    assert scratch_cloud.verify() == []


def down(cloud: CloudProcess) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kilonova", "down", "--state", str(cloud.state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def note_of(cloud: CloudProcess) -> Path:
    return cloud.state / "kilonova.json"


@pytest.mark.parametrize("ask", ["SIGTERM", "SIGINT", "down"])
def test_a_cloud_that_is_stopped_drains(scratch_cloud: CloudProcess, ask: str) -> None:
    scratch_cloud.start()
    assert scratch_cloud.process is not None
    if ask == "down":
        assert "stopped" in down(scratch_cloud).stdout
    else:
        scratch_cloud.process.send_signal(signal.Signals[ask])
    assert scratch_cloud.died(60) == 0
    assert not note_of(scratch_cloud).exists()
    assert "draining" in scratch_cloud.words()
    assert re.search(r"stopped +component=up pid=\d+$", scratch_cloud.words(1))
    assert "Traceback" not in scratch_cloud.words(1000)
    assert "no cloud runs" in down(scratch_cloud).stdout


def test_a_stop_waits_for_the_answers_that_are_due(scratch_cloud: CloudProcess, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    rule = f"step=authorize,when=before,do=wait:{gate},at=GET /compute/v2.1/servers"
    scratch_cloud.start(KILONOVA_FAULTS=rule)
    api = scratch_cloud.api("demo")
    assert api.http.get(scratch_cloud.url).status_code == 200  # a connection that is idle when the end comes
    with ThreadPoolExecutor() as pool:
        headers = {"X-Auth-Token": api.token or ""}
        answer = pool.submit(httpx.get, f"{api.urls['compute']}/servers", headers=headers, trust_env=False, timeout=60)
        eventually(gate.with_name("gate.reached").exists, "the request does not come")
        assert scratch_cloud.process is not None
        scratch_cloud.process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in scratch_cloud.words(), scratch_cloud.words)
        gate.touch()
        assert answer.result(60).status_code == 200
        assert answer.result().headers["connection"] == "close"
    assert scratch_cloud.died(60) == 0


def test_the_note_of_a_killed_cloud_is_known_as_stale(scratch_cloud: CloudProcess) -> None:
    """Also where its number belongs to another process of ours by now."""
    scratch_cloud.start()
    scratch_cloud.kill()
    assert "no cloud runs" in down(scratch_cloud).stdout
    note = json.loads(note_of(scratch_cloud).read_text())
    other = CloudProcess(scratch_cloud.state.parent / "other").start()
    try:
        assert other.process is not None
        note_of(scratch_cloud).write_text(json.dumps(note | {"pid": other.process.pid}))
        assert "no cloud runs" in down(scratch_cloud).stdout
        assert other.process.poll() is None
    finally:
        other.stop()
    scratch_cloud.start()
