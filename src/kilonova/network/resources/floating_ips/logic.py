"""Rules of floating IPs: an address of an external network, and the port that it leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.addresses import parse_address
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import device_owners
from kilonova.network import errors as network_errors
from kilonova.network.hosts.news import News
from kilonova.network.ipam import service_ports
from kilonova.network.ipam.addresses import Want
from kilonova.network.ipam.ranges import parse_address as address_of
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner, shown
from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.resources.base.facts import Guard, Seeing, owned_by
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.base.visible import visible_network, visible_port
from kilonova.network.resources.floating_ips import errors
from kilonova.network.resources.floating_ips.schemas import (
    FloatingIP,
    FloatingIPCreate,
    FloatingIPUpdate,
    Forwarded,
    PortDetails,
)
from kilonova.network.resources.ports import plan as port_plan
from kilonova.network.store import floating_ips as store
from kilonova.network.store import port_forwardings as forwarding_store
from kilonova.network.store import routers as router_store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.floating_ips import FLOATING_IPS, FloatingIPRow
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.port_forwardings import ForwardingRow
from kilonova.network.store.ports import PORTS, PortRow
from kilonova.network.store.routers import PlacedAddress
from kilonova.network.store.subnets import SUBNETS


def _bad(reason: str) -> BadRequest:
    return BadRequest(resource="floatingip", reason=reason)


class FloatingIPLogic(ReadLogic[FloatingIPRow, FloatingIP]):
    objects = FLOATING_IPS
    missing = errors.FloatingIPNotFound

    async def views(self, connection: Connection, rows: Sequence[FloatingIPRow]) -> Sequence[FloatingIP]:
        tags = await tag_store.tags_of(connection, [row.id for row in rows])
        led = await PORTS.by_ids(connection, {row.fixed_port_id for row in rows if row.fixed_port_id})
        forwarding = [row.id for row in rows if row.router_id and not row.fixed_port_id]
        forwarded = await forwarding_store.of_floating_ips(connection, forwarding) if forwarding else {}
        return [
            _view(row, tags.get(row.id, []), led.get(row.fixed_port_id or ""), forwarded.get(row.id, []))
            for row in rows
        ]

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[FloatingIPCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[FloatingIP]:
        """All or none; `guards` holds one for each body."""
        owners = [owner(ctx, body) for body in bodies]
        for project_id, guard in zip(owners, guards, strict=True):
            guard(owned_by(project_id), None)
        async with self.deps.database.transaction() as tx:
            await make_room(self.deps, tx, owners, {FLOATING_IPS: 1})
            made = [
                await self._create(tx, ctx, body, project_id, seeing)
                async for body, project_id in yielding(zip(bodies, owners, strict=True))
            ]
            return await self.views(tx.connection, made)

    async def _create(
        self, tx: Transaction, ctx: RequestContext, body: FloatingIPCreate, project_id: str, seeing: Seeing
    ) -> FloatingIPRow:
        network = await self._network(tx, body, seeing)
        now, floating_ip_id = self.deps.now(), self.deps.clock.uuid()
        port_id, address = await self._address(tx, network, floating_ip_id, body)
        row = {
            "id": floating_ip_id, "project_id": project_id, "name": "", "description": body.description or "",
            "created_at": now, "updated_at": now, "revision_number": 1, "floating_network_id": network.id,
            "floating_ip_address": address, "floating_port_id": port_id, **store.LOOSE,
        }  # fmt: skip
        await FLOATING_IPS.add(tx.connection, [row])
        made = await self._row(tx, floating_ip_id)
        if body.port_id is not None or body.fixed_ip_address is not None:
            await self._lead(tx, ctx, made, body.port_id, body.fixed_ip_address, seeing)
            made = await self._row(tx, floating_ip_id)
        return made

    async def _network(self, tx: Transaction, body: FloatingIPCreate, seeing: Seeing) -> NetworkRow:
        network_id = body.floating_network_id
        network = await visible_network(tx.connection, network_id, seeing)
        if not network.external:
            raise _bad(f"Network {network_id} is not a valid external network")
        subnets = await subnet_store.of_networks(tx.connection, [network_id])
        if not any(subnet.ip_version == 4 for subnet in subnets):
            raise _bad(f"Network {network_id} does not contain any IPv4 subnet")
        return network

    async def _address(
        self, tx: Transaction, network: NetworkRow, floating_ip_id: str, body: FloatingIPCreate
    ) -> tuple[str, str]:
        """The port that holds the address, and the address."""
        address = address_of(body.floating_ip_address, "floating_ip_address") if body.floating_ip_address else None
        if address is not None and address.version != 4:
            raise _bad(f"{address} is not an IPv4 address")
        subnet = await SUBNETS.get(tx.connection, body.subnet_id) if body.subnet_id else None
        if subnet is not None and subnet.network_id == network.id and subnet.ip_version != 4:
            raise _bad(f"Subnet {subnet.id} is not an IPv4 subnet")
        row = service_ports.columns(self.deps, network.id, device_owners.FLOATING_IP, floating_ip_id, status="N/A")
        want = Want(subnet_id=body.subnet_id, address=address, owner=device_owners.FLOATING_IP)
        try:
            given = await service_ports.add(tx, row, [want])
        except network_errors.IpAddressGenerationFailure:
            raise errors.ExternalIpAddressExhausted(network_id=network.id) from None
        return row["id"], given[0]["ip_address"]

    @retried
    async def update(
        self, ctx: RequestContext, floating_ip_id: str, body: FloatingIPUpdate, guard: Guard, seeing: Seeing
    ) -> FloatingIP:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, floating_ip_id, guard, lock=True)
            changes = changes_of(body, ("description",))
            blank = all(getattr(body, name) is UNSET for name in body.__struct_fields__)
            if blank or body.port_id is not UNSET or body.fixed_ip_address is not UNSET:
                port_id = None if isinstance(body.port_id, UnsetType) else body.port_id
                fixed = None if isinstance(body.fixed_ip_address, UnsetType) else body.fixed_ip_address
                await self._lead(tx, ctx, row, port_id, fixed, seeing)
            await FLOATING_IPS.change(tx.connection, floating_ip_id, changes, self.deps.now())
            return (await self.views(tx.connection, [await self._row(tx, floating_ip_id)]))[0]

    @retried
    async def delete(self, ctx: RequestContext, floating_ip_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, floating_ip_id, guard, lock=True)
            if await forwarding_store.of_floating_ips(tx.connection, [floating_ip_id]):
                raise errors.FipInUseByPortForwarding(id=floating_ip_id)
            await FLOATING_IPS.remove(tx.connection, [floating_ip_id])
            await PORTS.remove(tx.connection, [row.floating_port_id])
            await self._announce(tx, ctx, [row])

    async def _lead(
        self,
        tx: Transaction,
        ctx: RequestContext,
        row: FloatingIPRow,
        port_id: str | None,
        fixed: str | None,
        seeing: Seeing,
    ) -> None:
        """To a port's address; to none without a port. One with port forwardings leads to no port as a whole."""
        if port_id is None and fixed is not None:
            raise _bad("fixed_ip_address cannot be specified without a port_id")
        if await forwarding_store.of_floating_ips(tx.connection, [row.id]):
            if port_id is None:
                return
            raise errors.FipInUseByPortForwarding(id=row.id)
        values = dict(store.LOOSE) if port_id is None else await self._target(tx, ctx, row, port_id, fixed, seeing)
        await FLOATING_IPS.change(tx.connection, row.id, values, self.deps.now())
        await self._announce(tx, ctx, [row, await self._row(tx, row.id)])

    async def _target(
        self, tx: Transaction, ctx: RequestContext, row: FloatingIPRow, port_id: str, fixed: str | None, seeing: Seeing
    ) -> dict[str, Any]:
        """The columns of one that leads to this port."""
        port = await visible_port(tx.connection, port_id, seeing)
        if port.project_id != row.project_id and not ctx.is_admin:
            raise _bad(
                f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different project"
            )
        address = await self._fixed(tx, port, fixed)
        other = await store.leads_to(tx.connection, row.floating_network_id, port_id, address.ip_address)
        if other is not None and other.id != row.id:
            raise errors.FloatingIPPortAlreadyAssociated(
                ip_address=row.floating_ip_address, id=row.id, port_id=port_id, fixed_ip=address.ip_address,
                network_id=row.floating_network_id,
            )  # fmt: skip
        router = await router_store.locked_leading_to(tx.connection, address, row.floating_network_id)
        if router is None:
            raise errors.ExternalGatewayForFloatingIPNotFound(
                network_id=row.floating_network_id, subnet_id=address.id, port_id=port_id
            )
        return {
            "fixed_port_id": port_id, "fixed_ip_address": address.ip_address, "router_id": router.id, "status": "ACTIVE",
        }  # fmt: skip

    async def _fixed(self, tx: Transaction, port: PortRow, fixed: str | None) -> PlacedAddress:
        """The port's address with its subnet: the one asked for, or the only one."""
        held = [a for a in await router_store.addresses_of(tx.connection, [port.id]) if a.ip_version == 4]
        if fixed is not None:
            try:
                wanted = parse_address(fixed)
            except ValueError as error:
                raise network_errors.HTTPBadRequest(
                    reason=f"Invalid input for fixed_ip_address. Reason: {error}."
                ) from None
            if wanted.version != 4:
                raise _bad(f"Cannot process floating IP association with {fixed}, since that is not an IPv4 address")
            match = next((address for address in held if address.ip_address == str(wanted)), None)
            if match is None:
                raise _bad(f"Port {port.id} does not have fixed ip {fixed}")
            return match
        if not held:
            raise _bad(f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
        if len(held) > 1:
            raise _bad(
                f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a "
                "floating IP"
            )
        return held[0]

    async def _announce(self, tx: Transaction, ctx: RequestContext, rows: Sequence[FloatingIPRow]) -> None:
        """To the hosts of the routers that they go or went through, and to compute, of the ports that they lead or led to."""
        hosts = await router_store.hosts_of(tx.connection, [row.router_id for row in rows])
        await self.deps.announcer.changed(tx, ctx, hosts, news=News(others=True))
        led = await PORTS.by_ids(tx.connection, {row.fixed_port_id for row in rows if row.fixed_port_id})
        bound = [port for port in led.values() if port.host_id]
        await self.deps.announcer.events(tx, ctx, port_plan.server_events("network-changed", bound))

    async def _row(self, tx: Transaction, floating_ip_id: str) -> FloatingIPRow:
        row = await FLOATING_IPS.get(tx.connection, floating_ip_id)
        if row is None:
            raise errors.FloatingIPNotFound(id=floating_ip_id)
        return row


def _view(
    row: FloatingIPRow, tags: Sequence[str], port: PortRow | None, forwardings: Sequence[ForwardingRow]
) -> FloatingIP:
    details = None
    if port is not None:
        details = PortDetails(**{name: getattr(port, name) for name in PortDetails.__struct_fields__})
    same = ("floating_ip_address", "floating_network_id", "router_id", "fixed_port_id", "fixed_ip_address", "status")
    standard = {name: value for name, value in shown(row, tags).items() if name != "name"}
    return FloatingIP(
        **standard, **{name: getattr(row, name) for name in same}, port_details=details,
        port_forwardings=[Forwarded(**{n: getattr(one, n) for n in Forwarded.__struct_fields__}) for one in forwardings],
    )  # fmt: skip
