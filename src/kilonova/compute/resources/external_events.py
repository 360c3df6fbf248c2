"""Events from other services: for the hosts of servers, that what a launch waits for has happened; for the conductor, that
ports have changed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import ExternalEvent
from kilonova.compute.moves import TASKS
from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.resources.server_actions.logic import ActionLogic, sender
from kilonova.compute.store import block_devices, migrations
from kilonova.compute.store import servers as store
from kilonova.compute.volumes import VolumeReader
from kilonova.compute.web.fields import Uuid
from kilonova.compute.web.query import at_least
from kilonova.core import errors, log
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import Body, View

RULE = f"{R}:os-server-external-events:create"
SINCE = {  # name → the version that brought it
    "network-changed": "2.1", "network-vif-plugged": "2.1", "network-vif-unplugged": "2.1", "network-vif-deleted": "2.1",
    "volume-extended": "2.51", "power-update": "2.76", "accelerator-request-bound": "2.82", "volume-reimaged": "2.93",
}  # fmt: skip
TAG_REQUIRED = frozenset(["volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"])
EXTENDED, EXTEND = "volume-extended", "extend_volume"
PORTS_CHANGED = frozenset(["network-changed", "network-vif-deleted"])
logger = log.get("compute-api")


class EventIn(Body, kw_only=True):
    name: str
    server_uuid: Uuid
    status: Literal["completed", "failed", "in-progress"] = "completed"
    tag: Annotated[str, Meta(max_length=255)] | None = None


class EventsIn(Body, kw_only=True):
    events: Annotated[list[EventIn], Meta(min_length=1, max_length=10000)]


class EventOut(View, kw_only=True, omit_defaults=True):
    name: str
    server_uuid: str
    status: str
    code: int
    tag: str | None = None


class EventsOut(View, kw_only=True):
    events: list[EventOut]


class ExternalEventLogic:
    """`volumes` is None in a cloud without a volume service."""

    def __init__(self, actions: ActionLogic, bus: Bus, volumes: VolumeReader | None) -> None:
        self.actions, self.database, self.bus, self.volumes = actions, actions.database, bus, volumes

    async def deliver(self, ctx: RequestContext, events: list[ExternalEvent]) -> list[int]:
        """Pass events on to their servers' hosts, or to those they are on their way to; for each a code: 200, 400 (no tag),
        404 (no server), 422 (no host)."""
        async with self.database.reading() as connection:
            rows = await store.get_many(connection, {event.server_uuid for event in events})
            moving = [row.uuid for row in rows if row.task_state in TASKS]
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
                if event.name == EXTENDED:
                    await self._extended(ctx, event)
                elif event.name not in PORTS_CHANGED:
                    wanted.setdefault(host, []).append(event)
        await asyncio.gather(*(self._send(ctx, host, sent) for host, sent in wanted.items()))
        return codes

    @retried
    async def _tell_conductor(
        self, ctx: RequestContext, rows: Sequence[store.ServerRow], events: list[ExternalEvent]
    ) -> None:
        """What rows know of ports is the conductor's to renew; the message is kept until that is done."""
        changed = {event.server_uuid for event in events if event.name in PORTS_CHANGED}
        placed = sorted(row.uuid for row in rows if row.uuid in changed and row.host is not None)
        if placed:
            async with self.database.transaction() as tx:
                await tx.outbox(ConductorAPI).network_changed(sender(ctx), placed)

    async def _extended(self, ctx: RequestContext, event: ExternalEvent) -> None:
        """An action on the server's host, as users see it in its history: the guest is told of the volume's size."""
        volume_id = event.tag or ""
        try:
            size = (await self.volumes.volume(None, volume_id)).size if self.volumes is not None else 0
            await self._extend(ctx, event.server_uuid, volume_id, size)
        except (errors.NotFound, errors.BadRequest, errors.Conflict) as error:
            logger.warning(
                "volume-extended not delivered", server=event.server_uuid, volume=volume_id, why=error.message
            )

    @retried
    async def _extend(self, ctx: RequestContext, server_id: str, volume_id: str, size: int) -> None:
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, EXTEND)
            devices = (await block_devices.volumes_of(tx.connection, [server_id])).get(server_id, [])
            for device in devices:
                if device.volume_id == volume_id:
                    arguments = {"device": device.uuid, "volume": volume_id, "size": str(size)}
                    await self.actions.send(tx, ctx, row, EXTEND, arguments)
                    return
            raise errors.NotFound(f"Server {server_id} does not have volume {volume_id}")

    async def _send(self, ctx: RequestContext, host: str, events: list[ExternalEvent]) -> None:
        try:
            await self.bus.client(ComputeAPI, host=host).external_events(ctx, events)
        except errors.NoReceiver as error:  # a host that is not there waits for nothing
            logger.warning("external events not delivered", host=host, error=error.message)
        except errors.BusError as error:  # the sender repeats it
            raise errors.ServiceUnavailable(reason=error.message) from error


class ExternalEvents:
    def __init__(self, logic: ExternalEventLogic) -> None:
        self.logic = logic

    async def create(self, call: Call) -> Reply:
        given = (await call.decode(EventsIn)).events
        for item in given:
            if item.name not in SINCE or not at_least(call, SINCE[item.name]):
                raise InvalidInput(reason=f"{item.name!r} is not one of {sorted(SINCE)}")
        events = [
            ExternalEvent(name=e.name, server_uuid=str(uuid.UUID(e.server_uuid)), status=e.status, tag=e.tag)
            for e in given
        ]
        codes = await self.logic.deliver(call.ctx, events)
        items = [
            EventOut(
                name=e.name, server_uuid=e.server_uuid, tag=e.tag, code=code,
                status="completed" if code == 200 else "failed")
            for e, code in zip(given, codes, strict=True)
        ]  # fmt: skip
        return Reply(EventsOut(events=items), status=200 if set(codes) == {200} else 207)


def routes(deps: Deps) -> list[Route]:
    actions = ActionLogic(deps.database, deps.clock, deps.options, deps.events, deps.core.grants)
    events = ExternalEvents(ExternalEventLogic(actions, deps.core.bus, deps.volumes))
    return [
        Route(
            "POST", V + "/os-server-external-events", events.create, RULE, body=EventsIn, reply=EventsOut,
            summary="Report events of other services that concern servers.",
        )
    ]  # fmt: skip


EXTERNAL_EVENTS = Resource(routes, {RULE: ADMIN})
