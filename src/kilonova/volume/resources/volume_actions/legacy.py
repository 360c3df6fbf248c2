"""The older way to attach a volume, in single steps by its caller: reserve, initialize_connection, attach, begin_detaching,
terminate_connection, detach. Behind them are attachments, as of the newer API."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.volume import errors
from kilonova.volume.attaching import usage_status
from kilonova.volume.dispatch import encode
from kilonova.volume.resources.attachments.logic import AttachmentLogic
from kilonova.volume.resources.volume_actions import schemas as shapes
from kilonova.volume.store.attachments import ATTACHMENTS, AttachmentRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

CONNECTABLE = ("available", "reserved", "attaching", "in-use", "detaching")


class LegacyLogic:
    def __init__(self, attachments: AttachmentLogic) -> None:
        self.attachments, self.database = attachments, attachments.database
        self.volumes, self.clock = attachments.volumes, attachments.clock

    @retried
    async def turn(
        self, ctx: RequestContext, volume_id: str, before: tuple[str, ...], after: str | None, verb: str
    ) -> None:
        """From one of these statuses to another; None: what the attachments make of it."""
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status not in before:
                raise errors.InvalidVolume(
                    reason=f"Volume status must be {' or '.join(before)} to {verb}, it is {row.status}."
                )
            status = await usage_status(tx.connection, row.id) if after is None else after
            await VOLUMES.change(tx.connection, row.id, {"status": status, "updated_at": self.clock.row_time()})

    async def reserve(self, ctx: RequestContext, row: VolumeRow) -> None:
        before = ("available", "in-use") if row.multiattach else ("available",)
        await self.turn(ctx, row.id, before, "attaching", "reserve")

    async def initialize(self, ctx: RequestContext, row: VolumeRow, connector: dict[str, Any]) -> dict[str, Any]:
        """The connection is an attachment from here on, without a server as yet."""
        key = _connection(row, connector)
        asked = connector | {"mode": "ro"} if row.readonly else connector
        new = await self._record(
            ctx, row.id, key, connector
        )  # before it is: what a crash leaves is seen, by transfers too
        try:
            return await self.attachments.export(ctx, row, key, asked)
        except Exception:
            if new:
                await self._undo(ctx, row, key)
            raise

    async def _undo(self, ctx: RequestContext, row: VolumeRow, key: str) -> None:
        """The record stays where it is not known whether the connection is there: it can be terminated."""
        with suppress(core_errors.KilonovaError):
            await self.attachments.withdraw(ctx, row, key)
            await self._disconnected(key)

    @retried
    async def _record(self, ctx: RequestContext, volume_id: str, key: str, connector: dict[str, Any]) -> bool:
        """Whether the connection is a new one."""
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status not in CONNECTABLE:
                raise errors.InvalidVolume(reason=f"Volume {row.id} is {row.status}: it can't be connected.")
            values = {"connector": encode(connector), "host": str(connector["host"])[:255]}
            if await ATTACHMENTS.change(tx.connection, key, values):
                return False
            await ATTACHMENTS.add(
                tx.connection, id=key, volume_id=row.id, project_id=row.project_id, status="attaching", mode="rw",
                created_at=self.clock.row_time(), **values,
            )  # fmt: skip
        return True

    async def terminate(self, ctx: RequestContext, row: VolumeRow, connector: dict[str, Any]) -> None:
        """Raises DetachThroughCompute for a volume that a server has, whatever the connector."""
        async with self.database.reading() as connection:
            held = await ATTACHMENTS.find(connection, volume_id=row.id)
        for item in held:
            await self.attachments.check_compute(ctx, item)
        key = _connection(row, connector)
        await self.attachments.withdraw(ctx, row, key)
        await self._disconnected(key)

    @retried
    async def _disconnected(self, key: str) -> None:
        """What a server has stays until it is detached."""
        async with self.database.transaction() as tx:
            if not await ATTACHMENTS.change(tx.connection, key, {"connector": None}, status="attached"):
                await ATTACHMENTS.remove(tx.connection, key)

    @retried
    async def attach(self, ctx: RequestContext, volume_id: str, asked: shapes.Attach) -> None:
        now = self.clock.row_time()
        if (asked.instance_uuid is None) == (asked.host_name is None):
            raise errors.InvalidInput(
                reason="Either a server or a host has the volume: one of instance_uuid and host_name."
            )
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            held = await ATTACHMENTS.find(tx.connection, volume_id=row.id)
            if any(item.status == "attached" and _same(item, asked) for item in held):
                return
            self._check(row, asked)
            values: dict[str, Any] = {
                "instance_id": asked.instance_uuid,
                "mountpoint": asked.mountpoint,
                "mode": asked.mode,
                "status": "attached",
            }
            values |= {"attached_at": now} | ({"host": asked.host_name} if asked.host_name is not None else {})
            connected = next((item for item in held if item.status == "attaching" and item.instance_id is None), None)
            if connected is not None:
                await ATTACHMENTS.change(tx.connection, connected.id, values)
            else:
                key = self.clock.uuid()
                new: dict[str, Any] = {"id": key, "volume_id": row.id, "project_id": row.project_id, "created_at": now}
                await ATTACHMENTS.add(tx.connection, **new, **values)
            await VOLUMES.change(tx.connection, row.id, {"status": "in-use", "updated_at": now})

    def _check(self, row: VolumeRow, asked: shapes.Attach) -> None:
        if row.status not in ("available", "attaching") and not (row.multiattach and row.status == "in-use"):
            raise errors.InvalidVolume(reason=f"Volume {row.id} is {row.status}: it can't be attached.")
        if row.readonly and asked.mode == "rw":
            raise errors.InvalidVolume(reason=f"Volume {row.id} is read-only: it can't be attached for writing.")

    async def detach(self, ctx: RequestContext, row: VolumeRow, attachment_id: str | None) -> None:
        """Nothing happens to what is available, where no attachment is named."""
        if row.status == "available" and attachment_id is None:
            return
        held = await self._held(ctx, row, attachment_id)
        await self.attachments.delete(ctx, held)
        await self._settle(ctx, row.id)

    async def let_go(self, ctx: RequestContext, row: VolumeRow) -> None:
        """Nothing is exported any more; a back end that is away keeps what it exports until the volume is attached or deleted."""
        async with self.database.reading() as connection:
            held = await ATTACHMENTS.find(connection, volume_id=row.id)
        for item in held:
            if item.connector is not None:
                with suppress(core_errors.KilonovaError):
                    await self.attachments.withdraw(ctx, row, item.id)

    async def force_detach(self, ctx: RequestContext, row: VolumeRow, attachment_id: str | None) -> None:
        """Operators, too, take a volume that a server has from it by compute: by force goes what compute does not know."""
        held = await self._held(ctx, row, attachment_id)
        await self.attachments.check_compute(ctx, held)
        if held.connector is not None:
            await self.attachments.withdraw(ctx, row, held.id)
        await self.attachments.forget(ctx, held)
        await self._settle(ctx, row.id, "error")

    async def _held(self, ctx: RequestContext, row: VolumeRow, attachment_id: str | None) -> AttachmentRow:
        async with self.database.reading() as connection:
            held = await ATTACHMENTS.find(connection, volume_id=row.id)
        chosen = [item for item in held if attachment_id in (None, item.id)]
        if not chosen:
            raise errors.NotAttached(volume_id=row.id)
        if len(chosen) > 1:
            raise errors.InvalidVolume(reason=f"Volume {row.id} has several attachments: name one by attachment_id.")
        return chosen[0]

    @retried
    async def _settle(self, ctx: RequestContext, volume_id: str, *more: str) -> None:
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status in ("in-use", "detaching", "attaching", *more):
                await VOLUMES.change(tx.connection, row.id, {"status": await usage_status(tx.connection, row.id)})


def _same(item: AttachmentRow, asked: shapes.Attach) -> bool:
    if asked.instance_uuid is not None:
        return item.instance_id == asked.instance_uuid
    return item.instance_id is None and item.host == asked.host_name


def _connection(row: VolumeRow, connector: dict[str, Any]) -> str:
    """The id of a host's connection: the same for the same volume and host."""
    host = connector.get("host")
    if not isinstance(host, str) or not host:
        raise errors.InvalidInput(reason="The connector names no host.")
    return str(uuid.uuid5(uuid.UUID(row.id), host))
