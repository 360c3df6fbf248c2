"""SQL of servers as the conductor changes them: compare-and-swap, and for many servers of a request in one statement."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from kilonova.compute.models import RequestSpec
from kilonova.compute.moves import TASKS as MOVE_TASKS
from kilonova.compute.states import BUILD_TASKS, UNSHELVE_TASKS, Task, Vm
from kilonova.compute.store.actions import ActionRow
from kilonova.compute.store.migrations import AT_DEST, AT_SOURCE
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.tables import (
    block_devices,
    compute_nodes,
    migrations,
    request_specs,
    server_actions,
    server_faults,
    servers,
)
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared

Condition = ColumnElement[bool]
ASKED_AT_ONCE = 1000
JOINED = servers.outerjoin(request_specs, request_specs.c.server_uuid == servers.c.uuid)
WITH_SPEC = select(servers, request_specs.c.spec).select_from(JOINED)
SPEC_OF = update(request_specs).where(request_specs.c.server_uuid == bindparam("of")).values(spec=bindparam("document"))
NEW, SHELVED = servers.c.vm_state == Vm.BUILDING, servers.c.vm_state == Vm.SHELVED_OFFLOADED
UNPLACED = (
    servers.c.deleted == 0,
    or_(
        and_(NEW, servers.c.task_state == Task.SCHEDULING),
        and_(SHELVED, servers.c.task_state == Task.UNSHELVING),
    ),
    servers.c.host.is_(None),
)


class SpecifiedRow(ServerRow):
    """`spec` is None when it is gone."""

    spec: bytes | None


class BuildingRow(SpecifiedRow):
    host: str
    updated_at: dt.datetime


class StateRow(TypedRow):
    uuid: str
    host: str | None
    vm_state: str
    task_state: str | None


class PortsRow(TypedRow):
    uuid: str
    vm_state: str
    task_state: str | None
    network_info: list[dict[str, Any]]


class UuidRow(TypedRow):
    uuid: str


class OwnedRow(TypedRow):
    uuid: str
    project_id: str
    user_id: str


class PlacedRow(TypedRow):
    """`provider` is the node's uuid."""

    uuid: str
    provider: str


class DeletingRow(TypedRow):
    uuid: str
    host: str | None
    network_info: list[dict[str, Any]]


async def get(connection: Connection, uuid: str, *, lock: bool = False) -> SpecifiedRow | None:
    """The row with its `spec` (encoded, None when gone), deleted or not."""
    return rows.first(await connection.execute(*_with_spec([uuid], lock=lock)), SpecifiedRow)


async def get_many(connection: Connection, uuids: Collection[str], *, lock: bool = False) -> dict[str, SpecifiedRow]:
    """As `get`, by uuid."""
    found = rows.every(await connection.execute(*_with_spec(list(uuids), lock=lock)), SpecifiedRow)
    return {row.uuid: row for row in found}


@prepared
def _with_spec(uuids: Any, *, lock: bool) -> Select[Any]:
    query = WITH_SPEC.where(servers.c.uuid.in_(uuids)).order_by(servers.c.id)
    return locked(query, of=servers) if lock else query


async def lock_states(connection: Connection, uuids: Collection[str]) -> dict[str, StateRow]:
    """uuid → host, vm_state and task_state of those that live; locked until this transaction ends."""
    return {row.uuid: row for row in rows.every(await connection.execute(*_states(list(uuids))), StateRow)}


@prepared
def _states(uuids: Any) -> Select[Any]:
    query = select(servers.c.uuid, servers.c.host, servers.c.vm_state, servers.c.task_state)
    return locked(query.where(servers.c.uuid.in_(uuids), servers.c.deleted == 0).order_by(servers.c.id))


async def unplaced(connection: Connection, uuids: Sequence[str]) -> Sequence[SpecifiedRow]:
    """Rows with `spec` of those that wait for a host."""
    return rows.every(await connection.execute(*_unplaced(uuids)), SpecifiedRow)


@prepared
def _unplaced(uuids: Any) -> Select[Any]:
    return WITH_SPEC.where(servers.c.uuid.in_(uuids), *UNPLACED).order_by(servers.c.id)


