"""Rules of port forwardings: some ports of a floating IP lead to a port's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.addresses import parse_address
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network import errors as network_errors
from kilonova.network.hosts.news import News
from kilonova.network.resources.base.columns import changes_of
from kilonova.network.resources.base.facts import Seeing
from kilonova.network.resources.base.nested_logic import NestedLogic
from kilonova.network.resources.base.visible import visible_port
from kilonova.network.resources.floating_ips.errors import FloatingIPNotFound, FloatingIPPortAlreadyAssociated
from kilonova.network.resources.port_forwardings import errors, plan
from kilonova.network.resources.port_forwardings.plan import bad
from kilonova.network.resources.port_forwardings.schemas import (
    PortForwarding,
    PortForwardingCreate,
    PortForwardingUpdate,
)
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import port_forwardings as store
from kilonova.network.store import routers as router_store
from kilonova.network.store.floating_ips import FLOATING_IPS, LOOSE, FloatingIPRow
from kilonova.network.store.port_forwardings import FORWARDINGS, ForwardingRow

TARGET = ("protocol", "internal_port_id", "internal_ip_address")


class PortForwardingLogic(NestedLogic[FloatingIPRow, ForwardingRow, PortForwarding]):
    objects = FORWARDINGS
    missing = errors.PortForwardingNotFound
    parents = FLOATING_IPS
    parent_missing = FloatingIPNotFound
    parent_column = "floatingip_id"

    async def views(self, connection: Connection, rows: Sequence[ForwardingRow]) -> Sequence[PortForwarding]:
        return [PortForwarding(**{n: getattr(row, n) for n in PortForwarding.__struct_fields__}) for row in rows]

    async def new(
        self, tx: Transaction, parent: FloatingIPRow, body: PortForwardingCreate, seeing: Seeing
    ) -> dict[str, Any]:
        columns: dict[str, Any] = {
            "id": self.deps.clock.uuid(), "floatingip_id": parent.id, "description": body.description or "",
            "external_port": None, "internal_port": None, **changes_of(body, TARGET), **plan.ports(body),
        }  # fmt: skip
        return await self._checked(tx, parent, columns, seeing)

    async def changes(
        self, tx: Transaction, parent: FloatingIPRow, row: ForwardingRow, body: PortForwardingUpdate, seeing: Seeing
    ) -> dict[str, Any]:
        new = {**changes_of(body, (*TARGET, "description")), **plan.ports(body)}
        held = {name: getattr(row, name) for name in ("id", "floatingip_id", *PortForwarding.__struct_fields__)}
        return await self._checked(tx, parent, held | new, seeing)

    async def _checked(
        self, tx: Transaction, parent: FloatingIPRow, columns: dict[str, Any], seeing: Seeing
    ) -> dict[str, Any]:
        """The columns, with the address as it is kept. Raises what speaks against the forwarding."""
        plan.check_lengths(columns)
        try:
            columns["internal_ip_address"] = str(parse_address(columns["internal_ip_address"]))
        except ValueError as error:
            raise network_errors.HTTPBadRequest(
                reason=f"Invalid input for internal_ip_address. Reason: {error}."
            ) from None
        await self._check_target(tx, parent, columns, seeing)
        beside = (await store.of_floating_ips(tx.connection, [parent.id])).get(parent.id, [])
        same = [one for one in beside if one.protocol == columns["protocol"]]
        plan.check_collisions("external", columns, same)
        inside = await store.of_port(tx.connection, columns["internal_port_id"])
        same = [one for one in inside if all(getattr(one, name) == columns[name] for name in TARGET)]
        plan.check_collisions("internal", columns, same)
        return columns

    async def _check_target(
        self, tx: Transaction, parent: FloatingIPRow, columns: Mapping[str, Any], seeing: Seeing
    ) -> None:
        """The port can be reached from the floating IP, and neither of the two is bound as a whole."""
        port_id, address = columns["internal_port_id"], columns["internal_ip_address"]
        await visible_port(tx.connection, port_id, seeing)
        if parent.fixed_port_id is not None:
            raise FloatingIPPortAlreadyAssociated(
                ip_address=parent.floating_ip_address, id=parent.id, port_id=port_id, fixed_ip=address,
                network_id=parent.floating_network_id,
            )  # fmt: skip
        for other in await floating_store.of_port(tx.connection, port_id):
            raise errors.PortHasBindingFloatingIP(
                ip_address=other.floating_ip_address, id=other.id, port_id=port_id, fixed_ip=address
            )
        held = await router_store.addresses_of(tx.connection, [port_id])
        placed = next((one for one in held if one.ip_version == 4 and one.ip_address == address), None)
        if placed is None:
            raise bad(
                f"Requested internal IP address {address} is not suitable for internal neutron port {port_id}, as its "
                f"fixed_ips are {[one.ip_address for one in held]}"
            )
        router = await router_store.locked_leading_to(tx.connection, placed, parent.floating_network_id)
        if router is None:
            raise bad(
                f"External network {parent.floating_network_id} is not reachable from subnet {placed.id}. Cannot set Port "
                f"forwarding for port {port_id} with Floating IP {parent.id}"
            )
        now = await FLOATING_IPS.get(tx.connection, parent.id) or parent
        if now.router_id is None:
            await FLOATING_IPS.set(tx.connection, parent.id, {"router_id": router.id, "status": "ACTIVE"})
        elif now.router_id != router.id:
            raise bad(
                f"The Floating IP {parent.id} had been set on router {now.router_id}, the internal Neutron port {port_id} "
                "can not reach it"
            )

    async def changed(self, tx: Transaction, ctx: RequestContext, parent: FloatingIPRow) -> None:
        """A floating IP without any goes through no router; the router's host gets a message."""
        now = await FLOATING_IPS.get(tx.connection, parent.id) or parent
        if not await store.of_floating_ips(tx.connection, [parent.id]):
            await FLOATING_IPS.set(tx.connection, parent.id, LOOSE)
        hosts = await router_store.hosts_of(tx.connection, {parent.router_id, now.router_id})
        await self.deps.announcer.changed(tx, ctx, hosts, news=News(others=True))
