"""Actions that no user asks for: a shelved server leaves its host, at once or after a while, and a rescued one comes back after a
while, as the settings say."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, logger, on_behalf
from kilonova.compute.states import Vm
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import builds
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.core.db import Transaction, retried

OFFLOAD, UNRESCUE = "shelveOffload", "unrescue"


class OwnActions:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def check(self) -> None:
        """Begin what is due: of servers that are idle in a state, on a host, for as long as the settings say."""
        options = self.deps.options
        if options.shelved_offload_time >= 0:
            await self._after(options.shelved_offload_time, Vm.SHELVED, OFFLOAD)
        if options.rescue_timeout > 0:
            await self._after(options.rescue_timeout, Vm.RESCUED, UNRESCUE)

    async def _after(self, seconds: float, state: Vm, action: str) -> None:
        async with self.deps.database.reading() as connection:
            found = await store.idle(connection, state, self.deps.ago(seconds))
        for uuid in found:
            logger.info("action begun by itself", action=action, server=uuid)
            await self._begin_one(uuid, action)

    @retried
    async def _begin_one(self, uuid: str, action: str) -> None:
        async with self.deps.database.transaction() as tx:
            await self.begin(tx, uuid, action, "req-" + self.deps.clock.uuid(), recorded=True)

    async def begin(
        self, tx: Transaction, uuid: str, action: str, request_id: str, *, recorded: bool = False
    ) -> None:  # fmt: skip
        """Hand it to the server's host, unless the server is in no state for it by now. What is not `recorded` is part of the
        action of this request."""
        begun, now = ACTIONS[action], self.deps.now()
        where = [store.vm_in(begun.vm_states), store.task_in([None]), store.has_host()]
        if not await store.swap(tx.connection, uuid, where, {"task_state": begun.task, "updated_at": now}):
            return
        build = await builds.build_of(tx.connection, uuid)
        row = await store.get(tx.connection, uuid)
        if build is None or row is None or row.host is None:
            return
        if build.spec.rescue is not None and action == UNRESCUE:
            build.spec.rescue = None
            await store.save_specs(tx.connection, {uuid: build.spec})
        if recorded:
            await self._write_down(tx, row, begun.shown, request_id)
        build.request_id, build.action = request_id, action
        ref = models.ServerRef(build=self.deps.grants.granted(build, row.host), request_id=request_id, action=action)
        ctx = on_behalf(request_id, row.project_id, row.user_id)
        await tx.outbox(ComputeAPI, host=row.host).run_action(ctx, ref)
        self.deps.events.action_began(tx, ctx, row, action, build.spec)

    async def _write_down(self, tx: Transaction, row: SpecifiedRow, action: str, request_id: str) -> None:
        entry = {
            "server_uuid": row.uuid, "request_id": request_id, "action": action, "user_id": row.user_id,
            "project_id": row.project_id, "started_at": self.deps.now(),
        }  # fmt: skip
        await action_store.begin(tx.connection, [entry])
