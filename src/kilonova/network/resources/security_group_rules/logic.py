"""Rules of what is in security groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts.security_groups import rules_changed
from kilonova.network.projects import make_room
from kilonova.network.resources.address_groups.errors import AddressGroupNotFound
from kilonova.network.resources.base.columns import owner
from kilonova.network.resources.base.facts import Guard, facts
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.security_group_rules import plan
from kilonova.network.resources.security_group_rules.schemas import Rule, RuleCreate
from kilonova.network.store import security_group_rules as store
from kilonova.network.store.address_groups import ADDRESS_GROUPS
from kilonova.network.store.rbac_policies import EVERYONE
from kilonova.network.store.security_group_rules import RULES, RuleRow
from kilonova.network.store.security_groups import GROUPS
from kilonova.network.store.tags import Condition


class SecurityGroupRuleLogic(Logic[RuleRow, Rule]):
    objects = RULES
    missing = errors.SecurityGroupRuleNotFound

    def seen_by(self, project_id: str) -> Condition:
        return store.seen_by(project_id)

    async def views(self, connection: Connection, rows: Sequence[RuleRow]) -> Sequence[Rule]:
        return [plan.view(row) async for row in yielding(rows)]

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[RuleCreate], guards: Sequence[Guard]
    ) -> Sequence[Rule]:
        """All or none; `guards` holds one for each body."""
        rows = [
            plan.new_rule(self.deps, body.security_group_id, owner(ctx, body), **plan.values_of(body))
            async for body in yielding(bodies)
        ]
        signatures = [(row["security_group_id"], row["signature"]) for row in rows]
        if len(set(signatures)) < len(signatures):
            raise errors.DuplicateSecurityGroupRuleInPost
        async with self.deps.database.transaction() as tx:
            await self._into_groups(tx.connection, ctx, rows, guards)
            await self._check_addresses(tx, ctx, rows)
            await make_room(self.deps, tx, [row["project_id"] for row in rows], {RULES: 1})
            await self._check_new(tx.connection, rows)
            await RULES.add(tx.connection, rows)
            for group_id in sorted({row["security_group_id"] for row in rows}):
                await rules_changed(self.deps, tx, ctx, group_id)
            made = await RULES.by_ids(tx.connection, [row["id"] for row in rows])
            return await self.views(tx.connection, [made[row["id"]] for row in rows])

    async def _into_groups(
        self, connection: Connection, ctx: RequestContext, rows: Sequence[dict[str, Any]], guards: Sequence[Guard]
    ) -> None:
        """Rules belong to their groups' projects, for callers that may change these groups."""
        wanted = {row["security_group_id"] for row in rows}
        remote = {row["remote_group_id"] for row in rows if row["remote_group_id"]}
        known = await GROUPS.by_ids(connection, wanted | remote)
        async for row, guard in yielding(zip(rows, guards, strict=True)):
            missing = errors.SecurityGroupNotFound(id=row["security_group_id"])
            if row["security_group_id"] not in known:
                raise missing
            guard(facts(known[row["security_group_id"]]), missing)
            row["project_id"] = known[row["security_group_id"]].project_id
        for group_id in remote:
            if group_id not in known or not (ctx.is_admin or known[group_id].project_id == ctx.project_id):
                raise errors.SecurityGroupNotFound(id=group_id)

    async def _check_addresses(self, tx: Transaction, ctx: RequestContext, rows: Sequence[dict[str, Any]]) -> None:
        """Address groups must be the caller's, or shared with it; until the transaction ends none of them is deleted."""
        for group_id in sorted({row["remote_address_group_id"] for row in rows if row["remote_address_group_id"]}):
            group = await ADDRESS_GROUPS.get(tx.connection, group_id, lock=True)
            if group is None or not (
                ctx.is_admin or {group.project_id, *group.shared_with} & {ctx.project_id, EVERYONE}
            ):
                raise AddressGroupNotFound(id=group_id)

    async def _check_new(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        asked = {(row["security_group_id"], row["signature"]) for row in rows}
        for same in await store.same(connection, [a for a, _ in asked], [b for _, b in asked]):
            if (same.security_group_id, same.signature) in asked:
                raise errors.SecurityGroupRuleExists(rule_id=same.id)

    async def removing(self, tx: Transaction, ctx: RequestContext, row: RuleRow) -> None:
        await rules_changed(self.deps, tx, ctx, row.security_group_id)
