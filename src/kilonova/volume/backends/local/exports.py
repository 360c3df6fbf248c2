"""The daemons that export volumes, as their records say: brought to that, started again when they end, removed.

A volume that is attached has one daemon on a unix socket, for guests of this host. Other hosts reach it through a second one, on
TCP with TLS, each with a key of its own; what they write is on the medium before it is answered, so that nothing is lost when
this host fails and their guests go on when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from kilonova.core import log
from kilonova.core.block.errors import DiskError
from kilonova.core.block.storage_daemon import Served, StorageDaemon
from kilonova.volume.backends.errors import BackendError, NotSupported
from kilonova.volume.backends.local.copies import copy
from kilonova.volume.backends.local.records import Attachment, Record
from kilonova.volume.backends.options import LocalBackendOptions
from kilonova.volume.backends.registry import BackendContext

RECONNECT = 3600  # seconds for which the second daemon waits for the first
AT_ONCE = 8  # daemons that are started when the agent is
LOOK_EVERY = 2.0  # seconds between two looks at whether all daemons run
REMOTE = ".tls"

LOG = log.get(__name__)


class Exports:
    """In a folder that a restart of the host empties."""

    def __init__(self, context: BackendContext, options: LocalBackendOptions) -> None:
        self._runtime, self._options, self._guest_user = context.runtime, options, context.guest_user
        self._host, self._address = context.host, options.address or context.address
        self._direct = True
        self._watched: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    async def open(self, records: Mapping[str, Record], *, direct: bool, data: Mapping[str, Path]) -> None:
        """Exports are as all these records say; `direct`: whether the files can be read past the page cache."""
        self._direct = direct
        for folder in await asyncio.to_thread(self._folders):
            name = folder.name.removesuffix(REMOTE)
            if name not in records or not records[name].attachments:
                await StorageDaemon(folder).remove()
        at_once = asyncio.Semaphore(AT_ONCE)

        async def bring_back(volume_id: str, record: Record) -> None:
            async with at_once:
                try:
                    await self.apply(volume_id, data[volume_id], record)
                except DiskError as error:  # of one volume: the others are served
                    LOG.error("volume not exported", volume=volume_id, reason=str(error))

        await asyncio.gather(*(bring_back(name, record) for name, record in records.items() if record.attachments))
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def remove_all(self) -> None:
        for folder in await asyncio.to_thread(self._folders):
            await StorageDaemon(folder).remove()

    async def copy(self, volume_id: str, data: Path, target: Path, *, step: str) -> None:
        """The volume's bytes as they are at one moment."""
        await copy(data, target, self.daemon(volume_id), step=step)

    def daemon(self, volume_id: str) -> StorageDaemon:
        return StorageDaemon(self._runtime / volume_id)

    async def apply(self, volume_id: str, data: Path, record: Record) -> None:
        """The volume's daemons serve what its record says."""
        near, far = self.daemon(volume_id), StorageDaemon(self._runtime / (volume_id + REMOTE))
        remote = self._remote(record)
        self._watched |= {near.folder.name} if record.attachments else set()
        self._watched |= {far.folder.name} if remote else set()
        if not remote:
            self._watched.discard(far.folder.name)
            await far.remove()
        if not record.attachments:
            self._watched.discard(near.folder.name)
            await near.remove()
            return
        writable = any(held.mode != "ro" for held in record.attachments.values())
        await near.serve(self._near(volume_id, data, writable=writable))
        if remote:
            await far.serve(self._far(volume_id, near, record, remote, writable=writable))

    async def restart(self, volume_id: str, record: Record, *, near: bool = True) -> None:
        """Cut the connections of other hosts, and of the daemon between; those that may connect do so again."""
        if near:
            await self.daemon(volume_id).restart()
        if self._remote(record):
            await StorageDaemon(self._runtime / (volume_id + REMOTE)).restart()

    def is_near(self, attachment: Attachment) -> bool:
        return attachment.host == self._host

    def info(self, volume_id: str, attachment_id: str, record: Record) -> dict[str, object]:
        """What a guest's host needs to know."""
        attachment = record.attachments[attachment_id]
        if self.is_near(attachment):
            return {"export": volume_id, "socket": str(self.daemon(volume_id).socket)}
        return {
            "export": volume_id, "host": self._address, "port": record.port, "user": attachment_id, "psk": attachment.key
        }  # fmt: skip

    def must_reach(self, host: str) -> None:
        if host != self._host and not self._address:
            raise NotSupported(
                f"host {host} can't use volumes of host {self._host}: its back end {self._runtime.name} has no address: set "
                "`address` of the back end or [agent] host_ip"
            )

    def free_port(self, taken: Collection[int]) -> int:
        """Blocking."""
        first = self._options.first_port
        for port in range(first, min(first + self._options.ports, 65536)):
            if port not in taken:
                with socket.socket() as probe, contextlib.suppress(OSError):
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((self._options.listen or self._address, port))
                    return port
        raise BackendError(f"no port from {first} on is free for volumes of other hosts")

    # inside

    def _remote(self, record: Record) -> dict[str, str]:
        """Attachment → key, of other hosts."""
        return {name: held.key for name, held in record.attachments.items() if not self.is_near(held)}

    def _near(self, volume_id: str, data: Path, *, writable: bool) -> Served:
        disk = {"driver": "file", "filename": str(data), "discard": "unmap", "cache": {"direct": self._direct}}
        return Served(name=volume_id, disk=disk, writable=writable, owner=self._guest_user)

    def _far(
        self, volume_id: str, near: StorageDaemon, record: Record, keys: Mapping[str, str], *, writable: bool
    ) -> Served:
        server = {"type": "unix", "path": str(near.socket)}
        disk = {"driver": "nbd", "server": server, "export": volume_id, "reconnect-delay": RECONNECT}
        return Served(
            name=volume_id, disk=disk, writable=writable, flushes=not self._options.remote_write_cache,
            port=record.port, listen=self._options.listen or self._address, keys=keys,
        )  # fmt: skip

    def _folders(self) -> list[Path]:
        """The daemons between before those they need: one that has lost its disk waits for it, even to end."""
        return sorted(self._runtime.iterdir(), reverse=True) if self._runtime.is_dir() else []

    async def _watch(self) -> None:
        """A daemon that ended is started again, the one on the unix socket first; guests wait for it."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for name in await asyncio.to_thread(self._ended):
                try:
                    await StorageDaemon(self._runtime / name).ensure()
                except DiskError as error:
                    LOG.error("export ended and can't be started", disk=name, reason=str(error))

    def _ended(self) -> list[str]:
        return sorted(name for name in self._watched if StorageDaemon(self._runtime / name).pid() is None)


def without(record: Record, attachment_id: str) -> Record:
    left = {name: held for name, held in record.attachments.items() if name != attachment_id}
    return msgspec.structs.replace(record, attachments=left, port=record.port if left else None)
