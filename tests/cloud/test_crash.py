"""The process is killed before and after every step of a launch, and started again: nothing is lost, nothing left over."""

from __future__ import annotations

import pytest

from kilonova.compute.steps import STEPS
from tests.cloud.harness import CloudProcess

API_STEPS = {"authenticate", "authorize", "validate", "quota", "record"}
POINTS = [(step.name, when) for step in STEPS for when in ("before", "after") if step.name not in API_STEPS]
# the request is answered only after step 5: a crash before that means there is no server at all
EARLY = [("record", "before")]


def launch_and_die(cloud: CloudProcess, step: str, when: str) -> tuple[str | None, str]:
    """Start with a fault, ask for a server with a port; (its id if the client got one, network id)."""
    api = cloud.start().api("demo")
    image, network = api.image("crash"), api.network()
    cloud.stop()
    cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill")
    api = cloud.api("demo")
    body = {"name": "vm", "imageRef": image, "flavorRef": api.flavor_id(), "networks": [{"uuid": network}]}
    try:
        answer = api("POST", "compute", "/servers", {"server": body})
        server_id = answer.json()["server"]["id"]
    except Exception:
        server_id = None
    assert cloud.died() == -9, "the fault did not strike"
    return server_id, network


@pytest.mark.parametrize(("step", "when"), POINTS)
def test_killed_at_a_step(scratch_cloud: CloudProcess, step: str, when: str) -> None:
    launch_and_die(scratch_cloud, step, when)
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    (server,) = api.ok("GET", "compute", "/servers")["servers"]
    found = api.wait(server["id"], "ACTIVE", "ERROR", timeout=30)
    assert found["status"] == "ACTIVE" or found["fault"]["message"]
    assert scratch_cloud.verify() == []
    ports = api.ok("GET", "network", f"/ports?device_id={server['id']}")["ports"]
    assert len(ports) == (1 if found["status"] == "ACTIVE" else 0)
    api.ok("DELETE", "compute", f"/servers/{server['id']}")
    api.wait_gone(server["id"])
    assert scratch_cloud.verify() == []


@pytest.mark.parametrize(("step", "when"), EARLY)
def test_killed_before_the_server_is_recorded(scratch_cloud: CloudProcess, step: str, when: str) -> None:
    server_id, _ = launch_and_die(scratch_cloud, step, when)
    assert server_id is None
    scratch_cloud.start()
    assert scratch_cloud.api("demo").ok("GET", "compute", "/servers")["servers"] == []
    assert scratch_cloud.verify() == []
