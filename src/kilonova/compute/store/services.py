"""SQL of services, as the API reads and switches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select, update

from kilonova.compute.tables import compute_nodes, services
from kilonova.core.db import Connection, Row

COMPUTE = "nova-compute"


async def find(
    connection: Connection, *, host: str | None = None, binary: str | None = None, uuid: str | None = None,
    number: int | None = None,
) -> Sequence[Row]:  # fmt: skip
    query = select(services).order_by(services.c.id)
    for column, value in (
        (services.c.host, host), (services.c.binary, binary), (services.c.uuid, uuid), (services.c.id, number)
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    return (await connection.execute(query)).all()


async def change(connection: Connection, service_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(services).where(services.c.id == service_id).values(**values))


async def remove(connection: Connection, service_id: int, host: str, binary: str) -> None:
    if binary == COMPUTE:
        await connection.execute(delete(compute_nodes).where(compute_nodes.c.host == host))
    await connection.execute(delete(services).where(services.c.id == service_id))
