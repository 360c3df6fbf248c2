"""Giving a server a volume and taking one from it: what is done before its host has it. The row is written first, in the
transaction that hands the work to the host, or to the conductor where the server is on none: what is left half done is found by
the row, or by its absence (conductor/volumes.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.device_names import MOST, NAMES, bare, free_name, local_disks
from kilonova.compute.errors import InvalidState, NotBuiltYet
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state, sender
from kilonova.compute.resources.servers.errors import TooManyDisks
from kilonova.compute.resources.servers.launch.disks import check_attachable
from kilonova.compute.resources.servers.logic import owned
from kilonova.compute.resources.volume_attachments import errors
from kilonova.compute.states import Vm
from kilonova.compute.store import block_devices as store
from kilonova.compute.store import conductor_servers, locks, request_specs
from kilonova.compute.store.block_devices import VolumeRow
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.volumes import VolumeFacts, VolumeReader
from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried

ATTACH, DETACH = "attach_volume", "detach_volume"
SHELVED = (Vm.SHELVED, Vm.SHELVED_OFFLOADED)


class AttachWish(msgspec.Struct, kw_only=True):
    """`multiattach`, `while_shelved`: what the caller's microversion knows."""

    volume_id: str
    device: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False
    multiattach: bool = True
    while_shelved: bool = True


