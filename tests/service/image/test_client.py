"""The client for other services."""

from __future__ import annotations

import os

import msgspec
import pytest

from kilonova.core import errors
from kilonova.image.client import ImageClient
from kilonova.image.errors import ImageNotFound
from tests.service.image.support import IMAGES, active, create, show, stored, streamed
from tests.support import CALLERS, PROJECT

MB = 1 << 20
MEMBER = msgspec.structs.replace(CALLERS["member"], token="member", request_id="req-1")
FOREIGN = msgspec.structs.replace(CALLERS["foreign"], token="foreign", request_id="req-2")


@pytest.fixture
def images(cloud) -> ImageClient:
    return cloud.images


async def gather(pieces) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_get(client, images):
    made = await active(client, data=b"12345", kernel_id="aaaaaaaa-0000-4000-8000-000000000001", hw_x="1", tags=["t"])
    for ctx in (None, MEMBER):
        image = await images.get(ctx, made["id"])
        assert (image.id, image.status, image.size, image.owner) == (made["id"], "active", 5, PROJECT)
        assert (image.checksum, image.tags) == (made["checksum"], ["t"])
        assert image.properties == {"kernel_id": "aaaaaaaa-0000-4000-8000-000000000001", "hw_x": "1"}
    with pytest.raises(ImageNotFound):
        await images.get(FOREIGN, made["id"])


@pytest.mark.parametrize(
    "wrong", ["", "x", "../images", "aaaaaaaa-0000-4000-8000-000000000001", "a/../../v2/images", "%2e%2e"]
)
async def test_ids_that_are_none(client, images, wrong):
    await create(client)
    for call in (
        images.get(MEMBER, wrong),
        gather(images.download(wrong, MEMBER)),
        images.update(MEMBER, wrong, a="b"),
    ):
        with pytest.raises(errors.NotFound):
            await call


async def test_list_walks_all_pages(client, images, monkeypatch):
    monkeypatch.setattr("kilonova.image.client.PAGE", 2)
    for n in range(5):
        await create(client, name=f"n{n}")
    assert [image.name for image in await images.list(MEMBER, sort="name:asc")] == ["n0", "n1", "n2", "n3", "n4"]
    assert [image.name for image in await images.list(None, name="n3")] == ["n3"]
    assert await images.list(FOREIGN) == []


async def test_download(client, images):
    data = os.urandom(5 * MB)
    made = await active(client, data=data, visibility="private")
    assert await gather(images.download(made["id"])) == data
    assert await gather(images.download(made["id"], MEMBER, offset=4 * MB)) == data[4 * MB :]
    sizes = [len(piece) async for piece in images.download(made["id"])]
    assert max(sizes) <= MB
    with pytest.raises(ImageNotFound):
        await gather(images.download(made["id"], FOREIGN))
    with pytest.raises(errors.Conflict):
        await gather(images.download((await create(client))["id"]))


async def test_a_download_that_ends_too_early_is_no_image(cloud, client, images):
    made = await active(client, data=os.urandom(5 * MB))
    pieces = images.download(made["id"])
    await anext(pieces)
    os.truncate(cloud.folder / made["id"], 2 * MB)
    with pytest.raises(errors.ServiceUnavailable, match="too early"):
        await gather(pieces)


async def test_a_snapshot(cloud, client, images):
    properties = {"instance_uuid": "aaaaaaaa-0000-4000-8000-000000000002", "image_type": "snapshot"}
    made = await images.create(
        MEMBER, properties, name="snap", disk_format="raw", container_format="bare", visibility="private", min_disk=1
    )
    assert (made.status, made.owner, made.properties) == ("queued", PROJECT, properties)
    await images.upload(MEMBER, made.id, streamed(b"x" * MB for _ in range(3)), size=3 * MB)
    assert (await show(client, made.id))["size"] == 3 * MB
    changed = await images.update(MEMBER, made.id, **{"a/b~": "c", "name": "new"})
    assert (changed.name, changed.properties["a/b~"]) == ("new", "c")
    await images.delete(MEMBER, made.id)
    await images.delete(MEMBER, made.id)
    assert stored(cloud.folder) == []


async def test_refusals_are_typed(client, images):
    made = await images.create(None, {}, name="x", disk_format="qcow2", container_format="bare", owner=PROJECT)
    assert made.owner == PROJECT
    with pytest.raises(errors.UnsupportedMediaType, match="does not match stream data raw"):
        await images.upload(None, made.id, b"no qcow2")
    with pytest.raises(errors.NotFound):
        await images.upload(FOREIGN, made.id, b"x")
    with pytest.raises(errors.BadRequest, match="is not one of"):
        await images.create(MEMBER, {}, visibility="x")
    answer = await client("POST", IMAGES, token="member", json={"id": made.id})
    assert answer.status == 409
