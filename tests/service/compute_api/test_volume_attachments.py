"""A server's volumes over HTTP: given, listed, changed, taken."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from sqlalchemy import select, update

from kilonova.compute import tables
from kilonova.compute.grants import grant_of
from tests.service.compute_api.support import IMAGE, image

UNKNOWN = str(uuid.UUID(int=404))


async def devices(cloud):
    async with cloud.service.database.reading() as connection:
        table = tables.block_devices
        query = select(table).where(table.c.volume_id.is_not(None)).order_by(table.c.id)
        return (await connection.execute(query)).all()


def message(answer):
    (body,) = answer.json.values()
    return body["message"]


async def attach(cloud, server_id, volume_id, at="2.100", token="member", **more):
    body = {"volumeAttachment": {"volumeId": volume_id} | more}
    return await cloud("POST", f"/servers/{server_id}/os-volume_attachments", at, token, json=body)


async def connected(cloud):
    """As the conductor writes it."""
    async with cloud.service.database.transaction() as tx:
        table = tables.block_devices
        values = {"attachment_id": str(uuid.UUID(int=7)), "attached_host": "host-1"}
        await tx.connection.execute(update(table).where(table.c.volume_id.is_not(None)).values(**values))


async def test_a_volume_is_given(cloud):
    server_id, volume_id = await cloud.active(), cloud.volumes.add(size=3)
    answer = await attach(cloud, server_id, volume_id, tag="data", delete_on_termination=True)
    assert answer.status == 200, answer.content
    shown = {"volumeId": volume_id, "serverId": server_id, "device": "/dev/vdb"}
    more = {"tag": "data", "delete_on_termination": True}
    assert answer.json == {"volumeAttachment": shown | more | {"id": volume_id}}
    (row,) = await devices(cloud)
    assert (row.device_name, row.volume_size, row.delete_on_termination, row.tag) == ("/dev/vdb", 3, True, "data")
    ((name, (ref,)),) = await cloud.agent.wait()
    assert (name, ref.action, ref.build.spec.volumes) == ("run_action", "attach_volume", True)
    assert ref.build.arguments == {"device": row.uuid, "volume": volume_id}
    path = f"/servers/{server_id}/os-volume_attachments"
    assert (await cloud("GET", path, "2.88")).json == {"volumeAttachments": [shown | more | {"id": volume_id}]}
    assert (await cloud("GET", path, "2.1")).json == {"volumeAttachments": [shown | {"id": volume_id}]}
    assert (await cloud("GET", path, "2.89")).json == {"volumeAttachments": []}  # nothing of the volume service yet
    await connected(cloud)
    newest = {"volumeAttachment": shown | more | {"attachment_id": str(uuid.UUID(int=7)), "bdm_uuid": row.uuid}}
    assert (await cloud("GET", f"{path}/{volume_id}", "2.89")).json == newest
    view = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert view["os-extended-volumes:volumes_attached"] == [{"id": volume_id, "delete_on_termination": True}]


async def test_the_newest_clients_get_no_body(cloud):
    answer = await attach(cloud, await cloud.active(), cloud.volumes.add(), at="2.101")
    assert (answer.status, answer.content) == (202, b"")


async def test_lists_have_pages(cloud):
    server_id = await cloud.active()
    volumes = [cloud.volumes.add(50 + n) for n in range(3)]
    for volume_id in volumes:
        assert (await attach(cloud, server_id, volume_id)).status == 200
    found = (await cloud("GET", f"/servers/{server_id}/os-volume_attachments?offset=1&limit=1", "2.88")).json
    assert [item["volumeId"] for item in found["volumeAttachments"]] == [volumes[1]]


@pytest.mark.parametrize(
    ("asked", "given"), [("/dev/vdf", "/dev/vdf"), ("/dev/vda", "/dev/vdb"), ("/dev/xvdc", "/dev/vdb")]
)
async def test_names_of_devices(cloud, asked, given):
    """One that can't be had is another one, as upstream's driver does it."""
    answer = await attach(cloud, await cloud.active(), cloud.volumes.add(), device=asked)
    assert answer.json["volumeAttachment"]["device"] == given


async def test_what_can_not_be_attached(cloud):
    server_id, busy = await cloud.active(), cloud.volumes.add(51, status="in-use")
    for volume_id, more, status, words in (
        (UNKNOWN, {}, 404, f"Volume {UNKNOWN} could not be found."),
        ("no-id", {}, 400, "volumeId"),
        (busy, {}, 400, "status must be 'available'"),
        (busy, {"device": "vdb"}, 400, "device"),
        (busy, {"tag": "a,b"}, 400, "tag"),
    ):
        answer = await attach(cloud, server_id, volume_id, **more)
        assert (answer.status, words in message(answer)) == (status, True), answer.content
    assert (await attach(cloud, server_id, busy, at="2.48", tag="x")).status == 400
    assert (await attach(cloud, server_id, busy, at="2.78", delete_on_termination=True)).status == 400
    assert await devices(cloud) == []


async def test_a_volume_has_one_server_unless_it_is_made_for_several(cloud):
    first, second = await cloud.active(), await cloud.active()
    own, shared = cloud.volumes.add(51), cloud.volumes.add(52, multiattach=True)
    assert (await attach(cloud, first, own)).status == 200
    for server_id, words in ((first, "already attached"), (second, f"is already attached to instances: {first}")):
        answer = await attach(cloud, server_id, own)
        assert (answer.status, words in message(answer)) == (400, True), answer.content
    assert (await attach(cloud, first, shared, at="2.59")).status == 400
    assert (await attach(cloud, first, shared)).status == 200
    assert (await attach(cloud, second, shared)).status == 200
    assert (await attach(cloud, second, shared)).status == 400
    taken = await attach(cloud, first, cloud.volumes.add(53), device="/dev/vdb")
    assert (taken.status, message(taken)) == (409, "The supplied device path (/dev/vdb) is in use.")


async def test_a_server_has_so_many_disks(cloud):
    server_id = await cloud.active()
    for number in range(24):
        assert (await attach(cloud, server_id, cloud.volumes.add(100 + number))).status == 200
    answer = await attach(cloud, server_id, cloud.volumes.add(99))
    assert answer.status == 403
    assert "maximum allowed number of disk devices (25)" in message(answer)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"vm_state": "suspended"}, "Cannot 'attach_volume' instance {id} while it is in vm_state suspended"),
        ({"task_state": "rebooting"}, "Cannot 'attach_volume' instance {id} while it is in task_state rebooting"),
    ],
)
async def test_states_in_which_no_volume_is_attached(cloud, columns, words):
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    await cloud.row(server_id, **columns)
    answer = await attach(cloud, server_id, volume_id)
    assert (answer.status, message(answer)) == (409, words.format(id=server_id))
    assert await devices(cloud) == []


async def test_a_volume_is_taken(cloud):
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    await attach(cloud, server_id, volume_id)
    path = f"/servers/{server_id}/os-volume_attachments"
    assert (await cloud("DELETE", f"{path}/{volume_id}")).status == 202
    (row,) = await devices(cloud)  # until its host has let go of it
    _, (_, (ref,)) = await cloud.agent.wait(2)
    assert (ref.action, ref.build.arguments) == ("detach_volume", {"device": row.uuid, "volume": volume_id})
    for method in ("GET", "DELETE"):
        answer = await cloud(method, f"{path}/{UNKNOWN}")
        assert (answer.status, message(answer)) == (404, f"Instance {server_id} is not attached to volume {UNKNOWN}")


async def test_the_root_disk_is_not_taken(cloud):
    volume_id = cloud.volumes.add(bootable=True)
    device = {"source_type": "volume", "uuid": volume_id, "boot_index": 0}
    server_id = await cloud.active(imageRef="", block_device_mapping_v2=[device])
    answer = await cloud("DELETE", f"/servers/{server_id}/os-volume_attachments/{volume_id}")
    assert (answer.status, message(answer)) == (400, "Cannot detach a root device volume")


async def test_a_server_on_no_host_keeps_what_it_gets(cloud):
    """The conductor reserves the volume; nothing is sent to a host."""
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    await cloud.row(server_id, vm_state="shelved_offloaded", host=None, node=None)
    assert (await attach(cloud, server_id, volume_id, at="2.19")).status == 409
    assert (await attach(cloud, server_id, volume_id, tag="x")).status == 400
    assert (await attach(cloud, server_id, cloud.volumes.add(52, multiattach=True))).status == 400
    assert (await attach(cloud, server_id, volume_id)).status == 200
    path = f"/servers/{server_id}/os-volume_attachments/{volume_id}"
    (row,) = await devices(cloud)
    assert (await cloud("DELETE", path, "2.19")).status == 409
    assert (await cloud("DELETE", path)).status == 202
    seen = await cloud.conductor.wait(3)
    assert seen[1:] == [("reserve_volumes", (server_id,)), ("drop_volume", (server_id, row.uuid))]
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert {item["action"] for item in actions} >= {"attach_volume", "detach_volume"}


async def test_what_goes_with_the_server_is_changed(cloud):
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    await attach(cloud, server_id, volume_id, tag="data")
    path = f"/servers/{server_id}/os-volume_attachments/{volume_id}"

    async def put(at="2.85", token="member", **fields):
        body = {"volumeAttachment": {"volumeId": volume_id} | fields}
        return await cloud("PUT", path, at, token, json=body)

    assert (await put(delete_on_termination=True, tag="data", serverId=server_id, device="/dev/vdb")).status == 202
    assert [row.delete_on_termination for row in await devices(cloud)] == [True]
    answer = await put(tag="other", delete_on_termination=False)
    assert (answer.status, message(answer)) == (400, "The tag property is not mutable")
    assert [row.delete_on_termination for row in await devices(cloud)] == [True]
    assert (await put(at="2.84", delete_on_termination=True)).status == 400
    assert (await put(at="2.84")).status == 403  # it would swap the volume
    assert (await put(volumeId=cloud.volumes.add(60))).status == 403


@pytest.mark.parametrize(("token", "status"), [("foreign", 404), ("reader", 403), (None, 401)])
async def test_who_may(cloud, token, status):
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    path = f"/servers/{server_id}/os-volume_attachments"
    assert (await attach(cloud, server_id, volume_id, token=token)).status == status
    assert (await cloud("DELETE", f"{path}/{volume_id}", token=token)).status == status
    change = {"volumeAttachment": {"volumeId": volume_id}}
    assert (await cloud("PUT", f"{path}/{volume_id}", token=token, json=change)).status == status
    assert await devices(cloud) == []


async def test_a_guest_is_told_of_a_volume_that_has_grown(cloud):
    server_id, volume_id = await cloud.active(), cloud.volumes.add(size=1)
    await attach(cloud, server_id, volume_id)
    cloud.volumes.held[volume_id].size = 5
    event = {"name": "volume-extended", "server_uuid": server_id, "tag": volume_id}
    answer = await cloud("POST", "/os-server-external-events", "2.51", "admin", json={"events": [event]})
    assert answer.status == 200
    _, (_, (ref,)) = await cloud.agent.wait(2)
    (row,) = await devices(cloud)
    assert (ref.action, ref.build.arguments) == (
        "extend_volume", {"device": row.uuid, "volume": volume_id, "size": "5"},
    )  # fmt: skip


async def test_an_image_of_a_server_that_boots_from_a_volume(cloud):
    """It has no data: it names snapshots, of which another server's volumes are made."""
    volume_id = cloud.volumes.add(bootable=True, size=2, image={"hw_disk_bus": "scsi"})
    device = {"source_type": "volume", "uuid": volume_id, "boot_index": 0, "delete_on_termination": True}
    server_id = await cloud.active(imageRef="", block_device_mapping_v2=[device])
    answer = await cloud("POST", f"/servers/{server_id}/action", json={"createImage": {"name": "frozen"}})
    assert answer.status == 202, answer.content
    image = cloud.images.held[answer.json["image_id"]]
    assert (image.size, image.properties["bdm_v2"], image.properties["hw_disk_bus"]) == (0, "True", "scsi")
    (snapshot,) = cloud.volumes.snapshots.values()
    again = await cloud.boot(imageRef=image.id)
    assert again.status == 202, again.content
    row = (await devices(cloud))[-1]
    assert (row.source_type, row.snapshot_id, row.boot_index, row.volume_size) == ("snapshot", snapshot.id, 0, 2)
    assert row.volume_id not in (None, volume_id)
    backup = {"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}}
    refused = await cloud("POST", f"/servers/{server_id}/action", json=backup)
    assert (refused.status, message(refused)) == (400, "Backup is not supported for volume-backed instances.")


async def test_what_a_server_that_boots_from_a_volume_can_not(cloud):
    other = str(uuid.UUID(int=77))
    cloud.images.held[other] = cloud.images.held[IMAGE]
    volume_id = cloud.volumes.add(bootable=True, image={"image_id": other})
    device = {"source_type": "volume", "uuid": volume_id, "boot_index": 0}
    server_id = await cloud.active(imageRef="", block_device_mapping_v2=[device])
    path = f"/servers/{server_id}/action"
    refused = await cloud("POST", path, json={"rebuild": {"imageRef": IMAGE}})
    assert refused.status == 400
    assert "Unable to rebuild with a different image for a volume-backed server." in message(refused)
    for at in ("2.86", "2.104"):  # the image does not say as what it is to be beside the server's disks
        refused = await cloud("POST", path, at, json={"rescue": {"rescue_image_ref": IMAGE}})
        assert (refused.status, "Cannot rescue a volume-backed instance" in message(refused)) == (400, True)
    cloud.images.held[IMAGE].properties["hw_rescue_device"] = "disk"
    assert (await cloud("POST", path, "2.86", json={"rescue": {"rescue_image_ref": IMAGE}})).status == 400
    assert (await cloud("POST", path, "2.87", json={"rescue": {"rescue_image_ref": IMAGE}})).status == 200


async def test_what_users_write_to_a_volume_of_its_image_gives_nothing(cloud):
    """An image that is named there is found as if the user had asked for it, and no host may read it for the server."""
    foreign = str(uuid.UUID(int=77))
    of_volume = {"image_id": foreign, "hw_rescue_device": "disk", "min_ram": "x"}
    device = {"source_type": "volume", "uuid": cloud.volumes.add(bootable=True, image=of_volume), "boot_index": 0}
    server_id = await cloud.active(imageRef="", block_device_mapping_v2=[device])
    path = f"/servers/{server_id}/action"
    refused = await cloud("POST", path, json={"rescue": None})
    assert (refused.status, message(refused)) == (400, f"Requested rescue image '{foreign}' is not supported")
    cloud.images.held[foreign] = image(foreign, properties={"hw_rescue_device": "disk"})
    assert (await cloud("POST", path, json={"rescue": None})).status == 200
    ((_, (ref,)),) = await cloud.agent.wait()
    assert cloud.service.core.grants.read(ref.build.grant, 0).images == (foreign,)  # as the user's own wish
    spec = msgspec.structs.replace(ref.build.spec, rescue=None)
    assert grant_of(msgspec.structs.replace(ref.build, spec=spec), "host", 0).images == ()


async def test_a_volume_has_no_properties_that_an_image_can_not_have(cloud):
    volume_id = cloud.volumes.add(bootable=True, image={"hw_disk_bus": "floppy disks"})
    device = {"source_type": "volume", "uuid": volume_id, "boot_index": 0}
    assert (await cloud.boot(imageRef="", block_device_mapping_v2=[device])).status == 400


async def test_shelving_a_server_that_boots_from_a_volume_makes_no_image(cloud):
    volume_id = cloud.volumes.add(bootable=True)
    device = {"source_type": "volume", "uuid": volume_id, "boot_index": 0}
    server_id = await cloud.active(imageRef="", block_device_mapping_v2=[device])
    before = set(cloud.images.held)
    assert (await cloud("POST", f"/servers/{server_id}/action", json={"shelve": None})).status == 202
    assert set(cloud.images.held) == before
    await cloud.row(server_id, vm_state="shelved_offloaded", task_state=None, host=None, node=None)
    assert (await cloud("POST", f"/servers/{server_id}/action", json={"unshelve": None})).status == 202
