"""Root disks that need no base image: those of servers that came back from an image of their disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions

from .support import GIB, MIB, Download, image, tool


@pytest.mark.parametrize("raw", [False, True])
async def test_a_disk_of_its_own(state: Path, server: str, tmp_path: Path, raw: bool) -> None:
    disks = FileDisks(FileDisksOptions(state_dir=state, raw_disks=raw))
    data = os.urandom(2 * MIB)
    base = await disks.fetch(image(data), Download(data))
    assert await disks.own_root(server, size_gb=1) is None
    made = await disks.full_root(server, base, size_gb=1)
    assert not base.path.exists()
    assert list(base.path.parent.glob("*.json")) == []
    found = json.loads(tool("qemu-img", "info", "--output=json", "-f", made.format, made.path))
    assert (found["virtual-size"], "backing-filename" in found) == (GIB, False)
    tool("qemu-img", "convert", "-f", made.format, "-O", "raw", made.path, tmp_path / "raw")
    with (tmp_path / "raw").open("rb") as file:
        assert file.read(len(data)) == data
    inode = made.path.stat().st_ino
    assert (await disks.full_root(server, base, size_gb=1)).path.stat().st_ino == inode  # repeated after a crash
    assert await disks.own_root(server, size_gb=1) == made
    await disks.own_root(server, size_gb=2)
    found = json.loads(tool("qemu-img", "info", "--output=json", "-f", made.format, made.path))
    assert (found["virtual-size"], made.path.stat().st_ino) == (2 * GIB, inode)


async def test_an_overlay_is_none(disks: FileDisks, server: str) -> None:
    data = os.urandom(MIB)
    base = await disks.fetch(image(data), Download(data))
    await disks.overlay(server, base, size_gb=0)
    assert await disks.own_root(server, size_gb=0) is None
