"""SQL of block devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, select, update

from kilonova.compute.tables import block_devices
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert, prepared


class DeviceRow(TypedRow):
    id: int
    server_uuid: str
    source_type: str
    destination_type: str
    image_id: str | None
    volume_id: str | None
    boot_index: int | None
    device_name: str | None
    volume_size: int | None
    delete_on_termination: bool
    disk_bus: str | None
    guest_format: str | None
    tag: str | None


class VolumeRow(DeviceRow):
    volume_id: str


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(block_devices), rows)


async def set_image(connection: Connection, server_uuid: str, image_id: str) -> None:
    """The image that the server's own disk is made from."""
    own = (block_devices.c.server_uuid == server_uuid, block_devices.c.source_type == "image")
    await connection.execute(update(block_devices).where(*own).values(image_id=image_id))


async def volumes_of(connection: Connection, uuids: Collection[str]) -> dict[str, list[VolumeRow]]:
    """server uuid → its devices that are volumes, in the order they were asked for."""
    found: dict[str, list[VolumeRow]] = {}
    for row in rows.every(await connection.execute(*_of_servers(list(uuids))), VolumeRow):
        found.setdefault(row.server_uuid, []).append(row)
    return found


@prepared
def _of_servers(uuids: Any) -> Select[Any]:
    volumes = block_devices.c.volume_id.is_not(None)
    return select(block_devices).where(block_devices.c.server_uuid.in_(uuids), volumes).order_by(block_devices.c.id)
