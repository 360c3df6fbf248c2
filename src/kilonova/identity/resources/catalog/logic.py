"""Rules of the catalog: regions, services and their endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Connection, Row, retried
from kilonova.identity import errors
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import records
from kilonova.identity.tables import endpoints, regions, services


class RegionLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[Row]:
        async with self.database.reading() as connection:
            return await records.find(connection, regions, **filters)

    async def get(self, region_id: str) -> Row:
        async with self.database.reading() as connection:
            return await must_get(connection, regions, errors.RegionNotFound, region_id)

    @retried
    async def create(self, values: dict[str, Any]) -> Row:
        row = values | {"id": values.get("id") or self.clock.hex_id(), "description": values.get("description") or ""}
        async with self.storing("region", f"Duplicate ID, {row['id']}.") as tx:
            await self._check_parent(tx.connection, row["id"], row.get("parent_region_id"))
            await records.add(tx.connection, regions, row)
            return await must_get(tx.connection, regions, errors.RegionNotFound, row["id"])

    @retried
    async def update(self, region_id: str, values: dict[str, Any], extra: dict[str, Any]) -> Row:
        if "description" in values:
            values["description"] = values["description"] or ""
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, regions, errors.RegionNotFound, region_id, lock=True)
            await self._check_parent(tx.connection, region_id, values.get("parent_region_id"))
            await records.change(tx.connection, regions, values | {"extra": row.extra | extra}, id=region_id)
            return await must_get(tx.connection, regions, errors.RegionNotFound, region_id)

    @retried
    async def delete(self, region_id: str) -> None:
        """With its child regions, as long as none of them has endpoints."""
        async with self.database.transaction() as tx:
            await must_get(tx.connection, regions, errors.RegionNotFound, region_id)
            levels = [[region_id]]
            while levels[-1]:
                below = await records.find(tx.connection, regions, parent_region_id=levels[-1])
                levels.append([row.id for row in below])
            for level in reversed(levels[:-1]):
                if await records.get(tx.connection, endpoints, region_id=level) is not None:
                    raise errors.RegionInUse(id=region_id)
                await records.remove(tx.connection, regions, id=level)

    async def _check_parent(self, connection: Connection, region_id: str, parent_id: str | None) -> None:
        """All regions are locked: two that move below each other at once would make a circle."""
        if parent_id is not None:
            await records.find(connection, regions, lock=True)
        while parent_id is not None:
            if parent_id == region_id:
                raise errors.Invalid(
                    reason=f"The specified parent region {parent_id} would create a circular region hierarchy."
                )
            parent = await must_get(connection, regions, errors.RegionNotFound, parent_id)
            parent_id = parent.parent_region_id


class ServiceLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[Row]:
        async with self.database.reading() as connection:
            return await records.find(connection, services, **filters)

    async def get(self, service_id: str) -> Row:
        async with self.database.reading() as connection:
            return await must_get(connection, services, errors.ServiceNotFound, service_id)

    @retried
    async def create(self, values: dict[str, Any]) -> Row:
        row = values | {"id": self.clock.hex_id()}
        async with self.database.transaction() as tx:
            await records.add(tx.connection, services, row)
            made = await must_get(tx.connection, services, errors.ServiceNotFound, row["id"])
        await self.catalog.changed()
        return made

    @retried
    async def update(self, service_id: str, values: dict[str, Any], extra: dict[str, Any]) -> Row:
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, services, errors.ServiceNotFound, service_id, lock=True)
            await records.change(tx.connection, services, values | {"extra": row.extra | extra}, id=service_id)
            updated = await must_get(tx.connection, services, errors.ServiceNotFound, service_id)
        await self.catalog.changed()
        return updated

    @retried
    async def delete(self, service_id: str) -> None:
        """With its endpoints."""
        async with self.database.transaction() as tx:
            if not await records.remove(tx.connection, services, id=service_id):
                raise errors.ServiceNotFound(id=service_id)
        await self.catalog.changed()


class EndpointLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[Row]:
        async with self.database.reading() as connection:
            return await records.find(connection, endpoints, **filters)

    async def get(self, endpoint_id: str) -> Row:
        async with self.database.reading() as connection:
            return await must_get(connection, endpoints, errors.EndpointNotFound, endpoint_id)

    @retried
    async def create(self, values: dict[str, Any], *, new_region: bool) -> Row:
        """`new_region`: the region is made when it is missing, as with the older `region` field."""
        row = values | {"id": self.clock.hex_id()}
        async with self.database.transaction() as tx:
            await self._check(tx.connection, row, new_region)
            await records.add(tx.connection, endpoints, row)
            made = await must_get(tx.connection, endpoints, errors.EndpointNotFound, row["id"])
        await self.catalog.changed()
        return made

    @retried
    async def update(self, endpoint_id: str, values: dict[str, Any], extra: dict[str, Any], *, new_region: bool) -> Row:
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, endpoints, errors.EndpointNotFound, endpoint_id, lock=True)
            await self._check(tx.connection, values, new_region)
            await records.change(tx.connection, endpoints, values | {"extra": row.extra | extra}, id=endpoint_id)
            updated = await must_get(tx.connection, endpoints, errors.EndpointNotFound, endpoint_id)
        await self.catalog.changed()
        return updated

    @retried
    async def delete(self, endpoint_id: str) -> None:
        async with self.database.transaction() as tx:
            if not await records.remove(tx.connection, endpoints, id=endpoint_id):
                raise errors.EndpointNotFound(id=endpoint_id)
        await self.catalog.changed()

    async def _check(self, connection: Connection, values: dict[str, Any], new_region: bool) -> None:
        service_id, region_id = values.get("service_id"), values.get("region_id")
        if service_id is not None and await records.get(connection, services, id=service_id) is None:
            raise errors.Missing(attribute="service_id", target="endpoint")
        if region_id is None or await records.get(connection, regions, id=region_id) is not None:
            return
        if not new_region:
            raise errors.Missing(attribute="region_id", target="endpoint")
        blank: dict[str, Any] = {"parent_region_id": None, "description": "", "extra": {}}
        await records.add(connection, regions, {"id": region_id} | blank)
