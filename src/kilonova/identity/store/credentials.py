"""SQL of EC2 keys and other credentials: pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kilonova.core.db import Connection, Row
from kilonova.identity.tables import credentials


async def page(
    connection: Connection, where: dict[str, Any], *, marker: str | None, limit: int | None
) -> Sequence[Row]:
    """At most `limit` rows (None: all) with these values, in order of their ids, after the one with the id `marker`."""
    query = select(credentials).where(*[credentials.c[name] == value for name, value in where.items()])
    if marker is not None:
        query = query.where(credentials.c.id > marker)
    return (await connection.execute(query.order_by(credentials.c.id).limit(limit))).all()
