"""SQL of servers as the conductor changes them: compare-and-swap, and for many servers of a request in one statement."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Update, bindparam, case, delete, exists, func, insert, or_, select, update

from kilonova.compute.models import RequestSpec
from kilonova.compute.states import BUILD_TASKS, REBUILD_TASKS, Task, Vm
from kilonova.compute.tables import (
    block_devices,
    compute_nodes,
    migrations,
    request_specs,
    server_actions,
    server_faults,
    servers,
)
from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked

Condition = ColumnElement[bool]
ASKED_AT_ONCE = 1000
WITH_SPEC = servers.outerjoin(request_specs, request_specs.c.server_uuid == servers.c.uuid)
SPEC_OF = update(request_specs).where(request_specs.c.server_uuid == bindparam("of")).values(spec=bindparam("document"))
UNPLACED = (
    servers.c.deleted == 0,
    servers.c.vm_state == Vm.BUILDING,
    servers.c.task_state == Task.SCHEDULING,
    servers.c.host.is_(None),
)


async def get(connection: Connection, uuid: str, *, lock: bool = False) -> Row | None:
    """The row with its `spec` (encoded, None when gone), deleted or not."""
    query = select(servers, request_specs.c.spec).select_from(WITH_SPEC).where(servers.c.uuid == uuid)
    if lock:
        query = locked(query, of=servers)
    return (await connection.execute(query)).first()


async def get_many(connection: Connection, uuids: Collection[str], *, lock: bool = False) -> dict[str, Row]:
    """As `get`, by uuid."""
    query = select(servers, request_specs.c.spec).select_from(WITH_SPEC).where(servers.c.uuid.in_(list(uuids)))
    query = query.order_by(servers.c.id)
    rows = await connection.execute(locked(query, of=servers) if lock else query)
    return {row.uuid: row for row in rows.all()}


async def lock_states(connection: Connection, uuids: Collection[str]) -> dict[str, Row]:
    """uuid → host, vm_state and task_state of those that live; nobody else changes them before this transaction ends."""
    query = select(servers.c.uuid, servers.c.host, servers.c.vm_state, servers.c.task_state).where(
        servers.c.uuid.in_(list(uuids)), servers.c.deleted == 0
    )
    return {row.uuid: row for row in (await connection.execute(locked(query.order_by(servers.c.id)))).all()}


async def unplaced(connection: Connection, uuids: Sequence[str]) -> Sequence[Row]:
    """Rows with `spec` of those that wait for a host."""
    query = select(servers, request_specs.c.spec).select_from(WITH_SPEC).where(servers.c.uuid.in_(uuids), *UNPLACED)
    return (await connection.execute(query.order_by(servers.c.id))).all()


async def lock_unplaced(connection: Connection, uuids: Sequence[str]) -> set[str]:
    """Those that still wait for a host; nobody else changes them before this transaction ends."""
    query = select(servers.c.uuid).where(servers.c.uuid.in_(uuids), *UNPLACED).order_by(servers.c.id)
    return {row.uuid for row in (await connection.execute(locked(query))).all()}


async def save_specs(connection: Connection, specs: Mapping[str, RequestSpec]) -> None:
    """server uuid → spec, in one statement."""
    encode = msgspec.msgpack.Encoder().encode
    if specs:
        await connection.execute(SPEC_OF, [{"of": uuid, "document": encode(s)} for uuid, s in specs.items()])


async def swap(connection: Connection, uuid: str, where: Collection[Condition], values: Any) -> bool:
    """Change a living server while `where` holds; True when it did."""
    result = await connection.execute(
        update(servers).where(servers.c.uuid == uuid, servers.c.deleted == 0, *where).values(**values)
    )
    return result.rowcount == 1


async def holds(connection: Connection, uuid: str, where: Collection[Condition]) -> bool:
    """Does `where` hold of a living server?"""
    query = select(servers.c.id).where(servers.c.uuid == uuid, servers.c.deleted == 0, *where)
    return (await connection.execute(query)).first() is not None


async def set_each(connection: Connection, values: Mapping[str, Mapping[str, Any]]) -> None:
    """uuid → its values, of servers that the caller has locked: one statement for all that set the same columns."""
    alike: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for uuid, given in values.items():
        row = {"of_uuid": uuid} | {f"new_{name}": value for name, value in given.items()}
        alike[tuple(sorted(given))].append(row)
    for names, rows in alike.items():
        await connection.execute(_setting(names), rows)


@cache
def _setting(names: tuple[str, ...]) -> Update:
    columns = {name: bindparam(f"new_{name}", type_=servers.c[name].type) for name in names}
    return update(servers).where(servers.c.uuid == bindparam("of_uuid")).values(columns)


async def set_many(connection: Connection, uuids: Collection[str], values: Any) -> None:
    """The same values for many servers, which the caller has locked or guarded."""
    await connection.execute(update(servers).where(servers.c.uuid.in_(list(uuids))).values(**values))


def on_host(host: str) -> Condition:
    return servers.c.host == host


def coming_to(host: str, migration: str) -> Condition:
    """The server is being brought up there by this migration."""
    table = migrations.c
    running = (table.uuid == migration, table.dest_compute == host, table.status == "pre-migrating")
    return exists().where(table.server_uuid == servers.c.uuid, *running)


def vm_in(states: Collection[str]) -> Condition:
    return servers.c.vm_state.in_(list(states))


def building_on(host: str) -> tuple[Condition, ...]:
    """The condition that a build runs on this host and nobody deletes it."""
    return (servers.c.host == host, servers.c.vm_state == Vm.BUILDING, task_in([None, *BUILD_TASKS]))


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
    table = server_actions.c
    where: list[Condition] = [
        table.server_uuid.in_(list(uuids)),
        table.action.in_(list(actions)),
        table.finished_at.is_(None),
    ]
    if request_id is not None:
        where.append(table.request_id == request_id)
    told = message if failed is None else case((table.action == failed, "Error"), else_=message)
    result = await connection.execute(update(server_actions).where(*where).values(finished_at=now, message=told))
    return int(result.rowcount)


async def action(connection: Connection, uuid: str, request_id: str, names: Collection[str]) -> Row | None:
    table = server_actions.c
    query = select(server_actions).where(
        table.server_uuid == uuid, table.request_id == request_id, table.action.in_(list(names))
    )
    return (await connection.execute(query)).first()


async def open_actions(connection: Connection, uuids: Collection[str]) -> dict[str, Row]:
    """server uuid → the newest action that has not ended, else the newest of all."""
    query = select(server_actions).where(server_actions.c.server_uuid.in_(list(uuids))).order_by(server_actions.c.id)
    found: dict[str, Row] = {}
    for row in (await connection.execute(query)).all():
        known = found.get(row.server_uuid)
        if known is None or row.finished_at is None or known.finished_at is not None:
            found[row.server_uuid] = row
    return found


async def mark_deleted(connection: Connection, uuids: Sequence[str], now: dt.datetime) -> list[str]:
    """Rows as deleted, their block devices and specs gone; those for which nobody was faster."""
    living = list(await lock_states(connection, uuids) if len(uuids) > 1 else uuids)
    values = {
        "deleted": servers.c.id, "deleted_at": now, "terminated_at": now, "updated_at": now, "vm_state": Vm.DELETED,
        "task_state": None, "power_state": 0,
    }  # fmt: skip
    marked = update(servers).where(servers.c.uuid.in_(living), servers.c.deleted == 0).values(**values)
    if not living or (await connection.execute(marked)).rowcount == 0:
        return []
    await connection.execute(delete(block_devices).where(block_devices.c.server_uuid.in_(living)))
    await connection.execute(delete(request_specs).where(request_specs.c.server_uuid.in_(living)))
    return living


# ---- for the reconciler


def _age() -> ColumnElement[Any]:
    return func.coalesce(servers.c.updated_at, servers.c.created_at)


async def waiting(connection: Connection, before: dt.datetime) -> Sequence[Row]:
    """Servers that have waited for a host since `before`."""
    return (await connection.execute(select(servers).where(*UNPLACED, _age() < before).order_by(servers.c.id))).all()


async def building(
    connection: Connection, before: dt.datetime, *, unaccepted: bool = False, uuids: Collection[str] | None = None
) -> Sequence[Row]:
    """Rows with `spec` of servers (all, or some) whose build on a host has shown nothing new since `before`; `unaccepted`
    only those the host has not yet taken."""
    query = (
        select(servers, request_specs.c.spec)
        .select_from(WITH_SPEC)
        .where(
            servers.c.deleted == 0,
            servers.c.vm_state == Vm.BUILDING,
            servers.c.host.is_not(None),
            task_in([Task.SCHEDULING] if unaccepted else [None, *BUILD_TASKS]),
            _age() < before,
        )
    )
    if uuids is not None:
        query = query.where(servers.c.uuid.in_(list(uuids)))
    return (await connection.execute(query.order_by(servers.c.id))).all()


async def deleting(connection: Connection, before: dt.datetime) -> Sequence[Row]:
    """uuid and host of servers that are being deleted since `before`."""
    query = select(servers.c.uuid, servers.c.host).where(
        servers.c.deleted == 0, servers.c.task_state == Task.DELETING, _age() < before
    )
    return (await connection.execute(query)).all()


async def living(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those of the uuids whose server is not deleted."""
    return await _among(connection, uuids, servers.c.deleted == 0)


