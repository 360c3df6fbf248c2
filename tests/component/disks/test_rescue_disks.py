"""The disk that a server is rescued with."""

from __future__ import annotations

import json
import os

from kilonova.compute.virt.file_disks import FileDisks

from .support import MIB, Download, image, tool


async def test_a_rescue_disk_comes_and_goes(disks: FileDisks, server: str) -> None:
    data, other = os.urandom(2 * MIB), os.urandom(3 * MIB)
    base = await disks.fetch(image(data), Download(data))
    root = (await disks.overlay(server, base, size_gb=1)).path
    made = await disks.rescue(server, base)
    assert (made.path, made.format) == (root.parent / "disk.rescue", "qcow2")
    found = json.loads(tool("qemu-img", "info", "--output=json", "-f", "qcow2", made.path))
    assert (found["virtual-size"], found["backing-filename"]) == (2 * MIB, str(base.path))
    inode = made.path.stat().st_ino
    assert (await disks.rescue(server, base)).path.stat().st_ino == inode  # repeated after a crash
    second = await disks.fetch(image(other), Download(other))
    assert (await disks.rescue(server, second)).path.stat().st_ino != inode
    await disks.kernel(server, "kernel.rescue", base)
    for _ in range(2):
        await disks.drop_rescue(server)
        assert [entry.name for entry in root.parent.iterdir()] == [root.name]
    assert await disks.present(server)
