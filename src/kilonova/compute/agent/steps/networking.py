"""Steps 11, 16 and 18: ports, their wiring on this host, and the network's word that they work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from kilonova.compute.agent.launch import Host, Launch, LaunchStep, NetworkNotReady
from kilonova.compute.models import NetworkRequest, ServerBuild, Vif
from kilonova.compute.port_ids import port_id_for, port_id_of
from kilonova.compute.vifs import networks_of, vif_of
from kilonova.core import errors, log
from kilonova.core.context import RequestContext
from kilonova.network.client import PortRecord, PortRequest

PLUGGED = "network-vif-plugged"
logger = log.get("agent")


class Networking(LaunchStep):
    """One request makes and binds all new ports; existing ports are bound one by one."""

    async def do(self, launch: Launch) -> None:
        wanted = _wanted(launch.build)
        if not wanted:
            launch.vifs = []
            return
        launch.host.events.expect(launch.uuid, PLUGGED, list(wanted))
        launch.vifs = await launch.host.patiently(lambda: self._connect(launch, wanted))

    async def _connect(self, launch: Launch, wanted: Mapping[str, NetworkRequest]) -> list[Vif]:
        known = {want.network_id for want in wanted.values() if want.port_id is None and want.network_id}
        # both to their end, also when one fails: what was asked for is undone only when it is no longer under way
        around, made = await asyncio.gather(
            networks_of(launch.network, known), self._create(launch, wanted), return_exceptions=True
        )
        if isinstance(made, BaseException):
            raise made
        if isinstance(around, BaseException):
            raise around
        for want in wanted.values():
            if want.port_id is not None:
                made[want.port_id] = await self._bind(launch, want.port_id)
        around |= await networks_of(launch.network, {port.network_id for port in made.values()} - known)
        return [
            vif_of(made[port_id], around, tag=want.tag, created=want.port_id is None, active=False)
            for port_id, want in wanted.items()
        ]

    @staticmethod
    async def _create(launch: Launch, wanted: Mapping[str, NetworkRequest]) -> dict[str, PortRecord]:
        server, spec = launch.build.server, launch.build.spec
        requests = [
            PortRequest(
                id=port_id,
                network_id=want.network_id or "",
                project_id=server.project_id,
                device_id=server.uuid,
                device_owner=_owner(launch.build),
                host_id=launch.host.name,
                fixed_ips=[{"ip_address": want.fixed_ip}] if want.fixed_ip else msgspec.UNSET,
                security_groups=spec.security_groups or None,
                dns_name=server.hostname,
            )
            for port_id, want in wanted.items()
            if want.port_id is None
        ]
        if not requests:
            return {}
        return {port.id: port for port in await launch.network.create_ports(requests)}

    @staticmethod
    async def _bind(launch: Launch, port_id: str) -> PortRecord:
        port = await launch.network.port(port_id)
        if port.device_id not in ("", launch.uuid):
            raise errors.Conflict(f"Port {port_id} is still in use.")
        return await launch.network.bind_port(
            port_id, launch.host.name, device_id=launch.uuid, device_owner=_owner(launch.build)
        )

    async def undo(self, launch: Launch) -> None:
        if launch.is_new():
            launch.host.events.forget(launch.uuid)
            leave = release_ports if launch.build.evacuation is None else give_back_ports
            await leave(launch.host, launch.ctx, launch.build, launch.vifs, moved=True)


def _wanted(build: ServerBuild) -> dict[str, NetworkRequest]:
    """Port → what was asked for. Of a server that comes from a dead host only the ports it still has: a user may have deleted
    one since."""
    every = {port_id_of(build.server.uuid, n, want): want for n, want in enumerate(build.spec.networks)}
    if build.evacuation is None:
        return every
    kept = {vif.port_id for vif in build.server.network_info}
    return {port_id: want for port_id, want in every.items() if port_id in kept}


class Refresh(LaunchStep):
    """What a guest that comes up again is told of its ports is what they are now."""

    async def do(self, launch: Launch) -> None:
        host = launch.host
        if not launch.vifs:
            return
        found = await host.until_heard(lambda: host.conductor.network_info(launch.ctx, host.name, launch.uuid))
        if found is not None:
            launch.vifs = found


def _owner(build: ServerBuild) -> str:
    return f"compute:{build.server.availability_zone or 'nova'}"


async def release_ports(
    host: Host, ctx: RequestContext, build: ServerBuild, vifs: Sequence[Vif], *, moved: bool = False
) -> None:
    """Delete the ports we made and let go of the user's; works from the request alone when nothing else is known. With
    `moved`, ports that are bound to another host by now stay: their ids are the same there."""
    uuid_, wanted = build.server.uuid, build.spec.networks
    given = {want.port_id for want in wanted if want.port_id} | {v.port_id for v in vifs if not v.created}
    ours = {port_id_for(uuid_, n) for n, want in enumerate(wanted) if not want.port_id}
    ours |= {vif.port_id for vif in vifs if vif.created}
    if not given and not ours:
        return
    taps = sorted(given | ours)
    try:
        await _release(host, build, given, ours, moved=moved)
    except errors.Forbidden as error:  # the conductor removes what stays
        logger.warning("ports left to the conductor", server=uuid_, host=host.name, reason=error.message)
    await host.wiring.unplug(ctx, taps)


async def _release(host: Host, build: ServerBuild, given: set[str], ours: set[str], *, moved: bool) -> None:
    network = host.network.granted(build.grant)
    taps = sorted(given | ours)
    found = await network.ports(id=taps if moved else sorted(given)) if moved or given else []
    elsewhere = {port.id for port in found if moved and port.host_id not in (msgspec.UNSET, "", host.name)}
    await network.delete_ports(sorted(ours - elsewhere))
    for port in found:
        if port.id in given - elsewhere and port.device_id == build.server.uuid:
            await network.unbind_port(port.id)


async def give_back_ports(
    host: Host, ctx: RequestContext, build: ServerBuild, vifs: Sequence[Vif], *, moved: bool = True
) -> None:
    """After an evacuation that failed: the ports are bound where they were, unless another host has them by now."""
    ids = sorted({port_id_of(build.server.uuid, n, want) for n, want in enumerate(build.spec.networks)})
    if not ids:
        return
    network = host.network.granted(build.grant)
    for port in await network.ports(id=ids):
        if port.device_id == build.server.uuid and port.host_id == host.name and build.evacuation is not None:
            await network.bind_port(
                port.id, build.evacuation.source, device_id=port.device_id, device_owner=port.device_owner
            )
    await host.wiring.unplug(ctx, ids)


class Plug(LaunchStep):
    """The network agent of this host stands ready: bridge, leases, filters, default drop first."""

    async def do(self, launch: Launch) -> None:
        if launch.vifs:
            launch.host.events.expect(launch.uuid, PLUGGED, [vif.port_id for vif in launch.vifs])
            await launch.host.patiently(lambda: _plug(launch))

    async def undo(self, launch: Launch) -> None:
        if launch.vifs:
            await launch.host.wiring.unplug(launch.ctx, [vif.port_id for vif in launch.vifs])


async def _plug(launch: Launch) -> None:
    await launch.host.wiring.plug(launch.ctx, [vif.port_id for vif in launch.vifs])


class Unplug(LaunchStep):
    """Wiring, leases and filters are gone from this host; the ports stay."""

    async def do(self, launch: Launch) -> None:
        await launch.host.wiring.unplug(launch.ctx, [vif.port_id for vif in launch.vifs])


class AwaitNetwork(LaunchStep):
    """The word may have been lost with whoever carried it: to plug again makes the network agent say it once more."""

    async def do(self, launch: Launch) -> None:
        host, options = launch.host, launch.host.options
        if not launch.vifs:
            return
        until = host.clock.monotonic() + options.vif_plugging_timeout
        while not await host.events.all_there(
            launch.uuid, PLUGGED, min(options.plug_again, until - host.clock.monotonic())
        ):
            if host.clock.monotonic() >= until:
                break
            await host.patiently(lambda: _plug(launch))
        failed, missing = host.events.result(launch.uuid, PLUGGED)
        if failed:
            raise NetworkNotReady(f"the network reported a failure for port {', '.join(failed)}")
        if missing and options.vif_plugging_is_fatal:
            raise NetworkNotReady(
                f"no network-vif-plugged within {options.vif_plugging_timeout:g} s for port {', '.join(missing)}"
            )
        launch.vifs = [msgspec.structs.replace(vif, active=vif.port_id not in missing) for vif in launch.vifs]
