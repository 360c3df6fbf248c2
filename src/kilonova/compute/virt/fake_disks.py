"""Disks without data: no file is made and nothing is downloaded."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.disks import BaseImage, DiskError, DiskStore, Export, Fetch, ImageSource, InjectedFile
from kilonova.compute.virt.fake_hypervisor import FakeHypervisor
from kilonova.compute.virt.fake_options import FakeOptions, Mishaps

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

    async def blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> FileSource:
        return FileSource(path=await self._make("blank", server_uuid, name), format="qcow2")

    async def kernel(self, server_uuid: str, name: str, base: BaseImage) -> Path:
        return await self._make("kernel", server_uuid, name)

    async def config_drive(self, server_uuid: str, files: dict[str, bytes]) -> FileSource:
        return FileSource(path=await self._make("config_drive", server_uuid, "disk.config"), format="raw")

    async def inject(self, disk: FileSource, files: list[InjectedFile]) -> None:
        found = UUID.search(str(disk.path))
        await self._mishaps.strike("inject", DiskError, found[0] if found else str(disk.path))

    async def read(self, disk: FileSource, path: str) -> bytes | None:
        return None

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
        if server_uuid in self._hypervisor.disks(self._host):
            await self._mishaps.strike("remove", DiskError, server_uuid)
            self._hypervisor.set_disks(self._host, server_uuid, False)

    async def present(self, server_uuid: str) -> bool:
        return server_uuid in await self.servers()

    async def servers(self) -> set[str]:
        return self._hypervisor.disks(self._host)

    async def _make(self, operation: str, server_uuid: str, name: str) -> Path:
        await self._mishaps.strike(operation, DiskError, server_uuid)
        self._hypervisor.set_disks(self._host, server_uuid, True)
        return ROOT / "servers" / server_uuid / name
