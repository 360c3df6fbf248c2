"""What the image tests share."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from tests.support import Answer, Client

OCTETS = {"content-type": "application/octet-stream", "accept": "application/json"}
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch", "accept": "application/json"}
JSON = {"accept": "application/json"}
IMAGES = "/image/v2/images"


async def create(client: Client, token: str = "member", **body: Any) -> dict[str, Any]:
    body = {"name": "img", "disk_format": "raw", "container_format": "bare"} | body
    answer = await client("POST", IMAGES, token=token, json=body, headers=JSON)
    assert answer.status == 201, answer.content
    return answer.json


async def put(client: Client, image_id: str, content: Any, token: str = "member", **headers: str) -> Answer:
    return await client("PUT", f"{IMAGES}/{image_id}/file", token=token, content=content, headers=OCTETS | headers)


async def active(client: Client, token: str = "member", data: bytes = b"x" * 5000, **body: Any) -> dict[str, Any]:
    image = await create(client, token, **body)
    answer = await put(client, image["id"], data, token)
    assert answer.status == 204, answer.content
    return await show(client, image["id"], token)


async def show(client: Client, image_id: str, token: str = "member") -> dict[str, Any]:
    answer = await client("GET", f"{IMAGES}/{image_id}", token=token, headers=JSON)
    assert answer.status == 200, answer.content
    return answer.json


async def patch(client: Client, image_id: str, *changes: dict[str, Any], token: str = "member") -> Answer:
    return await client("PATCH", f"{IMAGES}/{image_id}", token=token, json=list(changes), headers=PATCH)


async def streamed(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def digests(data: bytes) -> tuple[str, str]:
    return hashlib.md5(data).hexdigest(), hashlib.sha512(data).hexdigest()


def stored(folder: Path) -> list[str]:
    """Every file in the store, however it is called."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def qemu_img(*args: str) -> None:
    subprocess.run(["qemu-img", *args], check=True, capture_output=True, timeout=60)
