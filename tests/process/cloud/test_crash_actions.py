"""The process is killed between the API's commit and the end of an action: after the next start the action has ended, once,
and nothing is left over."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from kilonova.compute.actions.base import Runs
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.states import Vm, status
from kilonova.compute.steps import ORDER
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.fake_hypervisor import Entry
from kilonova.hosts import journal_path
from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

VOLUMES = {"attach_volume", "detach_volume", "extend_volume"}
"""Cut off at every step in tests/component/agent/test_volumes.py."""
ON_HOST = [action for action in ACTIONS if action.runs is Runs.HOST and action.name not in VOLUMES]
BODIES: dict[str, Any] = {action.name: {action.wire: action.example} for action in ON_HOST if action.wire}
BODIES["reboot_hard"] = {"reboot": {"type": "HARD"}}
BODIES["unshelve"] = {"unshelve": None}
ENDS = {action.name: status(action.ends or Vm.ACTIVE, None) for action in ON_HOST}
MIDDLE = {
    "stop": ("shutdown", "power_off"), "start": ("start", "start"), "reboot": ("start", "soft_reboot"),
    "reboot_hard": ("start", "start"), "pause": ("pause", "pause"), "unpause": ("resume", "unpause"),
    "suspend": ("suspend", "suspend"), "resume": ("restore", "restore"),
    "trigger_crash_dump": ("trigger_crash_dump", "crash_dump"), "createImage": ("copy_disk", "snapshot"),
    "createBackup": ("export", "pack"), "rescue": ("rescue", "rescue"), "unrescue": ("drop_rescue", "unrescue"),
    "attach_interface": ("attach_interface", "hot_plug"),
    "detach_interface": ("detach_interface", "hot_unplug"), "rebuild": ("define", "define"),
    "shelve": ("export", "pack"), "shelveOffload": ("undefine", "offload"), "unshelve": ("start", "start"),
    "soft_delete": ("shutdown", "power_off"), "restore": ("start", "start"), "delete": ("undefine", ""),
}  # fmt: skip
"""The driver's operation in the middle of each action (for the reboots the guest is off already), and the step that does it."""
KEEPING = {"KILONOVA_COMPUTE_RECLAIM_INSTANCE_INTERVAL": "86400"}
"""Servers that users delete are kept."""
WAYS = {
    Vm.ACTIVE: None,
    Vm.STOPPED: "stop",
    Vm.PAUSED: "pause",
    Vm.SUSPENDED: "suspend",
    Vm.RESCUED: "rescue",
    Vm.SOFT_DELETED: "soft_delete",
    Vm.SHELVED: "shelve",
}
"""vm_state in which an action may begin → the action that brings a server there."""


def test_every_action_of_a_host_is_tried() -> None:
    assert {action.name for action in ON_HOST} | {"delete"} == MIDDLE.keys()


def test_every_step_of_an_action_has_a_place_in_timelines() -> None:
    assert ACTIONS.steps.keys() <= ORDER.keys()


class Seed(msgspec.Struct):
    """A stopped cloud with a server in each state of WAYS; each has a port."""

    state: Path
    servers: dict[Vm, str]

    def server(self, action: str) -> str:
        """One that the action may begin with."""
        return next(server for state, server in self.servers.items() if state in ACTIONS[action].vm_states)