async def lock_unplaced(connection: Connection, uuids: Sequence[str]) -> set[str]:
    """Those that still wait for a host; locked until this transaction ends."""
    return {row.uuid for row in rows.every(await connection.execute(*_to_place(uuids)), UuidRow)}


@prepared
def _to_place(uuids: Any) -> Select[Any]:
    return locked(select(servers.c.uuid).where(servers.c.uuid.in_(uuids), *UNPLACED).order_by(servers.c.id))


async def save_specs(connection: Connection, specs: Mapping[str, RequestSpec]) -> None:
    """server uuid → spec, in one statement."""
    encode = msgspec.msgpack.Encoder().encode
    if specs:
        await connection.execute(SPEC_OF, [{"of": uuid, "document": encode(s)} for uuid, s in specs.items()])


async def swap(connection: Connection, uuid: str, where: Collection[Condition], values: Any) -> bool:
    """Change a server that is not deleted while `where` holds; True when it did."""
    result = await connection.execute(
        update(servers).where(servers.c.uuid == uuid, servers.c.deleted == 0, *where).values(**values)
    )
    return result.rowcount == 1


async def holds(connection: Connection, uuid: str, where: Collection[Condition]) -> bool:
    """Does `where` hold of a server that is not deleted?"""
    query = select(servers.c.id).where(servers.c.uuid == uuid, servers.c.deleted == 0, *where)
    return (await connection.execute(query)).first() is not None


async def set_each(connection: Connection, values: Mapping[str, Mapping[str, Any]]) -> None:
    """uuid → its values, of servers that the caller has locked: one statement for all that set the same columns."""
    alike: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for uuid, changed in values.items():
        row = {"of_uuid": uuid} | {f"new_{name}": value for name, value in changed.items()}
        alike[tuple(sorted(changed))].append(row)
    for names, given in alike.items():
        await connection.execute(_setting(names), given)


@cache
def _setting(names: tuple[str, ...]) -> Update:
    columns = {name: bindparam(f"new_{name}", type_=servers.c[name].type) for name in names}
    return update(servers).where(servers.c.uuid == bindparam("of_uuid")).values(columns)


async def set_many(connection: Connection, uuids: Collection[str], values: Any) -> None:
    """The same values for many servers, which the caller has locked or guarded."""
    await connection.execute(update(servers).where(servers.c.uuid.in_(list(uuids))).values(**values))


def on_host(host: str) -> Condition:
    return servers.c.host == host


def has_open(request_id: str) -> Condition:
    """An action of this request on the server has not ended."""
    table = server_actions.c
    return exists().where(
        table.server_uuid == servers.c.uuid, table.request_id == request_id, table.finished_at.is_(None)
    )


def has_host() -> Condition:
    return servers.c.host.is_not(None)


def busy_at(host: str) -> Condition:
    """Something is done to the server by this host, which has it or is a side of its move."""
    table = migrations.c
    moving = exists().where(
        table.server_uuid == servers.c.uuid, or_(table.dest_compute == host, table.source_compute == host),
        table.status.in_([*AT_DEST, *AT_SOURCE]),
    )  # fmt: skip
    return and_(servers.c.task_state.is_not(None), or_(servers.c.host == host, moving))


def coming_to(host: str, migration: str) -> Condition:
    """The host is at the server for this migration."""
    table = migrations.c
    there = or_(
        and_(table.dest_compute == host, table.status.in_(AT_DEST)),
        and_(table.source_compute == host, table.status.in_(AT_SOURCE)),
    )
    return exists().where(table.server_uuid == servers.c.uuid, table.uuid == migration, there)


def vm_in(states: Collection[str]) -> Condition:
    return servers.c.vm_state.in_(list(states))


def building_on(host: str) -> tuple[Condition, ...]:
    """The condition that a launch runs on this host and the server is not being deleted."""
    return (servers.c.host == host, launching())


def launching(*, unaccepted: bool = False) -> Condition:
    """The condition that a server is being launched: new, or unshelved; `unaccepted`: by a host that has not yet taken it."""
    new = [Task.SCHEDULING] if unaccepted else [None, *BUILD_TASKS]
    shelved = [Task.UNSHELVING] if unaccepted else UNSHELVE_TASKS
    return or_(and_(NEW, task_in(new)), and_(SHELVED, task_in(shelved)))


