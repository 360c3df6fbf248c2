"""A server with its request spec, as hosts and the metadata service need them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from kilonova.compute.models import ServerBuild
from kilonova.compute.store import records, request_specs
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.tables import request_specs as specs_table
from kilonova.compute.tables import servers
from kilonova.core.db import Connection, rows
from kilonova.core.db.prepared import prepared

JOINED = servers.join(specs_table, specs_table.c.server_uuid == servers.c.uuid)
LIVING = select(servers, specs_table.c.spec).select_from(JOINED).where(servers.c.deleted == 0)


class BuildRow(ServerRow):
    spec: bytes


@prepared
def _of_server(uuid: Any) -> Select[Any]:
    return LIVING.where(servers.c.uuid == uuid)


@prepared
def _on_host(host: Any) -> Select[Any]:
    return LIVING.where(servers.c.host == host).order_by(servers.c.id)


def from_row(row: BuildRow, *, request_id: str = "", action: str = "") -> ServerBuild:
    """A row of `servers` with its `spec`."""
    spec = request_specs.decode(row.spec)
    return ServerBuild(
        server=records.server(row), spec=spec, request_id=request_id, attempt=max(spec.attempts, 1), action=action
    )


async def build_of(connection: Connection, server_uuid: str) -> ServerBuild | None:
    """None for a server that is unknown or deleted."""
    row = rows.first(await connection.execute(*_of_server(server_uuid)), BuildRow)
    return from_row(row) if row is not None else None


async def builds_on_host(connection: Connection, host: str) -> Sequence[BuildRow]:
    """Rows for `from_row` of all servers of a host that are not deleted."""
    return rows.every(await connection.execute(*_on_host(host)), BuildRow)
