"""Disks without data: no file is made and nothing is downloaded."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from kilonova.compute.virt.block import BlockSource, FileSource
from kilonova.compute.virt.disks import BaseImage, DiskStore, Export, InjectedFile
from kilonova.compute.virt.fake_hypervisor import FakeHypervisor
from kilonova.compute.virt.fake_options import FakeOptions, Mishaps
from kilonova.core.block.errors import DiskError
from kilonova.core.block.images import Fetch, ImageSource

ASIDE = "."  # between a server and the move that its disks are set aside for
SHARED = "<shared storage>"
ROOT = Path("/nowhere/kilonova-fake")
CLUSTER = 1 << 16
EMPTY_QCOW2 = struct.pack(
    ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, CLUSTER, 0, 1, CLUSTER, 0, 0, 0, 0, 0, 0, 0, 4, 104
)
"""The header of a qcow2 of 64 KiB in which nothing was written: what disks without data are exported as."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FakeDiskStore(DiskStore):
    """The disks of one host of a FakeHypervisor. Paths name files that don't exist."""

    __slots__ = ("_host", "_hypervisor", "_mishaps")

    def __init__(self, host: str, hypervisor: FakeHypervisor, options: FakeOptions) -> None:
        self._host = SHARED if options.shared_disks else host
        self._hypervisor = hypervisor
        self._mishaps = Mishaps(host, hypervisor, options)

    async def fetch(self, image: ImageSource, fetch: Fetch) -> BaseImage:
        await self._mishaps.strike("fetch", DiskError, image.id)
        disk_format = "qcow2" if image.disk_format == "qcow2" else "raw"
        return BaseImage(path=ROOT / "base" / image.id, format=disk_format, virtual_size=image.size)

    async def overlay(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> FileSource:
        return FileSource(path=await self._make("overlay", server_uuid, "disk"), format="qcow2")

    async def own_root(self, server_uuid: str, *, size_gb: int) -> FileSource | None:
        return None

    async def full_root(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> FileSource:
        return FileSource(path=await self._make("full_root", server_uuid, "disk"), format="qcow2")

    async def blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> FileSource:
        return FileSource(path=await self._make("blank", server_uuid, name), format="qcow2")

    async def kernel(self, server_uuid: str, name: str, base: BaseImage) -> Path:
        return await self._make("kernel", server_uuid, name)

    async def config_drive(self, server_uuid: str, files: dict[str, bytes]) -> FileSource:
        return FileSource(path=await self._make("config_drive", server_uuid, "disk.config"), format="raw")

    async def inject(self, disk: BlockSource, files: list[InjectedFile]) -> None:
        found = UUID.search(str(disk))
        await self._mishaps.strike("inject", DiskError, found[0] if found else str(disk))

    async def read(self, disk: BlockSource, path: str) -> bytes | None:
        return None

    async def rescue(self, server_uuid: str, base: BaseImage) -> FileSource:
        return FileSource(path=await self._make("rescue", server_uuid, "disk.rescue"), format="qcow2")

    async def drop_rescue(self, server_uuid: str) -> None:
        await self._mishaps.strike("drop_rescue", DiskError, server_uuid)

    async def copy_target(self, server_uuid: str) -> tuple[FileSource, FileSource]:
        await self._mishaps.strike("copy_target", DiskError, server_uuid)
        root, copy = (ROOT / "servers" / server_uuid / name for name in ("disk", "snapshot.copy"))
        return FileSource(path=root, format="qcow2"), FileSource(path=copy, format="qcow2")

    async def export(self, server_uuid: str, disk_format: str) -> Export:
        await self._mishaps.strike("export", DiskError, server_uuid)
        data = EMPTY_QCOW2.ljust(CLUSTER, b"\0") if disk_format == "qcow2" else bytes(CLUSTER)

        async def read() -> AsyncIterator[bytes]:
            yield data

        return Export(size=len(data), open=read)

    async def drop_export(self, server_uuid: str) -> None:
        return

    def console_log(self, server_uuid: str) -> Path:
        return ROOT / "servers" / server_uuid / "console.log"

    async def remove(self, server_uuid: str) -> None:
        for held in sorted(self._hypervisor.disks(self._host)):
            if held.partition(ASIDE)[0] == server_uuid:
                await self._mishaps.strike("remove", DiskError, server_uuid)
                self._hypervisor.set_disks(self._host, held, False)

    async def set_aside(self, server_uuid: str, migration: str) -> None:
        if not await self.is_aside(server_uuid, migration):
            await self._mishaps.strike("set_aside", DiskError, server_uuid)
            if not await self.present(server_uuid):
                raise DiskError(f"setting aside the disks of server {server_uuid}: there are none")
            self._rename(server_uuid, server_uuid + ASIDE + migration)

    async def is_aside(self, server_uuid: str, migration: str) -> bool:
        return server_uuid + ASIDE + migration in self._hypervisor.disks(self._host)

    async def put_back(self, server_uuid: str, migration: str | None = None) -> None:
        if migration is None and await self.present(server_uuid):
            return
        found = [
            held
            for held in sorted(self._hypervisor.disks(self._host))
            if held.startswith(server_uuid + ASIDE + (migration or ""))
        ]
        for held in found[:1]:
            await self._mishaps.strike("put_back", DiskError, server_uuid)
            self._rename(held, server_uuid)

    async def drop_aside(self, server_uuid: str, migration: str) -> None:
        if await self.is_aside(server_uuid, migration):
            await self._mishaps.strike("drop_aside", DiskError, server_uuid)
            self._hypervisor.set_disks(self._host, server_uuid + ASIDE + migration, False)

    async def discard(self, server_uuid: str, *, aside: str | None = None) -> None:
        if await self.present(server_uuid) and (aside is None or await self.is_aside(server_uuid, aside)):
            await self._mishaps.strike("discard", DiskError, server_uuid)
            self._hypervisor.set_disks(self._host, server_uuid, False)

    async def take_aside(self, server_uuid: str, migration: str) -> bool:
        if not await self.present(server_uuid):
            if not await self.is_aside(server_uuid, migration):
                return False
            await self._make("take_aside", server_uuid, "disk")
        return True

    async def pack(self, server_uuid: str, migration: str) -> AsyncIterator[bytes]:
        await self._mishaps.strike("pack", DiskError, server_uuid)
        if await self.is_aside(server_uuid, migration):
            yield b"disks"

    async def pack_form(self, server_uuid: str) -> AsyncIterator[bytes]:
        await self._mishaps.strike("pack_form", DiskError, server_uuid)
        if await self.present(server_uuid):
            yield b"disks"

    async def pack_log(self, server_uuid: str) -> AsyncIterator[bytes]:
        if await self.present(server_uuid):
            yield b""

    async def take_log(self, server_uuid: str, stream: AsyncIterator[bytes]) -> None:
        await self._mishaps.strike("take_log", DiskError, server_uuid)
        async for _ in stream:
            pass

    async def unpack(self, server_uuid: str, stream: AsyncIterator[bytes], *, most: int | None = None) -> None:
        if await self.present(server_uuid):
            return
        if b"".join([part async for part in stream]) != b"disks":
            raise DiskError(f"copying the disks of server {server_uuid}: the other host stopped in the middle")
        await self._make("unpack", server_uuid, "disk")

    async def storage(self) -> str:
        return SHARED if self._host == SHARED else ""

    def _rename(self, before: str, after: str) -> None:
        self._hypervisor.set_disks(self._host, after, True)
        self._hypervisor.set_disks(self._host, before, False)

    async def wipe(self, server_uuid: str, *, keep: Collection[str] = ()) -> None:
        await self.discard(server_uuid)

    async def present(self, server_uuid: str) -> bool:
        return server_uuid in await self.servers()

    async def servers(self) -> set[str]:
        return {held for held in self._hypervisor.disks(self._host) if ASIDE not in held}

    async def _make(self, operation: str, server_uuid: str, name: str) -> Path:
        await self._mishaps.strike(operation, DiskError, server_uuid)
        self._hypervisor.set_disks(self._host, server_uuid, True)
        return ROOT / "servers" / server_uuid / name
