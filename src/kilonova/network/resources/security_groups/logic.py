"""Rules of security groups and of what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Row, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.projects import Projects, first_rules, new_rule
from kilonova.network.resources.base.logic import Deps, Guard, facts, owner, shown, standard
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.security_groups import rules as rule_plan
from kilonova.network.resources.security_groups.schemas import Group, GroupCreate, GroupUpdate, Rule, RuleCreate
from kilonova.network.store import resources
from kilonova.network.store import security_groups as store
from kilonova.network.tables import security_group_rules, security_groups


class SecurityGroupLogic:
    def __init__(self, deps: Deps, projects: Projects) -> None:
        self.deps, self.projects = deps, projects

    async def list(self, filters: Filters, project_id: str | None) -> Sequence[Group]:
        """Groups that a project sees; all of them for None."""
        where = resources.conditions(security_groups, filters.filters)
        if project_id is not None:
            where.append(store.groups_seen_by(project_id))
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, security_groups, where, filters)
            if rows is None:
                raise errors.SecurityGroupNotFound(id=filters.marker)
            return await self._views(connection, rows)

    async def get(self, group_id: str, guard: Guard) -> Group:
        async with self.deps.database.reading() as connection:
            row = await self._guarded(connection, group_id, guard)
            return (await self._views(connection, [row]))[0]

    @retried
    async def create(self, ctx: RequestContext, bodies: Sequence[GroupCreate]) -> Sequence[Group]:
        """All or none."""
        rows: list[dict[str, Any]] = []
        made: list[dict[str, Any]] = []
        async for body in yielding(bodies):
            _check_name(body.name)
            rows.append(standard(self.deps, ctx, body) | {"stateful": body.stateful})
            made += first_rules(self.deps, rows[-1]["id"], rows[-1]["project_id"], default=False)
        async with self.deps.database.transaction() as tx:
            for project_id, count in sorted(Counter(row["project_id"] for row in rows).items()):
                await self.projects.enter(tx, project_id)
                await self.projects.check_quota(tx, project_id, "security_group", count)
                await self.projects.check_quota(tx, project_id, "security_group_rule", 2 * count)
            await resources.add(tx.connection, security_groups, rows)
            await resources.add(tx.connection, security_group_rules, made)
            known = await resources.by_ids(tx.connection, security_groups, [row["id"] for row in rows])
            return await self._views(tx.connection, [known[row["id"]] for row in rows])

    @retried
    async def update(self, ctx: RequestContext, group_id: str, body: GroupUpdate, guard: Guard) -> Group:
        changes: dict[str, Any] = {}
        for name in ("name", "stateful"):
            if getattr(body, name) is not UNSET:
                changes[name] = getattr(body, name)
        if body.description is not UNSET:
            changes["description"] = body.description or ""
        async with self.deps.database.transaction() as tx:
            row = await self._guarded(tx.connection, group_id, guard)
            if changes.get("name", row.name) != row.name:
                _check_name(changes["name"])
                if await store.is_default(tx.connection, group_id):
                    raise errors.SecurityGroupCannotUpdateDefault
            await resources.change(tx.connection, security_groups, group_id, changes, self.deps.now())
            changed = await resources.get(tx.connection, security_groups, group_id)
            return (await self._views(tx.connection, [changed or row]))[0]

    @retried
    async def delete(self, ctx: RequestContext, group_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            await self._guarded(tx.connection, group_id, guard)
            if await store.is_default(tx.connection, group_id):
                if not ctx.is_admin:
                    raise errors.SecurityGroupCannotRemoveDefault
                # of a project that is being cleared away; one that goes on gets a new one with its next request
                await store.leave_project(tx.connection, group_id)
            if await store.in_use(tx.connection, group_id):
                raise errors.SecurityGroupInUse(id=group_id)
            await self._notify(tx, ctx, group_id)  # groups whose rules referred to it lose those rules
            await resources.remove(tx.connection, security_groups, [group_id])

    async def list_rules(self, filters: Filters, project_id: str | None) -> Sequence[Rule]:
        where = resources.conditions(security_group_rules, filters.filters)
        if project_id is not None:
            where.append(store.rules_seen_by(project_id))
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, security_group_rules, where, filters)
        if rows is None:
            raise errors.SecurityGroupRuleNotFound(id=filters.marker)
        return [rule_plan.view(row) for row in rows]

    async def get_rule(self, rule_id: str, guard: Guard) -> Rule:
        async with self.deps.database.reading() as connection:
            return rule_plan.view(await self._guarded_rule(connection, rule_id, guard))

    @retried
    async def create_rules(
        self, ctx: RequestContext, bodies: Sequence[RuleCreate], guards: Sequence[Guard]
    ) -> Sequence[Rule]:
        """All or none; `guards` holds one for each body."""
        rows = [
            new_rule(
                self.deps, body.security_group_id, owner(ctx, body.project_id, body.tenant_id), **rule_plan.values_of(body)
            )
            async for body in yielding(bodies)
        ]  # fmt: skip
        signatures = [(row["security_group_id"], row["signature"]) for row in rows]
        if len(set(signatures)) < len(signatures):
            raise errors.DuplicateSecurityGroupRuleInPost
        async with self.deps.database.transaction() as tx:
            return await self._create_rules(tx, ctx, rows, guards)

    async def _create_rules(
        self, tx: Transaction, ctx: RequestContext, rows: Sequence[dict[str, Any]], guards: Sequence[Guard]
    ) -> Sequence[Rule]:
        wanted = {row["security_group_id"] for row in rows}
        remote = {row["remote_group_id"] for row in rows if row["remote_group_id"]}
        known = await resources.by_ids(tx.connection, security_groups, wanted | remote)
        async for row, guard in yielding(zip(rows, guards, strict=True)):
            missing = errors.SecurityGroupNotFound(id=row["security_group_id"])
            if row["security_group_id"] not in known:
                raise missing
            guard(facts(known[row["security_group_id"]]), missing)
            row["project_id"] = known[row["security_group_id"]].project_id
        for group_id in remote:
            if group_id not in known or not (ctx.is_admin or known[group_id].project_id == ctx.project_id):
                raise errors.SecurityGroupNotFound(id=group_id)
        for project_id, count in sorted(Counter(row["project_id"] for row in rows).items()):
            await self.projects.enter(tx, project_id)
            await self.projects.check_quota(tx, project_id, "security_group_rule", count)
        await self._check_new(tx.connection, rows)
        await resources.add(tx.connection, security_group_rules, rows)
        for group_id in sorted(wanted):
            await self._notify(tx, ctx, group_id)
        made = await resources.by_ids(tx.connection, security_group_rules, [row["id"] for row in rows])
        return [rule_plan.view(made[row["id"]]) async for row in yielding(rows)]

    async def _check_new(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        asked = {(row["security_group_id"], row["signature"]) for row in rows}
        for same in await store.same_rules(connection, [a for a, _ in asked], [b for _, b in asked]):
            if (same.security_group_id, same.signature) in asked:
                raise errors.SecurityGroupRuleExists(rule_id=same.id)

    @retried
    async def delete_rule(self, ctx: RequestContext, rule_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            row = await self._guarded_rule(tx.connection, rule_id, guard)
            await resources.remove(tx.connection, security_group_rules, [rule_id])
            await self._notify(tx, ctx, row.security_group_id)

    async def _notify(self, tx: Transaction, ctx: RequestContext, group_id: str) -> None:
        """Filters changed: every host with them gets a message, even when this process dies after the commit."""
        hosts = await store.hosts_with(tx.connection, [group_id], self.deps.alive_since())
        await resources.change(tx.connection, security_groups, group_id, {}, self.deps.now())
        await self.deps.announcer.changed(tx, ctx, hosts)

    async def _guarded(self, connection: Connection, group_id: str, guard: Guard) -> Row:
        missing = errors.SecurityGroupNotFound(id=group_id)
        row = await resources.get(connection, security_groups, group_id)
        if row is None:
            raise missing
        guard(facts(row), missing)
        return row

    async def _guarded_rule(self, connection: Connection, rule_id: str, guard: Guard) -> Row:
        missing = errors.SecurityGroupRuleNotFound(id=rule_id)
        row = await resources.get(connection, security_group_rules, rule_id)
        if row is None:
            raise missing
        guard(facts(row), missing)
        return row

    async def _views(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Group]:
        ids = [row.id for row in rows]
        held = await store.rules_of(connection, ids)
        tags = await resources.tags_of(connection, ids)
        return [
            Group(
                **shown(row, tags.get(row.id, [])),
                stateful=row.stateful,
                security_group_rules=[rule_plan.view(rule) for rule in held.get(row.id, [])],
            )
            async for row in yielding(rows)
        ]


def _check_name(name: str) -> None:
    if name.lower() == "default":
        raise errors.SecurityGroupDefaultAlreadyExists
