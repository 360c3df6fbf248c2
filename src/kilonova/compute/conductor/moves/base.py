"""What the parts of the workflow share: whether a move is still under way, how a leg is begun, and how its record is closed."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.moves import claims
from kilonova.compute.models import Move
from kilonova.compute.moves import KINDS, Leg, MoveKind
from kilonova.compute.scheduler.hosts import zone_of
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import hosts, records, request_specs
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction


def kind_of(record: MigrationRow) -> MoveKind:
    return KINDS[record.type]


def action_of(record: MigrationRow, move: Move) -> str:
    """The server action that is under way."""
    return move.action or kind_of(record).action


def under_way(row: SpecifiedRow | None, record: MigrationRow) -> bool:
    """Whether the server is still to be moved: neither deleted nor given another state."""
    return row is not None and not row.deleted and row.task_state in kind_of(record).tasks


def closed(deps: Deps, move: Move, status: str) -> dict[str, object]:
    """Values of a record that has ended, or waits for its user's word: without secrets."""
    document = store.encode(msgspec.structs.replace(move, admin_pass=None, secret=""))
    return {"status": status, "document": document, "updated_at": deps.now()}


async def begin_leg(
    deps: Deps, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, move: Move, leg: Leg,
    values: dict[str, Any] | None = None,
) -> bool:  # fmt: skip
    """Hand the server over to the leg's host; `row` is locked, `values` are further ones of the record. False when the record
    was changed meanwhile."""
    kind = kind_of(record)
    part = kind.legs[leg]
    move = msgspec.structs.replace(move, leg=leg, hops=move.hops + 1)
    if kind.leaves and leg is Leg.ARRIVE:
        move = msgspec.structs.replace(move, left=True)
    if leg is Leg.RECEIVE or (kind.leaves and leg is Leg.ARRIVE):
        move = msgspec.structs.replace(move, secret=deps.clock.hex_id() + deps.clock.hex_id())
    columns = {"status": part.status, "document": store.encode(move), "updated_at": deps.now()} | (values or {})
    if not await store.change(tx.connection, record.uuid, [record.status], columns):
        return False
    if part.task is not None:
        await servers.set_many(tx.connection, [row.uuid], {"task_state": part.task, "updated_at": deps.now()})
    host = move.source if part.at_source else move.dest or ""
    action, zone = action_of(record, move), await zone_at(deps, tx.connection, host)
    build = deps.grants.granted(_build(row, record, move, leg, action, zone), host)
    ref = models.ServerRef(build=build, request_id=record.request_id, action=action)
    await tx.outbox(ComputeAPI, host=host).run_action(ctx, ref)
    changed: dict[str, Any] = {"task_state": part.task} if part.task is not None else {}
    if move.new_flavor is not None:
        changed["new_flavor"] = msgspec.to_builtins(move.new_flavor)
    for event in part.events:
        deps.events.send(tx, ctx, event, row, changed, host=host)
    return True


async def zone_at(deps: Deps, connection: Connection, host: str) -> str:
    """The availability zone of a host."""
    memberships = await hosts.aggregate_metadata(connection, host)
    return zone_of([row.metadata for row in memberships], deps.options.default_availability_zone)


def _build(row: SpecifiedRow, record: MigrationRow, move: Move, leg: Leg, action: str, zone: str) -> models.ServerBuild:
    spec = request_specs.of_living(row.spec)
    flavor = {Leg.ARRIVE: move.new_flavor, Leg.RETURN: move.old_flavor}.get(leg) or spec.flavor
    return models.ServerBuild(
        server=msgspec.structs.replace(records.server(row), availability_zone=zone),
        spec=msgspec.structs.replace(spec, flavor=flavor, admin_pass=move.admin_pass),
        request_id=record.request_id, attempt=move.hops, action=action, move=move,
    )  # fmt: skip


async def settle(deps: Deps, uuid: str, record: MigrationRow) -> None:
    """The claims are made what the rows say, unless another host is being looked for."""
    async with deps.database.reading() as connection:
        row = await servers.get(connection, uuid)
        now = await store.get(connection, record.uuid)
    if row is None or under_way(row, record):
        return
    if kind_of(record).holds_claim and now is not None and now.status not in store.UNSETTLED:
        await claims.give_back(deps, row, record)
    await deps.settle_claims([uuid])
