"""Rules of QoS rules: one of a type and direction in a policy. A change reaches the hosts of all ports that have the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.core.errors import KilonovaError
from kilonova.network.hosts.news import News
from kilonova.network.resources.base.columns import changes_of
from kilonova.network.resources.base.facts import Seeing
from kilonova.network.resources.base.nested_logic import NestedLogic
from kilonova.network.resources.qos_policies.errors import QosPolicyNotFound
from kilonova.network.resources.qos_rules import errors, schemas
from kilonova.network.store import qos_policies as policy_store
from kilonova.network.store import qos_rules as store
from kilonova.network.store.qos_policies import QOS_POLICIES, QosPolicyRow
from kilonova.network.store.qos_rules import QosRuleRow, QosRules


class QosRuleLogic(NestedLogic[QosPolicyRow, QosRuleRow, Any]):
    """Of one type: a subclass says which, and what is shown."""

    objects: ClassVar[QosRules]
    view: ClassVar[type[Any]]
    missing = errors.QosRuleNotFound
    parents = QOS_POLICIES
    parent_missing = QosPolicyNotFound
    parent_column = "qos_policy_id"

    def absent(self, parent_id: str, object_id: str | None) -> KilonovaError:
        return errors.QosRuleNotFound(id=object_id, policy_id=parent_id)

    async def views(self, connection: Connection, rows: Sequence[QosRuleRow]) -> Sequence[Any]:
        return [self.view(**{name: getattr(row, name) for name in self.view.__struct_fields__}) for row in rows]

    async def new(self, tx: Transaction, parent: QosPolicyRow, body: Any, seeing: Seeing) -> dict[str, Any]:
        own = {"id": self.deps.clock.uuid(), "qos_policy_id": parent.id, "type": self.objects.type, "direction": ""}
        columns = own | changes_of(body)
        await self._check(tx, parent, columns)
        return columns

    async def changes(
        self, tx: Transaction, parent: QosPolicyRow, row: QosRuleRow, body: Any, seeing: Seeing
    ) -> dict[str, Any]:
        changes = changes_of(body)
        await self._check(tx, parent, {"id": row.id, "direction": row.direction, **changes})
        return changes

    async def _check(self, tx: Transaction, parent: QosPolicyRow, columns: Mapping[str, Any]) -> None:
        for other in (await store.of_policies(tx.connection, [parent.id])).get(parent.id, []):
            same = (other.type, other.direction) == (self.objects.type, columns["direction"])
            if same and other.id != columns["id"]:
                raise errors.QoSRulesConflict(new_rule_type=other.type, rule_id=other.id, policy_id=parent.id)

    async def changed(self, tx: Transaction, ctx: RequestContext, parent: QosPolicyRow) -> None:
        hosts = await policy_store.hosts_with(tx.connection, parent.id, self.deps.alive_since())
        await self.deps.announcer.changed(tx, ctx, hosts, news=News(others=True))

    async def policy_of(self, rule_id: str) -> str:
        """The id of the policy that has the rule. Raises QosRuleNotFound."""
        async with self.deps.database.reading() as connection:
            row = await self.objects.get(connection, rule_id)
        if row is None:
            raise self.absent("", rule_id)
        return row.qos_policy_id


class BandwidthLimitLogic(QosRuleLogic):
    objects = QosRules(store.BANDWIDTH_LIMIT)
    view = schemas.BandwidthLimit


class PacketRateLimitLogic(QosRuleLogic):
    objects = QosRules(store.PACKET_RATE_LIMIT)
    view = schemas.PacketRateLimit


class DscpMarkingLogic(QosRuleLogic):
    objects = QosRules(store.DSCP_MARKING)
    view = schemas.DscpMarking
