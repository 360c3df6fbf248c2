"""The volumes of servers: made, reserved, connected to the host that a server is on, and let go of. The conductor alone speaks to
the volume service; a row in `block_devices` is written before anything is asked of it, so that what a process that dies leaves
behind is found again: an attachment by its server and volume, a volume by its id, which the row has from the beginning.

A server has one attachment for each volume, with the connector of the host that it is on, or with none while it is on no host.
Where it moves, the new host's attachment is made before the old one goes: the volume is never free in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.errors import VolumeNotThere
from kilonova.compute.models import ConnectedVolume
from kilonova.compute.store import block_devices as store
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import migrations, request_specs
from kilonova.compute.store.block_devices import VolumeRow
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.compute.volumes import AttachmentFacts, VolumeAccess, VolumeFacts, VolumeOrder
from kilonova.core import errors
from kilonova.core.db import retried

READY = frozenset(["available", "in-use", "reserved", "attaching"])
RESERVED = "reserved"
"""Status of an attachment without a connector that is not in use."""
ON_ITS_WAY = frozenset(["creating", "downloading"])
LIVE = ("live-migration",)
"""Types of moves during which two hosts have the guest."""
Connector = dict[str, str]


class Volumes:
    """`client` acts on the component's own account; None in a cloud without a volume service."""

    def __init__(self, deps: Deps, client: VolumeAccess | None) -> None:
        self.deps, self._client = deps, client
        self._astray: dict[str, float] = {}  # attachment → when it was first seen without its server's volume

    @property
    def client(self) -> VolumeAccess:
        if self._client is None:
            raise errors.ServiceUnavailable(reason="this cloud has no volume service")
        return self._client

    # ---- a host takes them, or lets go

    async def connect(
        self, host: str, server_id: str, connector: Connector, device: str | None
    ) -> list[ConnectedVolume] | None:
        row, devices = await self._of(server_id, device)
        if row is None or not await self._may_have(row, host):
            raise VolumeNotThere(volume_id="of the server", reason="the server is not on this host")
        if device is not None and not devices:
            raise VolumeNotThere(volume_id="asked for", reason="the server has it no more")
        made = await asyncio.gather(*(self._made(row, one) for one in devices))
        if any(volume is None for volume in made):
            return None
        held = await self.client.attachments(server_id)
        keep = any(move.type in LIVE for move in await self._moves(row))
        return [
            await self._connected(one, volume, held, connector | {"host": host}, keep=keep)
            for one, volume in zip(devices, made, strict=True)
            if volume is not None
        ]

    async def disconnect(self, host: str, server_id: str, device: str | None, *, forget: bool) -> None:
        """Nothing happens to volumes that another host has by now. A server that still has a volume keeps it reserved."""
        row, devices = await self._of(server_id, device)
        if row is None or not await self._may_have(row, host):
            return
        devices = [one for one in devices if one.attached_host in (host, None)]
        held = await self.client.attachments(server_id)
        for one in devices:
            own = [attachment for attachment in held if attachment.volume_id == one.volume_id]
            await (self._detach(own) if forget else self._reserved(one, own))
        if forget:
            await self._forget(devices)

    @retried
    async def name(self, host: str, server_id: str, device: str, name: str) -> None:
        row, devices = await self._of(server_id, device)
        if row is not None and devices and await self._may_have(row, host):
            async with self.deps.database.transaction() as tx:
                await store.rename(tx.connection, device, f"/dev/{name}"[:255])

    @retried
    async def _forget(self, devices: Sequence[VolumeRow]) -> None:
        async with self.deps.database.transaction() as tx:
            for device in devices:
                await store.forget(tx.connection, device.uuid)

    async def _detach(self, attachments: Iterable[AttachmentFacts]) -> None:
        for attachment in attachments:
            await self.client.detach(attachment.id)

    async def _of(self, server_id: str, device: str | None) -> tuple[SpecifiedRow | None, list[VolumeRow]]:
        async with self.deps.database.reading() as connection:
            row = await servers.get(connection, server_id)
            found = (await store.volumes_of(connection, [server_id])).get(server_id, [])
        return row, [one for one in found if device is None or one.uuid == device]

    async def _may_have(self, row: SpecifiedRow, host: str) -> bool:
        if row.deleted or row.host == host:
            return not row.deleted
        return any(host in (move.source_compute, move.dest_compute) for move in await self._moves(row))

    async def _moves(self, row: SpecifiedRow) -> Sequence[MigrationRow]:
        async with self.deps.database.reading() as connection:
            return await migrations.open_of(connection, row.uuid)

    # ---- made, and attached

    async def _made(self, row: SpecifiedRow, device: VolumeRow) -> VolumeFacts | None:
        """The volume, made if need be; None while it is not ready. Raises VolumeNotThere."""
        try:
            if device.source_type == "volume":
                volume = await self.client.volume(None, device.volume_id)
            else:
                volume = await self.client.order(_order(row, device))
        except errors.KilonovaError as error:
            if error.status >= 500:
                raise
            raise self._missing(device, error.message) from None
        if volume.project_id not in ("", row.project_id):
            raise self._missing(device, "it is another project's by now")
        if volume.status in ON_ITS_WAY:
            return None
        if volume.status not in READY:
            raise self._missing(device, f"it is in status {volume.status}")
        return volume

    @staticmethod
    def _missing(device: VolumeRow, reason: str) -> VolumeNotThere:
        return VolumeNotThere(volume_id=device.volume_id, reason=reason)

    async def _connected(
        self,
        device: VolumeRow,
        volume: VolumeFacts,
        held: Sequence[AttachmentFacts],
        connector: Connector,
        *,
        keep: bool,
    ) -> ConnectedVolume:
        """`keep`: other hosts' attachments stay."""
        own = [one for one in held if one.volume_id == device.volume_id]
        try:
            mine = next((one for one in own if _host(one, device) in (connector["host"], "")), None)
            mine = mine or await self.client.attach(device.volume_id, device.server_uuid)
            place = {"mountpoint": device.device_name} if device.device_name else {}
            ready = await self.client.connect(mine.id, connector | place)
            await self.client.complete(mine.id)
        except errors.KilonovaError as error:
            if error.status >= 500:
                raise
            raise self._missing(device, error.message) from None
        await self._record(device, mine.id, connector["host"])
        if not keep:
            await self._detach(other for other in own if other.id != mine.id)
        return _as_connected(device, volume, ready)

    @retried
    async def _record(self, device: VolumeRow, attachment: str, host: str | None) -> None:
        values = {"attachment_id": attachment, "attached_host": host}
        if (device.attachment_id, device.attached_host) == (attachment, host):
            return
        async with self.deps.database.transaction() as tx:
            await store.change(tx.connection, device.uuid, values, attachment=device.attachment_id)

    # ---- servers on no host

    async def reserve(self, server_id: str) -> None:
        """The server's volumes are its own without a host's connector; those with one are replaced."""
        row, devices = await self._of(server_id, None)
        if row is None or row.deleted or row.host is not None or not devices:
            return
        held = await self.client.attachments(server_id)
        for device in devices:
            try:
                await self._reserved(device, [one for one in held if one.volume_id == device.volume_id])
            except errors.KilonovaError as error:
                if error.status >= 500:
                    raise
                logger.warning("volume not reserved", server=server_id, volume=device.volume_id, reason=error.message)

    async def _reserved(self, device: VolumeRow, own: Sequence[AttachmentFacts]) -> None:
        """Attached without a connector, before the attachments that have one go: `own` are those of the server and volume."""
        mine = next((one for one in own if _host(one, device) == ""), None)
        mine = mine or await self.client.attach(device.volume_id, device.server_uuid)
        await self.client.complete(mine.id)
        await self._record(device, mine.id, None)
        await self._detach(other for other in own if other.id != mine.id)

    async def drop(self, server_id: str, device: str) -> None:
        row, devices = await self._of(server_id, device)
        if row is not None and row.host is None:
            await self._let_go(server_id, devices)
            await self._forget(devices)

    # ---- the end of a server

    async def release(self, row: SpecifiedRow) -> None:
        """A server that is deleted gives up its volumes; those that were to go with it are deleted. What the volume service
        refuses to delete stays. Raises ServiceUnavailable while it is away: the deletion is done again."""
        if row.spec is None or not request_specs.decode(row.spec).volumes:
            return
        _, devices = await self._of(row.uuid, None)
        await self._let_go(row.uuid, devices)
        for device in devices:
            if device.delete_on_termination:
                await self._delete(row, device)

    async def _let_go(self, server_id: str, devices: Sequence[VolumeRow]) -> None:
        volumes = {device.volume_id for device in devices}
        held = await self.client.attachments(server_id)
        await self._detach(one for one in held if one.volume_id in volumes)

    async def _delete(self, row: SpecifiedRow, device: VolumeRow) -> None:
        """Not one that was given to another project, which a volume that the server never got may have been."""
        try:
            if (await self.client.volume(None, device.volume_id)).project_id not in ("", row.project_id):
                logger.warning("volume of a deleted server is another project's", volume=device.volume_id)
                return
            await self.client.delete(device.volume_id)
        except errors.NotFound:
            return
        except errors.KilonovaError as error:
            if error.status >= 500:
                raise
            logger.warning(
                "volume of a deleted server stays", server=device.server_uuid, volume=device.volume_id,
                reason=error.message,
            )  # fmt: skip

    async def remove_orphans(self, grace: float) -> int:
        """Detach what is attached to servers that are deleted, or that do not have the volume, seen so for `grace` seconds; how
        many. Attachments of servers that compute never knew are not compute's."""
        if self._client is None:
            return 0
        held = await self._client.attachments()
        async with self.deps.database.reading() as connection:
            known = await servers.ever_known(connection, {one.server_id for one in held}) if held else set()
            living = known - await servers.known_deleted(connection, known) if known else set()
            wanted = await store.pairs(connection, living) if living else set()  # rows of deleted servers stay
        now = self.deps.clock.monotonic()
        astray = {one.id for one in held if one.server_id in known and (one.server_id, one.volume_id) not in wanted}
        self._astray = {one: self._astray.get(one, now) for one in astray}
        due = [one for one, since in self._astray.items() if now - since >= grace]
        for attachment in due:
            logger.warning("detaching a volume that no server has", attachment=attachment)
            await self._client.detach(attachment)
        return len(due)


def _host(attachment: AttachmentFacts, device: VolumeRow) -> str | None:
    """Whose connector an attachment has, "" for none; None: it is not known, as the one that connected it died."""
    if attachment.id == device.attachment_id:
        return device.attached_host or ""
    return "" if attachment.status == RESERVED else None


def _order(row: SpecifiedRow, device: VolumeRow) -> VolumeOrder:
    return VolumeOrder(
        id=device.volume_id, project_id=row.project_id, user_id=row.user_id, size=device.volume_size or 0,
        image_id=device.image_id, snapshot_id=device.snapshot_id, volume_type=device.volume_type,
    )  # fmt: skip


def _as_connected(device: VolumeRow, volume: VolumeFacts, attached: AttachmentFacts) -> ConnectedVolume:
    return ConnectedVolume(
        device=device.uuid, volume_id=device.volume_id, connection=attached.connection,
        name=(device.device_name or "").removeprefix("/dev/"), boot_index=device.boot_index, bus=device.disk_bus,
        device_type=device.device_type, tag=device.tag, shared=volume.multiattach, size=volume.size,
    )  # fmt: skip
