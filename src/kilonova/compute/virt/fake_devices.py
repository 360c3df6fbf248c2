"""Interfaces and disks that pretended guests get and lose while they run."""

from __future__ import annotations

from abc import abstractmethod
from string import ascii_lowercase

import msgspec

from kilonova.compute.virt.capabilities import PlugsDisks, PlugsInterfaces
from kilonova.compute.virt.driver import GuestDisk, GuestInterface, VirtDriver, VirtError
from kilonova.compute.virt.fake_hypervisor import FakeGuest, FakeHypervisor

BOOT_DISKS = ("vda",)


def serials(disks: tuple[GuestDisk, ...]) -> dict[str, str]:
    """Serial → device name of those that have a serial."""
    return {disk.serial: disk.target for disk in disks if disk.serial}


class FakeDevices(VirtDriver, PlugsInterfaces, PlugsDisks):
    """Guests let go of what they are asked for at once."""

    __slots__ = ()
    host: str
    _hypervisor: FakeHypervisor

    @abstractmethod
    async def _act(self, operation: str, uuid: str) -> FakeGuest:
        """The guest as it is once the operation took its time."""

    async def attach_interface(self, uuid: str, interface: GuestInterface) -> None:
        self.must_plug(uuid, interface)
        guest = await self._act("attach_interface", uuid)
        if interface.mac not in guest.macs:
            self._change(uuid, guest, macs=(*guest.macs, interface.mac))

    async def detach_interface(self, uuid: str, mac: str, *, timeout: float) -> bool:
        guest = await self._act("detach_interface", uuid)
        self._change(uuid, guest, macs=tuple(held for held in guest.macs if held != mac))
        return True

    async def interfaces(self, uuid: str) -> frozenset[str]:
        return frozenset((await self._act("interfaces", uuid)).macs)

    async def attach_disk(self, uuid: str, disk: GuestDisk) -> str:
        self.must_hold(uuid, disk)
        if not disk.serial:
            raise VirtError(f"attach a disk: guest {uuid}: it has no serial")
        guest = await self._act("attach_disk", uuid)
        if disk.serial not in guest.disks:
            taken = {*BOOT_DISKS, *guest.disks.values()}
            names = [disk.target, *("vd" + letter for letter in ascii_lowercase)]
            target = next(name for name in names if name not in taken)
            self._change(uuid, guest, disks={**guest.disks, disk.serial: target})
            return target
        return guest.disks[disk.serial]

    async def detach_disk(self, uuid: str, serial: str, *, timeout: float) -> bool:
        guest = await self._act("detach_disk", uuid)
        self._change(uuid, guest, disks={held: name for held, name in guest.disks.items() if held != serial})
        return True

    async def resize_disk(self, uuid: str, serial: str, size: int) -> None:
        guest = await self._act("resize_disk", uuid)
        if serial not in guest.disks:
            raise VirtError(f"resize a disk: guest {uuid}: it has no disk {serial}")

    async def disks_of(self, uuid: str) -> dict[str, str]:
        return dict((await self._act("disks_of", uuid)).disks)

    def _change(self, uuid: str, guest: FakeGuest, **to: object) -> None:
        self._hypervisor.put(self.host, uuid, msgspec.structs.replace(guest, **to))
