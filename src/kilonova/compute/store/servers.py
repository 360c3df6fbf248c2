"""SQL of servers. Every change of state is a compare-and-swap; those that exist have `deleted` = 0."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, bindparam, func, or_, select, update

from kilonova.compute.tables import servers
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared


class ServerKey(TypedRow):
    id: int
    uuid: str
    name: str


class ServerRow(ServerKey):
    description: str | None
    hostname: str
    project_id: str
    user_id: str
    image_id: str | None
    flavor: dict[str, Any]
    vcpus: int
    memory_mb: int
    vm_state: str
    task_state: str | None
    power_state: int
    host: str | None
    node: str | None
    availability_zone: str | None
    key_name: str | None
    config_drive: bool
    disk_config: str
    user_data: str | None
    reservation_id: str
    launch_index: int
    access_ip_v4: str | None
    access_ip_v6: str | None
    locked_by: str | None
    locked_reason: str | None
    progress: int
    metadata: dict[str, str]
    tags: list[str]
    network_info: list[dict[str, Any]]
    security_groups: list[str]
    server_group_id: str | None
    trusted_image_certificates: list[str] | None
    created_at: dt.datetime
    updated_at: dt.datetime | None
    launched_at: dt.datetime | None
    terminated_at: dt.datetime | None
    deleted_at: dt.datetime | None
    deleted: int


class MemberRow(TypedRow):
    server_group_id: str
    uuid: str


class HostedRow(TypedRow):
    """A server on a host."""

    host: str
    uuid: str
    id: int


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """All rows in one statement."""
    await connection.execute(insert(servers), rows)


async def get(connection: Connection, uuid: str, *, deleted: bool = False, lock: bool = False) -> ServerRow | None:
    """The server of this uuid that is not deleted; with `deleted` also one that is gone. With `lock` it can't be changed
    before the transaction ends."""
    return rows.first(await connection.execute(*_one(uuid, deleted=deleted, lock=lock)), ServerRow)


@prepared
def _one(uuid: Any, *, deleted: bool, lock: bool) -> Select[Any]:
    query = select(servers).where(servers.c.uuid == uuid)
    if not deleted:
        query = query.where(servers.c.deleted == 0)
    return locked(query) if lock else query


async def get_many(connection: Connection, uuids: Collection[str]) -> Sequence[ServerRow]:
    """Living servers, in no order."""
    return rows.every(await connection.execute(*_living(list(uuids))), ServerRow)


@prepared
def _living(uuids: Any) -> Select[Any]:
    return select(servers).where(servers.c.uuid.in_(uuids), servers.c.deleted == 0)


async def change(
    connection: Connection,
    uuid: str,
    values: dict[str, Any],
    now: dt.datetime,
    *,
    vm_states: Collection[str] | None = None,
    task_states: Collection[str | None] | None = None,
    host: str | None = None,
) -> bool:
    """Compare-and-swap of a server that is not deleted: applied only while its state is among the expected ones; False
    otherwise."""
    given: dict[str, Any] = {"of_uuid": uuid} | {f"new_{name}": value for name, value in values.items()}
    given["new_updated_at"] = now
    if vm_states is not None:
        given["vm_states"] = list(vm_states)
    if task_states is not None:
        given["task_states"] = [state for state in task_states if state is not None]
    if host is not None:
        given["of_host"] = host
    result = await connection.execute(_changing(frozenset(given), None in (task_states or ())), given)
    return result.rowcount == 1


@cache
def _changing(given: frozenset[str], idle: bool) -> Update:
    """The statement with these parameters; `idle`: no task state will do, too."""
    query = update(servers).where(servers.c.uuid == bindparam("of_uuid"), servers.c.deleted == 0)
    if "vm_states" in given:
        query = query.where(servers.c.vm_state.in_(bindparam("vm_states")))
    if "task_states" in given:
        among: ColumnElement[bool] = servers.c.task_state.in_(bindparam("task_states"))
        query = query.where(or_(among, servers.c.task_state.is_(None)) if idle else among)
    if "of_host" in given:
        query = query.where(servers.c.host == bindparam("of_host"))
    names = sorted(name.removeprefix("new_") for name in given if name.startswith("new_"))
    return query.values({name: bindparam(f"new_{name}", type_=servers.c[name].type) for name in names})


async def usage(connection: Connection, project_id: str, user_id: str | None = None) -> tuple[int, int, int]:
    """(instances, cores, MiB of memory) of the servers of a project that are not deleted, or of one user in it."""
    query = _used(project_id, user_id, of_user=user_id is not None)
    row = (await connection.execute(*query)).one()
    return int(row[0]), int(row[1]), int(row[2])


@prepared
def _used(project_id: Any, user_id: Any, *, of_user: bool) -> Select[Any]:
    query = select(
        func.count(),
        func.coalesce(func.sum(servers.c.vcpus), 0),
        func.coalesce(func.sum(servers.c.memory_mb), 0),
    ).where(servers.c.project_id == project_id, servers.c.deleted == 0)
    return query.where(servers.c.user_id == user_id) if of_user else query


async def group_members(connection: Connection, group_ids: Collection[str]) -> dict[str, list[str]]:
    """server group uuid → uuids of its servers that are not deleted."""
    query = (
        select(servers.c.server_group_id, servers.c.uuid)
        .where(servers.c.server_group_id.in_(list(group_ids)), servers.c.deleted == 0)
        .order_by(servers.c.id)
    )
    found: dict[str, list[str]] = {}
    for row in rows.every(await connection.execute(query), MemberRow):
        found.setdefault(row.server_group_id, []).append(row.uuid)
    return found


async def count_members(connection: Connection, group_id: str, user_id: str | None = None) -> int:
    """Living servers of a group, or those of one user."""
    query = select(func.count()).where(servers.c.server_group_id == group_id, servers.c.deleted == 0)
    if user_id is not None:
        query = query.where(servers.c.user_id == user_id)
    return int((await connection.execute(query)).scalar_one())


async def on_hosts(connection: Connection, hosts: Collection[str]) -> dict[str, list[tuple[str, int]]]:
    """host → (uuid, number) of its servers that are not deleted."""
    query = (
        select(servers.c.host, servers.c.uuid, servers.c.id)
        .where(servers.c.host.in_(list(hosts)), servers.c.deleted == 0)
        .order_by(servers.c.id)
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in rows.every(await connection.execute(query), HostedRow):
        found.setdefault(row.host, []).append((row.uuid, row.id))
    return found
