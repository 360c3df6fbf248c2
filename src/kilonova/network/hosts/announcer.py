"""Tells hosts that what they show has changed, and compute what became of its ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Transaction
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkAgentAPI, ServerEvent


class Announcer:
    """All of it goes with the transaction, so that no crash between the two leaves a host with filters that admit who was
    put out. The caller's token goes nowhere."""

    async def changed(
        self,
        tx: Transaction,
        ctx: RequestContext,
        hosts: Iterable[str],
        port_ids: Sequence[str] = (),
        *,
        also: Iterable[str] = (),
    ) -> None:
        """Tell hosts; those that do not listen will ask for everything when they come. `hosts` show the ports (or, none
        named, something they filter by); `also` only filter by their addresses and need not hurry."""
        shown = {host for host in hosts if host}
        for host in sorted(shown | {host for host in also if host}):
            ports = list(port_ids) if host in shown else []
            await tx.outbox(NetworkAgentAPI, host=host).changed(service_context(ctx.request_id), ports)

    async def events(self, tx: Transaction, ctx: RequestContext, events: list[ServerEvent]) -> None:
        """Tell compute with the transaction."""
        if events:
            await tx.outbox(ComputeNotifierAPI).notify(service_context(ctx.request_id), events)
