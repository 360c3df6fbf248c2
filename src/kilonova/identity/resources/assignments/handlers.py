"""Role assignments over HTTP: one set of handlers for every pair of actor and target."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.assignments import schemas as shapes
from kilonova.identity.resources.assignments import views
from kilonova.identity.resources.assignments.logic import SYSTEM, AssignmentLogic, Grant
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.roles import views as role_views
from kilonova.identity.web.query import flag
from kilonova.identity.web.views import list_links

FILTERS = {
    "user.id": ("user", "actor_kind", "actor_id"),
    "group.id": ("group", "actor_kind", "actor_id"),
    "scope.project.id": ("project", "target_kind", "target_id"),
    "scope.domain.id": ("domain", "target_kind", "target_id"),
}


class Grants:
    """`actor` and `target` name the path's parameters: user or group; project, domain or system."""

    def __init__(self, assignments: AssignmentLogic, *, actor: str, target: str, inherited: bool = False) -> None:
        self.assignments, self.actor, self.target, self.inherited = assignments, actor, target, inherited

    def _grant(self, ids: dict[str, str]) -> Grant:
        return Grant(
            actor_kind=self.actor,
            actor_id=ids[f"{self.actor}_id"],
            target_kind=self.target,
            target_id=ids.get(f"{self.target}_id", SYSTEM),
            inherited=self.inherited,
        )

    async def list(self, call: Call, **ids: str) -> Reply:
        rows = await self.assignments.roles(self._grant(ids))
        return Reply(role_views.roles(call, call.request.url.path, rows))

    async def check(self, call: Call, **ids: str) -> Reply:
        await self.assignments.check(self._grant(ids), ids["role_id"])
        return Reply()

    async def grant(self, call: Call, **ids: str) -> Reply:
        await self.assignments.grant(self._grant(ids), ids["role_id"])
        return Reply()

    async def revoke(self, call: Call, **ids: str) -> Reply:
        await self.assignments.revoke(self._grant(ids), ids["role_id"])
        return Reply()


class RoleAssignments:
    def __init__(self, assignments: AssignmentLogic, projects: ProjectLogic) -> None:
        self.assignments, self.projects = assignments, projects

    async def list(self, call: Call) -> Reply:
        effective = flag(call, "effective") or False
        where = await self._filters(call, effective)
        rows = await self.assignments.list(where, effective=effective)
        names = flag(call, "include_names") or False
        found = [views.assignment(call, row, names=names) for row in rows]
        return Reply(shapes.Assignments(role_assignments=found, links=list_links(call, "/v3/role_assignments")))

    async def _filters(self, call: Call, effective: bool) -> dict[str, Any]:
        where: dict[str, Any] = {}
        for name, (kind, kind_column, id_column) in FILTERS.items():
            value = call.query.get(name)
            if value is None:
                continue
            if kind_column in where:
                raise errors.Invalid(reason="Specify only one of user or group, and one of project, domain or system.")
            where |= {kind_column: kind, id_column: value}
        if "scope.system" in call.query:
            where |= {"target_kind": "system"}
        if effective and "group.id" in call.query:
            raise errors.Invalid(reason="Combining effective and group filter will always result in an empty list.")
        if "scope.OS-INHERIT:inherited_to" in call.query:
            where["inherited"] = True
        if role_id := call.query.get("role.id"):
            where["role_id"] = role_id
        if flag(call, "include_subtree"):
            if where.get("target_kind") != "project":
                raise errors.Invalid(reason="scope.project.id must be specified if include_subtree is also specified")
            below = await self.projects.children(where["target_id"])
            where["target_id"] = [where["target_id"], *(row.id for row in below)]
        return where
