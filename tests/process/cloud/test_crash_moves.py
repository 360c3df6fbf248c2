"""The process is killed in the middle of a move: after the next start the server is where it should be, once, and nothing is left
over."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process.cloud.harness import Api, CloudProcess

THERE = [
    ("hand_over", "after"), ("claim", "after"), ("power_off", "after"), ("set_aside", "after"), ("networking", "after"),
    ("take_disks", "after"), ("start", "after"), ("active", "after"),
]  # fmt: skip
BACK = [("destroy", "after"), ("give_up", "after"), ("put_back", "after"), ("active", "after")]
HOSTS = ["--fake-hosts", "2"]


def act(api: Api, server: str, action: str, body: Any = None) -> None:
    """The process may die before the answer is written."""
    with contextlib.suppress(httpx.TransportError):
        answer = api("POST", "compute", f"/servers/{server}/action", {action: body})
        assert answer.status_code < 300, answer.text


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """(state with a server that is ACTIVE, state where it was resized, the server), of a stopped cloud."""
    folder = tmp_path_factory.mktemp("moves")
    cloud = CloudProcess(folder / "active", extra=HOSTS).start()
    api = cloud.api("demo")
    server = api.launch(api.image("crash"), [{"uuid": api.network()}])
    api.wait(server, "ACTIVE")
    cloud.stop()
    shutil.copytree(cloud.state, folder / "resized")
    cloud = CloudProcess(folder / "resized", extra=HOSTS).start()
    api = cloud.api("demo")
    act(api, server, "resize", {"flavorRef": api.flavor_id("m1.small")})
    api.wait(server, "VERIFY_RESIZE")
    cloud.stop()
    return folder / "active", folder / "resized", server


@pytest.fixture
def cloud(tmp_path: Path) -> Any:
    made = CloudProcess(tmp_path / "state", extra=HOSTS)
    yield made
    made.stop()


def ends(cloud: CloudProcess, server: str, status: str, flavor: str) -> None:
    cloud.start()
    shown = cloud.api("demo").wait(server, status)
    assert shown["flavor"]["original_name"] == flavor
    actions = cloud.api("demo").ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
    assert [action["message"] for action in actions] == [None] * len(actions)
    assert cloud.verify() == []


@pytest.mark.parametrize(("step", "when"), THERE)
def test_killed_on_the_way(cloud: CloudProcess, seed: tuple[Path, Path, str], step: str, when: str) -> None:
    active, _, server = seed
    shutil.copytree(active, cloud.state)
    cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill")
    api = cloud.api("demo")
    act(api, server, "resize", {"flavorRef": api.flavor_id("m1.small")})
    assert cloud.died() == -9, "the fault did not strike"
    ends(cloud, server, "VERIFY_RESIZE", "m1.small")
    act(cloud.api("demo"), server, "confirmResize")
    cloud.api("demo").wait(server, "ACTIVE")
    assert cloud.verify() == []


def test_killed_when_the_new_host_has_reported(cloud: CloudProcess, seed: tuple[Path, Path, str]) -> None:
    active, _, server = seed
    shutil.copytree(active, cloud.state)
    cloud.start()
    admin = cloud.api("admin")
    old = admin.server(server)["OS-EXT-SRV-ATTR:host"]
    services = admin.ok("GET", "compute", "/os-services?binary=nova-compute")["services"]
    (new,) = [service["host"] for service in services if service["host"] != old]
    cloud.stop()
    cloud.start(KILONOVA_FAULTS=f"step=active,when=after,host={new},do=kill")
    api = cloud.api("demo")
    act(api, server, "resize", {"flavorRef": api.flavor_id("m1.small")})
    assert cloud.died() == -9, "the fault did not strike"
    ends(cloud, server, "VERIFY_RESIZE", "m1.small")


@pytest.mark.parametrize(("step", "when"), BACK)
def test_killed_on_the_way_back(cloud: CloudProcess, seed: tuple[Path, Path, str], step: str, when: str) -> None:
    _, resized, server = seed
    shutil.copytree(resized, cloud.state)
    cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill")
    act(cloud.api("demo"), server, "revertResize")
    assert cloud.died() == -9, "the fault did not strike"
    ends(cloud, server, "ACTIVE", "m1.tiny")


@pytest.mark.parametrize("step", ["receive_guest", "send_guest"])
def test_killed_while_the_guest_runs_on(cloud: CloudProcess, seed: tuple[Path, Path, str], step: str) -> None:
    """What was being made ready is made ready again, and what was sent is the new host's."""
    active, _, server = seed
    shutil.copytree(active, cloud.state)
    cloud.start(KILONOVA_FAULTS=f"step={step},when=after,do=kill")
    host = cloud.api().server(server)["OS-EXT-SRV-ATTR:host"]
    act(cloud.api(), server, "os-migrateLive", {"host": None, "block_migration": "auto"})
    assert cloud.died() == -9, "the fault did not strike"
    cloud.start()
    api = cloud.api()
    shown = api.wait(server, "ACTIVE")
    assert shown["OS-EXT-STS:task_state"] is None
    assert shown["OS-EXT-SRV-ATTR:host"] != host
    assert cloud.verify() == []
