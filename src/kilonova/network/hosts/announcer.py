"""Messages to hosts whose state has changed, and events to compute about its ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Transaction
from kilonova.network.agent.interface import AGENT_TYPE, ComputeNotifierAPI, NetworkAgentAPI, ServerEvent
from kilonova.network.hosts.news import MOST, News
from kilonova.network.store import feeds


class Announcer:
    """All messages are written with the transaction, so that no crash after it leaves a host with filters that admit a removed
    member. The caller's token is not passed on. `alive_since` tells since when a living agent was heard of."""

    def __init__(self, alive_since: Callable[[], str]) -> None:
        self._alive_since = alive_since

    async def changed(
        self,
        tx: Transaction,
        ctx: RequestContext,
        hosts: Iterable[str],
        port_ids: Sequence[str] = (),
        *,
        also: Iterable[str] = (),
        news: News | None = None,
    ) -> None:
        """Send to hosts; agents that are down ask for everything when they start. `hosts` have the ports (or, where no port is
        named, something that they filter by); `also` only filter by the ports' addresses, at a lower priority. `news` is all
        that has changed for any of them; without it they ask for everything."""
        shown = {host for host in hosts if host}
        every = sorted(shown | {host for host in also if host})
        if not every:
            return
        text = None if news is None or news.size() > MOST else msgspec.json.encode(news).decode()
        await feeds.count(tx.connection, AGENT_TYPE, every, text, self._alive_since())
        for host in every:
            ports = list(port_ids) if host in shown else []
            await tx.outbox(NetworkAgentAPI, host=host).changed(service_context(ctx.request_id), ports)

    async def events(self, tx: Transaction, ctx: RequestContext, events: list[ServerEvent]) -> None:
        """Send to compute, with the transaction."""
        if events:
            await tx.outbox(ComputeNotifierAPI).notify(service_context(ctx.request_id), events)
