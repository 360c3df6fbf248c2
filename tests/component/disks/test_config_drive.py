"""Config drives, read back by two other programs."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pycdlib
import pytest

from kilonova.compute.virt.file_disks import FileDisks
from kilonova.core.block.errors import DiskError

from .support import tool

FILES = {
    "openstack/latest/meta_data.json": b'{"uuid":"x"}',
    "openstack/latest/user_data": bytes(range(256)) * 300,
    "openstack/2012-08-10/vendor_data2.json": b"{}",
    "openstack/content/0000": b"",
    "ec2/2009-04-04/meta-data.json": b"{}",
}


async def test_contents(disks: FileDisks, server: str) -> None:
    path = (await disks.config_drive(server, FILES)).path
    assert path.name == "disk.config"
    assert path.stat().st_mode & 0o077 == 0  # it may hold a password
    for names in ("rr_path", "joliet_path"):
        iso = pycdlib.PyCdlib()
        iso.open(str(path))
        for name, content in FILES.items():
            read = io.BytesIO()
            iso.get_file_from_iso_fp(read, **{names: f"/{name}"})
            assert read.getvalue() == content
        assert iso.pvd.volume_identifier.strip() == b"config-2"
        iso.close()


@pytest.mark.skipif(shutil.which("isoinfo") is None, reason="isoinfo is not installed")
async def test_isoinfo_agrees(disks: FileDisks, server: str) -> None:
    path = (await disks.config_drive(server, FILES)).path
    header = tool("isoinfo", "-d", "-i", path)
    assert "Volume id: config-2" in header
    assert "Joliet with UCS level 3 found" in header
    assert "Rock Ridge signatures version 1" in header
    for names in ("-R", "-J"):
        listed = tool("isoinfo", names, "-f", "-i", path).split()
        assert {f"/{name}" for name in FILES} <= set(listed)


async def test_it_is_replaced_as_a_whole(disks: FileDisks, server: str) -> None:
    path = (await disks.config_drive(server, FILES)).path
    before = path.read_bytes()
    with pytest.raises(DiskError):
        await disks.config_drive(server, {"a": b"", "../b": b""})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["disk.config"]
    await disks.config_drive(server, {"a": b"new"})
    assert path.read_bytes() != before


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "", "a/./b", "a\nb", "a\0b", "x" * 65])
async def test_odd_paths_are_refused(disks: FileDisks, server: str, name: str, state: Path) -> None:
    with pytest.raises(DiskError, match="config drive"):
        await disks.config_drive(server, {name: b""})
