"""SQL of images, their properties and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Select, delete, null, select, union_all, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.tables import image_members, image_properties, image_tags, images

GONE = ("pending_delete", "deleted")
SHOWN = tuple(name for name in ImageRecord.__struct_fields__ if name not in ("tags", "properties"))


class ImageRow(TypedRow):
    id: str
    name: str | None
    status: str
    visibility: str
    owner: str | None
    protected: bool
    os_hidden: bool
    min_disk: int
    min_ram: int
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    created_at: str
    updated_at: str
    upload_id: str | None
    reserved: int | None


class BesideRow(TypedRow):
    """A property, or a tag: then `name` is None."""

    image_id: str
    name: str | None
    value: str


async def find(connection: Connection, image_id: str, *, lock: bool = False) -> ImageRow | None:
    """An image that is not deleted; `lock` keeps others from changing it until the transaction ends."""
    return rows.first(await connection.execute(*_one(image_id, lock=lock)), ImageRow)


@prepared
def _one(image_id: Any, *, lock: bool) -> Select[Any]:
    query = select(images).where(images.c.id == image_id, images.c.status.not_in(GONE))
    return locked(query) if lock else query


async def in_status(connection: Connection, *statuses: str) -> Sequence[ImageRow]:
    query = select(images).where(images.c.status.in_(statuses))
    return rows.every(await connection.execute(query), ImageRow)


async def id_taken(connection: Connection, image_id: str) -> bool:
    """Whether any image, deleted ones included, has this id."""
    return (await connection.execute(select(images.c.id).where(images.c.id == image_id))).first() is not None


async def records(connection: Connection, found: Sequence[ImageRow]) -> list[ImageRecord]:
    """The rows with their properties and tags."""
    ids = [row.id for row in found]
    if not ids:
        return []
    extra: dict[str, dict[str, str]] = {image_id: {} for image_id in ids}
    tags: dict[str, list[str]] = {image_id: [] for image_id in ids}
    for row in rows.every(await connection.execute(*_beside(ids)), BesideRow):
        if row.name is None:
            tags[row.image_id].append(row.value)
        else:
            extra[row.image_id][row.name] = row.value
    return [_record(image, extra[image.id], sorted(tags[image.id])) for image in found]


@prepared
def _beside(ids: Any) -> CompoundSelect[Any]:
    """Properties, and tags as those without a name."""
    named, tagged = image_properties.c, image_tags.c
    return union_all(
        select(named.image_id, named.name, named.value).where(named.image_id.in_(ids)),
        select(tagged.image_id, null().label("name"), tagged.value).where(tagged.image_id.in_(ids)),
    )


def _record(row: ImageRow, extra: dict[str, str], tags: list[str]) -> ImageRecord:
    values = {name: getattr(row, name) for name in SHOWN}
    for name in ("created_at", "updated_at"):
        values[name] = values[name][:19] + "Z"
    return ImageRecord(**values, tags=tags, properties=extra)


async def add(connection: Connection, values: dict[str, Any]) -> None:
    await connection.execute(insert(images), values)


async def change(
    connection: Connection,
    image_id: str,
    values: dict[str, Any],
    *,
    status: Sequence[str] | None = None,
    upload_id: str | None = None,
) -> bool:
    """Compare and swap: the values are set only while the image has one of `status` (default: not deleted) and, if given,
    this upload; False otherwise."""
    query = update(images).where(images.c.id == image_id)
    query = query.where(images.c.status.in_(status) if status is not None else images.c.status.not_in(GONE))
    if upload_id is not None:
        query = query.where(images.c.upload_id == upload_id)
    return (await connection.execute(query.values(**values))).rowcount == 1


async def set_properties(connection: Connection, image_id: str, wanted: dict[str, str]) -> None:
    """Replace all extra properties."""
    await connection.execute(delete(image_properties).where(image_properties.c.image_id == image_id))
    if wanted:
        values = [{"image_id": image_id, "name": name, "value": value} for name, value in wanted.items()]
        await connection.execute(insert(image_properties), values)


async def set_tags(connection: Connection, image_id: str, wanted: Sequence[str]) -> None:
    """Replace all tags."""
    await connection.execute(delete(image_tags).where(image_tags.c.image_id == image_id))
    if wanted:
        await connection.execute(insert(image_tags), [{"image_id": image_id, "value": tag} for tag in wanted])


async def strip(connection: Connection, image_id: str) -> None:
    """Remove what hangs on an image: properties, tags, members."""
    for table in (image_properties, image_tags, image_members):
        await connection.execute(delete(table).where(table.c.image_id == image_id))
