"""The ports of a server as its host leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from kilonova.compute.models import ServerBuild, Vif
from kilonova.compute.port_ids import made_for, port_id_for, port_id_of
from kilonova.core import errors, log
from kilonova.core.context import RequestContext

if TYPE_CHECKING:
    from kilonova.compute.agent.runner import Host

logger = log.get("agent")


async def release_ports(
    host: Host, ctx: RequestContext, build: ServerBuild, vifs: Sequence[Vif], *, moved: bool = False
) -> None:
    """Delete the ports we made and let go of the user's; works from the request alone when nothing else is known. With
    `moved`, ports that are bound to another host by now stay: their ids are the same there. A port of the request that another
    server has by now may be plugged into this host for it, and stays so."""
    uuid_, wanted = build.server.uuid, build.spec.networks
    given = {want.port_id for want in wanted if want.port_id} | {v.port_id for v in vifs if not v.created}
    ours = {port_id_for(uuid_, n) for n, want in enumerate(wanted) if not want.port_id}
    ours |= {vif.port_id for vif in vifs if vif.created}
    if not given and not ours:
        return
    taps = ours | {vif.port_id for vif in vifs}
    try:
        taps |= await _release(host, build, given, ours, moved=moved)
    except errors.Forbidden as error:  # the conductor removes what stays
        logger.warning("port deletion left to the conductor", server=uuid_, host=host.name, reason=error.message)
    await host.unplug(ctx, uuid_, sorted(taps))


async def release_port(host: Host, build: ServerBuild) -> None:
    """Delete the port that the action's arguments name where we made it, else let go of it, unless another server has it."""
    port_id, server = build.arguments["port"], build.server.uuid
    network = host.network.granted(build.grant)
    if made_for(server, port_id):
        await network.delete_ports([port_id])
        return
    for port in await network.ports(id=[port_id]):
        if port.device_id == server:
            await network.unbind_port(port_id)


async def _release(host: Host, build: ServerBuild, given: set[str], ours: set[str], *, moved: bool) -> set[str]:
    """The ports among them that no other server has, as far as they were looked at."""
    network = host.network.granted(build.grant)
    taps = sorted(given | ours)
    found = await network.ports(id=taps if moved else sorted(given)) if moved or given else []
    elsewhere = {port.id for port in found if moved and port.host_id not in (msgspec.UNSET, "", host.name)}
    await network.delete_ports(sorted(ours - elsewhere))
    for port in found:
        if port.id in given - elsewhere and port.device_id == build.server.uuid:
            await network.unbind_port(port.id)
    return {port.id for port in found if port.device_id in ("", build.server.uuid)}


async def free_ports(host: Host, build: ServerBuild) -> None:
    """The server's ports are bound to this host no more."""
    ids = sorted(vif.port_id for vif in build.server.network_info)
    if not ids:
        return
    network = host.network.granted(build.grant)
    for port in await network.ports(id=ids):
        if port.device_id == build.server.uuid and port.host_id == host.name:
            await network.bind_port(port.id, "", device_id=port.device_id, device_owner=port.device_owner)


async def give_back_ports(host: Host, ctx: RequestContext, build: ServerBuild, source: str) -> None:
    """After a move that failed: the ports are bound to the host they came from, unless another host has them by now. Those of the
    request that another server has by now are left alone."""
    ids = sorted({port_id_of(build.server.uuid, n, want) for n, want in enumerate(build.spec.networks)})
    if not ids:
        return
    network = host.network.granted(build.grant)
    own = [port for port in await network.ports(id=ids) if port.device_id == build.server.uuid]
    for port in own:
        if port.host_id == host.name:
            await network.bind_port(port.id, source, device_id=port.device_id, device_owner=port.device_owner)
    held = {port.id for port in own} | {vif.port_id for vif in build.server.network_info}
    await host.unplug(ctx, build.server.uuid, sorted(held))


async def expect_guest(host: Host, build: ServerBuild, where: str) -> None:
    """Say where the server's guest is about to be, of all its ports; "": it stays."""
    ids = [vif.port_id for vif in build.server.network_info]
    if not ids:
        return
    network = host.network.granted(build.grant)
    for port in await network.ports(id=ids):
        if port.device_id == build.server.uuid:
            await network.expect_guest(port, where)
