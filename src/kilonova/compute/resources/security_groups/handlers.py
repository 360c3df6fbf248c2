"""Security groups over HTTP, as compute had them (os-security-groups, until 2.35)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kilonova.compute.resources.security_groups import schemas as shapes
from kilonova.compute.resources.security_groups.logic import ANY_ADDRESS, SecurityGroupLogic
from kilonova.compute.web.query import number
from kilonova.core.web.call import Call, Reply
from kilonova.network.client import SecurityGroupRecord, SecurityGroupRuleRecord

Known = Mapping[str, SecurityGroupRecord]


class SecurityGroups:
    def __init__(self, logic: SecurityGroupLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        every = call.ctx.is_admin and call.query.get("all_tenants") not in (None, "", "0")
        found = await self.logic.list(call.ctx, every=every)
        start, limit = number(call, "offset"), number(call, "limit") or len(found)
        page = found[start : start + limit]
        known = await self.logic.named(call.ctx, [rule for group in page for rule in group.security_group_rules])
        return Reply(shapes.GroupsOut(security_groups=[group_view(group, known) for group in page]))

    async def show(self, call: Call, group_id: str) -> Reply:
        return await self._one(call, await self.logic.get(call.ctx, group_id))

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.GroupIn)).security_group
        return await self._one(call, await self.logic.create(call.ctx, msgspec.structs.asdict(asked)))

    async def update(self, call: Call, group_id: str) -> Reply:
        asked = (await call.decode(shapes.GroupIn)).security_group
        return await self._one(call, await self.logic.update(call.ctx, group_id, msgspec.structs.asdict(asked)))

    async def delete(self, call: Call, group_id: str) -> Reply:
        await self.logic.delete(call.ctx, group_id)
        return Reply()

    async def create_rule(self, call: Call) -> Reply:
        rule = await self.logic.create_rule(call.ctx, (await call.decode(shapes.RuleIn)).security_group_rule)
        return Reply(shapes.RuleOut(security_group_rule=rule_view(rule, await self.logic.named(call.ctx, [rule]))))

    async def delete_rule(self, call: Call, rule_id: str) -> Reply:
        await self.logic.delete_rule(call.ctx, rule_id)
        return Reply()

    async def _one(self, call: Call, group: SecurityGroupRecord) -> Reply:
        known = await self.logic.named(call.ctx, group.security_group_rules)
        return Reply(shapes.GroupOut(security_group=group_view(group, known)))


def group_view(group: SecurityGroupRecord, known: Known) -> shapes.GroupView:
    """With its rules about what comes in, the only ones that compute knew."""
    return shapes.GroupView(
        id=group.id, name=group.name, description=group.description, tenant_id=group.project_id,
        rules=[rule_view(rule, known) for rule in group.security_group_rules if rule.direction == "ingress"],
    )  # fmt: skip


def rule_view(rule: SecurityGroupRuleRecord, known: Known) -> shapes.RuleView:
    remote = known.get(rule.remote_group_id or "")
    anything = -1 if rule.protocol in ("icmp", None) else None
    view = shapes.RuleView(
        id=rule.id, parent_group_id=rule.security_group_id, ip_protocol=rule.protocol,
        from_port=anything if rule.port_range_min is None else rule.port_range_min,
        to_port=anything if rule.port_range_max is None else rule.port_range_max,
    )  # fmt: skip
    if remote is not None:
        view.group = {"name": remote.name, "tenant_id": remote.project_id}
    elif rule.remote_group_id is None:
        view.ip_range = {"cidr": rule.remote_ip_prefix or ANY_ADDRESS[rule.ethertype]}
    return view
