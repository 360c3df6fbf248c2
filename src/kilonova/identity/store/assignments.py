"""SQL of role assignments: what a user may do where, with groups, inheritance and implied roles, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.identity import tables
from kilonova.identity.store.projects import ProjectRow
from kilonova.identity.store.records import Records
from kilonova.identity.tables import (
    application_credential_roles,
    groups,
    implied_roles,
    memberships,
    projects,
    roles,
    users,
)

A = tables.assignments.c


class AssignmentRow(TypedRow):
    """An actor is a user or group, a target a project, a domain, or the system with the id "all"."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool


class ListedRow(AssignmentRow):
    """`via_group` is the group that a role comes through."""

    via_group: str | None
    role_name: str
    role_domain_id: str | None
    role_domain_name: str | None
    actor_name: str | None
    actor_domain_id: str | None
    actor_domain_name: str | None
    target_name: str | None
    target_domain_id: str | None
    target_domain_name: str | None


class RoleNameRow(TypedRow):
    id: str
    name: str


assignments = Records(tables.assignments, AssignmentRow)


# parameters of the statements that are made once and used at every check of a token
USER, KIND, TARGET, CREDENTIAL = (bindparam(name, type_=String) for name in ("user", "kind", "target", "credential"))


def _acts_as(user_id: Any) -> ColumnElement[bool]:
    mine = select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    return or_(and_(A.actor_kind == "user", A.actor_id == user_id), and_(A.actor_kind == "group", A.actor_id.in_(mine)))


def _with_implied(start: Select[Any], name: str) -> CTE:
    found = start.cte(name, recursive=True)
    return found.union(select(implied_roles.c.implied_id).join(found, found.c.role_id == implied_roles.c.prior_id))


def _ancestors(project_id: Any) -> CTE:
    """Ids of the projects above one, up to its domain."""
    above = select(projects.c.parent_id.label("id")).where(projects.c.id == project_id).cte("above", recursive=True)
    return above.union(select(projects.c.parent_id).join(above, above.c.id == projects.c.id))


@lru_cache
def _effective(*, project: bool, limited: bool) -> Select[Any]:
    here = and_(A.target_kind == KIND, A.target_id == TARGET, A.inherited == false())
    if project:
        chain = _ancestors(TARGET)
        above = select(chain.c.id).where(chain.c.id.is_not(None))
        here = or_(here, and_(A.inherited == true(), A.target_id.in_(above)))
    held = _with_implied(select(A.role_id).where(_acts_as(USER), here), "held")
    query = select(roles.c.id, roles.c.name).where(roles.c.id.in_(select(held.c.role_id)), roles.c.domain_id == "")
    if limited:
        given = application_credential_roles.c
        chosen = _with_implied(select(given.role_id).where(given.credential_id == CREDENTIAL), "chosen")
        query = query.where(roles.c.id.in_(select(chosen.c.role_id)))
    return query.order_by(roles.c.name)


async def effective(
    connection: Connection, user_id: str, kind: str, target_id: str, credential_id: str | None = None
) -> Sequence[RoleNameRow]:
    """Roles (id, name) of a user on a target, by name; with an application credential no more than it was given.
    Roles of a single domain only imply others."""
    values = {"user": user_id, "kind": kind, "target": target_id}
    if credential_id is not None:
        values["credential"] = credential_id
    query = _effective(project=kind == "project", limited=credential_id is not None)
    return rows.every(await connection.execute(query, values), RoleNameRow)


async def projects_of(connection: Connection, user_id: str, *, domains: bool = False) -> Sequence[ProjectRow]:
    """Enabled projects (or domains) on which a user has a role, inherited ones included."""
    direct = select(A.target_id).where(_acts_as(user_id), A.inherited == false())
    above = select(A.target_id).where(_acts_as(user_id), A.inherited == true())
    below = select(projects.c.id).where(projects.c.parent_id.in_(above)).cte("below", recursive=True)
    below = below.union(select(projects.c.id).join(below, below.c.id == projects.c.parent_id))
    reach = or_(projects.c.id.in_(direct), projects.c.id.in_(select(below.c.id)))
    domain = projects.alias("domain")
    alive = or_(
        projects.c.is_domain, select(domain.c.enabled).where(domain.c.id == projects.c.domain_id).scalar_subquery()
    )
    query = select(projects).where(reach, projects.c.is_domain == domains, projects.c.enabled, alive)
    return rows.every(await connection.execute(query.order_by(projects.c.name)), ProjectRow)