@pytest.fixture(scope="module", autouse=True)
def stays_on_its_host() -> Iterator[None]:
    """What is shelved is not removed from its host by another action."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILONOVA_CONDUCTOR_SHELVED_OFFLOAD_TIME", "-1")
        yield


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    cloud = CloudProcess(tmp_path_factory.mktemp("seed") / "state").start(**KEEPING)
    api = cloud.api("demo")
    image, networks = api.image("crash"), [{"uuid": api.network()}]
    servers = {state: api.launch(image, networks) for state in WAYS}
    for state, way in WAYS.items():
        api.wait(servers[state], "ACTIVE")
        if way is not None:
            act(api, servers[state], way)
            api.wait(servers[state], status(state, None))
    cloud.stop()
    return Seed(cloud.state, servers)


INTERFACES = {"attach_interface": 2, "detach_interface": 0}
"""Action → how many the server has afterwards."""


def interfaces(api: Api, server_id: str) -> list[str]:
    """Ports, as compute and the network service both say."""
    shown = api.ok("GET", "compute", f"/servers/{server_id}/os-interface")["interfaceAttachments"]
    ports = api.ok("GET", "network", f"/ports?device_id={server_id}")["ports"]
    return [item["port_id"] for item in shown if item["port_id"] in {port["id"] for port in ports}]


def act(api: Api, server_id: str, action: str) -> None:
    """The process may die before the answer is written."""
    with contextlib.suppress(httpx.TransportError):
        if action == "delete":
            api.ok("POST", "compute", f"/servers/{server_id}/action", {"forceDelete": None})
        elif action == "soft_delete":
            api.ok("DELETE", "compute", f"/servers/{server_id}")
        elif action == "attach_interface":
            api.http.timeout = 5  # the answer comes when it is done
            api.ok("POST", "compute", f"/servers/{server_id}/os-interface")
        elif action == "detach_interface":
            (port,) = interfaces(api, server_id)
            api.ok("DELETE", "compute", f"/servers/{server_id}/os-interface/{port}")
        elif action == "rebuild":
            body = {"rebuild": {"imageRef": api.server(server_id)["image"]["id"], "adminPass": "s3cret"}}
            api.ok("POST", "compute", f"/servers/{server_id}/action", body)
        else:
            api.ok("POST", "compute", f"/servers/{server_id}/action", BODIES[action])


def actor(action: str) -> str:
    return "admin" if ACTIONS[action].rule.endswith("shelve_offload") else "demo"


def check(cloud: CloudProcess, server_id: str, action: str) -> None:
    """Start again; the action ends as if nothing had been."""
    cloud.start(**KEEPING)
    api = cloud.api("demo")
    if action == "delete":
        api.wait_gone(server_id)
        assert api.ok("GET", "network", f"/ports?device_id={server_id}")["ports"] == []
    else:
        api.wait(server_id, ENDS[action])
        if action in INTERFACES:
            eventually(lambda: len(interfaces(api, server_id)) == INTERFACES[action])
            eventually(lambda: cloud.verify() == [])
        actions = api.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
        assert [entry["message"] for entry in actions] == [None] * len(actions)
    assert cloud.verify() == []
    if action != "delete":
        assert api.server(server_id)["status"] == ENDS[action]


@pytest.mark.parametrize(
    ("action", "when"),
    [
        *((action, "before") for action in MIDDLE if action != "reboot_hard"),
        ("stop", "after"),
        ("reboot", "after"),
        ("suspend", "after"),
        ("delete", "after"),
    ],
)
def test_killed_when_it_is_handed_over(scratch_cloud: CloudProcess, seed: Seed, action: str, when: str) -> None:
    """Before the host has it; and when it is done, but the message is not yet forgotten and comes again."""
    shutil.copytree(seed.state, scratch_cloud.state)
    scratch_cloud.start(**KEEPING, KILONOVA_FAULTS=f"step=hand_over,when={when},do=kill")
    act(scratch_cloud.api(actor(action)), seed.server(action), action)
    assert scratch_cloud.died() == -9, "the fault did not strike"
    check(scratch_cloud, seed.server(action), action)


def is_begun(cloud: CloudProcess, server_id: str, step: str) -> bool:
    """The agent is at the step; at a deletion, which has none, it has turned the guest off."""
    if step:
        *_, line = ["{}", *journal_path(cloud.state).read_text().splitlines()]
        newest = json.loads(line).get("step", {})
        return newest.get("step") == step and not newest.get("finished_at")
    lines = (cloud.state / "fake-hypervisor.jsonl").read_bytes().splitlines()
    entries = [msgspec.json.decode(line, type=Entry) for line in lines]
    states = [entry.guest.state for entry in entries if entry.uuid == server_id and entry.guest is not None]
    return states[-1:] == [PowerState.SHUTDOWN]


@pytest.mark.parametrize("action", MIDDLE)
def test_killed_in_the_middle(scratch_cloud: CloudProcess, seed: Seed, action: str) -> None:
    shutil.copytree(seed.state, scratch_cloud.state)
    operation, step = MIDDLE[action]
    scratch_cloud.start(**KEEPING, KILONOVA_DRIVER_FAKE=json.dumps({"delay": {operation: 30}}))
    act(scratch_cloud.api(actor(action)), seed.server(action), action)
    eventually(lambda: is_begun(scratch_cloud, seed.server(action), step), f"{step or action} does not begin")
    scratch_cloud.kill()
    check(scratch_cloud, seed.server(action), action)