class AttachmentLogic:
    def __init__(self, actions: ActionLogic, volumes: VolumeReader | None) -> None:
        self.actions, self._volumes = actions, volumes
        self.database, self.clock = actions.database, actions.clock

    @property
    def volumes(self) -> VolumeReader:
        if self._volumes is None:
            raise NotBuiltYet(what="Attaching a volume")
        return self._volumes

    async def attach(self, ctx: RequestContext, server_id: str, wish: AttachWish) -> str:
        """The device's name. Raises VolumeNotFound, InvalidVolume, DeviceNameInUse, TooManyDisks, InvalidState, ServerLocked."""
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id)
        check_lock(ctx, row)
        self._check_shelved(row, ATTACH, known=wish.while_shelved)
        check_state(row, ACTIONS[ATTACH])
        volume = await self.volume(ctx, wish.volume_id)
        if row.vm_state == Vm.SHELVED_OFFLOADED and wish.tag is not None:
            raise errors.TaggedWhileShelved
        if row.vm_state == Vm.SHELVED_OFFLOADED and volume.multiattach:
            raise errors.MultiattachWhileShelved
        return await self._attach(ctx, server_id, wish, volume)

    async def volume(self, ctx: RequestContext, volume_id: str) -> VolumeFacts:
        try:
            return await self.volumes.volume(ctx, volume_id)
        except core_errors.NotFound:
            raise errors.VolumeNotFound(volume_id=volume_id) from None

    @staticmethod
    def _check_shelved(row: ServerRow, action: str, *, known: bool) -> None:
        if row.vm_state in SHELVED and not known:
            raise InvalidState(action=action, server_id=row.uuid, attribute="vm_state", state=row.vm_state)

    @retried
    async def _attach(self, ctx: RequestContext, server_id: str, wish: AttachWish, volume: VolumeFacts) -> str:
        async with self.database.transaction() as tx:
            await locks.of_volume(tx.connection, volume.id)
            holders = await store.holders(tx.connection, volume.id)
            check_attachable(volume, holders, multiattach=wish.multiattach, server_id=server_id)
            row = await self.actions.take(tx, ctx, server_id, ATTACH)
            spec = await request_specs.get(tx.connection, row.uuid)
            name = _name(wish, spec, await store.devices_of(tx.connection, row.uuid))
            device = _row(row.uuid, wish, volume, name, self.clock.uuid())
            await store.add(tx.connection, [device])
            if spec is not None and not spec.volumes:
                spec.volumes = True
                await request_specs.save(tx.connection, row.uuid, spec)
            await self._hand_over(tx, ctx, row, ATTACH, device["uuid"], volume.id)
        return name

    @retried
    async def detach(self, ctx: RequestContext, server_id: str, volume_id: str, *, while_shelved: bool) -> None:
        async with self.database.transaction() as tx:
            self._check_shelved(await owned(tx.connection, ctx, server_id), DETACH, known=while_shelved)
            row = await self.actions.take(tx, ctx, server_id, DETACH)
            device = await self.one(tx.connection, row, volume_id)
            if device.boot_index == 0:
                raise errors.RootVolume
            await self._hand_over(tx, ctx, row, DETACH, device.uuid, volume_id)

    async def _hand_over(
        self, tx: Transaction, ctx: RequestContext, row: ServerRow, action: str, device: str, volume_id: str
    ) -> None:
        if row.host is not None:
            await self.actions.send(tx, ctx, row, action, {"device": device, "volume": volume_id})
            return
        conductor = tx.outbox(ConductorAPI)
        if action == ATTACH:
            await conductor.reserve_volumes(sender(ctx), row.uuid)
        else:
            await conductor.drop_volume(sender(ctx), row.uuid, device)
        await conductor_servers.finish_actions(
            tx.connection, [row.uuid], [action], self.clock.row_time(), request_id=ctx.request_id
        )

    @staticmethod
    async def one(connection: Connection, row: ServerRow, volume_id: str) -> VolumeRow:
        """A volume of a server. Raises VolumeAttachmentNotFound."""
        for device in (await store.volumes_of(connection, [row.uuid])).get(row.uuid, ()):
            if device.volume_id == volume_id:
                return device
        raise errors.VolumeAttachmentNotFound(server_id=row.uuid, volume_id=volume_id)

    @retried
    async def keep(self, ctx: RequestContext, server_id: str, volume_id: str, change: dict[str, Any]) -> None:
        """Set whether a volume is deleted with its server; `change` may repeat its other fields. Raises NotMutable."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id)
            device = await self.one(tx.connection, row, volume_id)
            held = {"id": volume_id, "serverId": row.uuid, "device": device.device_name, "tag": device.tag}
            for name, value in held.items():
                if name in change and change[name] != value:
                    raise errors.NotMutable(name=name)
            if "delete_on_termination" in change:
                await store.set_kept(tx.connection, device.uuid, delete_on_termination=change["delete_on_termination"])

    async def swap(self, ctx: RequestContext, server_id: str, volume_id: str) -> None:
        """Only a volume that the volume service migrates may be swapped, and no back end does that with one in use."""
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id)
            await self.one(connection, row, volume_id)
        if (await self.volume(ctx, volume_id)).migrating:
            raise NotBuiltYet(what="Swapping a volume")
        raise errors.NotMigrating(volume_id=volume_id)


def _name(wish: AttachWish, spec: models.RequestSpec | None, devices: Any) -> str:
    """The name that was asked for where it can be had, else the first that is left."""
    own = NAMES[: local_disks(spec)] if spec is not None else NAMES[:1]
    taken = {*own, *(bare(device.device_name) for device in devices)}
    asked = bare(wish.device)
    if any(device.volume_id is not None and bare(device.device_name) == asked for device in devices if asked):
        raise errors.DeviceNameInUse(path=wish.device)
    name = asked if asked in NAMES and asked not in taken else free_name(taken)
    if name is None:
        raise TooManyDisks(most=MOST)
    return f"/dev/{name}"


def _row(server_uuid: str, wish: AttachWish, volume: VolumeFacts, name: str, uuid: str) -> dict[str, Any]:
    return {
        "server_uuid": server_uuid, "uuid": uuid, "source_type": "volume", "destination_type": "volume",
        "volume_id": volume.id, "volume_size": volume.size, "device_name": name, "tag": wish.tag,
        "delete_on_termination": wish.delete_on_termination,
    }  # fmt: skip
