"""Rules of roles and of which role implies which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.resource_options import check_delete, check_update, merged
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store.projects import projects
from kilonova.identity.store.roles import RoleRow, implied_roles, roles

NEVER_IMPLIED = frozenset({"admin"})


class RoleLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[RoleRow]:
        async with self.database.reading() as connection:
            return await roles.find(connection, **filters)

    async def get(self, role_id: str) -> RoleRow:
        async with self.database.reading() as connection:
            return await must_get(connection, roles, errors.RoleNotFound, role_id)

    @retried
    async def create(self, values: dict[str, Any]) -> RoleRow:
        row = values | {"id": self.clock.hex_id(), "domain_id": values.get("domain_id") or ""}
        row["options"] = merged({}, values["options"])
        async with self.storing("role", _twin(row)) as tx:
            if row["domain_id"]:
                await must_get(tx.connection, projects, errors.DomainNotFound, row["domain_id"], is_domain=True)
            await roles.add(tx.connection, row)
            return await must_get(tx.connection, roles, errors.RoleNotFound, row["id"])

    @retried
    async def update(self, role_id: str, values: dict[str, Any], extra: dict[str, Any]) -> RoleRow:
        known, given = await self.get(role_id), dict(values)
        if (values.pop("domain_id", known.domain_id) or "") != known.domain_id:
            raise errors.Invalid(reason="Update of `domain_id` is not allowed.")
        async with self.storing("role", _twin({"domain_id": known.domain_id, "name": known.name} | values)) as tx:
            row = await must_get(tx.connection, roles, errors.RoleNotFound, role_id, lock=True)
            check_update("role", row, given, extra)
            kept = {"extra": row.extra | extra, "options": merged(row.options, values.get("options", {}))}
            await roles.change(tx.connection, values | kept, id=role_id)
            updated = await must_get(tx.connection, roles, errors.RoleNotFound, role_id)
            void = None
            if updated.name != row.name:
                void = await self.revocations.record(tx.connection, everything=True)
        await self.revocations.publish(void)
        return updated

    @retried
    async def delete(self, role_id: str) -> None:
        """With all its assignments."""
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, roles, errors.RoleNotFound, role_id, lock=True)
            check_delete("role", row)
            await roles.remove(tx.connection, id=role_id)
            void = await self.revocations.record(tx.connection, everything=True)
        await self.revocations.publish(void)

    async def implied(self, prior_id: str) -> tuple[RoleRow, Sequence[RoleRow]]:
        """(the role, the roles it implies directly)."""
        async with self.database.reading() as connection:
            prior = await must_get(connection, roles, errors.RoleNotFound, prior_id)
            pairs = await implied_roles.find(connection, prior_id=prior_id)
            return prior, await roles.find(connection, id=[pair.implied_id for pair in pairs])

    async def inferences(self) -> Mapping[str, tuple[RoleRow, Sequence[RoleRow]]]:
        """Of every role that implies others: (role, those it implies)."""
        async with self.database.reading() as connection:
            known = {row.id: row for row in await roles.find(connection)}
            pairs = await implied_roles.find(connection)
        found: dict[str, tuple[RoleRow, list[RoleRow]]] = {}
        for pair in pairs:
            found.setdefault(pair.prior_id, (known[pair.prior_id], []))[1].append(known[pair.implied_id])
        return found

    async def pair(self, prior_id: str, implied_id: str) -> tuple[RoleRow, RoleRow]:
        """Both roles; raises ImpliedRoleNotFound unless one implies the other."""
        async with self.database.reading() as connection:
            both = await self._both(connection, prior_id, implied_id)
            if await implied_roles.get(connection, prior_id=prior_id, implied_id=implied_id) is None:
                raise errors.ImpliedRoleNotFound(prior=prior_id, implied=implied_id)
            return both

    @retried
    async def imply(self, prior_id: str, implied_id: str) -> tuple[RoleRow, RoleRow]:
        """Harmless to repeat."""
        async with self.database.transaction() as tx:
            both = await self._both(tx.connection, prior_id, implied_id)
            # a role of a single domain would otherwise count everywhere
            if both[1].name in NEVER_IMPLIED or (both[1].domain_id and not both[0].domain_id):
                raise errors.Refused(reason=f"{implied_id} cannot be an implied roles.")
            key: dict[str, Any] = {"prior_id": prior_id, "implied_id": implied_id}
            if await implied_roles.get(tx.connection, **key) is None:
                await implied_roles.add(tx.connection, key)
            void = await self.revocations.record(tx.connection, everything=True)
        await self.revocations.publish(void)
        return both

    @retried
    async def stop_implying(self, prior_id: str, implied_id: str) -> None:
        async with self.database.transaction() as tx:
            if not await implied_roles.remove(tx.connection, prior_id=prior_id, implied_id=implied_id):
                raise errors.ImpliedRoleNotFound(prior=prior_id, implied=implied_id)
            void = await self.revocations.record(tx.connection, everything=True)
        await self.revocations.publish(void)

    async def _both(self, connection: Connection, prior_id: str, implied_id: str) -> tuple[RoleRow, RoleRow]:
        prior = await must_get(connection, roles, errors.RoleNotFound, prior_id)
        return prior, await must_get(connection, roles, errors.RoleNotFound, implied_id)


def _twin(row: dict[str, Any]) -> str:
    where = f" at domain ID {row['domain_id']}" if row["domain_id"] else ""
    return f"Duplicate entry found with name {row['name']}{where}"
