"""Giving a server an interface and taking one from it: what is done before its host has it.

To attach: the wish is written into the server's spec, from which the id of a port that compute makes is derived; the port is
made or bound; the row gets the interface, and its host the message, in one transaction. A process that dies in between leaves at
most a port that the server does not have, which the conductor removes (conductor/ports.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.models import NetworkRequest, Vif
from kilonova.compute.peers import NetworkAccess
from kilonova.compute.port_ids import MOST, made_for, port_id_of
from kilonova.compute.resources.server_actions import errors as action_errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state
from kilonova.compute.resources.server_interfaces import errors
from kilonova.compute.resources.servers import errors as launch_errors
from kilonova.compute.resources.servers.launch.network import resolve_networks
from kilonova.compute.resources.servers.logic import owned
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import conductor_servers, request_specs
from kilonova.compute.store import servers as store
from kilonova.compute.store.records import vifs
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.vifs import networks_of, vif_of
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.core.errors import BadRequest, Conflict, Forbidden, KilonovaError, NotFound
from kilonova.network.client import PortRecord, PortRequest

ATTACH, DETACH = "attach_interface", "detach_interface"
PATIENCE = 60.0  # seconds that a request waits for the host; what takes longer goes on
LOOKS = (0.02, 1.0)  # seconds between two looks at first, and at most
STATUS: dict[type[KilonovaError], type[KilonovaError]] = {
    launch_errors.UnknownPort: NotFound,
    launch_errors.UnknownNetwork: NotFound,
    launch_errors.NetworkAmbiguous: BadRequest,
    launch_errors.FixedIpInUse: Conflict,
}
"""What a launch refuses with another status."""
REFUSALS: dict[str, type[KilonovaError]] = {
    "IpAddressInUse": Conflict, "MacAddressInUse": Conflict, "OverQuota": Forbidden, "PortNotFound": NotFound,
    "NetworkNotFound": NotFound,
}  # fmt: skip
"""The network service's kinds of refusals, as they are answered; all others are bad requests."""


