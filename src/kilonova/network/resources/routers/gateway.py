"""A router's gateway: its port on an external network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import UNSET

from kilonova.core.db import Transaction
from kilonova.network import device_owners
from kilonova.network import errors as network_errors
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.ipam import service_ports
from kilonova.network.ipam.readdress import readdress
from kilonova.network.resources.base.facts import Seeing
from kilonova.network.resources.base.visible import visible_network
from kilonova.network.resources.ports import plan as port_plan
from kilonova.network.resources.routers import errors, plan
from kilonova.network.resources.routers.schemas import GatewayIn
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import routers as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.ports import PORTS
from kilonova.network.store.routers import ROUTERS, RouterRow
from kilonova.network.store.subnets import SubnetRow


class Gateways:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def change(
        self, tx: Transaction, router: RouterRow, asked: GatewayIn | None, seeing: Seeing
    ) -> overlay.Bound:
        """Set the gateway, or remove it; what left which host."""
        if asked is None or asked == GatewayIn():
            return await self.remove(tx, router)
        if not isinstance(asked.network_id, str):
            raise network_errors.HTTPBadRequest(
                reason="Invalid input for external_gateway_info. Reason: Validation of dictionary's keys failed. "
                "Expected keys: {'network_id'}."
            )
        network = await self._network(tx, asked.network_id, seeing)
        values = {"gateway_network_id": network.id, "enable_snat": asked.enable_snat is not False}
        left: overlay.Bound = Counter()
        if router.gateway_network_id == network.id:
            await self._readdress(tx, router, asked)
        else:
            left = await self.remove(tx, router)
            values["gateway_port_id"] = await self._add(tx, router, network, asked)
        await ROUTERS.change(tx.connection, router.id, values, self.deps.now())
        changed = await ROUTERS.get(tx.connection, router.id)
        await plan.check_routes(tx.connection, router.id, changed.routes if changed is not None else [])
        return left

    async def _network(self, tx: Transaction, network_id: str, seeing: Seeing) -> NetworkRow:
        network = await visible_network(tx.connection, network_id, seeing, lock=True)
        if not network.external:
            raise errors.BadRequest(resource="router", reason=f"Network {network_id} is not an external network")
        return network

    async def _add(self, tx: Transaction, router: RouterRow, network: NetworkRow, asked: GatewayIn) -> str:
        subnets = await subnet_store.of_networks(tx.connection, [network.id])
        await plan.check_subnets(tx.connection, router.id, subnets)
        self._check_addresses(asked, subnets)
        row = service_ports.columns(self.deps, network.id, device_owners.GATEWAY, router.id)
        wants = port_plan.wants(asked.external_fixed_ips or UNSET, subnets, row["mac_address"], device_owners.GATEWAY)
        await service_ports.add(tx, row, wants)
        await store.add_port(tx.connection, router.id, row["id"], device_owners.GATEWAY)
        return str(row["id"])

    async def _readdress(self, tx: Transaction, router: RouterRow, asked: GatewayIn) -> None:
        if not asked.external_fixed_ips:
            return
        subnets = await subnet_store.of_networks(tx.connection, [str(router.gateway_network_id)])
        self._check_addresses(asked, subnets)
        port = await PORTS.get(tx.connection, str(router.gateway_port_id))
        if port is not None:
            wants = port_plan.wants(asked.external_fixed_ips, subnets, port.mac_address, device_owners.GATEWAY)
            await readdress(tx.connection, port, wants)

    @staticmethod
    def _check_addresses(asked: GatewayIn, subnets: Sequence[SubnetRow]) -> None:
        gateways = {subnet.gateway_ip for subnet in subnets}
        for item in asked.external_fixed_ips:
            if item.ip_address is not None and item.ip_address in gateways:
                raise errors.BadRequest(
                    resource="router", reason=f"External IP {item.ip_address} is the same as the gateway IP"
                )

    async def remove(self, tx: Transaction, router: RouterRow, *, whole: bool = False) -> overlay.Bound:
        """Remove it; `whole`: the router is deleted too."""
        if router.gateway_port_id is None:
            return Counter()
        if await floating_store.any_through(tx.connection, router.id):
            raise errors.RouterExternalGatewayInUseByFloatingIp(id=router.id, network_id=router.gateway_network_id)
        port = await PORTS.get(tx.connection, router.gateway_port_id)
        values = {"gateway_port_id": None, "gateway_network_id": None, "enable_snat": True}
        await ROUTERS.change(tx.connection, router.id, values, self.deps.now())
        await PORTS.remove(tx.connection, [router.gateway_port_id])
        if not whole:
            await plan.check_routes(tx.connection, router.id, router.routes)
        return Counter({(port.network_id, port.host_id): -1}) if port is not None else Counter()
