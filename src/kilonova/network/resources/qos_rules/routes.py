"""QoS rules and their types: what the API knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.network.resources.base.nested_handlers import NestedHandlers
from kilonova.network.resources.base.resource import ID, V2, Api, CrudResource, Extension, Resource
from kilonova.network.resources.base.shape import Parent, Shape
from kilonova.network.resources.qos_rules import logic, schemas
from kilonova.network.resources.qos_rules.handlers import AMOUNT, AliasHandlers, RuleTypes
from kilonova.network.resources.qos_rules.policies import TYPE_RULES, rules_of


def _resource(
    kind: type[logic.QosRuleLogic], create: type[msgspec.Struct], update: type[msgspec.Struct], *extensions: Extension
) -> CrudResource:
    name = f"{kind.objects.type}_rule"
    return CrudResource(
        name=name, collection=f"{name}s", path=f"{name}s", parent=Parent("policy", "qos/policies"), view=kind.view,
        create=create, update=update, rules=rules_of(f"policy_{name}"), changer=f"get_policy_{name}", logic=kind,
        handlers=NestedHandlers, extensions=extensions,
    )  # fmt: skip


QOS_RULES = (
    _resource(
        logic.BandwidthLimitLogic, schemas.BandwidthLimitCreate, schemas.BandwidthLimitUpdate,
        Extension(
            "qos-bw-limit-direction", "Direction for QoS bandwidth limit rule", "2017-04-10T10:00:00-00:00",
            "Bandwidth limits in both directions",
        ),
    ),
    _resource(
        logic.PacketRateLimitLogic, schemas.PacketRateLimitCreate, schemas.PacketRateLimitUpdate,
        Extension(
            "qos-pps", "QoS Rule Type Packet per Second Extension", "2021-05-12T10:00:00-00:00", "Limits of packets a second"
        ),
    ),
    _resource(logic.DscpMarkingLogic, schemas.DscpMarkingCreate, schemas.DscpMarkingUpdate),
)  # fmt: skip


def _alias(of: CrudResource) -> Shape:
    name = f"alias_{of.name}"
    path = f"qos/{name}s"
    return Shape(name=name, collection=f"{name}s", path=path, view=of.view, update=of.update, rules=rules_of(name))


ALIASES = {of: _alias(of) for of in QOS_RULES}


def _alias_routes(api: Api) -> Iterator[Route]:
    for of, shape in ALIASES.items():
        handlers, one, rule = (
            AliasHandlers(shape, api.handlers[of].logic),
            f"{V2}/{shape.path}{ID}",
            f"get_{shape.name}",
        )
        a = f"{of.a_noun} by its own id"
        shown, sent = shape.one | shape.one_part, wrapped(shape.name, shape.update)
        yield Route("GET", one, handlers.show, rule, reply=shown, summary=f"Show {a}.")
        yield Route("PUT", one, handlers.update, rule, body=sent, reply=shape.one, summary=f"Update {a}.")
        yield Route("DELETE", one, handlers.delete, rule, 204, summary=f"Delete {a}.")


QOS_RULE_ALIASES_RESOURCE = Resource(
    lambda api: [*_alias_routes(api)],
    {
        name: rule
        for shape in ALIASES.values()
        for name, rule in shape.rules.items()
        if not name.startswith("create_")
    },
    extensions=(
        Extension(
            "qos-rules-alias", "Quality of Service rules alias API", "2018-10-07T10:00:00-00:00",
            "QoS rules without their policy's id",
        ),
    ),
)  # fmt: skip


def _type_routes(api: Api) -> list[Route]:
    types: dict[str, dict[str, Any]] = {}
    for of in QOS_RULES:
        kind = of.name.removesuffix("_rule")
        names = [name for name in of.view.__struct_fields__ if name != "id"]
        types[kind] = {name: VALUES.get(name, AMOUNT) for name in names}
    handlers, every = RuleTypes(types), f"{V2}/qos/rule-types"
    return [
        Route(
            "GET", every, handlers.list, "get_rule_type", reply=schemas.RuleTypes, summary="List the types of QoS rules."
        ),
        Route(
            "GET", every + "/{type:str}", handlers.show, "get_rule_type", reply=schemas.RuleTypeBody,
            summary="Show a type of QoS rules with its parameters.",
        ),
    ]  # fmt: skip


VALUES: dict[str, Any] = {"direction": [*schemas.DIRECTIONS], "dscp_mark": [*schemas.DSCP_MARKS]}
"""Attribute → its values, where it is not an amount."""
QOS_RULE_TYPES_RESOURCE = Resource(
    _type_routes,
    TYPE_RULES,
    extensions=(
        Extension(
            "qos-rule-type-details", "Details of QoS rule types", "2017-06-22T10:00:00-00:00", "Parameters of QoS rules"
        ),
        Extension(
            "qos-rule-type-filter", "Allow to filter the list of QoS rule types", "2022-02-02T10:00:00-00:00",
            "Types that all hosts have, or some",
        ),
    ),
)  # fmt: skip
