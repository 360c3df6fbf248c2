"""SQL of compute nodes, as the API reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kilonova.compute.tables import compute_nodes, servers
from kilonova.core.db import Connection, TypedRow, rows


class NodeRow(TypedRow):
    id: int
    uuid: str
    host: str
    hypervisor_hostname: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str | None
    facts: dict[str, Any]
    stats: dict[str, Any]
    updated_at: dt.datetime | None
    created_at: dt.datetime


class LoadRow(TypedRow):
    """A server, as its host is burdened by it."""

    host: str
    uuid: str
    id: int
    vcpus: int
    memory_mb: int
    flavor: dict[str, Any]


async def find(
    connection: Connection, *, host: str | None = None, hostname: str | None = None, like: str | None = None
) -> Sequence[NodeRow]:
    """All nodes, or those of a host, of a hypervisor's name, or with `like` inside their name."""
    table = compute_nodes.c
    query = select(compute_nodes).order_by(table.id)
    if host is not None:
        query = query.where(table.host == host)
    if hostname is not None:
        query = query.where(table.hypervisor_hostname == hostname)
    if like is not None:
        query = query.where(table.hypervisor_hostname.contains(like, autoescape=True))
    return rows.every(await connection.execute(query), NodeRow)


async def loads(connection: Connection, hosts: Sequence[str]) -> dict[str, list[LoadRow]]:
    """host → (uuid, id, vcpus, memory_mb, flavor) of its servers that are not deleted."""
    c = servers.c
    query = select(c.host, c.uuid, c.id, c.vcpus, c.memory_mb, c.flavor).where(c.host.in_(hosts), c.deleted == 0)
    found: dict[str, list[LoadRow]] = {}
    for row in rows.every(await connection.execute(query.order_by(c.id)), LoadRow):
        found.setdefault(row.host, []).append(row)
    return found
