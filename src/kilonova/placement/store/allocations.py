"""SQL of consumers and allocations. A claim is a conditional UPDATE: it fits and is taken, or nothing changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Delete, Select, Update, bindparam, case, delete, func, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import SHAPES, insert, prepared
from kilonova.placement.tables import allocations, consumers, inventories, resource_providers

Q = TypeVar("Q", bound=Select[Any])
MOVE = (
    update(inventories)
    .where(inventories.c.provider_id == bindparam("of"), inventories.c.resource_class == bindparam("class"))
    .values(used=inventories.c.used + bindparam("units"), changed_at=bindparam("now"))
)


class ConsumerRow(TypedRow):
    id: int
    uuid: str
    project_id: str
    user_id: str
    generation: int
    consumer_type: str | None


class AllocationRow(TypedRow):
    """Of a consumer: what it holds of one class of one provider."""

    consumer_id: int
    provider_id: int
    provider_uuid: str
    provider_generation: int
    resource_class: str
    used: int


class HeldRow(TypedRow):
    """Of a provider: what one consumer holds of one class."""

    consumer_uuid: str
    consumer_generation: int
    resource_class: str
    used: int


class UsageRow(TypedRow):
    """`consumer_type` is None where it is unknown; `used` is a sum, of the type that the engine gives sums."""

    consumer_type: str | None
    resource_class: str
    used: int | Decimal


class CountRow(TypedRow):
    """The number of consumers of a type."""

    consumer_type: str | None
    number: int


async def consumer(connection: Connection, uuid: str, *, lock: bool = False) -> ConsumerRow | None:
    """With `lock` what it holds is locked until the transaction ends."""
    return rows.first(await connection.execute(*_consumer(uuid, lock=lock)), ConsumerRow)


@prepared
def _consumer(uuid: Any, *, lock: bool) -> Select[Any]:
    query = select(consumers).where(consumers.c.uuid == uuid)
    return locked(query) if lock else query


async def lock_consumers(connection: Connection, uuids: Collection[str]) -> dict[str, ConsumerRow]:
    """uuid → row of those that are known; as `consumer` with `lock`."""
    return {row.uuid: row for row in rows.every(await connection.execute(*_known(list(uuids))), ConsumerRow)}


@prepared
def _known(uuids: Any) -> Select[Any]:
    return locked(select(consumers).where(consumers.c.uuid.in_(uuids)).order_by(consumers.c.id))


async def add_consumers(connection: Connection, values: Sequence[dict[str, Any]]) -> dict[str, int]:
    """uuid → id of the new ones."""
    await connection.execute(insert(consumers), values)
    query = select(consumers.c.uuid, consumers.c.id).where(consumers.c.uuid.in_([row["uuid"] for row in values]))
    return {row.uuid: row.id for row in await connection.execute(query)}


async def add_consumer(connection: Connection, values: dict[str, Any]) -> int:
    result = await connection.execute(insert(consumers), values)
    return int((result.inserted_primary_key or (0,))[0])


async def advance_consumer(connection: Connection, consumer_id: int, generation: int, values: dict[str, Any]) -> bool:
    """The next generation of a consumer; False when another transaction changed it meanwhile."""
    result = await connection.execute(
        update(consumers)
        .where(consumers.c.id == consumer_id, consumers.c.generation == generation)
        .values(generation=generation + 1, **values)
    )
    return result.rowcount == 1


async def remove_consumers(connection: Connection, consumer_ids: Sequence[int]) -> None:
    await connection.execute(*_gone(consumer_ids))


@prepared
def _gone(consumer_ids: Any) -> Delete:
    return delete(consumers).where(consumers.c.id.in_(consumer_ids))


async def of_consumers(
    connection: Connection, uuids: Collection[str], *, lock: bool = False
) -> Sequence[AllocationRow]:
    """`lock` holds the consumers
    and the providers: claims and releases are serialized, in the order of their ids."""
    return rows.every(await connection.execute(*_of_consumers(list(uuids), lock=lock)), AllocationRow)


@prepared
def _of_consumers(uuids: Any, *, lock: bool) -> Select[Any]:
    query = (
        select(
            allocations.c.consumer_id,
            allocations.c.provider_id,
            resource_providers.c.uuid.label("provider_uuid"),
            resource_providers.c.generation.label("provider_generation"),
            allocations.c.resource_class,
            allocations.c.used,
        )
        .join(resource_providers, resource_providers.c.id == allocations.c.provider_id)
        .join(consumers, consumers.c.id == allocations.c.consumer_id)
        .where(consumers.c.uuid.in_(uuids))
        .order_by(allocations.c.provider_id, allocations.c.consumer_id)
    )
    return locked(query, of=(consumers, resource_providers)) if lock else query


async def of_provider(connection: Connection, provider_id: int) -> Sequence[HeldRow]:
    query = (
        select(
            consumers.c.uuid.label("consumer_uuid"),
            consumers.c.generation.label("consumer_generation"),
            allocations.c.resource_class,
            allocations.c.used,
        )
        .join(consumers, consumers.c.id == allocations.c.consumer_id)
        .where(allocations.c.provider_id == provider_id)
    )
    return rows.every(await connection.execute(query), HeldRow)


async def claim(connection: Connection, provider_id: int, amounts: dict[str, int], now: dt.datetime) -> bool:
    """Take `amounts` (class → units) from a provider if all of them fit; True when taken. On False the caller rolls back."""
    given = {"of": provider_id, "now": now} | {f"units_of_{name}": units for name, units in amounts.items()}
    return (await connection.execute(_taking(tuple(amounts)), given)).rowcount == len(amounts)


@lru_cache(SHAPES)
def _taking(classes: tuple[str, ...]) -> Update:
    """Units of these classes, all of one provider, in one statement."""
    table = inventories.c
    units = {name: bindparam(f"units_of_{name}", type_=table.used.type) for name in classes}
    amount = case(units, value=table.resource_class, else_=0)
    fits = (
        table.capacity - table.used >= amount,  # a sum could be more than a number holds
        amount >= table.min_unit,
        amount <= table.max_unit,
        amount % table.step_size == 0,
    )
    here = update(inventories).where(table.provider_id == bindparam("of"), table.resource_class.in_(classes), *fits)
    return here.values(used=table.used + amount, changed_at=bindparam("now"))


async def remove(connection: Connection, consumer_ids: Sequence[int]) -> None:
    """What the consumers hold is forgotten."""
    await connection.execute(*_released(consumer_ids))


@prepared
def _released(consumer_ids: Any) -> Delete:
    return delete(allocations).where(allocations.c.consumer_id.in_(consumer_ids))


async def add(connection: Connection, held: Sequence[tuple[int, int, str, int]]) -> None:
    """(consumer_id, provider_id, resource_class, used) of each."""
    if held:
        names = ("consumer_id", "provider_id", "resource_class", "used")
        await connection.execute(insert(allocations), [dict(zip(names, row, strict=True)) for row in held])


async def move(connection: Connection, units: Mapping[tuple[int, str], int], now: dt.datetime) -> None:
    """(provider id, class) → units more in use, or fewer, of inventories that are locked and have them: in one statement."""
    changes = [
        {"of": provider, "class": name, "units": more, "now": now} for (provider, name), more in sorted(units.items())
    ]
    await connection.execute(MOVE, changes)


async def usage_of_project(connection: Connection, project_id: str, user_id: str | None) -> Sequence[UsageRow]:
    kind, name = consumers.c.consumer_type, allocations.c.resource_class
    query = select(kind, name, func.sum(allocations.c.used).label("used"))
    query = query.join(consumers, consumers.c.id == allocations.c.consumer_id)
    return rows.every(await connection.execute(_owned(query, project_id, user_id).group_by(kind, name)), UsageRow)


async def consumers_of_project(connection: Connection, project_id: str, user_id: str | None) -> Sequence[CountRow]:
    kind = consumers.c.consumer_type
    query = _owned(select(kind, func.count().label("number")), project_id, user_id).group_by(kind)
    return rows.every(await connection.execute(query), CountRow)


def _owned(query: Q, project_id: str, user_id: str | None) -> Q:
    query = query.where(consumers.c.project_id == project_id)
    return query if user_id is None else query.where(consumers.c.user_id == user_id)
