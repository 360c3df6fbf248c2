"""Volume types over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from kilonova.core.errors import BadRequest
from kilonova.core.web.bodies import converted
from kilonova.core.web.call import Call, Reply
from kilonova.volume import errors
from kilonova.volume.fields import truth, truth_of
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.resources.types import schemas as shapes
from kilonova.volume.resources.types.logic import Known, TypeLogic
from kilonova.volume.resources.types.policies import EXTRA_SPECS, QOS, READ_SENSITIVE

LIST = Listing(
    filters={"name": "name", "id": "id", "description": "description"},
    sort={"id": "id", "name": "name", "created_at": "created_at", "updated_at": "updated_at"},
    pairs={"extra_specs": "metadata"},
)
FOR_ALL = ("multiattach", "replication_enabled", "RESKEY:availability_zones")
"""Extra specs that users may read too."""


class Types:
    def __init__(self, logic: TypeLogic) -> None:
        self.logic = logic

    def _view(self, call: Call, known: Known, *, extended: bool = True) -> shapes.TypeView:
        row = known.row
        view = shapes.TypeView(
            id=row.id,
            name=row.name,
            description=row.description,
            is_public=bool(row.is_public),
            public=bool(row.is_public),
        )
        if call.allowed(EXTRA_SPECS):
            view.extra_specs = self._specs(call, known)
        if extended and call.allowed(QOS):
            view.qos_specs_id = row.qos_specs_id
        return view

    def _specs(self, call: Call, known: Known) -> dict[str, str]:
        if call.allowed(READ_SENSITIVE):
            return known.extra_specs
        return {name: value for name, value in known.extra_specs.items() if name in FOR_ALL}

    async def _body(self, call: Call, type_id: str, *, extended: bool = False) -> Reply:
        known = await self.logic.show(call.ctx, type_id)
        return Reply(shapes.TypeBody(volume_type=self._view(call, known, extended=extended)))

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        public = call.query.get("is_public", "none" if call.ctx.is_admin and "is_public" in call.query else "true")
        if not call.ctx.is_admin:
            public = "none"  # what it sees is public, or its own
        if public.lower() != "none":
            query.equal["is_public"] = truth_of(public, "is_public")
        found = await self.logic.page(call.ctx, query)
        view = shapes.Types(volume_types=[self._view(call, known) for known in found])
        view.links = next_page(call, query, "/types", view.volume_types) or UNSET
        return Reply(view)

    async def show(self, call: Call, type_id: str) -> Reply:
        return await self._body(call, type_id, extended=True)

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.TypeCreate)).volume_type
        values = {"name": asked.name.strip(), "description": asked.description, "is_public": truth(asked.public)}
        return await self._body(call, await self.logic.create(values, asked.extra_specs or {}))

    async def update(self, call: Call, type_id: str) -> Reply:
        asked = (await call.decode(shapes.TypeUpdate)).volume_type
        known = await self.logic.show(call.ctx, type_id)
        values: dict[str, Any] = {}
        if asked.name is not UNSET and asked.name is not None:
            values["name"] = str(asked.name).strip()
            if not 0 < len(values["name"]) <= 255:
                raise BadRequest("Volume type name can not be empty.")
        if asked.description is not UNSET:
            values["description"] = asked.description
        if asked.is_public is not UNSET and not isinstance(asked.is_public, type(UNSET)):
            values["is_public"] = truth(asked.is_public)
        if not values:
            raise BadRequest("Specify volume type name, description, is_public or a combination thereof.")
        await self.logic.update(known.row, values)
        view = self._view(call, await self.logic.show(call.ctx, known.row.id), extended=False)
        view.public = UNSET
        return Reply(shapes.TypeBody(volume_type=view))

    async def delete(self, call: Call, type_id: str) -> Reply:
        await self.logic.delete((await self.logic.show(call.ctx, type_id)).row)
        return Reply()

    # ---- extra specs

    async def list_specs(self, call: Call, type_id: str) -> Reply:
        return Reply(shapes.SpecsBody(extra_specs=self._specs(call, await self.logic.show(call.ctx, type_id))))

    async def add_specs(self, call: Call, type_id: str) -> Reply:
        asked = await call.decode(shapes.SpecsBody)
        if not asked.extra_specs:
            raise BadRequest("Invalid input for field/attribute extra_specs: there are none")
        await self.logic.set_specs((await self.logic.show(call.ctx, type_id)).row, asked.extra_specs)
        return Reply(shapes.SpecsBody(extra_specs=asked.extra_specs))

    async def show_spec(self, call: Call, type_id: str, name: str) -> Reply:
        specs = self._specs(call, await self.logic.show(call.ctx, type_id))
        if name not in specs:
            raise errors.ExtraSpecNotFound(type_id=type_id, name=name)
        return Reply({name: specs[name]})

    async def set_spec(self, call: Call, type_id: str, name: str) -> Reply:
        asked = await call.decode(shapes.Specs)
        if [*asked] != [name]:
            raise BadRequest("Request body and URI mismatch: the body has one key, that of the URL")
        await self.logic.set_specs((await self.logic.show(call.ctx, type_id)).row, asked)
        return Reply(asked)

    async def remove_spec(self, call: Call, type_id: str, name: str) -> Reply:
        await self.logic.remove_spec((await self.logic.show(call.ctx, type_id)).row, name)
        return Reply()

    # ---- access

    async def access(self, call: Call, type_id: str) -> Reply:
        known = await self.logic.show(call.ctx, type_id)
        projects = await self.logic.access(known.row)
        found = [shapes.Access(volume_type_id=known.row.id, project_id=project) for project in projects]
        return Reply(shapes.AccessBody(access=found))

    async def act(self, call: Call, type_id: str) -> Reply:
        """The body's one key names what to do."""
        asked = await call.decode(dict[str, Any])
        if "addProjectAccess" in asked:
            call.authorize({}, "volume_extension:volume_type_access:addProjectAccess")
            project, change = _project(call, asked, shapes.AddAccess), self.logic.give
        else:
            call.authorize({}, "volume_extension:volume_type_access:removeProjectAccess")
            project, change = _project(call, asked, shapes.RemoveAccess), self.logic.take
        await change((await self.logic.show(call.ctx, type_id)).row, project)
        return Reply()


def _project(call: Call, asked: dict[str, Any], shape: Any) -> str:
    return str(converted(call, asked, shape).asked.project)
