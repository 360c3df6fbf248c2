"""Rules of the rules that new security groups begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network.errors import SecurityGroupNotFound
from kilonova.network.resources.address_groups.errors import AddressGroupNotFound
from kilonova.network.resources.base.facts import Guard
from kilonova.network.resources.base.logic import Conditions, ReadLogic
from kilonova.network.resources.default_security_group_rules import errors
from kilonova.network.resources.default_security_group_rules.schemas import PARENT, DefaultRule, DefaultRuleCreate
from kilonova.network.resources.security_group_rules import plan
from kilonova.network.store import default_security_group_rules as store
from kilonova.network.store.address_groups import ADDRESS_GROUPS
from kilonova.network.store.default_security_group_rules import DEFAULT_RULES, DefaultRuleRow
from kilonova.network.store.security_groups import GROUPS

SHOWN = [name for name in DefaultRule.__struct_fields__ if name != "remote_group_id"]
FLAGS = {"used_in_default_sg": "default_signature", "used_in_non_default_sg": "other_signature"}
"""Which groups begin with a rule → the column with its signature then, which is unique: None for rules that do not count."""


class DefaultRuleLogic(ReadLogic[DefaultRuleRow, DefaultRule]):
    objects = DEFAULT_RULES
    missing = errors.DefaultSecurityGroupRuleNotFound
    owned = False

    async def views(self, connection: Connection, rows: Sequence[DefaultRuleRow]) -> Sequence[DefaultRule]:
        return [
            DefaultRule(
                **{name: getattr(row, name) for name in SHOWN},
                remote_group_id=PARENT if row.remote_is_parent else row.remote_group_id,
            )
            async for row in yielding(rows)
        ]

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> Conditions:
        asked = dict(filters)
        if PARENT in asked.get("remote_group_id", ()):
            asked["remote_is_parent"] = [True]
            del asked["remote_group_id"]
        return super().conditions(asked)

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[DefaultRuleCreate], guards: Sequence[Guard]
    ) -> Sequence[DefaultRule]:
        """All or none; `guards` holds one for each body."""
        for guard in guards:
            guard({}, None)
        rows = [self._new(body) async for body in yielding(bodies)]
        for column in FLAGS.values():
            if any(count > 1 for count in Counter(row[column] for row in rows if row[column]).values()):
                raise errors.DuplicateDefaultSgRuleInPost
        async with self.deps.database.transaction() as tx:
            await self._check(tx, rows)
            await DEFAULT_RULES.add(tx.connection, rows)
            made = await DEFAULT_RULES.by_ids(tx.connection, [row["id"] for row in rows])
            return await self.views(tx.connection, [made[row["id"]] for row in rows])

    def _new(self, body: DefaultRuleCreate) -> dict[str, Any]:
        values = plan.values_of(body)
        signature, parent = plan.signature(values), values["remote_group_id"] == PARENT
        flags = {flag: getattr(body, flag) for flag in FLAGS}
        return (
            {"id": self.deps.clock.uuid(), "created_at": self.deps.now()}
            | values
            | {"remote_is_parent": parent, "remote_group_id": None if parent else values["remote_group_id"]}
            | flags
            | {column: signature if flags[flag] else None for flag, column in FLAGS.items()}
        )

    async def _check(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        """What they refer to is there, and no rule says the same. Address groups stay until the transaction ends."""
        groups = {row["remote_group_id"] for row in rows if row["remote_group_id"]}
        for group_id in sorted(groups - set(await GROUPS.by_ids(tx.connection, groups))):
            raise SecurityGroupNotFound(id=group_id)
        for group_id in sorted({row["remote_address_group_id"] for row in rows if row["remote_address_group_id"]}):
            if await ADDRESS_GROUPS.get(tx.connection, group_id, lock=True) is None:
                raise AddressGroupNotFound(id=group_id)
        for column in FLAGS.values():
            same = await store.same(tx.connection, column, [row[column] for row in rows if row[column]])
            if same is not None:
                raise errors.DefaultSecurityGroupRuleExists(rule_id=same)

    @retried
    async def delete(self, ctx: RequestContext, rule_id: str, guard: Guard) -> None:
        """Groups that began with it keep it."""
        async with self.deps.database.transaction() as tx:
            await self.guarded(tx.connection, rule_id, guard, lock=True)
            await DEFAULT_RULES.remove(tx.connection, [rule_id])
