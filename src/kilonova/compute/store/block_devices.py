"""SQL of block devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, select

from kilonova.compute.tables import block_devices
from kilonova.core.db import Connection, Row
from kilonova.core.db.prepared import insert, prepared


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(block_devices), rows)


async def volumes_of(connection: Connection, uuids: Collection[str]) -> dict[str, list[Row]]:
    """server uuid → its devices that are volumes, in the order they were asked for."""
    found: dict[str, list[Row]] = {}
    for row in (await connection.execute(*_of_servers(list(uuids)))).all():
        found.setdefault(row.server_uuid, []).append(row)
    return found


@prepared
def _of_servers(uuids: Any) -> Select[Any]:
    volumes = block_devices.c.volume_id.is_not(None)
    return select(block_devices).where(block_devices.c.server_uuid.in_(uuids), volumes).order_by(block_devices.c.id)
