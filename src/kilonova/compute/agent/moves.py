"""Servers that move: what a host finds out before it takes one, and what it removes of one that is on another host now."""

from __future__ import annotations

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.removal import remove_guest
from kilonova.compute.agent.runner import Host
from kilonova.compute.errors import InvalidState, NotSupported
from kilonova.compute.moves import KINDS, Leg
from kilonova.compute.virt.capabilities import LiveMigrates
from kilonova.compute.virt.driver import STATE_NAMES, VirtError
from kilonova.core import log
from kilonova.core.context import RequestContext

STORAGE = "storage"
"""Among a guest's needs: which storage its disks are on, "" where that is its host's alone."""
logger = log.get("agent")


async def guest_needs(host: Host, server_id: str) -> dict[str, str]:
    """Raises NotSupported and InvalidState."""
    driver = host.driver
    if not isinstance(driver, LiveMigrates):
        raise NotSupported()
    try:
        return await driver.guest_needs(server_id) | {STORAGE: await driver.disks.storage()}
    except VirtError as error:
        logger.warning("guest not to be sent", server=server_id, host=host.name, reason=str(error))
        state = STATE_NAMES[await driver.power_state(server_id)]
        raise InvalidState(action="live-migration", server_id=server_id, attribute="power_state", state=state) from None


async def settled(host: Host, build: models.ServerBuild) -> models.ServerBuild:
    """The build with `shared` decided: where the request did not say so, disks that are here already are on shared storage,
    set aside for this move, or by one that was cut off. To be asked before anything is made here."""
    move, store, uuid = build.move, host.driver.disks, build.server.uuid
    if move is None or move.shared is not None or move.leg not in (Leg.ARRIVE, Leg.RECEIVE):
        return build
    if KINDS[move.kind].live:
        there = await store.storage()
        shared = there != "" and there == move.needs.get(STORAGE) and await store.present(uuid)
    elif KINDS[move.kind].leaves:
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
