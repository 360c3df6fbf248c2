"""SQL of the rules that new security groups begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.prepared import prepared
from kilonova.network.store.objects import ObjectRow, Objects
from kilonova.network.tables import default_security_group_rules


class DefaultRuleRow(ObjectRow):
    """`remote_is_parent`: the remote group is the one that the rule is made for."""

    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    remote_is_parent: bool
    remote_address_group_id: str | None
    description: str
    used_in_default_sg: bool
    used_in_non_default_sg: bool
    default_signature: str | None
    other_signature: str | None
    created_at: str


DEFAULT_RULES = Objects(default_security_group_rules, DefaultRuleRow)


async def first(connection: Connection, *, default: bool) -> Sequence[DefaultRuleRow]:
    """Those that a project's default group begins with, or other groups."""
    return rows.every(await connection.execute(*_first(default=default)), DefaultRuleRow)


@prepared
def _first(*, default: bool) -> Select[Any]:
    table = default_security_group_rules
    used = table.c.used_in_default_sg if default else table.c.used_in_non_default_sg
    return select(table).where(used).order_by(table.c.created_at, table.c.id)


async def count(connection: Connection) -> int:
    """How many a group that is no project's default one begins with."""
    table = default_security_group_rules.c
    return (await connection.execute(select(func.count()).where(table.used_in_non_default_sg))).scalar_one()


async def same(connection: Connection, column: str, signatures: Sequence[str]) -> str | None:
    """The id of one that says the same as any of these."""
    table = default_security_group_rules.c
    query = select(table.id).where(table[column].in_(signatures)).order_by(table.id).limit(1)
    return (await connection.execute(query)).scalar()


async def names_address_group(connection: Connection, address_group_id: str) -> bool:
    table = default_security_group_rules.c
    query = select(table.id).where(table.remote_address_group_id == address_group_id).limit(1)
    return (await connection.execute(query)).first() is not None
