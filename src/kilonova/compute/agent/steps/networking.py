"""Steps 11, 16 and 18: ports, their wiring on this host, and the network's word that they work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from kilonova.compute.agent.launch import Host, Launch, LaunchStep, NetworkNotReady
from kilonova.compute.models import FixedIp, NetworkRequest, ServerBuild, SubnetInfo, Vif
from kilonova.compute.port_ids import port_id_for
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.network.agent.model import bridge_name, tap_name
from kilonova.network.client import NetworkRecord, PortRecord, PortRequest, SubnetRecord

PLUGGED = "network-vif-plugged"


class Networking(LaunchStep):
    """One request makes and binds all new ports; existing ports are bound one by one."""

    async def do(self, launch: Launch) -> None:
        wanted = launch.build.spec.networks
        if not wanted:
            launch.vifs = []
            return
        ids = [port_id_of(launch.uuid, n, want) for n, want in enumerate(wanted)]
        launch.host.events.expect(launch.uuid, PLUGGED, ids)
        launch.vifs = await launch.host.patiently(lambda: self._connect(launch, wanted, ids))

    async def _connect(self, launch: Launch, wanted: list[NetworkRequest], ids: list[str]) -> list[Vif]:
        known = {want.network_id for want in wanted if want.port_id is None and want.network_id}
        # both to their end, also when one fails: what was asked for is undone only when it is no longer under way
        around, made = await asyncio.gather(
            _networks(launch.host, known), self._create(launch, wanted, ids), return_exceptions=True
        )
        if isinstance(made, BaseException):
            raise made
        if isinstance(around, BaseException):
            raise around
        for want in wanted:
            if want.port_id is not None:
                made[want.port_id] = await self._bind(launch, want.port_id)
        around |= await _networks(launch.host, {port.network_id for port in made.values()} - known)
        return [_vif(made[i], around[made[i].network_id], want) for i, want in zip(ids, wanted, strict=True)]

    @staticmethod
    async def _create(launch: Launch, wanted: list[NetworkRequest], ids: list[str]) -> dict[str, PortRecord]:
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
            for want, port_id in zip(wanted, ids, strict=True)
            if want.port_id is None
        ]
        if not requests:
            return {}
        return {port.id: port for port in await launch.host.network.create_ports(requests)}

    @staticmethod
    async def _bind(launch: Launch, port_id: str) -> PortRecord:
        port = await launch.host.network.port(port_id)
        if port.device_id not in ("", launch.uuid):
            raise errors.Conflict(f"Port {port_id} is still in use.")
        return await launch.host.network.bind_port(
            port_id, launch.host.name, device_id=launch.uuid, device_owner=_owner(launch.build)
        )

    async def undo(self, launch: Launch) -> None:
        if launch.is_new():
            launch.host.events.forget(launch.uuid)
            leave = release_ports if launch.build.evacuation is None else give_back_ports
            await leave(launch.host, launch.ctx, launch.build, launch.vifs, moved=True)


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
    found = await host.network.ports(id=taps if moved else sorted(given)) if moved or given else []
    elsewhere = {port.id for port in found if moved and port.host_id not in (msgspec.UNSET, "", host.name)}
    await host.network.delete_ports(sorted(ours - elsewhere))
    for port in found:
        if port.id in given - elsewhere and port.device_id == uuid_:
            await host.network.unbind_port(port.id)
    await host.wiring.unplug(ctx, taps)


async def give_back_ports(
    host: Host, ctx: RequestContext, build: ServerBuild, vifs: Sequence[Vif], *, moved: bool = True
) -> None:
    """After an evacuation that failed: the ports are bound where they were, unless another host has them by now."""
    ids = sorted({port_id_of(build.server.uuid, n, want) for n, want in enumerate(build.spec.networks)})
    if not ids:
        return
    for port in await host.network.ports(id=ids):
        if port.device_id == build.server.uuid and port.host_id == host.name and build.evacuation is not None:
            await host.network.bind_port(
                port.id, build.evacuation.source, device_id=port.device_id, device_owner=port.device_owner
            )
    await host.wiring.unplug(ctx, ids)


def port_id_of(server_uuid: str, index: int, want: NetworkRequest) -> str:
    """The id of a server's port: the user's, or the one we make."""
    return want.port_id or port_id_for(server_uuid, index)


Network = tuple[NetworkRecord, dict[str, SubnetRecord]]


async def _networks(host: Host, ids: set[str]) -> dict[str, Network]:
    """By id, with their subnets."""
    if not ids:
        return {}
    asked = sorted(ids)
    networks, subnets = await asyncio.gather(host.network.networks(id=asked), host.network.subnets(network_id=asked))
    return {n.id: (n, {s.id: s for s in subnets if s.network_id == n.id}) for n in networks}


def _vif(port: PortRecord, around: Network, want: NetworkRequest) -> Vif:
    network, subnets = around
    return Vif(
        port_id=port.id,
        network_id=network.id,
        network_name=network.name,
        mac_address=port.mac_address,
        fixed_ips=[FixedIp(address=ip.ip_address, subnet=_subnet(subnets[ip.subnet_id])) for ip in port.fixed_ips],
        mtu=network.mtu,
        tap=tap_name(port.id),
        bridge=bridge_name(network.id),
        tag=want.tag,
        created=want.port_id is None,
    )


def _subnet(subnet: SubnetRecord) -> SubnetInfo:
    return SubnetInfo(
        id=subnet.id,
        cidr=subnet.cidr,
        ip_version=subnet.ip_version,
        gateway_ip=subnet.gateway_ip,
        enable_dhcp=subnet.enable_dhcp,
        dns_nameservers=list(subnet.dns_nameservers),
        host_routes=[(route.destination, route.nexthop) for route in subnet.host_routes],
    )


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
