"""Rules of allocations: the claim. Two schedulers never over-commit a provider, and neither waits for the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from kilonova.core.db import Connection, Database, Row, retried
from kilonova.placement import errors
from kilonova.placement.logic.providers import check_class
from kilonova.placement.schemas.allocations import AllocationsPut
from kilonova.placement.store import allocations as store
from kilonova.placement.store import providers as provider_store


class AllocationLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def of_consumer(self, uuid: str) -> tuple[Row | None, Sequence[Row]]:
        """(consumer row or None, allocation rows)."""
        async with self.database.reading() as connection:
            return await store.consumer(connection, uuid), await store.of_consumer(connection, uuid)

    async def of_provider(self, uuid: str) -> tuple[int, Sequence[Row]]:
        async with self.database.reading() as connection:
            found = await provider_store.find(connection, uuid=uuid)
            if not found:
                raise errors.ProviderNotFound(uuid=uuid)
            return found[0].generation, await store.of_provider(connection, found[0].id)

    async def usage_of_project(self, project_id: str, user_id: str | None) -> dict[str, int]:
        async with self.database.reading() as connection:
            return {
                r.resource_class: int(r.used) for r in await store.usage_of_project(connection, project_id, user_id)
            }

    @retried
    async def replace(self, consumer_uuid: str, wanted: AllocationsPut, *, check_generation: bool) -> None:
        """Make the consumer hold exactly `wanted`: all of it, or a 409 and nothing changes. Repeating is harmless."""
        async with self.database.transaction() as tx:
            await self._replace(tx.connection, consumer_uuid, wanted, check_generation)

    @retried
    async def replace_many(self, wanted: dict[str, AllocationsPut], *, check_generation: bool) -> None:
        """Several consumers in one transaction: all or nothing."""
        async with self.database.transaction() as tx:
            for consumer_uuid, item in sorted(wanted.items()):
                await self._replace(tx.connection, consumer_uuid, item, check_generation)

    @retried
    async def remove(self, consumer_uuid: str) -> None:
        async with self.database.transaction() as tx:
            known = await store.consumer(tx.connection, consumer_uuid, lock=True)
            if known is None:
                raise errors.ConsumerNotFound(uuid=consumer_uuid)
            await self._release(tx.connection, consumer_uuid)
            await store.record(tx.connection, known.id, [])
            await store.remove_consumer(tx.connection, known.id)

    async def _release(self, connection: Connection, consumer_uuid: str) -> None:
        held: defaultdict[int, dict[str, int]] = defaultdict(dict)
        for row in await store.of_consumer(connection, consumer_uuid, lock=True):
            held[row.provider_id][row.resource_class] = row.used
        for provider_id, amounts in held.items():
            await store.give_back(connection, provider_id, amounts)

    async def _replace(
        self, connection: Connection, consumer_uuid: str, wanted: AllocationsPut, check_generation: bool
    ) -> None:
        known = await store.consumer(connection, consumer_uuid, lock=True)
        have = known.generation if known is not None else None
        if check_generation and wanted.consumer_generation != have:
            raise errors.ConsumerGenerationConflict(expected=have, given=wanted.consumer_generation)
        owner = {"project_id": wanted.project_id, "user_id": wanted.user_id}
        if known is not None:
            consumer_id = known.id
            await self._release(connection, consumer_uuid)
        elif wanted.allocations:  # before the claim: of two who make the same one, one takes its room
            kind = wanted.consumer_type if isinstance(wanted.consumer_type, str) else None
            new = {"uuid": consumer_uuid, "consumer_type": kind, "generation": 1} | owner
            consumer_id = await store.add_consumer(connection, new)
        else:
            return
        await store.record(connection, consumer_id, await self._claim(connection, wanted))
        if not wanted.allocations:
            await store.remove_consumer(connection, consumer_id)
        elif known is not None and not await store.advance_consumer(connection, consumer_id, known.generation, owner):
            raise errors.ConsumerGenerationConflict(expected=have, given=wanted.consumer_generation)

    async def _claim(self, connection: Connection, wanted: AllocationsPut) -> list[tuple[int, str, int]]:
        rows: list[tuple[int, str, int]] = []
        for provider_uuid, item in sorted(wanted.allocations.items()):
            found = await provider_store.find(connection, uuid=provider_uuid, lock=True)
            if not found:
                raise errors.ProviderNotFound(uuid=provider_uuid)
            for name in item.resources:
                check_class(name)
            if not await store.claim(connection, found[0].id, item.resources):
                raise errors.CapacityExceeded(uuid=provider_uuid, resource_class=", ".join(sorted(item.resources)))
            rows.extend((found[0].id, name, amount) for name, amount in item.resources.items())
        return rows
