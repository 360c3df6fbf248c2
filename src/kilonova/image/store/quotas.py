"""SQL of what a project has: images, their bytes and the uploads under way."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from sqlalchemy import case, func, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import hold
from kilonova.image.store.images import GONE
from kilonova.image.tables import images, locks


class UsageRow(TypedRow):
    """Sums are of the type that the engine gives them."""

    number: int
    size: int | Decimal
    uploading: int | Decimal


class Usage(msgspec.Struct, frozen=True):
    """`size` in bytes, with those that uploads under way may still bring."""

    count: int
    size: int
    uploading: int


async def turn(connection: Connection, owner: str) -> None:
    """One transaction at a time counts what a project has and adds to it."""
    await hold(connection, locks, f"owner:{owner}"[:255])


async def usage(connection: Connection, owner: str, *, but: str | None = None) -> Usage:
    """Of a project, without the image `but`."""
    held = func.coalesce(images.c.size, 0) + func.coalesce(images.c.reserved, 0)
    saving = case((images.c.status == "saving", 1), else_=0)
    query = select(
        func.count().label("number"),
        func.coalesce(func.sum(held), 0).label("size"),
        func.coalesce(func.sum(saving), 0).label("uploading"),
    ).where(images.c.owner == owner, images.c.status.not_in(GONE))
    if but is not None:
        query = query.where(images.c.id != but)
    row = rows.one(await connection.execute(query), UsageRow)
    return Usage(row.number, int(row.size), int(row.uploading))
