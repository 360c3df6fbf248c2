"""Rules of attachments: a volume is reserved for a server, made reachable for its machine, in use, and let go of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.volume import errors
from kilonova.volume.agent.interface import VolumeAgentAPI
from kilonova.volume.attaching import usage_status
from kilonova.volume.dispatch import encode
from kilonova.volume.list_query import ListQuery
from kilonova.volume.models import machine_of
from kilonova.volume.resources.base import Deps, scope_of
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.store.attachments import ATTACHMENTS, AttachmentRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

USABLE = ("available", "downloading")
COMPLETABLE = ("reserved", "attaching")
"""As upstream, also without a connection: a server on no host (shelved) has its volumes in use."""
MOST = 128  # attachments of a volume: each costs its back end a key, and compute reads all of them
HELD = ("available", "reserved", "attaching", "in-use", "detaching")
"""Statuses of a volume that follow those of its attachments."""


class AttachmentLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.database, self.clock = deps, deps.database, deps.clock
        self.volumes = VolumeLogic(deps)
        self._compute = deps.core.client("compute", "/v2.1")

    async def find(
        self, connection: Connection, ctx: RequestContext, attachment_id: str, *, lock: bool = False
    ) -> AttachmentRow:
        row = await ATTACHMENTS.get(connection, attachment_id.lower(), lock=lock)
        if row is None or scope_of(ctx) not in (None, row.project_id):
            raise errors.AttachmentNotFound(attachment_id=attachment_id)
        return row

    async def get(self, ctx: RequestContext, attachment_id: str) -> AttachmentRow:
        async with self.database.reading() as connection:
            return await self.find(connection, ctx, attachment_id)

    async def list(self, ctx: RequestContext, query: ListQuery) -> Sequence[AttachmentRow]:
        if not query.all_projects:
            query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            rows = await ATTACHMENTS.page(connection, query)
        if rows is None:
            raise errors.AttachmentNotFound(attachment_id=query.marker)
        return rows

    @retried
    async def reserve(
        self, ctx: RequestContext, volume_id: str, server_id: str | None, mode: str | None
    ) -> AttachmentRow:
        async with self.database.transaction() as tx:
            volume = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            others = await ATTACHMENTS.find(tx.connection, volume_id=volume.id)
            _check_free(volume, others, server_id)
            new: dict[str, Any] = {
                "id": self.clock.uuid(), "volume_id": volume.id, "project_id": volume.project_id, "instance_id": server_id,
                "mode": "ro" if volume.readonly else mode, "status": "reserved", "created_at": self.clock.row_time(),
            }  # fmt: skip
            await ATTACHMENTS.add(tx.connection, **new)
            await self._follow(tx, volume)
            return await self.find(tx.connection, ctx, new["id"])

    async def connect(self, ctx: RequestContext, row: AttachmentRow, connector: dict[str, Any]) -> AttachmentRow:
        """Make the volume reachable for the machine; repeating it gives the same."""
        if not connector.get("host"):
            raise errors.InvalidInput(reason="The connector names no host.")
        volume = await self.volumes.get(ctx, row.volume_id)
        if row.connector is None:
            await self._begun(ctx, row.id, connector)
        mode = "ro" if volume.readonly else row.mode or connector.get("mode") or "rw"
        info = await self.export(ctx, volume, row.id, connector | {"mode": mode})
        info = info | {"data": {**info.get("data", {}), "access_mode": mode}}
        return await self._connected(ctx, row.id, connector, info | {"attachment_id": row.id}, mode)

    async def export(
        self, ctx: RequestContext, volume: VolumeRow, attachment_id: str, connector: dict[str, Any]
    ) -> dict[str, Any]:
        agent = self._agent(volume)
        try:
            return await agent.connect(_plain(ctx), volume.host or "", volume.id, attachment_id, connector)
        except core_errors.BusError:
            raise errors.BackendAway(volume_id=volume.id) from None

    async def withdraw(self, ctx: RequestContext, volume: VolumeRow, attachment_id: str) -> None:
        try:
            await self._agent(volume).disconnect(_plain(ctx), volume.host or "", volume.id, attachment_id)
        except core_errors.BusError:
            raise errors.BackendAway(volume_id=volume.id) from None

    def _agent(self, volume: VolumeRow) -> VolumeAgentAPI:
        if volume.host is None:
            raise errors.InvalidVolume(reason=f"Volume {volume.id} has no back end.")
        return self.deps.core.bus.client(VolumeAgentAPI, host=machine_of(volume.host))

    @retried
    async def _begun(self, ctx: RequestContext, attachment_id: str, connector: dict[str, Any]) -> None:
        """Before the back end is asked: what it has exported when the answer is lost is withdrawn with the attachment."""
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, attachment_id, lock=True)
            if row.connector is None:
                await ATTACHMENTS.change(tx.connection, row.id, {"connector": encode(connector)})

    @retried
    async def _connected(
        self, ctx: RequestContext, attachment_id: str, connector: dict[str, Any], info: dict[str, Any], mode: str
    ) -> AttachmentRow:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, attachment_id, lock=True)
            values = {
                "connector": encode(connector), "connection_info": encode(info), "host": str(connector["host"])[:255],
                "mountpoint": str(connector.get("mountpoint") or "")[:255] or row.mountpoint, "mode": mode,
                "updated_at": self.clock.row_time(), "status": "attached" if row.status == "attached" else "attaching",
            }  # fmt: skip
            await ATTACHMENTS.change(tx.connection, row.id, values)
            await self._follow(tx, await self.volumes.find(tx.connection, ctx, row.volume_id, lock=True))
            return await self.find(tx.connection, ctx, row.id)

    @retried
    async def complete(self, ctx: RequestContext, attachment_id: str) -> None:
        now = self.clock.row_time()
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, attachment_id, lock=True)
            if row.status == "attached":
                return
            if row.status not in COMPLETABLE:
                raise errors.AttachedToAnother(reason=f"Attachment {row.id} is {row.status}.")
            await ATTACHMENTS.change(
                tx.connection, row.id, {"status": "attached", "attached_at": now, "updated_at": now}
            )
            volume = await self.volumes.find(tx.connection, ctx, row.volume_id, lock=True)
            await self._follow(tx, volume)
            self.deps.events.send(tx, ctx, "volume.attach.end", volume, {"status": "in-use"})

    async def delete(self, ctx: RequestContext, row: AttachmentRow) -> Sequence[AttachmentRow]:
        """Let go of the volume; what it still has of attachments."""
        await self.check_compute(ctx, row)
        volume = await self.volumes.get(ctx, row.volume_id)
        if row.connector is not None:
            await self.withdraw(ctx, volume, row.id)
        return await self.forget(ctx, row)

    async def undo(self, ctx: RequestContext, row: AttachmentRow) -> None:
        """A connection that failed, or whose answer was lost."""
        volume = await self.volumes.get(ctx, row.volume_id)
        with suppress(core_errors.KilonovaError):
            await self.withdraw(ctx, volume, row.id)
        await self.forget(ctx, row)

    @retried
    async def forget(self, ctx: RequestContext, row: AttachmentRow) -> Sequence[AttachmentRow]:
        async with self.database.transaction() as tx:
            volume = await VOLUMES.get(tx.connection, row.volume_id, lock=True)
            if await ATTACHMENTS.remove(tx.connection, row.id) and volume is not None:
                await self._follow(tx, volume)
                self.deps.events.send(tx, ctx, "volume.detach.end", volume)
            return await ATTACHMENTS.find(tx.connection, volume_id=row.volume_id)

    async def check_compute(self, ctx: RequestContext, row: AttachmentRow) -> None:
        """A volume that a server has is taken from it by compute alone, so that no guest writes to what another one has by
        then."""
        if row.instance_id is None or row.connector is None or "service" in ctx.roles:
            return
        try:
            path = f"/servers/{row.instance_id}/os-volume_attachments/{row.volume_id}"
            await self._compute.get(path, dict[str, Any], ctx=ctx, own=True)
        except core_errors.NotFound:
            return
        raise errors.DetachThroughCompute(server_id=row.instance_id)

    async def _follow(self, tx: Transaction, volume: VolumeRow) -> None:
        """The volume's status is that of its attachments, unless something else is done with it."""
        if volume.status not in HELD:
            return
        status = await usage_status(tx.connection, volume.id)
        if status != volume.status:
            changed = {"status": status, "updated_at": self.clock.row_time()}
            await VOLUMES.change(tx.connection, volume.id, changed)


def _check_free(volume: VolumeRow, others: Sequence[AttachmentRow], server_id: str | None) -> None:
    """It is free, or may be several servers', or this server's already (which moves, or swaps it)."""
    its_own = server_id is not None and others and all(row.instance_id == server_id for row in others)
    if len(others) >= MOST:
        raise errors.InvalidVolume(reason=f"Volume {volume.id} has {len(others)} attachments, it can't have more.")
    if volume.status in USABLE and not others:
        return
    if volume.multiattach and volume.status in (*USABLE, "in-use", "reserved", "attaching"):
        return
    if its_own and volume.status in ("in-use", "reserved", "attaching", "detaching"):
        return
    raise errors.InvalidVolume(
        reason=f"Volume {volume.id} status must be available or downloading to reserve, but the current status "
        f"is {volume.status}."
    )


def _plain(ctx: RequestContext) -> RequestContext:
    return msgspec.structs.replace(ctx, token=None)
