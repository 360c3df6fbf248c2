"""SQL of lists of servers: filters, sorting and pages, in one statement."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import typing
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
from sqlalchemy import JSON, ColumnElement, Select, Text, and_, cast, func, literal, or_, select

from kilonova.compute.states import STATUS, Vm
from kilonova.compute.store.servers import ServerKey, ServerRow
from kilonova.compute.tables import request_specs, servers
from kilonova.core.db import Connection, rows
from kilonova.core.db.paging import beyond
from kilonova.core.db.prepared import prepared
from kilonova.core.patterns import is_plain, matcher

C = servers.c
EPOCH = dt.datetime(1970, 1, 1)
EQUALS = {
    "reservation_id": C.reservation_id, "availability_zone": C.availability_zone, "key_name": C.key_name,
    "power_state": C.power_state, "task_state": C.task_state, "vm_state": C.vm_state, "progress": C.progress,
    "user_id": C.user_id, "host": C.host, "node": C.node, "hostname": C.hostname, "uuid": C.uuid,
    "launch_index": C.launch_index, "image": C.image_id, "project_id": C.project_id, "config_drive": C.config_drive,
    "description": C.description, "access_ip_v4": C.access_ip_v4, "access_ip_v6": C.access_ip_v6,
    "server_group": C.server_group_id,
}  # fmt: skip
BRIEF = frozenset(["id", "uuid", "name"])
BATCH = 200  # rows that are read at once where names are matched here
DOCUMENTS = [column.name for column in C if isinstance(column.type, JSON)]
NUMBERS = frozenset(["power_state", "progress", "launch_index"])
SORT_KEYS: dict[str, ColumnElement[Any]] = {
    name: func.coalesce(C[column], default) if C[column].nullable else C[column]  # a plain column sorts by its index
    for name, column, default in (
        ("created_at", "created_at", EPOCH), ("updated_at", "updated_at", EPOCH), ("launched_at", "launched_at", EPOCH),
        ("terminated_at", "terminated_at", EPOCH), ("display_name", "name", ""), ("name", "name", ""), ("uuid", "uuid", ""),
        ("hostname", "hostname", ""), ("image_ref", "image_id", ""), ("key_name", "key_name", ""), ("host", "host", ""),
        ("node", "node", ""), ("availability_zone", "availability_zone", ""), ("user_id", "user_id", ""),
        ("project_id", "project_id", ""), ("vm_state", "vm_state", ""), ("task_state", "task_state", ""),
        ("power_state", "power_state", 0), ("progress", "progress", 0), ("launch_index", "launch_index", 0),
        ("locked", "locked_by", ""), ("access_ip_v4", "access_ip_v4", ""), ("access_ip_v6", "access_ip_v6", ""),
        ("display_description", "description", ""), ("config_drive", "config_drive", False),
        ("instance_type_id", "vcpus", 0), ("root_device_name", "id", 0), ("kernel_id", "id", 0), ("ramdisk_id", "id", 0),
        ("auto_disk_config", "disk_config", ""),
    )
}  # fmt: skip


class ServerFilter(msgspec.Struct, kw_only=True):
    """`equals` maps keys of EQUALS to values; `deleted` None: both; `name` and `ip` as their docs say; tags by meaning:
    all of, any of, not all of, none of."""

    project_id: str | None = None
    user_id: str | None = None
    deleted: bool | None = False
    soft_deleted: bool = False
    name: str | None = None
    statuses: list[str] | None = None
    flavor: str | None = None
    locked: bool | None = None
    changes_since: dt.datetime | None = None
    changes_before: dt.datetime | None = None
    addresses: list[str] = []
    metadata: dict[str, str] = {}
    tags: list[str] = []
    tags_any: list[str] = []
    not_tags: list[str] = []
    not_tags_any: list[str] = []
    equals: dict[str, Any] = {}

    @property
    def wants_kept(self) -> bool:
        """Whether servers that were deleted and are kept are among what is asked for."""
        named = "SOFT_DELETED" in (self.statuses or ())
        return self.soft_deleted or named or self.equals.get("vm_state") == Vm.SOFT_DELETED


class StoredServer(ServerKey):
    """Of `page`: its documents are text, as they are stored, so that rows can be compared. It may have `spec` (bytes or None)
    and `user_data`."""

    project_id: str
    vm_state: str
    host: str | None


S = typing.TypeVar("S", bound=ServerKey)


async def page(
    connection: Connection, wanted: ServerFilter, *, limit: int, marker: ServerKey | None, sorts: list[tuple[str, bool]],
    with_spec: bool, with_user_data: bool,
) -> Sequence[StoredServer]:  # fmt: skip
    """`sorts` holds (key, descending); the row's id decides ties. With `with_spec` rows also have `spec` (bytes). Documents are
    text as they are stored, so that rows can be compared; see `opened`."""
    columns = frozenset(name for name, has in (("spec", with_spec), ("user_data", with_user_data)) if has)
    return await _rows(connection, wanted, StoredServer, limit, marker, sorts, columns)


def opened(row: StoredServer) -> ServerRow:
    """A row of `page` with its documents decoded."""
    fields = dict(row._mapping)
    for name in DOCUMENTS:
        if fields[name] is not None:
            fields[name] = msgspec.json.decode(fields[name])
    return typing.cast(ServerRow, SimpleNamespace(**fields))


async def brief(
    connection: Connection, wanted: ServerFilter, *, limit: int, marker: ServerKey | None, sorts: list[tuple[str, bool]]
) -> Sequence[ServerKey]:
    """Rows with id, uuid and name alone."""
    return await _rows(connection, wanted, ServerKey, limit, marker, sorts, BRIEF)


async def _rows(
    connection: Connection, wanted: ServerFilter, kind: type[S], limit: int, marker: ServerKey | None,
    sorts: list[tuple[str, bool]], columns: frozenset[str],
) -> Sequence[S]:  # fmt: skip
    after = marker.id if marker is not None else None
    if wanted.name is None or is_plain(wanted.name):
        return await _page(connection, wanted, kind, limit, after, sorts, columns)
    ids = await _matching(connection, wanted, wanted.name, limit, after, sorts)
    return await _page(connection, wanted, kind, limit, None, sorts, columns, ids) if ids else []


async def _matching(
    connection: Connection, wanted: ServerFilter, pattern: str, limit: int, after: int | None,
    sorts: list[tuple[str, bool]],
) -> list[int]:  # fmt: skip
    """Ids of the first servers after this one whose names match. No database sees the pattern: see core/patterns."""
    found: list[int] = []
    fits = matcher(pattern)
    while len(found) < limit:
        looked_at = await _page(connection, wanted, ServerKey, BATCH, after, sorts, BRIEF)
        found += [row.id for row in looked_at if fits(row.name)]
        if len(looked_at) < BATCH:
            break
        after = looked_at[-1].id
        await asyncio.sleep(0)  # SQLite answers without giving others their turn
    return found[:limit]


async def _page(
    connection: Connection, wanted: ServerFilter, kind: type[S], limit: int, after: int | None,
    sorts: list[tuple[str, bool]], columns: frozenset[str], ids: Collection[int] | None = None,
) -> Sequence[S]:  # fmt: skip
    shape = {
        "of_project": wanted.project_id is not None,
        "deleted": wanted.deleted,
        "columns": columns,
        "kept": wanted.wants_kept,
    }
    prepared_query, given = _listed(wanted.project_id, limit, sorts=tuple(sorts), **shape)
    query = typing.cast(Select[*tuple[Any, ...]], prepared_query)
    if further := _conditions(wanted):
        query = query.where(*further)
    if ids is not None:
        query = query.where(C.id.in_(ids))
    if after is not None:
        query = _after(query, _keys(sorts), after)
    return rows.every(await connection.execute(query, given), kind)


def _keys(sorts: Sequence[tuple[str, bool]]) -> list[tuple[ColumnElement[Any], bool]]:
    keys = [(SORT_KEYS[name], descending) for name, descending in sorts]
    return [*keys, (C.id, keys[0][1] if keys else True)]


@prepared
def _listed(
    project_id: Any, limit: Any, *, of_project: bool, deleted: bool | None, kept: bool, columns: frozenset[str],
    sorts: tuple[tuple[str, bool], ...],
) -> Select[Any]:  # fmt: skip
    """What all lists have in common."""
    query: Select[Any] = select(C.id, C.uuid, C.name)
    if columns != BRIEF:
        wide = (c for c in C if c.name != "user_data" or "user_data" in columns)
        query = select(*(cast(c, Text).label(c.name) if c.name in DOCUMENTS else c for c in wide))
    if "spec" in columns:
        source = servers.outerjoin(request_specs, request_specs.c.server_uuid == C.uuid)
        query = query.add_columns(request_specs.c.spec).select_from(source)
    if of_project:
        query = query.where(C.project_id == project_id)
    if deleted is not None:
        query = query.where(C.deleted != 0 if deleted else C.deleted == 0)
    if deleted is False and not kept:
        query = query.where(C.vm_state != Vm.SOFT_DELETED)
    order = [column.desc() if descending else column.asc() for column, descending in _keys(sorts)]
    return query.order_by(*order).limit(limit)


def _after(query: Select[Any], keys: list[tuple[ColumnElement[Any], bool]], marker_id: int) -> Select[Any]:
    """Only what comes after the marker in the order of `keys`."""
    at = [select(column).where(C.id == marker_id).correlate(None).scalar_subquery() for column, _ in keys]
    # said of the first key alone too: so the database begins at the marker instead of looking through what is before it
    first, falling = keys[0]
    within = first <= at[0] if falling else first >= at[0]
    return query.where(within, beyond((column, value, falls) for (column, falls), value in zip(keys, at, strict=True)))


def _conditions(wanted: ServerFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [EQUALS[key] == value for key, value in wanted.equals.items()]
    if wanted.user_id is not None:
        found.append(C.user_id == wanted.user_id)
    if wanted.name is not None and is_plain(wanted.name):
        found.append(_named(wanted.name))
    if wanted.statuses is not None:
        found.append(or_(*(_status(status) for status in wanted.statuses)))
    if wanted.flavor is not None:
        found.append(C.flavor["id"].as_string() == wanted.flavor)
    if wanted.locked is not None:
        found.append(C.locked_by.is_not(None) if wanted.locked else C.locked_by.is_(None))
    changed = func.coalesce(C.updated_at, C.created_at)
    if wanted.changes_since is not None:
        found.append(changed >= wanted.changes_since)
    if wanted.changes_before is not None:
        found.append(changed <= wanted.changes_before)
    return found + _in_documents(wanted)


def _in_documents(wanted: ServerFilter) -> list[ColumnElement[bool]]:
    """Conditions on the JSON columns, as text: `json.dumps` wrote them, so the text is known."""
    network = cast(C.network_info, Text)
    found = [network.contains(f'"address": "{address}', autoescape=True) for address in wanted.addresses]
    for key, value in wanted.metadata.items():
        pair = f"{json.dumps(key)}: {json.dumps(value)}"
        found.append(cast(C.metadata, Text).contains(pair, autoescape=True))
    held = cast(C.tags, Text)
    has = {tag: held.contains(json.dumps(tag), autoescape=True) for tag in _all_tags(wanted)}
    found += [has[tag] for tag in wanted.tags]
    if wanted.tags_any:
        found.append(or_(*(has[tag] for tag in wanted.tags_any)))
    if wanted.not_tags:
        found.append(~and_(*(has[tag] for tag in wanted.not_tags)))
    if wanted.not_tags_any:
        found.append(~or_(*(has[tag] for tag in wanted.not_tags_any)))
    return found


def _all_tags(wanted: ServerFilter) -> set[str]:
    return {*wanted.tags, *wanted.tags_any, *wanted.not_tags, *wanted.not_tags_any}


def _named(pattern: str) -> ColumnElement[bool]:
    """A plain pattern, as SQL."""
    text = pattern.removeprefix("^").removesuffix("$")
    if pattern.startswith("^") and pattern.endswith("$"):
        return C.name == text
    if pattern.startswith("^"):
        return C.name.startswith(text, autoescape=True)
    if pattern.endswith("$"):
        return C.name.endswith(text, autoescape=True)
    return C.name.contains(text, autoescape=True)


def _status(status: str) -> ColumnElement[bool]:
    """The states in which clients see this status."""
    choices: list[ColumnElement[bool]] = []
    for vm_state, (default, during) in STATUS.items():
        tasks = [task for task, shown in during.items() if shown == status]
        if tasks:
            choices.append(and_(C.vm_state == vm_state, C.task_state.in_(tasks)))
        if default == status:
            other = [task for task, shown in during.items() if shown != status]
            idle = or_(C.task_state.is_(None), C.task_state.not_in(other)) if other else literal(True)
            choices.append(and_(C.vm_state == vm_state, idle))
    return or_(*choices) if choices else literal(False)