def task_in(tasks: Collection[str | None]) -> Condition:
    named = servers.c.task_state.in_([task for task in tasks if task is not None])
    return or_(named, servers.c.task_state.is_(None)) if None in tasks else named


async def add_faults(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """server_uuid, code, message (≤ 255), details, host, created_at of each."""
    if rows:
        await connection.execute(insert(server_faults), rows)


async def finish_actions(
    connection: Connection,
    uuids: Collection[str],
    actions: Collection[str],
    now: dt.datetime,
    *,
    request_id: str | None = None,
    message: str | None = None,
    failed: str | None = None,
) -> int:
    """End the open actions of these servers (of one request, or of any); how many were open. `message` None means success;
    the action `failed` is the one that did not end well."""
    finished = _finished(
        list(uuids), list(actions), now, message, failed, request_id, of_request=request_id is not None
    )
    return int((await connection.execute(*finished)).rowcount)


@prepared
def _finished(
    uuids: Any, actions: Any, now: Any, message: Any, failed: Any, request_id: Any, *, of_request: bool
) -> Update:
    table = server_actions.c
    open_ones = update(server_actions).where(
        table.server_uuid.in_(uuids), table.action.in_(actions), table.finished_at.is_(None)
    )
    if of_request:
        open_ones = open_ones.where(table.request_id == request_id)
    return open_ones.values(finished_at=now, message=case((table.action == failed, "Error"), else_=message))


async def action(connection: Connection, uuid: str, request_id: str, names: Collection[str]) -> ActionRow | None:
    table = server_actions.c
    query = select(server_actions).where(
        table.server_uuid == uuid, table.request_id == request_id, table.action.in_(list(names))
    )
    return rows.first(await connection.execute(query), ActionRow)


async def open_actions(connection: Connection, uuids: Collection[str]) -> dict[str, ActionRow]:
    """server uuid → the newest action that has not ended, else the newest of all."""
    query = select(server_actions).where(server_actions.c.server_uuid.in_(list(uuids))).order_by(server_actions.c.id)
    found: dict[str, ActionRow] = {}
    for row in rows.every(await connection.execute(query), ActionRow):
        known = found.get(row.server_uuid)
        if known is None or row.finished_at is None or known.finished_at is not None:
            found[row.server_uuid] = row
    return found


async def mark_deleted(connection: Connection, uuids: Sequence[str], now: dt.datetime) -> list[str]:
    """Rows as deleted, their block devices and specs gone; those that no other process has deleted."""
    living = list(await lock_states(connection, uuids) if len(uuids) > 1 else uuids)
    if not living or (await connection.execute(*_marked_deleted(living, now))).rowcount == 0:
        return []
    await connection.execute(*_forgotten(living, table=block_devices))
    await connection.execute(*_forgotten(living, table=request_specs))
    return living


@prepared
def _marked_deleted(uuids: Any, now: Any) -> Update:
    values = {
        "deleted": servers.c.id, "deleted_at": now, "terminated_at": now, "updated_at": now, "vm_state": Vm.DELETED,
        "task_state": None, "power_state": 0,
    }  # fmt: skip
    return update(servers).where(servers.c.uuid.in_(uuids), servers.c.deleted == 0).values(**values)


@prepared
def _forgotten(uuids: Any, *, table: Table) -> Delete:
    return delete(table).where(table.c.server_uuid.in_(uuids))


# ---- for the reconciler


def _age() -> ColumnElement[Any]:
    return func.coalesce(servers.c.updated_at, servers.c.created_at)


async def waiting(connection: Connection, before: dt.datetime) -> Sequence[ServerRow]:
    """Servers that have waited for a host since `before`."""
    query = select(servers).where(*UNPLACED, _age() < before).order_by(servers.c.id)
    return rows.every(await connection.execute(query), ServerRow)


async def building(
    connection: Connection, before: dt.datetime, *, unaccepted: bool = False, uuids: Collection[str] | None = None
) -> Sequence[BuildingRow]:
    """Rows with `spec` of servers (all, or some) whose build on a host has shown nothing new since `before`; `unaccepted`
    only those the host has not yet taken."""
    query = WITH_SPEC.where(
        servers.c.deleted == 0,
        servers.c.host.is_not(None),
        launching(unaccepted=unaccepted),
        _age() < before,
    )
    if uuids is not None:
        query = query.where(servers.c.uuid.in_(list(uuids)))
    return rows.every(await connection.execute(query.order_by(servers.c.id)), BuildingRow)


async def deleting(connection: Connection, before: dt.datetime) -> Sequence[DeletingRow]:
    """Servers that are being deleted since `before`."""
    query = select(servers.c.uuid, servers.c.host, servers.c.network_info).where(
        servers.c.deleted == 0, servers.c.task_state == Task.DELETING, _age() < before
    )
    return rows.every(await connection.execute(query), DeletingRow)


async def reclaimable(connection: Connection, before: dt.datetime) -> Sequence[OwnedRow]:
    """Servers that were deleted before then and kept."""
    query = select(servers.c.uuid, servers.c.project_id, servers.c.user_id).where(
        servers.c.deleted == 0, servers.c.vm_state == Vm.SOFT_DELETED, servers.c.task_state.is_(None),
        servers.c.deleted_at < before,
    )  # fmt: skip
    return rows.every(await connection.execute(query), OwnedRow)


async def ports_held(connection: Connection, uuids: Collection[str]) -> dict[str, frozenset[str] | None]:
    """The living servers of these with the ports that each has; None while it is busy, has not been built, or failed."""
    asked, found = list(uuids), dict[str, frozenset[str] | None]()
    columns = (servers.c.uuid, servers.c.vm_state, servers.c.task_state, servers.c.network_info)
    for start in range(0, len(asked), ASKED_AT_ONCE):
        part = asked[start : start + ASKED_AT_ONCE]
        query = select(*columns).where(servers.c.uuid.in_(part), servers.c.deleted == 0)
        for row in rows.every(await connection.execute(query), PortsRow):
            calm = row.task_state is None and row.vm_state not in (Vm.BUILDING, Vm.ERROR)
            found[row.uuid] = frozenset(vif["port_id"] for vif in row.network_info) if calm else None
    return found


async def idle(connection: Connection, state: Vm, before: dt.datetime) -> list[str]:
    """Servers that are on a host and in this state, with nothing under way, since `before`."""
    where = (servers.c.deleted == 0, servers.c.vm_state == state, servers.c.task_state.is_(None), has_host())
    return list((await connection.execute(select(servers.c.uuid).where(*where, _age() < before))).scalars())


async def known_deleted(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those of the uuids whose row says that the server is deleted."""
    return await _among(connection, uuids, servers.c.deleted != 0)


async def ever_known(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those that are servers, or were and are remembered."""
    return await _among(connection, uuids)


async def _among(connection: Connection, uuids: Collection[str], *where: Condition) -> set[str]:
    asked, found = list(uuids), set[str]()
    for start in range(0, len(asked), ASKED_AT_ONCE):
        part = asked[start : start + ASKED_AT_ONCE]
        query = select(servers.c.uuid).where(servers.c.uuid.in_(part), *where)
        found.update((await connection.execute(query)).scalars())
    return found


async def placed(connection: Connection) -> Sequence[PlacedRow]:
    """uuid and provider (node's uuid) of every server that is not deleted on a host that is not being deleted or moved."""
    query = (
        select(servers.c.uuid, compute_nodes.c.uuid.label("provider"))
        .join(compute_nodes, compute_nodes.c.host == servers.c.host)
        .where(
            servers.c.deleted == 0,
            or_(servers.c.task_state.is_(None), servers.c.task_state.not_in([Task.DELETING, *MOVE_TASKS])),
        )
    )
    return rows.every(await connection.execute(query), PlacedRow)


async def claim_holders(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those of the uuids whose server is not deleted, and is on a host or about to be sent to one."""
    rightful = or_(servers.c.host.is_not(None), NEW, and_(SHELVED, servers.c.task_state == Task.UNSHELVING))
    return await _among(connection, uuids, servers.c.deleted == 0, rightful)
