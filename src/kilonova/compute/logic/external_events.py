"""News from other services for the hosts of servers: what a launch waits for has happened."""

from __future__ import annotations

import asyncio

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.models import ExternalEvent
from kilonova.compute.states import REBUILD_TASKS
from kilonova.compute.store import migrations
from kilonova.compute.store import servers as store
from kilonova.core import errors, log
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext
from kilonova.core.db import Database

TAG_REQUIRED = frozenset(["volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"])
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
                wanted.setdefault(host, []).append(event)
        await asyncio.gather(*(self._send(ctx, host, sent) for host, sent in wanted.items()))
        return codes

    async def _send(self, ctx: RequestContext, host: str, events: list[ExternalEvent]) -> None:
        try:
            await self.bus.client(ComputeAPI, host=host).external_events(ctx, events)
        except errors.NoReceiver as error:  # a host that is not there waits for nothing
            logger.warning("external events not delivered", host=host, error=error.message)
        except errors.BusError as error:  # whoever told us tells us again
            raise errors.ServiceUnavailable(reason=error.message) from error
