"""Resource providers, inventories and usages over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import UnsetType

from kilonova.core import errors
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version, present
from kilonova.placement.resources.parameters import check_known
from kilonova.placement.resources.providers import schemas as shapes
from kilonova.placement.resources.providers.logic import ProviderLogic
from kilonova.placement.resources.providers.query import read_providers
from kilonova.placement.store.providers import InventoryRow, ProviderRow

MOVABLE_SINCE = Version(1, 37)
SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
SUMMARIES = {"changed_within": "1.0"}


class Providers:
    def __init__(self, logic: ProviderLogic) -> None:
        self.logic = logic

    async def _shown(self, row: ProviderRow) -> shapes.Provider:
        return self._view(row, await self.logic.roots([row]))

    def _view(self, row: ProviderRow, roots: dict[str, str]) -> shapes.Provider:
        base = f"/placement/resource_providers/{row.uuid}"
        names = ("inventories", "usages", "allocations", "aggregates", "traits")
        links = [shapes.Link(rel="self", href=base), *(shapes.Link(rel=n, href=f"{base}/{n}") for n in names)]
        return shapes.Provider(
            uuid=row.uuid,
            name=row.name,
            generation=row.generation,
            links=links,
            parent_provider_uuid=row.parent_uuid,
            root_provider_uuid=roots.get(row.uuid, row.uuid),
        )

    async def list(self, call: Call) -> Reply:
        query = read_providers(call)
        rows = [] if query.nothing else await self.logic.list(
            uuid=query.uuid, name=query.name, in_tree=query.in_tree, resources=query.resources
        )  # fmt: skip
        roots = await self.logic.roots(rows)
        return Reply(shapes.Providers(resource_providers=[self._view(row, roots) for row in rows]))

    async def show(self, call: Call, uuid: str) -> Reply:
        return Reply(await self._shown(await self.logic.get(uuid)))

    async def create(self, call: Call) -> Reply:
        body = await call.decode(shapes.ProviderCreate)
        row = await self.logic.create(
            uuid=present(body.uuid, None), name=body.name, parent=present(body.parent_provider_uuid, None)
        )
        headers = {"Location": f"{call.base_url}/resource_providers/{row.uuid}"}
        if call.version is not None and call.version >= Version(1, 20):
            return Reply(await self._shown(row), status=200, headers=headers)
        return Reply(status=201, headers=headers)

    async def update(self, call: Call, uuid: str) -> Reply:
        body = await call.decode(shapes.ProviderUpdate)
        values: dict[str, Any] = {"name": body.name}
        if not isinstance(body.parent_provider_uuid, UnsetType):
            values["parent_uuid"] = body.parent_provider_uuid
        movable = call.version is not None and call.version >= MOVABLE_SINCE
        return Reply(await self._shown(await self.logic.update(uuid, values, movable=movable)))

    async def delete(self, call: Call, uuid: str) -> Reply:
        await self.logic.delete(uuid)
        return Reply()

    async def inventories(self, call: Call, uuid: str) -> Reply:
        generation, rows = await self.logic.inventories(uuid)
        return Reply(shapes.Inventories(resource_provider_generation=generation, inventories=_inventories(rows)))

    async def set_inventories(self, call: Call, uuid: str) -> Reply:
        body = await call.decode(shapes.InventoriesPut)
        await self.logic.set_inventories(uuid, body.resource_provider_generation, body.inventories)
        return await self.inventories(call, uuid)

    async def usages(self, call: Call, uuid: str) -> Reply:
        generation, rows = await self.logic.inventories(uuid)
        used = {row.resource_class: row.used for row in rows}
        return Reply(shapes.Usages(resource_provider_generation=generation, usages=used))

    async def summaries(self, call: Call) -> Reply:
        check_known(call, SUMMARIES)
        within = call.query.get("changed_within")
        if within is not None and not SECONDS.fullmatch(within):
            raise errors.BadRequest("Invalid query string parameters: 'changed_within' is a number of seconds")
        return Reply(await self.logic.summaries(float(within) if within is not None else None))


def _inventories(rows: Iterable[InventoryRow]) -> dict[str, shapes.Inventory]:
    fields = shapes.Inventory.__struct_fields__
    return {row.resource_class: shapes.Inventory(**{f: getattr(row, f) for f in fields}) for row in rows}