async def known_deleted(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those of the uuids whose row says that the server is deleted."""
    return await _among(connection, uuids, servers.c.deleted != 0)


async def _among(connection: Connection, uuids: Collection[str], *where: Condition) -> set[str]:
    asked, found = list(uuids), set[str]()
    for start in range(0, len(asked), ASKED_AT_ONCE):
        part = asked[start : start + ASKED_AT_ONCE]
        query = select(servers.c.uuid).where(servers.c.uuid.in_(part), *where)
        found.update((await connection.execute(query)).scalars())
    return found


async def placed(connection: Connection) -> Sequence[Row]:
    """uuid and provider (node's uuid) of every living server on a host that nobody is deleting or taking elsewhere."""
    query = (
        select(servers.c.uuid, compute_nodes.c.uuid.label("provider"))
        .join(compute_nodes, compute_nodes.c.host == servers.c.host)
        .where(
            servers.c.deleted == 0,
            or_(servers.c.task_state.is_(None), servers.c.task_state.not_in([Task.DELETING, *REBUILD_TASKS])),
        )
    )
    return (await connection.execute(query)).all()


async def claim_holders(connection: Connection, uuids: Collection[str]) -> set[str]:
    """Those of the uuids whose server lives and is on a host or on its way to one."""
    rightful = or_(servers.c.host.is_not(None), servers.c.vm_state == Vm.BUILDING)
    return await _among(connection, uuids, servers.c.deleted == 0, rightful)
