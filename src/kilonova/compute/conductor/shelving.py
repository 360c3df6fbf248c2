"""Shelved servers: removed from their hosts at once, after a while or never, as the settings say; and brought back."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, on_behalf
from kilonova.compute.conductor.images import Images
from kilonova.compute.states import Vm
from kilonova.compute.store import builds, request_specs
from kilonova.compute.store import conductor_servers as store
from kilonova.core.db import Transaction, retried

SHELVE, OFFLOAD, UNSHELVE = "shelve", "shelveOffload", "unshelve"


class Shelving:
    def __init__(self, deps: Deps, images: Images) -> None:
        self.deps, self.images = deps, images

    async def action_ended(self, tx: Transaction, uuid: str, request_id: str, action: str) -> None:
        """What follows from an action that ended well."""
        if action == SHELVE and self.deps.options.shelved_offload_time == 0:
            await self._offload(tx, uuid, request_id)
        elif action == UNSHELVE:
            await self._is_back(tx, uuid, request_id)

    async def _offload(self, tx: Transaction, uuid: str, request_id: str) -> None:
        """Begin it, unless the server is no longer shelved on a host, or busy."""
        idle = [store.vm_in([Vm.SHELVED]), store.task_in([None]), store.has_host()]
        begun = {"task_state": ACTIONS[OFFLOAD].task, "updated_at": self.deps.now()}
        if not await store.swap(tx.connection, uuid, idle, begun):
            return
        build = await builds.build_of(tx.connection, uuid)
        row = await store.get(tx.connection, uuid)
        if build is None or row is None or row.host is None:
            return
        build.request_id, build.action = request_id, OFFLOAD
        ref = models.ServerRef(build=self.deps.grants.granted(build, row.host), request_id=request_id, action=OFFLOAD)
        ctx = on_behalf(request_id, row.project_id, row.user_id)
        await tx.outbox(ComputeAPI, host=row.host).run_action(ctx, ref)
        self.deps.events.action_began(tx, ctx, row, OFFLOAD)

    async def _is_back(self, tx: Transaction, uuid: str, request_id: str) -> None:
        """On the host that it was never removed from."""
        row = await store.get(tx.connection, uuid)
        if row is None or row.spec is None:
            return
        spec = request_specs.decode(row.spec)
        if spec.shelved_image is not None:
            await self.images.is_back(tx, on_behalf(request_id, row.project_id, row.user_id), spec)
            await store.save_specs(tx.connection, {uuid: spec})

    async def offload_old(self) -> None:
        """Servers that are shelved on their hosts for as long as the settings say."""
        limit = self.deps.options.shelved_offload_time
        if limit < 0:
            return
        async with self.deps.database.reading() as connection:
            found = await store.shelved(connection, self.deps.ago(limit))
        for uuid in found:
            await self._offload_one(uuid)

    @retried
    async def _offload_one(self, uuid: str) -> None:
        async with self.deps.database.transaction() as tx:
            await self._offload(tx, uuid, "req-" + self.deps.clock.uuid())
