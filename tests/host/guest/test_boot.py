"""Real boots under plain emulation: config drive, injected files, user data, a static address, a second NIC."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from msgspec.structs import astuple

from kilonova.compute.virt.disks import BaseImage, InjectedFile
from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.compute.virt.personalise import (
    FixedIP,
    GuestFacts,
    KeyPair,
    Nic,
    config_drive_tree,
    injection_files,
)
from kilonova.guest.build import GuestImages

from .machine import booted

pytestmark = pytest.mark.guest

SERVER = str(uuid.uuid4())
KEYS = (KeyPair(name="k", public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@home"),)
USER_DATA = b"""#!/bin/sh
echo "user-data: $(cat /etc/greeting) $(ls -l /root/.ssh/authorized_keys | cut -c1-10)" > /dev/console
"""


def facts(**more: object) -> GuestFacts:
    fields = {"uuid": SERVER, "number": 7, "name": "web", "hostname": "web-7.novalocal", "project_id": "p"}
    return GuestFacts(**{**fields, **more})  # type: ignore[arg-type]


@pytest.fixture
def disks(tmp_path: Path) -> FileDisks:
    return FileDisks(FileDisksOptions(state_dir=tmp_path / "state"))


def ami(images: GuestImages) -> BaseImage:
    return BaseImage(path=images.root, format="raw", virtual_size=images.root.stat().st_size)


def kernel(images: GuestImages) -> list[str]:
    append = f"root=/dev/vda {images.kernel_args}"
    return ["-kernel", str(images.kernel), "-initrd", str(images.initrd), "-append", append]


async def test_config_drive(guest_images: GuestImages, disks: FileDisks, tmp_path: Path) -> None:
    known = facts(
        key_pairs=KEYS,
        user_data=USER_DATA,
        files=(("/etc/greeting", b"hello"),),
        random_seed=bytes(512),
        admin_pass="x1",
    )
    drive = await disks.config_drive(SERVER, config_drive_tree(known))
    root = await disks.overlay(SERVER, ami(guest_images), size_gb=1)
    async with booted(tmp_path, [astuple(root), astuple(drive)], *kernel(guest_images)) as machine:
        await machine.wait_for(r"cloudinit: source=configdrive hostname=web-7 keys=1\s")
        await machine.wait_for(r"user-data: hello -rw-------")
        ready = await machine.wait_for(r"tinycloud ready: web-7 .*up ([\d.]+)")
        assert float(ready[1]) < 60
        await machine.wait_for(r"web-7 login:")


async def test_injected_files_on_the_self_booting_disk(
    guest_images: GuestImages, disks: FileDisks, tmp_path: Path
) -> None:
    static = FixedIP(address="10.9.0.5", cidr="10.9.0.0/24", gateway="10.9.0.1", dhcp=False)
    nic = Nic(mac="52:54:00:12:34:56", port_id="p", network_id="n", fixed_ips=(static,))
    known = facts(key_pairs=KEYS, nics=(nic,), metadata={"a": "b"})
    base = BaseImage(path=guest_images.disk_qcow2, format="qcow2", virtual_size=40 << 20)
    disk = await disks.overlay(SERVER, base, size_gb=1)
    await disks.inject(disk, [*injection_files(known), InjectedFile(path="/etc/hostname", content=b"injected\n")])
    async with booted(tmp_path, [astuple(disk)], nics=2) as machine:
        await machine.wait_for(r"cloudinit: source=none hostname=injected keys=1\s")
        await machine.wait_for(r"tinycloud ready: injected 10\.9\.0\.5/24 up")


async def test_two_nics_by_dhcp(guest_images: GuestImages, disks: FileDisks, tmp_path: Path) -> None:
    """The first one keeps the default route."""
    script = (
        b"#!/bin/sh\nsleep 1\nip -4 -o addr > /dev/console\nip route > /dev/console\necho routes: end > /dev/console\n"
    )
    drive = await disks.config_drive(SERVER, config_drive_tree(facts(user_data=script)))
    root = await disks.overlay(SERVER, ami(guest_images), size_gb=1)
    async with booted(tmp_path, [astuple(root), astuple(drive)], *kernel(guest_images), nics=2) as machine:
        await machine.wait_for("routes: end")
        assert re.search(r"eth0 +inet 10\.0\.2\.15/24", machine.serial)
        assert re.search(r"eth1 +inet 10\.1\.2\.15/24", machine.serial)
        assert re.search(r"default via 10\.0\.2\.2 dev eth0 *\r?\n", machine.serial)
        assert re.search(r"default via 10\.1\.2\.2 dev eth1 +metric 201", machine.serial)
