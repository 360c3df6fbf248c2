"""Which address scope a subnet pool may be in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection
from kilonova.network.ipam.prefixes import overlap
from kilonova.network.resources.address_scopes.errors import (
    AddressScopeNotFound,
    AddressScopePrefixConflict,
    NetworkAddressScopeAffinityError,
)
from kilonova.network.resources.base.facts import Seeing
from kilonova.network.resources.base.visible import visible_shared
from kilonova.network.resources.subnetpools import errors, plan
from kilonova.network.store import subnetpools as store
from kilonova.network.store.address_scopes import ADDRESS_SCOPES, AddressScopeRow
from kilonova.network.store.subnetpools import SubnetPoolRow


async def enter(connection: Connection, new: dict[str, Any], seeing: Seeing) -> None:
    """A new pool enters the scope that it names."""
    if new["address_scope_id"] is not None:
        scope = await _visible(connection, new["address_scope_id"], seeing)
        await _check(connection, scope, new["id"], new["ip_version"], new["prefixes"])


async def check_owner(connection: Connection, ctx: RequestContext, pool: SubnetPoolRow) -> None:
    """Only who owns the scope changes a pool in it. Raises IllegalSubnetPoolUpdate."""
    if pool.address_scope_id is None or ctx.is_admin:
        return
    scope = await ADDRESS_SCOPES.get(connection, pool.address_scope_id)
    if scope is not None and scope.project_id != ctx.project_id:
        raise errors.IllegalSubnetPoolUpdate(
            reason=f"subnetpool {pool.id} cannot be updated when associated with shared address scope {scope.id}"
        )


async def change(connection: Connection, pool: SubnetPoolRow, changes: dict[str, Any], seeing: Seeing | None) -> None:
    """A pool that is locked enters another scope, or none, or has other prefixes."""
    scope_id = changes.get("address_scope_id", pool.address_scope_id)
    moved = scope_id != pool.address_scope_id
    if moved and await store.mixed(connection, pool.id, pool.ip_version):
        raise NetworkAddressScopeAffinityError
    if scope_id is None or not (moved or "prefixes" in changes):
        return
    if moved and seeing is not None:
        scope: AddressScopeRow | None = await _visible(connection, scope_id, seeing)
    else:
        scope = await ADDRESS_SCOPES.get(connection, scope_id, lock=True)
    if scope is not None:
        await _check(connection, scope, pool.id, pool.ip_version, changes.get("prefixes", pool.prefixes))


async def _visible(connection: Connection, scope_id: str, seeing: Seeing) -> AddressScopeRow:
    """Locked, so that two pools enter it one after the other."""
    missing = AddressScopeNotFound(id=scope_id)
    return await visible_shared(connection, ADDRESS_SCOPES, scope_id, seeing.address_scope, missing, lock=True)


async def _check(
    connection: Connection, scope: AddressScopeRow, pool_id: str, version: int, prefixes: Sequence[str]
) -> None:
    if scope.ip_version != version:
        raise errors.IllegalSubnetPoolIpVersionAssociationToAddressScope(
            id=pool_id, scope_id=scope.id, ip_version=scope.ip_version
        )
    mine = plan.held(prefixes)
    others = [pool for pool in await store.in_scope(connection, scope.id) if pool.id != pool_id]
    if any(overlap(mine, plan.held(pool.prefixes)) for pool in others):
        raise AddressScopePrefixConflict
