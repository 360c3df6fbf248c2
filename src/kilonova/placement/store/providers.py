"""SQL of resource providers and their inventories."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, delete, exists, literal, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.placement.tables import allocations, inventories, resource_providers


class ProviderKey(TypedRow):
    id: int
    uuid: str


class ProviderRow(ProviderKey):
    name: str
    generation: int
    parent_uuid: str | None


class InventoryRow(TypedRow):
    """`capacity` is what allocations may reach together: (total - reserved) × allocation_ratio."""

    id: int
    provider_id: int
    resource_class: str
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float
    capacity: int
    used: int


class SummaryRow(TypedRow):
    """One inventory of a provider; one row with None thrice of a provider without any."""

    uuid: str
    name: str
    resource_class: str | None
    capacity: int | None
    used: int | None


async def find(
    connection: Connection, *, uuid: str | None = None, name: str | None = None, lock: bool = False
) -> Sequence[ProviderRow]:
    """With `lock`, claims on these providers and changes of them are serialized."""
    query = _found(uuid, name, by_uuid=uuid is not None, by_name=name is not None, lock=lock)
    return rows.every(await connection.execute(*query), ProviderRow)


@prepared
def _found(uuid: Any, name: Any, *, by_uuid: bool, by_name: bool, lock: bool) -> Select[Any]:
    query = select(resource_providers).order_by(resource_providers.c.id)
    if by_uuid:
        query = query.where(resource_providers.c.uuid == uuid)
    if by_name:
        query = query.where(resource_providers.c.name == name)
    return locked(query) if lock else query


async def matching(
    connection: Connection, *, uuid: str | None, name: str | None, resources: Mapping[str, int]
) -> Sequence[ProviderRow]:
    """Those with room for all of the resources (class → units)."""
    query = select(resource_providers).order_by(resource_providers.c.id)
    if uuid is not None:
        query = query.where(resource_providers.c.uuid == uuid)
    if name is not None:
        query = query.where(resource_providers.c.name == name)
    table = inventories.c
    for resource_class, units in resources.items():
        amount = literal(units, BigInteger)
        fits = (
            table.capacity - table.used >= amount,
            table.min_unit <= amount,
            table.max_unit >= amount,
            amount % table.step_size == 0,
        )
        here = (table.provider_id == resource_providers.c.id, table.resource_class == resource_class)
        query = query.where(exists().where(*here, *fits))
    return rows.every(await connection.execute(query), ProviderRow)


async def parents(connection: Connection) -> dict[str, str]:
    """uuid → the parent's, of all that have one."""
    table = resource_providers.c
    query = select(table.uuid, table.parent_uuid).where(table.parent_uuid.is_not(None))
    return {row.uuid: row.parent_uuid for row in await connection.execute(query)}


async def has_children(connection: Connection, uuid: str) -> bool:
    query = select(resource_providers.c.id).where(resource_providers.c.parent_uuid == uuid).limit(1)
    return (await connection.execute(query)).first() is not None


async def lock_many(connection: Connection, uuids: Collection[str]) -> Sequence[ProviderKey]:
    """Of those that are known; as `find` with `lock`."""
    query = select(resource_providers.c.uuid, resource_providers.c.id).where(resource_providers.c.uuid.in_(list(uuids)))
    return rows.every(await connection.execute(locked(query.order_by(resource_providers.c.id))), ProviderKey)


async def add(connection: Connection, *, uuid: str, name: str, parent_uuid: str | None) -> None:
    await connection.execute(
        insert(resource_providers), {"uuid": uuid, "name": name, "parent_uuid": parent_uuid, "generation": 0}
    )


async def rename(connection: Connection, uuid: str, values: dict[str, Any]) -> None:
    await connection.execute(update(resource_providers).where(resource_providers.c.uuid == uuid).values(**values))


async def remove(connection: Connection, provider_id: int) -> None:
    await connection.execute(delete(inventories).where(inventories.c.provider_id == provider_id))
    await connection.execute(delete(resource_providers).where(resource_providers.c.id == provider_id))


async def has_allocations(connection: Connection, provider_id: int) -> bool:
    query = select(allocations.c.id).where(allocations.c.provider_id == provider_id).limit(1)
    return (await connection.execute(query)).first() is not None


async def bump(connection: Connection, provider_id: int, generation: int) -> bool:
    """Take the next generation; False when another transaction did meanwhile."""
    table = resource_providers.c
    result = await connection.execute(
        update(resource_providers)
        .where(table.id == provider_id, table.generation == generation)
        .values(generation=generation + 1)
    )
    return result.rowcount == 1


async def inventories_of(connection: Connection, provider_id: int) -> Sequence[InventoryRow]:
    query = select(inventories).where(inventories.c.provider_id == provider_id).order_by(inventories.c.resource_class)
    return rows.every(await connection.execute(query), InventoryRow)


async def inventories_of_many(connection: Connection, provider_ids: Collection[int]) -> Sequence[InventoryRow]:
    """Those of providers, as they stay until the transaction ends."""
    query = select(inventories).where(inventories.c.provider_id.in_(list(provider_ids)))
    return rows.every(await connection.execute(locked(query.order_by(inventories.c.id))), InventoryRow)


async def put_inventory(connection: Connection, provider_id: int, resource_class: str, values: dict[str, Any]) -> None:
    """Insert or update; what is used stays."""
    key = (inventories.c.provider_id == provider_id, inventories.c.resource_class == resource_class)
    changed = await connection.execute(update(inventories).where(*key).values(**values))
    if changed.rowcount == 0:
        row = {"provider_id": provider_id, "resource_class": resource_class, "used": 0} | values
        await connection.execute(insert(inventories), row)


async def drop_inventories(connection: Connection, provider_id: int, classes: list[str]) -> None:
    await connection.execute(
        delete(inventories).where(inventories.c.provider_id == provider_id, inventories.c.resource_class.in_(classes))
    )


async def summaries(connection: Connection, since: dt.datetime | None = None) -> Sequence[SummaryRow]:
    """Of every provider, or of those with something that changed since then."""
    return rows.every(await connection.execute(*_summaries(since, changed=since is not None)), SummaryRow)


@prepared
def _summaries(since: Any, *, changed: bool) -> Select[Any]:
    query = (
        select(
            resource_providers.c.uuid,
            resource_providers.c.name,
            inventories.c.resource_class,
            inventories.c.capacity,
            inventories.c.used,
        )
        .select_from(resource_providers.outerjoin(inventories))
        .order_by(resource_providers.c.id)
    )
    if not changed:
        return query
    news = select(inventories.c.provider_id).where(inventories.c.changed_at >= since)
    return query.where(resource_providers.c.id.in_(news))
