"""Rules of allocations: the claim. Two schedulers never over-commit a provider, and neither waits for the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, retried
from kilonova.placement import errors
from kilonova.placement.resources.allocations.schemas import AllocationsPut
from kilonova.placement.resources.providers.logic import check_class
from kilonova.placement.store import allocations as store
from kilonova.placement.store import providers as provider_store
from kilonova.placement.store.allocations import AllocationRow, ConsumerRow, HeldRow
from kilonova.placement.store.providers import InventoryRow

UNKNOWN = "unknown"


class AllocationLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    async def of_consumer(self, uuid: str) -> tuple[ConsumerRow | None, Sequence[AllocationRow]]:
        """(consumer row or None, allocation rows)."""
        async with self.database.reading() as connection:
            return await store.consumer(connection, uuid), await store.of_consumers(connection, [uuid])

    async def of_provider(self, uuid: str) -> tuple[int, Sequence[HeldRow]]:
        async with self.database.reading() as connection:
            found = await provider_store.find(connection, uuid=uuid)
            if not found:
                raise errors.ProviderNotFound(uuid=uuid)
            return found[0].generation, await store.of_provider(connection, found[0].id)

    async def usage_of_project(
        self, project_id: str, user_id: str | None, kind: str | None = None
    ) -> dict[str, dict[str, int]]:
        """consumer type ("unknown" for those without) → {class: used} and `consumer_count`, of all types or of one; "all" puts
        them together."""
        async with self.database.reading() as connection:
            counts = await store.consumers_of_project(connection, project_id, user_id)
            rows = await store.usage_of_project(connection, project_id, user_id)
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        named = [(row.consumer_type or UNKNOWN, "consumer_count", row.number) for row in counts]
        named += [(row.consumer_type or UNKNOWN, row.resource_class, int(row.used)) for row in rows]
        for of_type, name, number in named:
            if kind in (None, "all", of_type):
                found["all" if kind == "all" else of_type][name] += number
        return {of_type: dict(numbers) for of_type, numbers in found.items()}

    @retried
    async def replace(self, consumer_uuid: str, wanted: AllocationsPut, *, check_generation: bool) -> None:
        """Make the consumer hold exactly `wanted`: all of it, or a 409 and nothing changes. Repeating is harmless."""
        async with self.database.transaction() as tx:
            known = await store.consumer(tx.connection, consumer_uuid, lock=True)
            if check_generation:
                _check_generation(known, wanted)
            await self._replace(tx.connection, consumer_uuid, known, wanted)

    @retried
    async def replace_many(self, wanted: dict[str, AllocationsPut], *, check_generation: bool) -> None:
        """Several consumers in one transaction: all or nothing. New ones, such as the servers of one launch, and those that give
        everything back cost no more statements than one."""
        async with self.database.transaction() as tx:
            known = await store.lock_consumers(tx.connection, wanted)
            if check_generation:
                for uuid, item in wanted.items():
                    _check_generation(known.get(uuid), item)
            if emptied := {uuid: row.id for uuid, row in known.items() if not wanted[uuid].allocations}:
                held = await store.of_consumers(tx.connection, emptied, lock=True)
                await self._release(tx.connection, held, sorted(emptied.values()))
            for uuid in sorted(known.keys() - emptied.keys()):
                await self._replace(tx.connection, uuid, known[uuid], wanted[uuid])
            if new := {uuid: item for uuid, item in wanted.items() if uuid not in known and item.allocations}:
                await self._claim_new(tx.connection, new)

    @retried
    async def remove(self, consumer_uuid: str) -> None:
        async with self.database.transaction() as tx:
            held = await store.of_consumers(tx.connection, [consumer_uuid], lock=True)
            if not held:
                raise errors.ConsumerNotFound(uuid=consumer_uuid)
            await self._release(tx.connection, held, [held[0].consumer_id])

    async def _release(
        self, connection: Connection, held: Sequence[AllocationRow], consumer_ids: Sequence[int]
    ) -> None:
        """`held` are rows of `of_consumers`: all that these hold."""
        await self._give_back(connection, held)
        await store.remove(connection, consumer_ids)
        await store.remove_consumers(connection, consumer_ids)

    async def _give_back(self, connection: Connection, held: Sequence[AllocationRow]) -> None:
        units = Counter[tuple[int, str]]()
        for row in held:
            units[row.provider_id, row.resource_class] -= row.used
        if units:
            await store.move(connection, units, self.clock.row_time())

    async def _replace(
        self, connection: Connection, consumer_uuid: str, known: ConsumerRow | None, wanted: AllocationsPut
    ) -> None:
        """`known` is the consumer's row, locked; None when it holds nothing."""
        owner = {"project_id": wanted.project_id, "user_id": wanted.user_id}
        if known is not None:
            consumer_id = known.id
            await self._give_back(connection, await store.of_consumers(connection, [consumer_uuid], lock=True))
        elif wanted.allocations:  # before the claim: of two that create the same one, one gets the resources
            kind = wanted.consumer_type if isinstance(wanted.consumer_type, str) else None
            new = {"uuid": consumer_uuid, "consumer_type": kind, "generation": 1} | owner
            consumer_id = await store.add_consumer(connection, new)
        else:
            return
        rows = await self._claim(connection, wanted)
        if known is not None:
            await store.remove(connection, [consumer_id])
        await store.add(connection, [(consumer_id, *row) for row in rows])
        if not wanted.allocations:
            await store.remove_consumers(connection, [consumer_id])
        elif known is not None and not await store.advance_consumer(connection, consumer_id, known.generation, owner):
            raise errors.ConsumerGenerationConflict(expected=known.generation, given=wanted.consumer_generation)

    async def _claim_new(self, connection: Connection, wanted: dict[str, AllocationsPut]) -> None:
        """For consumers that hold nothing. Their providers are locked, so that what fits now can be taken at once."""
        values = [
            {
                "uuid": uuid, "project_id": item.project_id, "user_id": item.user_id, "generation": 1,
                "consumer_type": item.consumer_type if isinstance(item.consumer_type, str) else None,
            }
            for uuid, item in sorted(wanted.items())
        ]  # fmt: skip
        ids = await store.add_consumers(connection, values)
        names = {uuid for item in wanted.values() for uuid in item.allocations}
        providers = {row.uuid: row.id for row in await provider_store.lock_many(connection, names)}
        if missing := sorted(names - providers.keys()):
            raise errors.ProviderNotFound(uuid=missing[0])
        tracker = CapacityTracker(await provider_store.inventories_of_many(connection, providers.values()))
        rows = []
        for consumer_uuid, item in wanted.items():
            for provider_uuid, asked in item.allocations.items():
                for name, amount in asked.resources.items():
                    check_class(name)
                    if not tracker.take(providers[provider_uuid], name, amount):
                        raise errors.CapacityExceeded(uuid=provider_uuid, resource_class=name)
                    rows.append((ids[consumer_uuid], providers[provider_uuid], name, amount))
        await store.move(connection, tracker.taken, self.clock.row_time())
        await store.add(connection, rows)

    async def _claim(self, connection: Connection, wanted: AllocationsPut) -> list[tuple[int, str, int]]:
        rows: list[tuple[int, str, int]] = []
        for provider_uuid, item in sorted(wanted.allocations.items()):
            found = await provider_store.find(connection, uuid=provider_uuid, lock=True)
            if not found:
                raise errors.ProviderNotFound(uuid=provider_uuid)
            for name in item.resources:
                check_class(name)
            if not await store.claim(connection, found[0].id, item.resources, self.clock.row_time()):
                raise errors.CapacityExceeded(uuid=provider_uuid, resource_class=", ".join(sorted(item.resources)))
            rows.extend((found[0].id, name, amount) for name, amount in item.resources.items())
        return rows


def _check_generation(known: ConsumerRow | None, wanted: AllocationsPut) -> None:
    have = known.generation if known is not None else None
    if wanted.consumer_generation != have:
        raise errors.ConsumerGenerationConflict(expected=have, given=wanted.consumer_generation)


class CapacityTracker:
    """What is left in locked inventories, and what is taken from them: (provider id, class) → units."""

    def __init__(self, inventories: Sequence[InventoryRow]) -> None:
        self._inventories = {(row.provider_id, row.resource_class): row for row in inventories}
        self.taken: Counter[tuple[int, str]] = Counter()

    def take(self, provider_id: int, name: str, amount: int) -> bool:
        """False when it does not fit."""
        key = (provider_id, name)
        held = self._inventories.get(key)
        if held is None or held.used + self.taken[key] + amount > held.capacity:
            return False
        if not held.min_unit <= amount <= held.max_unit or amount % held.step_size:
            return False
        self.taken[key] += amount
        return True
