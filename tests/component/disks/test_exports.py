"""A server's disk as an image that needs no other file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kilonova.compute.virt.disks import Export
from kilonova.compute.virt.file_disks import FileDisks
from kilonova.core.block.errors import DiskFull

from .support import MIB, Download, image, tool


async def content(export: Export) -> bytes:
    data = b"".join([piece async for piece in export.open()])
    assert len(data) == export.size
    return data


async def written(disks: FileDisks, server: str, data: bytes) -> Path:
    """The server's disk, on a base image with these bytes, with others written over the second mebibyte."""
    base = await disks.fetch(image(data), Download(data))
    disk = (await disks.overlay(server, base, size_gb=0)).path
    tool("qemu-io", "-f", "qcow2", "-c", f"write -P 0x5a {MIB} {MIB}", disk)
    return disk


@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
async def test_the_disk_of_a_guest_that_is_off(disks: FileDisks, server: str, tmp_path: Path, disk_format: str) -> None:
    base = os.urandom(3 * MIB)
    disk = await written(disks, server, base)
    made = tmp_path / "image"
    made.write_bytes(await content(await disks.export(server, disk_format)))
    found = json.loads(tool("qemu-img", "info", "--output=json", "-f", disk_format, made))
    assert (found["virtual-size"], "backing-filename" in found) == (3 * MIB, False)
    tool("qemu-img", "convert", "-f", disk_format, "-O", "raw", made, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == base[:MIB] + b"\x5a" * MIB + base[2 * MIB :]
    await disks.drop_export(server)
    await disks.drop_export(server)
    assert [entry.name for entry in disk.parent.iterdir()] == [disk.name]


@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
async def test_a_copy_goes_before_the_disk(disks: FileDisks, server: str, tmp_path: Path, disk_format: str) -> None:
    disk = await written(disks, server, os.urandom(3 * MIB))
    root, copy = await disks.copy_target(server)
    assert root.path == disk
    assert json.loads(tool("qemu-img", "info", "--output=json", "-f", "qcow2", copy.path))["virtual-size"] == 3 * MIB
    tool("qemu-io", "-f", "qcow2", "-c", f"write -P 0x33 0 {3 * MIB}", copy.path)
    made = tmp_path / "image"
    made.write_bytes(await content(await disks.export(server, disk_format)))
    tool("qemu-img", "convert", "-f", disk_format, "-O", "raw", made, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == b"\x33" * 3 * MIB
    assert not copy.path.exists()
    await disks.copy_target(server)
    await disks.drop_export(server)
    assert [entry.name for entry in disk.parent.iterdir()] == [disk.name]


async def test_a_full_disk_is_named(
    disks: FileDisks, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = await written(disks, server, os.urandom(3 * MIB))
    fake = tmp_path / "bin" / "qemu-img"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'qemu-img: error while writing: No space left on device' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("kilonova.core.block.sandbox.PATH", f"{fake.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
    with pytest.raises(DiskFull, match=f"image of the disk of server {server}"):
        await disks.export(server, "qcow2")
    assert [entry.name for entry in disk.parent.iterdir()] == [disk.name]
