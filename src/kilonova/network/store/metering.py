"""SQL of metering labels and their rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import or_, select

from kilonova.core.db import Connection, rows
from kilonova.network.store.objects import Objects, OwnedRow
from kilonova.network.tables import metering_label_rules, metering_labels, routers


class LabelRow(OwnedRow):
    name: str
    description: str
    shared: bool


class LabelRuleRow(OwnedRow):
    """`project_id` is the label's."""

    metering_label_id: str
    direction: str
    excluded: bool
    remote_ip_prefix: str | None
    source_ip_prefix: str | None
    destination_ip_prefix: str | None


LABELS = Objects(metering_labels, LabelRow)
LABEL_RULES = Objects(metering_label_rules, LabelRuleRow)


async def of_projects(connection: Connection, project_ids: Iterable[str]) -> Sequence[LabelRow]:
    """The labels that meter routers of these projects, shared ones too."""
    wanted = or_(metering_labels.c.shared, metering_labels.c.project_id.in_(list(project_ids)))
    query = select(metering_labels).where(wanted).order_by(metering_labels.c.id)
    return rows.every(await connection.execute(query), LabelRow)


async def rules_of(connection: Connection, label_ids: Sequence[str]) -> dict[str, list[LabelRuleRow]]:
    """By label."""
    found: defaultdict[str, list[LabelRuleRow]] = defaultdict(list)
    query = select(metering_label_rules).where(metering_label_rules.c.metering_label_id.in_(label_ids))
    for row in rows.every(await connection.execute(query.order_by(metering_label_rules.c.id)), LabelRuleRow):
        found[row.metering_label_id].append(row)
    return found


async def metered_hosts(connection: Connection, labels: Sequence[LabelRow]) -> Sequence[str]:
    """Hosts with routers that one of the labels meters."""
    query = select(routers.c.host_id).where(routers.c.host_id != "").distinct()
    if not any(label.shared for label in labels):
        query = query.where(routers.c.project_id.in_(sorted({label.project_id for label in labels})))
    return (await connection.execute(query)).scalars().all()
