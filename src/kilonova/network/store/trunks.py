"""SQL of trunks. Subports are columns of their ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, update

from kilonova.core.db import Connection, rows
from kilonova.network.store.objects import Objects, StandardRow
from kilonova.network.store.ports import PortRow
from kilonova.network.store.tags import chunks
from kilonova.network.tables import agents, ports, trunks


class TrunkRow(StandardRow):
    admin_state_up: bool
    port_id: str


TRUNKS = Objects(trunks, TrunkRow)
OWNER = "trunk:subport"


async def subports_of(connection: Connection, trunk_ids: Sequence[str]) -> dict[str, list[PortRow]]:
    """By trunk, smallest tag first."""
    found: defaultdict[str, list[PortRow]] = defaultdict(list)
    for part in chunks(trunk_ids):
        query = select(ports).where(ports.c.subport_of.in_(part)).order_by(ports.c.vlan)
        for row in rows.every(await connection.execute(query), PortRow):
            found[str(row.subport_of)].append(row)
    return found


async def set_parent(connection: Connection, port_id: str, trunk_id: str | None) -> None:
    await connection.execute(update(ports).where(ports.c.id == port_id).values(trunk_id=trunk_id))


async def set_subport(connection: Connection, port_id: str, trunk_id: str, vlan: int) -> None:
    values = {"subport_of": trunk_id, "vlan": vlan, "device_owner": OWNER}
    await connection.execute(update(ports).where(ports.c.id == port_id).values(**values))


async def free_subports(connection: Connection, port_ids: Sequence[str]) -> None:
    values = {"subport_of": None, "vlan": None, "device_owner": ""}
    await connection.execute(update(ports).where(ports.c.id.in_(port_ids)).values(**values))


async def made_on_a_host(connection: Connection, key: str, since: str) -> bool:
    """Whether an agent with a heartbeat since then says by this key of its configurations that it makes trunks."""
    query = select(agents.c.configurations).where(agents.c.heartbeat_timestamp >= since)
    return any(found.get(key) for found in (await connection.execute(query)).scalars())
