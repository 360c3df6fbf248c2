"""What a project has from the start: its default security group and its quota."""

from __future__ import annotations

from typing import Any

from kilonova.core.db import Transaction, retried
from kilonova.network import errors
from kilonova.network.resources.base.logic import Deps
from kilonova.network.resources.security_groups import rules as rule_plan
from kilonova.network.store import agents as quota_store
from kilonova.network.store import resources
from kilonova.network.store import security_groups as group_store
from kilonova.network.tables import projects, security_group_rules, security_groups

DEFAULT_RULES = [
    ("egress", "IPv4", False),
    ("egress", "IPv6", False),
    ("ingress", "IPv4", True),
    ("ingress", "IPv6", True),
]
"""(direction, ethertype, only from the same group) of the default group; other groups get the egress ones."""


def new_rule(deps: Deps, group_id: str, project_id: str, **values: Any) -> dict[str, Any]:
    """A rule's columns."""
    now = deps.now()
    rule: dict[str, Any] = {
        "id": deps.clock.uuid(), "project_id": project_id, "security_group_id": group_id, "direction": "egress",
        "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None, "remote_ip_prefix": None,
        "remote_group_id": None, "description": "", "created_at": now, "updated_at": now, "revision_number": 0,
    }  # fmt: skip
    rule |= values
    return rule | {"signature": rule_plan.signature(rule)}


def first_rules(deps: Deps, group_id: str, project_id: str, *, default: bool) -> list[dict[str, Any]]:
    """The rules that a new group begins with."""
    return [
        new_rule(
            deps, group_id, project_id, direction=direction, ethertype=ethertype,
            remote_group_id=group_id if same else None,
        )
        for direction, ethertype, same in DEFAULT_RULES
        if default or not same
    ]  # fmt: skip


class Projects:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def enter(self, tx: Transaction, project_id: str) -> str:
        """The id of the project's default group, made when missing. Locks the project until the transaction ends, so that
        its quota can't be raced."""
        known = await group_store.project(tx.connection, project_id, lock=True)
        if known is not None:
            return str(known.default_group_id)
        now, group_id = self.deps.now(), self.deps.clock.uuid()
        group = {
            "id": group_id, "project_id": project_id, "name": "default", "description": "Default security group",
            "created_at": now, "updated_at": now, "revision_number": 1, "stateful": True,
        }  # fmt: skip
        await resources.add(tx.connection, projects, [{"project_id": project_id, "default_group_id": group_id}])
        await resources.add(tx.connection, security_groups, [group])
        await resources.add(
            tx.connection, security_group_rules, first_rules(self.deps, group_id, project_id, default=True)
        )
        return group_id

    @retried
    async def ensure_default_group(self, project_id: str | None) -> None:
        """For lists: makes the default group of a project that has none yet."""
        if not project_id:
            return
        async with self.deps.database.reading() as connection:
            if await group_store.project(connection, project_id) is not None:
                return
        async with self.deps.database.transaction() as tx:
            await self.enter(tx, project_id)

    async def check_quota(self, tx: Transaction, project_id: str, resource: str, more: int) -> None:
        """Raises OverQuota unless `more` of the resource fit. The project must have been entered."""
        used, limit = await quota_store.usage(tx.connection, project_id, resource)
        allowed = self.deps.options.quota(resource) if limit is None else limit
        if 0 <= allowed < used + more:
            raise errors.OverQuota(overs=[resource])
