"""SQL of compute nodes, as the API reads them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from kilonova.compute.tables import compute_nodes, servers
from kilonova.core.db import Connection, Row


async def find(
    connection: Connection, *, host: str | None = None, hostname: str | None = None, like: str | None = None
) -> Sequence[Row]:
    """All nodes, or those of a host, of a hypervisor's name, or with `like` inside their name."""
    table = compute_nodes.c
    query = select(compute_nodes).order_by(table.id)
    if host is not None:
        query = query.where(table.host == host)
    if hostname is not None:
        query = query.where(table.hypervisor_hostname == hostname)
    if like is not None:
        query = query.where(table.hypervisor_hostname.contains(like, autoescape=True))
    return (await connection.execute(query)).all()


async def loads(connection: Connection, hosts: Sequence[str]) -> dict[str, list[Row]]:
    """host → (uuid, id, vcpus, memory_mb, flavor) of its living servers."""
    c = servers.c
    query = select(c.host, c.uuid, c.id, c.vcpus, c.memory_mb, c.flavor).where(c.host.in_(hosts), c.deleted == 0)
    found: dict[str, list[Row]] = {}
    for row in (await connection.execute(query.order_by(c.id))).all():
        found.setdefault(row.host, []).append(row)
    return found
