"""The process is killed before and after every step of a launch, and started again: nothing is lost, nothing left over."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import httpx
import pytest

from kilonova.compute.steps import STEPS
from tests.process.cloud.harness import CloudProcess

EARLY = ("authenticate", "authorize", "validate", "quota", "record")
"""Before the transaction of step 5 is committed there is no server at all; the client gets no answer."""
GRID = [(step.name, when) for step in STEPS for when in ("before", "after")]
POINTS = [point for point in GRID if point[0] not in EARLY]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A stopped cloud with an image and a network: (state directory, image id, network id)."""
    cloud = CloudProcess(tmp_path_factory.mktemp("seed") / "state").start()
    api = cloud.api("demo")
    image, network = api.image("crash"), api.network()
    cloud.stop()
    return cloud.state, image, network


def launch_and_die(cloud: CloudProcess, seed: tuple[Path, str, str], step: str, when: str) -> str | None:
    """Start with a fault, ask for a server with a port; its id if the client got one."""
    state, image, network = seed
    shutil.copytree(state, cloud.state)
    where = ",at=POST /compute/v2.1/servers" if step in ("authenticate", "authorize") else ""
    cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill{where}")
    api = cloud.api("demo")
    body = {"name": "vm", "imageRef": image, "flavorRef": api.flavor_id(), "networks": [{"uuid": network}]}
    server_id = None
    with contextlib.suppress(httpx.TransportError):
        server_id = api.ok("POST", "compute", "/servers", {"server": body})["server"]["id"]
    assert cloud.died() == -9, "the fault did not strike"
    return server_id


@pytest.mark.parametrize(("step", "when"), POINTS)
def test_killed_at_a_step(scratch_cloud: CloudProcess, seed: tuple[Path, str, str], step: str, when: str) -> None:
    launch_and_die(scratch_cloud, seed, step, when)
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    (server,) = api.ok("GET", "compute", "/servers")["servers"]
    found = api.wait(server["id"], "ACTIVE", "ERROR")
    assert found["status"] == "ACTIVE" or found["fault"]["message"]
    assert scratch_cloud.verify() == []
    ports = api.ok("GET", "network", f"/ports?device_id={server['id']}")["ports"]
    assert len(ports) == (1 if found["status"] == "ACTIVE" else 0)
    api.ok("DELETE", "compute", f"/servers/{server['id']}")
    api.wait_gone(server["id"])
    assert scratch_cloud.verify() == []


@pytest.mark.parametrize(("step", "when"), [point for point in GRID if point[0] in EARLY])
def test_killed_before_the_server_is_recorded(
    scratch_cloud: CloudProcess, seed: tuple[Path, str, str], step: str, when: str
) -> None:
    server_id = launch_and_die(scratch_cloud, seed, step, when)
    scratch_cloud.start()
    servers = scratch_cloud.api("demo").ok("GET", "compute", "/servers")["servers"]
    assert server_id is None
    assert servers == []
    assert scratch_cloud.verify() == []
