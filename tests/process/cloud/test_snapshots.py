"""Images and backups of servers, as users make them, on the fake hypervisor with the real image service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def base(demo: Api) -> str:
    return demo.image("base", min_ram=64, hw_rng_model="virtio", cache_in_nova="true", os_distro="debian")


def act(api: Api, server_id: str, **action: Any) -> Any:
    return api("POST", "compute", f"/servers/{server_id}/action", action)


def image_of(api: Api, image_id: str, status: str = "active") -> dict[str, Any]:
    return eventually(
        lambda: api.ok("GET", "image", f"/images/{image_id}"), f"image {image_id} is not {status}",
        satisfies=lambda image: image["status"] == status,
    )  # fmt: skip


def gone(api: Api, image_id: str) -> None:
    eventually(lambda: api("GET", "image", f"/images/{image_id}").status_code == 404, f"image {image_id} is there")


def running(api: Api, base: str) -> str:
    server_id = api.launch(base)
    api.wait(server_id, "ACTIVE")
    return server_id


@pytest.mark.parametrize(
    ("way", "status"), [(None, "ACTIVE"), ("os-stop", "SHUTOFF"), ("pause", "PAUSED"), ("suspend", "SUSPENDED")]
)
def test_an_image_of_a_server(cloud: CloudProcess, demo: Api, base: str, way: str | None, status: str) -> None:
    server_id = running(demo, base)
    if way is not None:
        assert act(demo, server_id, **{way: None}).status_code == 202
        demo.wait(server_id, status)
    answer = act(
        demo, server_id, createImage={"name": " fresh ", "metadata": {"made": "by hand", "image_type": "test"}}
    )
    assert answer.status_code == 400  # space at the ends
    answer = act(demo, server_id, createImage={"name": "fresh", "metadata": {"made": "by hand", "image_type": "test"}})
    assert answer.status_code == 202, answer.text
    image = image_of(demo, answer.json()["image_id"])
    expected = {
        "name": "fresh", "visibility": "private", "owner": demo.project_id, "disk_format": "qcow2", "container_format": "bare",
        "min_ram": 64, "min_disk": 1, "made": "by hand", "image_type": "test", "base_image_ref": base,
        "instance_uuid": server_id, "hw_rng_model": "virtio", "os_distro": "debian", "image_location": "snapshot",
        "image_state": "available", "owner_id": demo.project_id, "virtual_size": 65536,
    }  # fmt: skip
    assert {name: image.get(name) for name in expected} == expected
    assert "cache_in_nova" not in image
    demo.wait(server_id, status)
    (action, *_) = demo.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert (action["action"], action["message"]) == ("createImage", None)
    found = demo.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions/{action['request_id']}")
    events = [event["event"] for event in found["instanceAction"]["events"]]
    assert events == ["compute_snapshot", "compute_pack", "compute_upload"]
    another = demo.launch(image["id"])
    demo.wait(another, "ACTIVE")
    for server in (server_id, another):
        demo.ok("DELETE", "compute", f"/servers/{server}")
        demo.wait_gone(server)
    assert image_of(demo, image["id"])
    assert cloud.verify() == []


def test_the_image_is_named_in_a_header_until_2_44(cloud: CloudProcess, demo: Api, base: str) -> None:
    server_id = running(demo, base)
    older = cloud.api("demo", version="2.44")
    for number, (action, shown) in enumerate([
        ({"createImage": {"name": "older"}}, True),
        ({"createBackup": {"name": "older", "backup_type": "weekly", "rotation": "1"}}, True),
        ({"createBackup": {"name": "older", "backup_type": "hourly", "rotation": 0}}, False),
    ]):  # fmt: skip
        answer = act(older, server_id, **action)
        assert (answer.status_code, answer.content) == (202, b""), number
        assert ("location" in answer.headers) == shown
        if shown:
            start, _, image_id = answer.headers["location"].rpartition("/")
            assert start.endswith("/image/images")
            image_of(demo, image_id)
        demo.wait(server_id, "ACTIVE")
    demo.ok("DELETE", "compute", f"/servers/{server_id}")


def backups(api: Api, server_id: str, backup_type: str) -> list[str]:
    path = f"/images?image_type=backup&instance_uuid={server_id}&backup_type={backup_type}&sort=created_at:asc"
    return [image["name"] for image in api.ok("GET", "image", path)["images"]]


def test_backups_take_turns(demo: Api, base: str) -> None:
    server_id = running(demo, base)
    for number in range(4):
        body = {"name": f"backup-{number}", "backup_type": "daily", "rotation": 2, "metadata": {"n": str(number)}}
        image_id = act(demo, server_id, createBackup=body).json()["image_id"]
        image_of(demo, image_id)
        demo.wait(server_id, "ACTIVE")
    act(demo, server_id, createBackup={"name": "other", "backup_type": "weekly", "rotation": 1})
    demo.wait(server_id, "ACTIVE")
    eventually(
        lambda: backups(demo, server_id, "daily"), "more than two", satisfies=lambda f: f == ["backup-2", "backup-3"]
    )
    assert backups(demo, server_id, "weekly") == ["other"]
    act(demo, server_id, createBackup={"name": "none", "backup_type": "daily", "rotation": 0})
    demo.wait(server_id, "ACTIVE")
    eventually(lambda: backups(demo, server_id, "daily"), "some stayed", satisfies=lambda found: found == [])
    assert backups(demo, server_id, "weekly") == ["other"]


def test_of_another_projects_server_the_owner_is_a_member(cloud: CloudProcess, demo: Api, base: str) -> None:
    admin, server_id = cloud.api(), running(demo, base)
    image_id = act(admin, server_id, createImage={"name": "by an operator"}).json()["image_id"]
    image = image_of(admin, image_id)
    assert (image["visibility"], image["owner"], image["instance_owner"]) == (
        "shared",
        admin.project_id,
        demo.project_id,
    )
    assert demo("GET", "image", f"/images/{image_id}").status_code == 200
    assert act(cloud.api("admin"), server_id, lock=None).status_code == 202
    assert act(demo, server_id, createImage={"name": "of a locked server"}).status_code == 202
    admin.ok("DELETE", "compute", f"/servers/{server_id}")


def test_a_server_deleted_meanwhile_leaves_no_image(scratch_cloud: CloudProcess) -> None:

    scratch_cloud.start(KILONOVA_DRIVER_FAKE=json.dumps({"delay": {"export": 60}}))
    api = scratch_cloud.api("demo")
    server_id = running(api, api.image("base"))
    image_id = act(api, server_id, createImage={"name": "cut off"}).json()["image_id"]
    eventually(
        lambda: api.server(server_id), "it is not shown",
        satisfies=lambda server: server["OS-EXT-STS:task_state"] == "image_pending_upload",
    )  # fmt: skip
    assert act(api, server_id, createImage={"name": "second"}).status_code == 409
    assert act(api, server_id, **{"os-stop": None}).status_code == 409
    assert len([i for i in api.ok("GET", "image", "/images")["images"] if i["name"] in ("cut off", "second")]) == 1
    api.ok("DELETE", "compute", f"/servers/{server_id}")
    api.wait_gone(server_id)
    gone(api, image_id)
    assert scratch_cloud.verify() == []


def test_a_failure_leaves_no_image_and_the_server_as_it_was(scratch_cloud: CloudProcess) -> None:

    scratch_cloud.start(KILONOVA_DRIVER_FAKE=json.dumps({"fail": {"export": "*"}}))
    api = scratch_cloud.api("demo")
    server_id = running(api, api.image("base"))
    image_id = act(api, server_id, createImage={"name": "broken"}).json()["image_id"]
    gone(api, image_id)
    assert api.wait(server_id, "ACTIVE")
    (action, *_) = api.ok("GET", "compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
    assert (action["action"], action["message"]) == ("createImage", "Error")
    api.ok("DELETE", "compute", f"/servers/{server_id}")