async def has_system_role(connection: Connection, user_id: str) -> bool:
    query = select(A.role_id).where(_acts_as(user_id), A.target_kind == "system").limit(1)
    return (await connection.execute(query)).first() is not None


async def listing(connection: Connection, where: dict[str, Any], *, effective: bool = False) -> Sequence[ListedRow]:
    """Assignments with the names of everything they join: as stored, or what users may effectively do, with groups,
    inheritance and implied roles dissolved."""
    source: Any = _flat().subquery("flat") if effective else tables.assignments
    of = source.c
    target, target_domain = projects.alias("target"), projects.alias("target_domain")
    user_domain, group_domain = projects.alias("user_domain"), projects.alias("group_domain")
    role_domain = projects.alias("role_domain")
    query = (
        select(
            *[of[column.name] for column in tables.assignments.columns],
            (of.via_group if effective else null()).label("via_group"),
            roles.c.name.label("role_name"),
            role_domain.c.id.label("role_domain_id"),
            role_domain.c.name.label("role_domain_name"),
            func.coalesce(users.c.name, groups.c.name).label("actor_name"),
            func.coalesce(user_domain.c.id, group_domain.c.id).label("actor_domain_id"),
            func.coalesce(user_domain.c.name, group_domain.c.name).label("actor_domain_name"),
            target.c.name.label("target_name"),
            target_domain.c.id.label("target_domain_id"),
            target_domain.c.name.label("target_domain_name"),
        )
        .select_from(source)
        .join(roles, roles.c.id == of.role_id)
        .outerjoin(role_domain, role_domain.c.id == roles.c.domain_id)
        .outerjoin(users, and_(of.actor_kind == "user", users.c.id == of.actor_id))
        .outerjoin(user_domain, user_domain.c.id == users.c.domain_id)
        .outerjoin(groups, and_(of.actor_kind == "group", groups.c.id == of.actor_id))
        .outerjoin(group_domain, group_domain.c.id == groups.c.domain_id)
        .outerjoin(target, target.c.id == of.target_id)
        .outerjoin(target_domain, target_domain.c.id == target.c.domain_id)
    )
    if effective:  # roles of a single domain only imply others
        query = query.where(roles.c.domain_id == "")
    for name, value in where.items():
        query = query.where(of[name].in_(value) if isinstance(value, list) else of[name] == value)
    order = (of.actor_id, of.target_id, roles.c.name)
    return rows.every(await connection.execute(query.order_by(*order)), ListedRow)


def _flat() -> Select[Any]:
    """Every (user, target, role) that assignments amount to, in the columns of `assignments` and `via_group`."""
    start = select(roles.c.id.label("prior_id"), roles.c.id.label("role_id")).cte("follows", recursive=True)
    follows = start.union(
        select(start.c.prior_id, implied_roles.c.implied_id).join(start, start.c.role_id == implied_roles.c.prior_id)
    )
    first = select(projects.c.parent_id.label("top_id"), projects.c.id).where(projects.c.parent_id.is_not(None))
    tree = first.cte("tree", recursive=True)
    tree = tree.union(select(tree.c.top_id, projects.c.id).join(tree, tree.c.id == projects.c.parent_id))
    through = and_(A.actor_kind == "group", memberships.c.group_id == A.actor_id)
    return (
        select(
            literal("user").label("actor_kind"),
            func.coalesce(memberships.c.user_id, A.actor_id).label("actor_id"),
            case((A.inherited == true(), "project"), else_=A.target_kind).label("target_kind"),
            func.coalesce(tree.c.id, A.target_id).label("target_id"),
            follows.c.role_id,
            literal(False).label("inherited"),
            memberships.c.group_id.label("via_group"),
        )
        .select_from(tables.assignments)
        .join(follows, follows.c.prior_id == A.role_id)
        .outerjoin(memberships, through)
        .outerjoin(tree, and_(A.inherited == true(), tree.c.top_id == A.target_id))
        .where(
            or_(A.actor_kind == "user", memberships.c.user_id.is_not(None)),
            or_(A.inherited == false(), tree.c.id.is_not(None)),
        )
        .distinct()
    )


async def forget(connection: Connection, *ids: str) -> None:
    """Remove what actors or targets that are being deleted had or gave."""
    await connection.execute(delete(tables.assignments).where(or_(A.actor_id.in_(ids), A.target_id.in_(ids))))
