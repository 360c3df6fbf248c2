"""Volumes as sparse raw files of the agent's host, as those of the back end `local` are, exported by iSCSI with CHAP: each
attachment has a user and a password of its own. A snapshot of a volume that is attached makes its guest's writes wait while the
file is copied, unless the file system can share blocks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from kilonova.core import log
from kilonova.core.block.errors import DiskError
from kilonova.volume.backends.iscsi.target import Target, TargetDaemon
from kilonova.volume.backends.local.backend import LocalBackend
from kilonova.volume.backends.local.copies import copy
from kilonova.volume.backends.local.exports import LOOK_EVERY, Exports
from kilonova.volume.backends.local.records import Attachment, Record
from kilonova.volume.backends.options import IscsiBackendOptions, LocalBackendOptions
from kilonova.volume.backends.registry import BackendContext

PASSWORD = 32  # characters of a key that are the password: some initiators take no longer ones
LOOPBACK = "127.0.0.1"
LOG = log.get(__name__)


class Targets(Exports):
    """In `runtime`; one daemon a volume."""

    def __init__(self, context: BackendContext, options: IscsiBackendOptions) -> None:
        super().__init__(context, options)
        self._prefix = options.target_prefix

    async def open(self, records: Mapping[str, Record], *, direct: bool, data: Mapping[str, Path]) -> None:
        for folder in await asyncio.to_thread(self._folders):
            if folder.name not in records or not records[folder.name].attachments:
                await asyncio.to_thread(TargetDaemon(folder).remove)
        for volume_id, record in records.items():
            try:
                await asyncio.to_thread(self._target(volume_id).wake)
                await self.apply(volume_id, data[volume_id], record)
            except DiskError as error:  # of one volume: the others are served
                LOG.error("volume not exported", volume=volume_id, reason=str(error))
        self._watching = asyncio.create_task(self._watch())

    async def apply(self, volume_id: str, data: Path, record: Record) -> None:
        target = self._target(volume_id)
        if not record.attachments:
            self._watched.discard(volume_id)
            await asyncio.to_thread(target.remove)
            return
        wanted = Target(
            name=self._name(volume_id), path=str(data), listen=self._options.listen or self._address or LOOPBACK,
            port=record.port or 0, writable=any(held.mode != "ro" for held in record.attachments.values()),
            accounts={name: held.key[:PASSWORD] for name, held in record.attachments.items()},
        )  # fmt: skip
        self._watched.add(volume_id)
        await asyncio.to_thread(target.serve, wanted)

    async def restart(self, volume_id: str, record: Record, *, near: bool = True) -> None:
        if record.attachments:
            await asyncio.to_thread(self._target(volume_id).restart)

    def is_near(self, attachment: Attachment) -> bool:
        """Guests of this host come by iSCSI, too."""
        return False

    def info(self, volume_id: str, attachment_id: str, record: Record) -> dict[str, object]:
        return {
            "target_portal": f"{self._address or LOOPBACK}:{record.port}", "target_iqn": self._name(volume_id),
            "target_lun": 1, "target_discovered": False, "auth_method": "CHAP", "auth_username": attachment_id,
            "auth_password": record.attachments[attachment_id].key[:PASSWORD], "volume_id": volume_id,
        }  # fmt: skip

    def free_port(self, taken: Collection[int]) -> int:
        self._address = self._address or LOOPBACK
        return super().free_port(taken)

    async def remove_all(self) -> None:
        for folder in await asyncio.to_thread(self._folders):
            await asyncio.to_thread(TargetDaemon(folder).remove)

    async def copy(self, volume_id: str, data: Path, target: Path, *, step: str) -> None:
        with self._target(volume_id).paused():
            await copy(data, target, None, step=step)

    def _target(self, volume_id: str) -> TargetDaemon:
        return TargetDaemon(self._runtime / volume_id)

    def _name(self, volume_id: str) -> str:
        return f"{self._prefix}volume-{volume_id}"

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for name in sorted(self._watched):
                with contextlib.suppress(DiskError):
                    await asyncio.to_thread(self._target(name).ensure)


class IscsiBackend(LocalBackend):
    name, kind, protocol = "iscsi", "iscsi", "iSCSI"
    programs = ("tgtd", "qemu-img")

    def _make_exports(self, context: BackendContext, options: LocalBackendOptions) -> Exports:
        return Targets(context, options if isinstance(options, IscsiBackendOptions) else IscsiBackendOptions())
