"""A server's root disk in Ceph: a clone of its image beside a full copy of it, for images of three sizes. The cluster is one
monitor and one OSD of this machine. Needs what `make ceph` installs."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.compute.virt.disks import BaseImage
from kilonova.compute.virt.file_disks import FileDisksOptions
from kilonova.compute.virt.rbd_disks import RbdDisks
from kilonova.core.block.images import ImageSource
from kilonova.core.ceph import CephOptions, Pool
from kilonova.testing.engines import Ceph

SIZES_MB = (24, 300, 2048)
MB, DISK_GB = 1 << 20, 4


def run(rounds: int) -> list[Row]:
    with workplace() as folder, Ceph(folder, size_gb=24) as cluster:
        options = CephOptions(conf=cluster.conf, user="cloud", keyring=str(cluster.keyring("cloud")))
        return asyncio.run(_measured(options, folder, rounds))


async def _measured(options: CephOptions, folder: Path, rounds: int) -> list[Row]:
    disks = RbdDisks(FileDisksOptions(state_dir=folder / "state"), options)
    rows = []
    for size in SIZES_MB:
        source = _stored(options, size)
        base = await disks.fetch(source, _nothing)
        file = _file(folder / "image", size)
        clones = [await _timed(disks, base) for _ in range(rounds + 1)][1:]  # the first one warms up
        copies = [await _timed(disks, file) for _ in range(rounds)]
        rows += [
            Row(what=f"root disk of an image of {size} MB, a clone", unit="s", samples=clones),
            Row(what="the same, a full copy of the file", unit="s", samples=copies),
        ]
    return rows


def _stored(options: CephOptions, size: int) -> ImageSource:
    pool, name = Pool(options, options.image_pool), str(uuid.uuid4())
    pool.create(name, size * MB)
    with pool.opened(name) as image:
        part = os.urandom(4 * MB)
        for offset in range(0, size * MB, len(part)):
            image.write(part, offset)
    pool.snapshot(name, "snap")
    pool.close()
    return ImageSource(
        id=name, disk_format="raw", container_format="bare", size=size * MB, hash_algo=None, hash_value=None
    )


def _file(path: Path, size: int) -> BaseImage:
    part = os.urandom(4 * MB)
    with path.open("wb") as file:
        for _ in range(size // 4):
            file.write(part)
    return BaseImage(path=path, format="raw", virtual_size=size * MB)


async def _timed(disks: RbdDisks, base: BaseImage) -> float:
    server = str(uuid.uuid4())
    began = time.perf_counter()
    await disks.overlay(server, base, size_gb=DISK_GB)
    taken = time.perf_counter() - began
    await disks.remove(server)
    return taken


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