class InterfaceLogic:
    def __init__(self, actions: ActionLogic, networks: NetworkAccess) -> None:
        self.actions, self.networks = actions, networks
        self.database, self.clock = actions.database, actions.clock

    async def attach(self, ctx: RequestContext, server_id: str, asked: NetworkRequest, *, external: bool) -> str:
        """The port's id, when the host has plugged it in. `external`: the caller may use external networks."""
        row = await self._may(ctx, server_id)
        wanted = await self._resolve(ctx, row, asked, external=external)
        port_id = await self._record(ctx, server_id, wanted)
        try:
            vif = await self._connect(row, wanted, port_id)
            await self._hand_over(ctx, row, vif)
        except KilonovaError:
            await self._take_back(ctx, row, port_id)
            raise
        await self._ended(ctx, row.uuid)
        return port_id

    @retried
    async def detach(self, ctx: RequestContext, server_id: str, port_id: str) -> None:
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, DETACH)
            for vif in vifs(row.network_info):
                if vif.port_id == port_id:
                    await self.actions.send(tx, ctx, row, DETACH, _arguments(vif))
                    return
            raise errors.InterfaceNotFound(port_id=port_id, server_id=server_id)

    async def _may(self, ctx: RequestContext, server_id: str) -> ServerRow:
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id)
            check_lock(ctx, row)
            check_state(row, self.actions.known(ATTACH))
            if row.host is None:
                raise action_errors.NotReady(server_id=server_id)
            if not await self.actions.is_up(connection, row.host):
                raise action_errors.HostUnreachable(server_id=server_id)
        return row

    async def _resolve(
        self, ctx: RequestContext, row: ServerRow, asked: NetworkRequest, *, external: bool
    ) -> NetworkRequest:
        """With its network, as the caller may see it."""
        named = asked.network_id or asked.port_id
        try:
            found = await resolve_networks(self.networks, ctx, [asked] if named else None, external=external)
        except KilonovaError as error:
            status = STATUS.get(type(error))
            if status is None:
                raise
            raise status(error.message) from None
        if not found:
            raise errors.NoNetwork(project_id=row.project_id)
        if asked.port_id and (await self.networks.ports(ctx, id=[asked.port_id]))[0].project_id != row.project_id:
            raise errors.PortNotUsable(port_id=asked.port_id, server_id=row.uuid)
        return msgspec.structs.replace(found[0], tag=asked.tag)

    @retried
    async def _record(self, ctx: RequestContext, server_id: str, wanted: NetworkRequest) -> str:
        """The port's id: the user's, or that of the one to make."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, ATTACH)
            spec = await request_specs.get(tx.connection, row.uuid)
            if spec is None:
                raise action_errors.NotReady(server_id=server_id)
            place = _place(row, spec.networks)
            spec.networks[place : place + 1] = [wanted]
            await request_specs.save(tx.connection, row.uuid, spec)
        return port_id_of(row.uuid, place, wanted)

    async def _connect(self, row: ServerRow, wanted: NetworkRequest, port_id: str) -> Vif:
        """The port is there, bound to the server's host."""
        try:
            port = await self._port(row, wanted, port_id)
        except KilonovaError as error:
            if error.status >= 500:
                raise
            raise REFUSALS.get(error.params.get("type", ""), BadRequest)(error.message) from None
        networks = await networks_of(self.networks, [port.network_id])
        return vif_of(port, networks, tag=wanted.tag, created=wanted.port_id is None, active=False)

    async def _port(self, row: ServerRow, wanted: NetworkRequest, port_id: str) -> PortRecord:
        owner = f"compute:{row.availability_zone or 'nova'}"
        if wanted.port_id is not None:
            return await self.networks.bind_port(port_id, row.host or "", device_id=row.uuid, device_owner=owner)
        request = PortRequest(
            id=port_id, network_id=wanted.network_id or "", project_id=row.project_id, device_id=row.uuid,
            device_owner=owner, host_id=row.host or "", dns_name=row.hostname,
            fixed_ips=[{"ip_address": wanted.fixed_ip}] if wanted.fixed_ip else msgspec.UNSET,
        )  # fmt: skip
        return (await self.networks.create_ports([request]))[0]

    @retried
    async def _hand_over(self, ctx: RequestContext, asked: ServerRow, vif: Vif) -> None:
        """Raises InvalidState for a server that something else was begun with meanwhile, NotReady for one that was moved."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, asked.uuid, lock=True)
            check_state(row, self.actions.known(ATTACH))
            if row.host != asked.host:
                raise action_errors.NotReady(server_id=row.uuid)
            known = [held for held in vifs(row.network_info) if held.port_id != vif.port_id]
            values: dict[str, Any] = {"network_info": msgspec.to_builtins([*known, vif])}
            await store.change(tx.connection, row.uuid, values, self.clock.row_time())
            await self.actions.send(tx, ctx, row, ATTACH, _arguments(vif))

    async def _take_back(self, ctx: RequestContext, row: ServerRow, port_id: str) -> None:
        if made_for(row.uuid, port_id):
            await self.networks.delete_ports([port_id])
        elif any(port.device_id == row.uuid for port in await self.networks.ports(id=[port_id])):
            await self.networks.unbind_port(port_id)
        await self._failed(ctx, row.uuid)

    @retried
    async def _failed(self, ctx: RequestContext, uuid: str) -> None:
        async with self.database.transaction() as tx:
            await conductor_servers.finish_actions(
                tx.connection, [uuid], [ATTACH], self.clock.row_time(), request_id=ctx.request_id, message="Error"
            )

    async def _ended(self, ctx: RequestContext, uuid: str) -> None:
        """Raises AttachFailed when the host could not do it."""
        pause, most = LOOKS
        until = self.clock.monotonic() + PATIENCE
        while self.clock.monotonic() < until:
            async with self.database.reading() as connection:
                record = await action_store.of_request(connection, uuid, ctx.request_id)
            if record is not None and record.finished_at is not None:
                if record.message is not None:
                    raise errors.AttachFailed(server_id=uuid)
                return
            await self.clock.sleep(pause)
            pause = min(pause * 2, most)


def _place(row: ServerRow, networks: list[models.NetworkRequest]) -> int:
    """Where a new wish goes, as a port's id is derived from its place: behind the others, or where one was whose port the server
    has no more."""
    if len(networks) < MOST:
        return len(networks)
    held = {vif.port_id for vif in vifs(row.network_info)}
    for place, want in enumerate(networks):
        if port_id_of(row.uuid, place, want) not in held:
            return place
    raise errors.TooManyInterfaces(server_id=row.uuid, most=MOST)


def _arguments(vif: Vif) -> dict[str, str]:
    return {"port": vif.port_id, "mac": vif.mac_address}
