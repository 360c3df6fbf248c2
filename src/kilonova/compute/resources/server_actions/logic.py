"""Actions on servers. Each checks the table of states, takes the server by a compare-and-swap, writes the action down
and hands it to the server's host: all in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.actions.base import Action
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.errors import InvalidState
from kilonova.compute.grants import BuildGrants
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.servers.logic import owned
from kilonova.compute.resources.servers.passwords import make_password
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import builds, request_specs
from kilonova.compute.store import hosts as host_store
from kilonova.compute.store import servers as store
from kilonova.compute.store.servers import ServerRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, Transaction, retried
from kilonova.core.grants import Grants

SOFT_DELETE, RESTORE = "soft_delete", "restore"


class ActionLogic:
    def __init__(
        self, database: Database, clock: Clock, options: ComputeOptions, events: ServerEvents, grants: Grants
    ) -> None:
        self.database, self.clock, self.options, self.events = database, clock, options, events
        self.grants = BuildGrants(grants, clock)

    @retried
    async def on_host(
        self, ctx: RequestContext, server_id: str, action: str,
        *, change: Callable[[models.RequestSpec], None] | None = None,
    ) -> None:  # fmt: skip
        """An action that the server's host does. `change` is made to the server's request spec before."""
        async with self.database.transaction() as tx:
            row = await self.take(tx, ctx, server_id, action)
            if change is not None:
                await self.change_spec(tx.connection, row, change)
            await self.send(tx, ctx, row, action)

    async def send(
        self, tx: Transaction, ctx: RequestContext, row: ServerRow, action: str, arguments: dict[str, str] | None = None
    ) -> None:
        """Hand an action on a server that was taken for it to the server's host."""
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        ref = await self._ref(tx.connection, ctx, row, action, arguments)
        await tx.outbox(ComputeAPI, host=row.host).run_action(sender(ctx), ref)
        self.events.action_began(tx, ctx, row, action, ref.build.spec)

    @staticmethod
    def known(action: str) -> Action:
        return ACTIONS[action]

    async def change_spec(
        self, connection: Connection, row: ServerRow, change: Callable[[models.RequestSpec], None]
    ) -> None:
        """Make `change` to the server's request spec."""
        spec = await request_specs.get(connection, row.uuid)
        if spec is None:
            raise errors.NotReady(server_id=row.uuid)
        change(spec)
        await request_specs.save(connection, row.uuid, spec)

    @retried
    async def delete(
        self,
        ctx: RequestContext,
        server_id: str,
        *,
        may: Callable[[ServerRow], None] | None = None,
        force: bool = False,
    ) -> None:
        """By the server's host; where that is down, by the conductor at once. `may` raises for callers that must not do that.
        Unless by `force`, the server is kept for a while where the options say so."""
        async with self.database.transaction() as tx:
            if (
                not force
                and self.options.reclaim_instance_interval
                and await self._soft_delete(tx, ctx, server_id, may)
            ):
                return
            row = await self.take(tx, ctx, server_id, "delete", may=may)
            self.events.action_began(tx, ctx, row, "delete")
            if row.host is None or not await self.is_up(tx.connection, row.host):
                await tx.outbox(ConductorAPI).delete_unhosted(sender(ctx), row.uuid, ctx.request_id)
                return
            ref = await self._ref(tx.connection, ctx, row, "delete")
            await tx.outbox(ComputeAPI, host=row.host).run_action(sender(ctx), ref)

    async def _soft_delete(
        self, tx: Transaction, ctx: RequestContext, server_id: str, may: Callable[[ServerRow], None] | None
    ) -> bool:
        """False for a server that can't be kept: no host has it, or its host is down."""
        row = await owned(tx.connection, ctx, server_id, lock=True)
        if may is not None:
            may(row)
        if row.vm_state == Vm.SOFT_DELETED and row.task_state is None:
            return True
        known = row.vm_state in ACTIONS[SOFT_DELETE].vm_states and row.task_state != Task.DELETING
        if not known or row.host is None or not await self.is_up(tx.connection, row.host):
            return False
        await self.take(tx, ctx, server_id, SOFT_DELETE)
        now = self.clock.row_time()
        await store.change(tx.connection, row.uuid, {"deleted_at": now}, now)
        await self.send(tx, ctx, row, SOFT_DELETE)
        return True

    @retried
    async def restore(self, ctx: RequestContext, server_id: str) -> None:
        """Bring a server back that was deleted and kept."""
        async with self.database.transaction() as tx:
            row = await self.take(tx, ctx, server_id, RESTORE)
            await store.change(tx.connection, row.uuid, {"deleted_at": None}, self.clock.row_time())
            await self.send(tx, ctx, row, RESTORE)

    def password(self) -> str:
        """A new one for a server's administrator."""
        return make_password(self.clock, self.options.password_length)

    async def is_up(self, connection: Connection, host: str) -> bool:
        since = self.clock.row_time() - dt.timedelta(seconds=self.options.service_down_time)
        return bool(await host_store.alive(connection, [host], since))

    async def take(
        self, tx: Transaction, ctx: RequestContext, server_id: str, action: str,
        *, may: Callable[[ServerRow], None] | None = None,
    ) -> ServerRow:  # fmt: skip
        """The server as it was, now busy with the action."""
        row = await owned(tx.connection, ctx, server_id, lock=True)
        if may is not None:
            may(row)
        wanted = ACTIONS[action]
        if wanted.locked:
            check_lock(ctx, row)
        check_state(row, wanted)
        taken = await store.change(
            tx.connection, row.uuid, {"task_state": wanted.task}, self.clock.row_time(),
            vm_states=[row.vm_state], task_states=[row.task_state],
        )  # fmt: skip
        if not taken:
            raise InvalidState(action=wanted.shown, server_id=server_id, attribute="task_state", state="changing")
        await self._write_down(tx.connection, ctx, row, wanted.shown)
        return row

    async def _write_down(
        self, connection: Connection, ctx: RequestContext, row: ServerRow, action: str, *, done: bool = False
    ) -> None:  # fmt: skip
        """`done`: there is nothing left to do, and what still runs on the server is another action."""
        now = self.clock.row_time()
        entry = {
            "server_uuid": row.uuid, "request_id": ctx.request_id, "action": action, "user_id": ctx.user_id,
            "project_id": ctx.project_id, "started_at": now, "finished_at": now if done else None,
        }  # fmt: skip
        await action_store.begin(connection, [entry])

    async def _ref(
        self, connection: Connection, ctx: RequestContext, row: ServerRow, action: str,
        arguments: dict[str, str] | None = None,
    ) -> models.ServerRef:  # fmt: skip
        build = await builds.build_of(connection, row.uuid)
        if build is None:
            raise errors.NotReady(server_id=row.uuid)
        build.request_id, build.action, build.arguments = ctx.request_id, action, arguments or {}
        build = self.grants.granted(build, row.host)
        return models.ServerRef(build=build, request_id=ctx.request_id, action=action)

    @retried
    async def reset_state(self, ctx: RequestContext, server_id: str, state: Vm) -> None:
        """An operator says what a server is, whatever it was busy with; nothing is done on its host."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            await store.change(tx.connection, row.uuid, {"vm_state": state, "task_state": None}, self.clock.row_time())
            await self._write_down(tx.connection, ctx, row, "os-resetState", done=True)

    @retried
    async def read_ports(self, ctx: RequestContext, server_id: str) -> None:
        """What the row knows of the server's ports is read again from the network service."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id)
            check_lock(ctx, row)
            await tx.outbox(ConductorAPI).network_changed(sender(ctx), [row.uuid])

    async def lock(self, ctx: RequestContext, server_id: str, reason: str | None, *, as_owner: bool) -> None:
        await self._set_lock(
            ctx, server_id, "lock", {"locked_by": "owner" if as_owner else "admin", "locked_reason": reason}
        )

    async def unlock(self, ctx: RequestContext, server_id: str) -> None:
        await self._set_lock(ctx, server_id, "unlock", {"locked_by": None, "locked_reason": None})

    @retried
    async def _set_lock(self, ctx: RequestContext, server_id: str, action: str, values: dict[str, Any]) -> None:
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            if action == "lock" and row.locked_by == "owner":
                values = values | {"locked_by": "owner"}  # an admin's lock does not take the owner's key away
            await store.change(tx.connection, row.uuid, values, self.clock.row_time())
            await self._write_down(tx.connection, ctx, row, action, done=True)


def check_lock(ctx: RequestContext, row: ServerRow) -> None:
    if row.locked_by is not None and not ctx.is_admin:
        raise errors.ServerLocked(server_id=row.uuid)


def check_state(row: ServerRow, action: Action) -> None:
    """Raises InvalidState unless the action may begin in the state that the server is in."""
    if row.vm_state not in action.vm_states:
        raise InvalidState(action=action.shown, server_id=row.uuid, attribute="vm_state", state=row.vm_state)
    if action.task_states is not None and row.task_state not in action.task_states:
        raise InvalidState(action=action.shown, server_id=row.uuid, attribute="task_state", state=row.task_state)


def sender(ctx: RequestContext) -> RequestContext:
    """The caller as messages name it: without the token."""
    return msgspec.structs.replace(ctx, token=None)
