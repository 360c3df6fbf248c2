"""Disks of other hosts, each on a unix socket of this one. A daemon connects by TLS, with the key that the volume's host gave: no
guest's definition and no list of processes has the key. While that host is away, the daemon waits."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from kilonova.compute.virt.block import NbdSource, NbdTlsSource
from kilonova.compute.virt.driver import GuestDisk, VirtError
from kilonova.core.block.errors import DiskError
from kilonova.core.block.storage_daemon import Served, StorageDaemon

RECONNECT = 3600  # seconds that a volume's host may be away; the guest's requests wait
CONNECT = 20  # seconds for the first connection


class RemoteDisks:
    """One folder a connection, in `folder`; `owner` is the user that guests run as."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder, self._owner = folder, owner

    async def near(self, disks: Iterable[GuestDisk]) -> tuple[GuestDisk, ...]:
        """The same disks, those of other hosts at sockets of this one. Raises VirtError."""
        return tuple([await self._near(disk) for disk in disks])

    async def _near(self, disk: GuestDisk) -> GuestDisk:
        source = disk.source
        if not isinstance(source, NbdTlsSource):
            return disk
        server = {"type": "inet", "host": source.host, "port": str(source.port)}
        node = {"driver": "nbd", "server": server, "export": source.export, "tls-creds": "tls",
                "reconnect-delay": RECONNECT, "open-timeout": CONNECT}  # fmt: skip
        served = Served(
            name=source.export, disk=node, writable=not disk.readonly, keys={source.user: source.psk.reveal.decode()},
            user=source.user, owner=self._owner,
        )  # fmt: skip
        daemon = StorageDaemon(self._folder / source.user)
        try:
            await daemon.serve(served)
        except DiskError as error:
            raise VirtError(f"disk {disk.serial or disk.target} at host {source.host}: {error}") from error
        return msgspec.structs.replace(disk, source=NbdSource(export=source.export, socket=daemon.socket))

    async def forget(self, sockets: Iterable[str]) -> None:
        """Daemons at these sockets are gone, those of other hosts' disks."""
        for socket in sockets:
            if Path(socket).parent.parent == self._folder:
                await StorageDaemon(Path(socket).parent).remove()

    async def forget_all_but(self, sockets: Collection[str]) -> None:
        """The same, of all others."""
        held = await asyncio.to_thread(lambda: list(self._folder.iterdir()) if self._folder.is_dir() else [])
        await self.forget({str(StorageDaemon(folder).socket) for folder in held} - set(sockets))


async def ensure(sockets: Iterable[str]) -> None:
    """The daemons at these sockets run, whoever started them before."""
    for socket in sockets:
        try:
            await StorageDaemon(Path(socket).parent).ensure()
        except DiskError as error:
            raise VirtError(str(error)) from error
