"""SQL of images, their properties and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Select, delete, null, select, union_all, update

from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.tables import image_members, image_properties, image_tags, images

GONE = ("pending_delete", "deleted")
SHOWN = tuple(name for name in ImageRecord.__struct_fields__ if name not in ("tags", "properties"))


async def find(connection: Connection, image_id: str, *, lock: bool = False) -> Row | None:
    """An image that is not deleted; `lock` keeps others from changing it until the transaction ends."""
    return (await connection.execute(*_one(image_id, lock=lock))).first()


@prepared
def _one(image_id: Any, *, lock: bool) -> Select[Any]:
    query = select(images).where(images.c.id == image_id, images.c.status.not_in(GONE))
    return locked(query) if lock else query


async def in_status(connection: Connection, *statuses: str) -> Sequence[Row]:
    return (await connection.execute(select(images).where(images.c.status.in_(statuses)))).all()


async def id_taken(connection: Connection, image_id: str) -> bool:
    """Whether any image, deleted ones included, has this id."""
    return (await connection.execute(select(images.c.id).where(images.c.id == image_id))).first() is not None


async def records(connection: Connection, rows: Sequence[Row]) -> list[ImageRecord]:
    """The rows with their properties and tags."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    extra: dict[str, dict[str, str]] = {image_id: {} for image_id in ids}
    tags: dict[str, list[str]] = {image_id: [] for image_id in ids}
    for row in await connection.execute(*_beside(ids)):
        if row.name is None:
            tags[row.image_id].append(row.value)
        else:
            extra[row.image_id][row.name] = row.value
    return [_record(row, extra[row.id], sorted(tags[row.id])) for row in rows]


@prepared
def _beside(ids: Any) -> CompoundSelect[Any]:
    """Properties, and tags as those without a name."""
    named, tagged = image_properties.c, image_tags.c
    return union_all(
        select(named.image_id, named.name, named.value).where(named.image_id.in_(ids)),
        select(tagged.image_id, null().label("name"), tagged.value).where(tagged.image_id.in_(ids)),
    )


def _record(row: Row, extra: dict[str, str], tags: list[str]) -> ImageRecord:
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
        rows = [{"image_id": image_id, "name": name, "value": value} for name, value in wanted.items()]
        await connection.execute(insert(image_properties), rows)


async def set_tags(connection: Connection, image_id: str, wanted: Sequence[str]) -> None:
    """Replace all tags."""
    await connection.execute(delete(image_tags).where(image_tags.c.image_id == image_id))
    if wanted:
        await connection.execute(insert(image_tags), [{"image_id": image_id, "value": tag} for tag in wanted])


async def strip(connection: Connection, image_id: str) -> None:
    """Remove what hangs on an image: properties, tags, members."""
    for table in (image_properties, image_tags, image_members):
        await connection.execute(delete(table).where(table.c.image_id == image_id))
