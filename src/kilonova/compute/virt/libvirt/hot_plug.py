"""Interfaces and disks that guests get and lose while they run."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from kilonova.compute.virt.capabilities import PlugsDisks, PlugsInterfaces
from kilonova.compute.virt.driver import GuestDisk, GuestInterface, VirtDriver, VirtError
from kilonova.compute.virt.libvirt import disks, interfaces, secrets
from kilonova.compute.virt.libvirt.domain_xml import disk_xml, interface_xml, is_i440fx
from kilonova.compute.virt.libvirt.options import HostFacts
from kilonova.compute.virt.libvirt.remote_disks import RemoteDisks
from kilonova.core.block.storage_daemon import StorageDaemon

T = TypeVar("T")
ASK_AGAIN = 10.0  # seconds between two requests to let go of a device: a guest that still boots ignores them
LOOK_AGAIN = 0.2  # seconds between two looks at whether it has


class HotPlug(VirtDriver, PlugsInterfaces, PlugsDisks):
    @abstractmethod
    async def _domain(self, what: str, uuid: str, act: Callable[[Any], T], *, timeout: float | None = None) -> T: ...

    @abstractmethod
    def _host(self) -> HostFacts: ...

    _remote: RemoteDisks

    async def attach_interface(self, uuid: str, interface: GuestInterface) -> None:
        self.must_plug(uuid, interface)
        text = interface_xml(interface)
        await self._domain("attach an interface", uuid, lambda domain: interfaces.attach(domain, interface.mac, text))

    async def detach_interface(self, uuid: str, mac: str, *, timeout: float) -> bool:
        async def gone() -> bool:
            return mac not in await self.interfaces(uuid)

        ask = lambda: self._domain("detach an interface", uuid, lambda d: interfaces.ask_to_detach(d, mac))  # noqa: E731
        return await _until_gone(ask, gone, timeout)

    async def interfaces(self, uuid: str) -> frozenset[str]:
        return await self._domain("list interfaces", uuid, interfaces.macs)

    async def attach_disk(self, uuid: str, disk: GuestDisk) -> str:
        self.must_hold(uuid, disk)
        serial = disk.serial
        if not serial:
            raise VirtError(f"attach a disk: guest {uuid}: it has no serial")
        (disk,) = await self._remote.near((disk,))
        host = self._host()

        def attach(domain: Any) -> str:
            if serial not in (held := disks.held(domain)):
                secrets.keep(domain.connect(), [disk], host)
                names, machine = disks.taken(domain)
                target, text = disk_xml(disk, names, host, pcie=not is_i440fx(machine))
                disks.attach(domain, serial, text)
                return target
            return held[serial]

        return await self._domain("attach a disk", uuid, attach)

    async def detach_disk(self, uuid: str, serial: str, *, timeout: float) -> bool:
        async def gone() -> bool:
            return serial not in await self.disks_of(uuid)

        ask = lambda: self._domain("detach a disk", uuid, lambda d: disks.ask_to_detach(d, serial))  # noqa: E731
        socket = await self._socket(uuid, serial)
        used = await self._domain("find a passphrase", uuid, lambda domain: secrets.used(domain, serial))
        done = await _until_gone(ask, gone, timeout)
        if done:
            await self._domain("forget a passphrase", uuid, lambda domain: secrets.forget(domain.connect(), used))
            await self._remote.forget([socket] if socket else ())
        return done

    async def resize_disk(self, uuid: str, serial: str, size: int) -> None:
        if socket := await self._socket(uuid, serial):
            await StorageDaemon(Path(socket).parent).restart()

        def resize(domain: Any) -> None:
            disks.resize(domain, serial, size, disks.read_a_sector)

        await self._domain("resize a disk", uuid, resize)

    async def _socket(self, uuid: str, serial: str) -> str | None:
        """Of the disk's NBD server, where it has one."""

        def find(domain: Any) -> str | None:
            return disks.sources(domain).get(disks.targets(domain).get(serial, ""))

        return await self._domain("find a disk", uuid, find)

    async def disks_of(self, uuid: str) -> dict[str, str]:
        return await self._domain("list disks", uuid, disks.targets)


async def _until_gone(ask: Callable[[], Awaitable[bool]], gone: Callable[[], Awaitable[bool]], timeout: float) -> bool:
    """Ask for it again and again, `timeout` seconds at most."""
    loop = asyncio.get_running_loop()
    until, asked = loop.time() + timeout, float("-inf")
    while True:
        if loop.time() - asked >= ASK_AGAIN:
            asked = loop.time()
            done = await ask()
        else:
            done = await gone()
        if done or loop.time() >= until:
            return done
        await asyncio.sleep(LOOK_AGAIN)
