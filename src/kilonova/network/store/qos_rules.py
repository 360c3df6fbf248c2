"""SQL of QoS rules: those of all types in one table, so that a policy's are one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.prepared import prepared
from kilonova.network.store.objects import ObjectRow, Objects
from kilonova.network.store.tags import Condition
from kilonova.network.tables import qos_rules

BANDWIDTH_LIMIT, PACKET_RATE_LIMIT, DSCP_MARKING = "bandwidth_limit", "packet_rate_limit", "dscp_marking"


class QosRuleRow(ObjectRow):
    """`direction` is "" for a type without; of the others those are None that the type does not have."""

    qos_policy_id: str
    type: str
    direction: str
    max_kbps: int | None
    max_burst_kbps: int | None
    max_kpps: int | None
    max_burst_kpps: int | None
    dscp_mark: int | None


class QosRules(Objects[QosRuleRow]):
    """Those of one type."""

    def __init__(self, type: str) -> None:
        super().__init__(qos_rules, QosRuleRow)
        self.type = type

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
        mine: Condition = qos_rules.c.type == self.type
        return [*super().conditions(filters), mine]

    async def get(self, connection: Connection, object_id: str, *, lock: bool = False) -> QosRuleRow | None:
        row = await super().get(connection, object_id, lock=lock)
        return row if row is not None and row.type == self.type else None


async def of_policies(connection: Connection, policy_ids: Collection[str]) -> dict[str, list[QosRuleRow]]:
    """By policy, in one order."""
    found: defaultdict[str, list[QosRuleRow]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_of_policies(list(policy_ids))), QosRuleRow):
        found[row.qos_policy_id].append(row)
    return found


@prepared
def _of_policies(policy_ids: Any) -> Select[Any]:
    query = select(qos_rules).where(qos_rules.c.qos_policy_id.in_(policy_ids))
    return query.order_by(qos_rules.c.type, qos_rules.c.direction)
