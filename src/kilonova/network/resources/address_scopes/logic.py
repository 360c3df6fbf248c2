"""Rules of address scopes: subnet pools of one scope do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network.resources.address_scopes import errors
from kilonova.network.resources.address_scopes.schemas import (
    AddressScope,
    AddressScopeCreate,
    AddressScopeUpdate,
    SharedAddressScope,
)
from kilonova.network.resources.base.columns import changes_of, owner
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.rbac_policies.shared import SharedLogic
from kilonova.network.store import address_scopes as store
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store.address_scopes import ADDRESS_SCOPES, AddressScopeRow
from kilonova.network.store.rbac_policies import EVERYONE

SHOWN = ("id", "project_id", "name", "ip_version")


class AddressScopeLogic(SharedLogic[AddressScopeRow, AddressScope], Logic[AddressScopeRow, AddressScope]):
    objects = ADDRESS_SCOPES
    missing = errors.AddressScopeNotFound
    object_type = "address_scope"

    async def views(self, connection: Connection, rows: Sequence[AddressScopeRow]) -> Sequence[AddressScope]:
        return [_view(row) for row in rows]

    def new(self, ctx: RequestContext, body: AddressScopeCreate) -> dict[str, Any]:
        return {
            "id": self.deps.clock.uuid(), "project_id": owner(ctx, body), "name": body.name, "ip_version": body.ip_version,
            "shared_with": [EVERYONE] if body.shared else [],
        }  # fmt: skip

    async def add(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        await super().add(tx, rows)
        await sharing.publish(self.deps, tx, self.object_type, rows)

    async def changes(self, tx: Transaction, row: AddressScopeRow, body: AddressScopeUpdate) -> dict[str, Any]:
        if body.shared is False and EVERYONE in row.shared_with:
            raise errors.AddressScopeUpdateError(id=row.id, reason="Shared address scope can't be unshared")
        changes = changes_of(body, ("name",))
        if body.shared is True and EVERYONE not in row.shared_with:
            changes["shared_with"] = [*row.shared_with, EVERYONE]
        return changes

    async def changed(
        self, tx: Transaction, ctx: RequestContext, row: AddressScopeRow, changes: Mapping[str, Any]
    ) -> None:
        await sharing.follow(self.deps, tx, self.object_type, row, changes)

    async def removing(self, tx: Transaction, ctx: RequestContext, row: AddressScopeRow) -> None:
        if await store.users_of(tx.connection, row.id):
            raise errors.AddressScopeInUse(id=row.id)
        await rbac_store.remove_all(tx.connection, row.id)


def _view(row: AddressScopeRow) -> AddressScope:
    values = {name: getattr(row, name) for name in SHOWN}
    values |= {"tenant_id": row.project_id, "shared": EVERYONE in row.shared_with}
    return sharing.shared_view(AddressScope, SharedAddressScope, values, row.shared_with)
