"""QoS rules over HTTP without their policy's id, and the types of rules."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core.errors import KilonovaError
from kilonova.core.policy import PolicyNotAuthorized
from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_one
from kilonova.network.resources.base.facts import Facts, Guard
from kilonova.network.resources.base.handlers import Replies
from kilonova.network.resources.qos_rules import errors, schemas
from kilonova.network.resources.qos_rules.logic import QosRuleLogic
from kilonova.network.resources.qos_rules.schemas import Driver, Parameter, RuleType, RuleTypeBody, RuleTypeDetails

AMOUNT = {"start": 0, "end": schemas.MOST}
DRIVER = "kilonova"


class AliasHandlers(Replies[QosRuleLogic]):
    """Of the rules of one type, by their own ids."""

    async def show(self, call: Call, id: str) -> Reply:
        policy_id = await self.logic.policy_of(id)
        item = await self.logic.get(policy_id, id, self._guard(call, "get", id))
        return self.one(call, item, frozenset(call.query.getall("fields", [])))

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, self.shape)
        policy_id, guard = await self.logic.policy_of(id), self._guard(call, "update", id, body)
        return self.one(call, await self.logic.update(call.ctx, policy_id, id, body, guard, seeing(call)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, await self.logic.policy_of(id), id, self._guard(call, "delete", id))
        return Reply()

    def _guard(self, call: Call, action: str, rule_id: str, body: msgspec.Struct | None = None) -> Guard:
        """Callers that may not see the policy are not told its id."""
        guard, missing = self.guard(call, action, body), self.logic.absent("", rule_id)

        def check(target: Facts, unseen: KilonovaError | None) -> None:
            guard(target, missing)

        return check


class RuleTypes:
    """`types` are those that there are, each with its attributes and their values."""

    def __init__(self, types: dict[str, dict[str, Any]]) -> None:
        self.types = types

    async def list(self, call: Call) -> Reply:
        """Every type works on every host: `all_supported` and `all_rules` ask for the same."""
        return Reply(schemas.RuleTypes(rule_types=[RuleType(type=one) for one in self.types]))

    async def show(self, call: Call, type: str) -> Reply:
        if not call.ctx.is_admin:
            raise PolicyNotAuthorized(action="get_rule_type")
        if type not in self.types:
            raise errors.InvalidQosRuleType(type=type)
        parameters = [_parameter(name, values) for name, values in self.types[type].items()]
        driver = Driver(name=DRIVER, supported_parameters=parameters)
        return Reply(RuleTypeBody(rule_type=RuleTypeDetails(type=type, drivers=[driver])))


def _parameter(name: str, values: Any) -> Parameter:
    kind = "range" if isinstance(values, dict) else "choices"
    return Parameter(parameter_name=name, parameter_type=kind, parameter_values=values)
