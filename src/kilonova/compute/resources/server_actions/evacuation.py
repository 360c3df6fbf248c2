"""The request to evacuate a server from a host that is down: checked, recorded and handed to the conductor at once."""

from __future__ import annotations

from kilonova.compute.models import Move
from kilonova.compute.moves import EVACUATION
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.server_actions.records import begin_move
from kilonova.compute.states import Vm
from kilonova.compute.store import services
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried


class EvacuationLogic:
    def __init__(self, actions: ActionLogic) -> None:
        self.actions, self.database, self.clock = actions, actions.database, actions.clock

    @retried
    async def evacuate(
        self, ctx: RequestContext, server_id: str, *, target: str | None, force: bool, shared: bool | None,
        stopped: bool, admin_pass: str | None,
    ) -> None:  # fmt: skip
        """`target` None lets the scheduler choose, `force` passes its filters by; `shared`: see Move; `stopped` keeps
        the server off. Raises InvalidState, HostInUse (its host is up), TargetNotFound, SameHost, NotReady."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, "evacuate")
            source = await self._check(tx.connection, row, target)
            move = Move(
                kind=EVACUATION.name, migration=self.clock.uuid(), source=source, target=target, force=force, shared=shared,
                stopped=stopped or row.vm_state == Vm.STOPPED, admin_pass=admin_pass,
            )  # fmt: skip
            await begin_move(tx, ctx, self.clock, row, move)

    async def _check(self, connection: Connection, row: ServerRow, target: str | None) -> str:
        """The host that the server is to leave."""
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        if target is not None:
            if not await services.find(connection, host=target, binary=services.COMPUTE):
                raise errors.TargetNotFound(host=target)
            if target == row.host:
                raise errors.SameHost
        if await self.actions.is_up(connection, row.host):
            raise errors.HostInUse(host=row.host)
        return row.host
