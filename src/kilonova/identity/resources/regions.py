"""Regions of the catalog. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.db import Connection, retried
from kilonova.core.policy import ANYONE
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import View
from kilonova.identity import errors
from kilonova.identity.resources.base import Deps, Logic, must_get
from kilonova.identity.store.catalog import RegionRow, endpoints, regions
from kilonova.identity.web.body import columns, read
from kilonova.identity.web.checks import crud_rules
from kilonova.identity.web.query import given
from kilonova.identity.web.resource import Resource, crud
from kilonova.identity.web.texts import Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink, list_links, self_link, with_extra

RegionId = Annotated[str, Meta(pattern=r"^[^/\x00]*\Z", description="text without slashes", max_length=255)]


# ---- shapes


class RegionCreate(Extensible):
    id: RegionId | None = None
    description: Text | None = None
    parent_region_id: RegionId | None = None


class RegionUpdate(Extensible):
    description: Text | UnsetType | None = UNSET
    parent_region_id: RegionId | UnsetType | None = UNSET


class RegionCreateBody(View):
    region: RegionCreate


class RegionUpdateBody(View):
    region: RegionUpdate


class Region(Extensible):
    id: str
    description: str
    parent_region_id: str | None
    links: SelfLink


class RegionBody(View):
    region: Region


class Regions(View):
    regions: list[Region]
    links: ListLinks


def view_of(call: Call, row: RegionRow) -> Any:
    view = Region(
        id=row.id,
        description=row.description,
        parent_region_id=row.parent_region_id,
        links=self_link(call, "/v3/regions", row.id),
    )
    return with_extra(view, row.extra)


# ---- rules


class RegionLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[RegionRow]:
        async with self.database.reading() as connection:
            return await regions.find(connection, **filters)

    async def get(self, region_id: str) -> RegionRow:
        async with self.database.reading() as connection:
            return await must_get(connection, regions, errors.RegionNotFound, region_id)

    @retried
    async def create(self, values: dict[str, Any]) -> RegionRow:
        row = values | {"id": values.get("id") or self.clock.hex_id(), "description": values.get("description") or ""}
        async with self.storing("region", f"Duplicate ID, {row['id']}.") as tx:
            await self._check_parent(tx.connection, row["id"], row.get("parent_region_id"))
            await regions.add(tx.connection, row)
            return await must_get(tx.connection, regions, errors.RegionNotFound, row["id"])

    @retried
    async def update(self, region_id: str, values: dict[str, Any], extra: dict[str, Any]) -> RegionRow:
        if "description" in values:
            values["description"] = values["description"] or ""
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, regions, errors.RegionNotFound, region_id, lock=True)
            await self._check_parent(tx.connection, region_id, values.get("parent_region_id"))
            await regions.change(tx.connection, values | {"extra": row.extra | extra}, id=region_id)
            return await must_get(tx.connection, regions, errors.RegionNotFound, region_id)

    @retried
    async def delete(self, region_id: str) -> None:
        """With its child regions, as long as none of them has endpoints."""
        async with self.database.transaction() as tx:
            await must_get(tx.connection, regions, errors.RegionNotFound, region_id)
            levels = [[region_id]]
            while levels[-1]:
                below = await regions.find(tx.connection, parent_region_id=levels[-1])
                levels.append([row.id for row in below])
            for level in reversed(levels[:-1]):
                if await endpoints.get(tx.connection, region_id=level) is not None:
                    raise errors.RegionInUse(id=region_id)
                await regions.remove(tx.connection, id=level)

    async def _check_parent(self, connection: Connection, region_id: str, parent_id: str | None) -> None:
        """All regions are locked: two that move below each other at once would make a circle."""
        if parent_id is not None:
            await regions.find(connection, lock=True)
        while parent_id is not None:
            if parent_id == region_id:
                raise errors.Invalid(
                    reason=f"The specified parent region {parent_id} would create a circular region hierarchy."
                )
            parent = await must_get(connection, regions, errors.RegionNotFound, parent_id)
            parent_id = parent.parent_region_id


# ---- over HTTP


class RegionHandlers:
    def __init__(self, regions: RegionLogic) -> None:
        self.regions = regions

    async def list(self, call: Call) -> Reply:
        rows = await self.regions.list(**given(parent_region_id=call.query.get("parent_region_id")))
        return Reply(Regions(regions=[view_of(call, row) for row in rows], links=list_links(call, "/v3/regions")))

    async def show(self, call: Call, region_id: str) -> Reply:
        return Reply(RegionBody(region=view_of(call, await self.regions.get(region_id))))

    async def create(self, call: Call, region_id: str | None = None) -> Reply:
        body, extra = await read(call, RegionCreateBody)
        if region_id is not None and body.region.id not in (None, region_id):
            raise InvalidInput(reason="the region's id is not the one in the URL")
        row = await self.regions.create(columns(body.region) | {"id": region_id or body.region.id, "extra": extra})
        return Reply(RegionBody(region=view_of(call, row)))

    async def update(self, call: Call, region_id: str) -> Reply:
        body, extra = await read(call, RegionUpdateBody)
        return Reply(
            RegionBody(region=view_of(call, await self.regions.update(region_id, columns(body.region), extra)))
        )

    async def delete(self, call: Call, region_id: str) -> Reply:
        await self.regions.delete(region_id)
        return Reply()


def routes(deps: Deps) -> list[Route]:
    api = RegionHandlers(RegionLogic(deps))
    return [
        *crud(
            "/v3/regions", "region", api,
            one=RegionBody, several=Regions, create=RegionCreateBody, update=RegionUpdateBody,
        ),
        Route(
            "PUT", "/v3/regions/{region_id:str}", api.create, "identity:create_region", 201,
            body=RegionCreateBody, reply=RegionBody, summary="Create a region with this id.",
        ),
    ]  # fmt: skip


REGIONS = Resource(routes, crud_rules("region", "regions", read=ANYONE, listing=ANYONE))
