"""SIGTERM in the middle of launches: what is in flight is finished or handed back, and nothing is lost."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cluster.scene import Scene
from tests.process.serve.processes import health

pytestmark = pytest.mark.cluster


def launch(scene: Scene, number: int) -> list[str]:
    return [scene.api.launch(scene.image, [{"uuid": scene.network}], name=f"vm-{n}") for n in range(number)]


def settled(scene: Scene, servers: list[str]) -> None:
    """All became active, nothing is left over; afterwards they go."""
    for server in servers:
        scene.api.wait(server, "ACTIVE")
    report = eventually(
        lambda: (r := scene.admin.ok("GET", "ops", "/verify"))["unexplained"] == [] and r, "verify is not clean"
    )
    assert report["counted"]["servers"] == len(servers)
    for server in servers:
        scene.api.ok("DELETE", "compute", f"/servers/{server}")
    for server in servers:
        scene.api.wait_gone(server)


def ask_to_end(scene: Scene, name: str) -> Any:
    process = scene.cluster.processes[name]
    assert process.popen is not None
    process.popen.send_signal(signal.SIGTERM)
    eventually(
        lambda: health(process.port)[1].get("state") == "draining" or process.popen.poll() is not None,
        f"{name} does not drain: {process.words()}",
    )
    return process.popen


@pytest.mark.parametrize(
    ("name", "step", "when"),
    [("conductor-1", "dispatch", "before"), ("scheduler-1", "claim", "before"),
     ("compute@host1", "networking", "before"), ("compute@host1", "define", "after")],
)  # fmt: skip
def test_what_is_in_flight_is_finished(scene: Scene, name: str, step: str, when: str) -> None:
    scene.close_gate(step, when)
    servers = launch(scene, 3)
    assert scene.reached(step, when) == name
    ending = ask_to_end(scene, name)
    scene.open_gate(step, when)
    assert ending.wait(30) == 0
    scene.cluster.start_process(name)
    settled(scene, servers)


@pytest.mark.parametrize(("name", "step"), [("conductor-1", "schedule"), ("compute@host1", "define")])
def test_what_does_not_end_in_time_is_handed_back(scene: Scene, name: str, step: str) -> None:
    scene.cluster.restart(name, {"KILONOVA_SERVE_DRAIN_TIMEOUT": "0.5"})
    scene.close_gate(step, "before")
    servers = launch(scene, 2)
    assert scene.reached(step, "before") == name
    ending = ask_to_end(scene, name)
    assert ending.wait(30) == 0  # though the gate is still closed
    scene.open_gate(step, "before")
    scene.cluster.start_process(name)
    settled(scene, servers)


def test_an_api_answers_the_requests_it_has_and_takes_no_new_ones(scene: Scene) -> None:
    scene.cluster.restart("compute-api-1", {"KILONOVA_SERVE_DRAIN_NOTICE": "5"})
    scene.close_gate("record", "before")
    servers: list[str] = []
    client = threading.Thread(target=lambda: servers.extend(launch(scene, 1)))
    client.start()
    assert scene.reached("record", "before") == "compute-api-1"
    ending = ask_to_end(scene, "compute-api-1")
    port = scene.cluster.processes["compute-api-1"].port
    eventually(lambda: health(port, "/healthcheck/live")[0] == 0, "it still takes connections")
    assert ending.poll() is None
    scene.open_gate("record", "before")
    assert ending.wait(30) == 0
    client.join(30)
    assert len(servers) == 1
    scene.cluster.start_process("compute-api-1")
    settled(scene, servers)


def test_the_balancer_sees_the_drain_before_the_listener_closes(scene: Scene) -> None:
    """While a drain is announced, readiness is denied and requests are still answered."""
    scene.cluster.restart("placement-1", {"KILONOVA_SERVE_DRAIN_NOTICE": "30"})
    process = scene.cluster.processes["placement-1"]
    ask_to_end(scene, "placement-1")
    assert health(process.port)[0] == 503
    assert scene.admin("GET", "placement", "/resource_providers").status_code == 200
    scene.cluster.kill("placement-1")
    scene.cluster.start_process("placement-1")


def test_a_second_stop_request_ends_it_at_once(scene: Scene) -> None:
    scene.close_gate("schedule", "before")
    servers = launch(scene, 1)
    scene.reached("schedule", "before")
    ending = ask_to_end(scene, "conductor-1")

    def ends_when_asked() -> bool:
        ending.send_signal(signal.SIGTERM)
        return ending.poll() is not None

    eventually(ends_when_asked, "it does not end", pause=0.1)
    assert ending.returncode == 128 + signal.SIGTERM
    scene.open_gate("schedule", "before")
    scene.cluster.start_process("conductor-1")
    settled(scene, servers)
