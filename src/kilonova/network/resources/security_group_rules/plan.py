"""What a security group rule may say."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from kilonova.core.addresses import parse_interface, parse_network
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.resources.default_security_group_rules.schemas import DefaultRuleCreate
from kilonova.network.resources.security_group_rules.schemas import Rule, RuleCreate
from kilonova.network.store.default_security_group_rules import DefaultRuleRow
from kilonova.network.store.security_group_rules import RuleRow

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
WITH_PORTS = {6, 17, 33, 132, 136}
ICMP = {1, 58}
ONLY_IPV6 = {
    PROTOCOLS[name] for name in ("ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route")
}
COLUMNS = [*set(Rule.__struct_fields__) - {"tenant_id", "normalized_cidr"}]
COPIED = (
    "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_address_group_id",
)  # fmt: skip
"""What a rule has of the default one that it is made of."""
ANYWHERE = {"0.0.0.0/0", "::/0"}


def values_of(body: RuleCreate | DefaultRuleCreate) -> dict[str, Any]:
    """A new rule's own columns. Raises a 400 of upstream's type for what makes no sense."""
    if body.direction not in ("ingress", "egress"):
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for direction. Reason: '{body.direction}' is not in ['ingress', 'egress']."
        )
    ethertype = _ethertype(body.ethertype)
    protocol = _protocol(body.protocol)
    if ethertype == "IPv4" and number_of(protocol) in ONLY_IPV6:
        raise errors.SecurityGroupEthertypeConflictWithProtocol(ethertype=ethertype, protocol=protocol)
    _check_range(protocol, body.port_range_min, body.port_range_max)
    remotes = (body.remote_ip_prefix, body.remote_group_id, body.remote_address_group_id)
    if sum(remote is not None for remote in remotes) > 1:
        raise errors.SecurityGroupMultipleRemoteEntites
    return {
        "direction": body.direction,
        "ethertype": ethertype,
        "protocol": protocol,
        "port_range_min": body.port_range_min,
        "port_range_max": body.port_range_max,
        "remote_ip_prefix": _prefix(body.remote_ip_prefix, ethertype),
        "remote_group_id": body.remote_group_id,
        "remote_address_group_id": body.remote_address_group_id,
        "description": body.description or "",
    }


def new_rule(deps: Deps, group_id: str, project_id: str, **values: Any) -> dict[str, Any]:
    """A rule's columns."""
    now = deps.now()
    rule: dict[str, Any] = {
        "id": deps.clock.uuid(), "project_id": project_id, "security_group_id": group_id, "direction": "egress",
        "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None, "remote_ip_prefix": None,
        "remote_group_id": None, "remote_address_group_id": None, "description": "",
        "created_at": now, "updated_at": now, "revision_number": 0,
    }  # fmt: skip
    rule |= values
    return rule | {"signature": signature(rule)}


def first_rules(deps: Deps, group_id: str, project_id: str, first: Sequence[DefaultRuleRow]) -> list[dict[str, Any]]:
    """The rules that a new group begins with, made of the default ones."""
    return [
        new_rule(
            deps, group_id, project_id, **{name: getattr(rule, name) for name in COPIED},
            remote_group_id=group_id if rule.remote_is_parent else rule.remote_group_id,
        )
        for rule in first
    ]  # fmt: skip


def signature(values: dict[str, Any]) -> str:
    """What makes two rules of one group the same: `6` is tcp, and 0.0.0.0/0 is anywhere."""
    number = number_of(values["protocol"])
    prefix = values["remote_ip_prefix"]
    parts = (
        values["direction"], values["ethertype"], number, values["port_range_min"], values["port_range_max"],
        None if prefix in ANYWHERE else prefix, values["remote_group_id"],
    )  # fmt: skip
    addresses = [values["remote_address_group_id"]] if values["remote_address_group_id"] else []
    return "|".join("" if part is None else str(part) for part in (*parts, *addresses))


def number_of(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    return int(protocol) if protocol.isdecimal() else PROTOCOLS[protocol]


def normalized(prefix: str | None) -> str | None:
    """The prefix without host bits; None for none, and for one that cannot be read."""
    with contextlib.suppress(ValueError):
        return str(parse_network(prefix)) if prefix else None
    return None


def view(row: RuleRow) -> Rule:
    return Rule(
        **{name: getattr(row, name) for name in COLUMNS},
        tenant_id=row.project_id,
        normalized_cidr=normalized(row.remote_ip_prefix),
    )


def _ethertype(asked: str | None) -> str:
    found = {"ipv4": "IPv4", "ipv6": "IPv6"}.get((asked or "IPv4").lower())
    if found is None:
        raise errors.SecurityGroupRuleInvalidEtherType(ethertype=asked)
    return found


def _protocol(asked: str | int | None) -> str | None:
    """None for any; a known name in lower case, or a number as text."""
    if asked is None or str(asked).lower() in ("any", ""):
        return None
    text = str(asked).lower()
    if text in PROTOCOLS or (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 255):
        return text
    raise errors.SecurityGroupRuleInvalidProtocol(protocol=text[:64], values=["any", *sorted(PROTOCOLS)])


def _check_range(protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    number = number_of(protocol)
    if number is None:
        raise errors.SecurityGroupProtocolRequiredWithPorts
    if number in ICMP:
        _check_icmp(low, high)
        return
    if number not in WITH_PORTS:
        raise errors.SecurityGroupInvalidProtocolForPort(protocol=protocol)
    for port in (low, high):
        if port is not None and not 1 <= port <= 65535:
            raise errors.SecurityGroupInvalidPortValue(port=port)
    if low is None or high is None or low > high:
        raise errors.SecurityGroupInvalidPortRange


def _check_icmp(kind: int | None, code: int | None) -> None:
    for attribute, field, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and not 0 <= value <= 255:
            raise errors.SecurityGroupInvalidIcmpValue(attribute=attribute, field=field, value=value)
    if kind is None:
        raise errors.SecurityGroupMissingIcmpType(value=code)


def _prefix(asked: str | None, ethertype: str) -> str | None:
    if not asked:
        return None
    try:
        found = parse_interface(asked)
    except ValueError:
        raise errors.InvalidCIDR(cidr=asked) from None
    if found.version != int(ethertype[-1]):
        raise errors.SecurityGroupRuleParameterConflict(ethertype=ethertype, cidr=asked)
    return str(found)
