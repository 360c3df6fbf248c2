"""Tells hosts that what they show has changed, and compute what became of its ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kilonova.core import errors, log
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Transaction
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkAgentAPI, ServerEvent

logger = log.get("network")


class Announcer:
    """What must not be lost (filters, events) goes with the transaction; the rest is sent after it, as `plug` and an
    agent's own synchronization make up for it. The caller's token goes nowhere."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def changed(
        self, ctx: RequestContext, hosts: Iterable[str], port_ids: Sequence[str] = (), *, also: Iterable[str] = ()
    ) -> None:
        """Tell hosts after the commit; those that do not listen will ask for everything when they come. `hosts` show the
        ports; `also` only filter by their addresses and need not hurry."""
        shown = {host for host in hosts if host}
        for host in shown | {host for host in also if host}:
            try:
                agent = self.bus.client(NetworkAgentAPI, host=host)
                await agent.changed(service_context(ctx.request_id), list(port_ids) if host in shown else [])
            except errors.BusError as error:
                logger.info("network agent not told", host=host, reason=error.message)

    async def changed_with(self, tx: Transaction, ctx: RequestContext, hosts: Iterable[str]) -> None:
        """Tell hosts with the transaction."""
        for host in {h for h in hosts if h}:
            await tx.outbox(NetworkAgentAPI, host=host).changed(service_context(ctx.request_id), [])

    async def events(self, tx: Transaction, ctx: RequestContext, events: list[ServerEvent]) -> None:
        """Tell compute with the transaction."""
        if events:
            await tx.outbox(ComputeNotifierAPI).notify(service_context(ctx.request_id), events)
