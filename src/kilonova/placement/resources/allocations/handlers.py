"""Allocations over HTTP."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from kilonova.core import errors
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version
from kilonova.placement.resources.allocations import schemas as shapes
from kilonova.placement.resources.allocations.logic import UNKNOWN, AllocationLogic
from kilonova.placement.resources.allocations.query import project_of, read_usages

GENERATIONS_SINCE, BY_TYPE_SINCE = Version(1, 28), Version(1, 38)


class Allocations:
    def __init__(self, logic: AllocationLogic) -> None:
        self.logic = logic

    async def show(self, call: Call, consumer: str) -> Reply:
        known, rows = await self.logic.of_consumer(consumer)
        held: dict[str, shapes.Allocation] = {}
        for row in rows:
            item = held.setdefault(
                row.provider_uuid, shapes.Allocation(resources={}, generation=row.provider_generation)
            )
            item.resources[row.resource_class] = row.used
        body = shapes.Allocations(allocations=held)
        if known is not None:
            body.project_id, body.user_id = known.project_id, known.user_id
            body.consumer_generation, body.consumer_type = known.generation, known.consumer_type or UNKNOWN
        return Reply(body)

    async def replace(self, call: Call, consumer: str) -> Reply:
        try:
            UUID(consumer)
        except ValueError:
            raise errors.BadRequest(f"consumer {consumer[:80]!r} is not a 'uuid'") from None
        body = await call.decode(shapes.AllocationsPut)
        await self.logic.replace(consumer, body, check_generation=_checks(call))
        return Reply()

    async def replace_many(self, call: Call) -> Reply:
        body = await call.decode(shapes.AllocationsOfMany)
        await self.logic.replace_many(body, check_generation=_checks(call))
        return Reply()

    async def delete(self, call: Call, consumer: str) -> Reply:
        await self.logic.remove(consumer)
        return Reply()

    async def of_provider(self, call: Call, uuid: str) -> Reply:
        generation, rows = await self.logic.of_provider(uuid)
        held: dict[str, shapes.ProviderAllocation] = {}
        for row in rows:
            item = held.setdefault(
                row.consumer_uuid, shapes.ProviderAllocation(resources={}, consumer_generation=row.consumer_generation)
            )
            item.resources[row.resource_class] = row.used
        return Reply(shapes.ProviderAllocations(allocations=held, resource_provider_generation=generation))

    async def project_usages(self, call: Call) -> Reply:
        project_id = project_of(call)
        call.authorize({"project_id": project_id})
        user_id, kind = read_usages(call)
        usages = await self.logic.usage_of_project(project_id, user_id, kind)
        if call.version is not None and call.version >= BY_TYPE_SINCE:
            return Reply(shapes.ProjectUsagesByType(usages=usages))
        merged = Counter[str]()
        for of_type in usages.values():
            merged.update(of_type)
        del merged["consumer_count"]
        return Reply(shapes.ProjectUsages(usages=merged))


def _checks(call: Call) -> bool:
    return call.version is not None and call.version >= GENERATIONS_SINCE
