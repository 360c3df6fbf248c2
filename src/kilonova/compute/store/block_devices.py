"""SQL of block devices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, delete, select, update

from kilonova.compute.models import TaggedVolume
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
    uuid: str | None
    snapshot_id: str | None
    volume_type: str | None
    device_type: str | None
    attachment_id: str | None
    attached_host: str | None


class HolderRow(TypedRow):
    server_uuid: str


class VolumeRow(DeviceRow):
    uuid: str
    volume_id: str


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(block_devices), rows)


async def holders(connection: Connection, volume_id: str) -> list[str]:
    """Servers that have, or are to get, a volume."""
    found = select(block_devices.c.server_uuid).where(block_devices.c.volume_id == volume_id)
    return sorted({row.server_uuid for row in rows.every(await connection.execute(found), HolderRow)})


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


async def tagged(connection: Connection, server_uuid: str) -> list[TaggedVolume]:
    """The volumes of a server that have a tag."""
    return [
        TaggedVolume(volume_id=row.volume_id, name=(row.device_name or "").removeprefix("/dev/"), tag=row.tag)
        for row in (await volumes_of(connection, [server_uuid])).get(server_uuid, ())
        if row.tag
    ]


async def devices_of(connection: Connection, server_uuid: str) -> Sequence[DeviceRow]:
    """All of a server, in the order they were asked for."""
    own = select(block_devices).where(block_devices.c.server_uuid == server_uuid).order_by(block_devices.c.id)
    return rows.every(await connection.execute(own), DeviceRow)


async def change(connection: Connection, device: str, values: dict[str, Any], *, attachment: str | None) -> bool:
    """Set columns of a volume's row, while it has this attachment (None: none); `device` is the row's uuid."""
    held = block_devices.c.attachment_id
    same = held.is_(None) if attachment is None else held == attachment
    query = update(block_devices).where(block_devices.c.uuid == device, same).values(**values)
    return (await connection.execute(query)).rowcount > 0


async def set_kept(connection: Connection, device: str, *, delete_on_termination: bool) -> None:
    query = update(block_devices).where(block_devices.c.uuid == device)
    await connection.execute(query.values(delete_on_termination=delete_on_termination))


async def rename(connection: Connection, device: str, name: str) -> None:
    await connection.execute(update(block_devices).where(block_devices.c.uuid == device).values(device_name=name))


async def forget(connection: Connection, device: str) -> None:
    """A volume's row goes; `device` is its uuid."""
    await connection.execute(delete(block_devices).where(block_devices.c.uuid == device))


async def pairs(connection: Connection, server_uuids: Collection[str]) -> set[tuple[str, str]]:
    """(server, volume) of these servers."""
    found = await volumes_of(connection, server_uuids)
    return {(uuid, row.volume_id) for uuid, devices in found.items() for row in devices}


@prepared
def _of_servers(uuids: Any) -> Select[Any]:
    volumes = block_devices.c.volume_id.is_not(None)
    return select(block_devices).where(block_devices.c.server_uuid.in_(uuids), volumes).order_by(block_devices.c.id)
