"""Role assignments over HTTP: one set of handlers for every pair of actor and target."""

from __future__ import annotations

from typing import Any

from kilonova.core.db import Row
from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.assignments.logic import SYSTEM, AssignmentLogic, Grant
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.web import links
from kilonova.identity.web.body import flag

FILTERS = {
    "user.id": ("user", "actor_kind", "actor_id"),
    "group.id": ("group", "actor_kind", "actor_id"),
    "scope.project.id": ("project", "target_kind", "target_id"),
    "scope.domain.id": ("domain", "target_kind", "target_id"),
}


class Assignments:
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
        path = call.request.url.path
        return Reply(links.listing(call, path, "roles", [links.role(call, row) for row in rows]))

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
        items = [assignment_view(call, row, names=names) for row in rows]
        return Reply(links.listing(call, "/v3/role_assignments", "role_assignments", items))

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


def assignment_view(call: Call, row: Row, *, names: bool) -> dict[str, Any]:
    role, actor, target = {"id": row.role_id}, {"id": row.actor_id}, {"id": row.target_id}
    if names:
        role |= _named(row, "role")
        actor |= _named(row, "actor")
        target |= _named(row, "target")
    scope: dict[str, Any] = {row.target_kind: target} if row.target_kind != "system" else {"system": {"all": True}}
    if row.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return {"role": role, row.actor_kind: actor, "scope": scope, "links": _links(call, row)}


def _named(row: Row, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": getattr(row, f"{prefix}_name")}
    domain_id = getattr(row, f"{prefix}_domain_id")
    if domain_id:
        found["domain"] = {"id": domain_id, "name": getattr(row, f"{prefix}_domain_name")}
    return found


def _links(call: Call, row: Row) -> dict[str, str]:
    kind, actor_id = ("group", row.via_group) if row.via_group else (row.actor_kind, row.actor_id)
    target = "system" if row.target_kind == "system" else f"{row.target_kind}s/{row.target_id}"
    path = f"{target}/{kind}s/{actor_id}/roles/{row.role_id}"
    if row.inherited:
        path = f"OS-INHERIT/{path}/inherited_to_projects"
    found = {"assignment": f"{call.base_url}/v3/{path}"}
    if row.via_group:
        found["membership"] = f"{call.base_url}/v3/groups/{row.via_group}/users/{row.actor_id}"
    return found
