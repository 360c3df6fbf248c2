"""How role assignments look on the wire."""

from __future__ import annotations

from msgspec import UNSET

from kilonova.core.web.call import Call
from kilonova.identity.resources.assignments import schemas as shapes
from kilonova.identity.store.assignments import ListedRow


def assignment(call: Call, row: ListedRow, *, names: bool) -> shapes.Assignment:
    actor = _assigned(row, "actor", row.actor_id, names)
    return shapes.Assignment(
        role=_assigned(row, "role", row.role_id, names),
        user=actor if row.actor_kind == "user" else UNSET,
        group=actor if row.actor_kind == "group" else UNSET,
        scope=_scope(row, names),
        links=_links(call, row),
    )


def _scope(row: ListedRow, names: bool) -> shapes.AssignmentScope:
    scope = shapes.AssignmentScope(inherited_to="projects" if row.inherited else UNSET)
    if row.target_kind == "project":
        scope.project = _assigned(row, "target", row.target_id, names)
    elif row.target_kind == "domain":
        scope.domain = _assigned(row, "target", row.target_id, names)
    else:
        scope.system = {"all": True}
    return scope


def _assigned(row: ListedRow, kind: str, record_id: str, names: bool) -> shapes.Assigned:
    if not names:
        return shapes.Assigned(id=record_id)
    domain_id = getattr(row, f"{kind}_domain_id")
    domain = shapes.AssignedDomain(id=domain_id, name=getattr(row, f"{kind}_domain_name")) if domain_id else UNSET
    return shapes.Assigned(id=record_id, name=getattr(row, f"{kind}_name"), domain=domain)


def _links(call: Call, row: ListedRow) -> shapes.AssignmentLinks:
    kind, actor_id = ("group", row.via_group) if row.via_group else (row.actor_kind, row.actor_id)
    target = "system" if row.target_kind == "system" else f"{row.target_kind}s/{row.target_id}"
    path = f"{target}/{kind}s/{actor_id}/roles/{row.role_id}"
    if row.inherited:
        path = f"OS-INHERIT/{path}/inherited_to_projects"
    found = shapes.AssignmentLinks(assignment=f"{call.base_url}/v3/{path}")
    if row.via_group:
        found.membership = f"{call.base_url}/v3/groups/{row.via_group}/users/{row.actor_id}"
    return found
