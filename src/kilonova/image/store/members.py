"""SQL of image members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.image.tables import image_members


class MemberRow(TypedRow):
    id: int
    image_id: str
    member: str
    status: str
    created_at: str
    updated_at: str


async def find(connection: Connection, image_id: str, member: str) -> MemberRow | None:
    query = select(image_members).where(image_members.c.image_id == image_id, image_members.c.member == member)
    return rows.first(await connection.execute(query), MemberRow)


async def of_image(connection: Connection, image_id: str) -> Sequence[MemberRow]:
    query = select(image_members).where(image_members.c.image_id == image_id).order_by(image_members.c.id)
    return rows.every(await connection.execute(query), MemberRow)


async def add(connection: Connection, values: dict[str, Any]) -> None:
    await connection.execute(insert(image_members).values(**values))


async def change(connection: Connection, member_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(image_members).where(image_members.c.id == member_id).values(**values))


async def remove(connection: Connection, member_id: int) -> None:
    await connection.execute(delete(image_members).where(image_members.c.id == member_id))
