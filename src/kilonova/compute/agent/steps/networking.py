"""Steps 11, 16 and 18: ports, their wiring on this host, and the network's word that they work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from kilonova.compute.agent.launch import Launch, LaunchStep, NetworkNotReady
from kilonova.compute.agent.plugging import must_plug
from kilonova.compute.models import NetworkRequest, ServerBuild, Vif
from kilonova.compute.vifs import networks_of, vif_of
from kilonova.core import errors
from kilonova.network.client import PortRecord, PortRequest

PLUGGED = "network-vif-plugged"


class Networking(LaunchStep):
    """One request makes and binds all new ports; existing ports are bound one by one."""

    async def do(self, launch: Launch) -> None:
        wanted = launch.origin.wanted_ports()
        if not wanted:
            launch.vifs = []
            return
        launch.host.events.expect(launch.uuid, PLUGGED, list(wanted))
        launch.vifs = await launch.host.patiently(lambda: self._connect(launch, wanted))
        must_plug(launch.host.driver, launch.vifs)

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
            await launch.origin.leave_ports(launch.host, launch.ctx, launch.vifs)


class Refresh(LaunchStep):
    """What a guest that comes up again is told of its ports is what they are now."""

    async def do(self, launch: Launch) -> None:
        host = launch.host
        if not launch.vifs:
            return
        found = await host.until_heard(lambda: host.conductor.network_info(launch.ctx, host.name, launch.uuid))
        if found is not None:
            launch.vifs = found
        must_plug(host.driver, launch.vifs)


def _owner(build: ServerBuild) -> str:
    return f"compute:{build.server.availability_zone or 'nova'}"


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
