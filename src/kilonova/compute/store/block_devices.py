"""SQL of block devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import insert, select

from kilonova.compute.tables import block_devices
from kilonova.core.db import Connection, Row


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(block_devices), rows)


async def of_servers(connection: Connection, uuids: Collection[str]) -> dict[str, list[Row]]:
    """server uuid → its devices, in the order they were asked for."""
    query = select(block_devices).where(block_devices.c.server_uuid.in_(list(uuids))).order_by(block_devices.c.id)
    found: dict[str, list[Row]] = {}
    for row in (await connection.execute(query)).all():
        found.setdefault(row.server_uuid, []).append(row)
    return found
