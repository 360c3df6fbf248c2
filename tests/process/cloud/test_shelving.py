"""Servers that are shelved, leave their host and come back, on the fake hypervisor with the real services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess
from tests.process.cloud.test_snapshots import act, gone

HOST, TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"


def shelved_images(api: Api) -> list[str]:
    return [image["id"] for image in api.ok("GET", "image", "/images?name=vm-shelved")["images"]]


def with_port(api: Api) -> str:
    server_id = api.launch(api.image("base"), [{"uuid": api.network()}])
    api.wait(server_id, "ACTIVE")
    return server_id


def port_of(api: Api, server_id: str) -> dict[str, Any]:
    (port,) = api.ok("GET", "network", f"/ports?device_id={server_id}")["ports"]
    return dict(port)


def claimed(admin: Api, server_id: str) -> dict[str, Any]:
    return dict(admin.ok("GET", "placement", f"/allocations/{server_id}")["allocations"])


@pytest.fixture
def two_hosts(scratch_cloud: CloudProcess) -> CloudProcess:
    scratch_cloud.extra = ["--fake-hosts", "2"]
    return scratch_cloud


@pytest.mark.parametrize(("way", "status"), [(None, "ACTIVE"), ("os-stop", "SHUTOFF"), ("suspend", "SUSPENDED")])
def test_there_and_back(two_hosts: CloudProcess, way: str | None, status: str) -> None:
    two_hosts.start()
    api, admin = two_hosts.api("demo"), two_hosts.api()
    server_id = with_port(api)
    before, port = api.server(server_id), port_of(api, server_id)
    if way is not None:
        assert act(api, server_id, **{way: None}).status_code == 202
        api.wait(server_id, status)
    assert act(api, server_id, shelve=None).status_code == 202
    found = api.wait(server_id, "SHELVED_OFFLOADED")
    (image,) = shelved_images(api)
    assert api.ok("GET", "image", f"/images/{image}")["status"] == "active"
    assert found["addresses"] == before["addresses"]
    assert (admin.server(server_id)[HOST], claimed(admin, server_id)) == (None, {})
    bound = admin.ok("GET", "network", f"/ports/{port['id']}")["port"]["binding:host_id"]
    assert bound == ""
    assert two_hosts.verify() == []
    assert act(api, server_id, unshelve=None).status_code == 202
    found = api.wait(server_id, "ACTIVE")
    assert (found["addresses"], port_of(api, server_id)["id"]) == (before["addresses"], port["id"])
    host = admin.server(server_id)[HOST]
    assert admin.ok("GET", "network", f"/ports/{port['id']}")["port"]["binding:host_id"] == host
    assert len(claimed(admin, server_id)) == 1
    gone(api, image)
    actions = api.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert [(a["action"], a["message"]) for a in actions[:2]] == [("unshelve", None), ("shelve", None)]
    assert act(api, server_id, reboot={"type": "HARD"}).status_code == 202
    api.wait(server_id, "ACTIVE")
    api.ok("DELETE", "compute", f"/servers/{server_id}")
    api.wait_gone(server_id)
    assert two_hosts.verify() == []


def test_a_shelved_server_is_deleted_with_its_image_and_port(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    server_id = with_port(api)
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED_OFFLOADED")
    (image,) = shelved_images(api)
    api.ok("DELETE", "compute", f"/servers/{server_id}")
    api.wait_gone(server_id)
    gone(api, image)
    assert api.ok("GET", "network", f"/ports?device_id={server_id}")["ports"] == []
    assert scratch_cloud.verify() == []


def test_the_settings_say_when_it_leaves_its_host(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_CONDUCTOR_SHELVED_OFFLOAD_TIME="-1")
    api, admin = scratch_cloud.api("demo"), scratch_cloud.api()
    server_id = with_port(api)
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED")
    assert (admin.server(server_id)[HOST], len(claimed(admin, server_id))) == (admin.server(server_id)[HOST], 1)
    assert act(api, server_id, unshelve=None).status_code == 202
    api.wait(server_id, "ACTIVE")
    eventually(lambda: shelved_images(api) == [], "the image stays")
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED")
    scratch_cloud.stop()
    scratch_cloud.start(KILONOVA_CONDUCTOR_SHELVED_OFFLOAD_TIME="1", KILONOVA_CONDUCTOR_RECONCILE_INTERVAL="0.2")
    api = scratch_cloud.api("demo")
    api.wait(server_id, "SHELVED_OFFLOADED")
    assert scratch_cloud.verify() == []


def test_an_operator_names_the_host(two_hosts: CloudProcess) -> None:
    two_hosts.start()
    api, admin = two_hosts.api("demo"), two_hosts.api(version="2.91")
    server_id = with_port(api)
    first = admin.server(server_id)[HOST]
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED_OFFLOADED")
    hosts = {s["host"] for s in admin.ok("GET", "compute", "/os-services?binary=nova-compute")["services"]}
    (other,) = hosts - {first}
    assert act(admin, server_id, unshelve={"host": other, "availability_zone": "nova"}).status_code == 202
    api.wait(server_id, "ACTIVE")
    assert admin.server(server_id)[HOST] == other
    assert two_hosts.verify() == []


def test_one_that_finds_no_host_stays_shelved(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_DRIVER_FAKE=json.dumps({"fail": {"full_root": "*"}}))
    api, admin = scratch_cloud.api("demo"), scratch_cloud.api()
    server_id = with_port(api)
    port = port_of(api, server_id)["id"]
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED_OFFLOADED")
    for _ in range(2):
        assert act(api, server_id, unshelve=None).status_code == 202
        api.wait(server_id, "SHELVED_OFFLOADED")
        (action, *_) = api.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
        assert (action["action"], action["message"]) == ("unshelve", "Error")
        assert (admin.server(server_id)[HOST], claimed(admin, server_id)) == (None, {})
        assert (port_of(api, server_id)["id"], len(shelved_images(api))) == (port, 1)
    assert scratch_cloud.verify() == []
    scratch_cloud.stop()
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    assert act(api, server_id, unshelve=None).status_code == 202
    api.wait(server_id, "ACTIVE")
    assert (port_of(api, server_id)["id"], scratch_cloud.verify()) == (port, [])


@pytest.mark.parametrize("step", ["schedule", "dispatch", "networking", "image", "start", "active"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_on_its_way_back(scratch_cloud: CloudProcess, step: str, when: str) -> None:
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    server_id = with_port(api)
    port = port_of(api, server_id)["id"]
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED_OFFLOADED")
    scratch_cloud.stop()
    scratch_cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill")
    assert act(scratch_cloud.api("demo"), server_id, unshelve=None).status_code == 202
    assert scratch_cloud.died() == -9
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    api.wait(server_id, "ACTIVE")
    eventually(lambda: shelved_images(api) == [], "the image stays")
    assert (port_of(api, server_id)["id"], scratch_cloud.verify()) == (port, [])


def test_a_deletion_cuts_it_off(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_DRIVER_FAKE=json.dumps({"delay": {"full_root": 60}}))
    api = scratch_cloud.api("demo")
    server_id = with_port(api)
    act(api, server_id, shelve=None)
    api.wait(server_id, "SHELVED_OFFLOADED")
    act(api, server_id, unshelve=None)
    eventually(lambda: api.server(server_id)[TASK] == "spawning", "it is not shown")
    api.ok("DELETE", "compute", f"/servers/{server_id}")
    api.wait_gone(server_id)
    assert (shelved_images(api), api.ok("GET", "network", f"/ports?device_id={server_id}")["ports"]) == ([], [])
    assert scratch_cloud.verify() == []
