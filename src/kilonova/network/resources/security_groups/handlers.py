"""Security groups and their rules over HTTP."""

from __future__ import annotations

from kilonova.core.addresses import parse_interface
from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.base.handlers import (
    Readable,
    Shape,
    guard,
    listed,
    read_filters,
    read_one,
    scope,
    show,
)  # fmt: skip
from kilonova.network.resources.security_groups.logic import SecurityGroupLogic
from kilonova.network.resources.security_groups.schemas import Group, GroupCreate, GroupUpdate, Rule, RuleCreate

SHAPE = Shape(
    resource="security_group",
    collection="security_groups",
    path="security-groups",
    view=Group,
    constant={"shared": False},
)
RULE = Shape(
    resource="security_group_rule",
    collection="security_group_rules",
    path="security-group-rules",
    view=Rule,
    addresses={"remote_ip_prefix": parse_interface},
    constant={"remote_address_group_id": None},
    derived=frozenset({"normalized_cidr"}),
)


class SecurityGroups(Readable[SecurityGroupLogic]):
    shape = SHAPE

    async def list(self, call: Call) -> Reply:
        """A project has its default group as soon as it looks."""
        await self.logic.projects.ensure_default_group(call.ctx.project_id)
        return await super().list(call)

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await self._read_many(call, GroupCreate)
        return await self._created(call, await self.logic.create(call.ctx, bodies), bulk)

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, SHAPE, GroupUpdate)
        return self._one(call, await self.logic.update(call.ctx, id, body, guard(call, "update", SHAPE, body)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, id, guard(call, "delete", SHAPE))
        return Reply()

    async def list_rules(self, call: Call) -> Reply:
        filters, possible = read_filters(call, RULE)
        return listed(call, RULE, await self.logic.list_rules(filters, scope(call)) if possible else [], filters)

    async def show_rule(self, call: Call, id: str) -> Reply:
        rule = await self.logic.get_rule(id, guard(call, "get", RULE))
        return Reply({"security_group_rule": show(call, RULE, rule, frozenset(call.query.getall("fields", [])))})

    async def create_rules(self, call: Call) -> Reply:
        bodies, bulk = await self._read_many(call, RuleCreate, RULE)
        guards = [guard(call, "create", RULE, see="get_security_group") for _ in bodies]
        made = await self.logic.create_rules(call.ctx, bodies, guards)
        return Reply({"security_group_rules": made} if bulk else {"security_group_rule": made[0]})

    async def delete_rule(self, call: Call, id: str) -> Reply:
        await self.logic.delete_rule(call.ctx, id, guard(call, "delete", RULE))
        return Reply()
