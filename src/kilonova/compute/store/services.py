"""SQL of services, as the API reads and switches them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, delete, select, update

from kilonova.compute.tables import compute_nodes, services
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import prepared

COMPUTE = "nova-compute"


class LivenessRow(TypedRow):
    """What says whether a service is up."""

    host: str
    disabled: bool
    forced_down: bool
    last_seen: dt.datetime | None


class ServiceRow(LivenessRow):
    id: int
    uuid: str
    binary: str
    disabled_reason: str | None
    version: int
    created_at: dt.datetime
    changed_at: dt.datetime | None


async def find(
    connection: Connection, *, host: str | None = None, binary: str | None = None, uuid: str | None = None,
    number: int | None = None,
) -> Sequence[ServiceRow]:  # fmt: skip
    query = select(services).order_by(services.c.id)
    for column, value in (
        (services.c.host, host), (services.c.binary, binary), (services.c.uuid, uuid), (services.c.id, number)
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    return rows.every(await connection.execute(query), ServiceRow)


async def of_hosts(connection: Connection, hosts: Collection[str]) -> Sequence[LivenessRow]:
    """Their compute services: what says whether they are up."""
    return rows.every(await connection.execute(*_of_hosts(list(hosts))), LivenessRow) if hosts else []


@prepared
def _of_hosts(hosts: Any) -> Select[Any]:
    table = services.c
    said = select(table.host, table.last_seen, table.forced_down, table.disabled)
    return said.where(table.binary == COMPUTE, table.host.in_(hosts))


async def change(connection: Connection, service_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(services).where(services.c.id == service_id).values(**values))


async def remove(connection: Connection, service_id: int, host: str, binary: str) -> None:
    if binary == COMPUTE:
        await connection.execute(delete(compute_nodes).where(compute_nodes.c.host == host))
    await connection.execute(delete(services).where(services.c.id == service_id))
