"""Security groups for clients that still ask compute for them: the network service's, on the caller's behalf."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from kilonova.compute.peers import NetworkAccess
from kilonova.compute.resources.security_groups import errors
from kilonova.compute.resources.security_groups.schemas import Rule
from kilonova.core.addresses import parse_interface
from kilonova.core.context import RequestContext
from kilonova.core.errors import BadRequest, Conflict
from kilonova.network.client import SecurityGroupRecord, SecurityGroupRuleRecord

ANY_ADDRESS = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


class SecurityGroupLogic:
    def __init__(self, networks: NetworkAccess) -> None:
        self.networks = networks

    async def list(self, ctx: RequestContext, *, every: bool) -> list[SecurityGroupRecord]:
        """The project's; of all projects with `every`."""
        return await self.networks.security_groups(ctx, **({} if every else {"project_id": ctx.project_id}))

    async def get(self, ctx: RequestContext, group_id: str) -> SecurityGroupRecord:
        async with _as_compute_says_it():
            return await self.networks.security_group(_uuid(group_id), ctx)

    async def create(self, ctx: RequestContext, values: dict[str, Any]) -> SecurityGroupRecord:
        async with _as_compute_says_it():
            return await self.networks.create_security_group(values, ctx)

    async def update(self, ctx: RequestContext, group_id: str, values: dict[str, Any]) -> SecurityGroupRecord:
        async with _as_compute_says_it():
            return await self.networks.update_security_group(_uuid(group_id), values, ctx)

    async def delete(self, ctx: RequestContext, group_id: str) -> None:
        async with _as_compute_says_it():
            await self.networks.delete_security_group(_uuid(group_id), ctx)

    async def create_rule(self, ctx: RequestContext, rule: Rule) -> SecurityGroupRuleRecord:
        low, high = _port(rule.from_port), _port(rule.to_port)
        values: dict[str, Any] = {
            "security_group_id": _uuid(str(rule.parent_group_id)),
            "direction": "ingress",
            "ethertype": "IPv6" if ":" in (rule.cidr or "") else "IPv4",
            "protocol": (rule.ip_protocol or "").lower() or None,
            "port_range_min": low,
            "port_range_max": high,
            "remote_group_id": _uuid(rule.group_id) if rule.group_id else None,
            "remote_ip_prefix": None if rule.group_id else _prefix(rule.cidr or ANY_ADDRESS["IPv4"]),
        }
        async with _as_compute_says_it():
            return await self.networks.create_security_group_rule(values, ctx)

    async def delete_rule(self, ctx: RequestContext, rule_id: str) -> None:
        async with _as_compute_says_it():
            await self.networks.delete_security_group_rule(_uuid(rule_id), ctx)

    async def named(
        self, ctx: RequestContext, rules: Sequence[SecurityGroupRuleRecord]
    ) -> dict[str, SecurityGroupRecord]:
        """The groups that rules refer to, by id."""
        ids = sorted({rule.remote_group_id for rule in rules if rule.remote_group_id})
        found = await self.networks.security_groups(ctx, id=ids) if ids else []
        return {group.id: group for group in found}


@asynccontextmanager
async def _as_compute_says_it() -> AsyncIterator[None]:
    """What is in use or there already is a bad request here."""
    try:
        yield
    except Conflict as error:
        raise BadRequest(error.message) from None


def _uuid(text: str) -> str:
    """Only what parses becomes a part of a path."""
    try:
        return str(UUID(text))
    except ValueError:
        raise errors.InvalidSecurityGroupId(id=text) from None


def _prefix(text: str) -> str:
    try:
        found = parse_interface(text)  # host bits stay, as a client sees them in the network service's rule
    except ValueError:
        raise BadRequest(f"Invalid CIDR {text!r}: it must be an IP network such as 10.0.0.0/8") from None
    if found.network.prefixlen == 0 and str(found) not in ANY_ADDRESS.values():
        raise BadRequest(f"Bad prefix for network in cidr {text}")
    return str(found)


def _port(value: str | int | None) -> int | None:
    """-1 was «any»."""
    number = None if value is None else int(value)
    return None if number == -1 else number
