"""Moves that are done but for their user's word: confirmed by themselves after `resize_confirm_window`, and closed when the
server is deleted."""

from __future__ import annotations

import datetime as dt

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.conductor.moves.results import MoveResults
from kilonova.compute.states import Vm
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.confirmations import confirm
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import retried

SETTLED = (Vm.ACTIVE, Vm.STOPPED)


class Confirmation:
    def __init__(self, deps: Deps, results: MoveResults) -> None:
        self.deps, self.results = deps, results

    async def check(self, ctx: RequestContext, row: SpecifiedRow | None, record: MigrationRow) -> None:
        """What has become of a server that was to be confirmed. An operator who sets its state has confirmed it."""
        if row is None or row.deleted or (row.vm_state in SETTLED and row.task_state is None):
            await self.results.gone(ctx, record)
            return
        window = self.deps.options.resize_confirm_window
        late = window > 0 and record.updated_at < self.deps.ago(window)
        if late and row.vm_state == Vm.RESIZED and row.task_state is None:
            await self._confirm(ctx, record)

    @retried
    async def _confirm(self, ctx: RequestContext, record: MigrationRow) -> None:
        now, request_id = self.deps.now(), "req-" + self.deps.clock.uuid()
        async with self.deps.database.transaction() as tx:
            row = await servers.get(tx.connection, record.server_uuid, lock=True)
            if row is None or row.vm_state != Vm.RESIZED or row.task_state is not None:
                return
            values = await confirm(tx.connection, row, record, now)
            if values is None:
                return
            logger.info("resize confirmed by itself", server=row.uuid, migration=record.uuid)
            await action_store.begin(tx.connection, [_action(row, request_id, now)])
            await tx.outbox(ComputeAPI, host=record.source_compute).guests_departed(ctx)
            self.deps.events.send(tx, ctx, "resize.confirm.end", row, values, host=row.host)


def _action(row: SpecifiedRow, request_id: str, now: dt.datetime) -> dict[str, object]:
    return {
        "server_uuid": row.uuid, "request_id": request_id, "action": "confirmResize", "user_id": row.user_id,
        "project_id": row.project_id, "started_at": now, "finished_at": now,
    }  # fmt: skip
