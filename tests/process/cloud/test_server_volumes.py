"""Servers with volumes in a whole cloud: made, given, taken, moved and kept, and what users see of both."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def image(demo: Api) -> str:
    return demo.image("plain")


def volume(api: Api, **fields: Any) -> str:
    """A new volume that is ready; its id."""
    made = api.ok("POST", "volume", "/volumes", {"volume": {"size": 1, "name": "v"} | fields})["volume"]["id"]
    becomes(api, made, "available")
    return str(made)


def status(api: Api, volume_id: str) -> str:
    return str(api.ok("GET", "volume", f"/volumes/{volume_id}")["volume"]["status"])


def becomes(api: Api, volume_id: str, wanted: str) -> None:
    eventually(
        lambda: status(api, volume_id), lambda: f"it is {status(api, volume_id)}, not {wanted}",
        satisfies=lambda found: found == wanted,
    )  # fmt: skip


def is_gone(api: Api, volume_id: str) -> None:
    eventually(lambda: api("GET", "volume", f"/volumes/{volume_id}").status_code == 404)


def from_volume(api: Api, device: dict[str, Any], **fields: Any) -> str:
    """A server that boots from it."""
    return api.launch("", block_device_mapping_v2=[{"boot_index": 0} | device], **fields)


def attach(api: Api, server: str, volume_id: str) -> dict[str, Any]:
    body = {"volumeAttachment": {"volumeId": volume_id}}
    return dict(api.ok("POST", "compute", f"/servers/{server}/os-volume_attachments", body)["volumeAttachment"])


def attached(api: Api, server: str) -> list[str]:
    return [one["id"] for one in api.server(server)["os-extended-volumes:volumes_attached"]]


def act(api: Api, server: str, action: str, *statuses: str, arguments: Any = None, user: Api | None = None) -> None:
    (user or api).ok("POST", "compute", f"/servers/{server}/action", {action: arguments})
    api.wait(server, *statuses)


def remove(api: Api, server: str) -> None:
    api.ok("DELETE", "compute", f"/servers/{server}")
    api.wait_gone(server)


def test_a_volume_is_given_and_taken(demo: Api, image: str, cloud: CloudProcess) -> None:
    server, data = demo.launch(image), volume(demo)
    demo.wait(server, "ACTIVE")
    assert attach(demo, server, data)["device"] == "/dev/vdb"
    becomes(demo, data, "in-use")
    (held,) = demo.ok("GET", "volume", f"/volumes/{data}")["volume"]["attachments"]
    assert held["server_id"] == server
    assert attached(demo, server) == [data]
    demo.ok("POST", "volume", f"/volumes/{data}/action", {"os-extend": {"new_size": 2}})
    actions = f"/servers/{server}/os-instance-actions"
    eventually(lambda: "extend_volume" in [a["action"] for a in demo.ok("GET", "compute", actions)["instanceActions"]])
    refused = demo("DELETE", "volume", f"/volumes/{data}")
    assert refused.status_code == 400
    bypass = demo("DELETE", "volume", f"/attachments/{held['attachment_id']}")
    assert bypass.status_code == 409, bypass.text
    for action in ({"os-detach": {}}, {"os-terminate_connection": {"connector": {}}}):
        bypass = demo("POST", "volume", f"/volumes/{data}/action", action)
        assert bypass.status_code == 409, bypass.text
    forced = cloud.api()("POST", "volume", f"/volumes/{data}/action", {"os-force_detach": {}})
    assert forced.status_code == 409, forced.text
    becomes(demo, data, "in-use")
    demo.ok("DELETE", "compute", f"/servers/{server}/os-volume_attachments/{data}")
    becomes(demo, data, "available")
    assert attached(demo, server) == []
    remove(demo, server)


def test_a_server_lives_on_a_volume(demo: Api, image: str, cloud: CloudProcess) -> None:
    """Made from an image, with the server deleted in the end; off, on, shelved, moved."""
    admin = cloud.api()
    device = {"source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1}
    server, data = from_volume(demo, device | {"delete_on_termination": True}), volume(demo)
    demo.wait(server, "ACTIVE")
    (root,) = attached(demo, server)
    shown = demo.ok("GET", "volume", f"/volumes/{root}")["volume"]
    assert (shown["status"], shown["bootable"], demo.server(server)["image"]) == ("in-use", "true", "")
    attach(demo, server, data)
    becomes(demo, data, "in-use")
    act(demo, server, "reboot", "ACTIVE", arguments={"type": "HARD"})
    act(demo, server, "os-stop", "SHUTOFF")
    act(demo, server, "os-start", "ACTIVE")
    act(demo, server, "migrate", "VERIFY_RESIZE", user=admin)
    act(demo, server, "confirmResize", "ACTIVE")
    act(demo, server, "migrate", "VERIFY_RESIZE", user=admin)
    act(demo, server, "revertResize", "ACTIVE")
    act(demo, server, "shelve", "SHELVED_OFFLOADED")
    assert {status(demo, one) for one in (root, data)} == {"in-use"}
    act(demo, server, "unshelve", "ACTIVE")
    assert {*attached(demo, server)} == {root, data}
    remove(demo, server)
    is_gone(demo, root)
    assert status(demo, data) == "available"
    demo.ok("DELETE", "volume", f"/volumes/{data}")


def test_an_image_of_such_a_server_makes_another(demo: Api, image: str) -> None:
    root = volume(demo, imageRef=image)
    server = from_volume(demo, {"source_type": "volume", "uuid": root})
    demo.wait(server, "ACTIVE")
    made = demo.ok("POST", "compute", f"/servers/{server}/action", {"createImage": {"name": "frozen"}})["image_id"]
    snapshots = demo.ok("GET", "volume", f"/snapshots?volume_id={root}")["snapshots"]
    assert len(snapshots) == 1
    eventually(
        lambda: demo.ok("GET", "volume", f"/snapshots/{snapshots[0]['id']}")["snapshot"]["status"] == "available"
    )
    again = demo.launch(made)
    demo.wait(again, "ACTIVE")
    (copy,) = attached(demo, again)
    assert demo.ok("GET", "volume", f"/volumes/{copy}")["volume"]["snapshot_id"] == snapshots[0]["id"]
    for one in (again, server):
        remove(demo, one)


def test_a_volume_that_can_not_be_made_is_told(demo: Api, image: str) -> None:
    """Its quota is full: the server has the reason, and is deleted with nothing left."""
    device = {"source_type": "blank", "destination_type": "volume", "volume_size": 100000}
    root = {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0}
    server = demo.launch(image, block_device_mapping_v2=[root, device | {"boot_index": -1}])
    fault = demo.wait(server, "ERROR")["fault"]["message"]
    assert "exceeds allowed gigabytes quota" in fault
    remove(demo, server)


def test_a_server_with_a_volume_is_evacuated(demo: Api, image: str, cloud: CloudProcess) -> None:
    admin, data = cloud.api(), volume(demo)
    server = demo.launch(image)
    demo.wait(server, "ACTIVE")
    attach(demo, server, data)
    becomes(demo, data, "in-use")
    source = admin.server(server)["OS-EXT-SRV-ATTR:host"]
    services = admin.ok("GET", "compute", f"/os-services?host={source}&binary=nova-compute")["services"]
    down = f"/os-services/{services[0]['id']}"
    admin.ok("PUT", "compute", down, {"forced_down": True})
    try:
        act(demo, server, "evacuate", "ACTIVE", arguments={}, user=admin)
        assert admin.server(server)["OS-EXT-SRV-ATTR:host"] != source
        (held,) = admin.ok("GET", "volume", f"/volumes/{data}")["volume"]["attachments"]
        assert held["host_name"] == admin.server(server)["OS-EXT-SRV-ATTR:host"]
    finally:
        admin.ok("PUT", "compute", down, {"forced_down": False})
    remove(demo, server)
    assert status(demo, data) == "available"


def test_clients_that_ask_compute_for_volumes(cloud: CloudProcess) -> None:
    old = cloud.api("demo", version="2.35")
    asked = {"size": 1, "display_name": "old", "metadata": {"a": "b"}}
    made = old.ok("POST", "compute", "/os-volumes", {"volume": asked})["volume"]
    becomes(old, made["id"], "available")
    shown = old.ok("GET", "compute", f"/os-volumes/{made['id']}")["volume"]
    assert (shown["displayName"], shown["metadata"], shown["attachments"]) == ("old", {"a": "b"}, [{}])
    listed = old.ok("GET", "compute", "/os-volumes/detail?limit=1&offset=0")["volumes"]
    assert len(listed) == 1
    body = {"snapshot": {"volume_id": made["id"], "display_name": "s"}}
    snapshot = old.ok("POST", "compute", "/os-snapshots", body)["snapshot"]
    taken = f"/os-snapshots/{snapshot['id']}"
    eventually(lambda: old.ok("GET", "compute", taken)["snapshot"]["status"] == "available")
    assert old.ok("GET", "compute", "/os-snapshots")["snapshots"][0]["volumeId"] == made["id"]
    assert old("DELETE", "compute", taken).status_code == 202
    eventually(lambda: old("GET", "compute", taken).status_code == 404)
    assert old("DELETE", "compute", f"/os-volumes/{made['id']}").status_code == 202
    is_gone(old, made["id"])
    assert cloud.api("demo", version="2.36")("GET", "compute", "/os-volumes").status_code == 404


def test_nothing_is_left(cloud: CloudProcess) -> None:
    assert cloud.verify() == []
    assert cloud.api().ok("GET", "volume", "/attachments?all_tenants=1")["attachments"] == []


KILLS = [
    ("block_device_mapping", "after", "POST", ""),
    ("attach_volume", "before", "POST", "/os-volume_attachments"),
    ("detach_volume", "before", "DELETE", "/os-volume_attachments/"),
]


@pytest.mark.parametrize(("step", "when", "method", "below"), KILLS)
def test_killed_in_the_middle(scratch_cloud: CloudProcess, step: str, when: str, method: str, below: str) -> None:
    """What was begun is done after the next start, and in the end nothing is left of it. The grid of steps is in
    tests/component/agent/test_volumes.py."""
    scratch_cloud.start(KILONOVA_FAULTS=f"step={step},when={when},do=kill,count=1")
    api = scratch_cloud.api("demo")
    source, data = api.image("plain"), volume(api)
    device = {"source_type": "image", "destination_type": "volume", "uuid": source, "volume_size": 1}
    server = from_volume(api, device | {"delete_on_termination": True})
    path = f"/servers/{server}{below}"
    if below:
        api.wait(server, "ACTIVE")
        if method == "DELETE":
            attach(api, server, data)
            becomes(api, data, "in-use")
        with contextlib.suppress(httpx.TransportError):
            api(
                method, "compute", path + (data if method == "DELETE" else ""), {"volumeAttachment": {"volumeId": data}}
            )
    assert scratch_cloud.died() == -9, "the fault did not strike"
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    api.wait(server, "ACTIVE")
    becomes(api, data, "in-use" if below and method == "POST" else "available")
    assert scratch_cloud.verify() == []
    remove(api, server)
    becomes(api, data, "available")
    assert [one["id"] for one in api.ok("GET", "volume", "/volumes")["volumes"]] == [data]
    assert scratch_cloud.verify() == []
