"""SQL of security group rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import or_, select

from kilonova.core.db import Connection, rows
from kilonova.network.store.objects import ObjectRow, Objects, OwnedRow
from kilonova.network.store.tags import Condition
from kilonova.network.tables import security_group_rules, security_groups


class RuleKey(ObjectRow):
    """`signature` is what makes two rules of a group the same."""

    security_group_id: str
    signature: str


class RuleRow(RuleKey, OwnedRow):
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None
    description: str
    created_at: str
    updated_at: str
    revision_number: int


RULES = Objects(security_group_rules, RuleRow)


def seen_by(project_id: str | None) -> Condition:
    """A project sees its own rules and all rules of its own groups."""
    own = select(security_groups.c.id).where(security_groups.c.project_id == project_id)
    return or_(security_group_rules.c.project_id == project_id, security_group_rules.c.security_group_id.in_(own))


async def of_groups(connection: Connection, group_ids: Sequence[str]) -> dict[str, list[RuleRow]]:
    found: defaultdict[str, list[RuleRow]] = defaultdict(list)
    query = (
        select(security_group_rules)
        .where(security_group_rules.c.security_group_id.in_(group_ids))
        .order_by(security_group_rules.c.created_at, security_group_rules.c.id)
    )
    for row in rows.every(await connection.execute(query), RuleRow):
        found[row.security_group_id].append(row)
    return found


async def same(connection: Connection, group_ids: Sequence[str], signatures: Sequence[str]) -> Sequence[RuleKey]:
    """Rules that say the same in these groups."""
    table = security_group_rules.c
    query = select(table.id, table.security_group_id, table.signature).where(
        table.security_group_id.in_(group_ids), table.signature.in_(signatures)
    )
    return rows.every(await connection.execute(query), RuleKey)
