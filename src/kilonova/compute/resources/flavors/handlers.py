"""Flavors over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from kilonova.compute.resources.flavors import schemas as shapes
from kilonova.compute.resources.flavors.logic import FlavorLogic, sees
from kilonova.compute.store.flavors import SORT_KEYS, FlavorFilter, FlavorRow
from kilonova.compute.web.fields import truth
from kilonova.compute.web.links import Links, links, next_page
from kilonova.compute.web.query import InvalidQuery, at_least, flag, number
from kilonova.core.clock import Clock
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.paging import read_page
from kilonova.core.web.wire import present

SPECS_RULE = "os_compute_api:os-flavor-extra-specs:index"


class Flavors:
    def __init__(self, logic: FlavorLogic, clock: Clock) -> None:
        self.logic, self.clock = logic, clock

    def _view(self, call: Call, row: FlavorRow) -> shapes.Flavor:
        return shapes.Flavor(
            id=row.flavorid, name=row.name, ram=row.memory_mb, disk=row.root_gb, swap_text=row.swap_mb or "",
            swap=row.swap_mb, ephemeral=row.ephemeral_gb, disabled=row.disabled, vcpus=row.vcpus, is_public=row.is_public,
            rxtx_factor=row.rxtx_factor, links=links(call, "flavors", row.flavorid), description=row.description,
            extra_specs=row.extra_specs if call.allowed(SPECS_RULE) else UNSET,
        )  # fmt: skip

    def _wanted(self, call: Call) -> FlavorFilter:
        public: bool | None = True
        text = call.query.get("is_public")
        if text is not None and call.ctx.is_admin:
            try:
                public = None if text.lower() == "none" else flag(text)
            except ValueError:
                raise InvalidInput(reason=f"Invalid is_public filter [{text}]") from None
        if not call.ctx.is_admin:
            public = None  # the public ones and those its project was given
        return FlavorFilter(
            project_id=sees(call.ctx),
            public=public,
            min_ram=number(call, "minRam"),
            min_disk=number(call, "minDisk"),
            name=call.query.get("name") if at_least(call, "2.102") else None,
        )

    async def _rows(self, call: Call, path: str) -> tuple[Sequence[FlavorRow], Links]:
        page = read_page(call)
        sort_key, sort_dir = call.query.get("sort_key", "flavorid"), call.query.get("sort_dir", "asc")
        if sort_key not in SORT_KEYS:
            raise InvalidQuery(name="sort_key", value=sort_key)
        if sort_dir not in ("asc", "desc"):
            raise InvalidQuery(name="sort_dir", value=sort_dir)
        rows = await self.logic.list(
            self._wanted(call), limit=page.limit, marker=page.marker, sort_key=sort_key, descending=sort_dir == "desc"
        )
        more = next_page(call, path, page, rows, rows[-1].flavorid if rows else None)
        return rows, more

    async def list(self, call: Call) -> Reply:
        rows, more = await self._rows(call, "/flavors")
        items = [
            shapes.FlavorBrief(
                id=r.flavorid, name=r.name, description=r.description, links=links(call, "flavors", r.flavorid)
            )
            for r in rows
        ]
        return Reply(shapes.FlavorBriefs(flavors=items, flavors_links=more))

    async def detail(self, call: Call) -> Reply:
        rows, more = await self._rows(call, "/flavors/detail")
        return Reply(shapes.Flavors(flavors=[self._view(call, row) for row in rows], flavors_links=more))

    async def show(self, call: Call, flavor_id: str) -> Reply:
        return Reply(shapes.FlavorBody(flavor=self._view(call, await self.logic.get(call.ctx, flavor_id))))

    async def create(self, call: Call) -> Reply:
        flavor = (await call.decode(shapes.FlavorCreate)).flavor
        flavorid = str(flavor.id) if flavor.id not in (None, "auto") else self.clock.uuid()
        values = {
            "flavorid": flavorid, "name": flavor.name, "memory_mb": int(flavor.ram), "vcpus": int(flavor.vcpus),
            "root_gb": int(flavor.disk), "ephemeral_gb": int(flavor.ephemeral), "swap_mb": int(flavor.swap),
            "rxtx_factor": float(flavor.rxtx_factor), "is_public": truth(flavor.is_public),
            "description": present(flavor.description, None),
        }  # fmt: skip
        return Reply(shapes.FlavorBody(flavor=self._view(call, await self.logic.create(call.ctx, values))))

    async def update(self, call: Call, flavor_id: str) -> Reply:
        body = await call.decode(shapes.FlavorUpdate)
        row = await self.logic.describe(call.ctx, flavor_id, body.flavor.description)
        return Reply(shapes.FlavorBody(flavor=self._view(call, row)))

    async def delete(self, call: Call, flavor_id: str) -> Reply:
        await self.logic.delete(call.ctx, flavor_id)
        return Reply()
