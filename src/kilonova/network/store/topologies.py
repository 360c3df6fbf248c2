"""SQL of auto-allocated topologies: the network and router that were made for a project."""

from __future__ import annotations

from sqlalchemy import delete, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert
from kilonova.network.tables import auto_allocated_topologies as topologies


class TopologyRow(TypedRow):
    """`router_id` is None when the router was deleted by hand."""

    project_id: str
    network_id: str
    router_id: str | None


async def get(connection: Connection, project_id: str) -> TopologyRow | None:
    query = select(topologies).where(topologies.c.project_id == project_id)
    return rows.first(await connection.execute(query), TopologyRow)


async def add(connection: Connection, project_id: str, network_id: str, router_id: str) -> None:
    row = {"project_id": project_id, "network_id": network_id, "router_id": router_id}
    await connection.execute(insert(topologies), [row])


async def remove(connection: Connection, project_id: str) -> None:
    await connection.execute(delete(topologies).where(topologies.c.project_id == project_id))
