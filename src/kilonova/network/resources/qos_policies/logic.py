"""Rules of QoS policies: limits and marks, by one name, for networks and ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network.projects import enter
from kilonova.network.resources.base.columns import changes_of, shown, standard
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.qos_policies import errors
from kilonova.network.resources.qos_policies.schemas import (
    PolicyRule,
    QosPolicy,
    QosPolicyCreate,
    QosPolicyUpdate,
    SharedQosPolicy,
)
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.rbac_policies.errors import RbacPolicyInUse
from kilonova.network.resources.rbac_policies.shared import SharedLogic
from kilonova.network.store import qos_policies as store
from kilonova.network.store import qos_rules as rule_store
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.qos_policies import QOS_POLICIES, QosPolicyRow
from kilonova.network.store.qos_rules import QosRuleRow
from kilonova.network.store.rbac_policies import EVERYONE, SHARED

NONE: tuple[Any, ...] = (None, "")


class QosPolicyLogic(SharedLogic[QosPolicyRow, QosPolicy], Logic[QosPolicyRow, QosPolicy]):
    objects = QOS_POLICIES
    missing = errors.QosPolicyNotFound
    object_type = "qos_policy"

    async def views(self, connection: Connection, rows: Sequence[QosPolicyRow]) -> Sequence[QosPolicy]:
        ids = [row.id for row in rows]
        rules, tags = await rule_store.of_policies(connection, ids), await tag_store.tags_of(connection, ids)
        return [_view(row, rules.get(row.id, []), tags.get(row.id, [])) for row in rows]

    def new(self, ctx: RequestContext, body: QosPolicyCreate) -> dict[str, Any]:
        own = {"is_default": body.is_default, "shared_with": [EVERYONE] if body.shared else []}
        return standard(self.deps, ctx, body) | own

    async def adding(self, tx: Transaction, ctx: RequestContext, rows: Sequence[dict[str, Any]]) -> None:
        wanted = Counter(row["project_id"] for row in rows if row["is_default"])
        taken = {*await store.defaults(tx.connection, wanted), *(one for one, count in wanted.items() if count > 1)}
        if taken:
            raise errors.QoSPolicyDefaultAlreadyExists(project_id=min(taken))

    async def add(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        await super().add(tx, rows)
        await sharing.publish(self.deps, tx, self.object_type, rows)

    async def changes(self, tx: Transaction, row: QosPolicyRow, body: QosPolicyUpdate) -> dict[str, Any]:
        changes = changes_of(body, ("name", "description", "is_default"))
        if body.is_default is True and not row.is_default:
            await enter(self.deps, tx, row.project_id)
            if await store.defaults(tx.connection, [row.project_id]):
                raise errors.QoSPolicyDefaultAlreadyExists(project_id=row.project_id)
        if body.shared is not UNSET and body.shared != (EVERYONE in row.shared_with):
            others = [one for one in row.shared_with if one != EVERYONE]
            changes["shared_with"] = [*others, EVERYONE] if body.shared else others
            if users := await sharing.QOS_POLICY.users(tx.connection, row, SHARED, changes["shared_with"]):
                raise RbacPolicyInUse(object_id=row.id, details=f"project {min(users)} uses it")
        return changes

    async def changed(
        self, tx: Transaction, ctx: RequestContext, row: QosPolicyRow, changes: Mapping[str, Any]
    ) -> None:
        await sharing.follow(self.deps, tx, self.object_type, row, changes)

    async def removing(self, tx: Transaction, ctx: RequestContext, row: QosPolicyRow) -> None:
        """Its rules go with it."""
        user = await store.one_user(tx.connection, row.id)
        if user is not None:
            raise errors.QosPolicyInUse(id=row.id, object_type=user[0], object_id=user[1])
        await rbac_store.remove_all(tx.connection, row.id)


def _view(row: QosPolicyRow, rules: Sequence[QosRuleRow], tags: Sequence[str]) -> QosPolicy:
    values = shown(row, tags) | {"is_default": row.is_default, "shared": EVERYONE in row.shared_with}
    values["rules"] = [_rule(rule) for rule in rules]
    return sharing.shared_view(QosPolicy, SharedQosPolicy, values, row.shared_with)


def _rule(row: QosRuleRow) -> PolicyRule:
    values = {name: getattr(row, name) for name in PolicyRule.__struct_fields__}
    return PolicyRule(**{name: value for name, value in values.items() if value not in NONE})
