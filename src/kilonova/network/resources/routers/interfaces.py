"""A router's interfaces: its ports on projects' networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET

from kilonova.core.addresses import parse_address, parse_network
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.network import device_owners
from kilonova.network import errors as network_errors
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.ipam import service_ports
from kilonova.network.ipam.addresses import Want
from kilonova.network.resources.base.facts import Seeing, facts
from kilonova.network.resources.base.visible import visible_port
from kilonova.network.resources.routers import errors, plan
from kilonova.network.resources.routers.schemas import Interface, InterfaceIn
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import ports as port_store
from kilonova.network.store import routers as store
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.ports import PORTS, PortRow
from kilonova.network.store.routers import RouterRow
from kilonova.network.store.subnets import SUBNETS, SubnetRow

Bad = errors.BadRequest


class Interfaces:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def add(
        self, tx: Transaction, ctx: RequestContext, router: RouterRow, asked: InterfaceIn, seeing: Seeing
    ) -> Interface:
        subnet_id, port_id = _read(asked)
        if subnet_id and port_id:
            raise Bad(resource="router", reason="Cannot specify both subnet-id and port-id")
        if port_id:
            return await self._add_port(tx, ctx, router, port_id, seeing)
        return await self._add_subnet(tx, ctx, router, subnet_id, seeing)

    async def _add_subnet(
        self, tx: Transaction, ctx: RequestContext, router: RouterRow, subnet_id: str, seeing: Seeing
    ) -> Interface:
        subnet = await self._subnet(tx, subnet_id, seeing)
        if not subnet.gateway_ip:
            raise Bad(resource="router", reason="Subnet for router interface must have a gateway IP")
        if subnet.project_id != ctx.project_id and not ctx.is_admin:
            reason = (
                f"Cannot add interface to router because subnet {subnet_id} is not owned by project making the request"
            )
            raise Bad(resource="router", reason=reason)
        _check_advertised(subnet)
        await plan.check_subnets(tx.connection, router.id, [subnet])
        want = Want(subnet_id=subnet.id, address=parse_address(subnet.gateway_ip))
        beside = await self._ipv6_port(tx, router, subnet.network_id) if subnet.ip_version == 6 else None
        if beside is not None:
            await service_ports.add_address(tx, beside, want)
            return _view(router, beside.id, subnet.network_id, [subnet.id])
        row = service_ports.columns(
            self.deps, subnet.network_id, device_owners.INTERFACE, router.id, project_id=router.project_id
        )
        await service_ports.add(tx, row, [want])
        await store.add_port(tx.connection, router.id, row["id"], device_owners.INTERFACE)
        return _view(router, row["id"], subnet.network_id, [subnet.id])

    async def _ipv6_port(self, tx: Transaction, router: RouterRow, network_id: str) -> PortRow | None:
        """The router's interface that has the network's IPv6 addresses: one has all of them, as one is advertised on."""
        ports = (await store.ports_of(tx.connection, [router.id])).get(router.id, [])
        held = {p.id: p for p in ports if (p.network_id, p.owner) == (network_id, device_owners.INTERFACE)}
        addresses = await store.addresses_of(tx.connection, list(held))
        return next((held[a.port_id] for a in addresses if a.ip_version == 6), None)

    async def _add_port(
        self, tx: Transaction, ctx: RequestContext, router: RouterRow, port_id: str, seeing: Seeing
    ) -> Interface:
        port = await visible_port(tx.connection, port_id, seeing)
        if port.device_id or await store.router_of_port(tx.connection, port_id):
            raise errors.PortInUse(id=port_id, network_id=port.network_id, device_id=port.device_id)
        held = await store.addresses_of(tx.connection, [port_id])
        if not held:
            raise Bad(resource="router", reason="Router port must have at least one fixed IP")
        if sum(1 for subnet in held if subnet.ip_version == 4) > 1:
            raise Bad(resource="router", reason="Cannot have multiple IPv4 subnets on router port")
        for subnet in held:
            _check_advertised(subnet)
        if any(subnet.ip_version == 6 for subnet in held):
            beside = await self._ipv6_port(tx, router, port.network_id)
            if beside is not None:
                reason = (
                    f"Router already contains IPv6 port {beside.id} belonging to network id {port.network_id}. Only one IPv6 "
                    "port from the same network subnet can be connected to a router."
                )
                raise Bad(resource="router", reason=reason)
        await plan.check_subnets(tx.connection, router.id, held)
        values = {"device_id": router.id, "device_owner": device_owners.INTERFACE, "port_security_enabled": False}
        await port_store.set_groups(tx.connection, port_id, [])
        await PORTS.change(tx.connection, port_id, values, self.deps.now())
        await store.add_port(tx.connection, router.id, port_id, device_owners.INTERFACE)
        return _view(router, port_id, port.network_id, [subnet.id for subnet in held])

    async def remove(
        self, tx: Transaction, router: RouterRow, asked: InterfaceIn, seeing: Seeing
    ) -> tuple[Interface, overlay.Bound]:
        """The port goes too; what left which host."""
        subnet_id, port_id = _read(asked)
        if subnet_id:
            await self._subnet(tx, subnet_id, seeing)
        held = [
            port
            for port in (await store.ports_of(tx.connection, [router.id])).get(router.id, [])
            if port.owner == device_owners.INTERFACE
        ]
        on: dict[str, list[str]] = {port.id: [] for port in held}
        for address in await store.addresses_of(tx.connection, list(on)):
            on[address.port_id].append(address.id)
        if port_id and port_id not in on:
            raise errors.RouterInterfaceNotFound(id=router.id, port_id=port_id)
        if port_id and subnet_id and subnet_id not in on[port_id]:
            raise errors.SubnetMismatchForPort(port_id=port_id, subnet_id=subnet_id)
        found = port_id or next((id for id, joined in on.items() if subnet_id in joined), "")
        if not found:
            raise errors.RouterInterfaceNotFoundForSubnet(id=router.id, subnet_id=subnet_id)
        port = next(port for port in held if port.id == found)
        if subnet_id and not port_id and len(on[found]) > 1:
            await self._check_unused(tx, router, [subnet_id])
            await port_store.take_addresses(tx.connection, found, subnet_id)
            return _view(router, found, port.network_id, [subnet_id]), Counter()
        await self._check_unused(tx, router, on[found])
        await PORTS.remove(tx.connection, [found])
        return _view(router, found, port.network_id, on[found]), Counter({(port.network_id, port.host_id): -1})

    async def _check_unused(self, tx: Transaction, router: RouterRow, subnet_ids: Sequence[str]) -> None:
        for subnet_id, subnet in (await SUBNETS.by_ids(tx.connection, subnet_ids)).items():
            if await floating_store.any_through(tx.connection, router.id, [subnet_id]):
                raise errors.RouterInterfaceInUseByFloatingIP(id=router.id, subnet_id=subnet_id)
            prefix = parse_network(subnet.cidr)
            hops = [parse_address(nexthop) for _, nexthop in router.routes]
            if any(hop.version == prefix.version and hop in prefix for hop in hops):
                raise errors.RouterInterfaceInUseByRoute(id=router.id, subnet_id=subnet_id)

    async def _subnet(self, tx: Transaction, subnet_id: str, seeing: Seeing) -> SubnetRow:
        missing = network_errors.SubnetNotFound(id=subnet_id)
        subnet = await SUBNETS.get(tx.connection, subnet_id)
        if subnet is None:
            raise missing
        network = await NETWORKS.get(tx.connection, subnet.network_id, lock=True)
        seeing.subnet(facts(subnet, network), missing)
        return subnet


def _check_advertised(subnet: SubnetRow) -> None:
    """Another router's advertisements are none of ours."""
    if subnet.ip_version == 6 and subnet.ipv6_ra_mode is None and subnet.ipv6_address_mode is not None:
        reason = f"IPv6 subnet {subnet.id} configured to receive RAs from an external router cannot be added to Neutron Router."
        raise Bad(resource="router", reason=reason)


def _read(asked: InterfaceIn) -> tuple[str, str]:
    """(subnet id, port id), "" where it is not named."""
    if asked.subnet_id is UNSET and asked.port_id is UNSET:
        raise Bad(resource="router", reason="Either subnet_id or port_id must be specified")
    return _uuid(asked.subnet_id), _uuid(asked.port_id)


def _uuid(text: Any) -> str:
    if text is UNSET:
        return ""
    try:
        return str(UUID(text))
    except ValueError:
        raise Bad(resource="router", reason=f"'{text}' is not a valid UUID") from None


def _view(router: RouterRow, port_id: str, network_id: str, subnet_ids: Sequence[str]) -> Interface:
    return Interface(
        id=router.id, tenant_id=router.project_id, project_id=router.project_id, port_id=port_id, network_id=network_id,
        subnet_id=subnet_ids[0], subnet_ids=list(subnet_ids),
    )  # fmt: skip
