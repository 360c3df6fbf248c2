"""Servers that move: what a host finds out before it takes one, and what it removes of one that is on another host now."""

from __future__ import annotations

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.removal import remove_guest
from kilonova.compute.agent.runner import Host
from kilonova.compute.moves import KINDS, Leg
from kilonova.core import log
from kilonova.core.context import RequestContext

logger = log.get("agent")


async def settled(host: Host, build: models.ServerBuild) -> models.ServerBuild:
    """The build with `shared` decided: where the request did not say so, disks that are here already are on shared storage,
    set aside for this move, or by one that was cut off. To be asked before anything is made here."""
    move, store, uuid = build.move, host.driver.disks, build.server.uuid
    if move is None or move.shared is not None or move.leg != Leg.ARRIVE:
        return build
    if KINDS[move.kind].leaves:
        shared = await store.is_aside(uuid, move.migration)
    else:
        await store.put_back(uuid)
        shared = await store.present(uuid)
    return msgspec.structs.replace(build, move=msgspec.structs.replace(move, shared=shared))


async def forget(host: Host, ctx: RequestContext, gone: models.Departed) -> None:
    """A server that is on another host now: its guest, wiring, disks (unless the other host uses them) and open runs go from
    here. The ports are the other host's. Of one that left with its disks, what was set aside goes, too; nothing else does of one
    that is here again."""
    uuid = gone.server_uuid
    if gone.aside:
        await host.driver.disks.drop_aside(uuid, gone.migration)
    if gone.aside and gone.here:
        await host.ask_conductor(lambda: host.conductor.departure_done(ctx, gone.migration))
        return
    logger.warning(
        "removing leftovers of a server that moved to another host", server=uuid, host=host.name, shared=gone.shared
    )
    await remove_guest(host, uuid)
    if gone.port_ids:
        await host.unplug(ctx, gone.server_uuid, gone.port_ids)
    if not gone.shared:
        await host.driver.disks.remove(uuid)
    for name, run in host.journal.unfinished(host.name).items():
        if run.build.server.uuid == uuid:
            host.journal.close_run(host.name, name)
    await host.ask_conductor(lambda: host.conductor.departure_done(ctx, gone.migration))


async def departed(host: Host, ctx: RequestContext) -> list[models.Departed]:
    return await host.ask_conductor(lambda: host.conductor.departed_servers(ctx, host.name))
