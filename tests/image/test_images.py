"""Registering, showing, changing and deleting images through the HTTP API."""

from __future__ import annotations

import asyncio

import pytest

from kilonova.core.db.migrate import drift
from tests.image.support import IMAGES, JSON, active, create, digests, patch, put, show, stored
from tests.support import OTHER_PROJECT, PROJECT

ID = "aaaaaaaa-0000-4000-8000-000000000001"


async def test_tables_and_migrations_agree(cloud):
    assert await drift(cloud.service.database) == []


async def test_the_life_of_an_image(cloud, client):
    data = bytes(range(256)) * 100
    image = await create(client, name="tiny", id=ID, min_disk=1, tags=["b", "a"], hw_disk_bus="virtio")
    assert image["id"] == ID
    assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", PROJECT)
    assert (image["size"], image["checksum"], image["hw_disk_bus"], image["tags"]) == (None, None, "virtio", ["a", "b"])
    assert (image["self"], image["file"], image["schema"]) == (
        f"/v2/images/{ID}", f"/v2/images/{ID}/file", "/v2/schemas/image")  # fmt: skip
    assert (await client("GET", f"{IMAGES}/{ID}/file", token="member")).status == 204

    assert (await put(client, ID, data)).status == 204
    image = await show(client, ID)
    md5, sha512 = digests(data)
    assert image["status"] == "active"
    assert (image["size"], image["virtual_size"], image["checksum"]) == (len(data), len(data), md5)
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", sha512)
    got = await client("GET", f"{IMAGES}/{ID}/file", token="member")
    assert (got.status, got.content, got.headers["content-md5"]) == (200, data, md5)
    assert got.headers["content-type"] == "application/octet-stream"
    assert stored(cloud.folder) == [ID]

    assert (await client("DELETE", f"{IMAGES}/{ID}", token="member")).status == 204
    assert (await client("GET", f"{IMAGES}/{ID}", token="member")).status == 404
    assert stored(cloud.folder) == []
    again = await client("POST", IMAGES, token="member", json={"id": ID}, headers=JSON)
    assert again.status == 409  # hosts may still hold the old data under this id


async def test_create_answers_where_the_image_is(client):
    answer = await client("POST", IMAGES, token="member", json={"name": "x"}, headers=JSON)
    assert answer.status == 201
    assert answer.headers["location"] == f"http://kilonova.test{IMAGES}/{answer.json['id']}"
