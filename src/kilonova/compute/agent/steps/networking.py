"""Steps 11, 16 and 18: ports, their wiring on this host, and the network's event that they work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from kilonova.compute.agent.plugging import must_plug
from kilonova.compute.agent.runner import NetworkNotReady, Operation, OperationStep
from kilonova.compute.models import NetworkRequest, ServerBuild, Vif
from kilonova.compute.vifs import networks_of, vif_of
from kilonova.core import errors
from kilonova.network.client import PortRecord, PortRequest

PLUGGED = "network-vif-plugged"


class Networking(OperationStep):
    """One request makes and binds all new ports; existing ports are bound one by one."""

    async def do(self, operation: Operation) -> None:
        wanted = operation.origin.wanted_ports()
        if not wanted:
            operation.vifs = []
            return
        operation.host.events.expect(operation.uuid, PLUGGED, list(wanted))
        operation.vifs = await operation.host.ask_service(
            lambda: self._connect(operation, wanted), server=operation.uuid
        )
        must_plug(operation.host.driver, operation.vifs)

    async def _connect(self, operation: Operation, wanted: Mapping[str, NetworkRequest]) -> list[Vif]:
        known = {want.network_id for want in wanted.values() if want.port_id is None and want.network_id}
        # both to their end, also when one fails: what was asked for is undone only when it is no longer under way
        around, made = await asyncio.gather(
            networks_of(operation.network, known), self._create(operation, wanted), return_exceptions=True
        )
        if isinstance(made, BaseException):
            raise made
        if isinstance(around, BaseException):
            raise around
        for want in wanted.values():
            if want.port_id is not None:
                made[want.port_id] = await self._bind(operation, want.port_id)
        around |= await networks_of(operation.network, {port.network_id for port in made.values()} - known)
        return [
            vif_of(made[port_id], around, tag=want.tag, created=want.port_id is None, active=False)
            for port_id, want in wanted.items()
        ]

    @staticmethod
    async def _create(operation: Operation, wanted: Mapping[str, NetworkRequest]) -> dict[str, PortRecord]:
        server, spec = operation.build.server, operation.build.spec
        requests = [
            PortRequest(
                id=port_id,
                network_id=want.network_id or "",
                project_id=server.project_id,
                device_id=server.uuid,
                device_owner=owner_of(operation.build),
                host_id=operation.host.name,
                fixed_ips=[{"ip_address": want.fixed_ip}] if want.fixed_ip else msgspec.UNSET,
                security_groups=spec.security_groups or None,
                dns_name=server.hostname,
            )
            for port_id, want in wanted.items()
            if want.port_id is None
        ]
        if not requests:
            return {}
        return {port.id: port for port in await operation.network.create_ports(requests)}

    @staticmethod
    async def _bind(operation: Operation, port_id: str) -> PortRecord:
        port = await operation.network.port(port_id)
        if port.device_id not in ("", operation.uuid):
            raise errors.Conflict(f"Port {port_id} is still in use.")
        name = operation.build.server.hostname
        if not port.device_id and port.dns_name not in ("", name.lower()):
            raise errors.BadRequest(
                f"Port {port_id} not usable for instance {operation.uuid}. Value {port.dns_name} assigned to dns_name "
                f"attribute does not match instance's hostname {name}"
            )
        return await operation.network.bind_port(
            port_id,
            operation.host.name,
            device_id=operation.uuid,
            device_owner=owner_of(operation.build),
            dns_name=name,
        )

    async def undo(self, operation: Operation) -> None:
        if operation.origin.is_new:
            operation.host.events.forget(operation.uuid)
            await operation.origin.leave_ports(operation.host, operation.ctx, operation.vifs)


class Refresh(OperationStep):
    """A guest that starts again gets its ports as they are now."""

    async def do(self, operation: Operation) -> None:
        host = operation.host
        if not operation.vifs:
            return
        found = await host.ask_conductor(
            lambda: host.conductor.network_info(operation.ctx, host.name, operation.uuid), server=operation.uuid
        )
        if found is not None:
            operation.vifs = found
        must_plug(host.driver, operation.vifs)


def owner_of(build: ServerBuild) -> str:
    return f"compute:{build.server.availability_zone or 'nova'}"


class Plug(OperationStep):
    """The network agent of this host has prepared the ports: bridge, leases, filters, default drop first."""

    async def do(self, operation: Operation) -> None:
        if operation.vifs:
            operation.host.events.expect(operation.uuid, PLUGGED, [vif.port_id for vif in operation.vifs])
            await operation.host.ask_service(
                lambda: plug(operation, [vif.port_id for vif in operation.vifs]), server=operation.uuid
            )

    async def undo(self, operation: Operation) -> None:
        if operation.vifs:
            await operation.host.unplug(operation.ctx, operation.uuid, [vif.port_id for vif in operation.vifs])


async def plug(operation: Operation, port_ids: list[str]) -> None:
    await operation.host.wiring.plug(operation.ctx, port_ids)


class Unplug(OperationStep):
    """Wiring, leases and filters are gone from this host; the ports stay."""

    async def do(self, operation: Operation) -> None:
        await operation.host.unplug(operation.ctx, operation.uuid, [vif.port_id for vif in operation.vifs])


class AwaitNetwork(OperationStep):
    """The event may have been lost with the process that delivered it: plugging again makes the network agent send it again."""

    async def do(self, operation: Operation) -> None:
        if not operation.vifs:
            return
        missing = await await_plugged(operation, [vif.port_id for vif in operation.vifs])
        operation.vifs = [msgspec.structs.replace(vif, active=vif.port_id not in missing) for vif in operation.vifs]


async def await_plugged(operation: Operation, port_ids: list[str]) -> list[str]:
    """The ports that did not report in time, where that is not fatal; raises NetworkNotReady."""
    host, options = operation.host, operation.host.options
    until = host.clock.monotonic() + options.vif_plugging_timeout
    while not await host.events.all_there(
        operation.uuid, PLUGGED, min(options.plug_again, until - host.clock.monotonic())
    ):
        if host.clock.monotonic() >= until:
            break
        await host.ask_service(lambda: plug(operation, port_ids), server=operation.uuid)
    failed, missing = host.events.result(operation.uuid, PLUGGED)
    if failed:
        raise NetworkNotReady(f"the network reported a failure for port {', '.join(failed)}")
    if missing and options.vif_plugging_is_fatal:
        raise NetworkNotReady(
            f"no network-vif-plugged within {options.vif_plugging_timeout:g} s for port {', '.join(missing)}"
        )
    return missing
