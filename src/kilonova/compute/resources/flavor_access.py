"""Access lists of private flavors: the projects that may use them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.compute.peers import ProjectReader
from kilonova.compute.projects import check_project
from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.resources.flavors.logic import visible
from kilonova.compute.store import flavors as store
from kilonova.compute.web.fields import matching
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import Conflict, NotFound
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import Body, View

RULE = f"{R}:os-flavor-access"
RULES = {RULE: ADMIN, f"{RULE}:add_tenant_access": ADMIN, f"{RULE}:remove_tenant_access": ADMIN}
ProjectIds = list[str]


class FlavorAccessExists(Conflict):
    template = "Flavor access already exists for flavor {flavor_id} and project {project_id} combination."


class FlavorAccessNotFound(NotFound):
    template = "Flavor access not found for {flavor_id} / {project_id} combination."


class FlavorIsPublic(NotFound):
    template = "Access list not available for public flavors."


class FlavorIsPublicConflict(Conflict):
    template = "Can not add access to a public flavor."


class Tenant(Body, kw_only=True):
    tenant: Annotated[str, matching(r"\A[a-zA-Z0-9\-]*\Z", "letters, digits and -", min_length=1, max_length=255)]


class FlavorAction(Body, kw_only=True, rename="camel"):
    """One of the two."""

    add_tenant_access: Tenant | UnsetType = UNSET
    remove_tenant_access: Tenant | UnsetType = UNSET


class Access(View, kw_only=True):
    flavor_id: str
    tenant_id: str


class AccessList(View, kw_only=True):
    flavor_access: list[Access]


class FlavorAccessLogic:
    def __init__(self, database: Database, projects: ProjectReader) -> None:
        self.database, self._projects = database, projects

    async def projects(self, ctx: RequestContext, flavorid: str) -> ProjectIds:
        async with self.database.reading() as connection:
            row = await visible(connection, ctx, flavorid)
            if row.is_public:
                raise FlavorIsPublic
            return await store.projects(connection, row.id)

    async def grant(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        await check_project(self._projects, ctx, project_id)
        return await self._grant(ctx, flavorid, project_id)

    @retried
    async def _grant(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        async with self.database.transaction() as tx:
            row = await visible(tx.connection, ctx, flavorid)
            if row.is_public:
                raise FlavorIsPublicConflict
            if project_id in await store.projects(tx.connection, row.id):
                raise FlavorAccessExists(flavor_id=flavorid, project_id=project_id)
            await store.grant(tx.connection, row.id, project_id)
            return await store.projects(tx.connection, row.id)

    @retried
    async def revoke(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        """Also from a project that is gone."""
        async with self.database.transaction() as tx:
            row = await visible(tx.connection, ctx, flavorid)
            if row.is_public:
                raise FlavorIsPublicConflict
            if not await store.revoke(tx.connection, row.id, project_id):
                raise FlavorAccessNotFound(flavor_id=flavorid, project_id=project_id)
            return await store.projects(tx.connection, row.id)


class FlavorAccess:
    def __init__(self, logic: FlavorAccessLogic) -> None:
        self.logic = logic

    async def list(self, call: Call, flavor_id: str) -> Reply:
        return _shown(flavor_id, await self.logic.projects(call.ctx, flavor_id))

    async def action(self, call: Call, flavor_id: str) -> Reply:
        body = await call.decode(FlavorAction)
        add, remove = body.add_tenant_access, body.remove_tenant_access
        if isinstance(add, UnsetType) == isinstance(remove, UnsetType):
            raise InvalidInput(reason="exactly one action is needed")
        if not isinstance(add, UnsetType):
            call.authorize({}, f"{RULE}:add_tenant_access")
            return _shown(flavor_id, await self.logic.grant(call.ctx, flavor_id, add.tenant))
        call.authorize({}, f"{RULE}:remove_tenant_access")
        assert not isinstance(remove, UnsetType)  # noqa: S101 - for the type checker
        return _shown(flavor_id, await self.logic.revoke(call.ctx, flavor_id, remove.tenant))


def _shown(flavor_id: str, projects: ProjectIds) -> Reply:
    return Reply(AccessList(flavor_access=[Access(flavor_id=flavor_id, tenant_id=project) for project in projects]))


def routes(deps: Deps) -> list[Route]:
    one, access = V + "/flavors/{flavor_id:str}", FlavorAccess(FlavorAccessLogic(deps.database, deps.projects))
    return [
        Route(
            "GET", one + "/os-flavor-access", access.list, RULE, reply=AccessList,
            summary="List the projects that may use a private flavor.",
        ),
        Route(
            "POST", one + "/action", access.action, f"{RULE}:add_tenant_access", body=FlavorAction, reply=AccessList,
            summary="Give a project access to a private flavor, or remove it.",
        ),
    ]  # fmt: skip


FLAVOR_ACCESS = Resource(routes, RULES)
