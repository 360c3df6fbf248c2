"""SQL of groups and their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.identity import tables
from kilonova.identity.store.records import NamedRow, Records
from kilonova.identity.store.users import UserRow


class GroupRow(NamedRow):
    domain_id: str
    description: str | None


class MembershipRow(TypedRow):
    user_id: str
    group_id: str


groups = Records(tables.groups, GroupRow)
memberships = Records(tables.memberships, MembershipRow)


async def of_user(connection: Connection, user_id: str, filters: dict[str, Any]) -> Sequence[GroupRow]:
    group, membership = tables.groups.c, tables.memberships.c
    query = select(tables.groups).join(tables.memberships, membership.group_id == group.id)
    query = query.where(membership.user_id == user_id, *[group[key] == value for key, value in filters.items()])
    return rows.every(await connection.execute(query.order_by(group.name)), GroupRow)


async def members(connection: Connection, group_id: str, filters: dict[str, Any]) -> Sequence[UserRow]:
    user, membership = tables.users.c, tables.memberships.c
    query = select(tables.users).join(tables.memberships, membership.user_id == user.id)
    query = query.where(membership.group_id == group_id, *[user[key] == value for key, value in filters.items()])
    return rows.every(await connection.execute(query.order_by(user.name)), UserRow)
