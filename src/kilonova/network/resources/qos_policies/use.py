"""Which QoS policies a caller may give to networks and ports, and take from them."""

from __future__ import annotations

from collections.abc import Iterable

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection
from kilonova.network.resources.qos_policies import errors
from kilonova.network.store.qos_policies import QOS_POLICIES, QosPolicyRow
from kilonova.network.store.rbac_policies import EVERYONE


def _usable(policy: QosPolicyRow, ctx: RequestContext) -> bool:
    mine = {policy.project_id, *policy.shared_with}
    return ctx.is_admin or ctx.project_id in mine or EVERYONE in mine


async def check_named(connection: Connection, ctx: RequestContext, policy_ids: Iterable[str | None]) -> None:
    """What new objects name. They stay until the transaction ends. Raises QosPolicyNotFound."""
    for policy_id in sorted({one for one in policy_ids if one is not None}):
        policy = await QOS_POLICIES.get(connection, policy_id, lock=True)
        if policy is None or not _usable(policy, ctx):
            raise errors.QosPolicyNotFound(id=policy_id)


async def check_change(connection: Connection, ctx: RequestContext, before: str | None, after: str | None) -> None:
    """A policy that the caller may not use stays. Raises PolicyRemoveAuthorizationError, QosPolicyNotFound."""
    if before == after:
        return
    if before is not None:
        policy = await QOS_POLICIES.get(connection, before)
        if policy is not None and not _usable(policy, ctx):
            raise errors.PolicyRemoveAuthorizationError(id=before)
    await check_named(connection, ctx, [after])
