"""SQL of address scopes."""

from __future__ import annotations

from sqlalchemy import select

from kilonova.core.db import Connection
from kilonova.network.store.objects import Objects, SharedRow
from kilonova.network.tables import address_scopes, subnetpools


class AddressScopeRow(SharedRow):
    name: str
    ip_version: int


ADDRESS_SCOPES = Objects(address_scopes, AddressScopeRow)


async def users_of(connection: Connection, scope_id: str) -> set[str]:
    """Projects that have subnet pools in the scope."""
    query = select(subnetpools.c.project_id).where(subnetpools.c.address_scope_id == scope_id)
    return set((await connection.execute(query.distinct())).scalars())
