"""An image that is downloaded into a file: written without its zeros, compared with its record, and inspected."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from kilonova.core.block import inspection
from kilonova.core.block.errors import ImageRefused
from kilonova.core.block.files import os_errors
from kilonova.core.block.images import Fetch, ImageSource
from kilonova.core.block.inspection import Inspected
from kilonova.core.block.sandbox import to_the_end

BATCH = 1 << 20
BLOCK = 1 << 16
ZEROS = bytes(BLOCK)


async def receive(part: Path, image: ImageSource, fetch: Fetch, *, name: str) -> Inspected:
    """Fill `part` with the image; what is in it is as the record says, and harmless. Raises ImageRefused and DiskFull; the
    file is the caller's to remove then."""
    with os_errors(f"fetching image {name}"):
        await _write(part, image, fetch, name=name)
    found = await asyncio.to_thread(inspection.inspect, part, image.disk_format, name=name)
    if found.format == "qcow2":
        await inspection.confirm_qcow2(part, found, name=name)
    return found


class _Writer:
    """Writes, hashes and counts what arrives; zeros become holes. Its methods block."""

    def __init__(self, path: Path, image: ImageSource, name: str) -> None:
        self._image, self._name = image, name
        self._hash = _hasher(image, name)
        self._file = path.open("wb", buffering=0)
        self.count = 0

    def write(self, data: bytes) -> None:
        if self._hash is not None:
            self._hash.update(data)
        self.count += len(data)
        if self.count > self._image.size:
            raise ImageRefused(f"image {self._name}: more than the {self._image.size} bytes of its record arrived")
        view = memoryview(data)
        for start in range(0, len(view), BLOCK):
            block = view[start : start + BLOCK]
            if block == ZEROS[: len(block)]:
                self._file.seek(len(block), os.SEEK_CUR)
            else:
                while block:
                    block = block[self._file.write(block) :]

    def finish(self) -> None:
        """Check size and hash."""
        self._file.truncate(self.count)
        wanted = self._image
        if not self.count:
            raise ImageRefused(f"image {self._name}: it is empty")
        if self.count != wanted.size:
            raise ImageRefused(f"image {self._name}: {self.count} bytes arrived, its record says {wanted.size}")
        if self._hash is not None:
            digest = self._hash.hexdigest()
            if digest != (wanted.hash_value or "").lower():
                raise ImageRefused(
                    f"image {self._name}: {wanted.hash_algo} is {digest}, its record says {wanted.hash_value}"
                )

    def close(self) -> None:
        self._file.close()


def _hasher(image: ImageSource, name: str) -> hashlib._Hash | None:
    if image.hash_algo is None:
        return None
    if image.hash_algo not in hashlib.algorithms_available or image.hash_algo.startswith("shake"):
        raise ImageRefused(f"image {name}: unknown hash algorithm {image.hash_algo}")
    return hashlib.new(image.hash_algo, usedforsecurity=False)


async def _write(part: Path, image: ImageSource, fetch: Fetch, *, name: str) -> None:
    """Stream one download into `part`, writing and hashing in threads, a mebibyte at a time."""
    writer = _Writer(part, image, name)
    stream = fetch()
    try:
        batch = bytearray()
        async for chunk in stream:
            batch += chunk
            if len(batch) >= BATCH:
                # A thread can't be cancelled, and the file must stay open as long as it writes.
                await to_the_end(asyncio.to_thread(writer.write, bytes(batch)))
                batch.clear()
        await to_the_end(asyncio.to_thread(writer.write, bytes(batch)))
        await to_the_end(asyncio.to_thread(writer.finish))
    finally:
        writer.close()
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
