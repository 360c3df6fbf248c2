"""Messages to hosts whose state has changed, and events to compute about its ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Transaction
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkAgentAPI, ServerEvent


class Announcer:
    """All messages are written with the transaction, so that no crash after it leaves a host with filters that admit a removed
    member. The caller's token is not passed on."""

    async def changed(
        self,
        tx: Transaction,
        ctx: RequestContext,
        hosts: Iterable[str],
        port_ids: Sequence[str] = (),
        *,
        also: Iterable[str] = (),
    ) -> None:
        """Send to hosts; agents that are down ask for everything when they start. `hosts` have the ports (or, where no port is
        named, something that they filter by); `also` only filter by the ports' addresses, at a lower priority."""
        shown = {host for host in hosts if host}
        for host in sorted(shown | {host for host in also if host}):
            ports = list(port_ids) if host in shown else []
            await tx.outbox(NetworkAgentAPI, host=host).changed(service_context(ctx.request_id), ports)

    async def events(self, tx: Transaction, ctx: RequestContext, events: list[ServerEvent]) -> None:
        """Send to compute, with the transaction."""
        if events:
            await tx.outbox(ComputeNotifierAPI).notify(service_context(ctx.request_id), events)
