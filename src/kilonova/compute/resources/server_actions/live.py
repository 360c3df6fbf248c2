"""The request to send a server's guest to another host while it runs."""

from __future__ import annotations

from kilonova.compute.models import Move
from kilonova.compute.moves import LIVE_MIGRATION, Leg
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.server_actions.records import begin_move
from kilonova.compute.store import block_devices, migrations, services
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried

CHECKS_TIMEOUT = 60.0  # seconds for which a client waits for the checks, where the answer shows their result
LOOK_EVERY = 0.1
CHECKING = (migrations.ACCEPTED, LIVE_MIGRATION.legs[Leg.RECEIVE].status)


class LiveMigrationLogic:
    def __init__(self, actions: ActionLogic) -> None:
        self.actions, self.database, self.clock = actions, actions.database, actions.clock

    async def migrate(
        self, ctx: RequestContext, server_id: str, *, target: str | None, force: bool, block: bool | None, told: bool
    ) -> None:
        """`target` None lets the scheduler choose, `force` passes its filters by; `block`: whether the disks are to be copied,
        None: as is found. Raises InvalidState, UnknownTarget, HostUnavailable, and PreCheckFailed, SameHostLive where the
        client is `told` what speaks against it, and waits for that."""
        migration = await self._record(ctx, server_id, target=target, force=force, block=block, told=told)
        if told:
            await self._checked(migration)

    @retried
    async def _record(
        self, ctx: RequestContext, server_id: str, *, target: str | None, force: bool, block: bool | None, told: bool
    ) -> str:
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, LIVE_MIGRATION.action)
            source = await self._check(tx.connection, row, target, told=told)
            move = Move(
                kind=LIVE_MIGRATION.name, migration=self.clock.uuid(), source=source, target=target, force=force, block=block,
                vm_state=row.vm_state,
            )  # fmt: skip
            await begin_move(tx, ctx, self.clock, row, move)
            return move.migration

    async def _check(self, connection: Connection, row: ServerRow, target: str | None, *, told: bool) -> str:
        """The host that the server is to leave."""
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        if target is not None and not await services.find(connection, host=target, binary=services.COMPUTE):
            raise errors.UnknownTarget(host=target)
        if told and target == row.host:
            raise errors.SameHostLive(server_id=row.uuid, host=target)
        if not await self.actions.is_up(connection, row.host):
            raise errors.HostUnavailable(host=row.host)
        if told and target is not None and not await self.actions.is_up(connection, target):
            raise errors.HostUnavailable(host=target)
        if (await block_devices.volumes_of(connection, [row.uuid])).get(row.uuid):
            raise errors.PreCheckFailed(reason="servers with volumes can not be migrated while they run yet")
        return row.host

    async def _checked(self, migration: str) -> None:
        until = self.clock.monotonic() + CHECKS_TIMEOUT
        while self.clock.monotonic() < until:
            async with self.database.reading() as connection:
                record = await migrations.get(connection, migration)
            if record is None or record.status not in CHECKING:
                break
            await self.clock.sleep(LOOK_EVERY)
        if record is not None and record.status == migrations.ERROR:
            raise errors.PreCheckFailed(reason=migrations.decode(record).message or "no reason was given")
