"""SQL of floating IPs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, union_all, update

from kilonova.core.db import Connection, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import prepared
from kilonova.network.store.objects import Objects, StandardRow
from kilonova.network.tables import floating_ips, ip_allocations, port_forwardings


class FloatingIPRow(StandardRow):
    """`floating_port_id` is the port that holds the address, `fixed_port_id` the one that it leads to."""

    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    fixed_port_id: str | None
    fixed_ip_address: str | None
    router_id: str | None
    status: str


FLOATING_IPS = Objects(floating_ips, FloatingIPRow)
LOOSE = {"fixed_port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}


async def of_routers(connection: Connection, router_ids: Sequence[str]) -> dict[str, list[FloatingIPRow]]:
    """By the router that they go through."""
    found: defaultdict[str, list[FloatingIPRow]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_of_routers(router_ids)), FloatingIPRow):
        found[str(row.router_id)].append(row)
    return found


@prepared
def _of_routers(router_ids: Any) -> Select[Any]:
    query = select(floating_ips).where(floating_ips.c.router_id.in_(router_ids))
    return query.order_by(floating_ips.c.id)


async def of_port(connection: Connection, port_id: str) -> Sequence[FloatingIPRow]:
    """Those that lead to the port."""
    query = select(floating_ips).where(floating_ips.c.fixed_port_id == port_id)
    return rows.every(await connection.execute(query), FloatingIPRow)


async def holds(connection: Connection, port_id: str) -> bool:
    """Whether the port holds the address of one."""
    query = select(floating_ips.c.id).where(floating_ips.c.floating_port_id == port_id)
    return (await connection.execute(query)).first() is not None


async def leads_to(connection: Connection, network_id: str, port_id: str, ip_address: str) -> FloatingIPRow | None:
    """The one of the network that leads to a port's address."""
    query = select(floating_ips).where(
        floating_ips.c.floating_network_id == network_id, floating_ips.c.fixed_port_id == port_id,
        floating_ips.c.fixed_ip_address == ip_address,
    )  # fmt: skip
    return rows.first(await connection.execute(query), FloatingIPRow)


async def leading_nowhere(connection: Connection, network_id: str) -> Sequence[FloatingIPRow]:
    """Those of the network that lead to no port, by no router; until the transaction ends they are led to none."""
    query = select(floating_ips).where(
        floating_ips.c.floating_network_id == network_id,
        floating_ips.c.fixed_port_id.is_(None),
        floating_ips.c.router_id.is_(None),
    )
    return rows.every(await connection.execute(locked(query.order_by(floating_ips.c.id))), FloatingIPRow)


async def any_through(connection: Connection, router_id: str, subnet_ids: Sequence[str] | None = None) -> bool:
    """Whether one goes through the router, to an address of these subnets; port forwardings count."""
    through = select(floating_ips.c.id).where(floating_ips.c.router_id == router_id)
    if subnet_ids is None:
        return (await connection.execute(through.limit(1))).first() is not None
    below = port_forwardings.c.floatingip_id == floating_ips.c.id
    leading = union_all(
        _to(through, floating_ips.c.fixed_port_id, floating_ips.c.fixed_ip_address, subnet_ids),
        _to(
            through.join(port_forwardings, below), port_forwardings.c.internal_port_id,
            port_forwardings.c.internal_ip_address, subnet_ids,
        ),
    )  # fmt: skip
    return (await connection.execute(leading.limit(1))).first() is not None


def _to(query: Select[Any], port_id: Any, ip_address: Any, subnet_ids: Sequence[str]) -> Select[Any]:
    held = (ip_allocations.c.port_id == port_id) & (ip_allocations.c.ip_address == ip_address)
    return query.join(ip_allocations, held).where(ip_allocations.c.subnet_id.in_(subnet_ids))


async def loosen(connection: Connection, ids: Sequence[str], now: str) -> None:
    """They lead nowhere any more."""
    change = update(floating_ips).where(floating_ips.c.id.in_(ids))
    await connection.execute(change.values(**LOOSE, updated_at=now, revision_number=floating_ips.c.revision_number + 1))
