"""Rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts.security_groups import rules_changed
from kilonova.network.resources.base.columns import changes_of, shown, standard
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.rbac_policies.shared import SharedLogic
from kilonova.network.resources.security_group_rules import plan
from kilonova.network.resources.security_groups.schemas import Group, GroupCreate, GroupUpdate, SharedGroup
from kilonova.network.store import default_security_group_rules as default_rules
from kilonova.network.store import projects as project_store
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import security_group_rules as rule_store
from kilonova.network.store import security_groups as store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.objects import Objects
from kilonova.network.store.rbac_policies import EVERYONE
from kilonova.network.store.security_group_rules import RULES, RuleRow
from kilonova.network.store.security_groups import GROUPS, GroupRow


class SecurityGroupLogic(SharedLogic[GroupRow, Group], Logic[GroupRow, Group]):
    object_type = "security_group"
    objects = GROUPS
    missing = errors.SecurityGroupNotFound

    async def views(self, connection: Connection, rows: Sequence[GroupRow]) -> Sequence[Group]:
        ids = [row.id for row in rows]
        held, tags = await rule_store.of_groups(connection, ids), await tag_store.tags_of(connection, ids)
        return [_view(row, held.get(row.id, []), tags.get(row.id, [])) async for row in yielding(rows)]

    def new(self, ctx: RequestContext, body: GroupCreate) -> dict[str, Any]:
        _check_name(body.name)
        return standard(self.deps, ctx, body) | {"stateful": body.stateful, "shared_with": []}

    async def needs(self, connection: Connection) -> Mapping[Objects[Any], int]:
        return {RULES: await default_rules.count(connection)}

    async def add(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        await super().add(tx, rows)
        first = await default_rules.first(tx.connection, default=False)
        rules = [
            rule
            async for row in yielding(rows)
            for rule in plan.first_rules(self.deps, row["id"], row["project_id"], first)
        ]
        await RULES.add(tx.connection, rules)

    async def changes(self, tx: Transaction, row: GroupRow, body: GroupUpdate) -> dict[str, Any]:
        changes = changes_of(body)
        if changes.get("name", row.name) != row.name:
            _check_name(changes["name"])
            if await project_store.is_default(tx.connection, row.id):
                raise errors.SecurityGroupCannotUpdateDefault
        if changes.get("stateful", row.stateful) != row.stateful and await store.in_use(tx.connection, row.id):
            raise errors.SecurityGroupInUse(id=row.id)
        return changes

    async def removing(self, tx: Transaction, ctx: RequestContext, row: GroupRow) -> None:
        if await project_store.is_default(tx.connection, row.id):
            if not ctx.is_admin:
                raise errors.SecurityGroupCannotRemoveDefault
            # of a project that is being deleted; another project gets a new one with its next request
            await project_store.leave(tx.connection, row.id)
        if await store.in_use(tx.connection, row.id):
            raise errors.SecurityGroupInUse(id=row.id)
        await rbac_store.remove_all(tx.connection, row.id)
        await rules_changed(self.deps, tx, ctx, row.id)  # groups whose rules referred to it lose those rules


def _view(row: GroupRow, rules: Sequence[RuleRow], tags: Sequence[str]) -> Group:
    values = shown(row, tags) | {"stateful": row.stateful, "shared": EVERYONE in row.shared_with}
    values["security_group_rules"] = [plan.view(rule) for rule in rules]
    return sharing.shared_view(Group, SharedGroup, values, row.shared_with)


def _check_name(name: str) -> None:
    if name.lower() == "default":
        raise errors.SecurityGroupDefaultAlreadyExists
