"""Changes of security groups, for the hosts with their filters."""

from __future__ import annotations

from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.network.deps import Deps
from kilonova.network.hosts.news import News
from kilonova.network.store import security_groups as store
from kilonova.network.store.security_groups import GROUPS


async def rules_changed(deps: Deps, tx: Transaction, ctx: RequestContext, group_id: str) -> None:
    """A group's rules have changed: every host with them gets a message, even when this process dies after the commit."""
    hosts = await store.hosts_with(tx.connection, [group_id], deps.alive_since())
    await GROUPS.change(tx.connection, group_id, {}, deps.now())
    await deps.announcer.changed(tx, ctx, hosts, news=News(groups=(group_id,)))
