"""Images and backups of servers: what is asked of the image service, and what the host gets."""

from __future__ import annotations

import pytest

from kilonova.core import errors
from tests.service.compute_api.support import IMAGE, Cloud, image
from tests.service.compute_api.test_actions import act
from tests.support import CALLERS, PROJECT


def new(cloud: Cloud) -> list[str]:
    return [image_id for image_id in cloud.images.held if image_id != IMAGE]


async def test_the_host_gets_the_image_to_fill(cloud: Cloud) -> None:
    cloud.images.held[IMAGE] = image(
        min_ram=16, properties={"hw_rng_model": "virtio", "img_signature": "x", "os_glance_x": "y"}
    )
    server_id = await cloud.active()
    answer = await act(cloud, server_id, createImage={"name": "new", "metadata": {"a": "b"}})
    assert answer.status == 202, answer.content
    (image_id,) = new(cloud)
    assert answer.json == {"image_id": image_id}
    made = cloud.images.held[image_id]
    assert (made.name, made.visibility, made.disk_format, made.min_ram, made.min_disk) == (
        "new",
        "private",
        "qcow2",
        16,
        1,
    )
    assert made.properties["a"] == "b"
    assert made.properties["base_image_ref"] == IMAGE
    assert made.properties.keys() >= {"hw_rng_model", "instance_uuid", "image_type"}
    assert not made.properties.keys() & {"img_signature", "os_glance_x"}
    ((_, (ref,)),) = await cloud.agent.wait()
    assert (ref.action, ref.build.spec.snapshot.image) == ("createImage", image_id)
    granted = cloud.service.core.grants.read(ref.build.grant, 0)
    assert granted is not None
    assert (granted.fills, granted.images) == ((image_id,), (IMAGE,))
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", "image_snapshot_pending")


@pytest.mark.parametrize(
    ("name", "body"),
    [("createImage", {"name": "x"}), ("createBackup", {"name": "x", "backup_type": "daily", "rotation": 1})],
)
async def test_refusals_make_no_image(cloud: Cloud, name: str, body: dict[str, object]) -> None:
    server_id = await cloud.active()
    for values in (
        {"vm_state": "error"}, {"vm_state": "rescued"}, {"vm_state": "shelved"}, {"task_state": "rebooting"},
        {"task_state": "image_uploading"}, {"host": None},
    ):  # fmt: skip
        await cloud.row(server_id, **{"vm_state": "active", "task_state": None, "host": "host-1"} | values)
        answer = await act(cloud, server_id, **{name: body})
        assert answer.status == 409, (values, answer.content)
    await cloud.row(server_id, vm_state="active", task_state=None, host="host-1")
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await act(cloud, server_id, token=token, **{name: body})).status == status
    for wrong in ({"name": 5}, {"metadata": {"a": 1}}, {"metadata": {"": "x"}}, {"more": "x"}, {"name": "n" * 256}):
        assert (await act(cloud, server_id, **{name: body | wrong})).status == 400, wrong
    cloud.images.refuses = errors.TooLarge("There is no room.")
    answer = await act(cloud, server_id, **{name: body})
    assert (answer.status, answer.json["forbidden"]["message"]) == (403, "There is no room.")
    assert (new(cloud), cloud.agent.seen) == ([], [])
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert shown["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize("wrong", [{"rotation": -1}, {"rotation": "x"}, {"backup_type": 3}, {"rotation": None}])
async def test_a_backup_must_be_one(cloud: Cloud, wrong: dict[str, object]) -> None:
    body = {"name": "x", "backup_type": "daily", "rotation": 1} | wrong
    assert (await act(cloud, await cloud.active(), createBackup=body)).status == 400
    for missing in ("name", "backup_type", "rotation"):
        fewer = {key: value for key, value in body.items() if key != missing}
        assert (await act(cloud, await cloud.active(), createBackup=fewer)).status == 400


async def test_the_quota_of_metadata_counts(cloud: Cloud) -> None:
    server_id = await cloud.active()
    many = {str(number): "x" for number in range(129)}
    answer = await act(cloud, server_id, createImage={"name": "x", "metadata": many})
    assert (answer.status, answer.json["forbidden"]["message"]) == (403, "Image metadata limit exceeded")
    backup = {"name": "x", "backup_type": "daily", "rotation": 1, "metadata": many}
    assert (await act(cloud, server_id, at="2.38", createBackup=backup)).status == 403
    assert new(cloud) == []
    assert (await act(cloud, server_id, at="2.39", createBackup=backup)).status == 202


async def test_a_lock_does_not_hinder_and_a_lost_race_leaves_no_image(cloud: Cloud) -> None:
    server_id = await cloud.active()
    assert (await act(cloud, server_id, token="admin", lock=None)).status == 202

    async def create(ctx: object, properties: dict[str, str], **attributes: object) -> object:
        await cloud.row(server_id, task_state="deleting")
        return await type(cloud.images).create(cloud.images, ctx, properties, **attributes)

    cloud.images.create = create  # type: ignore[method-assign]
    answer = await act(cloud, server_id, createImage={"name": "late"})
    assert answer.status == 409
    assert "task_state deleting" in answer.json["conflictingRequest"]["message"]
    assert (new(cloud), cloud.agent.seen) == ([], [])
    del cloud.images.create
    await cloud.row(server_id, task_state=None)
    assert (await act(cloud, server_id, createImage={"name": "of a locked server"})).status == 202


async def test_an_operators_image_is_shared_with_the_servers_project(cloud: Cloud) -> None:
    server_id = await cloud.active()
    answer = await act(cloud, server_id, token="admin", createImage={"name": "x"})
    image_id = answer.json["image_id"]
    made = cloud.images.held[image_id]
    if CALLERS["admin"].project_id == PROJECT:
        assert (made.visibility, cloud.images.shared) == ("private", [])
    else:
        assert (made.visibility, cloud.images.shared) == ("shared", [(image_id, PROJECT)])
        assert made.properties["instance_owner"] == PROJECT
