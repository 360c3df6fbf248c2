"""A killed process leaves half uploads and half deletions; the next start makes them good."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from uuid import UUID

import pytest

from kilonova.image.store import images as rows
from tests import databases
from tests.service.image.support import IMAGES, active, create, put, show, stored

CHILD = """
import asyncio, sys
from pathlib import Path
from tests import databases
from tests.service.image.conftest import Cloud
from tests.service.image.support import create, put

async def body(step):
    yield b"x" * (3 << 20)
    if step == "writing":
        print("ready", flush=True)
        await asyncio.sleep(60)

async def main(step):
    cloud = Cloud(Path(sys.argv[1]))
    client = await cloud.start()
    image = await create(client)
    print(image["id"], flush=True)
    if step == "activating":
        async def hang(*args):
            print("ready", flush=True)
            await asyncio.sleep(60)
        cloud.service._data._activate = hang
    await put(client, image["id"], body(step))

databases.use(sys.argv[3])
asyncio.run(main(sys.argv[2]))
"""


@pytest.mark.parametrize("step", ["writing", "activating"])
async def test_killed_in_the_middle_of_an_upload(cloud, client, tmp_path, step):
    await cloud.service.stop()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path), step, databases.url(tmp_path, "image"), stdout=subprocess.PIPE,
    )  # fmt: skip
    image_id = (await child.stdout.readline()).decode().strip()
    assert await child.stdout.readline() == b"ready\n"

    await cloud.start()  # beside the living process: nothing of it is touched
    assert (await show(client, image_id))["status"] == "saving"
    assert len(stored(cloud.folder)) == 1

    child.kill()
    await child.wait()
    await cloud.restart()
    image = await show(client, image_id)
    assert (image["status"], image["size"], stored(cloud.folder)) == ("queued", None, [])
    assert (await put(client, image_id, b"again")).status == 204


async def test_a_half_deletion_is_finished(cloud, client, monkeypatch):
    image, other = await active(client), await active(client)

    def fails(image_id: UUID) -> bool:
        raise OSError("the disk is sulking")

    monkeypatch.setattr(cloud.service.store, "delete", fails)
    assert (await client("DELETE", f"{IMAGES}/{image['id']}", token="member")).status == 204
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="member")).status == 404
    assert stored(cloud.folder) == sorted([image["id"], other["id"]])
    await cloud.restart()
    assert stored(cloud.folder) == [other["id"]]
    async with cloud.service.database.reading() as connection:
        assert [row.id for row in await rows.in_status(connection, "deleted")] == [image["id"]]


async def test_what_the_database_does_not_know_is_left_alone(cloud, client):
    """A database put back from an older backup must not cost images."""
    unknown = cloud.folder / "aaaaaaaa-0000-4000-8000-000000000001"
    unknown.write_bytes(b"precious")
    await cloud.restart()
    assert unknown.read_bytes() == b"precious"


async def test_restart_keeps_everything_else(cloud, client):
    image, queued = await active(client, data=b"data", x="y", tags=["t"]), await create(client)
    await cloud.restart()
    assert await show(client, image["id"]) == image
    assert await show(client, queued["id"]) == queued
    assert (await client("GET", f"{IMAGES}/{image['id']}/file", token="member")).content == b"data"
