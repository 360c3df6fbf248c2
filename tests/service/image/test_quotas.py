"""How many images and bytes a project may have; nothing exceeds it, whatever comes at once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from kilonova.core.db.migrate import drift
from kilonova.image import quotas, tables
from kilonova.image.options import ImageOptions, ImageQuotas
from tests.eventually import until
from tests.service.image.support import IMAGES, JSON, active, create, patch, put, show, stored, streamed
from tests.support import PROJECT

MB = 1 << 20
UNLIMITED = ImageQuotas(image_size_total=-1, image_count_total=-1, image_count_uploading=-1)


def options(**limits: int) -> ImageOptions:
    return ImageOptions(quotas=ImageQuotas(**limits), project_quotas={"0" * 32: UNLIMITED})


def refused(answer, resource: str, limit: int, used: int, delta: int, project: str = PROJECT) -> None:
    assert (answer.status, answer.json["message"]) == (
        413,
        f"Project {project} is over a limit for [Resource {resource} is over limit of {limit} due to current usage {used} "
        f"and delta {delta}]",
    )


async def register(client, token: str = "member"):
    body = {"name": "img", "disk_format": "raw", "container_format": "bare"}
    return await client("POST", IMAGES, token=token, json=body, headers=JSON)


async def usage(client, token: str = "member") -> dict[str, tuple[int, int]]:
    answer = await client("GET", "/image/v2/info/usage", token=token, headers=JSON)
    return {name: (of["limit"], of["usage"]) for name, of in answer.json["usage"].items()}


async def reserved(cloud) -> list[int | None]:
    async with cloud.service.database.reading() as connection:
        return list((await connection.execute(select(tables.images.c.reserved))).scalars())


async def test_tables_and_migrations_agree(cloud):
    assert await drift(cloud.service.database) == []


async def test_the_number_of_images(cloud):
    client = await cloud.restart(options(image_count_total=2))
    made = [await create(client) for _ in range(2)]
    refused(await register(client), "image_count_total", 2, 2, 1)
    assert (await register(client, "foreign")).status == 201  # each project for itself
    assert [(await register(client, "admin")).status for _ in range(4)] == [201] * 4  # a project with limits of its own
    assert (await client("DELETE", f"{IMAGES}/{made[0]['id']}", token="member")).status == 204
    assert (await register(client)).status == 201
    assert (await usage(client))["image_count_total"] == (2, 2)
    # an admin's image for a project counts as that project's
    body = {"name": "img", "owner": PROJECT}
    refused(await client("POST", IMAGES, json=body, headers=JSON), "image_count_total", 2, 2, 1)
    assert (await client("POST", IMAGES, json=body | {"owner": None}, headers=JSON)).status == 201


async def test_the_number_of_images_can_not_be_raced(cloud):
    client = await cloud.restart(options(image_count_total=3))
    answers = await asyncio.gather(*(register(client) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [413] * 7


@pytest.mark.parametrize("announce", [True, False])
async def test_the_bytes_of_a_project(cloud, announce):
    client = await cloud.restart(options(image_size_total=4 * MB))
    await active(client, data=b"x" * (3 * MB))
    second = await create(client)
    data = b"y" * (MB + 1)

    async def send(image_id: str, content: bytes):
        return await put(client, image_id, content if announce else streamed([content[:MB], content[MB:]]))

    answer = await send(second["id"], data)
    assert answer.status == 413
    assert f"image_size_total is over limit of {4 * MB} due to current usage {3 * MB}" in answer.json["message"]
    shown = await show(client, second["id"])
    assert (shown["status"], shown["size"]) == ("queued", None)
    assert len(stored(cloud.folder)) == 1  # nothing is left of it
    assert not any(await reserved(cloud))
    assert (await usage(client))["image_size_total"] == (4, 3)
    assert (await send(second["id"], data[:MB])).status == 204  # to the last byte
    third = await create(client)
    assert (await put(client, third["id"], b"z")).status == 413
    assert (await put(client, (await create(client, "foreign"))["id"], data, "foreign")).status == 204
    assert (await client("DELETE", f"{IMAGES}/{second['id']}", token="member")).status == 204
    assert (await put(client, third["id"], b"z")).status == 204
    assert (await usage(client))["image_size_total"] == (4, 4)


async def test_more_comes_than_was_announced(cloud):
    """What counts is what comes."""
    client = await cloud.restart(options(image_size_total=4 * MB))
    image = await create(client)
    answer = await put(client, image["id"], streamed([b"x" * MB] * 6), **{"x-openstack-image-size": "10"})
    assert answer.status == 413, answer.content
    assert (stored(cloud.folder), (await show(client, image["id"]))["status"]) == ([], "queued")


async def test_uploads_of_one_moment_share_the_quota(cloud, monkeypatch):
    """Of six that together are too large as many end as there is room for, and none is stored that does not fit."""
    monkeypatch.setattr(quotas, "STEP", MB)
    client = await cloud.restart(options(image_size_total=8 * MB))
    images = [await create(client) for _ in range(6)]
    gate = asyncio.Event()

    async def pieces():
        yield b"x" * MB
        await gate.wait()
        for _ in range(2):
            yield b"x" * MB
            await asyncio.sleep(0)

    uploads = [asyncio.ensure_future(put(client, image["id"], pieces())) for image in images]
    await until(lambda: reserved(cloud), satisfies=lambda found: sum(filter(None, found)) >= 6 * MB)
    gate.set()
    answers = [answer.status for answer in await asyncio.gather(*uploads)]
    assert set(answers) <= {204, 413}
    done = answers.count(204)
    assert done <= 2
    assert len(stored(cloud.folder)) == done
    assert not any(await reserved(cloud))
    assert (await usage(client))["image_size_total"] == (8, 3 * done)
    # what is left can be used
    for image in images:
        if (await show(client, image["id"]))["status"] == "queued" and done < 2:
            assert (await put(client, image["id"], b"x" * (3 * MB))).status == 204
            done += 1


async def test_announced_uploads_of_one_moment(cloud):
    client = await cloud.restart(options(image_size_total=3 * MB))
    images = [await create(client) for _ in range(8)]
    answers = await asyncio.gather(*(put(client, image["id"], b"x" * MB) for image in images))
    assert sorted(answer.status for answer in answers) == [204] * 3 + [413] * 5
    assert len(stored(cloud.folder)) == 3


async def test_the_number_of_uploads(cloud):
    client = await cloud.restart(options(image_count_uploading=1))
    first, second = await create(client), await create(client)
    gate = asyncio.Event()

    async def slow():
        yield b"x"
        await gate.wait()
        yield b"y"

    upload = asyncio.ensure_future(put(client, first["id"], slow()))
    await until(lambda: usage(client), satisfies=lambda found: found["image_count_uploading"] == (1, 1))
    refused(await put(client, second["id"], b"z"), "image_count_uploading", 1, 1, 1)
    gate.set()
    assert (await upload).status == 204
    assert (await put(client, second["id"], b"z")).status == 204


async def test_what_a_killed_upload_reserved_is_free_again(cloud):
    """The process ends in the middle; the next one finds the image `saving` with bytes reserved."""
    client = await cloud.restart(options(image_size_total=4 * MB))
    image = await create(client)
    async with cloud.service.database.transaction() as tx:
        values = {"status": "saving", "upload_id": "11111111-1111-4111-8111-111111111111", "reserved": 4 * MB}
        await tx.connection.execute(tables.images.update().values(**values))
    other = await create(client)
    assert (await put(client, other["id"], b"x")).status == 413
    client = await cloud.restart(options(image_size_total=4 * MB))
    assert (await show(client, image["id"]))["status"] == "queued"
    assert (await put(client, other["id"], b"x" * (4 * MB))).status == 204


async def test_deletion_gives_room_while_it_uploads(cloud):
    client = await cloud.restart(options(image_size_total=2 * MB))
    first, second = await create(client), await create(client)
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"x" * (2 * MB)
        begun.set()
        await gate.wait()
        yield b""

    upload = asyncio.ensure_future(put(client, first["id"], slow()))
    await begun.wait()
    assert (await put(client, second["id"], b"y")).status == 413
    assert (await client("DELETE", f"{IMAGES}/{first['id']}", token="member")).status == 204
    assert (await put(client, second["id"], b"y")).status == 204
    gate.set()
    assert (await upload).status == 410
    assert len(stored(cloud.folder)) == 1


async def test_no_limits(cloud):
    client = await cloud.restart(ImageOptions(quotas=UNLIMITED))
    image = await active(client, data=b"x" * MB)
    assert (await usage(client)) == {
        "image_size_total": (-1, 1), "image_count_total": (-1, 1), "image_count_uploading": (-1, 0)
    }  # fmt: skip
    assert await reserved(cloud) == [None]
    assert (await patch(client, image["id"], {"op": "replace", "path": "/name", "value": "n"})).status == 200
    assert (await usage(client, "foreign"))["image_count_total"] == (-1, 0)
