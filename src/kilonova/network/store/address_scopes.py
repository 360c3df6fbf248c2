"""SQL of address scopes."""

from __future__ import annotations

from kilonova.core.db import Connection
from kilonova.network.store.objects import Objects, SharedRow
from kilonova.network.tables import address_scopes


class AddressScopeRow(SharedRow):
    name: str
    ip_version: int


ADDRESS_SCOPES = Objects(address_scopes, AddressScopeRow)


async def users_of(connection: Connection, scope_id: str) -> set[str]:
    """Projects that have subnet pools in the scope."""
    return set()
