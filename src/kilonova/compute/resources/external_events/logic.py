"""News from other services: for the hosts of servers, that what a launch waits for has happened; for the conductor, that
ports have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import ExternalEvent
from kilonova.compute.resources.server_actions.logic import sender
from kilonova.compute.states import REBUILD_TASKS
from kilonova.compute.store import migrations
from kilonova.compute.store import servers as store
from kilonova.core import errors, log
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Row, retried

TAG_REQUIRED = frozenset(["volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"])
PORTS_CHANGED = frozenset(["network-changed", "network-vif-deleted"])
logger = log.get("compute-api")


class ExternalEventLogic:
    def __init__(self, database: Database, bus: Bus) -> None:
        self.database, self.bus = database, bus

    async def deliver(self, ctx: RequestContext, events: list[ExternalEvent]) -> list[int]:
        """Pass events on to their servers' hosts, or to those they are on their way to; for each a code: 200, 400 (no tag),
        404 (no server), 422 (no host)."""
        async with self.database.reading() as connection:
            rows = await store.get_many(connection, {event.server_uuid for event in events})
            moving = [row.uuid for row in rows if row.task_state in REBUILD_TASKS]
            coming = await migrations.destinations(connection, moving) if moving else {}
        await self._tell_conductor(ctx, rows, events)
        hosts = {row.uuid: coming.get(row.uuid, row.host) for row in rows}
        codes: list[int] = []
        wanted: dict[str, list[ExternalEvent]] = {}
        for event in events:
            host = hosts.get(event.server_uuid)
            if event.server_uuid not in hosts:
                codes.append(404)
            elif event.name in TAG_REQUIRED and event.tag is None:
                codes.append(400)
            elif host is None:
                codes.append(422)
            else:
                codes.append(200)
                if event.name not in PORTS_CHANGED:
                    wanted.setdefault(host, []).append(event)
        await asyncio.gather(*(self._send(ctx, host, sent) for host, sent in wanted.items()))
        return codes

    @retried
    async def _tell_conductor(self, ctx: RequestContext, rows: Sequence[Row], events: list[ExternalEvent]) -> None:
        """What rows know of ports is the conductor's to renew; the message is kept until that is done."""
        changed = {event.server_uuid for event in events if event.name in PORTS_CHANGED}
        placed = sorted(row.uuid for row in rows if row.uuid in changed and row.host is not None)
        if placed:
            async with self.database.transaction() as tx:
                await tx.outbox(ConductorAPI).network_changed(sender(ctx), placed)

    async def _send(self, ctx: RequestContext, host: str, events: list[ExternalEvent]) -> None:
        try:
            await self.bus.client(ComputeAPI, host=host).external_events(ctx, events)
        except errors.NoReceiver as error:  # a host that is not there waits for nothing
            logger.warning("external events not delivered", host=host, error=error.message)
        except errors.BusError as error:  # the sender repeats it
            raise errors.ServiceUnavailable(reason=error.message) from error
