"""Disks that a launch asks for: volumes in all their forms, ephemeral disks, swap; what can't be is refused."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from sqlalchemy import select

from kilonova.compute import tables
from kilonova.compute.store import request_specs
from tests.service.compute_api.support import IMAGE

UNKNOWN = str(uuid.UUID(int=404))
ROOT = {"source_type": "image", "destination_type": "local", "uuid": IMAGE, "boot_index": 0}


async def rows(cloud, table):
    async with cloud.service.database.reading() as connection:
        return (await connection.execute(select(table).order_by(table.c.id if "id" in table.c else None))).all()


async def spec_of(cloud, server_id):
    async with cloud.service.database.reading() as connection:
        return await request_specs.get(connection, server_id)


def message(answer):
    (body,) = answer.json.values()
    return body["message"]


async def flavor(cloud, flavor_id="9", **more):
    fields = {"id": flavor_id, "name": f"f{flavor_id}", "ram": 64, "vcpus": 1, "disk": 0} | more
    answer = await cloud("POST", "/flavors", "2.1", "admin", json={"flavor": fields})
    assert answer.status == 200, answer.content
    return flavor_id


async def test_a_server_boots_from_a_volume(cloud):
    volume = cloud.volumes.add(bootable=True, size=3, image={"hw_disk_bus": "scsi", "min_ram": "32", "image_id": IMAGE})
    small = await flavor(cloud)  # no disk of its own: only for servers whose root disk is a volume
    device = {"source_type": "volume", "uuid": volume, "boot_index": 0, "delete_on_termination": True, "tag": "root"}
    made = await cloud.boot(imageRef="", flavorRef=small, block_device_mapping_v2=[device])
    assert made.status == 202, made.content
    (row,) = await rows(cloud, tables.block_devices)
    assert (row.source_type, row.destination_type, row.volume_id) == ("volume", "volume", volume)
    assert (row.volume_size, row.device_name, row.delete_on_termination, row.tag) == (3, "/dev/vda", True, "root")
    spec = await spec_of(cloud, made.json["server"]["id"])
    assert (spec.volumes, spec.volume_backed, spec.image.properties) == (True, True, {"hw_disk_bus": "scsi"})
    shown = (await cloud("GET", f"/servers/{made.json['server']['id']}")).json["server"]
    assert shown["image"] == ""
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": volume, "delete_on_termination": True}]


@pytest.mark.parametrize(
    ("source", "size"), [({"source_type": "image", "uuid": IMAGE}, 2), ({"source_type": "snapshot"}, None)]
)
async def test_a_root_volume_is_made(cloud, source, size):
    """It has its id from the beginning, each server its own."""
    snapshot = cloud.volumes.add_snapshot(cloud.volumes.add(bootable=True), size=5)
    device = {"destination_type": "volume", "boot_index": "0", "volume_size": size, "volume_type": "fast"}
    device |= source if "uuid" in source else source | {"uuid": snapshot}
    made = await cloud.boot(imageRef="", block_device_mapping_v2=[device], min_count=2)
    assert made.status == 202, made.content
    found = await rows(cloud, tables.block_devices)
    assert len({row.volume_id for row in found} - {None}) == 2
    assert len({row.uuid for row in found} - {None}) == 2
    assert {(row.volume_size, row.volume_type) for row in found} == {(size or 5, "fast")}


async def test_all_kinds_of_disks_beside_an_image(cloud):
    volume = cloud.volumes.add()
    large = await flavor(cloud, disk=1, **{"OS-FLV-EXT-DATA:ephemeral": 4}, swap=512)
    devices = [
        ROOT,
        {"source_type": "blank", "destination_type": "local", "volume_size": 1, "guest_format": "ext3"},
        {"source_type": "blank", "guest_format": "swap", "volume_size": 256},
        {
            "source_type": "volume",
            "uuid": volume,
            "device_name": "/dev/vdx",
            "disk_bus": "scsi",
            "device_type": "cdrom",
        },
        {"source_type": "blank", "destination_type": "volume", "volume_size": 7, "boot_index": -1},
    ]
    made = await cloud.boot(flavorRef=large, block_device_mapping_v2=devices)
    assert made.status == 202, made.content
    found = await rows(cloud, tables.block_devices)
    assert [row.device_name for row in found] == ["/dev/vda", "/dev/vdb", "/dev/vdc", "/dev/vdx", "/dev/vdd"]
    assert [row.volume_id is not None for row in found] == [False, False, False, True, True]
    spec = await spec_of(cloud, made.json["server"]["id"])
    assert [(one.size_gb, one.format) for one in spec.ephemerals] == [(1, "ext3")]
    assert (spec.swap_mb, spec.volumes, spec.volume_backed) == (256, True, False)


async def test_the_form_of_old_clients(cloud):
    volume = cloud.volumes.add(bootable=True)
    old = {"device_name": "vda", "volume_id": volume, "volume_size": "", "delete_on_termination": "1"}
    made = await cloud.boot(imageRef="", block_device_mapping=[old])
    assert made.status == 202, made.content
    (row,) = await rows(cloud, tables.block_devices)
    assert (row.volume_id, row.boot_index, row.delete_on_termination) == (volume, 0, True)
    spec = await spec_of(cloud, made.json["server"]["id"])
    assert spec.volume_backed


def of(**fields):
    return {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": -1} | fields


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([of()], "Boot sequence"),
        ([ROOT, of(boot_index=2)], "Boot sequence"),
        ([ROOT, of(boot_index=0)], "Boot sequence"),
        ([ROOT, of(volume_size=None)], "need to have non-zero size"),
        ([ROOT, of(volume_size=0)], "need to have non-zero size"),
        ([ROOT, of(source_type="image", uuid=IMAGE, volume_size=None)], "need to have a non-zero size specified"),
        ([ROOT, of(uuid=IMAGE)], "Invalid device UUID."),
        ([ROOT, of(source_type="volume")], "Missing device UUID."),
        ([ROOT, of(source_type="volume", uuid=UNKNOWN)], f"failed to get volume {UNKNOWN}."),
        ([ROOT, of(source_type="volume", uuid="no-id")], "failed to get volume no-id."),
        ([ROOT, of(source_type="snapshot", uuid=UNKNOWN)], f"failed to get snapshot {UNKNOWN}."),
        ([ROOT, of(source_type="image", uuid=UNKNOWN)], f"failed to get image {UNKNOWN}."),
        (
            [ROOT, of(source_type="volume", uuid=UNKNOWN, volume_type="fast")],
            "Specifying volume type to existing volume",
        ),
        ([ROOT, of(volume_type="slow")], "Volume type slow could not be found."),
        ([ROOT, of(disk_bus="usb3")], "The provided disk bus usb3 is not valid."),
        ([ROOT, of(device_type="lun")], "device_type lun"),
        ([ROOT, of(device_name="/dev/vda")], "same device name as the root device vda"),
        ([ROOT, of(device_name="/dev/vdc"), of(device_name="vdc")], "Two devices have the same name."),
        ([ROOT, of(destination_type="local", source_type="volume", uuid=UNKNOWN)], "Mapping volume to local"),
        ([ROOT, of(destination_type="local", volume_type="fast")], "volume_type with destination_type=local"),
        ([ROOT, of(destination_type="local")], "Ephemeral disks requested are larger"),
        ([ROOT, of(destination_type="local", guest_format="swap")], "Swap drive requested is larger"),
        ([ROOT, of(destination_type="local", guest_format="ntfs")], "guest_format ntfs"),
        ([ROOT, {"volume_size": 1}], "Some required fields are missing"),
    ],
)
async def test_devices_that_can_not_be(cloud, devices, words):
    answer = await cloud.boot(block_device_mapping_v2=devices)
    assert answer.status == 400, answer.content
    assert words in message(answer)
    assert await rows(cloud, tables.servers) == []


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"status": "in-use"}, "status must be 'available'. Currently in 'in-use'"),
        ({"status": "error"}, "Currently in 'error'"),
        ({"bootable": False}, "is not bootable."),
        ({"image": {"min_ram": "100000"}}, "Flavor's memory is too small"),
        ({"image": {"min_disk": "30"}}, "Volume is smaller than the minimum size"),
    ],
)
async def test_volumes_that_no_server_boots_from(cloud, volume, words):
    volume_id = cloud.volumes.add(**{"bootable": True} | volume)
    answer = await cloud.boot(
        imageRef="", block_device_mapping_v2=[{"source_type": "volume", "uuid": volume_id, "boot_index": 0}]
    )
    assert answer.status == 400, answer.content
    assert words in message(answer)


async def test_a_volume_is_one_servers(cloud):
    volume_id = cloud.volumes.add(bootable=True)
    asked = {"imageRef": "", "block_device_mapping_v2": [{"source_type": "volume", "uuid": volume_id, "boot_index": 0}]}
    refused = await cloud.boot(**asked, max_count=2)
    assert (refused.status, message(refused)) == (400, "Cannot attach one or more volumes to multiple instances")
    first = await cloud.boot(**asked)
    assert first.status == 202
    second = await cloud.boot(**asked)
    assert second.status == 400
    assert f"is already attached to instances: {first.json['server']['id']}" in message(second)


async def test_volumes_with_several_attachments_are_for_newer_clients(cloud):
    volume_id = cloud.volumes.add(bootable=True, multiattach=True, status="in-use")
    asked = {"imageRef": "", "block_device_mapping_v2": [{"source_type": "volume", "uuid": volume_id, "boot_index": 0}]}
    refused = await cloud.boot(at="2.59", **asked)
    assert refused.status == 400
    assert "2.60" in message(refused)
    assert [(await cloud.boot(at="2.60", **asked)).status for _ in range(2)] == [202, 202]


async def test_too_many_local_disks(cloud):
    large = await flavor(cloud, disk=1, **{"OS-FLV-EXT-DATA:ephemeral": 4})
    blank = {"source_type": "blank", "destination_type": "local", "volume_size": 1}
    answer = await cloud.boot(flavorRef=large, block_device_mapping_v2=[ROOT, *[blank] * 3])
    assert answer.status == 400
    assert "more local devices than the limit allows" in message(answer)


async def test_a_cloud_without_volumes_says_so(cloud, tmp_path):
    from kilonova.compute.app import ComputeApiService
    from tests.service.compute_api.support import Images, Networks, Projects
    from tests.support import make_core

    core, gateway, client = make_core(tmp_path / "other")
    core = dataclasses.replace(core, endpoints={name: url for name, url in core.endpoints.items() if name != "volume"})
    service = ComputeApiService(core, images=Images(), networks=Networks(), projects=Projects())
    gateway.apps[service.prefix] = service.app
    await service.start()
    body = {
        "name": "vm",
        "imageRef": IMAGE,
        "flavorRef": "42",
        "networks": "none",
        "block_device_mapping_v2": [ROOT, of()],
    }
    answer = await client(
        "POST", "/compute/v2.1/servers", token="member", json={"server": body},
        headers={"OpenStack-API-Version": "compute 2.104"},
    )  # fmt: skip
    await service.stop()
    assert answer.status == 501
