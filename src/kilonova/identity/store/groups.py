"""SQL of group memberships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kilonova.core.db import Connection, Row
from kilonova.identity.tables import groups, memberships, users


async def of_user(connection: Connection, user_id: str, filters: dict[str, Any]) -> Sequence[Row]:
    query = select(groups).join(memberships, memberships.c.group_id == groups.c.id)
    query = query.where(memberships.c.user_id == user_id, *[groups.c[key] == value for key, value in filters.items()])
    return (await connection.execute(query.order_by(groups.c.name))).all()


async def members(connection: Connection, group_id: str, filters: dict[str, Any]) -> Sequence[Row]:
    query = select(users).join(memberships, memberships.c.user_id == users.c.id)
    query = query.where(memberships.c.group_id == group_id, *[users.c[key] == value for key, value in filters.items()])
    return (await connection.execute(query.order_by(users.c.name))).all()
