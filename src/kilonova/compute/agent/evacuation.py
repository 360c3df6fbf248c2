"""Servers that change their host because one is dead: what the new host leaves when it fails, and what the old one
removes when it returns."""

from __future__ import annotations

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.launch import Host
from kilonova.compute.agent.steps.networking import give_back_ports
from kilonova.core import log
from kilonova.core.context import RequestContext

logger = log.get("agent")


async def settled(host: Host, build: models.ServerBuild) -> models.ServerBuild:
    """The build with `shared` decided: where nobody said so, disks that are here already are on shared storage. To be
    asked before anything is made here."""
    evacuation = build.evacuation
    if evacuation is None or evacuation.shared is not None:
        return build
    shared = await host.driver.disks.present(build.server.uuid)
    return msgspec.structs.replace(build, evacuation=msgspec.structs.replace(evacuation, shared=shared))


async def leave(host: Host, ctx: RequestContext, build: models.ServerBuild) -> None:
    """All that an evacuation to this host made, gone: guest, wiring, disks unless they are shared; the ports are bound to
    the old host again. Raises when something could not be removed."""
    uuid = build.server.uuid
    host.events.forget(uuid)
    await host.driver.destroy(uuid)
    await host.driver.undefine(uuid)
    await give_back_ports(host, ctx, build, [])
    if build.evacuation is not None and build.evacuation.shared is False:
        await host.driver.disks.remove(uuid)


async def forget(host: Host, ctx: RequestContext, gone: models.Departed) -> None:
    """A server that lives elsewhere now: its guest, wiring, disks (unless the other host uses them) and open runs go from
    here. The ports are the other host's."""
    uuid = gone.server_uuid
    logger.warning("removing what is left of an evacuated server", server=uuid, host=host.name, shared=gone.shared)
    await host.driver.destroy(uuid)
    await host.driver.undefine(uuid)
    if gone.port_ids:
        await host.wiring.unplug(ctx, gone.port_ids)
    if not gone.shared:
        await host.driver.disks.remove(uuid)
    for name, run in host.journal.unfinished(host.name).items():
        if run.build.server.uuid == uuid:
            host.journal.close_run(host.name, name)
    await host.until_heard(lambda: host.conductor.departure_done(ctx, gone.migration))


async def departed(host: Host, ctx: RequestContext) -> list[models.Departed]:
    return await host.until_heard(lambda: host.conductor.departed_servers(ctx, host.name))
