"""Images in Ceph, through HTTP; and what clients are told where it does not answer."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from kilonova.core.ceph import CephOptions, Pool
from kilonova.image.options import ImageOptions
from kilonova.image.store import images as store
from tests.service.image.support import IMAGES, JSON, active, create, digests, patch, put, qemu_img, show, stored

RBD = ImageOptions(store="rbd")
AWAY = "[global]\nfsid = 00000000-0000-0000-0000-000000000001\nmon_host = 127.0.0.1:1\n"


@pytest.fixture
def nowhere(tmp_path: Path) -> CephOptions:
    """A cluster that does not answer."""
    conf = tmp_path / "ceph.conf"
    conf.write_text(AWAY)
    return CephOptions(conf=conf, timeout=1)


@pytest.mark.ceph
async def test_an_image_is_stored_where_clones_can_be_made_of_it(cloud, ceph_options):
    options = ceph_options("image")
    client = await cloud.restart(RBD, ceph=options)
    data = os.urandom(100_000) + bytes(3 << 20) + b"end"
    image = await active(client, data=data)
    assert (image["stores"], image["size"]) == ("rbd", len(data))
    assert (await client("GET", f"{IMAGES}/{image['id']}/file")).content == data
    part = await client("GET", f"{IMAGES}/{image['id']}/file", headers={"range": "bytes=99990-100010"})
    assert part.content == data[99990:100011]
    pool = Pool(options, "images")
    assert (pool.names(), pool.snapshots(image["id"])) == ([image["id"]], ["snap"])
    assert (await client("DELETE", f"{IMAGES}/{image['id']}")).status == 204
    assert pool.names() == []
    pool.close()


@pytest.mark.ceph
async def test_the_data_of_a_deleted_image_stay_while_a_clone_needs_them(cloud, ceph_options):
    client = await cloud.restart(RBD, ceph=ceph_options("image"))
    image = await active(client, data=b"x" * 5000)
    servers = Pool(ceph_options("compute"), "servers")
    servers.clone("disk", image["id"], "snap", "images")
    assert (await client("DELETE", f"{IMAGES}/{image['id']}")).status == 204
    assert (await client("GET", f"{IMAGES}/{image['id']}", headers=JSON)).status == 404
    with servers.opened("disk") as disk:
        assert disk.read(0, 5) == b"xxxxx"
    servers.remove("disk")
    servers.close()
    cloud.service.store.prepare()
    assert list(cloud.service.store._pool.names()) == []


async def test_a_disk_that_is_not_raw_is_refused_with_the_reason(cloud, nowhere):
    client = await cloud.restart(RBD, ceph=nowhere)
    image = await create(client, disk_format="qcow2")
    answer = await put(client, image["id"], b"QFI\xfb" + bytes(600))
    assert answer.status == 415
    assert b"clones of raw images" in answer.content
    assert b"qemu-img convert -f qcow2 -O raw" in answer.content
    assert (await show(client, image["id"]))["status"] == "queued"
    client = await cloud.restart(ImageOptions(not_raw="refuse"))
    assert (await put(client, image["id"], b"QFI\xfb" + bytes(600))).status == 415


async def test_a_disk_that_is_not_raw_is_converted(cloud, tmp_path):
    client = await cloud.restart(ImageOptions(not_raw="convert"))
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    raw.write_bytes(b"system" + bytes(2 << 20))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", str(raw), str(made))
    image = await active(client, data=made.read_bytes(), disk_format="qcow2")
    size = raw.stat().st_size + -raw.stat().st_size % 512
    assert (image["disk_format"], image["size"], image["virtual_size"]) == ("raw", size, size)
    data = (await client("GET", f"{IMAGES}/{image['id']}/file")).content
    assert data == raw.read_bytes() + bytes(size - raw.stat().st_size)
    assert (image["checksum"], image["os_hash_value"]) == digests(data)
    assert stored(cloud.folder) == [image["id"]]


async def test_a_conversion_that_can_not_be_leaves_the_image_as_it_was(cloud, tmp_path):
    client = await cloud.restart(ImageOptions(not_raw="convert", max_image_size=1 << 20))
    big, backed = tmp_path / "big.qcow2", tmp_path / "backed.qcow2"
    qemu_img("create", "-f", "qcow2", str(big), "1G")
    qemu_img("create", "-f", "qcow2", "-b", str(big), "-F", "qcow2", str(backed), "1M")
    for file, status in ((big, 413), (backed, 415)):
        image = await create(client, disk_format="qcow2")
        assert (await put(client, image["id"], file.read_bytes())).status == status
        seen = await show(client, image["id"])
        assert (seen["status"], seen["disk_format"]) == ("queued", "qcow2")
    ploop = await create(client, disk_format="ploop")
    assert (await put(client, ploop["id"], bytes(1000))).status == 415
    assert stored(cloud.folder) == []


async def test_a_cluster_that_is_away_is_no_end_of_the_service(cloud, nowhere):
    client = await cloud.restart(RBD, ceph=nowhere)
    image = await create(client)
    answer = await put(client, image["id"], b"x" * 100)
    assert (answer.status, b"image store does not answer" in answer.content) == (503, True)
    assert (await show(client, image["id"]))["status"] == "queued"
    client = await cloud.restart()
    there = await active(client)
    client = await cloud.restart(RBD, ceph=nowhere)
    assert (await client("GET", f"{IMAGES}/{there['id']}/file")).status == 503


async def test_urls_of_data_are_shown_by_setting_and_policy(cloud):
    client = await cloud.restart()
    image = await active(client, visibility="shared")
    assert not {"direct_url", "locations"} & (await show(client, image["id"])).keys()
    client = await cloud.restart(ImageOptions(show_image_direct_url=True, show_multiple_locations=True))
    url = (cloud.service.store.folder / image["id"]).as_uri()
    seen = await show(client, image["id"])
    assert (seen["direct_url"], seen["locations"]) == (url, [{"url": url, "metadata": {"store": "file"}}])
    queued = await create(client)
    assert not {"direct_url", "locations"} & queued.keys()
    public = await active(client, token="admin", visibility="public")
    assert "locations" not in await show(client, public["id"])  # of another project
    answer = await patch(client, image["id"], {"op": "add", "path": "/locations/-", "value": {}})
    assert answer.status == 403


async def test_recovery_spares_an_upload_that_ends_while_it_looks(cloud, monkeypatch):
    client = await cloud.restart()
    image = await active(client, data=b"kept")
    async with cloud.service.database.reading() as connection:
        row = await store.find(connection, image["id"])
    stale = row._asdict() | {"status": "saving", "upload_id": str(UUID(int=1))}

    async def in_status(*_):
        return [type("Row", (), stale)]

    monkeypatch.setattr(store, "in_status", in_status)
    await cloud.service._data.recover()
    assert (await client("GET", f"{IMAGES}/{image['id']}/file")).content == b"kept"
