"""A server's live migrations that are under way: how far they are; to abort one, or have it end at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.errors import InvalidState
from kilonova.compute.models import Progress
from kilonova.compute.moves import LIVE_MIGRATION, Leg
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.policy_checks import MANAGER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.server_actions.logic import check_lock, sender
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic, owned
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import migrations as store
from kilonova.compute.store.migrations import MigrationRow
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.times import shown_bare
from kilonova.compute.web.query import at_least
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Transaction, retried
from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View, versions

RULE = f"{R}:servers:migrations"
RULES = {
    f"{RULE}:show": ADMIN,
    f"{RULE}:force_complete": MANAGER,
    f"{RULE}:delete": MANAGER,
    f"{RULE}:index": MANAGER,
    f"{RULE}:index:host": ADMIN,
}
RUNNING = LIVE_MIGRATION.legs[Leg.SEND].status
PREPARING = LIVE_MIGRATION.legs[Leg.RECEIVE].status


class MigrationNotFound(NotFound):
    template = "Migration {migration_id} not found for instance {server_id}"


class NotUnderWay(NotFound):
    template = "{what} {migration_id} {why} for server {server_id}."


class NoSuchMigration(BadRequest):
    template = MigrationNotFound.template


class WrongStatus(BadRequest):
    template = (
        "Migration {migration_id} state of instance {server_id} is {status}. Cannot {action} while the migration is in this "
        "state."
    )


class ServerMigration(View, kw_only=True):
    id: int
    uuid: Annotated[str, versions("2.59")]
    server_uuid: str
    status: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    memory_total_bytes: int | None
    memory_processed_bytes: int | None
    memory_remaining_bytes: int | None
    disk_total_bytes: int | None
    disk_processed_bytes: int | None
    disk_remaining_bytes: int | None
    created_at: str | None
    updated_at: str | None
    user_id: Annotated[str | None, versions("2.80")]
    project_id: Annotated[str | None, versions("2.80")]


class ServerMigrationBody(View, kw_only=True):
    migration: ServerMigration


class ServerMigrationList(View, kw_only=True):
    migrations: list[ServerMigration]


class ForceComplete(Body, kw_only=True):
    force_complete: None


class WishLogic:
    def __init__(self, database: Database, clock: Clock, events: ServerEvents) -> None:
        self.database, self.clock, self.events = database, clock, events

    async def under_way(self, server_id: str) -> Sequence[MigrationRow]:
        async with self.database.reading() as connection:
            found = await store.open_of(connection, server_id)
        return [row for row in found if row.type == LIVE_MIGRATION.name]

    async def one(self, server_id: str, number: int) -> MigrationRow:
        """Raises NotUnderWay."""
        async with self.database.reading() as connection:
            row = await store.numbered(connection, server_id, number)
        ids: dict[str, Any] = {"migration_id": number, "server_id": server_id}
        if row is None:
            raise NotUnderWay(what="In-progress live migration", why="is not found", **ids)
        if row.type != LIVE_MIGRATION.name:
            raise NotUnderWay(what="Migration", why="is not a live-migration", **ids)
        if row.status not in store.IN_PROGRESS:
            raise NotUnderWay(what="Live migration", why="is not in progress", **ids)
        return row

    @retried
    async def abort(self, ctx: RequestContext, server_id: str, number: int, *, early: bool) -> None:
        """The guest is to stay; `early`: also before it is sent. Raises InvalidState, MigrationNotFound, WrongStatus."""
        async with self.database.transaction() as tx:
            row, record = await self._found(tx, ctx, server_id, number, "abort live migration", frozenset(Vm))
            if record is None:
                raise MigrationNotFound(migration_id=number, server_id=server_id)
            allowed = (RUNNING, PREPARING) if early else (RUNNING,)
            await self._wish(tx, ctx, row, record, allowed, "abort live migration", cancelled=True)
            await self._write_down(tx, ctx, row, "live_migration_cancel", "live.migration.abort")

    @retried
    async def force_complete(self, ctx: RequestContext, server_id: str, number: int) -> None:
        """The guest is to be paused until it is there. Raises InvalidState, NoSuchMigration, WrongStatus."""
        async with self.database.transaction() as tx:
            row, record = await self._found(tx, ctx, server_id, number, "force_complete", frozenset([Vm.ACTIVE]))
            if record is None:
                raise NoSuchMigration(migration_id=number, server_id=server_id)
            await self._wish(tx, ctx, row, record, (RUNNING,), "force complete", hurried=True)
            await self._write_down(tx, ctx, row, "live_migration_force_complete", "live.migration.force.complete")

    @staticmethod
    async def _found(
        tx: Transaction, ctx: RequestContext, server_id: str, number: int, action: str, vm_states: frozenset[Vm]
    ) -> tuple[ServerRow, MigrationRow | None]:
        row = await owned(tx.connection, ctx, server_id, lock=True)
        check_lock(ctx, row)
        if row.vm_state not in vm_states:
            raise InvalidState(action=action, server_id=row.uuid, attribute="vm_state", state=row.vm_state)
        if row.task_state != Task.MIGRATING:
            raise InvalidState(action=action, server_id=row.uuid, attribute="task_state", state=row.task_state)
        return row, await store.numbered(tx.connection, row.uuid, number, lock=True)

    async def _wish(
        self, tx: Transaction, ctx: RequestContext, row: ServerRow, record: MigrationRow, allowed: tuple[str, ...],
        action: str, **wishes: bool,
    ) -> None:  # fmt: skip
        changed = False
        if record.type == LIVE_MIGRATION.name and record.status in allowed:
            move = msgspec.structs.replace(store.decode(record), **wishes)
            values: dict[str, Any] = {"document": store.encode(move)}
            changed = await store.change(tx.connection, record.uuid, [record.status], values)
        if not changed:
            raise WrongStatus(migration_id=record.id, server_id=row.uuid, status=record.status, action=action)
        await tx.outbox(ComputeAPI, host=record.source_compute).wishes_changed(sender(ctx), row.uuid)

    async def _write_down(self, tx: Transaction, ctx: RequestContext, row: ServerRow, action: str, event: str) -> None:
        now: dt.datetime = self.clock.row_time()
        entry = {
            "server_uuid": row.uuid, "request_id": ctx.request_id, "action": action, "user_id": ctx.user_id,
            "project_id": ctx.project_id, "started_at": now, "finished_at": now,
        }  # fmt: skip
        await action_store.begin(tx.connection, [entry])
        for phase in ("start", "end"):
            self.events.send(tx, ctx, f"{event}.{phase}", row, host=row.host)


class ServerMigrations:
    def __init__(self, servers: ServerLogic, logic: WishLogic) -> None:
        self.servers, self.logic = servers, logic

    async def list(self, call: Call, server_id: str) -> Reply:
        server = await self.servers.get(call.ctx, server_id)
        owner = {"project_id": server.project_id, "user_id": server.user_id}
        hosts = call.allowed(f"{RULE}:index:host", owner)
        return Reply(
            ServerMigrationList(migrations=[_view(r, hosts=hosts) for r in await self.logic.under_way(server_id)])
        )

    async def show(self, call: Call, server_id: str, migration_id: str) -> Reply:
        await self.servers.get(call.ctx, server_id)
        row = await self.logic.one(server_id, _number(migration_id))
        return Reply(ServerMigrationBody(migration=_view(row, hosts=True)))

    async def abort(self, call: Call, server_id: str, migration_id: str) -> Reply:
        await self.logic.abort(call.ctx, server_id, _number(migration_id), early=at_least(call, "2.65"))
        return Reply(status=202)

    async def act(self, call: Call, server_id: str, migration_id: str) -> Reply:
        await call.decode(ForceComplete)
        await self.logic.force_complete(call.ctx, server_id, _number(migration_id))
        return Reply(status=202)


def _number(text: str) -> int:
    """-1, which none has, for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _view(row: MigrationRow, *, hosts: bool) -> ServerMigration:
    done = store.progress_of(row)
    counts = {f"{name}_bytes": getattr(done, name, None) for name in Progress.__struct_fields__}
    names = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")
    return ServerMigration(
        id=row.id, uuid=row.uuid, server_uuid=row.server_uuid, status=row.status, created_at=shown_bare(row.created_at),
        updated_at=shown_bare(row.updated_at), user_id=row.user_id, project_id=row.project_id, **counts,
        **{name: getattr(row, name) if hosts else None for name in names},
    )  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    servers = ServerLogic(deps.database, deps.clock, deps.options)
    migrations = ServerMigrations(servers, WishLogic(deps.database, deps.clock, deps.events))
    every = SERVER + "/migrations"
    one = every + "/{migration_id:str}"
    return below_server(
        deps,
        Route(
            "GET", every, migrations.list, f"{RULE}:index", since="2.23", reply=ServerMigrationList,
            summary="List a server's live migrations that are under way.",
        ),
        Route(
            "GET", one, migrations.show, f"{RULE}:show", since="2.23", reply=ServerMigrationBody,
            summary="Show a live migration that is under way.",
        ),
        Route(
            "DELETE", one, migrations.abort, f"{RULE}:delete", 202, since="2.24",
            summary="Abort a live migration: the guest stays where it is.",
        ),
        Route(
            "POST", one + "/action", migrations.act, f"{RULE}:force_complete", 202, since="2.22", body=ForceComplete,
            summary="Let a live migration end at once: the guest is paused until it is there.",
        ),
    )  # fmt: skip


SERVER_MIGRATIONS = Resource(routes, RULES)
