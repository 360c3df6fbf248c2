"""Access checks over HTTP: policy, and what hosts' grants cover."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.errors import KilonovaError
from kilonova.core.policy import PolicyNotAuthorized
from kilonova.core.web.call import Call
from kilonova.network.resources.base.facts import Facts, Guard, Seeing
from kilonova.network.resources.base.grants import covers
from kilonova.network.resources.base.revisions import check_revision, wanted_revision
from kilonova.network.resources.base.shape import Shape
from kilonova.network.store.rbac_policies import EVERYONE


def hidden(call: Call, shape: Shape) -> dict[str, str]:
    """wire name → field name of the attributes this caller may not see."""
    return {wire: name for wire, (name, rule) in shape.guarded.items() if not call.allowed(rule)}


def scope(call: Call) -> str | None:
    """The project whose objects a list shows; None for all of them."""
    if not call.ctx.is_host and call.allowed("service_api"):
        return None
    return call.ctx.project_id or ""


def guard(call: Call, action: str, shape: Shape, body: msgspec.Struct | None = None, *, see: str = "") -> Guard:
    """Refuses callers that may not see the object (or, for a new one, what it is made on: rule `see`), may not do `action` with
    it (`update`, or the whole name of a rule: `add_router_interface`), or may not set one of the attributes that `body` sets.
    Then refuses what has another revision than the header If-Match asks for."""
    base = action if action in shape.rules else f"{action}_{shape.rule_noun}"
    wanted = [base, *(f"{base}:{name}" for name in (_set_in(body) if body is not None else ()))]
    rules = [rule for rule in wanted if rule in shape.rules]
    revision = wanted_revision(call, shape)

    def check(target: Facts, unseen: KilonovaError | None) -> None:
        held = _resolved(call, target)
        sees = not call.ctx.is_host or covers(shape.hosts, call.ctx.grant, action, held, body)
        if not sees or not call.allowed(see or f"get_{shape.rule_noun}", target):
            raise unseen or PolicyNotAuthorized(action=base)
        for rule in rules:
            call.authorize(target, rule)
        check_revision(revision, held)

    return check


def seeing(call: Call) -> Seeing:
    """What the caller may see beside the object of the request."""
    names = ("network", "subnet", "port", "security_group", "address_scope", "address_group", "subnetpool")
    rules = {name: f"get_{name}" for name in names} | {"qos_policy": "get_policy"}
    return Seeing(**{name: _sees(call, rule) for name, rule in rules.items()})


def _sees(call: Call, rule: str) -> Guard:
    def check(target: Facts, unseen: KilonovaError | None) -> None:
        _resolved(call, target)
        if call.ctx.is_host or not call.allowed(rule, target):
            raise unseen or PolicyNotAuthorized(action=rule)

    return check


def _resolved(call: Call, target: Facts) -> Any:
    """Makes of the facts what rules see; the object that they are of."""
    for name in ("shared", "router:external"):
        if isinstance(projects := target.get(name), list):
            target[name] = not {EVERYONE, call.ctx.project_id}.isdisjoint(projects)
    return target.pop("object", None)


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _set_in(body: msgspec.Struct) -> Iterator[str]:
    """Wire names of what a body says other than the default: `fixed_ips`, and `fixed_ips:ip_address` where one has it."""
    for field in _fields(type(body)):
        value = getattr(body, field.name)
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if value is not UNSET and value != default:
            yield field.encode_name
            if isinstance(value, list | msgspec.Struct):
                parts = value if isinstance(value, list) else [value]
                inner = {name for part in parts if isinstance(part, msgspec.Struct) for name in _set_in(part)}
                yield from (f"{field.encode_name}:{name}" for name in sorted(inner))
