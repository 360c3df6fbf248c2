"""SQL of floating IPs' port forwardings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.prepared import prepared
from kilonova.network.store.objects import ObjectRow, Objects
from kilonova.network.tables import port_forwardings


class ForwardingRow(ObjectRow):
    """Ranges are `first:last`, of one port too; `external_port` and `internal_port` are None for more than one."""

    floatingip_id: str
    protocol: str
    external_port: int | None
    external_port_range: str
    internal_port_id: str
    internal_ip_address: str
    internal_port: int | None
    internal_port_range: str
    description: str


FORWARDINGS = Objects(port_forwardings, ForwardingRow)


def first_last(ports: str) -> tuple[int, int]:
    """Of a range as it is kept."""
    first, _, last = ports.partition(":")
    return int(first), int(last)


async def of_floating_ips(connection: Connection, ids: Sequence[str]) -> dict[str, list[ForwardingRow]]:
    """By floating IP; those without any are missing."""
    found: defaultdict[str, list[ForwardingRow]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_of_floating_ips(ids)), ForwardingRow):
        found[row.floatingip_id].append(row)
    return dict(found)


@prepared
def _of_floating_ips(ids: Any) -> Select[Any]:
    query = select(port_forwardings).where(port_forwardings.c.floatingip_id.in_(ids))
    return query.order_by(port_forwardings.c.id)


async def of_port(connection: Connection, port_id: str) -> Sequence[ForwardingRow]:
    """Those that lead to the port."""
    query = select(port_forwardings).where(port_forwardings.c.internal_port_id == port_id)
    return rows.every(await connection.execute(query), ForwardingRow)
