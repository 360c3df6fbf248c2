"""Image data on the way in and out: whole or not at all, with flat memory."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.image.options import ImageOptions
from kilonova.image.stores.base import Usage
from kilonova.image.stores.file import FileStore, FileUpload
from tests.eventually import until
from tests.service.image.support import IMAGES, JSON, active, create, digests, put, show, stored, streamed
from tests.support import BASE

MB = 1 << 20


async def untouched(cloud, image):
    """The image is as if nothing had been tried."""
    now = await show(cloud.client, image["id"])
    assert {**now, "updated_at": ""} == {**image, "updated_at": ""}
    assert stored(cloud.folder) == []


def rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_big_images_pass_in_flat_memory(cloud, client):
    size, piece = 300 * MB, 256 << 10
    text = os.urandom(4096)
    block = text + bytes(piece - len(text))
    expected = hashlib.sha512()
    highest = before = rss()

    async def body() -> AsyncIterator[bytes]:
        nonlocal highest
        for n in range(size // piece):
            data = n.to_bytes(8, "big") + block[8:]
            expected.update(data)
            highest = max(highest, rss())
            yield data

    image = await create(client)
    assert (await put(client, image["id"], body(), **{"x-openstack-image-size": str(size)})).status == 204
    image = await show(client, image["id"])
    assert (image["size"], image["os_hash_value"]) == (size, expected.hexdigest())

    received = hashlib.sha512()
    headers = {"x-auth-token": "member"}
    async with client.transport.send("GET", f"{BASE}{IMAGES}/{image['id']}/file", headers, b"") as answer:
        assert answer.headers["content-length"] == str(size)
        async for data in answer.chunks:
            received.update(data)
            highest = max(highest, rss())
    assert received.hexdigest() == expected.hexdigest()
    assert highest - before < 40 * MB


async def test_the_loop_is_free_while_data_come_in(cloud, client, monkeypatch):
    begun, go, went = threading.Event(), threading.Event(), []

    def write(self, data):
        begun.set()
        went.append(go.wait(20))

    monkeypatch.setattr(FileUpload, "write", write)
    image = await create(client)
    upload = asyncio.create_task(put(client, image["id"], b"x" * 5 * MB))
    await until(begun.is_set)
    assert (await show(client, image["id"]))["status"] == "saving"
    assert went == []
    go.set()
    assert (await upload).status == 204
    assert all(went)


async def test_ranges(client):
    data = os.urandom(3 * MB)
    image = await active(client, data=data)
    path = f"{IMAGES}/{image['id']}/file"
    for header, start, end in (
        ("bytes=0-9", 0, 9), ("bytes=100-", 100, len(data) - 1), ("bytes=-7", len(data) - 7, len(data) - 1),
        (f"bytes=5-{10**15}", 5, len(data) - 1), (f"bytes={MB - 3}-{2 * MB + 3}", MB - 3, 2 * MB + 3),
    ):  # fmt: skip
        answer = await client("GET", path, token="member", headers={"range": header})
        assert (answer.status, answer.content) == (206, data[start : end + 1])
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(data)}"
        assert answer.headers["content-length"] == str(end + 1 - start)
        assert "content-md5" not in answer.headers
    for header in (f"bytes={len(data)}-", "bytes=9-5", "bytes=-0", "bytes=-", "bytes=x-y", "lines=1-2"):
        answer = await client("GET", path, token="member", headers={"range": header})
        assert answer.status == 416, header
        assert answer.headers["content-range"] == f"bytes */{len(data)}"
    assert (await client("GET", path, token="member", headers={"range": "bytes=0-1,5-6"})).content == data


async def test_an_empty_image(client):
    image = await active(client, data=b"")
    assert (image["status"], image["size"], image["checksum"]) == ("active", 0, digests(b"")[0])
    assert (await client("GET", f"{IMAGES}/{image['id']}/file", token="member")).content == b""


async def test_upload_refusals(cloud, client):
    bare = await client("POST", IMAGES, token="member", json={"name": "x"}, headers=JSON)
    answer = await put(client, bare.json["id"], b"x")
    assert (answer.status, answer.json["message"]) == (
        400, "Properties disk_format, container_format must be set prior to saving data.")  # fmt: skip
    image = await create(client)
    assert (await put(client, image["id"], b"{}", **{"content-type": "application/json"})).status == 415
    assert (await put(client, image["id"], b"x", **{"x-openstack-image-size": "-1"})).status == 400
    answer = await put(client, image["id"], b"x", **{"x-openstack-image-size": "7"})
    assert (answer.status, "announced 7 bytes" in answer.json["message"]) == (400, True)
    await untouched(cloud, image)


async def test_data_come_once(client):
    image = await active(client, data=b"first")
    answer = await put(client, image["id"], b"second")
    assert (answer.status, answer.json["message"]) == (
        409, "Image status transition from active to saving is not allowed")  # fmt: skip
    assert (await client("GET", f"{IMAGES}/{image['id']}/file", token="member")).content == b"first"


async def test_of_uploads_at_once_one_wins(cloud, client):
    image = await create(client)
    bodies = [os.urandom(2 * MB) for _ in range(6)]

    async def slow(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), MB // 2):
            await asyncio.sleep(0.01)
            yield data[start : start + MB // 2]

    answers = await asyncio.gather(*(put(client, image["id"], slow(data)) for data in bodies))
    assert sorted(answer.status for answer in answers) == [204] + [409] * 5
    won = bodies[[answer.status for answer in answers].index(204)]
    assert (await client("GET", f"{IMAGES}/{image['id']}/file", token="member")).content == won
    assert (await show(client, image["id"]))["checksum"] == digests(won)[0]
    assert stored(cloud.folder) == [image["id"]]


async def test_size_cap(cloud, client):
    await cloud.restart(ImageOptions(max_image_size=3 * MB))
    image = await create(client)
    for headers in ({"x-openstack-image-size": str(4 * MB)}, {}):
        answer = await put(client, image["id"], streamed(b"x" * MB for _ in range(4)), **headers)
        assert (answer.status, "too large" in answer.json["message"]) == (413, True)
        await untouched(cloud, image)
    assert (await put(client, image["id"], streamed(b"x" * MB for _ in range(3)))).status == 204


class Interrupted(Exception):
    pass


async def test_a_client_that_disconnects(cloud, client):
    image = await create(client)

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 3 * MB
        raise Interrupted

    assert (await put(client, image["id"], body())).status == 500
    await untouched(cloud, image)


async def test_a_disconnect_in_the_middle(cloud, client):
    """As a server reports it: no error, just the message that the client has disconnected."""
    image = await create(client)
    messages = [{"type": "http.request", "body": b"x" * 2 * MB, "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"x-auth-token", b"member"), (b"content-type", b"application/octet-stream")]
    path = f"/v2/images/{image['id']}/file"
    await cloud.service.app(
        {"type": "http", "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
         "scheme": "http", "server": ("x", 80), "client": ("x", 1), "http_version": "1.1", "asgi": {"version": "3.0"},
         "root_path": "", "extensions": {}, "state": {}},
        receive, send,
    )  # fmt: skip
    assert sent[0]["status"] == 400
    await untouched(cloud, image)


async def test_a_cancelled_request(cloud, client):
    image = await create(client)
    stop = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 2 * MB
        stop.set()
        await asyncio.sleep(60)

    logic, record = cloud.service._data, await cloud.images.get(None, image["id"])
    task = asyncio.create_task(logic.upload(record, body(), None))
    await stop.wait()
    assert (await show(client, image["id"]))["status"] == "saving"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await untouched(cloud, image)


class FullStore(FileStore):
    """Its disk is full after 2 MiB."""

    def begin(self, image_id, upload_id):
        upload = super().begin(image_id, upload_id)
        written, real = [0], upload.write

        def write(data: bytes) -> None:
            written[0] += len(data)
            if written[0] > 2 * MB:
                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(os, "write", _no_space)
                    real(data)
            real(data)

        upload.write = write
        return upload


def _no_space(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk(cloud, client):
    await cloud.restart(store=FullStore(cloud.folder))
    image = await create(client)
    answer = await put(client, image["id"], streamed(os.urandom(MB) for _ in range(4)))
    assert (answer.status, "not enough disk space" in answer.json["message"]) == (413, True)
    await untouched(cloud, image)


async def test_no_room_is_seen_before_data_come(cloud, client, monkeypatch):
    monkeypatch.setattr(FileStore, "usage", lambda self: Usage(total=100, free=10))
    image = await create(client)
    assert (await put(client, image["id"], b"x" * 11, **{"x-openstack-image-size": "11"})).status == 413
    await untouched(cloud, image)


async def test_deleted_while_data_come_in(cloud, client):
    image = await create(client)
    deleted = []

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 2 * MB
        deleted.append((await client("DELETE", f"{IMAGES}/{image['id']}", token="member")).status)
        yield b"y" * 2 * MB

    answer = await put(client, image["id"], body())
    assert (answer.status, deleted) == (410, [204])
    assert stored(cloud.folder) == []
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="member")).status == 404


async def test_an_image_is_read_on_while_it_is_deleted(cloud, client):
    data = os.urandom(8 * MB)
    image = await active(client, data=data)
    path = f"{BASE}{IMAGES}/{image['id']}/file"
    async with client.transport.send("GET", path, {"x-auth-token": "member"}, b"") as answer:
        assert (await client("DELETE", f"{IMAGES}/{image['id']}", token="member")).status == 204
        assert await answer.read() == data
    assert stored(cloud.folder) == []


async def test_a_reader_that_stops_leaves_nothing_open(cloud, client):
    image = await active(client, data=bytes(20 * MB))
    path = f"{BASE}{IMAGES}/{image['id']}/file"
    for _ in range(5):
        async with client.transport.send("GET", path, {"x-auth-token": "member"}, b"") as answer:
            await anext(answer.chunks)
    await until(lambda: not _open_files(cloud.folder), "files are still open")


def _open_files(folder: Path) -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


async def test_lost_data_are_an_error(cloud, client):
    image = await active(client)
    (cloud.folder / image["id"]).unlink()
    answer = await client("GET", f"{IMAGES}/{image['id']}/file", token="member", headers=JSON)
    assert (answer.status, "missing" in answer.json["message"]) == (410, True)
    assert (await client("DELETE", f"{IMAGES}/{image['id']}", token="member")).status == 204
